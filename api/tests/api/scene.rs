//! A small world to try routes in: a venue, a caterer, an event, a plan and a booking.

use axum::{body::Body, http::Method};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Client, TestApp};

/// The ids of one of each.
pub struct Scene {
    city: String,
    people: People,
    catalogue: Catalogue,
    pub venue_id: Uuid,
    pub caterer_id: Uuid,
    /// A draft without bookings.
    pub event_id: Uuid,
    pub plan_id: Uuid,
    /// Held, of another event.
    pub booking_id: Uuid,
    /// The booked event, which also stands in a calendar.
    pub booked_event_id: Uuid,
    saved_query_id: Uuid,
    dead_job_id: Uuid,
    /// Of the draft.
    pub task_id: Uuid,
    pub template_key: String,
    /// Cancelled, of the booking.
    payment_id: Uuid,
    files: Files,
    runs: Runs,
    /// Of a playbook and of an agent.
    own_name: String,
    endpoint_id: Uuid,
    delivery_id: Uuid,
}

/// Who is there, beside the owner.
struct People {
    organization: Uuid,
    member: Uuid,
    api_key: Uuid,
}

/// What can be booked, and when it cannot.
struct Catalogue {
    venue: Uuid,
    caterer: Uuid,
    venue_blocked: Uuid,
    caterer_blocked: Uuid,
}

/// A draft, a plan, and another event with a held booking.
struct Events {
    event: Uuid,
    plan: Uuid,
    booked_event: Uuid,
    booking: Uuid,
}

/// Documents and messages of the booked event, and a reminder of the draft.
struct Files {
    document_id: Uuid,
    message_id: Uuid,
    template_id: Uuid,
    reminder_id: Uuid,
    /// Its owner has answered STOP.
    opted_out: String,
}

/// A run that was cancelled before anything began.
struct Runs {
    orchestration_id: Uuid,
    subtask_id: Uuid,
}

impl People {
    async fn new(owner: &Client, city: &str) -> Self {
        let me = owner.get("/v1/me").await.expect(200);
        let email = format!("{}@example.com", city.replace(' ', "."));
        let member = json!({"name": "Extra", "email": email, "role": "VIEWER"});
        Self {
            organization: id(&me["organization"]["id"]),
            member: create(owner, "/v1/members", &member).await,
            api_key: create(owner, "/v1/api-keys", &json!({"name": "Extra"})).await,
        }
    }
}

impl Catalogue {
    async fn new(owner: &Client, city: &str) -> Self {
        let venue_id = create(owner, "/v1/venues", &venue(city)).await;
        let caterer_id = create(owner, "/v1/caterers", &caterer(city)).await;
        let blocked = json!({"from_date": "2028-01-01", "to_date": "2028-01-02"});
        let venue_blocked = format!("/v1/venues/{venue_id}/blocked-dates");
        let caterer_blocked = format!("/v1/caterers/{caterer_id}/blocked-dates");
        Self {
            venue: venue_id,
            caterer: caterer_id,
            venue_blocked: create(owner, &venue_blocked, &blocked).await,
            caterer_blocked: create(owner, &caterer_blocked, &blocked).await,
        }
    }
}

impl Events {
    async fn new(owner: &Client, city: &str, venue_id: Uuid) -> Self {
        let event_id = create(owner, "/v1/events", &event()).await;
        let plan_id = create(owner, "/v1/plans", &brief(city)).await;
        let booked_event_id = create(owner, "/v1/events", &event()).await;
        let bookings = format!("/v1/events/{booked_event_id}/bookings");
        let booking = json!({"venue_id": venue_id, "number_of_guests": 40});
        Self {
            event: event_id,
            plan: plan_id,
            booked_event: booked_event_id,
            booking: create(owner, &bookings, &booking).await,
        }
    }
}

impl Files {
    async fn new(
        app: &TestApp,
        owner: &Client,
        key: &str,
        events: &Events,
        organization_id: Uuid,
    ) -> Self {
        let booked = |what: &str| format!("/v1/events/{}/{what}", events.booked_event);
        let document = json!({"kind": "BRIEF", "name": "Brief"});
        let document = owner.post(&booked("documents"), &document).await;
        let message = json!({"channel": "SLACK", "text": "hello"});
        let message = owner.post_once(key, &booked("messages"), &message).await;
        // Of the event of the other routes about it.
        let reminders = format!("/v1/events/{}/reminders", events.event);
        Self {
            document_id: id(&document.expect(202)["id"]),
            message_id: id(&message.expect(202)["items"][0]["id"]),
            template_id: create(owner, "/v1/message-templates", &template(key)).await,
            reminder_id: create(owner, &reminders, &reminder()).await,
            opted_out: opted_out(app, organization_id).await,
        }
    }
}

impl Runs {
    async fn new(owner: &Client, own_name: &str) -> Self {
        let body = json!({"description": "A dinner", "playbook": "general"});
        let run = owner.post("/v1/orchestrations", &body).await.expect(202);
        let path = format!("/v1/orchestrations/{}/cancel", run["id"].as_str().unwrap());
        owner.post(&path, &Value::Null).await.expect(200);
        let (playbook, agent) = (playbook(own_name), agent(own_name));
        owner.post("/v1/playbooks", &playbook).await.expect(201);
        owner.post("/v1/agents", &agent).await.expect(201);
        Self {
            orchestration_id: id(&run["id"]),
            subtask_id: id(&run["subtasks"][0]["id"]),
        }
    }
}

impl Scene {
    /// In the organization of `app.owner`.
    pub async fn new(app: &TestApp, name: &str) -> Self {
        Self::for_client(app, &app.owner, name).await
    }

    /// In the organization of an owner; in a city of its own, so that scenes do not meet.
    pub async fn for_client(app: &TestApp, owner: &Client, name: &str) -> Self {
        let mut bytes = [0; 6];
        getrandom::fill(&mut bytes).unwrap();
        let city = format!("{name} {bytes:?}").replace(['[', ']', ','], "");
        let key = bytes
            .iter()
            .fold("own".to_owned(), |key, byte| format!("{key}_{byte}"));
        let own_name = own_name(&city);
        let people = People::new(owner, &city).await;
        let organization_id = people.organization;
        let catalogue = Catalogue::new(owner, &city).await;
        let events = Events::new(owner, &city, catalogue.venue).await;
        let (event_id, booked_event_id) = (events.event, events.booked_event);
        let files = Files::new(app, owner, &key, &events, organization_id).await;
        let runs = Runs::new(owner, &own_name).await;
        let (endpoint_id, delivery_id) = failed_delivery(app, organization_id).await;
        calendar_entry(app, organization_id, booked_event_id).await;
        connected(app, organization_id).await;
        Self {
            saved_query_id: create(owner, "/v1/insights/queries", &saved_query(&city)).await,
            payment_id: cancelled_payment(owner, booked_event_id).await,
            dead_job_id: dead_job(app, organization_id).await,
            task_id: create(owner, &format!("/v1/events/{event_id}/tasks"), &task()).await,
            template_key: own_checklist(owner, key).await,
            city,
            own_name,
            people,
            venue_id: catalogue.venue,
            caterer_id: catalogue.caterer,
            catalogue,
            event_id,
            plan_id: events.plan,
            booking_id: events.booking,
            booked_event_id,
            files,
            runs,
            endpoint_id,
            delivery_id,
        }
    }

    /// The path of a route, with the ids of this scene.
    pub fn path(&self, route: &str) -> String {
        let blocked = if route.contains("venue") {
            self.catalogue.venue_blocked
        } else {
            self.catalogue.caterer_blocked
        };
        let event_id = if route.contains("/calendar") {
            self.booked_event_id
        } else {
            self.event_id
        };
        route
            .replace("{task_id}", &self.task_id.to_string())
            .replace("{template_key}", &self.template_key)
            .replace("{organization_id}", &self.people.organization.to_string())
            .replace("{member_id}", &self.people.member.to_string())
            .replace("{api_key_id}", &self.people.api_key.to_string())
            .replace("{venue_id}", &self.venue_id.to_string())
            .replace("{caterer_id}", &self.caterer_id.to_string())
            .replace("{blocked_date_id}", &blocked.to_string())
            .replace("{event_id}", &event_id.to_string())
            .replace("{plan_id}", &self.plan_id.to_string())
            .replace("{booking_id}", &self.booking_id.to_string())
            .replace("{query_id}", &self.saved_query_id.to_string())
            .replace("{job_id}", &self.dead_job_id.to_string())
            .replace("{payment_id}", &self.payment_id.to_string())
            .replace("{document_id}", &self.files.document_id.to_string())
            .replace("{message_id}", &self.files.message_id.to_string())
            .replace("{template_id}", &self.files.template_id.to_string())
            .replace("{reminder_id}", &self.files.reminder_id.to_string())
            .replace("{provider}", "linear")
            .replace(
                "{orchestration_id}",
                &self.runs.orchestration_id.to_string(),
            )
            .replace("{subtask_id}", &self.runs.subtask_id.to_string())
            .replace("{name}", &self.own_name)
            .replace("{agent_type}", &self.own_name)
            .replace("{endpoint_id}", &self.endpoint_id.to_string())
            .replace("{delivery_id}", &self.delivery_id.to_string())
            .replace("{number}", &self.files.opted_out)
            .replace("{rank}", "1")
            .replace("documents/content", "documents/content?name=plan.json")
    }

    /// The path of a route, with ids that nobody has.
    pub fn unknown(route: &str) -> String {
        let parts = route.split('/').map(|part| match part {
            "{rank}" => "1",
            part if part.starts_with('{') => "0190b6f0-0000-7000-8000-000000000000",
            part => part,
        });
        let path = parts.collect::<Vec<_>>().join("/");
        path.replace("documents/content", "documents/content?name=plan.json")
    }

    /// A right body for a route.
    pub fn body(&self, method: &Method, route: &str) -> Body {
        let city = &self.city;
        let json = match (method.as_str(), route) {
            ("PATCH", _) => json!({}),
            ("PUT", "/v1/playbooks/{name}") => playbook(&self.own_name),
            ("POST", "/v1/playbooks") => playbook(&format!("second-{}", self.own_name)),
            ("POST", "/v1/agents") => agent(&format!("second-{}", self.own_name)),
            ("POST", "/v1/orchestrations" | "/orchestrate") => {
                json!({"description": "A dinner", "playbook": "general"})
            }
            ("POST", "/v1/organizations") => {
                json!({"name": "New", "owner_name": "New", "owner_email": "new@example.com"})
            }
            ("POST", "/v1/members") => {
                let email = format!("second.{}@example.com", city.replace(' ', "."));
                json!({"name": "New", "email": email, "role": "VIEWER"})
            }
            ("POST", "/v1/api-keys") => json!({"name": "New"}),
            ("POST", "/v1/venues") => venue(city),
            ("POST", "/v1/caterers") => caterer(city),
            ("POST", route) if route.ends_with("/blocked-dates") => {
                json!({"from_date": "2028-02-01", "to_date": "2028-02-02"})
            }
            ("POST", "/v1/venues/import") => return Body::from(csv("venues")),
            ("POST", "/v1/caterers/import") => return Body::from(csv("caterers")),
            ("POST", "/v1/events") => event(),
            ("POST", "/v1/plans") => brief(city),
            ("POST", "/v1/insights/query") => json!({"sql": "select count(*) from events"}),
            ("POST", "/v1/insights/queries") => saved_query(&format!("second {city}")),
            ("POST", "/v1/message-templates") => template(&format!("second {city}")),
            ("POST", route) if route.ends_with("/preview") => json!({"event_id": self.event_id}),
            ("POST", route) if route.ends_with("/messages") => {
                json!({"channel": "SLACK", "text": "hello"})
            }
            ("POST", route) if route.ends_with("/reminders") => reminder(),
            ("POST", route) if route.ends_with("/documents") => {
                json!({"kind": "OTHER", "name": "Notes"})
            }
            ("POST", route) if route.ends_with("/share") => {
                json!({"email": "ada@example.com", "role": "READER"})
            }
            ("POST", route) if route.ends_with("/run") => json!({}),
            ("POST", "/v1/checklist-templates") => checklist(&format!("new_{}", self.template_key)),
            ("POST", route) if route.ends_with("/tasks") => task(),
            ("POST", route) if route.ends_with("/checklist") => json!({"template": "offsite"}),
            ("POST", route) if route.ends_with("/calendar/accept") => json!({}),
            ("POST", route) if route.ends_with("/reschedule") => {
                json!({"local_start": "2027-06-26T18:00:00"})
            }
            ("POST", "/v1/webhook-endpoints") => {
                json!({"url": "https://example.com/hooks", "event_types": ["api_key.revoked"]})
            }
            ("POST", route) if route.ends_with("/book") => json!({}),
            ("POST", route) if route.ends_with("/bookings") => {
                json!({"caterer_id": self.caterer_id, "number_of_guests": 40})
            }
            ("POST", "/v1/events/{event_id}/payments") => json!({"kind": "DEPOSIT"}),
            ("POST", route) if route.ends_with("/refund") => json!({}),
            ("POST", route) if route.ends_with("/payments") => {
                json!({"kind": "DEPOSIT", "method": "CASH", "amount": {"amount": 100, "currency": "EUR"}})
            }
            _ => return Body::empty(),
        };
        Body::from(json.to_string())
    }
}

/// How many events there are; the name has to be new.
fn saved_query(name: &str) -> Value {
    json!({"name": name, "sql": "select count(*) from events"})
}

/// Two weeks before the event, at five.
pub fn task() -> Value {
    json!({"title": "Order the cake", "due": {"days_before": 14, "time": "17:00"}})
}

/// A checklist of two items.
pub fn checklist(key: &str) -> Value {
    json!({"key": key, "name": "Own", "items": [
        {"key": "agenda", "title": "Send the agenda", "due": {"days_before": 7, "time": "12:00"}},
        {"key": "thanks", "title": "Say thanks", "due": {"days_before": -1}}
    ]})
}

/// An entry that stands in a calendar; only a job with a provider makes one.
async fn calendar_entry(app: &TestApp, organization_id: Uuid, event_id: Uuid) {
    sqlx::query(
        "INSERT INTO calendar_entries (organization_id, id, event_id, status, is_wanted, provider_event_id, created_at, updated_at)
         VALUES ($1, $2, $3, 'HELD', true, $2::text, now(), now())",
    )
    .bind(organization_id)
    .bind(app.app.new_id())
    .bind(event_id)
    .execute(&app.app.db)
    .await
    .unwrap();
}

fn template(name: &str) -> Value {
    json!({"name": name, "channel": "SLACK", "text": "{{event.title}}"})
}

fn reminder() -> Value {
    json!({"offset": "P7D", "channel": "SLACK", "text": "{{event.title}}"})
}

/// A name for a playbook or an agent, new like the city.
fn own_name(city: &str) -> String {
    let plain = |char: char| {
        if char.is_ascii_lowercase() || char.is_ascii_digit() {
            char
        } else {
            '-'
        }
    };
    let plain: String = city.to_lowercase().chars().map(plain).take(45).collect();
    format!("own-{plain}")
}

/// One step, which a person does.
pub fn playbook(name: &str) -> Value {
    json!({
        "name": name, "title": "One step",
        "steps": [{
            "id": "look", "agent_type": "people", "tool": "people.confirm", "description": "Look",
            "inputs": {"what": "${request.title}"}, "approval": true
        }]
    })
}

/// At an address that nobody has.
fn agent(agent_type: &str) -> Value {
    json!({"agent_type": agent_type, "url": "https://agent.invalid/mcp", "token": "secret"})
}

/// Nobody asks for it any more, so that all is due.
async fn cancelled_payment(owner: &Client, event_id: Uuid) -> Uuid {
    let payments = format!("/v1/events/{event_id}/payments");
    let payment_id = create(owner, &payments, &json!({"kind": "DEPOSIT"})).await;
    let path = format!("/v1/payments/{payment_id}/cancel");
    let cancelled = owner.post_once(&path, &path, &Value::Null).await;
    cancelled.expect(200);
    payment_id
}

/// The key of a checklist of the organization's own.
async fn own_checklist(owner: &Client, key: String) -> String {
    let template = checklist(&key);
    let made = owner.post("/v1/checklist-templates", &template).await;
    made.expect(201);
    key
}

/// A number that gets no text messages; only Twilio tells of one.
async fn opted_out(app: &TestApp, organization_id: Uuid) -> String {
    let number = format!("+1415{:07}", app.app.new_id().as_u128() % 10_000_000);
    sqlx::query("INSERT INTO message_opt_outs VALUES ($1, $2, now()) ON CONFLICT DO NOTHING")
        .bind(organization_id)
        .bind(&number)
        .execute(&app.app.db)
        .await
        .unwrap();
    number
}

/// A job that was given up; no request makes one.
async fn dead_job(app: &TestApp, organization_id: Uuid) -> Uuid {
    let id = app.app.new_id();
    sqlx::query("INSERT INTO jobs (organization_id, id, kind, payload, died_at) VALUES ($1, $2, 'test', '{}', now())")
        .bind(organization_id)
        .bind(id)
        .execute(&app.app.db)
        .await
        .unwrap();
    id
}

/// A connected account whose tokens nobody can open; connecting takes a provider.
async fn connected(app: &TestApp, organization_id: Uuid) {
    let id = app.app.new_id();
    sqlx::query(
        "INSERT INTO integrations (organization_id, id, provider, account_id, account_name, scopes, key_id, access_token,
             created_at, updated_at)
         VALUES ($1, $2, 'linear', 'a', 'a@example.com', '{}', 'k', '', now(), now()) ON CONFLICT DO NOTHING",
    )
    .bind(organization_id)
    .bind(id)
    .execute(&app.app.db)
    .await
    .unwrap();
}

/// An endpoint of which nothing is told, and a message that was given up; no request makes one.
async fn failed_delivery(app: &TestApp, organization_id: Uuid) -> (Uuid, Uuid) {
    let (endpoint_id, delivery_id) = (app.app.new_id(), app.app.new_id());
    sqlx::query(
        "WITH endpoint AS (
             INSERT INTO webhook_endpoints (organization_id, id, url, event_types, secret, created_at, updated_at)
             VALUES ($1, $2, 'https://example.com/hooks', '{organization.created}', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', now(), now()))
         INSERT INTO webhook_deliveries (organization_id, id, endpoint_id, entry_id, event_type, status, created_at, ended_at)
         SELECT $1, $3, $2, id, action, 'FAILED', now(), now() FROM audit_entries WHERE organization_id = $1 LIMIT 1",
    )
    .bind(organization_id)
    .bind(endpoint_id)
    .bind(delivery_id)
    .execute(&app.app.db)
    .await
    .unwrap();
    (endpoint_id, delivery_id)
}

/// A venue for 100 in some city: 1,000.00 EUR and 100.00 EUR an hour, no tax, no set-up time.
pub fn venue(city: &str) -> Value {
    json!({
        "name": format!("Hall of {city}"), "city": city, "country": "PT", "latitude": 38.72, "longitude": -9.14,
        "time_zone": "Europe/Lisbon", "capacity": 100, "has_event_room": false, "amenities": ["wifi"],
        "rating": 80, "hire_fee": {"amount": 100_000, "currency": "EUR"},
        "hourly_rate": {"amount": 10_000, "currency": "EUR"}, "tax_rate_bps": 0, "deposit_rate_bps": 2_000,
        "outside_catering_allowed": true,
        "cancellation_terms": [{"days_before": 30, "fee_bps": 0}, {"days_before": 7, "fee_bps": 5_000}]
    })
}

/// A caterer there: 30.00 EUR a head, one event a day.
pub fn caterer(city: &str) -> Value {
    json!({
        "name": format!("Kitchen of {city}"), "city": city, "country": "PT", "latitude": 38.73, "longitude": -9.15,
        "time_zone": "Europe/Lisbon", "delivery_radius_km": 20, "cuisines": ["portuguese", "italian"],
        "dietary_options": ["vegan"], "rating": 90, "price_per_guest": {"amount": 3_000, "currency": "EUR"},
        "tax_rate_bps": 0, "deposit_rate_bps": 1_000, "minimum_guests": 10, "maximum_guests": 200,
        "daily_capacity": 1, "cancellation_terms": []
    })
}

/// Saturday, 12 June 2027, six to ten in the evening in Lisbon.
pub fn event() -> Value {
    json!({
        "title": "Offsite", "event_type": "OFFSITE", "local_start": "2027-06-12T18:00:00",
        "time_zone": "Europe/Lisbon", "duration_minutes": 240, "capacity": 40
    })
}

/// A brief that the venue and the caterer of the city fit, a week later.
pub fn brief(city: &str) -> Value {
    json!({
        "event_date": "2027-06-19", "start_time": "18:00", "duration_minutes": 240, "location": {"city": city},
        "number_of_guests": 40, "cuisine_preferences": ["italian"],
        "budget_total": {"amount": 500_000, "currency": "EUR"}, "event_type": "OFFSITE"
    })
}

/// Header and first row of the demo catalogue.
fn csv(name: &str) -> String {
    let text = match name {
        "venues" => include_str!("../../../database/seed/venues.csv"),
        _ => include_str!("../../../database/seed/caterers.csv"),
    };
    text.lines().take(2).collect::<Vec<_>>().join("\n")
}

/// POSTs under a key of its own; gives the id of what was created.
pub async fn create(client: &Client, path: &str, body: &Value) -> Uuid {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    let key = Uuid::from_bytes(bytes).to_string();
    id(&client.post_once(&key, path, body).await.expect(201)["id"])
}

pub fn id(value: &Value) -> Uuid {
    value.as_str().unwrap().parse().unwrap()
}
