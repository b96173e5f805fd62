//! Whether a value fits a JSON Schema (2020-12), for the keywords that our types have. A keyword that is not known here
//! is a fault, so that nothing passes unchecked.

use serde_json::{Map, Value};

/// What does not fit, each with its place; nothing means that all is well.
pub fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut check = Check {
        root: schema,
        faults: Vec::new(),
    };
    check.value(schema, value, "");
    check.faults
}

struct Check<'a> {
    root: &'a Value,
    faults: Vec<String>,
}

impl<'a> Check<'a> {
    fn value(&mut self, schema: &'a Value, value: &Value, at: &str) {
        match schema {
            Value::Bool(true) => {}
            Value::Object(keywords) => {
                for (keyword, rule) in keywords {
                    self.keyword(keywords, keyword, rule, value, at);
                }
            }
            _ => self.faults.push(format!("{at}: nothing is allowed here")),
        }
    }

    fn keyword(
        &mut self,
        all: &'a Map<String, Value>,
        keyword: &str,
        rule: &'a Value,
        value: &Value,
        at: &str,
    ) {
        let holds = match keyword {
            "$schema" | "$defs" | "title" | "description" | "default" | "format" | "examples"
            | "deprecated" => true,
            "type" => list(rule).any(|name| is_type(name, value)),
            "const" => rule == value,
            "enum" => list(rule).any(|one| one == value),
            "minimum" => value.as_f64() >= rule.as_f64() || !value.is_number(),
            "maximum" => value.as_f64() <= rule.as_f64() || !value.is_number(),
            "minLength" => length(value).is_none_or(|length| Some(length) >= rule.as_u64()),
            "maxLength" => length(value).is_none_or(|length| Some(length) <= rule.as_u64()),
            "required" => {
                list(rule).all(|name| value.get(name.as_str().unwrap_or_default()).is_some())
            }
            "anyOf" | "oneOf" => list(rule).any(|one| self.fits(one, value)),
            "allOf" => list(rule).all(|one| self.fits(one, value)),
            "$ref" => self
                .target(rule)
                .is_some_and(|target| self.fits(target, value)),
            "properties" | "additionalProperties" | "items" => {
                self.children(all, keyword, rule, value, at);
                true
            }
            unknown => {
                self.faults
                    .push(format!("{at}: the keyword {unknown} is not checked"));
                true
            }
        };
        if !holds {
            self.faults
                .push(format!("{at}: {value} breaks {keyword} {rule}"));
        }
    }

    fn children(
        &mut self,
        all: &'a Map<String, Value>,
        keyword: &str,
        rule: &'a Value,
        value: &Value,
        at: &str,
    ) {
        let known = all.get("properties");
        match (keyword, value) {
            ("items", Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(rule, item, &format!("{at}/{index}"));
                }
            }
            ("properties", Value::Object(members)) => {
                for (name, member) in members {
                    if let Some(schema) = rule.get(name) {
                        self.value(schema, member, &format!("{at}/{name}"));
                    }
                }
            }
            ("additionalProperties", Value::Object(members)) => {
                let more = members
                    .iter()
                    .filter(|(name, _)| known.and_then(|known| known.get(name)).is_none());
                for (name, member) in more {
                    self.value(rule, member, &format!("{at}/{name}"));
                }
            }
            _ => {}
        }
    }

    fn fits(&self, schema: &'a Value, value: &Value) -> bool {
        let mut check = Check {
            root: self.root,
            faults: Vec::new(),
        };
        check.value(schema, value, "");
        check.faults.is_empty()
    }

    fn target(&self, reference: &Value) -> Option<&'a Value> {
        self.root.pointer(reference.as_str()?.strip_prefix('#')?)
    }
}

/// The items of an array, or the value itself.
fn list(value: &Value) -> std::slice::Iter<'_, Value> {
    value
        .as_array()
        .map_or_else(|| std::slice::from_ref(value).iter(), |items| items.iter())
}

fn length(value: &Value) -> Option<u64> {
    u64::try_from(value.as_str()?.chars().count()).ok()
}

fn is_type(name: &Value, value: &Value) -> bool {
    match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_i64() || value.is_u64(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde_json::json;

    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Sample {
        #[schemars(range(min = 1))]
        count: u32,
        kind: Option<Kind>,
        list: Vec<Kind>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    enum Kind {
        Small,
        Large,
    }

    #[test]
    fn what_does_not_fit_is_found() {
        let schema = schemars::schema_for!(Sample).to_value();
        let good = json!({ "count": 1, "kind": null, "list": ["Small", "Large"] });
        assert_eq!(faults(&schema, &good), Vec::<String>::new());
        for bad in [
            json!({ "count": 0, "kind": null, "list": [] }),
            json!({ "count": "1", "kind": null, "list": [] }),
            json!({ "count": 1, "kind": "Huge", "list": [] }),
            json!({ "count": 1, "list": ["Huge"] }),
            json!({ "kind": null, "list": [] }),
            json!([]),
        ] {
            assert!(!faults(&schema, &bad).is_empty(), "{bad}");
        }
        assert!(!faults(&json!({ "pattern": "x" }), &json!("x")).is_empty());
    }
}
