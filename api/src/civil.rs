//! Dates and wall times as we take them: ISO 8601, extended form, nothing else. jiff's own parser
//! also takes an offset or a longer text and leaves away what it does not need, which would turn
//! somebody's mistake into a wrong time.

use jiff::civil::{Date, DateTime, Time};
use serde::{Deserialize, Deserializer, de::Error};

/// `2027-06-12`.
pub fn date<'de, D: Deserializer<'de>, T: From<Date>>(deserializer: D) -> Result<T, D::Error> {
    parse::<Date, D>(&String::deserialize(deserializer)?, &["dddd-dd-dd"]).map(T::from)
}

/// `2027-06-12`, or null.
pub fn optional_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| parse::<Date, D>(&text, &["dddd-dd-dd"]))
        .transpose()
}

/// `18:00` or `18:00:00`.
pub fn time<'de, D: Deserializer<'de>, T: From<Time>>(deserializer: D) -> Result<T, D::Error> {
    parse::<Time, D>(&String::deserialize(deserializer)?, &["dd:dd", "dd:dd:dd"]).map(T::from)
}

/// `2027-06-12T18:00` or `2027-06-12T18:00:00`, without offset.
pub fn date_time<'de, D: Deserializer<'de>, T: From<DateTime>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let shapes = ["dddd-dd-ddTdd:dd", "dddd-dd-ddTdd:dd:dd"];
    parse::<DateTime, D>(&String::deserialize(deserializer)?, &shapes).map(T::from)
}

fn parse<'de, T: std::str::FromStr, D: Deserializer<'de>>(
    text: &str,
    shapes: &[&str],
) -> Result<T, D::Error> {
    let fits = |shape: &str| {
        let pairs = text.bytes().zip(shape.bytes());
        let mut matches = pairs.map(|(byte, wanted)| {
            if wanted == b'd' {
                byte.is_ascii_digit()
            } else {
                byte == wanted
            }
        });
        text.len() == shape.len() && matches.all(|matches| matches)
    };
    let parsed = shapes
        .iter()
        .any(|shape| fits(shape))
        .then(|| text.parse().ok())
        .flatten();
    parsed.ok_or_else(|| {
        let shapes = shapes
            .join(" or ")
            .replace("dddd", "YYYY")
            .replacen("-dd-dd", "-MM-DD", 2)
            .replace("dd", "00");
        D::Error::custom(format!("must be a real date or time written {shapes}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_plain_form_is_taken() {
        assert!(date::<_, Date>(json!("2027-06-12")).is_ok());
        assert!(time::<_, Time>(json!("18:00")).is_ok());
        assert!(date_time::<_, DateTime>(json!("2027-06-12T18:00:30")).is_ok());
        assert_eq!(optional_date(json!(null)).unwrap(), None);
        for wrong in [
            "2027-06-12T18:00",
            "20270612",
            "2027-6-12",
            "2027-02-30",
            "+002027-06-12",
            "",
        ] {
            assert!(date::<_, Date>(json!(wrong)).is_err(), "{wrong}");
        }
        for wrong in [
            "18:00:00-18:39",
            "T18:00",
            "25:00",
            "18",
            "18:00:00.5",
            "6:00",
        ] {
            assert!(time::<_, Time>(json!(wrong)).is_err(), "{wrong}");
        }
        for wrong in [
            "2027-06-12T18:00:00-05:00",
            "2027-06-12T18:00:00Z",
            "2027-06-12",
            "2027-06-12 18:00",
        ] {
            assert!(date_time::<_, DateTime>(json!(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_error_shows_the_form() {
        let error = date_time::<_, DateTime>(json!("tomorrow"))
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "must be a real date or time written YYYY-MM-DDT00:00 or YYYY-MM-DDT00:00:00"
        );
    }
}
