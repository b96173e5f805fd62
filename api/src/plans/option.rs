//! What a search answers. A stored option can be booked later, exactly as it was shown.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::money::Money;

/// The answer to a brief.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// One short paragraph for people.
    #[schema(example = "3 options in San Francisco on Tuesday 15 September 2026 for 120 guests.")]
    pub summary: String,
    /// Best first, at most `limit` of them.
    pub options: Vec<PlanOption>,
    pub considered: Considered,
    /// What each constraint excluded, in the order in which they are looked at; those that
    /// excluded nothing are left out.
    pub excluded: Vec<Exclusion>,
    /// The nearest changes that would help, most useful first; only when there are fewer options
    /// than `limit`.
    pub changes: Vec<Change>,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Considered {
    /// All venues of the catalogue.
    pub venues: usize,
    /// All caterers of the catalogue.
    pub caterers: usize,
    /// Venues that no constraint of their own excluded.
    pub venues_left: usize,
    /// Caterers that no constraint of their own excluded.
    pub caterers_left: usize,
}

/// How many venues or caterers a constraint excluded. Each is counted once, at the first
/// constraint that it fails, in the order of [`Constraint`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exclusion {
    pub side: Side,
    pub constraint: Constraint,
    /// How many.
    pub excluded: usize,
    /// For people.
    #[schema(example = "12 venues hold fewer than 120 guests.")]
    pub detail: String,
}

/// The two halves of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Side {
    Venue,
    Catering,
}

/// Why a venue or a caterer is out. For venues, in this order: `LOCATION`, `CAPACITY`,
/// `EVENT_ROOM`, `AMENITIES`, `CURRENCY`, `BUDGET`, `DATE`; for caterers: `GUESTS`, `CUISINE`,
/// `DIETARY`, `CURRENCY`, `BUDGET`, `DATE`, `DELIVERY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Constraint {
    /// Not in the city, or outside the radius.
    Location,
    /// Holds fewer guests.
    Capacity,
    /// Has no event room.
    EventRoom,
    /// Lacks an amenity.
    Amenities,
    /// Serves only more, or only fewer, guests.
    Guests,
    /// Offers none of the cuisines.
    Cuisine,
    /// Cannot meet every dietary requirement.
    Dietary,
    /// Asks for another currency.
    Currency,
    /// Alone costs more than the whole budget.
    Budget,
    /// Free on none of the dates.
    Date,
    /// Delivers to none of the venues that are left.
    Delivery,
}

/// A venue, a catering and a date that fit the brief, with what they cost. Each venue appears with
/// each catering once, on the earliest date on which both are free.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanOption {
    /// 1 is best.
    pub rank: i32,
    /// 0 to 10,000: the sum of the points of `reasons`.
    pub score: i32,
    pub reasons: Vec<Reason>,
    /// Local date in `time_zone`; also the date on which the caterer serves.
    pub date: Date,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// IANA name: the brief's zone or else the venue's.
    pub time_zone: String,
    /// When the venue begins to be occupied: the start less the time for setting up.
    pub occupied_from: Timestamp,
    /// When the venue is free again: the end and the time for clearing away.
    pub occupied_until: Timestamp,
    pub venue: OptionVenue,
    pub catering: OptionCatering,
    /// Every cost, rounded half up per line to the minor unit; lines of nothing are left out.
    pub lines: Vec<PriceLine>,
    pub venue_total: Money,
    pub catering_total: Money,
    /// Sum of all lines.
    pub total: Money,
    /// `total` by guests, rounded up to the minor unit.
    pub per_guest: Money,
    /// Whether `total` keeps to the budget; always, and true as well when the brief has none.
    pub within_budget: bool,
    /// Due to the venue when its booking is confirmed.
    pub venue_deposit: Money,
    /// Due to the caterer (in-house: the venue) when its booking is confirmed.
    pub catering_deposit: Money,
    /// How many later dates of the window are free as well.
    pub further_dates_count: i32,
    /// The first five of them.
    pub further_dates: Vec<Date>,
}

/// The venue of an option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OptionVenue {
    pub id: Uuid,
    pub name: String,
    pub city: String,
    pub country: String,
    pub capacity: i32,
    /// Metres from `near`, as the crow flies; absent when the brief names a city.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance_metres: Option<i64>,
}

/// The catering of an option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OptionCatering {
    /// Absent when the venue caters itself.
    pub caterer_id: Option<Uuid>,
    pub in_house: bool,
    pub name: String,
    pub cuisines: Vec<String>,
    pub dietary_options: Vec<String>,
    /// Metres from the caterer to the venue, as the crow flies; absent when in-house.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance_metres: Option<i64>,
}

/// One part of a score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    pub code: ReasonCode,
    /// Negative when it costs points.
    pub points: i32,
    /// For people.
    #[schema(example = "120 of 150 places used")]
    pub detail: String,
}

/// What points are given and taken for; see `rules.rs` of the engine for the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReasonCode {
    /// 4,000, from which the two prices are deducted.
    Price,
    /// Deducted: the venue's total against the budget, or against that of similar venues.
    VenuePrice,
    /// Up to 1,500: how well the guests fill the venue.
    CapacityFit,
    /// Up to 1,500.
    VenueRating,
    /// Up to 1,000: how near the venue is.
    Distance,
    /// Deducted: the catering's total against the budget, or against that of similar offers.
    CateringPrice,
    /// Up to 1,000.
    CateringRating,
    /// Up to 1,000: how many of the preferred cuisines are offered.
    CuisineMatch,
}

/// One line of the price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceLine {
    pub code: LineCode,
    /// Who is paid.
    pub side: Side,
    /// For people.
    #[schema(example = "Food for 120 guests")]
    pub description: String,
    /// Guests for `FOOD`, minutes for `VENUE_HOURS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// The price of one guest for `FOOD`, of an hour (60 minutes) for `VENUE_HOURS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Money>,
    /// Basis points for `SERVICE_FEE` and the taxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_bps: Option<i32>,
    /// Exact, rounded half up to the minor unit.
    pub amount: Money,
}

/// What a line of the price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LineCode {
    /// Once per event.
    VenueHire,
    /// The hourly rate, by the minute of the event.
    VenueHours,
    /// The event room, once per event, when the brief needs it.
    EventRoom,
    /// The venue's tax on the lines above.
    VenueTax,
    /// The price per guest, for all guests.
    Food,
    /// What is missing from the food to the caterer's minimum order.
    MinimumOrder,
    /// Once per event.
    Delivery,
    /// A share of the food and the minimum order.
    ServiceFee,
    /// The caterer's tax (in-house: the venue's) on all other lines of the catering.
    CateringTax,
}

/// A change of the brief that opens options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// The field of the brief to change.
    #[schema(example = "budget_per_guest")]
    pub field: String,
    /// Its value now.
    pub from: serde_json::Value,
    /// Its value then.
    pub to: serde_json::Value,
    /// The same as a merge patch (RFC 7396) for the brief.
    #[schema(value_type = Object)]
    pub brief_patch: serde_json::Value,
    /// How many options the changed brief would have, at most its `limit`.
    pub opens: usize,
    /// For people.
    #[schema(example = "At 92.00 USD a head three options open.")]
    pub detail: String,
}

/// `Tuesday 15 September 2026`.
pub(super) fn long_date(date: Date) -> String {
    date.strftime("%A %-d %B %Y").to_string()
}

/// `1 guest`, `120 guests`.
pub(super) fn people(guests: i32) -> String {
    if guests == 1 {
        "1 guest".to_owned()
    } else {
        format!("{guests} guests")
    }
}
