//! Sending an SMS, once.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mcp_kit::{Call, Tool, ToolError, Tools};
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use validator::Validate;

use crate::{
    message::{Message, Resource},
    now,
    numbers::{e164, is_e164, segments},
    once::{Wish, fingerprint, scoped},
    twilio::{Access, Done, Twilio, is_sid},
};

const SOONEST: SignedDuration = SignedDuration::from_mins(15);
const LATEST: SignedDuration = SignedDuration::from_hours(35 * 24);
/// Twilio keeps whole seconds, and its clock is not ours.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(5);
const LOOK_PAGE: &str = "50";
const LOOK_PAGES: usize = 4;

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct SendSms {
    /// Who gets it: a phone number in E.164, such as +14155550100.
    #[validate(custom(function = e164))]
    to: String,
    /// The text. Every 160 characters (70 with emoji or letters beyond Western Europe) are one paid segment.
    #[validate(length(min = 1, max = 1600))]
    body: String,
    /// One for each message that shall be sent, the same when the call is repeated: at most one message goes out for it.
    #[validate(length(min = 1, max = 255))]
    idempotency_key: String,
    /// The sender: a number in E.164 or a messaging service `MG…`; `capabilities` lists those allowed. The first of
    /// them without it.
    from: Option<String>,
    /// When Twilio shall send it (RFC 3339), 15 minutes to 35 days from now; the sender must be a messaging service.
    /// At once without it.
    send_at: Option<Timestamp>,
    /// Seconds it may wait at Twilio before it is given up, 1 to 36000.
    #[validate(range(min = 1, max = 36_000))]
    valid_for_seconds: Option<u32>,
    /// When this message was first tried (RFC 3339), if a call before may have got through although it failed, and
    /// this server may have forgotten it: it is looked for from then on before it is sent.
    first_attempt_at: Option<Timestamp>,
    /// Check only, and send nothing.
    #[serde(default)]
    dry_run: bool,
}

/// What became of a message that was to be sent.
#[derive(Debug, Serialize, JsonSchema)]
struct Sent {
    #[serde(flatten)]
    done: Done,
    from: String,
    to: String,
    /// SMS that it takes, each paid for.
    segments: usize,
    /// The message; `null` in a dry run. Ask `get_message` later whether it was delivered.
    message: Option<Message>,
}

/// What was checked.
struct Order {
    access: Access,
    sender: String,
    arguments: SendSms,
    segments: usize,
}

pub(crate) fn add(tools: Tools, twilio: &Arc<Twilio>) -> anyhow::Result<Tools> {
    let twilio = Arc::clone(twilio);
    let tool = Tool::new(
        "send_sms",
        "Sends a text message to one phone number, at once or at a time. It costs money and cannot be taken back. A recipient who has opted out is refused with final: true.",
        move |call: Call, arguments: SendSms| {
            let twilio = Arc::clone(&twilio);
            async move { twilio.send(&call, arguments).await }
        },
    );
    tools.with(tool.additive().idempotent())
}

impl Twilio {
    async fn send(&self, call: &Call, arguments: SendSms) -> Result<Sent, ToolError> {
        let order = self.order(call, arguments)?;
        let answer = |done, message| Sent {
            done,
            from: order.sender.clone(),
            to: order.arguments.to.clone(),
            segments: order.segments,
            message,
        };
        if order.arguments.dry_run {
            return Ok(answer(Done::not(), None));
        }
        let key = scoped(
            call,
            &order.access.account,
            &order.arguments.idempotency_key,
        );
        let asked = &order.arguments;
        let wish = Wish {
            key: &key,
            fingerprint: fingerprint((
                &order.sender,
                &asked.to,
                &asked.body,
                asked.send_at,
                asked.valid_for_seconds,
            )),
            first_attempt_at: asked.first_attempt_at,
        };
        let act = || self.post(call, &order);
        let look = |since| self.look(call, &order, &key, since);
        let (message, replayed) = self.messages.once(wish, act, look).await?;
        Ok(answer(Done::now(replayed), Some(message)))
    }

    fn order(&self, call: &Call, arguments: SendSms) -> Result<Order, ToolError> {
        let access = self.access(call)?;
        let sender = self.sender(&access, arguments.from.as_deref())?;
        self.allowed(&arguments.to)?;
        let segments = segments(&arguments.body);
        let most = self.settings.max_segments;
        if segments > most {
            let words = format!(
                "/body: takes {segments} segments, and {most} are allowed (MAX_SEGMENTS); shorten it"
            );
            return Err(ToolError::refused(words)
                .with_details(json!({ "segments": segments, "most": most })));
        }
        if let Some(at) = arguments.send_at {
            if !is_sid(&sender, "MG") {
                return Err(ToolError::field(
                    "/send_at",
                    "sender",
                    "only a messaging service (MG…) can send later: name one as from",
                ));
            }
            let now = now();
            if !(now + SOONEST..=now + LATEST).contains(&at) {
                return Err(ToolError::field(
                    "/send_at",
                    "range",
                    "must be 15 minutes to 35 days from now",
                ));
            }
        }
        Ok(Order {
            access,
            sender,
            arguments,
            segments,
        })
    }

    fn sender(&self, access: &Access, wished: Option<&str>) -> Result<String, ToolError> {
        let ours = &self.settings.twilio_senders;
        match wished {
            Some(from) if !is_e164(from) && !is_sid(from, "MG") => Err(ToolError::field(
                "/from",
                "sender",
                "a number in E.164 or a messaging service MG…",
            )),
            Some(from) if access.is_connected || ours.iter().any(|sender| sender == from) => {
                Ok(from.to_owned())
            }
            Some(_) => Err(ToolError::refused(
                "/from: not among the allowed senders (TWILIO_SENDERS); capabilities lists them",
            )),
            None if access.is_connected => Err(ToolError::field(
                "/from",
                "required",
                "is required with a connected account: one of its numbers, or a messaging service MG…; TWILIO_SENDERS are of another account",
            )),
            None => ours.first().cloned().ok_or_else(|| {
                ToolError::refused("no sender: set TWILIO_SENDERS to a number or messaging service")
            }),
        }
    }

    async fn post(&self, call: &Call, order: &Order) -> Result<Message, ToolError> {
        self.caps.take()?;
        let asked = &order.arguments;
        let sender = if is_sid(&order.sender, "MG") {
            "MessagingServiceSid"
        } else {
            "From"
        };
        let mut form = vec![
            ("To", asked.to.clone()),
            (sender, order.sender.clone()),
            ("Body", asked.body.clone()),
        ];
        if let Some(at) = asked.send_at {
            form.push(("ScheduleType", "fixed".to_owned()));
            form.push(("SendAt", at.strftime("%FT%TZ").to_string()));
        }
        let period = asked.valid_for_seconds;
        form.extend(period.map(|seconds| ("ValidityPeriod", seconds.to_string())));
        let callback = self.settings.twilio_status_callback_url.clone();
        // A connected account signs with its own token, which the address cannot check.
        let callback = callback.filter(|_| !order.access.is_connected);
        form.extend(callback.map(|url| ("StatusCallback", url)));
        let request = order.access.messages(Method::POST, None).form(form);
        let resource: Resource = order.access.ask(call, self.api(), request).await?;
        Ok(resource.into())
    }

    /// Whether such a message is at Twilio since then, and not another key's.
    async fn look(
        &self,
        call: &Call,
        order: &Order,
        key: &str,
        since: Timestamp,
    ) -> Result<Option<Message>, ToolError> {
        let since = since - CLOCK_SKEW;
        let is_it = |message: &Message| {
            let senders = [&message.from, &message.messaging_service];
            message.direction == "outbound"
                && message.body == order.arguments.body
                && message.created_at.is_some_and(|at| at >= since)
                && senders.contains(&&Some(order.sender.clone()))
                && !self.messages.any(key, |other| other.id == message.id)
        };
        let mut cursor = None;
        for _ in 0..LOOK_PAGES {
            let query = vec![
                ("To", order.arguments.to.clone()),
                ("PageSize", LOOK_PAGE.to_owned()),
            ];
            let page = self
                .page(call, &order.access, query, cursor.as_deref())
                .await?;
            let is_past = page
                .items
                .iter()
                .all(|message| message.created_at.is_some_and(|at| at < since));
            if let Some(found) = page.items.into_iter().find(is_it) {
                return Ok(Some(found));
            }
            if is_past || page.next_cursor.is_none() {
                return Ok(None);
            }
            cursor = page.next_cursor;
        }
        Err(ToolError::refused(
            "too many messages to this number since then to find it among them",
        ))
    }
}
