//! The workspace as it is on the first day.

use super::{
    BOT_TOKEN, EXPIRED_TOKEN, READER_TOKEN,
    things::{Channel, Grant, State, User},
};

pub(super) const TEAM_ID: &str = "T0SANDBOX01";
pub(super) const TEAM_NAME: &str = "Event Planner Sandbox";
pub(super) const TEAM_DOMAIN: &str = "sandbox";
pub(super) const APP_ID: &str = "A0SANDBOX01";
pub(super) const BOT_ID: &str = "B0SANDBOX01";
pub(super) const BOT_USER: &str = "U0SANDBOX01";

/// What the bot's token holds.
pub(super) const SCOPES: [&str; 16] = [
    "channels:history",
    "channels:join",
    "channels:manage",
    "channels:read",
    "chat:write",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "groups:write",
    "metadata.message:read",
    "reactions:read",
    "reactions:write",
    "users:read",
    "users:read.email",
    "team:read",
];

/// 1 March 2026, 08:00 UTC.
const FOUNDED: i64 = 1_772_352_000;

impl Default for State {
    fn default() -> Self {
        let grant = |token: &str, scopes: &[&str], expires_at| Grant {
            token: token.to_owned(),
            user: BOT_USER.to_owned(),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            expires_at,
            refresh_token: None,
            is_revoked: false,
        };
        Self {
            users: users(),
            channels: channels(),
            messages: Vec::new(),
            scheduled: Vec::new(),
            files: Vec::new(),
            grants: vec![
                grant(BOT_TOKEN, &SCOPES, None),
                grant(READER_TOKEN, &["channels:read", "users:read"], None),
                grant(EXPIRED_TOKEN, &SCOPES, Some(FOUNDED)),
            ],
            codes: Vec::new(),
            latest: 0,
            made: 0,
        }
    }
}

fn users() -> Vec<User> {
    let user = |number: u8, name: &str, real_name: &str| User {
        id: format!("U0SANDBOX{number:02}"),
        name: name.to_owned(),
        real_name: real_name.to_owned(),
        email: Some(format!("{name}@example.com")),
        is_bot: false,
        deleted: false,
        tz: "Europe/Berlin".to_owned(),
    };
    vec![
        User {
            email: None,
            is_bot: true,
            ..user(1, "planner", "Event Planner")
        },
        user(2, "ada", "Ada Lovelace"),
        user(3, "grace", "Grace Hopper"),
        user(4, "katherine", "Katherine Johnson"),
        User {
            deleted: true,
            ..user(5, "formerly", "Formerly Here")
        },
    ]
}

fn channels() -> Vec<Channel> {
    let channel = |number: u8, name: &str, topic: &str, members: &[u8]| Channel {
        id: format!("C0SANDBOX{number:02}"),
        name: name.to_owned(),
        is_general: false,
        is_private: false,
        is_archived: false,
        created: FOUNDED,
        creator: "U0SANDBOX02".to_owned(),
        topic: topic.to_owned(),
        purpose: String::new(),
        members: members
            .iter()
            .map(|number| format!("U0SANDBOX{number:02}"))
            .collect(),
    };
    vec![
        Channel {
            is_general: true,
            ..channel(1, "general", "All of us", &[1, 2, 3, 4])
        },
        channel(2, "events", "What is coming up", &[1, 2, 3]),
        channel(3, "planning", "", &[1, 2]),
        channel(4, "random", "Not everything is work", &[2, 3, 4]),
        Channel {
            is_archived: true,
            ..channel(5, "summer-party-2025", "Done", &[1, 2, 3])
        },
        Channel {
            is_private: true,
            ..channel(6, "board", "Budgets", &[2, 3])
        },
        Channel {
            is_private: true,
            ..channel(7, "event-leads", "", &[1, 2])
        },
    ]
}
