//! Arguments and results that several tools have in common.

use jiff::Timestamp;
use mcp_kit::{Call, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use validator::{Validate, ValidationError};

use crate::client::Form;

/// What is paid for.
#[derive(Debug, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    /// What it is, as the payer reads it, such as `Dinner, 15 September`. Never personal or card data.
    #[validate(length(min = 1, max = 250), custom(function = "no_card_number"))]
    pub(crate) name: String,
    /// Price of one, in the currency's smallest unit: 1250 is 12.50 USD, 1250 JPY or 1.250 KWD.
    #[validate(range(min = 1, max = 99_999_999))]
    #[schemars(range(min = 1, max = 99_999_999))]
    pub(crate) unit_amount: i64,
    /// How many; 1 if not given.
    #[serde(default = "one")]
    #[validate(range(min = 1, max = 10_000))]
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) quantity: i64,
}

/// What a payment belongs to in the planner; kept with it at Stripe as metadata.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names that Stripe keeps")]
pub(crate) struct Reference {
    /// The organization's id in the planner.
    #[validate(length(min = 1, max = 64), custom(function = "plain_id"))]
    pub(crate) organization_id: Option<String>,
    /// The event's id in the planner.
    #[validate(length(min = 1, max = 64), custom(function = "plain_id"))]
    pub(crate) event_id: Option<String>,
    /// The payment's id in the planner: what Stripe tells of it later is known again by it.
    #[validate(length(min = 1, max = 64), custom(function = "plain_id"))]
    pub(crate) payment_id: Option<String>,
    /// A refund's id in the planner: it finds by it what it asked for.
    #[validate(length(min = 1, max = 64), custom(function = "plain_id"))]
    pub(crate) refund_id: Option<String>,
}

/// What Stripe keeps of the planner's ids.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the names that Stripe keeps")]
pub(crate) struct Kept {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) organization_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payment_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refund_id: Option<String>,
}

fn one() -> i64 {
    1
}

/// The sum of the items; INVALID if it does not fit Stripe's eight digits.
pub(crate) fn total(items: &[Item]) -> Result<i64, ToolError> {
    let sum: i64 = items
        .iter()
        .map(|item| item.unit_amount.saturating_mul(item.quantity))
        .fold(0, i64::saturating_add);
    if sum > 99_999_999 {
        return Err(ToolError::field(
            "/items",
            "too_large",
            "the items come to more than Stripe takes: 99999999",
        ));
    }
    Ok(sum)
}

/// Adds `line_items` with prices of their own.
pub(crate) fn push_items(form: &mut Form, items: &[Item], currency: &str) {
    for (index, item) in items.iter().enumerate() {
        let line = format!("line_items[{index}]");
        form.push((format!("{line}[quantity]"), item.quantity.to_string()));
        form.push((
            format!("{line}[price_data][currency]"),
            currency.to_ascii_lowercase(),
        ));
        form.push((
            format!("{line}[price_data][unit_amount]"),
            item.unit_amount.to_string(),
        ));
        form.push((
            format!("{line}[price_data][product_data][name]"),
            item.name.clone(),
        ));
    }
}

/// Adds the planner's ids as metadata under these names, such as `metadata` and `payment_intent_data[metadata]`.
pub(crate) fn push_reference(form: &mut Form, reference: &Kept, names: &[&str]) {
    for name in names {
        for (key, id) in [
            ("organization_id", &reference.organization_id),
            ("event_id", &reference.event_id),
            ("payment_id", &reference.payment_id),
            ("refund_id", &reference.refund_id),
        ] {
            if let Some(id) = id {
                form.push((format!("{name}[{key}]"), id.clone()));
            }
        }
    }
}

impl Reference {
    /// With the organization for which the caller acts, which an argument cannot change.
    pub(crate) fn of(&self, call: &Call) -> Result<Kept, ToolError> {
        let own = call.organization().map(str::to_owned);
        if own.is_some() && self.organization_id.is_some() && own != self.organization_id {
            return Err(ToolError::field(
                "/reference/organization_id",
                "not_yours",
                "differs from the organization that the call acts for",
            ));
        }
        Ok(Kept {
            organization_id: own.or_else(|| self.organization_id.clone()),
            event_id: self.event_id.clone(),
            payment_id: self.payment_id.clone(),
            refund_id: self.refund_id.clone(),
        })
    }
}

/// Seconds since 1970 as RFC 3339.
pub(crate) fn time(seconds: Option<i64>) -> Option<String> {
    Timestamp::from_second(seconds?)
        .ok()
        .map(|time| time.to_string())
}

/// Seconds since 1970 of an RFC 3339 time.
pub(crate) fn seconds(time: &str, pointer: &str) -> Result<i64, ToolError> {
    let time: Result<Timestamp, _> = time.parse();
    time.map(Timestamp::as_second).map_err(|_| {
        ToolError::field(
            pointer,
            "time",
            "must be a time with offset (RFC 3339), such as 2026-09-15T18:00:00Z",
        )
    })
}

pub(crate) fn is_currency(code: &str) -> Result<(), ValidationError> {
    let holds = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    rule(
        holds,
        "currency",
        "must be an ISO 4217 code of three letters, such as USD",
    )
}

/// `https`, or `http` on this machine for development.
pub(crate) fn return_url(text: &str) -> Result<(), ValidationError> {
    let url = reqwest::Url::parse(&text.replace("{CHECKOUT_SESSION_ID}", "id"));
    let holds = url.is_ok_and(|url| {
        let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let is_plain =
            url.username().is_empty() && url.password().is_none() && url.host_str().is_some();
        is_plain && (url.scheme() == "https" || (url.scheme() == "http" && is_here))
    });
    rule(holds, "url", "must be an https address without user name")
}

/// An id of Stripe's, such as `pi_3Q…`.
pub(crate) fn stripe_id(text: &str) -> Result<(), ValidationError> {
    let holds = text.contains('_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    rule(
        holds,
        "id",
        "must be an id of Stripe's as another tool gave it",
    )
}

pub(crate) fn plain_id(text: &str) -> Result<(), ValidationError> {
    let holds = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    rule(holds, "id", "must have letters, digits, - and _ only")
}

pub(crate) fn printable(text: &str) -> Result<(), ValidationError> {
    let holds = text.bytes().all(|byte| byte.is_ascii_graphic());
    rule(holds, "printable", "must be printable ASCII without spaces")
}

/// Nothing that reads as a card number: 13 to 19 digits, perhaps with spaces or dashes, with the right check digit
/// (ISO/IEC 7812-1).
pub(crate) fn no_card_number(text: &str) -> Result<(), ValidationError> {
    let mut digits: Vec<u32> = Vec::new();
    let mut is_clean = true;
    for char in text.chars().chain(['.']) {
        match char.to_digit(10) {
            Some(digit) => digits.push(digit),
            None if matches!(char, ' ' | '-') => {}
            None => {
                is_clean &= !((13..=19).contains(&digits.len()) && checks(&digits));
                digits.clear();
            }
        }
    }
    rule(
        is_clean,
        "card_number",
        "must not hold a card number; people give it to Stripe alone",
    )
}

fn checks(digits: &[u32]) -> bool {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let weighed = digits.iter().rev().enumerate().map(|(index, digit)| {
        if index % 2 == 1 {
            doubled(*digit)
        } else {
            *digit
        }
    });
    weighed.sum::<u32>() % 10 == 0
}

fn rule(holds: bool, code: &'static str, words: &'static str) -> Result<(), ValidationError> {
    if holds {
        Ok(())
    } else {
        Err(ValidationError::new(code).with_message(words.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_seen_and_other_numbers_are_not() {
        assert!(no_card_number("card 4242 4242 4242 4242, thanks").is_err());
        assert!(no_card_number("4242424242424242").is_err());
        assert!(no_card_number("4242-4242-4242-4241").is_ok());
        assert!(no_card_number("Room 12, 15 September 2026, 120 guests").is_ok());
    }

    #[test]
    fn people_are_sent_back_by_https_only() {
        for good in [
            "https://planner.example/x?id={CHECKOUT_SESSION_ID}",
            "http://localhost:3000/",
            "http://127.0.0.1/",
        ] {
            assert!(return_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://planner.example/",
            "javascript:alert(1)",
            "https://a:b@planner.example/",
            "planner.example",
            "",
        ] {
            assert!(return_url(bad).is_err(), "{bad}");
        }
    }
}
