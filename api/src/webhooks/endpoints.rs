//! Endpoints: where to call, of what, and with which secret.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::ToSpan;
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::{Validate, ValidationError};

use super::{
    TESTED,
    deliveries::{self, WebhookDelivery},
    queries,
    secret::{Secret, Secrets},
};
use crate::{
    access::{Access, ReadWebhooks, WriteWebhooks},
    changes::kinds,
    extract::{IfMatch, Json, MergePatch, Path},
    page::{List, NoFilter, Page},
    problem::{Problem, kinds as problems},
    state::App,
    work::{Answer, Work},
};

/// How long the secret before the current one goes on signing.
const ROTATION_HOURS: i64 = 24;
/// More endpoints than anybody needs; each change looks at all of them.
const MOST_ENDPOINTS: i64 = 50;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_webhook_event_types))
        .routes(routes!(list_webhook_endpoints, create_webhook_endpoint))
        .routes(routes!(
            get_webhook_endpoint,
            update_webhook_endpoint,
            delete_webhook_endpoint
        ))
        .routes(routes!(rotate_webhook_secret))
        .routes(routes!(test_webhook_endpoint))
}

/// An address that is called when something changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookEndpoint {
    pub id: Uuid,
    pub url: String,
    pub description: Option<String>,
    /// The event types that it is told of; `*` is all of them.
    pub event_types: Vec<String>,
    pub enabled: bool,
    /// Why we have disabled it: `GONE` (it answered 410) or `FAILING` (nothing arrived for five days).
    pub disabled_reason: Option<String>,
    /// Since when deliveries have failed without one that succeeded.
    pub failing_since: Option<Timestamp>,
    /// Until when the secret before the current one signs, too.
    pub old_secret_expires_at: Option<Timestamp>,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What `NewWebhookEndpoint` cannot set.
const READ_ONLY: &[&str] = &[
    "id",
    "disabled_reason",
    "failing_since",
    "old_secret_expires_at",
    "version",
    "created_at",
    "updated_at",
];

/// An endpoint at one of the moments when its secret is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookEndpointWithSecret {
    #[serde(flatten)]
    pub endpoint: WebhookEndpoint,
    /// `whsec_…`, which verifies the signatures. It is shown this once; a replay of the answer has null.
    pub secret: Option<String>,
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"url": "https://example.com/hooks", "event_types": ["booking.confirmed", "booking.cancelled"]}))]
pub struct NewWebhookEndpoint {
    /// `https`, to a public address, port 443 or 8443.
    #[validate(length(min = 1, max = 2048))]
    #[schema(min_length = 1, max_length = 2048)]
    pub url: String,
    #[validate(length(max = 2000))]
    #[schema(max_length = 2000)]
    #[serde(default)]
    pub description: Option<String>,
    /// What it is told of, from `GET /v1/webhook-event-types`; everything (`*`) when left out.
    #[validate(length(min = 1, max = 200), custom(function = known_types))]
    #[schema(min_items = 1, max_items = 200)]
    #[serde(default = "everything")]
    pub event_types: Vec<String>,
    /// Whether it is called. Setting it again forgets why we have disabled it.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// Something that webhooks can tell of.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookEventType {
    pub name: &'static str,
    pub description: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookEventTypes {
    pub items: Vec<WebhookEventType>,
}

/// List what webhooks can tell of.
#[utoipa::path(get, path = "/v1/webhook-event-types", tag = "webhooks", operation_id = "get_webhook_event_types",
    responses((status = 200, description = "All event types.", body = WebhookEventTypes)))]
async fn list_webhook_event_types(_: Access<ReadWebhooks>) -> Response {
    let items = kinds::EVENT_TYPES.iter().map(|kind| WebhookEventType {
        name: kind.name,
        description: kind.description,
    });
    let items = items.collect();
    axum::Json(WebhookEventTypes { items }).into_response()
}

/// List the endpoints, oldest first.
#[utoipa::path(get, path = "/v1/webhook-endpoints", tag = "webhooks",
    responses((status = 200, description = "One page.", body = Page<WebhookEndpoint>)))]
async fn list_webhook_endpoints(
    State(app): State<App>,
    access: Access<ReadWebhooks>,
    list: List<NoFilter>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let found = queries::list(&app.db, organization_id, list.after()?, list.fetch()).await?;
    Ok(list.page(found, |endpoint| endpoint.id))
}

/// Create an endpoint. The answer shows its secret, once.
#[utoipa::path(post, path = "/v1/webhook-endpoints", request_body = NewWebhookEndpoint, tag = "webhooks",
    responses((status = 201, description = "The endpoint and its secret.", body = WebhookEndpointWithSecret)))]
async fn create_webhook_endpoint(
    State(app): State<App>,
    access: Access<WriteWebhooks>,
    Json(new): Json<NewWebhookEndpoint>,
) -> Result<Response, Problem> {
    app.outbound.check(&new.url)?;
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let (id, now) = (work.new_id(), work.now);
    let secrets = Secrets {
        current: Secret::generate()?,
        old: None,
    };
    let kept = secrets.seal(app.keys.ring()?, organization_id, id)?;
    let made = queries::insert(
        &mut work,
        organization_id,
        id,
        &new,
        &kept,
        MOST_ENDPOINTS,
        now,
    );
    let Some(endpoint) = made.await? else {
        let detail = format!("an organization has at most {MOST_ENDPOINTS} webhook endpoints");
        return Err(Problem::conflict(&problems::INVALID_TRANSITION, detail));
    };
    work.audit(
        "webhook_endpoint.created",
        ("webhook_endpoint", id),
        None::<&()>,
        Some(&endpoint),
    )
    .await?;
    show_once(work, endpoint, &secrets.current, |body, version| {
        Answer::created(format!("/v1/webhook-endpoints/{id}"), version, body)
    })
    .await
}

/// Get an endpoint, without its secret.
#[utoipa::path(get, path = "/v1/webhook-endpoints/{endpoint_id}", tag = "webhooks",
    params(("endpoint_id" = Uuid, Path, description = "The endpoint.")),
    responses((status = 200, description = "The endpoint.", body = WebhookEndpoint)))]
async fn get_webhook_endpoint(
    State(app): State<App>,
    access: Access<ReadWebhooks>,
    Path(id): Path<Uuid>,
) -> Result<Answer, Problem> {
    let endpoint = queries::get(&app.db, access.organization_id(), id).await?;
    Answer::ok(endpoint.version, &endpoint)
}

/// Change an endpoint. What is under way goes to the new address.
#[utoipa::path(patch, path = "/v1/webhook-endpoints/{endpoint_id}", tag = "webhooks",
    params(("endpoint_id" = Uuid, Path, description = "The endpoint.")),
    request_body(content = NewWebhookEndpoint, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The endpoint as it is now.", body = WebhookEndpoint)))]
async fn update_webhook_endpoint(
    State(app): State<App>,
    access: Access<WriteWebhooks>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
    patch: MergePatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    let new: NewWebhookEndpoint = patch.apply(&current, READ_ONLY)?;
    app.outbound.check(&new.url)?;
    let now = work.now;
    let endpoint = queries::update(&mut work, organization_id, id, &new, now).await?;
    work.audit(
        "webhook_endpoint.updated",
        ("webhook_endpoint", id),
        Some(&current),
        Some(&endpoint),
    )
    .await?;
    work.commit(Answer::ok(endpoint.version, &endpoint)?).await
}

/// Remove an endpoint with its deliveries. What is under way is not sent any more.
#[utoipa::path(delete, path = "/v1/webhook-endpoints/{endpoint_id}", tag = "webhooks",
    params(("endpoint_id" = Uuid, Path, description = "The endpoint.")),
    responses((status = 204, description = "Gone.")))]
async fn delete_webhook_endpoint(
    State(app): State<App>,
    access: Access<WriteWebhooks>,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    if_match.check(current.version)?;
    queries::delete(&mut work, organization_id, id).await?;
    work.audit(
        "webhook_endpoint.deleted",
        ("webhook_endpoint", id),
        Some(&current),
        None::<&()>,
    )
    .await?;
    work.commit(Answer::no_content()).await
}

/// Give an endpoint a new secret, shown once. For 24 hours messages carry a signature by the old one, too.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{endpoint_id}/rotate-secret", tag = "webhooks",
    params(("endpoint_id" = Uuid, Path, description = "The endpoint.")),
    responses((status = 200, description = "The endpoint and its new secret.", body = WebhookEndpointWithSecret)))]
async fn rotate_webhook_secret(
    State(app): State<App>,
    access: Access<WriteWebhooks>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let current = queries::lock(&mut work, organization_id, id).await?;
    let now = work.now;
    let expires = now.checked_add(ROTATION_HOURS.hours()).unwrap_or(now);
    let before = queries::secrets(&mut work, organization_id, id).await?;
    let secrets = Secrets {
        current: Secret::generate()?,
        old: Some(before.open(app.keys.get())?.current),
    };
    let kept = secrets.seal(app.keys.ring()?, organization_id, id)?;
    let endpoint = queries::rotate(&mut work, organization_id, id, &kept, expires, now).await?;
    work.audit(
        "webhook_endpoint.secret_rotated",
        ("webhook_endpoint", id),
        Some(&current),
        Some(&endpoint),
    )
    .await?;
    show_once(work, endpoint, &secrets.current, |body, version| {
        Answer::ok(version, body)
    })
    .await
}

/// Send `webhook.test` to an endpoint, like any other message.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{endpoint_id}/test", tag = "webhooks",
    params(("endpoint_id" = Uuid, Path, description = "The endpoint.")),
    responses((status = 201, description = "It is on its way.", body = WebhookDelivery)))]
async fn test_webhook_endpoint(
    State(app): State<App>,
    access: Access<WriteWebhooks>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let endpoint = queries::lock(&mut work, organization_id, id).await?;
    check_enabled(&endpoint)?;
    work.audit(
        TESTED,
        ("webhook_endpoint", id),
        None::<&()>,
        Some(&endpoint),
    )
    .await?;
    let delivery = deliveries::queries::newest(&mut work, organization_id, id).await?;
    let location = format!("/v1/webhook-deliveries/{}", delivery.id);
    let answer = Answer {
        location: Some(location),
        ..Answer::added(&delivery)?
    };
    work.commit(answer).await
}

/// 409 where messages would not be sent.
pub fn check_enabled(endpoint: &WebhookEndpoint) -> Result<(), Problem> {
    if endpoint.enabled {
        return Ok(());
    }
    let detail = "the endpoint is disabled; enable it first";
    Err(Problem::conflict(&problems::INVALID_TRANSITION, detail))
}

/// Ends a change whose answer shows a secret; its replay does not.
async fn show_once(
    work: Work,
    endpoint: WebhookEndpoint,
    secret: &Secret,
    answer: impl Fn(&WebhookEndpointWithSecret, i64) -> Result<Answer, Problem>,
) -> Result<Response, Problem> {
    let version = endpoint.version;
    let mut shown = WebhookEndpointWithSecret {
        endpoint,
        secret: Some(secret.expose()),
    };
    let first = answer(&shown, version)?;
    shown.secret = None;
    let replay = answer(&shown, version)?;
    work.commit_with_replay(first, &replay).await
}

fn known_types(names: &[String]) -> Result<(), ValidationError> {
    if names
        .iter()
        .all(|name| name == "*" || kinds::find(name).is_some())
    {
        return Ok(());
    }
    let message = "must be `*` or event types of GET /v1/webhook-event-types";
    Err(ValidationError::new("unknown").with_message(message.into()))
}

fn everything() -> Vec<String> {
    vec!["*".to_owned()]
}

fn yes() -> bool {
    true
}
