use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::{NewVenue, Venue, filter::Criteria};
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
) -> sqlx::Result<Vec<Venue>> {
    let area = criteria.area.as_ref();
    sqlx::query_as!(
        Venue,
        r#"SELECT id, external_id, name, description, address, city, country, latitude, longitude, time_zone,
                  capacity, has_event_room, amenities, rating, price(hire_fee, currency) AS "hire_fee!: Money",
                  price(hourly_rate, currency) AS "hourly_rate!: Money",
                  price(event_room_fee, currency) AS "event_room_fee!: Money", tax_rate_bps, deposit_rate_bps,
                  setup_minutes, teardown_minutes, outside_catering_allowed,
                  price(catering_price_per_guest, currency) AS "catering_price_per_guest: Money",
                  catering_cuisines, catering_dietary_options, catering_service_fee_bps,
                  cancellation_terms AS "cancellation_terms: Json<Vec<CancellationTerm>>",
                  version, created_at, updated_at
           FROM venues
           WHERE organization_id = $1
             AND ($2::uuid IS NULL OR id > $2)
             AND ($3::text IS NULL OR search @@ websearch_to_tsquery('simple', $3))
             AND ($4::text IS NULL OR external_id = $4)
             AND ($5::text IS NULL OR city_key = $5)
             AND ($6::integer IS NULL OR capacity >= $6)
             AND amenities @> $7
             AND catering_cuisines @> $8
             AND catering_dietary_options @> $9
             AND ($10::text IS NULL OR currency = $10)
             AND ($11::bigint IS NULL OR hire_fee <= $11)
             AND ($12::float8 IS NULL OR (latitude BETWEEN $12 AND $13 AND longitude BETWEEN $14 AND $15
                                          AND distance_km(latitude, longitude, $16, $17) <= $18))
           ORDER BY id LIMIT $19"#,
        organization_id,
        after,
        criteria.q,
        criteria.external_id,
        criteria.city_key,
        criteria.min_capacity,
        &criteria.amenities,
        &criteria.cuisines,
        &criteria.dietary_options,
        criteria.currency as Option<Currency>,
        criteria.max_hire_fee,
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

pub async fn get(db: impl PgExecutor<'_>, organization_id: Uuid, id: Uuid) -> sqlx::Result<Venue> {
    by_ids(db, organization_id, &[id])
        .await?
        .pop()
        .ok_or(sqlx::Error::RowNotFound)
}

pub async fn lock(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<Venue> {
    sqlx::query!(
        "SELECT FROM venues WHERE organization_id = $1 AND id = $2 FOR UPDATE",
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
) -> sqlx::Result<Vec<Venue>> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM venues WHERE organization_id = $1 AND external_id = ANY($2) ORDER BY id FOR UPDATE",
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
) -> sqlx::Result<Vec<Venue>> {
    sqlx::query_as!(
        Venue,
        r#"SELECT id, external_id, name, description, address, city, country, latitude, longitude, time_zone,
                  capacity, has_event_room, amenities, rating, price(hire_fee, currency) AS "hire_fee!: Money",
                  price(hourly_rate, currency) AS "hourly_rate!: Money",
                  price(event_room_fee, currency) AS "event_room_fee!: Money", tax_rate_bps, deposit_rate_bps,
                  setup_minutes, teardown_minutes, outside_catering_allowed,
                  price(catering_price_per_guest, currency) AS "catering_price_per_guest: Money",
                  catering_cuisines, catering_dietary_options, catering_service_fee_bps,
                  cancellation_terms AS "cancellation_terms: Json<Vec<CancellationTerm>>",
                  version, created_at, updated_at
           FROM venues WHERE organization_id = $1 AND id = ANY($2)"#,
        organization_id,
        ids
    )
    .fetch_all(db)
    .await
}

/// Writes venues: those whose id exists are changed, the others are new.
pub async fn save(
    db: &mut PgConnection,
    organization_id: Uuid,
    venues: &[(Uuid, NewVenue)],
    now: Timestamp,
) -> sqlx::Result<()> {
    for chunk in venues.chunks(CHUNK) {
        let rows: Vec<_> = chunk.iter().map(|(id, venue)| row(*id, venue)).collect();
        sqlx::query!(
            "INSERT INTO venues AS v (organization_id, id, external_id, name, description, address, city, country,
                 latitude, longitude, time_zone, capacity, has_event_room, amenities, rating, currency, hire_fee,
                 hourly_rate, event_room_fee, tax_rate_bps, deposit_rate_bps, setup_minutes, teardown_minutes,
                 outside_catering_allowed, catering_price_per_guest, catering_cuisines, catering_dietary_options,
                 catering_service_fee_bps, cancellation_terms, city_key, search_text, created_at, updated_at)
             SELECT $1, id, external_id, name, description, address, city, country,
                 latitude, longitude, time_zone, capacity, has_event_room, amenities, rating, currency, hire_fee,
                 hourly_rate, event_room_fee, tax_rate_bps, deposit_rate_bps, setup_minutes, teardown_minutes,
                 outside_catering_allowed, catering_price_per_guest, catering_cuisines, catering_dietary_options,
                 catering_service_fee_bps, cancellation_terms, city_key, search_text, $2, $2
             FROM jsonb_populate_recordset(NULL::venues, $3)
             ON CONFLICT (organization_id, id) DO UPDATE SET
                 external_id = excluded.external_id, name = excluded.name, description = excluded.description,
                 address = excluded.address, city = excluded.city, country = excluded.country,
                 latitude = excluded.latitude, longitude = excluded.longitude, time_zone = excluded.time_zone,
                 capacity = excluded.capacity, has_event_room = excluded.has_event_room,
                 amenities = excluded.amenities, rating = excluded.rating, currency = excluded.currency,
                 hire_fee = excluded.hire_fee, hourly_rate = excluded.hourly_rate,
                 event_room_fee = excluded.event_room_fee, tax_rate_bps = excluded.tax_rate_bps,
                 deposit_rate_bps = excluded.deposit_rate_bps, setup_minutes = excluded.setup_minutes,
                 teardown_minutes = excluded.teardown_minutes,
                 outside_catering_allowed = excluded.outside_catering_allowed,
                 catering_price_per_guest = excluded.catering_price_per_guest,
                 catering_cuisines = excluded.catering_cuisines,
                 catering_dietary_options = excluded.catering_dietary_options,
                 catering_service_fee_bps = excluded.catering_service_fee_bps,
                 cancellation_terms = excluded.cancellation_terms, city_key = excluded.city_key,
                 search_text = excluded.search_text, updated_at = excluded.updated_at, version = v.version + 1",
            organization_id,
            now.to_sqlx(),
            Value::Array(rows)
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// The columns of a venue: each price is an amount, with one currency for all.
fn row(id: Uuid, venue: &NewVenue) -> Value {
    let mut row = json!(venue);
    for price in [
        "hire_fee",
        "hourly_rate",
        "event_room_fee",
        "catering_price_per_guest",
    ] {
        row[price] = row[price]["amount"].take();
    }
    row["id"] = json!(id);
    row["currency"] = json!(venue.hire_fee.currency);
    row["city_key"] = json!(city_key(&venue.city));
    row["search_text"] = json!(venue.search_text());
    row
}

pub async fn delete(db: &mut PgConnection, organization_id: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM venues WHERE organization_id = $1 AND id = $2",
        organization_id,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}
