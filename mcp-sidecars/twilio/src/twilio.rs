//! The way to Twilio: credentials, requests, and what its refusals mean.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use jiff::Timestamp;
use mcp_kit::{Call, Caller, Metrics, Outgoing, Policy, Provider, Reply, Road, ToolError};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    caps::Caps,
    message::Message,
    once::Memory,
    settings::{Credentials, Settings},
    verify::Verification,
};

/// How long the check of `/ready` may take.
const READY_TIMEOUT: Duration = Duration::from_secs(2);
/// What Twilio says of itself stays short.
const LONGEST_MESSAGE: usize = 300;
const INVALID_TO: [u64; 5] = [21211, 21214, 21217, 21265, 21614];
const OPTED_OUT: u64 = 21610;

/// Everything that the tools share.
pub(crate) struct Twilio {
    pub(crate) settings: Settings,
    credentials: Option<Credentials>,
    api: Provider,
    pub(crate) lookups: Provider,
    pub(crate) verify: Provider,
    pub(crate) caps: Caps,
    pub(crate) messages: Memory<Message>,
    pub(crate) verifications: Memory<Verification>,
}

impl Twilio {
    pub(crate) fn new(settings: &Settings, metrics: &Metrics) -> anyhow::Result<Self> {
        settings.check()?;
        let policy = Policy {
            explain: Some(explain),
            ..Policy::default()
        };
        let provider = |name, url: &str| Provider::new(name, url, policy, metrics);
        Ok(Self {
            credentials: settings.credentials()?,
            api: provider("twilio", &settings.twilio_base_url)?,
            lookups: provider("twilio_lookups", &settings.twilio_lookups_base_url)?,
            verify: provider("twilio_verify", &settings.twilio_verify_base_url)?,
            caps: Caps::new(
                settings.max_messages_per_minute,
                settings.max_messages_per_day,
            ),
            messages: Memory::new(settings.settle_time),
            verifications: Memory::new(settings.settle_time),
            settings: settings.clone(),
        })
    }

    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        let password = self.credentials.as_ref().map(|it| it.password.clone());
        password.into_iter().collect()
    }

    /// Whether Twilio is there and takes our credentials. It asks for a message, because a standard API key may not
    /// ask for the account.
    pub(crate) async fn ready(self: Arc<Self>) -> anyhow::Result<()> {
        ensure!(
            self.credentials.is_some(),
            "set TWILIO_ACCOUNT_SID and TWILIO_API_KEY_SID with TWILIO_API_KEY_SECRET, or TWILIO_AUTH_TOKEN"
        );
        let mut call = Call::new(Arc::new(Caller::local()), Road::Http, "ready");
        call.deadline = tokio::time::Instant::now() + READY_TIMEOUT;
        let answered = async {
            let access = self.access(&call)?;
            let request = access.messages(Method::GET, None).query("PageSize", "1");
            access.ask::<Value>(&call, &self.api, request).await
        };
        answered
            .await
            .map(drop)
            .map_err(|error| anyhow::anyhow!("{}", error.message))
    }

    /// With which account this call acts.
    pub(crate) fn access(&self, call: &Call) -> Result<Access, ToolError> {
        if let Some(connected) = &call.account {
            let account = connected.id.to_string();
            if !is_sid(&account, "AC") {
                return Err(ToolError::refused(
                    "the connected account must be a Twilio account SID (AC…)",
                ));
            }
            let token = connected.token.expose_secret();
            let (user, password) = match token.split_once(':') {
                Some((key, secret)) => (key.to_owned(), secret.into()),
                None => (account.clone(), connected.token.clone()),
            };
            return Ok(Access {
                account,
                user,
                password,
                is_connected: true,
            });
        }
        let own = self.credentials.clone().ok_or_else(|| {
            ToolError::refused(
                "no Twilio account: set TWILIO_ACCOUNT_SID and TWILIO_API_KEY_SID with TWILIO_API_KEY_SECRET (or TWILIO_AUTH_TOKEN)",
            )
        })?;
        Ok(Access {
            account: own.account,
            user: own.user,
            password: own.password,
            is_connected: false,
        })
    }

    /// Refuses numbers that nobody is to be written to at: premium and pumped numbers cost real money.
    pub(crate) fn allowed(&self, to: &str) -> Result<(), ToolError> {
        let allowed = &self.settings.allowed_prefixes;
        if allowed.is_empty() || allowed.iter().any(|prefix| to.starts_with(prefix.as_str())) {
            return Ok(());
        }
        let message = format!(
            "/to: only numbers that begin with {} are allowed here (ALLOWED_PREFIXES)",
            allowed.join(", ")
        );
        Err(ToolError::refused(message).with_details(json!({ "allowed_prefixes": allowed })))
    }

    pub(crate) fn api(&self) -> &Provider {
        &self.api
    }
}

/// The account of one call.
pub(crate) struct Access {
    pub(crate) account: String,
    user: String,
    password: SecretString,
    /// Somebody's own account, to which our senders and services do not belong.
    pub(crate) is_connected: bool,
}

impl Access {
    /// A request to the account's messages, or one of them.
    pub(crate) fn messages(&self, method: Method, id: Option<&str>) -> Outgoing {
        let mut path = vec!["2010-04-01", "Accounts", &self.account];
        let file = match id {
            Some(id) => format!("{id}.json"),
            None => "Messages.json".to_owned(),
        };
        if id.is_some() {
            path.push("Messages");
        }
        path.push(&file);
        Outgoing::new(method, path)
    }

    /// Sends it with the account's credentials and reads the answer.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        call: &Call,
        provider: &Provider,
        request: Outgoing,
    ) -> Result<T, ToolError> {
        let request = request.basic(&self.user, &self.password);
        let reply = provider.send(call, request).await?;
        if !reply.status.is_success() {
            return Err(refusal(&reply).undone(true));
        }
        reply.json()
    }
}

/// Twilio's error as ours, with its own code and words.
fn refusal(reply: &Reply) -> ToolError {
    let said = Said::of(reply).unwrap_or_default();
    let (code, words) = (said.code, said.words());
    let mut details = said.details(reply);
    let error = match code {
        OPTED_OUT => {
            details["final"] = true.into();
            ToolError::refused(
                "the recipient has opted out (STOP): never write to this number again unless they write START",
            )
        }
        code if INVALID_TO.contains(&code) => ToolError::invalid(
            "/to: Twilio cannot send to this number; it is wrong or takes no SMS",
        ),
        20404 => ToolError::not_found("Twilio does not know it"),
        _ if reply.status == StatusCode::NOT_FOUND => {
            ToolError::not_found("Twilio does not know it")
        }
        _ if reply.status == StatusCode::UNAUTHORIZED => ToolError::refused(
            "Twilio does not take the credentials: check TWILIO_ACCOUNT_SID and the API key or auth token, or connect the account again",
        ),
        _ if reply.status == StatusCode::FORBIDDEN => ToolError::refused(format!(
            "Twilio does not permit this to the account or key: {words}"
        )),
        _ => ToolError::refused(format!("Twilio refuses: {words}")),
    };
    error.with_details(details)
}

/// What Twilio says of a failure of its own.
fn explain(reply: &Reply) -> Option<Value> {
    Said::of(reply).map(|said| said.details(reply))
}

/// Twilio's own account of an error.
#[derive(Default, Deserialize)]
struct Said {
    #[serde(default)]
    code: u64,
    message: Option<String>,
}

impl Said {
    fn of(reply: &Reply) -> Option<Self> {
        reply.json().ok()
    }

    fn words(&self) -> String {
        let words = self.message.as_deref().unwrap_or("no words");
        words.chars().take(LONGEST_MESSAGE).collect()
    }

    fn details(&self, reply: &Reply) -> Value {
        json!({
            "provider_code": self.code,
            "provider_message": self.words(),
            "provider_status": reply.status.as_u16(),
        })
    }
}

/// Two letters and 32 more: what kind of thing it is, and which.
pub(crate) fn is_sid(text: &str, kind: &str) -> bool {
    text.len() == 34
        && text.starts_with(kind)
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Twilio's SIDs in arguments, for `#[validate(custom(…))]`: of a message.
pub(crate) fn message_id(text: &str) -> Result<(), validator::ValidationError> {
    if is_sid(text, "SM") || is_sid(text, "MM") {
        return Ok(());
    }
    let mut error = validator::ValidationError::new("sid");
    error.message = Some("a message's id: SM or MM and 32 more characters".into());
    Err(error)
}

/// A time as Twilio's REST API writes it (RFC 2822).
pub(crate) fn rfc2822<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let parsed = text.map(|text| jiff::fmt::rfc2822::parse(&text).map(|time| time.timestamp()));
    parsed.transpose().map_err(serde::de::Error::custom)
}

/// The part of an answer that tells whether something was done.
#[derive(Debug, Clone, Copy, Serialize, schemars::JsonSchema)]
pub(crate) struct Done {
    /// It was done before by a call with the same key; nothing was done now.
    pub(crate) replayed: bool,
    /// Nothing was done: this is what would be.
    pub(crate) dry_run: bool,
}

impl Done {
    pub(crate) fn now(replayed: bool) -> Self {
        Self {
            replayed,
            dry_run: false,
        }
    }

    pub(crate) fn not() -> Self {
        Self {
            replayed: false,
            dry_run: true,
        }
    }
}
