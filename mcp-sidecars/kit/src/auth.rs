//! Who calls: opaque bearer tokens (RFC 6750), compared in constant time.

use std::sync::Arc;

use anyhow::ensure;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Enough for tools that change nothing.
pub const SCOPE_READ: &str = "read";
/// Needed by tools that change something; includes `read`.
pub const SCOPE_WRITE: &str = "write";
const SHORTEST_TOKEN: usize = 32;
const LONGEST_BEHALF: usize = 200;
const LONGEST_ACCOUNT_TOKEN: usize = 8 * 1024;
/// Held by callers who may do everything.
pub(crate) const SCOPE_ALL: &str = "*";

/// Who calls, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// For logs and limits; no secret.
    pub name: Arc<str>,
    /// For whom a service acts: `<organization id>/<member id>` from the header `On-Behalf-Of`.
    pub on_behalf_of: Option<Arc<str>>,
    pub scopes: Arc<[String]>,
}

impl Caller {
    /// Somebody on this machine, who may do everything: standard input, or loopback with authentication off.
    pub fn local() -> Self {
        Self::named("local", &[SCOPE_READ, SCOPE_WRITE, SCOPE_ALL])
    }

    pub fn named(name: &str, scopes: &[&str]) -> Self {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        Self {
            name: name.into(),
            on_behalf_of: None,
            scopes,
        }
    }

    /// Whether a tool of that scope may be called: by the scope itself, `*`, or `write` for `read`.
    pub fn may(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| {
            held == scope || held == SCOPE_ALL || (held == SCOPE_WRITE && scope == SCOPE_READ)
        })
    }

    /// The same caller, acting for somebody. `None` if the text is too long or not printable ASCII.
    pub fn acting_for(mut self, on_behalf_of: &str) -> Option<Self> {
        let is_plain =
            !on_behalf_of.is_empty() && on_behalf_of.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_plain || on_behalf_of.len() > LONGEST_BEHALF {
            return None;
        }
        self.on_behalf_of = Some(on_behalf_of.into());
        Some(self)
    }
}

pub(crate) const PROVIDER_ACCOUNT: &str = "provider-account";
pub(crate) const PROVIDER_TOKEN: &str = "provider-token";

/// A provider account of somebody else than this process: the call acts with its token instead of our credentials.
/// Comes in the headers `Provider-Account` and `Provider-Token`, from callers with every scope only.
#[derive(Debug, Clone)]
pub struct Account {
    /// For logs and for what is kept per account; no secret.
    pub id: Arc<str>,
    /// A short-lived access token, never kept.
    pub token: SecretString,
}

impl Account {
    /// `None` if the id or the token is empty, too long or not printable ASCII.
    pub fn new(id: &str, token: &str) -> Option<Self> {
        let is_plain = |text: &str, longest| {
            (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        (is_plain(id, LONGEST_BEHALF) && is_plain(token, LONGEST_ACCOUNT_TOKEN)).then(|| Self {
            id: id.into(),
            token: token.into(),
        })
    }
}

/// The tokens that are taken: digests only, each with its caller.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    known: Vec<([u8; 32], Caller)>,
}

impl Tokens {
    /// Adds `caller`'s token, or two while it is rotated: separated by white space or a comma.
    ///
    /// # Errors
    /// A token shorter than 32 bytes, none at all, or more than two.
    pub fn allow(&mut self, caller: &Caller, tokens: &SecretString) -> anyhow::Result<()> {
        let text = tokens.expose_secret();
        let given: Vec<&str> = text
            .split(|char: char| char == ',' || char.is_whitespace())
            .filter(|token| !token.is_empty())
            .collect();
        ensure!(
            (1..=2).contains(&given.len()),
            "give one token, or two while it is rotated"
        );
        ensure!(
            given.iter().all(|token| token.len() >= SHORTEST_TOKEN),
            "a token is too short: use 32 random bytes, e.g. `openssl rand -base64 32`"
        );
        self.known
            .extend(given.iter().map(|token| (digest(token), caller.clone())));
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The caller of a token. Looks at every known token, so that time tells nothing.
    pub fn caller(&self, token: &str) -> Option<Caller> {
        let sought = digest(token);
        let mut found = u32::MAX;
        for (index, (known, _)) in (0_u32..).zip(&self.known) {
            let same: Choice = known.ct_eq(&sought);
            found = u32::conditional_select(&found, &index, same);
        }
        let index = usize::try_from(found).ok()?;
        self.known.get(index).map(|(_, caller)| caller.clone())
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tokens_hold_during_rotation_and_no_third() {
        let mut tokens = Tokens::default();
        let (old, new, other) = ("o".repeat(32), "n".repeat(32), "x".repeat(32));
        let planner = Caller::named("planner", &[SCOPE_WRITE]);
        tokens
            .allow(&planner, &format!("{new}\n{old}\n").into())
            .unwrap();
        assert_eq!(tokens.caller(&old), Some(planner.clone()));
        assert_eq!(tokens.caller(&new), Some(planner.clone()));
        assert_eq!(tokens.caller(&other), None);
        assert!(
            tokens
                .allow(&planner, &format!("{new},{old},{other}").into())
                .is_err()
        );
        assert!(tokens.allow(&planner, &"short".into()).is_err());
    }

    #[test]
    fn write_includes_read_and_nothing_else() {
        let writer = Caller::named("a", &[SCOPE_WRITE]);
        assert!(writer.may(SCOPE_READ) && writer.may(SCOPE_WRITE) && !writer.may("money"));
        let reader = Caller::named("b", &[SCOPE_READ]);
        assert!(reader.may(SCOPE_READ) && !reader.may(SCOPE_WRITE));
    }
}
