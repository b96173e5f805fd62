//! The columns of a CSV file of venues, in the order of the export.

use crate::catalogue::{Column, Kind};

pub const COLUMNS: &[Column] = &[
    Column::required("external_id", Kind::Text),
    Column::required("name", Kind::Text),
    Column::optional("description", Kind::Text),
    Column::optional("address", Kind::Text),
    Column::required("city", Kind::Text),
    Column::required("country", Kind::Code),
    Column::required("latitude", Kind::Decimal),
    Column::required("longitude", Kind::Decimal),
    Column::required("time_zone", Kind::Code),
    Column::required("capacity", Kind::Integer),
    Column::optional("has_event_room", Kind::Flag),
    Column::optional("amenities", Kind::Words),
    Column::optional("rating", Kind::Integer),
    Column::required("currency", Kind::Currency),
    Column::required("hire_fee", Kind::Money),
    Column::optional("hourly_rate", Kind::Money),
    Column::optional("event_room_fee", Kind::Money),
    Column::optional("tax_rate_bps", Kind::Integer),
    Column::optional("deposit_rate_bps", Kind::Integer),
    Column::optional("setup_minutes", Kind::Integer),
    Column::optional("teardown_minutes", Kind::Integer),
    Column::optional("outside_catering_allowed", Kind::Flag),
    Column::optional("catering_price_per_guest", Kind::Money),
    Column::optional("catering_cuisines", Kind::Words),
    Column::optional("catering_dietary_options", Kind::Words),
    Column::optional("catering_service_fee_bps", Kind::Integer),
    Column::optional("cancellation_terms", Kind::Terms),
];
