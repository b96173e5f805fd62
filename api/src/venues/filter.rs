use serde::Deserialize;
use utoipa::IntoParams;
use validator::Validate;

use crate::{
    catalogue::{area::Area, city_key, price_cap},
    money::{Currency, MAX_AMOUNT},
    problem::Problem,
    text::{fold, word_list},
};

#[derive(Debug, Default, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VenueFilter {
    /// Words in name, description, address, city, amenities or food; `"a phrase"`, `or` and `-not` work.
    #[validate(length(min = 1, max = 200))]
    #[param(min_length = 1, max_length = 200)]
    pub q: Option<String>,
    /// Only the one with this external id.
    #[validate(length(min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    pub external_id: Option<String>,
    /// Without regard to case, accents and spacing.
    #[validate(length(min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    pub city: Option<String>,
    /// Room for so many guests at least.
    #[validate(range(min = 1, max = 100_000))]
    #[param(minimum = 1, maximum = 100_000)]
    pub min_capacity: Option<i32>,
    /// Must be there; may be repeated, then all must be.
    #[serde(default)]
    #[validate(length(max = 20))]
    #[param(required = false, max_items = 20)]
    pub amenity: Vec<String>,
    /// The venue's own catering offers this cuisine; may be repeated, then all of them.
    #[serde(default)]
    #[validate(length(max = 20))]
    #[param(required = false, max_items = 20)]
    pub cuisine: Vec<String>,
    /// The venue's own catering has this dietary option; may be repeated, then all of them.
    #[serde(default)]
    #[validate(length(max = 20))]
    #[param(required = false, max_items = 20)]
    pub dietary: Vec<String>,
    /// Only prices in this currency.
    pub currency: Option<Currency>,
    /// The most that hiring costs, in minor units of `currency`, which is then needed too.
    #[validate(range(min = 0, max = MAX_AMOUNT))]
    #[param(minimum = 0, maximum = 100_000_000_000_i64)]
    pub max_hire_fee: Option<i64>,
    /// Degrees; with `longitude` and `radius_km`, only what is within that distance.
    #[validate(range(min = -90.0, max = 90.0))]
    #[param(minimum = -90, maximum = 90)]
    pub latitude: Option<f64>,
    #[validate(range(min = -180.0, max = 180.0))]
    #[param(minimum = -180, maximum = 180)]
    pub longitude: Option<f64>,
    /// Kilometres as the crow flies.
    #[validate(range(min = 1, max = 1_000))]
    #[param(minimum = 1, maximum = 1_000)]
    pub radius_km: Option<i32>,
}

/// The filter as the query compares it.
#[derive(Debug, Default)]
pub struct Criteria {
    pub q: Option<String>,
    pub external_id: Option<String>,
    pub city_key: Option<String>,
    pub min_capacity: Option<i32>,
    pub amenities: Vec<String>,
    pub cuisines: Vec<String>,
    pub dietary_options: Vec<String>,
    pub currency: Option<Currency>,
    pub max_hire_fee: Option<i64>,
    pub area: Option<Area>,
}

impl VenueFilter {
    /// 400 when parameters that go together are not together.
    pub(super) fn criteria(&self) -> Result<Criteria, Problem> {
        Ok(Criteria {
            q: self.q.as_deref().map(fold),
            external_id: self.external_id.clone(),
            city_key: self.city.as_deref().map(city_key),
            min_capacity: self.min_capacity,
            amenities: word_list(&self.amenity),
            cuisines: word_list(&self.cuisine),
            dietary_options: word_list(&self.dietary),
            currency: self.currency,
            max_hire_fee: price_cap(self.max_hire_fee, self.currency)?,
            area: Area::of(self.latitude, self.longitude, self.radius_km)?,
        })
    }
}
