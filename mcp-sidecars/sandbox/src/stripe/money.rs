//! Currencies: which there are, their decimals, and the smallest amount that can be charged.

use super::error::ApiError;

/// The currencies of charges by card (<https://docs.stripe.com/currencies>).
const CURRENCIES: &str = "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp \
    byn bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd \
    hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk \
    mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar \
    sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx uyu uzs vnd vuv wst xaf xcd xof \
    xpf yer zar zmw";
const ZERO_DECIMAL: &str = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf";
const THREE_DECIMAL: &str = "bhd jod kwd omr tnd";
const LARGEST: i64 = 99_999_999;
const LEAST: [(&str, i64); 24] = [
    ("usd", 50),
    ("aed", 200),
    ("aud", 50),
    ("bgn", 100),
    ("brl", 50),
    ("cad", 50),
    ("chf", 50),
    ("czk", 1500),
    ("dkk", 250),
    ("eur", 50),
    ("gbp", 30),
    ("hkd", 400),
    ("huf", 17500),
    ("inr", 50),
    ("jpy", 50),
    ("mxn", 1000),
    ("myr", 200),
    ("nok", 300),
    ("nzd", 50),
    ("pln", 200),
    ("ron", 200),
    ("sek", 300),
    ("sgd", 50),
    ("thb", 1000),
];

/// The code in lower case, if there is such a currency.
pub(super) fn currency(text: &str) -> Option<String> {
    let code = text.to_ascii_lowercase();
    CURRENCIES
        .split_whitespace()
        .any(|known| known == code)
        .then_some(code)
}

/// Whether that much can be charged, in the currency's smallest unit.
pub(super) fn chargeable(amount: i64, currency: &str, param: &str) -> Result<(), ApiError> {
    let least = LEAST
        .iter()
        .find(|(code, _)| *code == currency)
        .map_or(1, |(_, least)| *least);
    if amount < least {
        let message = format!("The amount must be at least {}.", shown(least, currency));
        return Err(ApiError::invalid(message)
            .code("amount_too_small")
            .param(param));
    }
    if amount > LARGEST {
        let message = format!(
            "The amount must be no more than {}.",
            shown(LARGEST, currency)
        );
        return Err(ApiError::invalid(message)
            .code("amount_too_large")
            .param(param));
    }
    if contains(THREE_DECIMAL, currency) && amount % 10 != 0 {
        let message = "Amounts in currencies with three decimals must end in 0.";
        return Err(ApiError::invalid(message)
            .code("invalid_charge_amount")
            .param(param));
    }
    Ok(())
}

/// For people: `12.50 USD`, `1250 JPY`, `1.250 KWD`.
pub(super) fn shown(amount: i64, currency: &str) -> String {
    let decimals = if contains(ZERO_DECIMAL, currency) {
        0
    } else if contains(THREE_DECIMAL, currency) {
        3
    } else {
        2
    };
    let code = currency.to_ascii_uppercase();
    let digits = format!("{:0>width$}", amount.unsigned_abs(), width = decimals + 1);
    let (whole, part) = digits.split_at(digits.len() - decimals);
    let sign = if amount < 0 { "-" } else { "" };
    let point = if decimals == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{part} {code}")
}

fn contains(codes: &str, currency: &str) -> bool {
    codes.split_whitespace().any(|code| code == currency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        let cases = [
            (5, "usd"),
            (123_456, "eur"),
            (1250, "jpy"),
            (1250, "kwd"),
            (-7, "gbp"),
            (0, "usd"),
        ];
        let read = cases.map(|(amount, currency)| shown(amount, currency));
        assert_eq!(
            read,
            [
                "0.05 USD",
                "1234.56 EUR",
                "1250 JPY",
                "1.250 KWD",
                "-0.07 GBP",
                "0.00 USD"
            ]
        );
    }

    #[test]
    fn too_little_too_much_and_odd_thousandths_are_refused() {
        let is_taken = |amount, currency| chargeable(amount, currency, "amount").is_ok();
        assert!(
            is_taken(50, "usd")
                && is_taken(50, "jpy")
                && is_taken(1250, "kwd")
                && is_taken(LARGEST, "usd")
        );
        assert!(!is_taken(49, "usd") && !is_taken(LARGEST + 1, "usd") && !is_taken(1255, "kwd"));
        assert_eq!(
            (currency("EUR").as_deref(), currency("xxx")),
            (Some("eur"), None)
        );
    }
}
