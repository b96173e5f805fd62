//! The sandbox's own keys. None of them opens anything anywhere else.

use axum::http::{HeaderMap, StatusCode, header};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::error::ApiError;

/// One of the keys that the sandbox takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    secret: &'static str,
    pub(super) account: &'static str,
    pub(super) livemode: bool,
    rights: Rights,
}

#[derive(Debug, Clone, Copy)]
enum Rights {
    All,
    /// A restricted key: what may be written, and with it read; and what may only be read.
    Only(&'static [&'static str], &'static [&'static str]),
}

const SIDECAR_WRITES: &[&str] = &[
    "customer",
    "payment_link",
    "checkout_session",
    "invoice",
    "charge",
];
const SIDECAR_READS: &[&str] = &["balance", "payment_intent"];
const READS: &[&str] = &[
    "balance",
    "charge",
    "checkout_session",
    "customer",
    "event",
    "invoice",
    "payment_intent",
    "payment_link",
    "price",
    "product",
];
const OWN: &str = "acct_sandbox0000000001";
const CONNECTED: &str = "acct_sandbox0000000002";
/// The scheme is the provider's, the rest is plain words: nothing that a scanner for real keys would report.
const KEYS: [Key; 7] = [
    Key {
        secret: "sk_test_sandbox-full-access-no-real-key",
        account: OWN,
        livemode: false,
        rights: Rights::All,
    },
    Key {
        secret: "rk_test_sandbox-what-the-sidecar-needs-no-real-key",
        account: OWN,
        livemode: false,
        rights: Rights::Only(SIDECAR_WRITES, SIDECAR_READS),
    },
    Key {
        secret: "rk_test_sandbox-reads-only-no-real-key",
        account: OWN,
        livemode: false,
        rights: Rights::Only(&[], READS),
    },
    Key {
        secret: "sk_test_sandbox-rolled-second-key-no-real-key",
        account: OWN,
        livemode: false,
        rights: Rights::All,
    },
    Key {
        secret: "sk_live_sandbox-plays-live-no-real-key",
        account: OWN,
        livemode: true,
        rights: Rights::All,
    },
    Key {
        secret: "rk_live_sandbox-what-the-sidecar-needs-no-real-key",
        account: OWN,
        livemode: true,
        rights: Rights::Only(SIDECAR_WRITES, SIDECAR_READS),
    },
    Key {
        secret: "sk_test_sandbox-connected-account-no-real-key",
        account: CONNECTED,
        livemode: false,
        rights: Rights::All,
    },
];
const EXPIRED: &str = "sk_test_sandbox-expired-long-ago-no-real-key";

/// Whose key a request brings, by Basic (the key as the user name) or Bearer.
pub(super) fn authenticate(headers: &HeaderMap) -> Result<Key, ApiError> {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(secret)
        .filter(|secret| !secret.is_empty())
        .ok_or_else(|| {
            ApiError::unauthorized(
                "No API key was given: send it by Bearer or Basic authorization.",
            )
        })?;
    if given == EXPIRED {
        let message = format!("Expired API Key provided: {}", masked(&given));
        return Err(ApiError::unauthorized(message).code("api_key_expired"));
    }
    let known = KEYS.iter().find(|key| key.secret == given);
    known.copied().ok_or_else(|| {
        ApiError::unauthorized(format!("Invalid API Key provided: {}", masked(&given)))
    })
}

fn secret(header: &str) -> Option<String> {
    let (scheme, value) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    let user = text.split_once(':').map_or(text.as_str(), |(user, _)| user);
    Some(user.to_owned())
}

/// The scheme and the last four characters.
fn masked(secret: &str) -> String {
    let head: String = secret.chars().take(8).collect();
    let count = secret.chars().count();
    let tail: String = secret
        .chars()
        .skip(count.saturating_sub(4).max(8))
        .collect();
    format!("{head}{}{tail}", "*".repeat(8))
}

impl Key {
    /// Whether the key may read or write that resource.
    pub(super) fn may(self, resource: &str, writes: bool) -> Result<(), ApiError> {
        let is_allowed = match self.rights {
            Rights::All => true,
            Rights::Only(written, read) => {
                written.contains(&resource) || (!writes && read.contains(&resource))
            }
        };
        if is_allowed {
            return Ok(());
        }
        let verb = if writes { "write" } else { "read" };
        let message = format!(
            "The provided key '{}' does not have the required permissions for this endpoint on account '{}'. It would need 'rak_{resource}_{verb}'.",
            masked(self.secret),
            self.account
        );
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "invalid_request_error",
            message,
        ))
    }

    /// Under which name the account's things of this mode are kept.
    pub(super) fn ledger(self) -> String {
        format!(
            "{} {}",
            self.account,
            if self.livemode { "live" } else { "test" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_by_bearer_or_basic_and_are_masked_in_words() {
        assert_eq!(secret("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(secret("Basic YWJjZDplZg==").as_deref(), Some("abcd"));
        assert_eq!(secret("Basic YWJjOg==").as_deref(), Some("abc"));
        assert_eq!(secret("Digest abc"), None);
        assert_eq!(masked("sk_test_abcdefgh"), "sk_test_********efgh");
        assert_eq!(masked("short"), "short********");
    }
}
