//! JSON in which no object has a name twice: what the second means is nobody's guess (RFC 8259, section 4).

use std::fmt;

use rmcp::model::JsonObject;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// The one object that the text must be.
pub(crate) fn object(text: &[u8]) -> Result<JsonObject, String> {
    let value: Result<Unique, _> = serde_json::from_slice(text);
    match value.map_err(|error| error.to_string())?.0 {
        Value::Object(object) => Ok(object),
        _ => Err("it is something else".to_owned()),
    }
}

struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                let words = format!("the member {name:?} comes twice");
                return Err(Error::custom(words));
            }
            let Unique(value) = members.next_value()?;
            object.insert(name, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_is_what_serde_json_reads() {
        let text = br#"{"a": [1, -1, 1.5, 1e300, 18446744073709551615, true, null, "\u00e4"], "b": {"a": {}}}"#;
        let plain: Value = serde_json::from_slice(text).unwrap();
        assert_eq!(Value::Object(object(text).unwrap()), plain);
        for wrong in ["", "[]", "null", "{", "{} {}", r#"{"a": 1e999}"#] {
            assert!(object(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_comes_once_at_any_depth() {
        for twice in [
            r#"{"b": 1, "b": 1}"#,
            r#"{"a": [{"x": {"b": 1, "c": 2, "b": 3}}]}"#,
            r#"{"b": 1, "\u0062": 1}"#,
        ] {
            let error = object(twice.as_bytes()).unwrap_err();
            assert!(error.contains(r#"the member "b" comes twice"#), "{error}");
        }
        let apart = object(br#"{"b": {"b": 1}, "c": [{"b": 1}, {"b": 1}]}"#).unwrap();
        assert_eq!(apart["c"], json!([{ "b": 1 }, { "b": 1 }]));
    }
}
