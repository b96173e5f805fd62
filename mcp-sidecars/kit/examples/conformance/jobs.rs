//! Tools that become tasks where the client can follow one (SEP-2663).

use std::{sync::Arc, time::Duration};

use mcp_kit::{Conversation, Tools};
use rmcp::{
    ErrorData,
    model::{CallToolResponse, CallToolResult, ClientCapabilities, CreateTaskResult},
    task_manager::{TaskContext, TaskExit, TaskFuture, TaskOptions},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    rounds::{ask, field, given},
    shared::{
        Answer, Shared, argument, capabilities, fixture, form, object, result, sharing, strings,
        wire,
    },
};

type Talk = Arc<Conversation>;
type Ended = Result<CallToolResult, TaskExit>;

pub fn add(tools: Tools, shared: &Arc<Shared>) -> anyhow::Result<Tools> {
    let seconds = json!({ "type": "object", "required": ["seconds"], "properties": {
        "seconds": { "type": "number" }, "label": { "type": "string" },
    } });
    let tools = fixture(
        tools,
        "slow_compute",
        object(seconds),
        sharing(shared, slow),
    )?;
    let tools = fixture(
        tools,
        "failing_job",
        strings(&[]),
        sharing(shared, |shared, talk| {
            job(shared, talk, |_| Box::pin(failing()))
        }),
    )?;
    let tools = fixture(
        tools,
        "protocol_error_job",
        strings(&[]),
        sharing(shared, |shared, talk| {
            job(shared, talk, |_| {
                Box::pin(async {
                    Err(ErrorData::internal_error("this job cannot work", None).into())
                })
            })
        }),
    )?;
    let tools = fixture(
        tools,
        "confirm_delete",
        strings(&["filename"]),
        sharing(shared, |shared, talk| {
            job(shared, talk, |task| Box::pin(confirmed(task)))
        }),
    )?;
    let tools = fixture(
        tools,
        "multi_input",
        strings(&[]),
        sharing(shared, |shared, talk| {
            job(shared, talk, |task| Box::pin(both(task)))
        }),
    )?;
    fixture(
        tools,
        "test_tool_with_task",
        strings(&[]),
        sharing(shared, asks_first),
    )
}

/// A task for clients that know tasks; for others there is no way.
async fn job(
    shared: Arc<Shared>,
    talk: Talk,
    work: impl FnOnce(TaskContext) -> TaskFuture,
) -> Answer {
    std::future::ready(()).await;
    if !capabilities(&talk).supports_tasks() {
        let needed = ClientCapabilities::builder().enable_tasks().build();
        return Err(ErrorData::missing_required_client_capability(needed));
    }
    let options = TaskOptions::new().with_poll_interval_ms(100);
    let created = CreateTaskResult::new(shared.tasks.spawn(options, work));
    Ok(CallToolResponse::Task(created))
}

async fn slow(shared: Arc<Shared>, talk: Talk) -> Answer {
    let seconds = argument(&talk, "seconds")?
        .as_f64()
        .unwrap_or_default()
        .clamp(0.0, 120.0);
    let pause = Duration::from_secs_f64(seconds);
    if !capabilities(&talk).supports_tasks() {
        sleep(pause).await;
        return Ok(result("computed")?.into());
    }
    let work = move |task: TaskContext| -> TaskFuture {
        Box::pin(async move {
            tokio::select! {
                () = task.cancelled() => Err(TaskExit::Cancelled),
                () = sleep(pause) => Ok(result("computed")?),
            }
        })
    };
    job(shared, talk, work).await
}

async fn failing() -> Ended {
    sleep(Duration::from_secs(1)).await;
    let said = json!([{ "type": "text", "text": "this job always fails" }]);
    Ok(wire(
        json!({ "resultType": "complete", "isError": true, "content": said }),
    )?)
}

async fn confirmed(task: TaskContext) -> Ended {
    let answer = task
        .request_input("confirm", form("Delete it?", "confirm", "boolean")?)
        .await?;
    Ok(result(&format!("answered: {}", answer["action"]))?)
}

async fn both(task: TaskContext) -> Ended {
    let first = task.request_input("first", form("First?", "value", "string")?);
    let second = task.request_input("second", form("Second?", "value", "string")?);
    let (first, second) = tokio::join!(first, second);
    Ok(result(&format!(
        "answered: {} {}",
        first?["action"], second?["action"]
    ))?)
}

async fn asks_first(shared: Arc<Shared>, talk: Talk) -> Answer {
    let Some(name) = field(given(&talk), "user_name", "name")
        .and_then(Value::as_str)
        .map(str::to_owned)
    else {
        return ask(
            [("user_name", form("What is your name?", "name", "string")?)],
            None,
        );
    };
    job(shared, talk, move |_| {
        Box::pin(async move { Ok(result(&format!("Hello, {name}!"))?) })
    })
    .await
}
