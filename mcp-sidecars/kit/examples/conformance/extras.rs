//! What the fixture has beside tools: prompts, resources, completion, levels, tasks, subscriptions.

use std::sync::Arc;

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CancelTaskParams, CompleteRequestParams, CompleteResult,
        GetPromptRequestParams, GetPromptResponse, GetPromptResult, GetTaskParams, GetTaskResult,
        InputRequests, InputRequiredResult, ListPromptsResult, ListResourceTemplatesResult,
        ListResourcesResult, PaginatedRequestParams, ReadResourceRequestParams,
        ReadResourceResponse, ReadResourceResult, ServerCapabilities, ServerConfig,
        SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams, UpdateTaskParams,
    },
    service::{RequestContext, SubscriptionContext},
};
use serde_json::{Value, json};

use crate::{
    rounds::field,
    shared::{Changed, PNG, Shared, form, wire},
};

type Context = RequestContext<RoleServer>;
const TTL_MS: u64 = 1000;

pub struct Extras(pub Arc<Shared>);

impl ServerHandler for Extras {
    #[expect(deprecated, reason = "the suite still tests what SEP-2577 will remove")]
    fn get_info(&self) -> ServerConfig {
        let has = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed();
        let has = has.enable_prompts().enable_prompts_list_changed();
        let has = has
            .enable_resources()
            .enable_resources_subscribe()
            .enable_resources_list_changed();
        ServerConfig::new(
            has.enable_completions()
                .enable_logging()
                .enable_tasks()
                .build(),
        )
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompt = |name: &str, arguments: &[&str]| {
            let arguments: Vec<_> = arguments
                .iter()
                .map(|name| json!({ "name": name, "required": true }))
                .collect();
            json!({ "name": name, "description": "A fixture of the conformance suite.", "arguments": arguments })
        };
        let prompts = wire(json!([
            prompt("test_simple_prompt", &[]),
            prompt("test_prompt_with_arguments", &["arg1", "arg2"]),
            prompt("test_prompt_with_embedded_resource", &["resourceUri"]),
            prompt("test_prompt_with_image", &[]),
            prompt("test_input_required_result_prompt", &[]),
        ]))?;
        Ok(ListPromptsResult::with_all_items(prompts)
            .with_ttl_ms(TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let argument = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
        match request.name.as_str() {
            "test_simple_prompt" => said(&[text("This is a simple prompt for testing.")]),
            "test_prompt_with_arguments" => {
                let (first, second) = (argument("arg1"), argument("arg2"));
                said(&[text(&format!(
                    "Prompt with arguments: arg1='{first}', arg2='{second}'"
                ))])
            }
            "test_prompt_with_embedded_resource" => said(&[
                json!({ "type": "resource", "resource": {
                    "uri": argument("resourceUri"), "mimeType": "text/plain",
                    "text": "Embedded resource content for testing.",
                } }),
                text("Please process the embedded resource above."),
            ]),
            "test_prompt_with_image" => said(&[
                json!({ "type": "image", "data": PNG, "mimeType": "image/png" }),
                text("Please analyze the image above."),
            ]),
            "test_input_required_result_prompt" => {
                let answers = request.input_responses.unwrap_or_default();
                if let Some(context) = field(&answers, "user_context", "context") {
                    return said(&[text(&format!("Use this context: {context}"))]);
                }
                let question = form("What context should the prompt use?", "context", "string")?;
                let requests = InputRequests::from([("user_context".to_owned(), question)]);
                Ok(InputRequiredResult::from_input_requests(requests).into())
            }
            _ => Err(ErrorData::invalid_params(
                "there is no prompt of that name",
                None,
            )),
        }
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        let resources = wire(json!([
            { "uri": "test://static-text", "name": "text", "description": "Words.", "mimeType": "text/plain" },
            { "uri": "test://static-binary", "name": "image", "description": "A pixel.", "mimeType": "image/png" },
        ]))?;
        Ok(ListResourcesResult::with_all_items(resources)
            .with_ttl_ms(TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = wire(json!([{
            "uriTemplate": "test://template/{id}/data", "name": "data", "description": "Data of an id.",
            "mimeType": "application/json",
        }]))?;
        let list = ListResourceTemplatesResult::with_all_items(templates);
        Ok(list
            .with_ttl_ms(TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri.as_str();
        let id = uri
            .strip_prefix("test://template/")
            .and_then(|rest| rest.strip_suffix("/data"));
        let mut found = match (uri, id) {
            ("test://static-text", _) => {
                json!({ "mimeType": "text/plain", "text": "This is the content of the static text resource." })
            }
            ("test://static-binary", _) => json!({ "mimeType": "image/png", "blob": PNG }),
            (_, Some(id)) => {
                let data =
                    json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
                json!({ "mimeType": "application/json", "text": data.to_string() })
            }
            _ => {
                return Err(ErrorData::resource_not_found(
                    "Resource not found",
                    Some(json!({ "uri": uri })),
                ));
            }
        };
        found["uri"] = json!(uri);
        let result = ReadResourceResult::new(vec![wire(found)?]);
        Ok(result
            .with_ttl_ms(TTL_MS)
            .with_cache_scope(CacheScope::Public)
            .into())
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: Context,
    ) -> Result<CompleteResult, ErrorData> {
        wire(
            json!({ "resultType": "complete", "completion": { "values": ["paris", "park"], "total": 2, "hasMore": false } }),
        )
    }

    #[expect(deprecated, reason = "the suite still tests what SEP-2577 will remove")]
    async fn set_level(
        &self,
        _: rmcp::model::SetLevelRequestParams,
        _: Context,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut feed = self.0.changes.subscribe();
        loop {
            let changed = tokio::select! {
                () = context.cancelled() => return Ok(()),
                changed = feed.recv() => changed,
            };
            let (accepted, sink) = (context.accepted(), context.sink());
            let sent = match changed {
                Ok(Changed::Tools) if accepted.tools_list_changed == Some(true) => {
                    sink.notify_tool_list_changed().await
                }
                Ok(Changed::Prompts) if accepted.prompts_list_changed == Some(true) => {
                    sink.notify_prompt_list_changed().await
                }
                _ => Ok(()),
            };
            if sent.is_err() {
                return Ok(());
            }
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: Context,
    ) -> Result<GetTaskResult, ErrorData> {
        Ok(GetTaskResult::new(self.0.tasks.get_task(&request.task_id)?))
    }

    async fn update_task(&self, request: UpdateTaskParams, _: Context) -> Result<(), ErrorData> {
        self.0
            .tasks
            .update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(&self, request: CancelTaskParams, _: Context) -> Result<(), ErrorData> {
        self.0.tasks.cancel_task(&request.task_id)
    }
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn said(contents: &[Value]) -> Result<GetPromptResponse, ErrorData> {
    let messages: Vec<_> = contents
        .iter()
        .map(|content| json!({ "role": "user", "content": content }))
        .collect();
    let result: GetPromptResult = wire(json!({ "resultType": "complete", "messages": messages }))?;
    Ok(result.into())
}
