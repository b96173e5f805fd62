//! Tools of 2025-11-25 that ask the client back over the stream of their call.

use std::sync::Arc;

use mcp_kit::{Call, Conversation, Tools};
use rmcp::ErrorData;
use serde_json::{Value, json};

use crate::shared::{Answer, argument, fixture, strings, text, wire};

type Talk = Arc<Conversation>;

pub fn add(tools: Tools) -> anyhow::Result<Tools> {
    let tools = fixture(tools, "test_sampling", strings(&["prompt"]), sample)?;
    let tools = fixture(
        tools,
        "test_elicitation",
        strings(&["message"]),
        async |_: Call, talk: Talk| {
            let message = argument(&talk, "message")?;
            let properties = json!({
                "username": { "type": "string", "description": "User's response" },
                "email": { "type": "string", "description": "User's email address" },
            });
            let required = json!(["username", "email"]);
            elicit(&talk, &message, &properties, &required, "User response").await
        },
    )?;
    let tools = fixture(
        tools,
        "test_elicitation_sep1034_defaults",
        strings(&[]),
        async |_: Call, talk: Talk| {
            let properties = json!({
                "name": { "type": "string", "default": "John Doe" },
                "age": { "type": "integer", "default": 30 },
                "score": { "type": "number", "default": 95.5 },
                "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
                "verified": { "type": "boolean", "default": true },
            });
            elicit(
                &talk,
                &json!("Please check"),
                &properties,
                &json!([]),
                "Elicitation completed",
            )
            .await
        },
    )?;
    fixture(
        tools,
        "test_elicitation_sep1330_enums",
        strings(&[]),
        async |_: Call, talk: Talk| {
            elicit(
                &talk,
                &json!("Please choose"),
                &enums(),
                &json!([]),
                "Elicitation completed",
            )
            .await
        },
    )
}

fn enums() -> Value {
    let titled = |title: &str| {
        let one = |number: u8, word: &str| json!({ "const": format!("value{number}"), "title": format!("{word} {title}") });
        json!([one(1, "First"), one(2, "Second"), one(3, "Third")])
    };
    let options = json!(["option1", "option2", "option3"]);
    let names = json!(["Option One", "Option Two", "Option Three"]);
    json!({
        "untitledSingle": { "type": "string", "enum": options },
        "titledSingle": { "type": "string", "oneOf": titled("Option") },
        "legacyEnum": { "type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": names },
        "untitledMulti": { "type": "array", "items": { "type": "string", "enum": options } },
        "titledMulti": { "type": "array", "items": { "anyOf": titled("Choice") } },
    })
}

#[expect(deprecated, reason = "the suite still tests what SEP-2577 will remove")]
async fn sample(_: Call, talk: Talk) -> Answer {
    let prompt = argument(&talk, "prompt")?;
    let said = json!({ "role": "user", "content": { "type": "text", "text": prompt } });
    let asked = talk
        .context
        .peer
        .create_message(wire(json!({ "messages": [said], "maxTokens": 100 }))?)
        .await;
    let answer = json!(asked.map_err(|error| failed(&error))?);
    text(&format!(
        "LLM response: {}",
        answer["content"]["text"].as_str().unwrap_or_default()
    ))
}

async fn elicit(
    talk: &Conversation,
    message: &Value,
    properties: &Value,
    required: &Value,
    said: &str,
) -> Answer {
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    let form = wire(json!({ "mode": "form", "message": message, "requestedSchema": schema }))?;
    let answer = json!(
        talk.context
            .peer
            .create_elicitation(form)
            .await
            .map_err(|error| failed(&error))?
    );
    text(&format!(
        "{said}: action={}, content={}",
        answer["action"].as_str().unwrap_or_default(),
        answer["content"]
    ))
}

fn failed(error: &rmcp::ServiceError) -> ErrorData {
    ErrorData::internal_error(format!("the client did not answer: {error}"), None)
}
