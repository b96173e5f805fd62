//! Whether somebody holds a number: a code goes out and comes back.

use std::sync::Arc;

use jiff::Timestamp;
use mcp_kit::{Call, Code, Outgoing, Tool, ToolError, Tools};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use validator::{Validate, ValidationError};

use crate::{
    numbers::e164,
    once::{Wish, fingerprint, scoped},
    twilio::{Access, Done, Twilio, is_sid},
};

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct StartVerification {
    /// Who gets the code: a phone number in E.164, such as +14155550100.
    #[validate(custom(function = e164))]
    to: String,
    /// How: a text message, or a call that reads it out.
    #[serde(default)]
    channel: Channel,
    /// One for each code that shall go out, the same when the call is repeated.
    #[validate(length(min = 1, max = 255))]
    idempotency_key: String,
    /// Language of the message, such as de or pt-BR; by the number's country without it.
    #[validate(custom(function = check_locale))]
    locale: Option<String>,
    /// The Verify service `VA…`: only for a connected account.
    service_id: Option<String>,
    /// When it was first tried (RFC 3339), if a call before may have got through although it failed.
    first_attempt_at: Option<Timestamp>,
    /// Check only, and send nothing.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct CheckVerification {
    /// The number that got the code, in E.164.
    #[validate(custom(function = e164))]
    to: String,
    /// The code that the person has told, 4 to 10 digits.
    #[validate(custom(function = check_code))]
    code: String,
    /// The Verify service `VA…`: only for a connected account.
    service_id: Option<String>,
    /// Check the arguments only, and use up no try.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, Default, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Channel {
    #[default]
    Sms,
    Call,
}

/// A verification under way.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Verification {
    id: String,
    to: String,
    /// `pending`, `approved`, `canceled`, `max_attempts_reached`, …
    status: String,
    /// How often its code was sent.
    codes_sent: usize,
    created_at: Option<Timestamp>,
}

/// What became of a verification that was to be started.
#[derive(Debug, Serialize, JsonSchema)]
struct Started {
    #[serde(flatten)]
    done: Done,
    /// The verification; `null` in a dry run.
    verification: Option<Verification>,
}

/// Whether the code was right.
#[derive(Debug, Serialize, JsonSchema)]
struct Checked {
    /// The person holds the number.
    approved: bool,
    /// `approved`, or `pending` while another code may be tried; `null` in a dry run.
    status: Option<String>,
    to: String,
    /// Nothing was asked of Twilio.
    dry_run: bool,
}

#[derive(Deserialize)]
struct Resource {
    sid: String,
    to: String,
    status: String,
    date_created: Option<Timestamp>,
    #[serde(default)]
    send_code_attempts: Vec<Send>,
}

#[derive(Deserialize)]
struct Send {
    time: Option<Timestamp>,
}

pub(crate) fn add(tools: Tools, twilio: &Arc<Twilio>) -> anyhow::Result<Tools> {
    let (start, check) = (Arc::clone(twilio), Arc::clone(twilio));
    let start_verification = Tool::new(
        "start_verification",
        "Sends a code to a phone number, to see whether a person holds it. It costs money. Within 10 minutes the same code is sent again.",
        move |call: Call, arguments: StartVerification| {
            let twilio = Arc::clone(&start);
            async move { twilio.start(&call, arguments).await }
        },
    );
    let check_verification = Tool::new(
        "check_verification",
        "Tells whether a code is the one that was sent. Five wrong ones end the verification; a right one is taken once.",
        move |call: Call, arguments: CheckVerification| {
            let twilio = Arc::clone(&check);
            async move { twilio.check(&call, arguments).await }
        },
    );
    tools
        .with(start_verification.additive().idempotent())?
        .with(check_verification.additive())
}

impl Twilio {
    async fn start(&self, call: &Call, asked: StartVerification) -> Result<Started, ToolError> {
        let access = self.access(call)?;
        let service = self.service(&access, asked.service_id.as_deref())?;
        self.allowed(&asked.to)?;
        if asked.dry_run {
            return Ok(Started {
                done: Done::not(),
                verification: None,
            });
        }
        let key = scoped(call, &access.account, &asked.idempotency_key);
        let wish = Wish {
            key: &key,
            fingerprint: fingerprint((&service, &asked.to, asked.channel, &asked.locale)),
            first_attempt_at: asked.first_attempt_at,
        };
        let act = || async {
            self.caps.take()?;
            let channel = match asked.channel {
                Channel::Sms => "sms",
                Channel::Call => "call",
            };
            let mut form = vec![("To", asked.to.clone()), ("Channel", channel.to_owned())];
            form.extend(asked.locale.clone().map(|locale| ("Locale", locale)));
            let request =
                Outgoing::new(Method::POST, ["v2", "Services", &service, "Verifications"])
                    .form(form);
            let started: Resource = access.ask(call, &self.verify, request).await?;
            Ok(started.into())
        };
        let look = |since| self.look_for_code(call, &access, &service, &asked.to, since);
        let ended = self.verifications.once(wish, act, look).await;
        let (verification, replayed) = ended.map_err(|error| in_words(error, "codes sent to"))?;
        Ok(Started {
            done: Done::now(replayed),
            verification: Some(verification),
        })
    }

    /// Whether a code went out to that number since then.
    async fn look_for_code(
        &self,
        call: &Call,
        access: &Access,
        service: &str,
        to: &str,
        since: Timestamp,
    ) -> Result<Option<Verification>, ToolError> {
        let path = ["v2", "Services", service, "Verifications", to];
        let request = Outgoing::new(Method::GET, path);
        let found = access.ask::<Resource>(call, &self.verify, request).await;
        // Twilio keeps whole seconds.
        let since = Timestamp::from_second(since.as_second()).unwrap_or(since);
        let went_out = |found: &Resource| {
            let times = found.send_code_attempts.iter();
            times.filter_map(|send| send.time).any(|time| time >= since)
        };
        match found {
            Ok(found) => Ok(Some(found).filter(went_out).map(Verification::from)),
            Err(error) if error.code == Code::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn check(&self, call: &Call, asked: CheckVerification) -> Result<Checked, ToolError> {
        let access = self.access(call)?;
        let service = self.service(&access, asked.service_id.as_deref())?;
        if asked.dry_run {
            return Ok(Checked {
                approved: false,
                status: None,
                to: asked.to,
                dry_run: true,
            });
        }
        let path = ["v2", "Services", &service, "VerificationCheck"];
        let request =
            Outgoing::new(Method::POST, path).form([("To", &asked.to), ("Code", &asked.code)]);
        let ended = access.ask::<Resource>(call, &self.verify, request).await;
        let checked = ended.map_err(|error| match error.code {
            Code::NotFound => ToolError {
                message: "no verification is open for this number: it was approved, expired after 10 minutes, or never started; start a new one".into(),
                ..error
            },
            _ => in_words(error, "wrong codes told for"),
        })?;
        Ok(Checked {
            approved: checked.status == "approved",
            status: Some(checked.status),
            to: checked.to,
            dry_run: false,
        })
    }

    fn service(&self, access: &Access, wished: Option<&str>) -> Result<String, ToolError> {
        let ours = self.settings.twilio_verify_service_sid.as_deref();
        match (wished, access.is_connected) {
            (Some(id), _) if !is_sid(id, "VA") => Err(ToolError::field(
                "/service_id",
                "sid",
                "VA and 32 more characters",
            )),
            (Some(id), true) => Ok(id.to_owned()),
            (None, true) => Err(ToolError::field(
                "/service_id",
                "required",
                "name the connected account's Verify service",
            )),
            (Some(id), false) if ours != Some(id) => Err(ToolError::refused(
                "/service_id: only the configured service is used; leave it out",
            )),
            (_, false) => ours.map(str::to_owned).ok_or_else(|| {
                ToolError::refused("no Verify service: set TWILIO_VERIFY_SERVICE_SID")
            }),
        }
    }
}

impl From<Resource> for Verification {
    fn from(resource: Resource) -> Self {
        Self {
            id: resource.sid,
            to: resource.to,
            status: resource.status,
            codes_sent: resource.send_code_attempts.len(),
            created_at: resource.date_created,
        }
    }
}

/// Verify's own limits (60202: codes checked, 60203: codes sent) in words that help.
fn in_words(mut error: ToolError, what: &str) -> ToolError {
    let details = error.details.as_ref();
    let code = details.and_then(|details| details["provider_code"].as_u64());
    if matches!(code, Some(60202 | 60203)) {
        let words = format!("too many {what} this number: Verify allows five in 10 minutes; wait");
        error.message = words.into();
    }
    error
}

fn check_code(text: &str) -> Result<(), ValidationError> {
    if (4..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    let mut error = ValidationError::new("code");
    error.message = Some("4 to 10 digits".into());
    Err(error)
}

fn check_locale(text: &str) -> Result<(), ValidationError> {
    let is_tag = (2..=10).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_tag {
        return Ok(());
    }
    let mut error = ValidationError::new("locale");
    error.message = Some("a language tag, such as de or pt-BR".into());
    Err(error)
}
