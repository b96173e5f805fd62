//! How much one call may move, and in which currencies.

use std::{collections::BTreeMap, str::FromStr};

use anyhow::{Context, bail, ensure};
use mcp_kit::ToolError;
use serde_json::{Value, json};

use crate::settings::StripeSettings;

/// One limit: `USD=500000`, or `*=500000` for every currency that has none of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cap {
    /// In lower case; `None` is `*`.
    currency: Option<String>,
    amount: i64,
}

impl FromStr for Cap {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (currency, amount) = text
            .split_once('=')
            .context("write CURRENCY=AMOUNT, such as USD=500000")?;
        let amount = amount
            .trim()
            .parse()
            .context("the amount must be a whole number of the smallest unit")?;
        ensure!(amount >= 0, "the amount must not be negative");
        let currency = match currency.trim() {
            "*" => None,
            code if is_currency(code) => Some(code.to_ascii_lowercase()),
            code => bail!("{code} is no ISO 4217 code of three letters"),
        };
        Ok(Self { currency, amount })
    }
}

/// The limits of the settings.
#[derive(Debug)]
pub(crate) struct Limits {
    payments: BTreeMap<Option<String>, i64>,
    refunds: BTreeMap<Option<String>, i64>,
    /// In lower case; empty allows all.
    currencies: Vec<String>,
}

impl Limits {
    pub(crate) fn new(settings: &StripeSettings) -> anyhow::Result<Self> {
        let codes = settings.allowed_currencies.iter().map(|code| code.trim());
        for code in codes.clone() {
            ensure!(
                is_currency(code),
                "ALLOWED_CURRENCIES: {code} is no ISO 4217 code of three letters"
            );
        }
        let map = |caps: &[Cap]| {
            caps.iter()
                .map(|cap| (cap.currency.clone(), cap.amount))
                .collect()
        };
        Ok(Self {
            payments: map(&settings.max_amount),
            refunds: map(&settings.max_refund),
            currencies: codes.map(str::to_ascii_lowercase).collect(),
        })
    }

    /// Whether so much may be asked for. `pointer` is the argument that is too large.
    pub(crate) fn payment(
        &self,
        amount: i64,
        currency: &str,
        pointer: &str,
    ) -> Result<(), ToolError> {
        self.check(&self.payments, "MAX_AMOUNT", amount, currency, pointer)
    }

    /// Whether so much may be given back.
    pub(crate) fn refund(
        &self,
        amount: i64,
        currency: &str,
        pointer: &str,
    ) -> Result<(), ToolError> {
        self.check(&self.refunds, "MAX_REFUND", amount, currency, pointer)
    }

    fn check(
        &self,
        caps: &BTreeMap<Option<String>, i64>,
        setting: &str,
        amount: i64,
        currency: &str,
        pointer: &str,
    ) -> Result<(), ToolError> {
        let code = currency.to_ascii_lowercase();
        if !self.currencies.is_empty() && !self.currencies.contains(&code) {
            let message = format!(
                "{} is not among the currencies that this server takes (ALLOWED_CURRENCIES)",
                code.to_uppercase()
            );
            return Err(refused(message, "/currency", "currency_not_allowed", None));
        }
        let cap = caps.get(&Some(code.clone())).or_else(|| caps.get(&None));
        match cap {
            Some(cap) if amount <= *cap => Ok(()),
            Some(cap) => {
                let message = format!(
                    "{amount} {0} is more than the {cap} {0} that one call may move ({setting})",
                    code.to_uppercase()
                );
                Err(refused(message, pointer, "over_limit", Some(*cap)))
            }
            None => {
                let message = format!(
                    "{setting} has no limit for {}, so nothing may be moved in it",
                    code.to_uppercase()
                );
                Err(refused(message, "/currency", "currency_not_allowed", None))
            }
        }
    }

    /// For `capabilities`.
    pub(crate) fn notes(&self) -> Value {
        let shown = |caps: &BTreeMap<Option<String>, i64>| -> Value {
            let name = |code: &Option<String>| {
                code.as_deref()
                    .map_or_else(|| "*".to_owned(), str::to_uppercase)
            };
            caps.iter()
                .map(|(code, cap)| (name(code), Value::from(*cap)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let currencies: Vec<String> = self
            .currencies
            .iter()
            .map(|code| code.to_uppercase())
            .collect();
        json!({
            "amount_per_call": shown(&self.payments),
            "refund_per_call": shown(&self.refunds),
            "currencies": if currencies.is_empty() { Value::from("all") } else { currencies.into() },
        })
    }
}

fn refused(message: String, pointer: &str, code: &str, limit: Option<i64>) -> ToolError {
    let detail = json!({ "pointer": format!("#{pointer}"), "code": code, "detail": message, "limit": limit });
    ToolError::refused(message).with_details(json!({ "errors": [detail] }))
}

fn is_currency(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_are_read_to_the_letter() {
        let cap = |text: &str| {
            text.parse::<Cap>()
                .ok()
                .map(|cap| (cap.currency, cap.amount))
        };
        assert_eq!(cap("USD=500000"), Some((Some("usd".to_owned()), 500_000)));
        assert_eq!(cap("*=7"), Some((None, 7)));
        for bad in ["USD", "US=5", "USD=-1", "USD=5.5", "=5", "U$D=5"] {
            assert_eq!(cap(bad), None, "{bad}");
        }
    }
}
