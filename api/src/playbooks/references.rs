//! References in a step's inputs: `${event.title}`, `${steps.folder.output.file.id}`, `${request.city:-somewhere}`. A
//! path and a default, no code. A text that is one reference becomes what it names, whatever its type; within a longer
//! text it is written out. `$${` stands for `${`.

use serde_json::{Map, Value};

/// Most bytes that references bring into a step's inputs, in all.
const LARGEST: usize = 1024 * 1024;

/// What a text is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Reference(Reference),
}

/// The path of a value, and the text that stands for it where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub path: Vec<String>,
    default: Option<String>,
}

/// The inputs with each reference replaced by what `context` has there.
///
/// # Errors
/// Names the first reference that has no value, or that makes the whole larger than 1 MiB.
pub fn resolve(inputs: &Map<String, Value>, context: &Value) -> Result<Map<String, Value>, String> {
    Resolver::new(context).object(inputs)
}

/// One text with its references replaced.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_text(text: &str, context: &Value) -> Result<Value, String> {
    Resolver::new(context).text(text)
}

struct Resolver<'a> {
    context: &'a Value,
    /// Bytes that may still be put in: a few lines can name a large output very often.
    room: usize,
}

impl<'a> Resolver<'a> {
    fn new(context: &'a Value) -> Self {
        let room = LARGEST;
        Self { context, room }
    }

    fn object(&mut self, fields: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        let resolved = fields.iter();
        resolved
            .map(|(name, value)| Ok((name.clone(), self.value(value)?)))
            .collect()
    }

    fn value(&mut self, value: &Value) -> Result<Value, String> {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                let items = items.iter().map(|item| self.value(item));
                items.collect::<Result<_, _>>().map(Value::Array)
            }
            Value::Object(fields) => self.object(fields).map(Value::Object),
            other => Ok(other.clone()),
        }
    }

    fn text(&mut self, text: &str) -> Result<Value, String> {
        let parts = parse(text)?;
        if let [Part::Reference(reference)] = parts.as_slice() {
            return self.take(reference);
        }
        let mut whole = String::new();
        for part in &parts {
            match part {
                Part::Text(text) => whole.push_str(text),
                Part::Reference(reference) => match self.take(reference)? {
                    Value::String(text) => whole.push_str(&text),
                    value @ (Value::Bool(_) | Value::Number(_)) => {
                        whole.push_str(&value.to_string());
                    }
                    _ => return Err(format!("`{}` is no text", reference.path.join("."))),
                },
            }
        }
        Ok(Value::String(whole))
    }

    fn take(&mut self, reference: &Reference) -> Result<Value, String> {
        let value = reference.value(self.context)?;
        let left = self.room.checked_sub(size(&value));
        self.room = left.ok_or_else(|| {
            let path = reference.path.join(".");
            format!("with `{path}` the inputs are larger than {LARGEST} bytes")
        })?;
        Ok(value)
    }
}

/// About the bytes of its text.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum::<usize>() + items.len(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| name.len() + size(field))
            .sum(),
        _ => 8,
    }
}

/// Calls `found` with the JSON pointer and the reference of each one in the inputs, or with what is wrong there.
pub fn visit(
    value: &Value,
    pointer: &str,
    found: &mut impl FnMut(&str, Result<Reference, String>),
) {
    match value {
        Value::String(text) => match parse(text) {
            Ok(parts) => {
                for part in parts {
                    if let Part::Reference(reference) = part {
                        found(pointer, Ok(reference));
                    }
                }
            }
            Err(wrong) => found(pointer, Err(wrong)),
        },
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                visit(item, &format!("{pointer}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let pointer = format!("{pointer}/{}", crate::strict::escape(name));
                visit(field, &pointer, found);
            }
        }
        _ => {}
    }
}

impl Reference {
    fn parse(text: &str) -> Result<Self, String> {
        let (path, default) = match text.split_once(":-") {
            Some((path, default)) => (path, Some(default.to_owned())),
            None => (text, None),
        };
        let is_name = |name: &str| {
            let is_plain = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
            !name.is_empty() && name.chars().all(is_plain)
        };
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.iter().all(|name| is_name(name)) {
            return Ok(Self { path, default });
        }
        Err(format!(
            "`${{{text}}}` must be names with dots between, such as `${{event.title}}`"
        ))
    }

    fn value(&self, context: &Value) -> Result<Value, String> {
        let found = self
            .path
            .iter()
            .try_fold(context, |value, name| match value {
                Value::Object(fields) => fields.get(name),
                Value::Array(items) => items.get(name.parse::<usize>().ok()?),
                _ => None,
            });
        match (found, &self.default) {
            (None | Some(Value::Null), Some(default)) => Ok(Value::String(default.clone())),
            (None | Some(Value::Null), None) => {
                Err(format!("`{}` has no value", self.path.join(".")))
            }
            (Some(value), _) => Ok(value.clone()),
        }
    }
}

fn parse(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(place) = rest.find("${") {
        let (before, after) = (&rest[..place], &rest[place + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            literal.push_str(before);
            literal.push_str("${");
            rest = after;
            continue;
        }
        let end = after
            .find('}')
            .ok_or("a `${` has no `}`; write `$${` for the two characters themselves")?;
        literal.push_str(before);
        if !literal.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut literal)));
        }
        parts.push(Part::Reference(Reference::parse(&after[..end])?));
        rest = &after[end + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolved(text: &str) -> Result<Value, String> {
        let context = json!({
            "event": { "title": "Offsite", "capacity": 40, "contact_phone": null },
            "steps": { "folder": { "output": { "files": [{ "id": "f1" }] } } },
        });
        resolve_text(text, &context)
    }

    #[test]
    fn a_reference_alone_keeps_its_type_and_is_written_out_in_a_text() {
        assert_eq!(resolved("${event.capacity}"), Ok(json!(40)));
        assert_eq!(
            resolved("${event.title} for ${event.capacity}"),
            Ok(json!("Offsite for 40"))
        );
        assert_eq!(
            resolved("${steps.folder.output.files.0.id}"),
            Ok(json!("f1"))
        );
        assert_eq!(
            resolved("5 $ and $${event.title}"),
            Ok(json!("5 $ and ${event.title}"))
        );
        assert_eq!(resolved(""), Ok(json!("")));
    }

    #[test]
    fn references_bring_in_no_more_than_a_mebibyte() {
        let context = json!({ "steps": { "read": { "output": { "text": "x".repeat(200_000) } } } });
        let often = |times| "${steps.read.output.text} ".repeat(times);
        assert!(resolve_text(&often(5), &context).is_ok());
        assert!(resolve_text(&often(6), &context).is_err());
        let inputs = (0..6).map(|index| (index.to_string(), json!(often(1))));
        assert!(resolve(&inputs.collect(), &context).is_err());
    }

    #[test]
    fn what_is_not_there_has_its_default_or_is_told() {
        assert_eq!(
            resolved("to ${event.contact_phone:-nobody}"),
            Ok(json!("to nobody"))
        );
        let missing = Err("`event.contact_phone` has no value".to_owned());
        assert_eq!(resolved("${event.contact_phone}"), missing);
        assert!(resolved("${event.title.more}").is_err());
        assert!(resolved("all: ${steps.folder}").is_err());
        for wrong in ["${", "${}", "${a b}", "${a..b}", "${a.b()}"] {
            assert!(resolved(wrong).is_err(), "{wrong}");
        }
    }
}
