//! `POST /v1/agents/{agent_type}/check`.

use axum::extract::State;
use serde::Serialize;
use tokio::time::{Duration, Instant};
use utoipa::ToSchema;

use super::{BuiltIn, Registered, RemoteTool, built_in, queries, remote, tools};
use crate::{
    access::{Access, ManageOrganization},
    extract::Path,
    problem::Problem,
    state::App,
    work::Answer,
};

/// A server that does not list its tools in this time is not reachable.
const CHECK_TIME: Duration = Duration::from_secs(5);

/// Whether an agent can be reached, and what it offers.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgentCheck {
    pub is_reachable: bool,
    /// Why not, or null.
    pub detail: Option<String>,
    pub tools: Vec<RemoteTool>,
}

/// Ask an agent for its tools. Nothing is changed.
#[utoipa::path(post, path = "/v1/agents/{agent_type}/check", tag = "agents",
    params(("agent_type" = String, Path, description = "The agent's type.")),
    responses((status = 200, description = "Whether it answers, and its tools.", body = AgentCheck)))]
pub async fn check_agent(
    State(app): State<App>,
    access: Access<ManageOrganization>,
    Path(agent_type): Path<String>,
) -> Result<Answer, Problem> {
    let mut db = app.db.acquire().await?;
    let agents = queries::registered(&mut db, access.organization_id()).await?;
    drop(db);
    let own = agents
        .into_iter()
        .find(|agent| agent.agent_type == agent_type);
    let check = match (own, built_in(&agent_type)) {
        (Some(agent), _) => check(&app, &agent).await,
        (None, Some(agent)) => check_built_in(&app, agent),
        (None, None) => return Err(Problem::NotFound),
    };
    Answer::plain(&check)
}

async fn check(app: &App, agent: &Registered) -> AgentCheck {
    match remote::list_tools(app, agent, Instant::now() + CHECK_TIME).await {
        Ok(tools) => AgentCheck {
            is_reachable: true,
            detail: None,
            tools,
        },
        Err(error) => AgentCheck {
            is_reachable: false,
            detail: Some(error.message.into_owned()),
            tools: Vec::new(),
        },
    }
}

fn check_built_in(app: &App, agent: &BuiltIn) -> AgentCheck {
    let names = agent.tools();
    let missing = names
        .iter()
        .find_map(|name| tools::find(name)?.missing(app));
    let tools = names.into_iter().map(|name| RemoteTool {
        name,
        description: String::new(),
        is_repeatable: true,
    });
    AgentCheck {
        is_reachable: missing.is_none(),
        detail: missing,
        tools: tools.collect(),
    }
}
