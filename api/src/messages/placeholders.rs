//! `{{event.title}}` and the like in texts: a fixed set, filled in when the message is written, times in the event's zone.

use std::borrow::Cow;

use jiff::{Zoned, tz::TimeZone};
use validator::ValidationError;

use crate::events::Event;

/// What a text may speak of.
pub struct Facts<'a> {
    pub organization: &'a str,
    pub event: &'a Event,
}

type Value = fn(&Facts<'_>) -> String;

/// Names, as written between the braces, and their values. One without a value, such as a capacity, is filled with nothing.
const PLACEHOLDERS: &[(&str, Value)] = &[
    ("event.title", |facts| facts.event.title.clone()),
    ("event.date", |facts| facts.start("%-d %B %Y")),
    ("event.weekday", |facts| facts.start("%A")),
    ("event.time", |facts| facts.start("%H:%M")),
    ("event.end_date", |facts| facts.end("%-d %B %Y")),
    ("event.end_time", |facts| facts.end("%H:%M")),
    ("event.time_zone", |facts| facts.event.time_zone.clone()),
    ("event.capacity", |facts| {
        facts
            .event
            .capacity
            .map_or_else(String::new, |capacity| capacity.to_string())
    }),
    ("event.contact_name", |facts| {
        facts.event.contact_name.clone().unwrap_or_default()
    }),
    ("organization.name", |facts| facts.organization.to_owned()),
];

impl Facts<'_> {
    /// The text with its placeholders filled in. One that is unknown, which [`known_placeholders`] would have found, stays.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Placeholder(name, written) => match value_of(name) {
                    Some(value) => filled.push_str(&value(self)),
                    None => filled.push_str(written),
                },
            }
        }
        filled
    }

    fn start(&self, format: &str) -> String {
        self.local(self.event.starts_at)
            .strftime(format)
            .to_string()
    }

    fn end(&self, format: &str) -> String {
        self.local(self.event.ends_at).strftime(format).to_string()
    }

    fn local(&self, at: jiff_sqlx::Timestamp) -> Zoned {
        let zone = TimeZone::get(&self.event.time_zone).unwrap_or(TimeZone::UTC);
        at.to_jiff().to_zoned(zone)
    }
}

/// Validates that a text has no placeholder but known ones.
pub fn known_placeholders(text: &str) -> Result<(), ValidationError> {
    let unknown = pieces(text).find_map(|piece| match piece {
        Piece::Placeholder(name, written) if value_of(name).is_none() => Some(written),
        _ => None,
    });
    let Some(written) = unknown else {
        return Ok(());
    };
    let names: Vec<_> = PLACEHOLDERS.iter().map(|(name, _)| *name).collect();
    let written: String = written.chars().take(60).collect();
    let message = format!(
        "has an unknown placeholder {written}; known are {}",
        names.join(", ")
    );
    Err(ValidationError::new("placeholder").with_message(Cow::Owned(message)))
}

fn value_of(name: &str) -> Option<Value> {
    let known = PLACEHOLDERS.iter().find(|(known, _)| *known == name);
    known.map(|(_, value)| *value)
}

enum Piece<'a> {
    Text(&'a str),
    /// Its name, and all of it with the braces.
    Placeholder(&'a str, &'a str),
}

/// A text cut at its placeholders; braces that are never closed are one without a name.
fn pieces(mut rest: &str) -> impl Iterator<Item = Piece<'_>> {
    std::iter::from_fn(move || {
        let (piece, left) = match rest.find("{{") {
            None if rest.is_empty() => return None,
            None => (Piece::Text(rest), ""),
            Some(0) => match rest.find("}}") {
                Some(end) => {
                    let (written, left) = rest.split_at(end + 2);
                    (Piece::Placeholder(rest[2..end].trim(), written), left)
                }
                None => (Piece::Placeholder("", rest), ""),
            },
            Some(at) => (Piece::Text(&rest[..at]), &rest[at..]),
        };
        rest = left;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_its_placeholders_and_nowhere_else() {
        for fine in [
            "",
            "plain",
            "{one} } }}",
            "{{event.title}}",
            "{{ event.date }}{{event.time}} ÿ",
        ] {
            assert!(known_placeholders(fine).is_ok(), "{fine}");
        }
        for wrong in [
            "{{event.secret}}",
            "{{}}",
            "a {{ b",
            "{{event.title",
            "{{{event.title}}}",
            "{{Event.Title}}",
        ] {
            assert!(known_placeholders(wrong).is_err(), "{wrong}");
        }
    }
}
