//! A circle on Earth, as the lists search it.

use crate::problem::Problem;

/// Kilometres in a degree of latitude, on the sphere of 6371 km that `distance_km` measures on.
const KM_PER_DEGREE: f64 = 6_371.0 * std::f64::consts::PI / 180.0;

/// What lies within `radius_km` of a point, and a box around it (all in degrees) that is quick to
/// look up. The box may be larger than needed, never smaller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    pub latitude: f64,
    pub longitude: f64,
    pub radius_km: f64,
    pub south: f64,
    pub north: f64,
    pub west: f64,
    pub east: f64,
}

impl Area {
    /// From the three parameters of a list: all of them, or none.
    pub fn of(
        latitude: Option<f64>,
        longitude: Option<f64>,
        radius_km: Option<i32>,
    ) -> Result<Option<Self>, Problem> {
        let missing = |name| {
            Err(Problem::parameter(
                name,
                "required",
                "latitude, longitude and radius_km go together",
            ))
        };
        let (latitude, longitude, radius_km) = match (latitude, longitude, radius_km) {
            (None, None, None) => return Ok(None),
            (Some(latitude), Some(longitude), Some(radius_km)) => {
                (latitude, longitude, f64::from(radius_km))
            }
            (None, ..) => return missing("latitude"),
            (_, None, _) => return missing("longitude"),
            (.., None) => return missing("radius_km"),
        };
        for (name, value) in [("latitude", latitude), ("longitude", longitude)] {
            if !value.is_finite() {
                return Err(Problem::parameter(name, "invalid", "must be a number"));
            }
        }
        Ok(Some(Self::around(latitude, longitude, radius_km)))
    }

    fn around(latitude: f64, longitude: f64, radius_km: f64) -> Self {
        // A little more than needed, so that rounding loses nobody at the edge.
        let height = radius_km / KM_PER_DEGREE * 1.000_001;
        let (south, north) = (latitude - height, latitude + height);
        // The meridians that touch the circle; none when it holds a pole.
        let reach = height.to_radians().sin() / latitude.to_radians().cos();
        let width = if south > -90.0 && north < 90.0 {
            reach.asin().to_degrees() * 1.000_001
        } else {
            360.0
        };
        let (west, east) = (longitude - width, longitude + width);
        let over_the_date_line = west < -180.0 || east > 180.0;
        let (west, east) = if over_the_date_line {
            (-180.0, 180.0)
        } else {
            (west, east)
        };
        Self {
            latitude,
            longitude,
            radius_km,
            south,
            north,
            west,
            east,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_holds_the_circle() {
        let area = Area::around(60.0, 10.0, 100.0);
        assert!((area.north - 60.9).abs() < 0.01, "{area:?}");
        // At 60 degrees a degree of longitude is half as long.
        assert!((area.east - 11.8).abs() < 0.01, "{area:?}");
    }

    #[test]
    fn at_a_pole_and_at_the_date_line_all_longitudes_count() {
        for area in [
            Area::around(89.9, 0.0, 50.0),
            Area::around(0.0, 179.9, 50.0),
        ] {
            assert!(area.west <= -180.0 && area.east >= 180.0, "{area:?}");
        }
    }
}
