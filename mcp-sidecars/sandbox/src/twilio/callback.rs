//! Status callbacks: sent by POST to the message's `StatusCallback`, signed, and repeated as its fragment says.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, StatusCode, Url};
use sha1::Sha1;

use super::{ACCOUNT, AUTH_TOKEN, message::Message};
use crate::world::World;

/// Twilio's longest time for one callback with all its repeats.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(200);

/// One callback to be sent.
pub(super) struct Callback {
    url: Url,
    fields: Vec<(&'static str, String)>,
    repeats: u32,
    policy: String,
    /// The same for every attempt, different for every callback.
    token: String,
}

impl Callback {
    /// What is told of the message as it is now; `None` if nobody asked for it.
    pub(super) fn about(message: &Message) -> Option<Self> {
        let mut url = Url::parse(message.callback.as_deref()?).ok()?;
        let overrides = url.fragment().unwrap_or_default().to_owned();
        url.set_fragment(None);
        let value = |name: &str| {
            let mut pairs = overrides.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(given, _)| *given == name)
                .map(|(_, value)| value)
        };
        let status = message.status.as_str().to_owned();
        let mut fields = vec![
            ("AccountSid", ACCOUNT.to_owned()),
            ("ApiVersion", "2010-04-01".to_owned()),
            ("From", message.from.clone().unwrap_or_default()),
            ("MessageSid", message.sid.clone()),
            ("MessageStatus", status.clone()),
            ("SmsSid", message.sid.clone()),
            ("SmsStatus", status.clone()),
            ("To", message.to.clone()),
        ];
        let service = message.service.clone();
        fields.extend(service.map(|service| ("MessagingServiceSid", service)));
        fields.extend(message.error.map(|code| ("ErrorCode", code.to_string())));
        Some(Self {
            repeats: value("rc")
                .and_then(|text| text.parse().ok())
                .unwrap_or(1)
                .min(5),
            policy: value("rp").unwrap_or("ct").to_owned(),
            token: format!("{}-{status}", message.sid),
            url,
            fields,
        })
    }

    /// Whether Twilio would try again after that.
    fn may_repeat(&self, ended: &Result<StatusCode, reqwest::Error>) -> bool {
        let kind = match ended {
            Ok(status) if status.is_client_error() => "4xx",
            Ok(status) if status.is_server_error() => "5xx",
            Ok(_) => return false,
            Err(error) if error.is_connect() => "ct",
            Err(_) => "rt",
        };
        self.policy
            .split(',')
            .any(|allowed| allowed == kind || allowed == "all")
    }
}

/// Sends it; what comes of it is counted.
pub(super) async fn send(world: Arc<World>, callback: Callback) {
    let is_taken = tokio::time::timeout(PATIENCE, attempts(&world.http, &callback)).await;
    let is_taken = is_taken.unwrap_or(false);
    let mut things = world.things();
    if is_taken {
        things.twilio.callbacks_taken += 1;
    } else {
        things.twilio.callbacks_lost += 1;
        tracing::warn!(callback = callback.token, "status callback not taken");
    }
    drop(things);
    world.journal.tell();
}

async fn attempts(client: &Client, callback: &Callback) -> bool {
    let Some(signature) = signature(&callback.url, &callback.fields) else {
        return false;
    };
    for attempt in 0..=callback.repeats {
        let request = client
            .post(callback.url.clone())
            .header("X-Twilio-Signature", &signature)
            .header("I-Twilio-Idempotency-Token", &callback.token)
            .header("User-Agent", "TwilioProxy/1.1")
            .form(&callback.fields);
        let ended = request.send().await.map(|response| response.status());
        if ended.as_ref().is_ok_and(StatusCode::is_success) {
            return true;
        }
        if attempt == callback.repeats || !callback.may_repeat(&ended) {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
    false
}

/// HMAC-SHA1 over the address and the sorted fields, name and value without anything between.
fn signature(url: &Url, fields: &[(&str, String)]) -> Option<String> {
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort();
    let mut mac = Hmac::<Sha1>::new_from_slice(AUTH_TOKEN.as_bytes()).ok()?;
    mac.update(url.as_str().as_bytes());
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}
