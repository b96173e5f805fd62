use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::{Validate, ValidationError};

use crate::{
    catalogue::{self, CancellationTerm, Word},
    money::{Money, one_currency},
    text::word_list,
};

/// A kitchen that serves events.
#[derive(Debug, Serialize, ToSchema)]
pub struct Caterer {
    pub id: Uuid,
    pub external_id: Option<String>,
    pub name: String,
    pub description: String,
    pub city: String,
    pub country: String,
    pub latitude: f64,
    pub longitude: f64,
    pub time_zone: String,
    pub delivery_radius_km: i32,
    pub cuisines: Vec<String>,
    pub dietary_options: Vec<String>,
    pub rating: i16,
    pub price_per_guest: Money,
    pub minimum_order: Money,
    pub delivery_fee: Money,
    pub service_fee_bps: i32,
    pub tax_rate_bps: i32,
    pub deposit_rate_bps: i32,
    pub minimum_guests: i32,
    pub maximum_guests: i32,
    pub daily_capacity: i16,
    #[schema(value_type = Vec<CancellationTerm>)]
    pub cancellation_terms: Json<Vec<CancellationTerm>>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A caterer to be, and what a patched caterer must still be.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = consistent))]
#[schema(example = json!({
    "external_id": "caterer-1", "name": "Saffron Tramline", "city": "San Francisco", "country": "US",
    "latitude": 37.7835, "longitude": -122.416, "time_zone": "America/Los_Angeles", "cuisines": ["indian"],
    "dietary_options": ["vegan", "halal"], "price_per_guest": {"amount": 4650, "currency": "USD"},
    "maximum_guests": 300,
    "cancellation_terms": [{"days_before": 30, "fee_bps": 0}, {"days_before": 14, "fee_bps": 5000}]
}))]
pub struct NewCaterer {
    /// Your own id for it, once in an organization; imports go by it.
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub external_id: Option<String>,
    #[validate(length(min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    #[serde(default)]
    #[validate(length(max = 5_000))]
    #[schema(max_length = 5_000, default = "")]
    pub description: String,
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub city: String,
    /// ISO 3166-1 code.
    #[validate(custom(function = catalogue::country))]
    #[schema(pattern = "^[A-Z]{2}$")]
    pub country: String,
    /// Degrees (WGS 84).
    #[validate(range(min = -90.0, max = 90.0))]
    #[schema(minimum = -90, maximum = 90)]
    pub latitude: f64,
    /// Degrees (WGS 84).
    #[validate(range(min = -180.0, max = 180.0))]
    #[schema(minimum = -180, maximum = 180)]
    pub longitude: f64,
    /// IANA name, such as `America/Los_Angeles`.
    #[validate(length(max = 64), custom(function = catalogue::time_zone))]
    #[schema(min_length = 1, max_length = 64)]
    pub time_zone: String,
    /// Kilometres, as the crow flies, to the farthest venue it delivers to.
    #[serde(default = "a_city_and_around")]
    #[validate(range(min = 0, max = 1_000))]
    #[schema(minimum = 0, maximum = 1_000, default = 25)]
    pub delivery_radius_km: i32,
    /// Such as `italian`; at least one.
    #[validate(length(min = 1, max = 50), custom(function = catalogue::words))]
    #[schema(value_type = Vec<Word>, min_items = 1, max_items = 50)]
    pub cuisines: Vec<String>,
    /// Such as `vegan`.
    #[serde(default)]
    #[validate(length(max = 50), custom(function = catalogue::words))]
    #[schema(value_type = Vec<Word>, max_items = 50, default = json!([]))]
    pub dietary_options: Vec<String>,
    /// 0 to 100; five stars are 100.
    #[serde(default = "unrated")]
    #[validate(range(min = 0, max = 100))]
    #[schema(minimum = 0, maximum = 100, default = 50)]
    pub rating: i16,
    /// All prices of a caterer are in one currency.
    #[validate(nested, custom(function = crate::money::per_guest))]
    pub price_per_guest: Money,
    /// The least that the food costs. None when left out.
    #[validate(nested)]
    pub minimum_order: Option<Money>,
    /// Once per event. Free of charge when left out.
    #[validate(nested)]
    pub delivery_fee: Option<Money>,
    /// On top of the food, in basis points.
    #[serde(default)]
    #[validate(range(min = 0, max = 10_000))]
    #[schema(minimum = 0, maximum = 10_000, default = 0)]
    pub service_fee_bps: i32,
    /// Tax on everything the caterer charges, in basis points.
    #[serde(default)]
    #[validate(range(min = 0, max = 10_000))]
    #[schema(minimum = 0, maximum = 10_000, default = 0)]
    pub tax_rate_bps: i32,
    /// Share of the total that confirms a booking, in basis points.
    #[serde(default)]
    #[validate(range(min = 0, max = 10_000))]
    #[schema(minimum = 0, maximum = 10_000, default = 0)]
    pub deposit_rate_bps: i32,
    /// The fewest guests it serves.
    #[serde(default = "one")]
    #[validate(range(min = 1, max = 100_000))]
    #[schema(minimum = 1, maximum = 100_000, default = 1)]
    pub minimum_guests: i32,
    /// The most guests it serves, not fewer than `minimum_guests`.
    #[validate(range(min = 1, max = 100_000))]
    #[schema(minimum = 1, maximum = 100_000)]
    pub maximum_guests: i32,
    /// How many events it can serve on one day.
    #[serde(default = "once_a_day")]
    #[validate(range(min = 1, max = 100))]
    #[schema(minimum = 1, maximum = 100, default = 1)]
    pub daily_capacity: i16,
    /// Most days first, fees rising. Cancelling at least `days_before` days before the start costs
    /// `fee_bps` of the total, later than the last step all of it. Empty: cancelling is free.
    #[serde(default)]
    #[validate(length(max = 20), custom(function = catalogue::cancellation_terms))]
    #[schema(max_items = 20, default = json!([]))]
    pub cancellation_terms: Vec<CancellationTerm>,
}

impl NewCaterer {
    /// As it is kept: words and zone in their usual spelling, prices that were left out as zero.
    #[must_use]
    pub fn normalized(mut self) -> Self {
        let nothing = Money::new(0, self.price_per_guest.currency);
        self.minimum_order.get_or_insert(nothing);
        self.delivery_fee.get_or_insert(nothing);
        self.time_zone = catalogue::time_zone_name(&self.time_zone);
        self.cuisines = word_list(&self.cuisines);
        self.dietary_options = word_list(&self.dietary_options);
        self
    }

    /// What the full-text search looks at.
    pub(super) fn search_text(&self) -> String {
        let texts = [&self.name, &self.description, &self.city, &self.country];
        let words = self.cuisines.iter().chain(&self.dietary_options);
        catalogue::search_text(texts.into_iter().chain(words).map(String::as_str))
    }
}

/// What validation by field cannot see.
fn consistent(new: &NewCaterer) -> Result<(), ValidationError> {
    let optional = [&new.minimum_order, &new.delivery_fee];
    one_currency(
        [&new.price_per_guest]
            .into_iter()
            .chain(optional.into_iter().flatten()),
    )?;
    if new.minimum_guests > new.maximum_guests {
        let message = "minimum_guests must not be above maximum_guests";
        return Err(ValidationError::new("range").with_message(message.into()));
    }
    Ok(())
}

fn a_city_and_around() -> i32 {
    25
}

/// Neither good nor bad.
fn unrated() -> i16 {
    50
}

fn one() -> i32 {
    1
}

fn once_a_day() -> i16 {
    1
}
