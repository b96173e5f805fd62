use jiff::Timestamp;
use jiff_sqlx::{Date, ToSqlx};
use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use super::{
    Plan, PlanSummary,
    availability::Busy,
    brief::Brief,
    option::{Outcome, PlanOption},
    snapshot::{CatererEntry, InHouseCatering, VenueEntry},
};
use crate::{money::Currency, transaction};

/// See `planning_versions`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Versions {
    pub catalogue: i64,
    pub availability: i64,
}

/// All that a search looks at.
pub struct Loaded {
    pub availability: i64,
    pub venues: Vec<VenueEntry>,
    pub caterers: Vec<CatererEntry>,
    pub bookings: Vec<ChangedBooking>,
}

/// A booking as far as it makes somebody busy.
pub struct ChangedBooking {
    pub id: Uuid,
    pub place_id: Uuid,
    pub is_live: bool,
    pub occupied_from: jiff_sqlx::Timestamp,
    pub occupied_until: jiff_sqlx::Timestamp,
    pub service_date: Date,
    pub expires_at: Option<jiff_sqlx::Timestamp>,
    pub availability_version: i64,
}

impl ChangedBooking {
    /// None once it is cancelled.
    pub fn busy(&self) -> Option<Busy> {
        self.is_live.then(|| Busy {
            booking_id: self.id,
            venue_or_caterer: self.place_id,
            occupied_from: self.occupied_from.to_jiff(),
            occupied_until: self.occupied_until.to_jiff(),
            service_date: self.service_date.to_jiff(),
            expires_at: self.expires_at.map(jiff_sqlx::Timestamp::to_jiff),
        })
    }
}

pub async fn versions(db: impl PgExecutor<'_>, organization_id: Uuid) -> sqlx::Result<Versions> {
    let versions = sqlx::query_as!(
        Versions,
        "SELECT catalogue, availability FROM planning_versions WHERE organization_id = $1",
        organization_id
    )
    .fetch_optional(db)
    .await?;
    Ok(versions.unwrap_or_default())
}

/// What has changed in the calendar since a version.
pub async fn changed_bookings(
    db: &PgPool,
    organization_id: Uuid,
    since: i64,
) -> sqlx::Result<Vec<ChangedBooking>> {
    sqlx::query_as!(
        ChangedBooking,
        r#"SELECT id, COALESCE(venue_id, caterer_id) AS "place_id!", status <> 'CANCELLED' AS "is_live!",
                  occupied_from, occupied_until, service_date, expires_at, availability_version
           FROM bookings WHERE organization_id = $1 AND availability_version > $2"#,
        organization_id,
        since
    )
    .fetch_all(db)
    .await
}

/// Catalogue and calendar as of one moment.
pub async fn load(db: &PgPool, organization_id: Uuid, now: Timestamp) -> sqlx::Result<Loaded> {
    let snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let mut tx = transaction::begin(db, snapshot).await?;
    let versions = versions(&mut *tx, organization_id).await?;
    let venues = venues(&mut tx, organization_id, None).await?;
    let caterers = caterers(&mut tx, organization_id, None).await?;
    let bookings = sqlx::query_as!(
        ChangedBooking,
        r#"SELECT id, COALESCE(venue_id, caterer_id) AS "place_id!", true AS "is_live!",
                  occupied_from, occupied_until, service_date, expires_at, availability_version
           FROM bookings
           WHERE organization_id = $1 AND status <> 'CANCELLED' AND occupied_until > $2::timestamptz - interval '2 days'"#,
        organization_id,
        now.to_sqlx()
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Loaded {
        availability: versions.availability,
        venues,
        caterers,
        bookings,
    })
}

/// One venue as planning sees it.
pub async fn venue(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Option<VenueEntry>> {
    Ok(venues(db, organization_id, Some(id)).await?.pop())
}

/// One caterer as planning sees it.
pub async fn caterer(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Uuid,
) -> sqlx::Result<Option<CatererEntry>> {
    Ok(caterers(db, organization_id, Some(id)).await?.pop())
}

async fn venues(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Option<Uuid>,
) -> sqlx::Result<Vec<VenueEntry>> {
    let rows = sqlx::query!(
        r#"SELECT v.id, name, city, city_key, country, latitude, longitude, time_zone, capacity, has_event_room,
                  amenities, rating, currency AS "currency: Currency", hire_fee, hourly_rate, event_room_fee,
                  tax_rate_bps, deposit_rate_bps, setup_minutes, teardown_minutes, outside_catering_allowed,
                  catering_price_per_guest, catering_cuisines, catering_dietary_options, catering_service_fee_bps,
                  b.from_dates AS "from_dates?: Vec<Date>", b.to_dates AS "to_dates?: Vec<Date>"
           FROM venues v LEFT JOIN LATERAL (
               SELECT array_agg(from_date ORDER BY id) AS from_dates, array_agg(to_date ORDER BY id) AS to_dates
               FROM blocked_dates WHERE organization_id = v.organization_id AND venue_id = v.id
           ) b ON true
           WHERE v.organization_id = $1 AND ($2::uuid IS NULL OR v.id = $2)"#,
        organization_id,
        id
    );
    rows.map(|row| VenueEntry {
        id: row.id,
        name: row.name,
        city: row.city,
        city_key: row.city_key,
        country: row.country,
        latitude: row.latitude,
        longitude: row.longitude,
        time_zone: row.time_zone,
        capacity: row.capacity,
        has_event_room: row.has_event_room,
        amenities: row.amenities,
        rating: row.rating,
        currency: row.currency,
        hire_fee: row.hire_fee,
        hourly_rate: row.hourly_rate,
        event_room_fee: row.event_room_fee,
        tax_rate_bps: row.tax_rate_bps,
        deposit_rate_bps: row.deposit_rate_bps,
        setup_minutes: row.setup_minutes,
        teardown_minutes: row.teardown_minutes,
        outside_catering_allowed: row.outside_catering_allowed,
        in_house: row
            .catering_price_per_guest
            .map(|price_per_guest| InHouseCatering {
                price_per_guest,
                cuisines: row.catering_cuisines,
                dietary_options: row.catering_dietary_options,
                service_fee_bps: row.catering_service_fee_bps,
            }),
        blocked: ranges(row.from_dates, row.to_dates),
    })
    .fetch_all(db)
    .await
}

async fn caterers(
    db: &mut PgConnection,
    organization_id: Uuid,
    id: Option<Uuid>,
) -> sqlx::Result<Vec<CatererEntry>> {
    let rows = sqlx::query!(
        r#"SELECT c.id, name, city, city_key, country, latitude, longitude, time_zone, delivery_radius_km, cuisines,
                  dietary_options, rating, currency AS "currency: Currency", price_per_guest, minimum_order,
                  delivery_fee, service_fee_bps, tax_rate_bps, deposit_rate_bps, minimum_guests, maximum_guests,
                  daily_capacity, b.from_dates AS "from_dates?: Vec<Date>", b.to_dates AS "to_dates?: Vec<Date>"
           FROM caterers c LEFT JOIN LATERAL (
               SELECT array_agg(from_date ORDER BY id) AS from_dates, array_agg(to_date ORDER BY id) AS to_dates
               FROM blocked_dates WHERE organization_id = c.organization_id AND caterer_id = c.id
           ) b ON true
           WHERE c.organization_id = $1 AND ($2::uuid IS NULL OR c.id = $2)"#,
        organization_id,
        id
    );
    rows.map(|row| CatererEntry {
        id: row.id,
        name: row.name,
        city: row.city,
        city_key: row.city_key,
        country: row.country,
        latitude: row.latitude,
        longitude: row.longitude,
        time_zone: row.time_zone,
        delivery_radius_km: row.delivery_radius_km,
        cuisines: row.cuisines,
        dietary_options: row.dietary_options,
        rating: row.rating,
        currency: row.currency,
        price_per_guest: row.price_per_guest,
        minimum_order: row.minimum_order,
        delivery_fee: row.delivery_fee,
        service_fee_bps: row.service_fee_bps,
        tax_rate_bps: row.tax_rate_bps,
        deposit_rate_bps: row.deposit_rate_bps,
        minimum_guests: row.minimum_guests,
        maximum_guests: row.maximum_guests,
        daily_capacity: row.daily_capacity,
        blocked: ranges(row.from_dates, row.to_dates),
    })
    .fetch_all(db)
    .await
}

fn ranges(
    from: Option<Vec<Date>>,
    to: Option<Vec<Date>>,
) -> Vec<(jiff::civil::Date, jiff::civil::Date)> {
    let pairs = from
        .unwrap_or_default()
        .into_iter()
        .zip(to.unwrap_or_default());
    pairs
        .map(|(from, to)| (from.to_jiff(), to.to_jiff()))
        .collect()
}

/// Keeps a plan, each option in a row of its own.
pub async fn insert(db: &mut PgConnection, organization_id: Uuid, plan: &Plan) -> sqlx::Result<()> {
    let findings = Outcome {
        options: Vec::new(),
        ..plan.outcome.clone()
    };
    let options: Vec<_> = plan.outcome.options.iter().map(Json).collect();
    let ranks: Vec<i16> = (1..).take(options.len()).collect();
    sqlx::query!(
        "WITH plan AS (
             INSERT INTO plans (organization_id, id, brief, findings, expires_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING id)
         INSERT INTO plan_options (organization_id, plan_id, rank, option)
         SELECT $1, plan.id, o.rank, o.option FROM plan, UNNEST($7::smallint[], $8::jsonb[]) AS o (rank, option)",
        organization_id,
        plan.id,
        Json(&plan.brief.0) as _,
        Json(&findings) as _,
        plan.expires_at as jiff_sqlx::Timestamp,
        plan.created_at as jiff_sqlx::Timestamp,
        &ranks,
        &options as _
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn list(
    db: &PgPool,
    organization_id: Uuid,
    before: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<PlanSummary>> {
    sqlx::query_as!(
        PlanSummary,
        r#"SELECT id, findings ->> 'summary' AS "summary!", expires_at, created_at,
                  (SELECT count(*) FROM plan_options o WHERE o.organization_id = $1 AND o.plan_id = p.id) AS "options!"
           FROM plans p WHERE organization_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3"#,
        organization_id,
        before,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn get(db: &PgPool, organization_id: Uuid, id: Uuid) -> sqlx::Result<Plan> {
    let row = sqlx::query!(
        r#"SELECT id, brief AS "brief: Json<Brief>", findings AS "findings: Json<Outcome>", expires_at, created_at,
                  ARRAY(SELECT option FROM plan_options o WHERE o.organization_id = $1 AND o.plan_id = p.id
                        ORDER BY rank) AS "options!: Vec<Json<PlanOption>>"
           FROM plans p WHERE organization_id = $1 AND id = $2"#,
        organization_id,
        id
    )
    .fetch_one(db)
    .await?;
    let options = row.options.into_iter().map(|Json(option)| option).collect();
    let outcome = Outcome {
        options,
        ..row.findings.0
    };
    Ok(Plan {
        id: row.id,
        expires_at: row.expires_at,
        created_at: row.created_at,
        brief: row.brief,
        outcome,
    })
}

/// An option as it was shown.
pub struct StoredOption {
    pub brief: Json<Brief>,
    pub option: Json<PlanOption>,
    pub expires_at: jiff_sqlx::Timestamp,
}

pub async fn option(
    db: &mut PgConnection,
    organization_id: Uuid,
    plan_id: Uuid,
    rank: i16,
) -> sqlx::Result<StoredOption> {
    sqlx::query_as!(
        StoredOption,
        r#"SELECT p.brief AS "brief: Json<Brief>", o.option AS "option: Json<PlanOption>", p.expires_at
           FROM plans p JOIN plan_options o ON o.organization_id = p.organization_id AND o.plan_id = p.id
           WHERE p.organization_id = $1 AND p.id = $2 AND o.rank = $3"#,
        organization_id,
        plan_id,
        rank
    )
    .fetch_one(db)
    .await
}
