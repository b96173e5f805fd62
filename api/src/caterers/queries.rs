use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::{Caterer, NewCaterer, filter::Criteria};
use crate::{
    catalogue::{CancellationTerm, city_key, import::CHUNK},
    money::{Currency, Money},
};

pub async fn list(
    db: impl PgExecutor<'_>,
    organization_id: Uuid,
    criteria: &Criteria,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Caterer>> {
    let area = criteria.area.as_ref();
    sqlx::query_as!(
        Caterer,
        r#"SELECT id, external_id, name, description, city, country, latitude, longitude, time_zone,
                  delivery_radius_km, cuisines, dietary_options, rating,
                  price(price_per_guest, currency) AS "price_per_guest!: Money",
                  price(minimum_order, currency) AS "minimum_order!: Money",
                  price(delivery_fee, currency) AS "delivery_fee!: Money", service_fee_bps, tax_rate_bps,
                  deposit_rate_bps, minimum_guests, maximum_guests, daily_capacity,
                  cancellation_terms AS "cancellation_terms: Json<Vec<CancellationTerm>>",
                  version, created_at, updated_at
           FROM caterers
           WHERE organization_id = $1
             AND ($2::uuid IS NULL OR id > $2)
             AND ($3::text IS NULL OR search @@ websearch_to_tsquery('simple', $3))
             AND ($4::text IS NULL OR external_id = $4)
             AND ($5::text IS NULL OR city_key = $5)
             AND ($6::integer IS NULL OR $6 BETWEEN minimum_guests AND maximum_guests)
             AND cuisines @> $7
             AND dietary_options @> $8
             AND ($9::text IS NULL OR currency = $9)
             AND ($10::bigint IS NULL OR price_per_guest <= $10)
             AND ($11::float8 IS NULL OR (latitude BETWEEN $11 AND $12 AND longitude BETWEEN $13 AND $14
                                          AND distance_km(latitude, longitude, $15, $16) <= $17))
           ORDER BY id LIMIT $18"#,
        organization_id,
        after,
        criteria.q,
        criteria.external_id,
        criteria.city_key,
        criteria.number_of_guests,
        &criteria.cuisines,
        &criteria.dietary_options,
        criteria.currency as Option<Currency>,
        criteria.max_price_per_guest,
        area.map(|area| area.south),
        area.map(|area| area.north),
        area.map(|area| area.west),
        area.map(|area| area.east),
        area.map(|area| area.latitude),
        area.map(|area| area.longitude),
        area.map(|area| area.radius_km),
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(
    db: impl PgExecutor<'_>,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Caterer> {
    by_ids(db, organization_id, &[id])
        .await?
        .pop()
        .ok_or(sqlx::Error::RowNotFound)
}

pub async fn lock(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<Caterer> {
    sqlx::query!(
        "SELECT FROM caterers WHERE organization_id = $1 AND id = $2 FOR UPDATE",
        organization_id,
        id
    )
    .fetch_one(&mut *db)
    .await?;
    get(db, organization_id, id).await
}

/// Those that exist, locked in one order, so that two imports cannot block each other.
pub async fn lock_by_external_id(
    db: &mut PgConnection,
    organization_id: Uuid,
    external_ids: &[String],
) -> sqlx::Result<Vec<Caterer>> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM caterers WHERE organization_id = $1 AND external_id = ANY($2) ORDER BY id FOR UPDATE",
        organization_id,
        external_ids
    )
    .fetch_all(&mut *db)
    .await?;
    by_ids(db, organization_id, &ids).await
}

async fn by_ids(
    db: impl PgExecutor<'_>,
    organization_id: Uuid,
    ids: &[Uuid],
) -> sqlx::Result<Vec<Caterer>> {
    sqlx::query_as!(
        Caterer,
        r#"SELECT id, external_id, name, description, city, country, latitude, longitude, time_zone,
                  delivery_radius_km, cuisines, dietary_options, rating,
                  price(price_per_guest, currency) AS "price_per_guest!: Money",
                  price(minimum_order, currency) AS "minimum_order!: Money",
                  price(delivery_fee, currency) AS "delivery_fee!: Money", service_fee_bps, tax_rate_bps,
                  deposit_rate_bps, minimum_guests, maximum_guests, daily_capacity,
                  cancellation_terms AS "cancellation_terms: Json<Vec<CancellationTerm>>",
                  version, created_at, updated_at
           FROM caterers WHERE organization_id = $1 AND id = ANY($2)"#,
        organization_id,
        ids
    )
    .fetch_all(db)
    .await
}

/// Writes caterers: those whose id exists are changed, the others are new.
pub async fn save(
    db: &mut PgConnection,
    organization_id: Uuid,
    caterers: &[(Uuid, NewCaterer)],
    now: Timestamp,
) -> sqlx::Result<()> {
    for chunk in caterers.chunks(CHUNK) {
        let rows: Vec<_> = chunk
            .iter()
            .map(|(id, caterer)| row(*id, caterer))
            .collect();
        sqlx::query!(
            "INSERT INTO caterers AS c (organization_id, id, external_id, name, description, city, country, latitude,
                 longitude, time_zone, delivery_radius_km, cuisines, dietary_options, rating, currency,
                 price_per_guest, minimum_order, delivery_fee, service_fee_bps, tax_rate_bps, deposit_rate_bps,
                 minimum_guests, maximum_guests, daily_capacity, cancellation_terms, city_key, search_text,
                 created_at, updated_at)
             SELECT $1, id, external_id, name, description, city, country, latitude,
                 longitude, time_zone, delivery_radius_km, cuisines, dietary_options, rating, currency,
                 price_per_guest, minimum_order, delivery_fee, service_fee_bps, tax_rate_bps, deposit_rate_bps,
                 minimum_guests, maximum_guests, daily_capacity, cancellation_terms, city_key, search_text, $2, $2
             FROM jsonb_populate_recordset(NULL::caterers, $3)
             ON CONFLICT (organization_id, id) DO UPDATE SET
                 external_id = excluded.external_id, name = excluded.name, description = excluded.description,
                 city = excluded.city, country = excluded.country, latitude = excluded.latitude,
                 longitude = excluded.longitude, time_zone = excluded.time_zone,
                 delivery_radius_km = excluded.delivery_radius_km, cuisines = excluded.cuisines,
                 dietary_options = excluded.dietary_options, rating = excluded.rating,
                 currency = excluded.currency, price_per_guest = excluded.price_per_guest,
                 minimum_order = excluded.minimum_order, delivery_fee = excluded.delivery_fee,
                 service_fee_bps = excluded.service_fee_bps, tax_rate_bps = excluded.tax_rate_bps,
                 deposit_rate_bps = excluded.deposit_rate_bps, minimum_guests = excluded.minimum_guests,
                 maximum_guests = excluded.maximum_guests, daily_capacity = excluded.daily_capacity,
                 cancellation_terms = excluded.cancellation_terms, city_key = excluded.city_key,
                 search_text = excluded.search_text, updated_at = excluded.updated_at, version = c.version + 1",
            organization_id,
            now.to_sqlx(),
            Value::Array(rows)
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// The columns of a caterer: each price is an amount, with one currency for all.
fn row(id: Uuid, caterer: &NewCaterer) -> Value {
    let mut row = json!(caterer);
    for price in ["price_per_guest", "minimum_order", "delivery_fee"] {
        row[price] = row[price]["amount"].take();
    }
    row["id"] = json!(id);
    row["currency"] = json!(caterer.price_per_guest.currency);
    row["city_key"] = json!(city_key(&caterer.city));
    row["search_text"] = json!(caterer.search_text());
    row
}

pub async fn delete(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM caterers WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}
