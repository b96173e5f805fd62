//! Deliveries: what was sent, what came of it, and sending it again.

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::Validate;

use super::{endpoints::check_enabled, queries as endpoints};
use crate::{
    access::{Access, ReadWebhooks, WriteWebhooks},
    extract::{Path, Query},
    page::{List, Page},
    problem::{Problem, kinds},
    state::App,
    work::Answer,
};

pub mod queries;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_webhook_deliveries))
        .routes(routes!(recover_webhook_deliveries))
        .routes(routes!(get_webhook_delivery))
        .routes(routes!(replay_webhook_delivery))
}

/// A message for an endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookDelivery {
    /// The header `webhook-id`: the same in every attempt and every replay.
    pub id: Uuid,
    pub endpoint_id: Uuid,
    pub event_type: String,
    pub status: DeliveryStatus,
    /// Since it was made, or replayed.
    pub attempts: i32,
    /// What the endpoint answered the last time, if it did.
    pub last_status_code: Option<i16>,
    /// Why the last attempt failed: `STATUS` (an answer that is not 2xx), `UNREACHABLE` (no answer) or `DISABLED`.
    pub last_reason: Option<String>,
    /// When it is tried next, at the earliest, while it is pending.
    pub next_attempt_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// When it was delivered or given up.
    pub ended_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum DeliveryStatus {
    /// It is tried until it succeeds or ten attempts have failed.
    Pending,
    Delivered,
    /// Given up; it can be replayed.
    Failed,
}

/// A delivery with all its attempts.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookDeliveryWithAttempts {
    #[serde(flatten)]
    pub delivery: WebhookDelivery,
    /// Oldest first, also those before a replay.
    pub attempt_log: Vec<WebhookAttempt>,
}

/// One attempt to deliver a message.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookAttempt {
    /// When it ended.
    pub attempted_at: Timestamp,
    /// What the endpoint answered, if it did.
    pub status_code: Option<i16>,
    /// Null when it succeeded.
    pub reason: Option<String>,
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeliveryFilter {
    /// Only these.
    pub status: Option<DeliveryStatus>,
    /// Only messages of this type.
    #[validate(length(min = 1, max = 100))]
    #[param(min_length = 1, max_length = 100)]
    pub event_type: Option<String>,
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RecoverQuery {
    /// Messages made before this are left alone; without it none are.
    #[param(value_type = Option<String>, format = DateTime)]
    pub since: Option<jiff::Timestamp>,
}

/// How many deliveries are tried again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Recovered {
    /// 10,000 at most; ask again where it is that many.
    pub replayed: i64,
}

/// List the deliveries of an endpoint, newest first.
#[utoipa::path(get, path = "/v1/webhook-endpoints/{endpoint_id}/deliveries", tag = "webhooks",
    params(("endpoint_id" = Uuid, Path, description = "The endpoint."), DeliveryFilter),
    responses((status = 200, description = "One page.", body = Page<WebhookDelivery>)))]
async fn list_webhook_deliveries(
    State(app): State<App>,
    access: Access<ReadWebhooks>,
    Path(endpoint_id): Path<Uuid>,
    list: List<DeliveryFilter>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let (after, limit) = (list.after()?, list.fetch());
    endpoints::get(&app.db, organization_id, endpoint_id).await?;
    let filter = &list.filter;
    let found = queries::list(&app.db, organization_id, endpoint_id, filter, after, limit);
    let found = found.await?;
    Ok(list.page(found, |delivery| delivery.id))
}

/// Get a delivery with its attempts.
#[utoipa::path(get, path = "/v1/webhook-deliveries/{delivery_id}", tag = "webhooks",
    params(("delivery_id" = Uuid, Path, description = "The delivery.")),
    responses((status = 200, description = "The delivery.", body = WebhookDeliveryWithAttempts)))]
async fn get_webhook_delivery(
    State(app): State<App>,
    access: Access<ReadWebhooks>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let organization_id = access.organization_id();
    let delivery = queries::get(&app.db, organization_id, id).await?;
    let attempt_log = queries::attempts(&app.db, organization_id, id).await?;
    Answer::plain(&WebhookDeliveryWithAttempts {
        delivery,
        attempt_log,
    })
}

/// Send a message again that was delivered or given up, under the same `webhook-id` and with all its attempts.
#[utoipa::path(post, path = "/v1/webhook-deliveries/{delivery_id}/replay", tag = "webhooks",
    params(("delivery_id" = Uuid, Path, description = "The delivery.")),
    responses((status = 200, description = "It is on its way again.", body = WebhookDelivery)))]
async fn replay_webhook_delivery(
    State(app): State<App>,
    access: Access<WriteWebhooks>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if current.status == DeliveryStatus::Pending {
        let detail = "the delivery is PENDING: it is still tried by itself";
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    let endpoint = endpoints::lock(&mut work, organization_id, current.endpoint_id).await?;
    check_enabled(&endpoint)?;
    queries::replay(&mut work, organization_id, &[id]).await?;
    let delivery = queries::lock(&mut work, organization_id, id).await?;
    work.audit(
        "webhook_delivery.replayed",
        ("webhook_delivery", id),
        Some(&current),
        Some(&delivery),
    )
    .await?;
    work.commit(Answer::plain(&delivery)?).await
}

/// Replay everything that has failed since a time, such as the beginning of an outage.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{endpoint_id}/recover", tag = "webhooks",
    params(("endpoint_id" = Uuid, Path, description = "The endpoint."), RecoverQuery),
    responses((status = 200, description = "They are on their way again.", body = Recovered)))]
async fn recover_webhook_deliveries(
    State(app): State<App>,
    access: Access<WriteWebhooks>,
    Path(endpoint_id): Path<Uuid>,
    Query(query): Query<RecoverQuery>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let endpoint = endpoints::lock(&mut work, organization_id, endpoint_id).await?;
    check_enabled(&endpoint)?;
    let failed =
        queries::failed_since(&mut work, organization_id, endpoint_id, query.since).await?;
    let replayed = queries::replay(&mut work, organization_id, &failed).await?;
    let recovered = Recovered { replayed };
    let note = json!({"since": query.since, "replayed": replayed});
    work.audit(
        "webhook_endpoint.recovered",
        ("webhook_endpoint", endpoint_id),
        None::<&()>,
        Some(&note),
    )
    .await?;
    work.commit(Answer::plain(&recovered)?).await
}
