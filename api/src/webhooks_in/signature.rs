//! Whether a body is from who knows the secret (<https://docs.stripe.com/webhooks/signature>).

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Older or newer ones may be replays.
const TOLERANCE_SECONDS: u64 = 300;
/// Stripe sends one for each of its secrets.
const MOST_SIGNATURES: usize = 10;

/// Whether one of the `v1` signatures in `t=…,v1=…` is that of one of the secrets, over the time and the raw body, and the
/// time is now. Takes the same time whichever fits.
pub fn holds(header: &str, body: &[u8], secrets: &[SecretString], now: Timestamp) -> bool {
    let pairs = || {
        header
            .split(',')
            .filter_map(|pair| pair.trim().split_once('='))
    };
    let mut times = pairs().filter(|(name, _)| *name == "t");
    let (Some((_, time)), None) = (times.next(), times.next()) else {
        return false;
    };
    let is_now = time
        .parse::<i64>()
        .is_ok_and(|time| time.abs_diff(now.as_second()) <= TOLERANCE_SECONDS);
    let given: Vec<Vec<u8>> = pairs()
        .filter(|(name, _)| *name == "v1")
        .filter_map(|(_, hex)| bytes(hex))
        .take(MOST_SIGNATURES)
        .collect();
    let mut fits = false;
    for secret in secrets {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else {
            continue;
        };
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(body);
        for signature in &given {
            fits |= mac.clone().verify_slice(signature).is_ok();
        }
    }
    fits && is_now
}

/// The bytes of a SHA-256 in hexadecimal.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = (0..hex.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // printf '12345.{"a":1}' | openssl dgst -sha256 -hmac whsec_test
    const SIGNATURE: &str = "6891b7a66b05b0e53771b0ad1be66a73fc29b6b3c4b4961ddb1efa062c8c05e9";

    fn at(header: &str, body: &str, secrets: &[&str], second: i64) -> bool {
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
        let now = Timestamp::from_second(second).unwrap();
        holds(header, body.as_bytes(), &secrets, now)
    }

    #[test]
    fn openssls_signature_holds_for_five_minutes() {
        let header = format!("t=12345,v1={SIGNATURE}");
        let secret = ["whsec_test"];
        for second in [12_345, 12_645, 12_045] {
            assert!(at(&header, r#"{"a":1}"#, &secret, second), "{second}");
        }
        for second in [12_646, 12_044, 0] {
            assert!(!at(&header, r#"{"a":1}"#, &secret, second), "{second}");
        }
    }

    #[test]
    fn one_of_several_signatures_and_of_several_secrets_is_enough() {
        let other = "0".repeat(64);
        let header = format!("t=12345, v0={other}, v1={other} ,v1={SIGNATURE}");
        assert!(at(
            &header,
            r#"{"a":1}"#,
            &["whsec_old", "whsec_test"],
            12_345
        ));
        assert!(!at(&header, r#"{"a":1}"#, &["whsec_old"], 12_345));
        assert!(!at(&header, r#"{"a":1}"#, &[], 12_345));
    }

    #[test]
    fn anything_else_does_not_hold() {
        let short = &SIGNATURE[..62];
        for header in [
            String::new(),
            format!("v1={SIGNATURE}"),
            format!("t=12345,v0={SIGNATURE}"),
            format!("t=12345,v1={short}"),
            format!("t=12345,t=12345,v1={SIGNATURE}"),
            format!("t=12346,v1={SIGNATURE}"),
            format!("t=12345,v1=é{}", &SIGNATURE[2..]),
            "t=,v1=".to_owned(),
            "t=12345,v1=".to_owned(),
        ] {
            assert!(
                !at(&header, r#"{"a":1}"#, &["whsec_test"], 12_345),
                "{header}"
            );
        }
        let header = format!("t=12345,v1={SIGNATURE}");
        assert!(!at(&header, r#"{"a":2}"#, &["whsec_test"], 12_345));
    }
}
