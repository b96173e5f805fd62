//! Who gets a message.

use crate::{
    events::{self, Event},
    messages::Channel,
    problem::{FieldError, Problem},
};

/// The event's contact, in a list of recipients.
pub const CONTACT: &str = "CONTACT";
const MOST: usize = 100;

/// Numbers, or channels: each once and in order, so that two writers never wait for each other in a circle.
#[derive(Debug)]
pub struct Recipients(Vec<String>);

impl Recipients {
    /// Checks that recipients are such as the channel reaches: for SMS `CONTACT` or a number in E.164, for Slack a channel's
    /// name or id.
    pub fn check(channel: Channel, written: &[String]) -> Result<(), Problem> {
        if written.len() > MOST {
            let error = FieldError::new(
                "/recipients",
                "length",
                format!("must be at most {MOST} items"),
            );
            return Err(Problem::Invalid(vec![error]));
        }
        let faults: Vec<_> = written
            .iter()
            .enumerate()
            .filter_map(|(index, recipient)| {
                let detail = fault(channel, recipient)?;
                let pointer = format!("/recipients/{index}");
                Some(FieldError::new(&pointer, "recipient", detail))
            })
            .collect();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Problem::Invalid(faults))
        }
    }

    /// Those that were named, or without any the event's contact, or the usual channel.
    pub fn of(
        channel: Channel,
        written: &[String],
        event: &Event,
        usual_channel: &str,
    ) -> Result<Self, Problem> {
        Self::check(channel, written)?;
        let contact = || {
            let number = event.contact_phone.clone();
            let detail = "the event has no contact_phone; set it, or name a number";
            number.ok_or_else(|| Problem::field("/recipients", "required", detail))
        };
        let mut found = match channel {
            Channel::Sms if written.is_empty() => vec![contact()?],
            Channel::Slack if written.is_empty() => vec![plain(usual_channel)],
            Channel::Sms => written
                .iter()
                .map(|name| {
                    if name == CONTACT {
                        contact()
                    } else {
                        Ok(name.clone())
                    }
                })
                .collect::<Result<_, _>>()?,
            Channel::Slack => written.iter().map(|name| plain(name)).collect(),
        };
        found.sort_unstable();
        found.dedup();
        Ok(Self(found))
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

fn fault(channel: Channel, recipient: &str) -> Option<&'static str> {
    match channel {
        Channel::Sms if recipient == CONTACT || events::phone(recipient).is_ok() => None,
        Channel::Sms => Some("must be CONTACT or a number in E.164, such as +14155550123"),
        Channel::Slack if is_channel(plain(recipient).as_str()) => None,
        Channel::Slack => Some("must be a channel's name or id, such as #events"),
    }
}

/// Slack's names have letters of any script, digits, hyphens and underscores.
fn is_channel(name: &str) -> bool {
    let fits = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_');
    (1..=80).contains(&name.chars().count()) && name.chars().all(fits)
}

/// Without its `#`. Names have small letters only, ids capital ones.
fn plain(channel: &str) -> String {
    let name = channel.strip_prefix('#').unwrap_or(channel);
    let is_id = name.len() >= 9 && name.starts_with(['C', 'G', 'D']);
    if is_id
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    {
        return name.to_owned();
    }
    name.to_lowercase()
}
