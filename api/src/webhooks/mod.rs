//! Webhooks out, as Standard Webhooks 1.0.0 has them: endpoints, who is told of a change, and what became of each delivery.

use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::{changes::kinds, state::App};

mod deliver;
mod deliveries;
mod endpoints;
mod message;
mod queries;
mod rotate;
mod secret;

pub use deliver::deliver;
pub use deliveries::queries::forget as forget_deliveries;
pub use queries::count_disabled;
pub use rotate::seal_anew;

/// What a test sends.
const TEST: &str = "webhook.test";
/// The audit action of somebody who asks for one.
const TESTED: &str = "webhook_endpoint.tested";

pub fn routes() -> OpenApiRouter<App> {
    endpoints::routes().merge(deliveries::routes())
}

/// Who is told of a change, besides the audit trail.
#[derive(Debug, Clone, Copy)]
pub struct Audience {
    pub is_in_feed: bool,
    /// What webhooks call it; none where they are not told.
    pub event_type: Option<&'static str>,
    /// Only this endpoint is told.
    pub endpoint_id: Option<Uuid>,
}

impl Audience {
    pub fn of(action: &str, subject_id: Uuid) -> Self {
        if action == TESTED {
            return Self {
                is_in_feed: false,
                event_type: Some(TEST),
                endpoint_id: Some(subject_id),
            };
        }
        let kind = kinds::find(action);
        Self {
            is_in_feed: kind.is_some_and(|kind| kind.thing.is_some()),
            event_type: kind.map(|kind| kind.name),
            endpoint_id: None,
        }
    }
}
