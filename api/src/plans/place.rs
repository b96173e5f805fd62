//! Places on Earth and the distance between them.

/// Mean radius of the Earth in metres (IUGG).
const EARTH_RADIUS: f64 = 6_371_008.8;

/// A place as a point on the unit sphere. The square of the straight line between two such points
/// is four times the haversine of their angle, so that comparing squares compares haversine
/// distances without any trigonometry.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Place(pub(super) [f64; 3]);

impl Place {
    /// From degrees of latitude and longitude.
    pub(super) fn new(latitude: f64, longitude: f64) -> Self {
        let (latitude, longitude) = (latitude.to_radians(), longitude.to_radians());
        let (sin, cos) = latitude.sin_cos();
        Self([cos * longitude.cos(), cos * longitude.sin(), sin])
    }

    /// Square of the straight line to `other`, in squares of the Earth's radius.
    pub(super) fn line_squared(self, other: Self) -> f64 {
        let [x, y, z] = [0, 1, 2].map(|axis| self.0[axis] - other.0[axis]);
        x * x + y * y + z * z
    }

    /// Metres along the surface (haversine formula), rounded.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "half the Earth's girth fits easily"
    )]
    pub(super) fn metres(self, other: Self) -> i64 {
        let half_line = self.line_squared(other).sqrt() / 2.0;
        (2.0 * EARTH_RADIUS * half_line.min(1.0).asin()).round() as i64
    }

    /// The place in the middle of `places`; `None` without any, or when they cancel out.
    pub(super) fn middle(places: impl Iterator<Item = Self>) -> Option<Self> {
        let sum = places.fold([0.0; 3], |sum, place| {
            [0, 1, 2].map(|axis| sum[axis] + place.0[axis])
        });
        let length = (sum[0] * sum[0] + sum[1] * sum[1] + sum[2] * sum[2]).sqrt();
        (length > 1e-9).then(|| Self(sum.map(|part| part / length)))
    }
}

/// The squared line, as in [`Place::line_squared`], up to which a place is within `kilometres`.
pub(super) fn reach_squared(kilometres: i32) -> f64 {
    let angle = f64::from(kilometres) * 1_000.0 / EARTH_RADIUS;
    let line = 2.0 * (angle.min(std::f64::consts::PI) / 2.0).sin();
    line * line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paris_is_nearly_344_kilometres_from_london() {
        let london = Place::new(51.5074, -0.1278);
        let paris = Place::new(48.8566, 2.3522);
        assert_eq!(london.metres(paris) / 1_000, 343);
        assert!(london.line_squared(paris) <= reach_squared(344));
        assert!(london.line_squared(paris) > reach_squared(343));
    }

    #[test]
    fn the_other_side_of_the_earth_is_half_its_girth_away() {
        let metres = Place::new(0.0, 0.0).metres(Place::new(0.0, 180.0));
        assert_eq!(metres, 20_015_114);
    }
}
