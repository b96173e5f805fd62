//! Money: integers in minor units, with their currency, end to end.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

/// The largest amount accepted anywhere, in minor units: sums of many lines stay far inside an `i64`.
pub const MAX_AMOUNT: i64 = 100_000_000_000;

/// An amount of money. `amount` is in the currency's minor unit (cents for USD, yen for JPY).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema, sqlx::Type,
)]
#[serde(deny_unknown_fields)]
#[sqlx(type_name = "price")]
#[schema(example = json!({"amount": 12_345, "currency": "USD"}))]
pub struct Money {
    /// Minor units of the currency, never negative.
    #[validate(range(min = 0, max = MAX_AMOUNT))]
    /// In a request at most 100,000,000,000; sums in answers may be larger.
    #[schema(minimum = 0, maximum = 1_000_000_000_000_000_i64)]
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: Currency,
}

impl Money {
    pub fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }
}

/// `1,234.50 USD`: for people, in messages and reasons.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.currency.minor_digits();
        let unit = 10_i64.pow(digits);
        let sign = if self.amount < 0 { "-" } else { "" };
        let whole = group_thousands(self.amount.abs() / unit);
        let currency = self.currency;
        if digits == 0 {
            return write!(f, "{sign}{whole} {currency}");
        }
        let width = digits as usize;
        write!(
            f,
            "{sign}{whole}.{:0width$} {currency}",
            self.amount.abs() % unit
        )
    }
}

/// The currencies in use (ISO 4217), without funds, metals and test codes.
const CURRENCIES: &str = "\
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN \
    BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL \
    GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF \
    KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN \
    MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD \
    SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH \
    UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG";

/// An ISO 4217 currency code: three upper-case letters, of a currency in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, pattern = "^[A-Z]{3}$", example = "USD")]
pub struct Currency([u8; 3]);

impl Currency {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Decimal digits of the minor unit (ISO 4217): 0 for JPY, 3 for KWD, else 2.
    pub fn minor_digits(self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG"
            | b"RWF" | b"UGX" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }
}

impl FromStr for Currency {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = text.len() == 3 && CURRENCIES.split(' ').any(|code| code == text);
        match text.as_bytes().try_into() {
            Ok(code) if known => Ok(Self(code)),
            _ => Err("must be the ISO 4217 code of a currency, such as USD"),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl sqlx::Type<sqlx::Postgres> for Currency {
    fn type_info() -> sqlx::postgres::PgTypeInfo {
        <String as sqlx::Type<sqlx::Postgres>>::type_info()
    }

    fn compatible(ty: &sqlx::postgres::PgTypeInfo) -> bool {
        <String as sqlx::Type<sqlx::Postgres>>::compatible(ty)
    }
}

impl sqlx::Encode<'_, sqlx::Postgres> for Currency {
    fn encode_by_ref(
        &self,
        buffer: &mut sqlx::postgres::PgArgumentBuffer,
    ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
        <&str as sqlx::Encode<sqlx::Postgres>>::encode(self.as_str(), buffer)
    }
}

impl<'r> sqlx::Decode<'r, sqlx::Postgres> for Currency {
    fn decode(value: sqlx::postgres::PgValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
        Ok(<&str as sqlx::Decode<sqlx::Postgres>>::decode(value)?.parse()?)
    }
}

/// Validates a price that is multiplied by guests: at most 1,000,000 in a currency with cents, so
/// that every sum stays an integer that JSON readers keep exactly.
pub fn per_guest(price: &Money) -> Result<(), ValidationError> {
    if price.amount <= 100_000_000 {
        return Ok(());
    }
    Err(ValidationError::new("range").with_message("must be at most 100000000 per guest".into()))
}

/// A share in basis points of an amount, rounded half up to the minor unit.
///
/// `share(1_005, 1_000)` is 10 % of 10.05, which is 1.005, so 1.01: `101`.
pub fn share(amount: i64, basis_points: i32) -> i64 {
    divide_half_up(i128::from(amount) * i128::from(basis_points), 10_000)
}

/// `numerator / denominator`, rounded half up; for amounts that are never negative.
pub fn divide_half_up(numerator: i128, denominator: i128) -> i64 {
    i64::try_from((numerator + denominator / 2) / denominator).unwrap_or(i64::MAX)
}

/// The first price whose currency differs from the first one's is an error on that field:
/// all prices of one thing are in one currency.
pub fn one_currency<'a>(
    prices: impl IntoIterator<Item = &'a Money>,
) -> Result<(), ValidationError> {
    let mut prices = prices.into_iter();
    let first = prices.next().map(|price| price.currency);
    match prices.find(|price| Some(price.currency) != first) {
        None => Ok(()),
        Some(_) => Err(ValidationError::new("one_currency")
            .with_message("all prices must be in the same currency".into())),
    }
}

fn group_thousands(number: i64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_rounds_half_up() {
        assert_eq!(share(1_005, 1_000), 101);
        assert_eq!(share(1_004, 1_000), 100);
        assert_eq!(share(0, 10_000), 0);
    }

    #[test]
    fn money_prints_with_the_digits_of_its_currency() {
        let print = |amount, code: &str| Money::new(amount, code.parse().unwrap()).to_string();
        assert_eq!(print(123_450, "USD"), "1,234.50 USD");
        assert_eq!(print(1_234_567, "JPY"), "1,234,567 JPY");
        assert_eq!(print(1_001, "KWD"), "1.001 KWD");
    }

    #[test]
    fn a_currency_is_three_capital_letters() {
        for wrong in ["usd", "US", "USDX", "U5D", "ABC", "D A", ""] {
            assert!(wrong.parse::<Currency>().is_err(), "{wrong}");
        }
    }
}
