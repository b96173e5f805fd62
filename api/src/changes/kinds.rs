//! Every kind of change that members and webhooks are told of. A slice that audits something new adds a line here, or to
//! `PRIVATE`; what is in neither is told to nobody, and a test says so.

use crate::access::{Person, Role, Scope};

/// What became of the thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = ChangeAction)]
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

mod event_types;
pub use event_types::EVENT_TYPES;

/// What only the audit trail knows.
pub const PRIVATE: &[&str] = &[
    "dead_letter.discarded",
    "dead_letter.replayed",
    "document.share_requested",
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
