//! One call of a method: who calls, with which arguments, and Slack's envelope around the answer.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State as Extract},
    http::{HeaderMap, Method as HttpMethod, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    arguments::Arguments,
    methods::{METHODS, Method},
    seed::BOT_USER,
    things::{Channel, Grant, State},
};
use crate::world::World;

/// `ok: false`.
#[derive(Debug)]
pub(super) struct Refusal {
    error: &'static str,
    more: Map<String, Value>,
}

/// What a method sees and changes.
pub(super) struct Call<'a> {
    pub state: &'a mut State,
    pub grant: Grant,
    pub arguments: Arguments,
    pub now: Timestamp,
    /// Where the sandbox is reached.
    pub base_url: &'a str,
}

impl Refusal {
    pub fn new(error: &'static str) -> Self {
        Self {
            error,
            more: Map::new(),
        }
    }

    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    fn body(self) -> Value {
        let mut body = self.more;
        body.insert("ok".to_owned(), json!(false));
        body.insert("error".to_owned(), json!(self.error));
        Value::Object(body)
    }
}

impl Call<'_> {
    /// # Errors
    /// `missing_scope`, with the scope that is needed and those that are there.
    pub fn need(&self, scope: &str) -> Result<(), Refusal> {
        if self.grant.scopes.iter().any(|held| held == scope) {
            return Ok(());
        }
        Err(Refusal::new("missing_scope")
            .with("needed", json!(scope))
            .with("provided", json!(self.grant.scopes.join(","))))
    }

    /// The channel that an argument names by id or, where Slack takes that, by name. A private one without the caller
    /// does not exist for them.
    pub fn channel(&self, argument: &str) -> Result<Channel, Refusal> {
        let wanted = self.arguments.required(argument)?;
        self.find_channel(&wanted)
            .ok_or_else(|| Refusal::new("channel_not_found"))
    }

    pub fn find_channel(&self, wanted: &str) -> Option<Channel> {
        let name = wanted.trim_start_matches('#');
        let found = self
            .state
            .channels
            .iter()
            .find(|channel| channel.id == wanted || channel.name == name)?;
        let is_visible = !found.is_private || found.members.contains(&self.grant.user);
        is_visible.then(|| found.clone())
    }

    /// A channel into which the caller may write.
    pub fn channel_to_write(&self, argument: &str) -> Result<Channel, Refusal> {
        let channel = self.channel(argument)?;
        if channel.is_archived {
            return Err(Refusal::new("is_archived"));
        }
        if !channel.members.contains(&self.grant.user) {
            return Err(Refusal::new("not_in_channel"));
        }
        Ok(channel)
    }
}

/// Every route below `/api`.
pub(super) async fn answer(
    Extract(world): Extract<Arc<World>>,
    Path(name): Path<String>,
    http: HttpMethod,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if http != HttpMethod::GET && http != HttpMethod::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let Some(method) = METHODS.iter().find(|method| method.name == name) else {
        let refusal = Refusal::new("unknown_method").with("req_method", json!(name));
        return Json(refusal.body()).into_response();
    };
    let (arguments, warning) = match read(method, &uri, &headers, &body) {
        Ok(read) => read,
        Err(refusal) => return Json(refusal.body()).into_response(),
    };
    let scopes;
    let mut answer = {
        let mut things = world.things();
        let now = world.now();
        things.slack.post_due(now);
        let run = begin(
            method,
            &mut things.slack,
            &headers,
            arguments,
            now,
            &world.base_url,
        );
        scopes = run
            .as_ref()
            .map_or_else(|_| String::new(), |call| call.grant.scopes.join(","));
        let done = run.and_then(|mut call| {
            if !method.scope.is_empty() {
                call.need(method.scope)?;
            }
            (method.run)(&mut call)
        });
        done.map_or_else(Refusal::body, ok)
    };
    if let Some(warning) = warning {
        answer["warning"] = json!(warning);
        answer["response_metadata"]["warnings"] = json!([warning]);
    }
    if let Some(post_at) = answer.get("post_at").and_then(Value::as_i64) {
        post_in_time(&world, post_at);
    }
    let headers = [
        ("x-oauth-scopes", scopes),
        ("x-accepted-oauth-scopes", method.scope.to_owned()),
    ];
    (headers, Json(answer)).into_response()
}

fn ok(mut answer: Value) -> Value {
    answer["ok"] = json!(true);
    answer
}

/// The caller and what they ask; methods of OAuth bring credentials of their own.
fn begin<'a>(
    method: &Method,
    state: &'a mut State,
    headers: &HeaderMap,
    mut arguments: Arguments,
    now: Timestamp,
    base_url: &'a str,
) -> Result<Call<'a>, Refusal> {
    let grant = if method.name == "oauth.v2.access" {
        if let Some((id, secret)) = basic(headers) {
            arguments.0.insert("client_id".to_owned(), json!(id));
            arguments
                .0
                .insert("client_secret".to_owned(), json!(secret));
        }
        Grant {
            token: String::new(),
            user: BOT_USER.to_owned(),
            scopes: Vec::new(),
            expires_at: None,
            refresh_token: None,
            is_revoked: false,
        }
    } else {
        authenticate(state, headers, &arguments, now)?
    };
    Ok(Call {
        state,
        grant,
        arguments,
        now,
        base_url,
    })
}

fn authenticate(
    state: &State,
    headers: &HeaderMap,
    arguments: &Arguments,
    now: Timestamp,
) -> Result<Grant, Refusal> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .map(ToOwned::to_owned);
    let token = bearer
        .or_else(|| arguments.text("token"))
        .ok_or_else(|| Refusal::new("not_authed"))?;
    let grant = state.grants.iter().find(|grant| grant.token == token);
    let grant = grant.ok_or_else(|| Refusal::new("invalid_auth"))?;
    if grant.is_revoked {
        return Err(Refusal::new("token_revoked"));
    }
    if grant.expires_at.is_some_and(|at| at <= now.as_second()) {
        return Err(Refusal::new("token_expired"));
    }
    Ok(grant.clone())
}

/// User and password of HTTP's Basic scheme (RFC 7617).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let decoded = BASE64.decode(value.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

type Read = (Arguments, Option<&'static str>);

/// Query and body together. JSON is taken by the methods that document it; others do not look at it.
fn read(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Read, Refusal> {
    let mut all = form(uri.query().unwrap_or_default().as_bytes());
    if body.is_empty() {
        return Ok((Arguments(all), None));
    }
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = kind.ok_or_else(|| Refusal::new("missing_post_type"))?;
    let essence = kind.split(';').next().unwrap_or_default().trim();
    match essence {
        "application/x-www-form-urlencoded" => {
            all.extend(form(body));
            Ok((Arguments(all), None))
        }
        "application/json" => {
            let read: Value =
                serde_json::from_slice(body).map_err(|_| Refusal::new("invalid_json"))?;
            let Value::Object(read) = read else {
                return Err(Refusal::new("json_not_object"));
            };
            if method.takes_json {
                // A token in a JSON body is not looked at.
                all.extend(read.into_iter().filter(|(name, _)| name != "token"));
            }
            let warning =
                (!kind.to_ascii_lowercase().contains("charset")).then_some("missing_charset");
            Ok((Arguments(all), warning))
        }
        _ => Err(Refusal::new("invalid_post_type")),
    }
}

fn form(text: &[u8]) -> Map<String, Value> {
    form_urlencoded::parse(text)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect()
}

/// A scheduled message appears on the page when its time has come, also if nobody asks.
fn post_in_time(world: &Arc<World>, post_at: i64) {
    let world = Arc::clone(world);
    let wait = u64::try_from(post_at - world.now().as_second()).unwrap_or_default();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(wait)).await;
        world.things().slack.post_due(world.now());
        world.journal.tell();
    });
}
