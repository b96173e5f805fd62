//! One cell of a CSV file, to and from the JSON that the API speaks.

use serde_json::{Map, Value, json};

use crate::money::Currency;

/// A column: the field of the same name, and how its cells are written.
#[derive(Debug)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// An import must have it, and no cell of it may be empty.
    pub required: bool,
}

impl Column {
    pub const fn required(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            required: true,
        }
    }

    pub const fn optional(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            required: false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Kept as written.
    Text,
    /// A short name such as a time zone: surrounding space does not count.
    Code,
    /// The currency of all money in the row.
    Currency,
    Integer,
    Decimal,
    /// `true` or `false`.
    Flag,
    /// `a|b|c`.
    Words,
    /// Major units: `1250.00`.
    Money,
    /// `days_before:fee_bps|…`.
    Terms,
}

/// What the cells of a row need to know of each other and of the file.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    pub currency: Option<Currency>,
    /// `1250,00` is a number too.
    pub decimal_comma: bool,
}

/// Code and explanation of a cell that cannot be read.
pub type Fault = (&'static str, String);

/// The value of a filled cell.
pub fn parse(kind: Kind, cell: &str, context: Context) -> Result<Value, Fault> {
    if cell.contains('\0') {
        return Err(("text", "must not contain the character U+0000".into()));
    }
    let trimmed = cell.trim();
    match kind {
        Kind::Text => Ok(cell.into()),
        Kind::Code | Kind::Currency => Ok(trimmed.into()),
        Kind::Integer => {
            let number: Option<i64> = trimmed.parse().ok();
            number
                .map(Value::from)
                .ok_or_else(|| ("integer", "must be a whole number".into()))
        }
        Kind::Decimal => {
            let number: Option<f64> = point(trimmed, context).parse().ok();
            let number = number.filter(|number| number.is_finite());
            number
                .map(Value::from)
                .ok_or_else(|| ("number", "must be a number such as 37.7796".into()))
        }
        Kind::Flag => match trimmed.to_ascii_lowercase().as_str() {
            "true" => Ok(true.into()),
            "false" => Ok(false.into()),
            _ => Err(("flag", "must be true or false".into())),
        },
        Kind::Words => {
            let words = trimmed
                .split('|')
                .map(str::trim)
                .filter(|word| !word.is_empty());
            Ok(words.collect::<Vec<_>>().into())
        }
        Kind::Money => money(&point(trimmed, context), context.currency),
        Kind::Terms => trimmed.split('|').map(term).collect(),
    }
}

/// The cell of a field; empty for null.
pub fn render(kind: Kind, value: &Value) -> String {
    match (kind, value) {
        (_, Value::Null) => String::new(),
        (Kind::Words, Value::Array(words)) => {
            joined(words.iter().filter_map(Value::as_str).map(str::to_owned))
        }
        (Kind::Terms, Value::Array(terms)) => joined(
            terms
                .iter()
                .map(|term| format!("{}:{}", term["days_before"], term["fee_bps"])),
        ),
        (Kind::Money, price) => {
            let currency: Option<Currency> = price["currency"]
                .as_str()
                .and_then(|code| code.parse().ok());
            let digits = currency.map_or(2, Currency::minor_digits);
            decimal(price["amount"].as_i64().unwrap_or_default(), digits)
        }
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}

/// The code of the row's currency, from any of its prices.
pub fn currency_of(columns: &[Column], fields: &Map<String, Value>) -> Value {
    let prices = columns.iter().filter(|column| column.kind == Kind::Money);
    let code = prices
        .filter_map(|column| fields.get(column.name))
        .find_map(|price| price["currency"].as_str());
    code.into()
}

/// Keeps spreadsheet programs from running a cell as a formula: an apostrophe goes before `=`, `+`,
/// `-`, `@`, tab and carriage return, unless the cell is a plain number.
pub fn neutralise(cell: String) -> String {
    if is_dangerous(cell.trim_start_matches('\'')) && !is_number(&cell) {
        return format!("'{cell}");
    }
    cell
}

/// Undoes `neutralise`, exactly.
pub fn restore(cell: &str) -> &str {
    cell.strip_prefix('\'')
        .filter(|rest| is_dangerous(rest.trim_start_matches('\'')))
        .unwrap_or(cell)
}

fn is_dangerous(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    !digits.is_empty()
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("|")
}

fn point(cell: &str, context: Context) -> String {
    if context.decimal_comma {
        cell.replacen(',', ".", 1)
    } else {
        cell.to_owned()
    }
}

fn term(step: &str) -> Result<Value, Fault> {
    let numbers = step.split_once(':').and_then(|(days, fee)| {
        Some((
            days.trim().parse::<i32>().ok()?,
            fee.trim().parse::<i32>().ok()?,
        ))
    });
    let (days_before, fee_bps) = numbers.ok_or_else(|| {
        (
            "terms",
            "must be days_before:fee_bps|… such as 30:0|14:5000".to_owned(),
        )
    })?;
    Ok(json!({"days_before": days_before, "fee_bps": fee_bps}))
}

fn money(cell: &str, currency: Option<Currency>) -> Result<Value, Fault> {
    // The cell of the currency has its own error.
    let Some(currency) = currency else {
        return Ok(Value::Null);
    };
    let amount = minor_units(cell, currency)?;
    Ok(json!({"amount": amount, "currency": currency}))
}

/// A decimal in major units as minor units, exactly.
fn minor_units(cell: &str, currency: Currency) -> Result<i64, Fault> {
    let places = currency.minor_digits();
    let (whole, fraction) = cell.split_once('.').unwrap_or((cell, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err((
            "money",
            format!(
                "must be an amount in {currency} such as {}",
                decimal(125_000, places)
            ),
        ));
    }
    let count = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
    let Some(missing) = places.checked_sub(count) else {
        return Err(("money", format!("{currency} has {places} decimals")));
    };
    let digits = format!("{whole}{fraction}").parse::<i64>().ok();
    let amount = digits.and_then(|digits| digits.checked_mul(10_i64.pow(missing)));
    amount.ok_or_else(|| ("money", "is too large".to_owned()))
}

/// Minor units as a decimal in major units: `1250.00`.
fn decimal(amount: i64, places: u32) -> String {
    let unit = 10_i64.pow(places);
    match places as usize {
        0 => amount.to_string(),
        width => format!("{}.{:0width$}", amount / unit, amount % unit),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(cell: &str, currency: &str, decimal_comma: bool) -> Result<i64, String> {
        let context = Context {
            currency: currency.parse().ok(),
            decimal_comma,
        };
        let price = parse(Kind::Money, cell, context).map_err(|(_, detail)| detail)?;
        Ok(price["amount"].as_i64().unwrap())
    }

    #[test]
    fn money_is_converted_exactly() {
        assert_eq!(read("1250.00", "USD", false), Ok(125_000));
        assert_eq!(read(" 0.1 ", "USD", false), Ok(10));
        assert_eq!(read("180000", "JPY", false), Ok(180_000));
        assert_eq!(read("1.005", "KWD", false), Ok(1_005));
        assert_eq!(read("12,50", "EUR", true), Ok(1_250));
    }

    #[test]
    fn what_is_no_exact_amount_is_refused() {
        for cell in [
            "1.005",
            "1,00",
            "1.000,00",
            "-5",
            "+5",
            "5 USD",
            "1e3",
            ".",
            ".5",
            "99999999999999999999",
        ] {
            assert!(read(cell, "USD", false).is_err(), "{cell}");
        }
        assert!(read("1.000,50", "EUR", true).is_err());
        assert_eq!(read("1.0", "JPY", false), Err("JPY has 0 decimals".into()));
    }

    #[test]
    fn formulas_are_neutralised_and_numbers_are_not() {
        for (cell, safe) in [
            ("=1+1", "'=1+1"),
            ("-2+3", "'-2+3"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("'=1", "''=1"),
            ("'quoted'", "'quoted'"),
            ("-122.4", "-122.4"),
            ("plain", "plain"),
        ] {
            assert_eq!(neutralise(cell.to_owned()), safe);
        }
    }

    proptest! {
        #[test]
        fn neutralising_is_undone_exactly(cell in "['=+@\\-a1.\t]{0,6}") {
            let safe = neutralise(cell.clone());
            prop_assert_eq!(restore(&safe), cell);
        }

        #[test]
        fn an_amount_survives_the_round_trip(amount in 0..=crate::money::MAX_AMOUNT, currency in "USD|JPY|KWD") {
            let price = json!({"amount": amount, "currency": currency});
            prop_assert_eq!(read(&render(Kind::Money, &price), &currency, false), Ok(amount));
        }
    }
}
