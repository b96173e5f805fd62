//! A client that answers when a server asks back: it takes the defaults of a form.

use std::time::Duration;

use anyhow::Context as _;
use rmcp::{
    ClientHandler, ErrorData, RoleClient,
    model::{
        CallToolRequestParams, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult,
        ElicitationAction,
    },
    service::{RequestContext, serve_client_with_lifecycle},
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::{
    listening::Listening,
    login::{http, lifecycle, us},
    sample,
};

/// How long a server may take to open the stream on which it asks.
const PATIENCE: Duration = Duration::from_secs(10);

struct Agreeing;

impl ClientHandler for Agreeing {
    fn get_info(&self) -> ClientConfig {
        let elicitation = json!({ "elicitation": { "form": { "applyDefaults": true } } });
        let capabilities: ClientCapabilities =
            serde_json::from_value(elicitation).unwrap_or_default();
        us(capabilities)
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let mut result = ElicitResult::new(ElicitationAction::Accept);
        if let ElicitRequestParams::FormElicitationParams {
            requested_schema, ..
        } = request
        {
            let schema = serde_json::to_value(requested_schema);
            let schema =
                schema.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
            result.content = Some(Value::Object(filled(&schema)));
        }
        Ok(result)
    }
}

/// Each property's default; for a required one without, a value of its type.
fn filled(schema: &Value) -> Map<String, Value> {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let fill = |(name, property): (&String, &Value)| {
        let value = match (property.get("default"), property["type"].as_str()) {
            (Some(default), _) => default.clone(),
            (None, _) if !required.contains(&json!(name)) => return None,
            (None, Some("boolean")) => json!(true),
            (None, Some("number" | "integer")) => json!(1),
            (None, _) => json!("text"),
        };
        Some((name.clone(), value))
    };
    properties.filter_map(fill).collect()
}

/// Calls each tool once, answering what it asks.
pub(crate) async fn use_tools(url: &str, is_modern: bool) -> anyhow::Result<()> {
    let config = StreamableHttpClientTransportConfig::with_uri(url);
    let client = Listening::new(http()?);
    let transport = StreamableHttpClientTransport::with_client(client.clone(), config);
    let running = serve_client_with_lifecycle(Agreeing, transport, lifecycle(is_modern)).await?;
    if !is_modern {
        // What is asked before that stream is there is lost, and the suite takes a late one for a reconnection.
        let opened = timeout(PATIENCE, client.opened()).await;
        opened.context("the server opened no stream to ask on")?;
    }
    for tool in running.list_all_tools().await? {
        let mut params = CallToolRequestParams::new(tool.name.clone());
        params.arguments = sample(&tool).as_object().cloned();
        // A tool may fail: the suite judges what was sent.
        let _ = running.call_tool(params).await;
    }
    let _ = running.cancel().await;
    Ok(())
}
