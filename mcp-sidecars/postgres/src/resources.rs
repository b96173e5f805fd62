//! The tables as MCP resources, `schema://<table>`, for clients that show resources to their users.

use std::sync::Arc;

use mcp_kit::ToolError;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, ListResourceTemplatesResult, ListResourcesResult, PaginatedRequestParams,
        ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Resource,
        ResourceContents, ResourceTemplate, ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
};
use serde_json::json;

use crate::{pool::Pool, schema};

type Context = RequestContext<RoleServer>;

const SCHEME: &str = "schema://";
const JSON: &str = "application/json";
/// How long a client may keep what it read, in milliseconds: the tables change with a release.
const TTL_MS: u64 = 60_000;

/// The tables of the pool's database.
pub(crate) struct Resources {
    pub(crate) pool: Arc<Pool>,
}

impl ServerHandler for Resources {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_resources().build())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        let tables = schema::tables(&self.pool)
            .await
            .map_err(|error| refuse(&error))?;
        let resources = tables.into_iter().map(|table| {
            Resource::new(format!("{SCHEME}{}", table.name), table.name)
                .with_description(table.description)
                .with_mime_type(JSON)
        });
        let list = ListResourcesResult::with_all_items(resources.collect());
        Ok(list
            .with_ttl_ms(TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = ResourceTemplate::new(format!("{SCHEME}{{table}}"), "table")
            .with_description("The columns of a table with their types and meaning.")
            .with_mime_type(JSON);
        let list = ListResourceTemplatesResult::with_all_items(vec![template]);
        Ok(list
            .with_ttl_ms(TTL_MS)
            .with_cache_scope(CacheScope::Private))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let unknown = || {
            ErrorData::resource_not_found(
                "there is no such table",
                Some(json!({ "uri": request.uri })),
            )
        };
        let name = request.uri.strip_prefix(SCHEME).ok_or_else(unknown)?;
        let table = schema::table(&self.pool, name)
            .await
            .map_err(|error| match error.code {
                mcp_kit::Code::NotFound => unknown(),
                _ => refuse(&error),
            })?;
        let text = json!(table).to_string();
        let contents = ResourceContents::text(text, &request.uri).with_mime_type(JSON);
        let result = ReadResourceResult::new(vec![contents]);
        Ok(result
            .with_ttl_ms(TTL_MS)
            .with_cache_scope(CacheScope::Private)
            .into())
    }
}

fn refuse(error: &ToolError) -> ErrorData {
    ErrorData::internal_error(error.message.clone(), None)
}
