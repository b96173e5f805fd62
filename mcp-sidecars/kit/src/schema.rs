//! Schemas of tools in the form that most clients understand: one `type` each, and no `null` where leaving out does.

use std::{mem::take, sync::Arc};

use rmcp::{
    handler::server::tool::{schema_for_input, schema_for_output},
    model::JsonObject,
};
use schemars::{JsonSchema, Schema, transform::transform_subschemas};
use serde_json::{Value, json};

/// Keywords that say something of a value and allow or forbid none.
const ANNOTATIONS: [&str; 5] = ["default", "deprecated", "description", "examples", "title"];

/// What a tool takes; an empty schema if `A` is no object, which [`Tools::with`](crate::Tools::with) then refuses.
pub(crate) fn input<A: JsonSchema + 'static>() -> JsonObject {
    let schema = schema_for_input::<A>().map(Arc::unwrap_or_clone);
    portable(schema.unwrap_or_default())
}

/// What a tool gives back.
pub(crate) fn output<O: JsonSchema + 'static>() -> JsonObject {
    portable(Arc::unwrap_or_clone(schema_for_output::<O>()))
}

fn portable(schema: JsonObject) -> JsonObject {
    let mut schema = Schema::from(schema);
    simplify(&mut schema);
    schema.as_object().cloned().unwrap_or_default()
}

/// From the inside out, so that every list of types is a choice when its owner looks at it.
fn simplify(schema: &mut Schema) {
    transform_subschemas(&mut simplify, schema);
    if let Some(keywords) = schema.as_object_mut() {
        spell_out_any(keywords);
        split_types(keywords);
        drop_nulls(keywords);
    }
}

/// What may be anything names all types: the schema `true` is none to many clients.
fn spell_out_any(keywords: &mut JsonObject) {
    let of_members = keywords
        .get_mut("properties")
        .and_then(Value::as_object_mut);
    for member in of_members.into_iter().flat_map(JsonObject::values_mut) {
        if *member == true {
            *member = any();
        }
    }
    if let Some(items) = keywords.get_mut("items").filter(|items| **items == true) {
        *items = any();
    }
}

/// `"type": ["string", "null"]` becomes a choice (`anyOf`) of schemas with one type each.
fn split_types(keywords: &mut JsonObject) {
    let Some(Value::Array(types)) = keywords.get("type").cloned() else {
        return;
    };
    let is_annotation = |(name, _): &(String, Value)| ANNOTATIONS.contains(&name.as_str());
    let (annotations, rules): (JsonObject, JsonObject) =
        take(keywords).into_iter().partition(is_annotation);
    let branches = types.into_iter().map(|name| of_type(name, &rules));
    *keywords = annotations;
    keywords.insert("anyOf".to_owned(), branches.collect());
}

fn of_type(name: Value, rules: &JsonObject) -> Value {
    if name == "null" {
        return null();
    }
    let mut branch = rules.clone();
    branch.insert("type".to_owned(), name);
    if let Some(Value::Array(values)) = branch.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    Value::Object(branch)
}

/// A member that may be left out need not be shown as one that may be null, too. Reading still takes both, and writing
/// leaves out.
fn drop_nulls(keywords: &mut JsonObject) {
    let required = keywords.get("required").cloned().unwrap_or_default();
    let is_required = |name: &String| {
        let names = required.as_array();
        names.is_some_and(|names| names.iter().any(|one| one == name.as_str()))
    };
    let Some(Value::Object(members)) = keywords.get_mut("properties") else {
        return;
    };
    for (_, member) in members.iter_mut().filter(|(name, _)| !is_required(name)) {
        if let Value::Object(member) = member {
            drop_null(member);
        }
    }
}

fn drop_null(member: &mut JsonObject) {
    if member.get("default") == Some(&Value::Null) {
        member.remove("default");
    }
    let Some(Value::Array(branches)) = member.get_mut("anyOf") else {
        return;
    };
    branches.retain(|branch| *branch != null());
    if let [Value::Object(only)] = branches.as_mut_slice() {
        let only = take(only);
        member.remove("anyOf");
        for (name, rule) in only {
            member.entry(name).or_insert(rule);
        }
    }
}

fn any() -> Value {
    let names = ["array", "boolean", "null", "number", "object", "string"];
    json!({ "anyOf": names.map(|name| json!({ "type": name })) })
}

fn null() -> Value {
    json!({ "type": "null" })
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        /// What it is called.
        #[schemars(length(min = 1))]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<Kind>,
        /// Nothing, or how many.
        #[serde(default)]
        counts: Vec<Option<u8>>,
        #[serde(default)]
        rows: Vec<Value>,
    }

    /// Of which kind.
    #[derive(Serialize, Deserialize, JsonSchema)]
    enum Kind {
        Small,
    }

    #[test]
    fn an_argument_that_may_be_left_out_has_a_plain_type() {
        let shown = Value::Object(input::<Sample>());
        let members = &shown["properties"];
        let name = json!({ "type": "string", "minLength": 1, "description": "What it is called." });
        assert_eq!(members["name"], name);
        assert_eq!(members["kind"], json!({ "$ref": "#/$defs/Kind" }));
        assert_eq!(shown.get("required"), None);
        assert!(serde_json::from_value::<Sample>(json!({ "name": null })).is_ok());
    }

    #[test]
    fn a_result_that_may_be_null_says_so_with_one_type_each() {
        let shown = Value::Object(output::<Sample>());
        let members = &shown["properties"];
        let text = json!({ "type": "string", "minLength": 1 });
        assert_eq!(members["name"]["anyOf"], json!([text, { "type": "null" }]));
        assert_eq!(members["name"]["description"], "What it is called.");
        assert_eq!(members["kind"], json!({ "$ref": "#/$defs/Kind" }));
        assert_eq!(members["counts"]["items"]["anyOf"][1], null());
        assert_eq!(members["rows"]["items"], any());
        let sample = Sample {
            name: None,
            kind: None,
            counts: vec![None, Some(1)],
            rows: vec![json!({}), Value::Null, json!(1.5)],
        };
        let written = serde_json::to_value(sample).unwrap();
        assert_eq!(
            crate::testing::faults(&shown, &written),
            Vec::<String>::new()
        );
    }
}
