//! Roles, scopes, and the permissions that handlers name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a member may do; each role includes the ones before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema, sqlx::Type,
)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Plans, books and keeps the catalogue.
    Planner,
    /// Also manages members, keys and the organization.
    Owner,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "VIEWER",
            Self::Planner => "PLANNER",
            Self::Owner => "OWNER",
        })
    }
}

/// What an API key may be used for, within its owner's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum Scope {
    #[serde(rename = "catalogue:read")]
    CatalogueRead,
    #[serde(rename = "catalogue:write")]
    CatalogueWrite,
    #[serde(rename = "events:read")]
    EventsRead,
    #[serde(rename = "events:write")]
    EventsWrite,
    /// Commits the organization's money.
    #[serde(rename = "bookings:write")]
    BookingsWrite,
    /// Ask questions in SQL; sees what all the reporting views show.
    #[serde(rename = "insights:read")]
    InsightsRead,
    #[serde(rename = "insights:write")]
    InsightsWrite,
    /// See which accounts are connected.
    #[serde(rename = "integrations:read")]
    IntegrationsRead,
    /// Connect and disconnect accounts.
    #[serde(rename = "integrations:write")]
    IntegrationsWrite,
    #[serde(rename = "organization:read")]
    OrganizationRead,
    #[serde(rename = "organization:write")]
    OrganizationWrite,
    #[serde(rename = "webhooks:read")]
    WebhooksRead,
    #[serde(rename = "webhooks:write")]
    WebhooksWrite,
}

impl Scope {
    pub const ALL: [Self; 13] = [
        Self::CatalogueRead,
        Self::CatalogueWrite,
        Self::EventsRead,
        Self::EventsWrite,
        Self::BookingsWrite,
        Self::InsightsRead,
        Self::InsightsWrite,
        Self::IntegrationsRead,
        Self::IntegrationsWrite,
        Self::OrganizationRead,
        Self::OrganizationWrite,
        Self::WebhooksRead,
        Self::WebhooksWrite,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::CatalogueRead => "catalogue:read",
            Self::CatalogueWrite => "catalogue:write",
            Self::EventsRead => "events:read",
            Self::EventsWrite => "events:write",
            Self::BookingsWrite => "bookings:write",
            Self::InsightsRead => "insights:read",
            Self::InsightsWrite => "insights:write",
            Self::IntegrationsRead => "integrations:read",
            Self::IntegrationsWrite => "integrations:write",
            Self::OrganizationRead => "organization:read",
            Self::OrganizationWrite => "organization:write",
            Self::WebhooksRead => "webhooks:read",
            Self::WebhooksWrite => "webhooks:write",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or(())
    }
}

/// A right that a handler can ask for: a role at least, and a scope.
pub trait Permission {
    const ROLE: Role;
    /// None where any key will do.
    const SCOPE: Option<Scope>;
}

/// Look at oneself.
pub struct SeeSelf;
/// Read venues and caterers.
pub struct ReadCatalogue;
/// Change venues and caterers.
pub struct WriteCatalogue;
/// Read events, plans and bookings.
pub struct ReadEvents;
/// Plan, and change events.
pub struct WriteEvents;
/// Hold, confirm and cancel bookings; record payments.
pub struct WriteBookings;
/// Ask questions of the reporting views.
pub struct ReadInsights;
/// Save queries and change them.
pub struct WriteInsights;
/// See which accounts are connected.
pub struct ReadIntegrations;
/// Connect the organization's accounts at providers, and disconnect them.
pub struct WriteIntegrations;
/// Read the organization, its members and who one is.
pub struct ReadOrganization;
/// Manage members and keys, rename the organization, read the audit trail.
pub struct ManageOrganization;
/// See webhook endpoints and what was delivered to them.
pub struct ReadWebhooks;
/// Say what is sent to which address outside.
pub struct WriteWebhooks;
/// Read the change feed, which shows what the caller's scopes let them read.
pub struct ReadChanges;

impl Permission for SeeSelf {
    const ROLE: Role = Role::Viewer;
    const SCOPE: Option<Scope> = None;
}
impl Permission for ReadCatalogue {
    const ROLE: Role = Role::Viewer;
    const SCOPE: Option<Scope> = Some(Scope::CatalogueRead);
}
impl Permission for WriteCatalogue {
    const ROLE: Role = Role::Planner;
    const SCOPE: Option<Scope> = Some(Scope::CatalogueWrite);
}
impl Permission for ReadEvents {
    const ROLE: Role = Role::Viewer;
    const SCOPE: Option<Scope> = Some(Scope::EventsRead);
}
impl Permission for WriteEvents {
    const ROLE: Role = Role::Planner;
    const SCOPE: Option<Scope> = Some(Scope::EventsWrite);
}
impl Permission for WriteBookings {
    const ROLE: Role = Role::Planner;
    const SCOPE: Option<Scope> = Some(Scope::BookingsWrite);
}
impl Permission for ReadInsights {
    const ROLE: Role = Role::Viewer;
    const SCOPE: Option<Scope> = Some(Scope::InsightsRead);
}
impl Permission for WriteInsights {
    const ROLE: Role = Role::Planner;
    const SCOPE: Option<Scope> = Some(Scope::InsightsWrite);
}
impl Permission for ReadIntegrations {
    const ROLE: Role = Role::Viewer;
    const SCOPE: Option<Scope> = Some(Scope::IntegrationsRead);
}
impl Permission for WriteIntegrations {
    const ROLE: Role = Role::Owner;
    const SCOPE: Option<Scope> = Some(Scope::IntegrationsWrite);
}
impl Permission for ReadOrganization {
    const ROLE: Role = Role::Viewer;
    const SCOPE: Option<Scope> = Some(Scope::OrganizationRead);
}
impl Permission for ManageOrganization {
    const ROLE: Role = Role::Owner;
    const SCOPE: Option<Scope> = Some(Scope::OrganizationWrite);
}
impl Permission for ReadWebhooks {
    const ROLE: Role = Role::Owner;
    const SCOPE: Option<Scope> = Some(Scope::WebhooksRead);
}
impl Permission for WriteWebhooks {
    const ROLE: Role = Role::Owner;
    const SCOPE: Option<Scope> = Some(Scope::WebhooksWrite);
}
impl Permission for ReadChanges {
    const ROLE: Role = Role::Viewer;
    const SCOPE: Option<Scope> = None;
}
