//! What a method was called with: a form, a query or JSON, in which everything may also be a string.

use serde_json::{Map, Value, json};

use super::call::Refusal;

/// The arguments by name.
#[derive(Debug, Default)]
pub(super) struct Arguments(pub Map<String, Value>);

impl Arguments {
    /// An argument as text; an empty one counts as not given.
    pub fn text(&self, name: &str) -> Option<String> {
        let text = match self.0.get(name)? {
            Value::String(text) => text.clone(),
            Value::Null => return None,
            other => other.to_string(),
        };
        (!text.is_empty()).then_some(text)
    }

    /// As [`text`](Self::text), or `invalid_arguments` with Slack's words.
    pub fn required(&self, name: &str) -> Result<String, Refusal> {
        let missing = || {
            let message = format!("[ERROR] missing required field: {name}");
            Refusal::new("invalid_arguments")
                .with("response_metadata", json!({ "messages": [message] }))
        };
        self.text(name).ok_or_else(missing)
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        let text = self.text(name)?;
        Some(matches!(text.as_str(), "1" | "true" | "True"))
    }

    pub fn integer(&self, name: &str) -> Option<Result<i64, std::num::ParseIntError>> {
        self.text(name).map(|text| text.parse())
    }

    /// An argument that is JSON, or a string that holds it.
    pub fn json(&self, name: &str) -> Option<Result<Value, serde_json::Error>> {
        match self.0.get(name)? {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(serde_json::from_str(text)),
            other => Some(Ok(other.clone())),
        }
    }

    /// Comma-separated words, or an array of them.
    pub fn words(&self, name: &str) -> Vec<String> {
        if let Some(Value::Array(words)) = self.0.get(name) {
            return words
                .iter()
                .filter_map(|word| word.as_str().map(ToOwned::to_owned))
                .collect();
        }
        let text = self.text(name).unwrap_or_default();
        text.split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(ToOwned::to_owned)
            .collect()
    }

    /// How many a page has, 1 to 1,000.
    pub fn limit(&self, default: usize) -> Result<usize, Refusal> {
        let Some(limit) = self.integer("limit") else {
            return Ok(default);
        };
        let limit = limit.ok().and_then(|limit| usize::try_from(limit).ok());
        match limit {
            Some(0) => Ok(default),
            Some(limit) if limit <= 1000 => Ok(limit),
            _ => Err(Refusal::new("invalid_limit")),
        }
    }

    /// One page of things that have an id, beginning where the cursor says, and the cursor of the next page.
    pub fn page<'a, T>(
        &self,
        things: &[&'a T],
        default: usize,
        id: impl Fn(&T) -> &str,
    ) -> Result<(Vec<&'a T>, String), Refusal> {
        let limit = self.limit(default)?;
        let begin = match self.text("cursor") {
            None => 0,
            Some(cursor) => {
                let wanted = cursor.strip_prefix("next:");
                let found = things.iter().position(|thing| Some(id(thing)) == wanted);
                found.ok_or_else(|| Refusal::new("invalid_cursor"))?
            }
        };
        let next = things.get(begin.saturating_add(limit));
        let page = things.iter().skip(begin).take(limit).copied().collect();
        Ok((
            page,
            next.map_or_else(String::new, |next| format!("next:{}", id(next))),
        ))
    }
}
