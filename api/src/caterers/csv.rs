//! The columns of a CSV file of caterers, in the order of the export.

use crate::catalogue::{Column, Kind};

pub const COLUMNS: &[Column] = &[
    Column::required("external_id", Kind::Text),
    Column::required("name", Kind::Text),
    Column::optional("description", Kind::Text),
    Column::required("city", Kind::Text),
    Column::required("country", Kind::Code),
    Column::required("latitude", Kind::Decimal),
    Column::required("longitude", Kind::Decimal),
    Column::required("time_zone", Kind::Code),
    Column::optional("delivery_radius_km", Kind::Integer),
    Column::required("cuisines", Kind::Words),
    Column::optional("dietary_options", Kind::Words),
    Column::optional("rating", Kind::Integer),
    Column::required("currency", Kind::Currency),
    Column::required("price_per_guest", Kind::Money),
    Column::optional("minimum_order", Kind::Money),
    Column::optional("delivery_fee", Kind::Money),
    Column::optional("service_fee_bps", Kind::Integer),
    Column::optional("tax_rate_bps", Kind::Integer),
    Column::optional("deposit_rate_bps", Kind::Integer),
    Column::optional("minimum_guests", Kind::Integer),
    Column::required("maximum_guests", Kind::Integer),
    Column::optional("daily_capacity", Kind::Integer),
    Column::optional("cancellation_terms", Kind::Terms),
];
