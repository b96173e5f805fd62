//! Tools of 2026-07-28 that ask by returning what they need (SEP-2322).

use std::{collections::BTreeMap, sync::Arc};

use mcp_kit::{Call, Conversation, Tools};
use rmcp::{
    ErrorData,
    model::{InputRequest, InputRequests, InputRequiredResult, InputResponses},
};
use serde_json::{Value, json};

use crate::shared::{Answer, Shared, capabilities, fixture, form, sharing, strings, text, wire};

type Talk = Arc<Conversation>;

pub fn add(tools: Tools, shared: &Arc<Shared>) -> anyhow::Result<Tools> {
    let none = || strings(&[]);
    let tools = fixture(
        tools,
        "test_input_required_result_elicitation",
        none(),
        async |_: Call, talk: Talk| name(&talk),
    )?;
    let tools = fixture(
        tools,
        "test_streaming_elicitation",
        none(),
        async |_: Call, talk: Talk| name(&talk),
    )?;
    let tools = fixture(
        tools,
        "test_input_required_result_sampling",
        none(),
        async |_: Call, talk: Talk| {
            let answer = given(&talk)
                .get("capital_question")
                .and_then(|answer| answer["content"]["text"].as_str());
            answer.map_or_else(
                || {
                    ask(
                        [(
                            "capital_question",
                            sampling("What is the capital of France?")?,
                        )],
                        None,
                    )
                },
                text,
            )
        },
    )?;
    let tools = fixture(
        tools,
        "test_input_required_result_list_roots",
        none(),
        async |_: Call, talk: Talk| {
            let answer = given(&talk)
                .get("client_roots")
                .filter(|answer| answer["roots"].is_array());
            answer.map_or_else(
                || ask([("client_roots", roots()?)], None),
                |answer| text(&answer["roots"].to_string()),
            )
        },
    )?;
    sealed(tools, shared)
}

/// Those that seal a state or look at what the client can do.
fn sealed(tools: Tools, shared: &Arc<Shared>) -> anyhow::Result<Tools> {
    let none = || strings(&[]);
    let tools = fixture(
        tools,
        "test_input_required_result_capabilities",
        none(),
        async |_: Call, talk: Talk| able(&talk),
    )?;
    let tools = fixture(
        tools,
        "test_input_required_result_request_state",
        none(),
        sharing(shared, confirm),
    )?;
    let tools = fixture(
        tools,
        "test_input_required_result_tampered_state",
        none(),
        sharing(shared, confirm),
    )?;
    let tools = fixture(
        tools,
        "test_input_required_result_multiple_inputs",
        none(),
        sharing(shared, three),
    )?;
    fixture(
        tools,
        "test_input_required_result_multi_round",
        none(),
        sharing(shared, steps),
    )
}

/// The answers that the client brings.
pub fn given(talk: &Conversation) -> &InputResponses {
    static NONE: InputResponses = BTreeMap::new();
    talk.request.input_responses.as_ref().unwrap_or(&NONE)
}

/// The field of a form that was accepted.
pub fn field<'a>(answers: &'a InputResponses, key: &str, field: &str) -> Option<&'a Value> {
    let answer = answers
        .get(key)
        .filter(|answer| answer["action"] == "accept")?;
    answer["content"].get(field)
}

#[expect(clippy::unnecessary_wraps, reason = "it ends a tool's work")]
pub fn ask<const N: usize>(asked: [(&str, InputRequest); N], state: Option<String>) -> Answer {
    let requests: InputRequests = asked
        .into_iter()
        .map(|(key, request)| (key.to_owned(), request))
        .collect();
    Ok(InputRequiredResult::new(Some(requests), state).into())
}

fn name(talk: &Conversation) -> Answer {
    let name = field(given(talk), "user_name", "name").and_then(Value::as_str);
    let question = || {
        ask(
            [("user_name", form("What is your name?", "name", "string")?)],
            None,
        )
    };
    name.map_or_else(question, |name| text(&format!("Hello, {name}!")))
}

fn sampling(prompt: &str) -> Result<InputRequest, ErrorData> {
    let message = json!({ "role": "user", "content": { "type": "text", "text": prompt } });
    wire(
        json!({ "method": "sampling/createMessage", "params": { "messages": [message], "maxTokens": 100 } }),
    )
}

fn roots() -> Result<InputRequest, ErrorData> {
    wire(json!({ "method": "roots/list", "params": {} }))
}

/// Asks only for what the client said it can do.
fn able(talk: &Conversation) -> Answer {
    let can = capabilities(talk);
    let mut requests = InputRequests::new();
    if can.elicitation.is_some() {
        requests.insert(
            "user_name".to_owned(),
            form("What is your name?", "name", "string")?,
        );
    }
    if can.sampling.is_some() {
        requests.insert("greeting".to_owned(), sampling("Generate a greeting")?);
    }
    if requests.is_empty() {
        return text("There is nothing that this client could be asked");
    }
    Ok(InputRequiredResult::from_input_requests(requests).into())
}

/// The state that we sealed, if the client brought one; one that is not ours is refused.
fn opened(shared: &Shared, talk: &Conversation) -> Result<Option<Vec<u8>>, ErrorData> {
    let Some(state) = &talk.request.request_state else {
        return Ok(None);
    };
    let opened = shared.states.open(state);
    opened
        .map(Some)
        .map_err(|_| ErrorData::invalid_params("requestState is not ours", None))
}

async fn confirm(shared: Arc<Shared>, talk: Talk) -> Answer {
    std::future::ready(()).await;
    let state = opened(&shared, &talk)?;
    if state.is_some() && field(given(&talk), "confirm", "ok").is_some() {
        return text("state-ok");
    }
    ask(
        [("confirm", form("Please confirm", "ok", "boolean")?)],
        Some(shared.states.seal(b"confirm")),
    )
}

async fn three(shared: Arc<Shared>, talk: Talk) -> Answer {
    std::future::ready(()).await;
    let (state, answers) = (opened(&shared, &talk)?, given(&talk));
    if state.is_some()
        && ["user_name", "greeting", "client_roots"]
            .iter()
            .all(|key| answers.contains_key(*key))
    {
        return text("state-ok: all three answers are here");
    }
    let name = form("What is your name?", "name", "string")?;
    let asked = [
        ("user_name", name),
        ("greeting", sampling("Generate a greeting")?),
        ("client_roots", roots()?),
    ];
    ask(asked, Some(shared.states.seal(b"three")))
}

async fn steps(shared: Arc<Shared>, talk: Talk) -> Answer {
    std::future::ready(()).await;
    let (state, answers) = (opened(&shared, &talk)?, given(&talk));
    match state.as_deref() {
        Some(b"2") if field(answers, "step2", "color").is_some() => {
            text("state-ok: both steps are done")
        }
        Some(b"1") if field(answers, "step1", "name").is_some() => {
            let color = form("Step 2: What is your favorite color?", "color", "string")?;
            ask([("step2", color)], Some(shared.states.seal(b"2")))
        }
        _ => {
            let name = form("Step 1: What is your name?", "name", "string")?;
            ask([("step1", name)], Some(shared.states.seal(b"1")))
        }
    }
}
