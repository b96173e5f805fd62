//! Reading what clients send, more strictly than serde's derive does by itself: an object is an
//! object (derive also takes an array), a name comes once, and every fault has a stable code, a
//! pointer and words for people instead of the names of Rust types.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeOwned, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
        Visitor,
        value::{MapDeserializer, SeqDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use crate::problem::FieldError;

/// Reads a value; the error has a pointer into it.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, FieldError> {
    read(Strict {
        value,
        is_text: false,
    })
}

/// Reads the pairs of a query string: numbers and truth values are written as text, and a name may
/// come several times only where a list is taken.
pub fn from_pairs<T: DeserializeOwned>(pairs: &[(String, String)]) -> Result<T, FieldError> {
    let mut object = Map::new();
    for (name, value) in pairs {
        let values = object
            .entry(name)
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(values) = values {
            values.push(Value::String(value.clone()));
        }
    }
    read(Strict {
        value: Value::Object(object),
        is_text: true,
    })
}

/// JSON in which no object has one name twice.
pub struct Unique(pub Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        let mut names = HashSet::new();
        while let Some((name, Unique(value))) = entries.next_entry::<String, Unique>()? {
            if !names.insert(name.clone()) {
                return Err(de::Error::custom(format_args!(
                    "the name {name:?} comes twice in one object"
                )));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

fn read<T: DeserializeOwned>(strict: Strict) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(strict).map_err(|error| {
        let mut pointer = String::from("#");
        for segment in error.path() {
            let name = match segment {
                Segment::Seq { index } => index.to_string(),
                Segment::Map { key } => escape(key),
                Segment::Enum { .. } | Segment::Unknown => continue,
            };
            pointer.push('/');
            pointer.push_str(&name);
        }
        let fault = error.into_inner();
        if let Some(field) = fault.missing {
            pointer.push('/');
            pointer.push_str(&escape(field));
        }
        FieldError {
            pointer: Some(pointer),
            parameter: None,
            code: fault.code.into(),
            detail: fault.detail,
        }
    })
}

/// RFC 6901: `~` and `/` inside a name.
pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A value to read. In a query string (`is_text`) every value is a list of texts.
struct Strict {
    value: Value,
    is_text: bool,
}

impl Strict {
    /// The one text of a query parameter.
    fn text(self) -> Result<String, Fault> {
        match self.value {
            Value::String(text) => Ok(text),
            Value::Array(values) => match <[Value; 1]>::try_from(values) {
                Ok([Value::String(text)]) => Ok(text),
                _ => Err(Fault::new("repeated", "is given more than once")),
            },
            _ => Err(Fault::new("type", "must be text")),
        }
    }

    fn number<T: std::str::FromStr>(self, name: &'static str) -> Result<T, Fault> {
        let text = self.text()?;
        text.parse()
            .map_err(|_| Fault::new("type", format!("must be {name}")))
    }
}

impl IntoDeserializer<'_, Fault> for Strict {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The integers of a query string; JSON has its own.
macro_rules! integers {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            if !self.is_text {
                return self.deserialize_any(visitor);
            }
            visitor.$visit(self.number::<$type>("an integer in its range")?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Strict {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let is_text = self.is_text;
        let strict = move |value| Strict { value, is_text };
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (.., number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(_) if is_text => visitor.visit_string(self.text()?),
            Value::Array(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(strict)))
            }
            Value::Object(entries) => {
                let entries = entries
                    .into_iter()
                    .map(|(name, value)| (name, strict(value)));
                visitor.visit_map(MapDeserializer::new(entries))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.value.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.value {
            Value::Object(_) => self.deserialize_any(visitor),
            _ => Err(Fault::new("type", "must be an object")),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Array(items) => {
                let is_text = self.is_text;
                visitor.visit_seq(SeqDeserializer::new(
                    items.into_iter().map(|value| Strict { value, is_text }),
                ))
            }
            _ => Err(Fault::new("type", "must be an array")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let text = match &self.value {
            Value::String(_) => self.text()?,
            Value::Array(_) if self.is_text => self.text()?,
            _ => {
                return Err(Fault::new(
                    "type",
                    format!("must be one of {}", variants.join(", ")),
                ));
            }
        };
        let text: StrDeserializer<'_, Fault> = text.as_str().into_deserializer();
        text.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if !self.is_text {
            return self.deserialize_any(visitor);
        }
        match self.text()?.as_str() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(Fault::new("type", "must be true or false")),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if !self.is_text {
            return self.deserialize_any(visitor);
        }
        let number = self.number::<f64>("a number")?;
        if !number.is_finite() {
            return Err(Fault::new("type", "must be a number"));
        }
        visitor.visit_f64(number)
    }

    integers! {
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
    }

    forward_to_deserialize_any! {
        i8 i128 u8 u128 f32 char str string bytes byte_buf unit unit_struct tuple tuple_struct map identifier
        ignored_any
    }
}

/// What is wrong with a value, in our words.
#[derive(Debug)]
struct Fault {
    code: &'static str,
    detail: String,
    /// The name that is not there.
    missing: Option<&'static str>,
}

impl Fault {
    fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            missing: None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new("invalid", message.to_string())
    }

    fn invalid_type(_: Unexpected, expected: &dyn Expected) -> Self {
        Self::new(
            "type",
            format!("must be {}", in_words(&expected.to_string())),
        )
    }

    fn invalid_value(_: Unexpected, expected: &dyn Expected) -> Self {
        Self::new(
            "range",
            format!("must be {} in its range", in_words(&expected.to_string())),
        )
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new("enum", format!("must be one of {}", expected.join(", ")))
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self::new("unknown_field", "unknown field")
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            missing: Some(field),
            ..Self::new("required", "is required")
        }
    }
}

/// What a visitor expects, in words that are not Rust's.
fn in_words(expected: &str) -> &str {
    match expected {
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" => "an integer",
        "f32" | "f64" => "a number",
        "a sequence" => "an array",
        "a map" => "an object",
        "a string" | "a borrowed string" | "string" => "a string",
        other if other.starts_with("struct ") => "an object",
        other if other.contains("UUID") => "a UUID",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        name: String,
        size: Option<i32>,
        #[serde(default)]
        words: Vec<String>,
        #[serde(default)]
        kind: Option<Kind>,
        #[serde(default)]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "UPPERCASE")]
    enum Kind {
        Small,
        Large,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        on: bool,
    }

    fn fault(value: Value) -> (String, String, String) {
        let error = from_value::<Thing>(value).unwrap_err();
        (
            error.pointer.unwrap(),
            error.code.into_owned(),
            error.detail,
        )
    }

    #[test]
    fn every_fault_has_a_pointer_a_code_and_words() {
        let told = |value, pointer: &str, code: &str, detail: &str| {
            assert_eq!(fault(value), (pointer.into(), code.into(), detail.into()));
        };
        told(json!({}), "#/name", "required", "is required");
        told(
            json!({"name": "a", "x/y": 1}),
            "#/x~1y",
            "unknown_field",
            "unknown field",
        );
        told(json!({"name": 5}), "#/name", "type", "must be a string");
        told(
            json!({"name": "a", "size": "5"}),
            "#/size",
            "type",
            "must be an integer",
        );
        told(
            json!({"name": "a", "size": 5_000_000_000_i64}),
            "#/size",
            "range",
            "must be an integer in its range",
        );
        told(
            json!({"name": "a", "kind": "HUGE"}),
            "#/kind",
            "enum",
            "must be one of SMALL, LARGE",
        );
        told(
            json!({"name": "a", "kind": 5}),
            "#/kind",
            "type",
            "must be one of SMALL, LARGE",
        );
        told(
            json!({"name": "a", "words": ["b", 1]}),
            "#/words/1",
            "type",
            "must be a string",
        );
        told(
            json!({"name": "a", "inner": {}}),
            "#/inner/on",
            "required",
            "is required",
        );
        told(
            json!({"name": "a", "inner": [true]}),
            "#/inner",
            "type",
            "must be an object",
        );
        told(json!(["a", 5]), "#", "type", "must be an object");
    }

    #[test]
    fn a_query_is_text_that_means_numbers() {
        let pairs = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect();
            from_pairs::<Thing>(&pairs)
        };
        let thing = pairs(&[
            ("name", "5"),
            ("size", "7"),
            ("words", "a"),
            ("words", "b"),
            ("kind", "LARGE"),
        ])
        .unwrap();
        assert_eq!(
            (thing.name.as_str(), thing.size, thing.words.len()),
            ("5", Some(7), 2)
        );
        assert_eq!(thing.kind, Some(Kind::Large));
        assert_eq!(
            pairs(&[("name", "a"), ("name", "b")]).unwrap_err().code,
            "repeated"
        );
        assert_eq!(
            pairs(&[("name", "a"), ("size", "x")]).unwrap_err().detail,
            "must be an integer in its range"
        );
        assert_eq!(
            pairs(&[("name", "a"), ("colour", "x")]).unwrap_err().code,
            "unknown_field"
        );
    }

    #[test]
    fn a_name_comes_once() {
        assert!(serde_json::from_str::<Unique>(r#"{"a": 1, "b": {"a": 2}}"#).is_ok());
        let error = serde_json::from_str::<Unique>(r#"{"a": 1, "a": 2}"#)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("comes twice"), "{error}");
    }
}
