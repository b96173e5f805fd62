//! The registry as an MCP server, for both protocol eras and all transports.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::http::{HeaderMap, HeaderName, request::Parts};
use futures_util::FutureExt;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskMethod,
        CancelTaskParams, CompleteRequestMethod, CompleteRequestParams, CompleteResult,
        ConstString, ContentBlock, GetPromptRequestMethod, GetPromptRequestParams,
        GetPromptResponse, GetTaskMethod, GetTaskParams, GetTaskResult, Implementation,
        ListPromptsRequestMethod, ListPromptsResult, ListResourceTemplatesRequestMethod,
        ListResourceTemplatesResult, ListResourcesRequestMethod, ListResourcesResult,
        ListToolsResult, PaginatedRequestParams, ReadResourceRequestMethod,
        ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig,
        SetLevelRequestMethod, SubscribeRequestMethod, SubscribeRequestParams, SubscriptionFilter,
        Tool, UnsubscribeRequestMethod, UnsubscribeRequestParams, UpdateTaskMethod,
        UpdateTaskParams,
    },
    service::{RequestContext, SubscriptionContext},
};
use serde_json::json;

use crate::{
    auth::Caller,
    call::{Call, Conversation, Road},
    entry::{Entrant, Trace},
    error::{Code, Failure},
    guard::{SharedGuard, Success},
    meta,
};

type Context = RequestContext<RoleServer>;

/// How long a client may keep the list of tools, in milliseconds.
const LIST_TTL_MS: u64 = 60_000;

/// Tools by the registry, everything else by `E` as far as it declares it.
pub(crate) struct Handler<E> {
    pub(crate) guard: SharedGuard,
    pub(crate) extras: Arc<E>,
}

impl<E> Clone for Handler<E> {
    fn clone(&self) -> Self {
        Self {
            guard: Arc::clone(&self.guard),
            extras: Arc::clone(&self.extras),
        }
    }
}

impl<E: ServerHandler> Handler<E> {
    /// Runs what `E` does for a declared capability: a panic or a hang there must not become a hang here.
    async fn extra<M: ConstString, T>(
        &self,
        is_declared: impl FnOnce(&ServerCapabilities) -> bool,
        work: impl Future<Output = Result<T, ErrorData>> + Send,
    ) -> Result<T, ErrorData> {
        if !is_declared(&self.extras.get_info().capabilities) {
            return Err(ErrorData::method_not_found::<M>());
        }
        let caught = AssertUnwindSafe(work).catch_unwind();
        match tokio::time::timeout(self.guard.bounds.timeout, caught).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(ErrorData::internal_error("something went wrong here", None)),
            Err(_) => Err(ErrorData::internal_error("not finished in time", None)),
        }
    }
}

impl<E: ServerHandler> ServerHandler for Handler<E> {
    fn get_info(&self) -> ServerConfig {
        let mut info = self.extras.get_info();
        info.capabilities.tools.get_or_insert_default();
        info.server_info =
            Implementation::new(self.guard.registry.sidecar, self.guard.registry.version);
        info
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.guard
            .registry
            .get(name)
            .map(|tool| tool.definition.clone())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        let caller = call_of(&context)?.caller;
        let shown = self
            .guard
            .registry
            .tools
            .iter()
            .filter(|tool| caller.may(tool.scope));
        let tools = shown.map(|tool| tool.definition.clone()).collect();
        let list = ListToolsResult::with_all_items(tools);
        Ok(list
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let mut call = call_of(&context)?;
        call.cancelled = context.ct.clone();
        let (name, arguments) = (
            request.name.clone(),
            request.arguments.clone().unwrap_or_default(),
        );
        let request_id = Arc::clone(&call.request_id);
        call.mcp = Some(Arc::new(Conversation { request, context }));
        match self.guard.call(&name, call, arguments).await {
            Ok(Success::Mcp(response)) => Ok(*response),
            Ok(Success::Content(_)) => refuse(Failure::NeedsMcp, &request_id),
            Ok(Success::Value(value, text)) => {
                let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
                result.structured_content = Some(value);
                Ok(result.into())
            }
            Err(failure) => refuse(failure, &request_id),
        }
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: Context,
    ) -> Result<CompleteResult, ErrorData> {
        let work = self.extras.complete(request, context);
        self.extra::<CompleteRequestMethod, _>(|has| has.completions.is_some(), work)
            .await
    }

    #[expect(deprecated, reason = "clients of 2025-11-25 still set a level")]
    async fn set_level(
        &self,
        request: rmcp::model::SetLevelRequestParams,
        context: Context,
    ) -> Result<(), ErrorData> {
        let work = self.extras.set_level(request, context);
        self.extra::<SetLevelRequestMethod, _>(|has| has.logging.is_some(), work)
            .await
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        let work = self.extras.get_prompt(request, context);
        self.extra::<GetPromptRequestMethod, _>(|has| has.prompts.is_some(), work)
            .await
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        let work = self.extras.list_prompts(request, context);
        self.extra::<ListPromptsRequestMethod, _>(|has| has.prompts.is_some(), work)
            .await
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        let work = self.extras.list_resources(request, context);
        self.extra::<ListResourcesRequestMethod, _>(|has| has.resources.is_some(), work)
            .await
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let work = self.extras.list_resource_templates(request, context);
        self.extra::<ListResourceTemplatesRequestMethod, _>(|has| has.resources.is_some(), work)
            .await
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let work = self.extras.read_resource(request, context);
        self.extra::<ReadResourceRequestMethod, _>(|has| has.resources.is_some(), work)
            .await
    }

    #[expect(deprecated, reason = "clients of 2025-11-25 still subscribe this way")]
    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: Context,
    ) -> Result<(), ErrorData> {
        let work = self.extras.subscribe(request, context);
        self.extra::<SubscribeRequestMethod, _>(|has| has.resources.is_some(), work)
            .await
    }

    #[expect(
        deprecated,
        reason = "clients of 2025-11-25 still unsubscribe this way"
    )]
    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        context: Context,
    ) -> Result<(), ErrorData> {
        let work = self.extras.unsubscribe(request, context);
        self.extra::<UnsubscribeRequestMethod, _>(|has| has.resources.is_some(), work)
            .await
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        self.extras.accepted_subscription_filter(requested)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let caught = AssertUnwindSafe(self.extras.listen(context)).catch_unwind();
        caught
            .await
            .unwrap_or_else(|_| Err(ErrorData::internal_error("something went wrong here", None)))
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: Context,
    ) -> Result<GetTaskResult, ErrorData> {
        let work = self.extras.get_task(request, context);
        self.extra::<GetTaskMethod, _>(ServerCapabilities::supports_tasks, work)
            .await
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: Context,
    ) -> Result<(), ErrorData> {
        let work = self.extras.update_task(request, context);
        self.extra::<UpdateTaskMethod, _>(ServerCapabilities::supports_tasks, work)
            .await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: Context,
    ) -> Result<(), ErrorData> {
        let work = self.extras.cancel_task(request, context);
        self.extra::<CancelTaskMethod, _>(ServerCapabilities::supports_tasks, work)
            .await
    }
}

/// The caller that `entry` found; on standard input it is whoever started us, who may say more in `_meta`.
fn call_of(context: &Context) -> Result<Call, ErrorData> {
    let timeout = meta::timeout(&context.meta);
    let Some(parts) = context.extensions.get::<Parts>() else {
        return local_call(context).map(|call| call.with_timeout(timeout));
    };
    let entrant = parts.extensions.get::<Entrant>().cloned();
    let entrant = entrant
        .ok_or_else(|| ErrorData::internal_error("the request was not authenticated", None))?;
    Ok(entrant.call(Road::Mcp).with_timeout(timeout))
}

/// A call on standard input. Its `_meta` says what headers say over HTTP, where it is not believed.
fn local_call(context: &Context) -> Result<Call, ErrorData> {
    let said = |name| meta::header(&context.meta, name);
    let headers: HeaderMap = meta::HEADERS
        .iter()
        .filter_map(|(_, name)| Some((HeaderName::from_static(name), said(name)?)))
        .collect();
    let trace = Trace::of(&headers);
    let mut caller = Caller::local();
    if let Some(somebody) = headers.get(meta::ON_BEHALF_OF) {
        let acting = somebody
            .to_str()
            .ok()
            .and_then(|text| caller.acting_for(text));
        caller = acting.ok_or_else(|| {
            ErrorData::invalid_params("_meta: <organization id>/<member id> is malformed", None)
        })?;
    }
    let mut call = Call::new(Arc::new(caller), Road::Stdio, trace.request_id);
    call.traceparent = trace.parent;
    Ok(call)
}

/// A tool's errors are results that the assistant reads; only what cannot be routed is a JSON-RPC error.
fn refuse(failure: Failure, request_id: &str) -> Result<CallToolResponse, ErrorData> {
    let (code, message) = match failure {
        Failure::UnknownTool => {
            return Err(ErrorData::invalid_params(
                "there is no tool of that name",
                None,
            ));
        }
        Failure::Protocol(error) => return Err(error),
        Failure::Forbidden { scope } => {
            let message = format!("the token lacks the scope {scope}");
            ("INSUFFICIENT_SCOPE", message)
        }
        Failure::Abandoned => {
            let message = "the call was cancelled".to_owned();
            (Code::Unavailable.as_str(), message)
        }
        Failure::NeedsMcp => {
            let message = "this tool asks back and needs an MCP client".to_owned();
            (Code::Refused.as_str(), message)
        }
        Failure::Tool(error) => {
            let mut body =
                json!({ "code": error.code, "message": error.message, "request_id": request_id });
            if let Some(seconds) = error.retry_after_seconds() {
                body["retry_after_seconds"] = json!(seconds);
            }
            if let Some(details) = error.details {
                body["details"] = details;
            }
            return Ok(CallToolResult::error(vec![ContentBlock::text(body.to_string())]).into());
        }
    };
    let body = json!({ "code": code, "message": message, "request_id": request_id });
    Ok(CallToolResult::error(vec![ContentBlock::text(body.to_string())]).into())
}
