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

/// A place for events.
#[derive(Debug, Serialize, ToSchema)]
pub struct Venue {
    pub id: Uuid,
    pub external_id: Option<String>,
    pub name: String,
    pub description: String,
    pub address: String,
    pub city: String,
    pub country: String,
    pub latitude: f64,
    pub longitude: f64,
    pub time_zone: String,
    pub capacity: i32,
    pub has_event_room: bool,
    pub amenities: Vec<String>,
    pub rating: i16,
    pub hire_fee: Money,
    pub hourly_rate: Money,
    pub event_room_fee: Money,
    pub tax_rate_bps: i32,
    pub deposit_rate_bps: i32,
    pub setup_minutes: i32,
    pub teardown_minutes: i32,
    pub outside_catering_allowed: bool,
    pub catering_price_per_guest: Option<Money>,
    pub catering_cuisines: Vec<String>,
    pub catering_dietary_options: Vec<String>,
    pub catering_service_fee_bps: i32,
    #[schema(value_type = Vec<CancellationTerm>)]
    pub cancellation_terms: Json<Vec<CancellationTerm>>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A venue to be, and what a patched venue must still be.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = consistent))]
#[schema(example = json!({
    "external_id": "venue-1", "name": "Cable & Cedar Loft", "city": "San Francisco", "country": "US",
    "latitude": 37.7796, "longitude": -122.3958, "time_zone": "America/Los_Angeles", "capacity": 160,
    "amenities": ["wifi", "projector"], "hire_fee": {"amount": 180_000, "currency": "USD"},
    "cancellation_terms": [{"days_before": 30, "fee_bps": 0}, {"days_before": 14, "fee_bps": 5000}]
}))]
pub struct NewVenue {
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
    #[serde(default)]
    #[validate(length(max = 500))]
    #[schema(max_length = 500, default = "")]
    pub address: String,
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
    /// The most guests.
    #[validate(range(min = 1, max = 100_000))]
    #[schema(minimum = 1, maximum = 100_000)]
    pub capacity: i32,
    /// Whether there is a separate room for the event itself, at `event_room_fee`.
    #[serde(default)]
    #[schema(default = false)]
    pub has_event_room: bool,
    /// Such as `wifi`.
    #[serde(default)]
    #[validate(length(max = 50), custom(function = catalogue::words))]
    #[schema(value_type = Vec<Word>, max_items = 50, default = json!([]))]
    pub amenities: Vec<String>,
    /// 0 to 100; five stars are 100.
    #[serde(default = "unrated")]
    #[validate(range(min = 0, max = 100))]
    #[schema(minimum = 0, maximum = 100, default = 50)]
    pub rating: i16,
    /// Once per event. All prices of a venue are in one currency.
    #[validate(nested)]
    pub hire_fee: Money,
    /// For each hour of the event. Free of charge when left out.
    #[validate(nested)]
    pub hourly_rate: Option<Money>,
    /// Once per event that needs the event room. Free of charge when left out.
    #[validate(nested)]
    pub event_room_fee: Option<Money>,
    /// Tax on everything the venue charges, in basis points.
    #[serde(default)]
    #[validate(range(min = 0, max = 10_000))]
    #[schema(minimum = 0, maximum = 10_000, default = 0)]
    pub tax_rate_bps: i32,
    /// Share of the total that confirms a booking, in basis points.
    #[serde(default)]
    #[validate(range(min = 0, max = 10_000))]
    #[schema(minimum = 0, maximum = 10_000, default = 0)]
    pub deposit_rate_bps: i32,
    /// Minutes for which it is occupied before an event.
    #[serde(default)]
    #[validate(range(min = 0, max = 1_440))]
    #[schema(minimum = 0, maximum = 1_440, default = 0)]
    pub setup_minutes: i32,
    /// Minutes for which it is occupied after an event.
    #[serde(default)]
    #[validate(range(min = 0, max = 1_440))]
    #[schema(minimum = 0, maximum = 1_440, default = 0)]
    pub teardown_minutes: i32,
    /// Whether other caterers may serve here. When not, it must cater itself.
    #[serde(default = "allowed")]
    #[schema(default = true)]
    pub outside_catering_allowed: bool,
    /// It caters itself when it has this price.
    #[validate(nested, custom(function = crate::money::per_guest))]
    pub catering_price_per_guest: Option<Money>,
    #[serde(default)]
    #[validate(length(max = 50), custom(function = catalogue::words))]
    #[schema(value_type = Vec<Word>, max_items = 50, default = json!([]))]
    pub catering_cuisines: Vec<String>,
    #[serde(default)]
    #[validate(length(max = 50), custom(function = catalogue::words))]
    #[schema(value_type = Vec<Word>, max_items = 50, default = json!([]))]
    pub catering_dietary_options: Vec<String>,
    /// On top of its own food, in basis points.
    #[serde(default)]
    #[validate(range(min = 0, max = 10_000))]
    #[schema(minimum = 0, maximum = 10_000, default = 0)]
    pub catering_service_fee_bps: i32,
    /// Most days first, fees rising. Cancelling at least `days_before` days before the start costs
    /// `fee_bps` of the total, later than the last step all of it. Empty: cancelling is free.
    #[serde(default)]
    #[validate(length(max = 20), custom(function = catalogue::cancellation_terms))]
    #[schema(max_items = 20, default = json!([]))]
    pub cancellation_terms: Vec<CancellationTerm>,
}

impl NewVenue {
    /// As it is kept: words and zone in their usual spelling, prices that were left out as zero.
    #[must_use]
    pub fn normalized(mut self) -> Self {
        let nothing = Money::new(0, self.hire_fee.currency);
        self.hourly_rate.get_or_insert(nothing);
        self.event_room_fee.get_or_insert(nothing);
        self.time_zone = catalogue::time_zone_name(&self.time_zone);
        self.amenities = word_list(&self.amenities);
        self.catering_cuisines = word_list(&self.catering_cuisines);
        self.catering_dietary_options = word_list(&self.catering_dietary_options);
        self
    }

    /// What the full-text search looks at.
    pub(super) fn search_text(&self) -> String {
        let texts = [
            &self.name,
            &self.description,
            &self.address,
            &self.city,
            &self.country,
        ];
        let words = [
            &self.amenities,
            &self.catering_cuisines,
            &self.catering_dietary_options,
        ];
        catalogue::search_text(
            texts
                .into_iter()
                .chain(words.into_iter().flatten())
                .map(String::as_str),
        )
    }
}

/// What validation by field cannot see.
fn consistent(new: &NewVenue) -> Result<(), ValidationError> {
    let optional = [
        &new.hourly_rate,
        &new.event_room_fee,
        &new.catering_price_per_guest,
    ];
    one_currency(
        [&new.hire_fee]
            .into_iter()
            .chain(optional.into_iter().flatten()),
    )?;
    if !new.outside_catering_allowed && new.catering_price_per_guest.is_none() {
        let message = "without outside catering it needs a catering_price_per_guest";
        return Err(ValidationError::new("required").with_message(message.into()));
    }
    Ok(())
}

/// Neither good nor bad.
fn unrated() -> i16 {
    50
}

fn allowed() -> bool {
    true
}
