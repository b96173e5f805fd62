//! Keeps secrets out of answers and logs: those we hold, and text that looks like one.

use std::{borrow::Cow, sync::Arc};

use secrecy::{ExposeSecret, SecretString};

const HIDDEN: &str = "[redacted]";
/// Shorter secrets would hide ordinary words.
const SHORTEST: usize = 8;
/// After a marker that is a word of its own, shorter text is taken for words, too: `a bearer token`.
const SHORTEST_AFTER_WORD: usize = 16;
/// What follows one of these, up to white space or a quote, is a secret.
const MARKERS: [&str; 15] = [
    "bearer ",
    "authorization: basic ",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "whsec_",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "ya29.",
    "access_token=",
    "refresh_token=",
    "client_secret=",
    "api_key=",
];

/// The secrets of this process.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Arc<[SecretString]>,
}

impl Redactor {
    /// Hides these values wherever they appear; values under 8 bytes are ignored.
    pub fn new(secrets: impl IntoIterator<Item = SecretString>) -> Self {
        let parts = secrets.into_iter().flat_map(|secret| {
            let text = secret.expose_secret().to_owned();
            text.split(|char: char| char == ',' || char.is_whitespace())
                .map(SecretString::from)
                .collect::<Vec<_>>()
        });
        Self {
            secrets: parts
                .filter(|secret| secret.expose_secret().len() >= SHORTEST)
                .collect(),
        }
    }

    /// The same, and this value, too.
    #[must_use]
    pub fn and(&self, secret: &SecretString) -> Self {
        Self::new(self.secrets.iter().chain([secret]).cloned())
    }

    /// Hides the values we hold: for results, where other text must stay as it is.
    pub fn known<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in self.secrets.iter() {
            if text.contains(secret.expose_secret()) {
                text = Cow::Owned(text.replace(secret.expose_secret(), HIDDEN));
            }
        }
        text
    }

    /// Hides the values we hold, what looks like a credential, and user names and passwords in addresses: for
    /// messages and logs.
    pub fn text(&self, text: &str) -> String {
        let known = self.known(text);
        hide_userinfo(&hide_marked(&known))
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

fn hide_marked(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(rest) = lower.get(at..) {
        let found = MARKERS
            .iter()
            .filter_map(|marker| rest.find(marker).map(|start| (start, *marker)));
        let Some((start, marker)) = found.min() else {
            break;
        };
        let value = at + start + marker.len();
        let ends = |char: char| {
            char.is_whitespace() || matches!(char, '"' | '\'' | '&' | ',' | ';' | ')' | '}')
        };
        let end = text[value..]
            .find(ends)
            .map_or(text.len(), |end| value + end);
        let shortest = if marker == "bearer " {
            SHORTEST_AFTER_WORD
        } else {
            1
        };
        let is_secret = end - value >= shortest;
        shown.push_str(&text[at..value]);
        shown.push_str(if is_secret { HIDDEN } else { &text[value..end] });
        at = end;
    }
    shown.push_str(&text[at..]);
    shown
}

fn hide_userinfo(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        shown.push_str(before);
        let authority = after.find(['/', '?', '#', ' ', '"']).unwrap_or(after.len());
        rest = after[..authority].rfind('@').map_or(after, |at| {
            shown.push_str(HIDDEN);
            &after[at..]
        });
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_secrets_and_what_looks_like_one_are_hidden() {
        let redactor = Redactor::new(["canary-value-1".into(), "short".into()]);
        assert_eq!(redactor.known("a canary-value-1 b"), "a [redacted] b");
        let text = redactor.text("Authorization: Bearer abc.def.ghi.jkl.mno, key sk_live_123 at https://u:p@host/x?access_token=t&y=1");
        let wanted = "Authorization: Bearer [redacted], key sk_live_[redacted] at https://[redacted]@host/x?access_token=[redacted]&y=1";
        assert_eq!(text, wanted);
        assert_eq!(
            redactor.text("no bearer token short of ü to hide"),
            "no bearer token short of ü to hide"
        );
    }
}
