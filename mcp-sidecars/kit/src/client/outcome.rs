//! What a server answered, read back into what its tool said.

use std::time::Duration;

use anyhow::anyhow;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use serde::{Deserialize, de::IntoDeserializer};
use serde_json::Value;

use crate::error::{Code, ToolError};

/// Longest text of a foreign tool's error that is handed on, in characters.
const LONGEST_MESSAGE: usize = 500;

/// The error behind problem details (RFC 9457).
pub(super) fn of_problem(
    server: &str,
    status: u16,
    mut problem: JsonObject,
    wait: Option<Duration>,
) -> ToolError {
    let code = take_text(&mut problem, "code");
    let message = take_text(&mut problem, "detail");
    let request_id = take_text(&mut problem, "instance");
    for member in ["type", "title", "status"] {
        problem.remove(member);
    }
    let details = (!problem.is_empty()).then_some(Value::Object(problem));
    let origin = format!("{server} answered {status} {code}, request {request_id}");
    let code = match status {
        _ if known(&code).is_some() => code,
        413 => Code::Refused.as_str().to_owned(),
        // Not the sidecar's own words: somebody between us.
        500.. => return away(server, wait, anyhow!("{origin}: {message}")),
        _ => code,
    };
    told(&origin, &code, message, wait, details)
}

fn away(server: &str, wait: Option<Duration>, cause: anyhow::Error) -> ToolError {
    let wait = wait.unwrap_or(Duration::from_secs(1));
    ToolError::unavailable(format!("{server} is not reachable right now"), wait).with_cause(cause)
}

fn known(code: &str) -> Option<Code> {
    let text = IntoDeserializer::<serde::de::value::Error>::into_deserializer(code);
    Code::deserialize(text).ok()
}

/// The result of a tool over MCP, or its error.
pub(super) fn of_result(server: &str, mut result: CallToolResult) -> Result<Value, ToolError> {
    let texts: Option<Vec<&str>> = result
        .content
        .iter()
        .map(|block| block.as_text().map(|text| text.text.as_str()))
        .collect();
    let text = texts.map(|texts| texts.join("\n"));
    if result.is_error == Some(true) {
        return Err(of_error_text(server, &text.unwrap_or_default()));
    }
    if let Some(value) = result.structured_content.take() {
        return Ok(value);
    }
    text.map_or_else(
        || serde_json::to_value::<Vec<ContentBlock>>(result.content).map_err(ToolError::internal),
        |text| Ok(Value::String(text)),
    )
}

/// The error behind the text of an `isError` result: JSON from a tool on this kit, plain words from any other.
fn of_error_text(server: &str, text: &str) -> ToolError {
    let body: JsonObject = serde_json::from_str(text).unwrap_or_default();
    let ours = ["code", "message", "request_id"];
    if !ours
        .iter()
        .all(|name| body.get(*name).is_some_and(Value::is_string))
    {
        let message: String = text.chars().take(LONGEST_MESSAGE).collect();
        return ToolError::refused(message);
    }
    let mut body = body;
    let code = take_text(&mut body, "code");
    let message = take_text(&mut body, "message");
    let request_id = take_text(&mut body, "request_id");
    let wait = body.get("retry_after_seconds").and_then(Value::as_u64);
    let origin = format!("{server} answered {code}, request {request_id}");
    let details = body.remove("details");
    told(
        &origin,
        &code,
        message,
        wait.map(Duration::from_secs),
        details,
    )
}

/// What the server said under this code; a code that no tool gives means that we are set up wrongly.
fn told(
    origin: &str,
    code: &str,
    message: String,
    wait: Option<Duration>,
    details: Option<Value>,
) -> ToolError {
    let cause = anyhow!("{origin}: {message}");
    let Some(code) = known(code) else {
        return ToolError::internal(cause);
    };
    ToolError {
        code,
        message: message.into(),
        retry_after: wait,
        details,
        is_undone: false,
        cause: (code == Code::Internal).then_some(cause),
    }
}

fn take_text(object: &mut JsonObject, name: &str) -> String {
    match object.remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_foreign_tools_words_are_handed_on_and_cut() {
        let error = of_error_text("x", &"ä".repeat(600));
        assert_eq!(
            (error.code, error.message.chars().count()),
            (Code::Refused, 500)
        );
    }

    #[test]
    fn a_problem_of_somebody_between_is_no_word_of_the_sidecar() {
        let of = |status| of_problem("x", status, JsonObject::new(), None).code;
        let codes = [of(502), of(413), of(404)];
        assert_eq!(codes, [Code::Unavailable, Code::Refused, Code::Internal]);
    }

    #[test]
    fn text_without_structure_is_the_result() {
        let blocks = vec![ContentBlock::text("a"), ContentBlock::text("b")];
        let result = of_result("x", CallToolResult::success(blocks));
        assert_eq!(result.ok(), Some(json!("a\nb")));
    }
}
