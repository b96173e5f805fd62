//! ALL METHODS of the Web API that the sandbox knows.

use serde_json::Value;

use super::{
    call::{Call, Refusal},
    chat, conversations, files, history, oauth, reactions, schedule, users,
};

/// One method.
pub(super) struct Method {
    pub name: &'static str,
    /// What a token needs in any case; empty for none.
    pub scope: &'static str,
    /// Whether it reads a JSON body.
    pub takes_json: bool,
    pub run: fn(&mut Call) -> Result<Value, Refusal>,
}

const fn form(
    name: &'static str,
    scope: &'static str,
    run: fn(&mut Call) -> Result<Value, Refusal>,
) -> Method {
    Method {
        name,
        scope,
        takes_json: false,
        run,
    }
}

const fn json(
    name: &'static str,
    scope: &'static str,
    run: fn(&mut Call) -> Result<Value, Refusal>,
) -> Method {
    Method {
        name,
        scope,
        takes_json: true,
        run,
    }
}

pub(super) const METHODS: [Method; 31] = [
    form("auth.revoke", "", oauth::revoke),
    json("auth.test", "", users::test),
    json("chat.delete", "chat:write", chat::delete),
    json(
        "chat.deleteScheduledMessage",
        "chat:write",
        schedule::delete,
    ),
    form("chat.getPermalink", "", chat::permalink),
    json("chat.postMessage", "chat:write", chat::post),
    json("chat.scheduleMessage", "chat:write", schedule::schedule),
    json("chat.scheduledMessages.list", "", schedule::list),
    json("chat.update", "chat:write", chat::update),
    json(
        "conversations.archive",
        "channels:manage",
        conversations::archive,
    ),
    json("conversations.create", "", conversations::create),
    form("conversations.history", "", history::history),
    form("conversations.info", "", conversations::info),
    json(
        "conversations.invite",
        "channels:manage",
        conversations::invite,
    ),
    json("conversations.join", "channels:join", conversations::join),
    form("conversations.list", "", conversations::list),
    form("conversations.members", "", conversations::members),
    form("conversations.replies", "", history::replies),
    json(
        "conversations.setTopic",
        "channels:manage",
        conversations::set_topic,
    ),
    json(
        "files.completeUploadExternal",
        "files:write",
        files::complete,
    ),
    form(
        "files.getUploadURLExternal",
        "files:write",
        files::upload_url,
    ),
    form("files.info", "files:read", files::info),
    form("oauth.v2.access", "", oauth::access),
    json("reactions.add", "reactions:write", reactions::add),
    json("reactions.remove", "reactions:write", reactions::remove),
    form("team.info", "team:read", users::team),
    form("users.conversations", "", conversations::of_user),
    form("users.info", "users:read", users::info),
    form("users.list", "users:read", users::list),
    form("users.lookupByEmail", "users:read.email", users::by_email),
    form("api.test", "", |call| {
        Ok(serde_json::json!({ "args": call.arguments.0 }))
    }),
];
