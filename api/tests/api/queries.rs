//! One round trip for each read: statements are counted, not guessed.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use sqlx::PgPool;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::{scene::Scene, support::TestApp};

/// Counts the statements that sqlx reports.
struct Counter(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Counter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[sqlx::test]
async fn every_read_is_one_query(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let scene = Scene::new(&app, "count").await;
    let count = Arc::new(AtomicUsize::new(0));
    let subscriber = tracing_subscriber::registry().with(Counter(count.clone()));
    let _guard = tracing::subscriber::set_default(subscriber);
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
        ("/v1/bookings", 1),
        ("/v1/bookings/{booking_id}", 1),
    ];
    for (route, queries) in routes {
        app.owner.get("/v1/me").await.expect(200); // the key is known from here on
        count.store(0, Ordering::Relaxed);
        app.owner.get(&scene.path(route)).await.expect(200);
        assert_eq!(count.load(Ordering::Relaxed), queries, "{route}");
    }
}
