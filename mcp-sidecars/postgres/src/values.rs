//! Values of Postgres, in its text form, as JSON.

use serde_json::{Number, Value};
use tokio_postgres::types::{Kind, Type};

use crate::literals::array_value;

/// Longest text of one value, in bytes; what is longer is cut.
pub(crate) const LONGEST_CELL: usize = 16 * 1024;
/// Integers up to here are the same in every JSON reader (RFC 8259, section 6).
const SAFE_INTEGER: i64 = (1 << 53) - 1;
/// As many digits as a double always keeps.
const SAFE_DIGITS: usize = 15;

/// One value of a row.
pub(crate) struct Cell {
    pub(crate) value: Value,
    pub(crate) is_cut: bool,
    /// Its length as JSON, in bytes.
    pub(crate) json_len: usize,
}

/// A value from its text; a text that is too long is cut and says so.
pub(crate) fn cell(text: Option<&str>, ty: &Type) -> Cell {
    let is_cut = text.is_some_and(|text| text.len() > LONGEST_CELL);
    let value = match text {
        Some(text) if is_cut => {
            let end = text.floor_char_boundary(LONGEST_CELL);
            format!("{}… [cut: {} bytes in all]", &text[..end], text.len()).into()
        }
        _ => value(text, ty),
    };
    let json_len = length(&value);
    Cell {
        value,
        is_cut,
        json_len,
    }
}

fn value(text: Option<&str>, ty: &Type) -> Value {
    let Some(text) = text else {
        return Value::Null;
    };
    if let Kind::Array(item) = ty.kind() {
        // Arrays that are written otherwise (of boxes: with semicolons) stay text.
        return array_value(text, &|text| value(text, item)).unwrap_or_else(|| text.into());
    }
    match *ty {
        Type::BOOL => (text == "t").into(),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => integer(text),
        Type::FLOAT4 | Type::FLOAT8 => float(text),
        Type::JSON | Type::JSONB => json(text),
        Type::TIMESTAMP => text.replacen(' ', "T", 1).into(),
        Type::TIMESTAMPTZ => instant(text).into(),
        _ => text.into(),
    }
}

fn integer(text: &str) -> Value {
    let exact = text
        .parse::<i64>()
        .ok()
        .filter(|number| (-SAFE_INTEGER..=SAFE_INTEGER).contains(number));
    exact.map_or_else(|| text.into(), Value::from)
}

/// NaN and the infinities are no JSON numbers, hence text.
fn float(text: &str) -> Value {
    let number = text.parse().ok().and_then(Number::from_f64);
    number.map_or_else(|| text.into(), Value::Number)
}

/// JSON as it is, unless a number in it would change: then its text.
fn json(text: &str) -> Value {
    if has_long_number(text) {
        return text.into();
    }
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

fn has_long_number(text: &str) -> bool {
    let (mut is_string, mut is_escaped, mut digits) = (false, false, 0);
    for byte in text.bytes() {
        if is_string {
            is_string = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => is_string = true,
            b'0'..=b'9' => digits += 1,
            // A number with an exponent may be too large for a double.
            b'e' | b'E' if digits > 0 => return true,
            b'.' => {}
            _ => digits = 0,
        }
        if digits > SAFE_DIGITS {
            return true;
        }
    }
    false
}

/// RFC 3339; `infinity` and years before Christ stay as Postgres writes them.
fn instant(text: &str) -> String {
    match text.strip_suffix("+00") {
        Some(utc) => format!("{}Z", utc.replacen(' ', "T", 1)),
        None => text.to_owned(),
    }
}

/// The length as JSON without writing it out.
fn length(value: &Value) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // Counting cannot fail, and a value has string keys only.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_never_lose_a_digit() {
        for (text, ty, expected) in [
            (
                "9007199254740991",
                Type::INT8,
                json!(9_007_199_254_740_991_i64),
            ),
            ("9007199254740992", Type::INT8, json!("9007199254740992")),
            (
                "-9223372036854775808",
                Type::INT8,
                json!("-9223372036854775808"),
            ),
            ("0.10", Type::NUMERIC, json!("0.10")),
            ("0.1", Type::FLOAT8, json!(0.1)),
            ("Infinity", Type::FLOAT8, json!("Infinity")),
            (
                "{\"a\": 123456789012345}",
                Type::JSONB,
                json!({ "a": 123_456_789_012_345_i64 }),
            ),
            (
                "{\"a\": 1234567890123456}",
                Type::JSONB,
                json!("{\"a\": 1234567890123456}"),
            ),
            (
                "[\"1234567890123456789\\\"\"]",
                Type::JSON,
                json!(["1234567890123456789\""]),
            ),
            ("1e400", Type::JSON, json!("1e400")),
            ("{1,NULL}", Type::INT8_ARRAY, json!([1, null])),
        ] {
            assert_eq!(value(Some(text), &ty), expected, "{text}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        let text = "ä".repeat(LONGEST_CELL);
        let cut = cell(Some(&text), &Type::TEXT);
        let shown = cut.value.as_str().unwrap();
        assert!(
            cut.is_cut && shown.ends_with("… [cut: 32768 bytes in all]"),
            "{}",
            &shown[shown.len() - 40..]
        );
        assert_eq!(cut.json_len, cut.value.to_string().len());
        assert!(!cell(Some(&"x".repeat(LONGEST_CELL)), &Type::TEXT).is_cut);
    }
}
