//! One round trip for each read: statements are counted, not guessed.

use std::{cell::Cell, sync::Once};

use sqlx::PgPool;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::{scene::Scene, support::TestApp};

thread_local! {
    /// The statements of this thread; a test runs on one.
    static STATEMENTS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the statements that sqlx reports.
struct Counter;

/// One subscriber for the whole process: tests that run beside each other do not disturb it.
static SUBSCRIBE: Once = Once::new();

impl<S: Subscriber> Layer<S> for Counter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            STATEMENTS.set(STATEMENTS.get() + 1);
        }
    }
}

#[sqlx::test]
async fn every_read_is_one_query(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "count").await;
    SUBSCRIBE.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Counter))
            .unwrap();
    });
    let routes = [
        ("/v1/members", 1),
        ("/v1/api-keys", 1),
        ("/v1/audit", 1),
        ("/v1/venues", 1),
        ("/v1/venues?city=x&amenity=wifi&amenity=bar&q=hall", 1),
        ("/v1/venues/{venue_id}", 1),
        ("/v1/caterers", 1),
        ("/v1/caterers/{caterer_id}", 1),
        ("/v1/events", 1),
        ("/v1/events/{event_id}", 1),
        ("/v1/plans", 1),
        ("/v1/plans/{plan_id}", 1),
        ("/v1/insights/queries", 1),
        ("/v1/dead-letters", 1),
        ("/v1/bookings", 1),
        ("/v1/webhook-endpoints", 1),
        ("/v1/webhook-endpoints/{endpoint_id}", 1),
        ("/v1/changes", 1),
        ("/v1/bookings/{booking_id}", 1),
        ("/v1/tasks", 1),
        ("/v1/tasks?status=OPEN&due_before=2028-01-01T00:00:00Z", 1),
        ("/v1/tasks/{task_id}", 1),
        ("/v1/checklist-templates", 1),
        ("/v1/checklist-templates/{template_key}", 1),
        ("/v1/events/{event_id}/calendar", 1),
        ("/v1/payments", 1),
        ("/v1/payments/{payment_id}", 1),
        ("/v1/documents", 1),
        ("/v1/documents/{document_id}", 1),
        ("/v1/messages", 1),
        ("/v1/messages/{message_id}", 1),
        ("/v1/message-templates/{template_id}", 1),
    ];
    for (route, queries) in routes {
        let mut counted = Vec::new();
        // The key is known for less than a second: on a busy machine it may be looked up in between.
        while counted.last() != Some(&queries) && counted.len() < 3 {
            app.owner.get("/v1/me").await.expect(200);
            STATEMENTS.set(0);
            app.owner.get(&scene.path(route)).await.expect(200);
            counted.push(STATEMENTS.get());
        }
        assert_eq!(counted.last(), Some(&queries), "{route}: {counted:?}");
    }
}
