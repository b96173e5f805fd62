//! The providers whose accounts can be connected.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A provider with accounts of its own.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema, sqlx::Type,
)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Provider {
    Google,
    Slack,
    Linear,
}

impl Provider {
    pub const ALL: [Self; 3] = [Self::Google, Self::Slack, Self::Linear];

    /// As in addresses, settings and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Slack => "slack",
            Self::Linear => "linear",
        }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Google => "Google",
            Self::Slack => "Slack",
            Self::Linear => "Linear",
        }
    }

    /// In the metrics of requests to the outside.
    pub(super) fn upstream(self) -> &'static str {
        match self {
            Self::Google => "google_oauth",
            Self::Slack => "slack_oauth",
            Self::Linear => "linear_oauth",
        }
    }

    /// What we ask for: no more than the sidecars' tools need.
    pub(super) fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Google => &[
                "openid",
                "email",
                "https://www.googleapis.com/auth/drive.file",
                "https://www.googleapis.com/auth/calendar.events",
                "https://www.googleapis.com/auth/calendar.freebusy",
                "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
            ],
            Self::Slack => &[
                "channels:history",
                "channels:manage",
                "channels:read",
                "chat:write",
                "files:read",
                "files:write",
                "groups:history",
                "groups:read",
                "metadata.message:read",
                "reactions:write",
                "users:read",
            ],
            Self::Linear => &["read", "write"],
        }
    }

    /// Between scopes, in what we send.
    pub(super) fn separator(self) -> &'static str {
        match self {
            Self::Google => " ",
            Self::Slack | Self::Linear => ",",
        }
    }

    /// Whether it takes PKCE (RFC 7636) beside the client's secret. Slack takes it from public clients only: switching it on there
    /// makes an app one, for good.
    pub(super) fn has_pkce(self) -> bool {
        self != Self::Slack
    }

    /// What else its page has to be told, so that it gives a refresh token and lets people choose the account.
    pub(super) fn authorize_parameters(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Google => &[
                ("response_type", "code"),
                ("access_type", "offline"),
                ("prompt", "consent select_account"),
            ],
            Self::Slack => &[],
            Self::Linear => &[("response_type", "code"), ("prompt", "consent")],
        }
    }

    /// Path of the token endpoint and of the one that takes tokens back, below the interface's address.
    pub(super) fn endpoints(self) -> [&'static [&'static str]; 2] {
        match self {
            Self::Google => [&["token"], &["revoke"]],
            Self::Slack => [&["oauth.v2.access"], &["auth.revoke"]],
            Self::Linear => [&["oauth", "token"], &["oauth", "revoke"]],
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}
