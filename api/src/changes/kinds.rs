//! Every kind of change that members and webhooks are told of. A slice that audits something new adds a line here, or to
//! `PRIVATE`; what is in neither is told to nobody, and a test says so.

use crate::access::{Person, Role, Scope};

/// What became of the thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Change {
    Created,
    Updated,
    Deleted,
}

/// A kind of change, as the audit trail calls it.
#[derive(Debug)]
pub struct EventType {
    /// E.g. `event.published`.
    pub name: &'static str,
    /// What it happened to: the subject of the audit entry.
    /// None for what concerns many things, each of which is in the feed by itself.
    pub thing: Option<&'static str>,
    /// Who may be told.
    role: Role,
    scope: Scope,
    /// When it happens.
    pub description: &'static str,
}

/// All of them.
pub const EVENT_TYPES: &[EventType] = &[
    catalogue("venue.created", "venue", "A venue was added."),
    catalogue("venue.updated", "venue", "A venue was changed."),
    catalogue("venue.deleted", "venue", "A venue was removed."),
    EventType {
        thing: None,
        ..catalogue(
            "venue.imported",
            "",
            "Venues were imported; the message has their numbers, the change feed each of them.",
        )
    },
    catalogue("caterer.created", "caterer", "A caterer was added."),
    catalogue("caterer.updated", "caterer", "A caterer was changed."),
    catalogue("caterer.deleted", "caterer", "A caterer was removed."),
    EventType {
        thing: None,
        ..catalogue(
            "caterer.imported",
            "",
            "Caterers were imported; the message has their numbers, the change feed each of them.",
        )
    },
    catalogue(
        "blocked_date.created",
        "blocked_date",
        "A venue or caterer is not available on some days.",
    ),
    catalogue(
        "blocked_date.deleted",
        "blocked_date",
        "It is available again.",
    ),
    events("event.created", "event", "An event was created."),
    events("event.updated", "event", "An event was changed."),
    events("event.deleted", "event", "An event was deleted."),
    events(
        "event.drafted",
        "event",
        "A planned event became a draft again.",
    ),
    events("event.planned", "event", "A draft became a planned event."),
    events("event.published", "event", "An event was published."),
    events("event.completed", "event", "An event took place."),
    events("event.cancelled", "event", "An event was cancelled."),
    events("plan.created", "plan", "A brief was answered with options."),
    events(
        "booking.held",
        "booking",
        "A venue or caterer is held for an event.",
    ),
    events("booking.confirmed", "booking", "A booking was confirmed."),
    events("booking.cancelled", "booking", "A booking was cancelled."),
    events(
        "booking.expired",
        "booking",
        "A hold was not confirmed in time.",
    ),
    events(
        "booking.paid",
        "booking",
        "A payment or refund for a booking was recorded.",
    ),
    insights("saved_query.created", "saved_query", "A query was saved."),
    insights(
        "saved_query.updated",
        "saved_query",
        "A saved query was changed.",
    ),
    insights(
        "saved_query.deleted",
        "saved_query",
        "A saved query was removed.",
    ),
    organization(
        "organization.created",
        "organization",
        "The organization was founded.",
    ),
    organization(
        "organization.updated",
        "organization",
        "The organization was changed.",
    ),
    organization("member.created", "member", "Somebody became a member."),
    organization("member.updated", "member", "A member was changed."),
    organization("member.deleted", "member", "A member was removed."),
    owners("api_key.created", "api_key", "An API key was made."),
    owners("api_key.revoked", "api_key", "An API key was revoked."),
];

/// What only the audit trail knows.
pub const PRIVATE: &[&str] = &[
    "dead_letter.discarded",
    "dead_letter.replayed",
    "insights.queried",
    "webhook_delivery.replayed",
    "webhook_endpoint.created",
    "webhook_endpoint.deleted",
    "webhook_endpoint.disabled",
    "webhook_endpoint.recovered",
    "webhook_endpoint.secret_rotated",
    "webhook_endpoint.tested",
    "webhook_endpoint.updated",
];

/// The kind of this name, if it is told.
pub fn find(name: &str) -> Option<&'static EventType> {
    EVENT_TYPES.iter().find(|kind| kind.name == name)
}

/// What this person may be told.
pub fn readable_by(person: &Person) -> impl Iterator<Item = &'static EventType> {
    let may = |kind: &&EventType| person.role >= kind.role && person.scopes.contains(&kind.scope);
    EVENT_TYPES.iter().filter(may)
}

impl EventType {
    /// What became of the thing, by the verb.
    pub fn change(&self) -> Change {
        match self.name.rsplit('.').next() {
            Some("created" | "held") => Change::Created,
            Some("deleted") => Change::Deleted,
            _ => Change::Updated,
        }
    }
}

const fn catalogue(
    name: &'static str,
    thing: &'static str,
    description: &'static str,
) -> EventType {
    told(Role::Viewer, Scope::CatalogueRead, name, thing, description)
}

const fn events(name: &'static str, thing: &'static str, description: &'static str) -> EventType {
    told(Role::Viewer, Scope::EventsRead, name, thing, description)
}

const fn insights(name: &'static str, thing: &'static str, description: &'static str) -> EventType {
    told(Role::Viewer, Scope::InsightsRead, name, thing, description)
}

const fn organization(
    name: &'static str,
    thing: &'static str,
    description: &'static str,
) -> EventType {
    told(
        Role::Viewer,
        Scope::OrganizationRead,
        name,
        thing,
        description,
    )
}

const fn owners(name: &'static str, thing: &'static str, description: &'static str) -> EventType {
    told(
        Role::Owner,
        Scope::OrganizationWrite,
        name,
        thing,
        description,
    )
}

const fn told(
    role: Role,
    scope: Scope,
    name: &'static str,
    thing: &'static str,
    description: &'static str,
) -> EventType {
    EventType {
        name,
        thing: Some(thing),
        role,
        scope,
        description,
    }
}
