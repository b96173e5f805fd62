//! Agents: who does the steps of an orchestration. Built in over the sidecars, or any MCP server by its address.

use axum::{extract::State, response::Response};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use validator::{Validate, ValidationError};

use crate::{
    access::{Access, ManageOrganization, ReadEvents},
    extract::{IfMatch, Json, MergePatch, Path},
    jobs::Failure,
    page::{List, NoFilter, Page},
    playbooks::definition,
    problem::{OnConstraint, Problem, kinds},
    state::App,
    work::{Answer, Work},
};

mod check;
mod directory;
mod own;
mod people;
mod queries;
pub mod remote;
mod token;
pub mod tools;
pub use directory::{
    BUILT_IN, BuiltIn, Directory, Found, Registered, Unknown, built_in, built_in_tool,
};
pub use remote::RemoteTool;
use token::SealedToken;
pub use token::seal_anew;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_agents, create_agent))
        .routes(routes!(get_agent, update_agent, delete_agent))
        .routes(routes!(check::check_agent))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AgentKind {
    BuiltIn,
    /// An MCP server that the organization registered.
    Mcp,
}

/// Who does steps.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Agent {
    pub agent_type: String,
    pub kind: AgentKind,
    pub description: String,
    /// Of an MCP server.
    pub url: Option<String>,
    /// Whether it is called with a token, which is never shown.
    pub has_token: bool,
    /// What steps may use; of an MCP server, all of its tools when empty.
    pub tools: Vec<String>,
    /// Null for a built-in agent.
    pub version: Option<i64>,
    pub created_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "agent_type": "seating", "description": "Makes seating plans", "url": "https://agents.example/mcp", "tools": ["make_plan"]
}))]
pub struct NewAgent {
    /// How steps name it, once in an organization. Lower-case letters, digits, `-` and `_`.
    #[validate(custom(function = definition::name))]
    #[schema(min_length = 1, max_length = 63, pattern = "^[a-z][a-z0-9_-]{0,62}$")]
    pub agent_type: String,
    #[serde(default)]
    #[validate(length(max = 1000))]
    #[schema(max_length = 1000, required = false)]
    pub description: String,
    /// The endpoint of an MCP server (Streamable HTTP), such as `https://agents.example/mcp`.
    #[validate(length(min = 1, max = 2000))]
    #[schema(min_length = 1, max_length = 2000, format = "uri")]
    pub url: String,
    /// Sent as a bearer token.
    #[serde(default)]
    #[validate(length(min = 1, max = 4000), custom(function = visible))]
    #[schema(min_length = 1, max_length = 4000, pattern = "^[!-~]+$", write_only)]
    pub token: Option<String>,
    /// The tools that steps may use; all of them when left out.
    #[serde(default)]
    #[validate(length(max = 200), custom(function = tool_names))]
    #[schema(max_items = 200, required = false)]
    pub tools: Vec<String>,
}

/// More agents than anybody needs: each attempt at a step looks at all of them.
const MOST_AGENTS: i64 = 500;

/// What `NewAgent` cannot set.
const READ_ONLY: &[&str] = &["kind", "has_token", "version", "created_at"];

/// Why a tool did not do it, and whether it may have done it all the same.
#[derive(Debug)]
pub struct CallError {
    pub failure: Failure,
    pub is_uncertain: bool,
}

impl CallError {
    /// A failure that came `late`, when the time was up, may be none.
    pub(crate) fn of(failure: Failure, late: bool) -> Self {
        match failure {
            // Its time was up: that is an attempt, and no sign that the provider is away.
            Failure::Away { error, after } if late => Self {
                failure: Failure::Retry { error, after },
                is_uncertain: true,
            },
            Failure::Retry { .. } => Self {
                failure,
                is_uncertain: true,
            },
            failure => Self::certain(failure),
        }
    }

    pub(crate) fn certain(failure: Failure) -> Self {
        Self {
            failure,
            is_uncertain: false,
        }
    }

    /// It cannot be asked again without perhaps doing it twice.
    pub(crate) fn left_to_a_person() -> Self {
        let words = "it broke off, and the tool takes no idempotency key: look whether it was done, then skip or retry";
        Self {
            failure: Failure::Fatal(words.to_owned()),
            is_uncertain: true,
        }
    }
}

/// List the agents by their type: those that are built in, and the organization's own.
#[utoipa::path(get, path = "/v1/agents", tag = "agents",
    responses((status = 200, description = "One page.", body = Page<Agent>)))]
async fn list_agents(
    State(app): State<App>,
    access: Access<ReadEvents>,
    list: List<NoFilter>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let after: Option<String> = list.after()?;
    let mut agents =
        queries::list(&app.db, organization_id, after.as_deref(), list.fetch()).await?;
    let taken = |agent: &&BuiltIn| {
        let is_after = after
            .as_deref()
            .is_none_or(|after| agent.agent_type > after);
        is_after && !agents.iter().any(|own| own.agent_type == agent.agent_type)
    };
    let built_in: Vec<Agent> = BUILT_IN.iter().filter(taken).map(Agent::from).collect();
    agents.extend(built_in);
    agents.sort_by(|one, other| one.agent_type.cmp(&other.agent_type));
    Ok(list.page(agents, |agent| agent.agent_type.clone()))
}

/// Register an MCP server as an agent. Its token is never shown again.
#[utoipa::path(post, path = "/v1/agents", request_body = NewAgent, tag = "agents",
    responses((status = 201, description = "The agent.", body = Agent)))]
async fn create_agent(
    State(app): State<App>,
    access: Access<ManageOrganization>,
    Json(new): Json<NewAgent>,
) -> Result<Response, Problem> {
    app.agent_outbound.check(&new.url)?;
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let (id, now) = (work.new_id(), work.now);
    let token = seal(&app, organization_id, id, new.token.as_deref())?;
    let token = token.as_ref();
    let agent = queries::insert(
        &mut work,
        organization_id,
        id,
        &new,
        token,
        MOST_AGENTS,
        now,
    )
    .await
    .on_constraint(|constraint| {
        let detail = "another agent has this type; delete it first";
        (constraint == "agent_type_once").then(|| Problem::conflict(&kinds::ALREADY_EXISTS, detail))
    })?;
    let agent = agent.ok_or_else(|| {
        let detail = format!("an organization has at most {MOST_AGENTS} agents of its own");
        Problem::conflict(&kinds::INVALID_TRANSITION, detail)
    })?;
    work.audit("agent.created", ("agent", id), None::<&()>, Some(&agent))
        .await?;
    let location = format!("/v1/agents/{}", agent.agent_type);
    work.commit(Answer::created(location, 1, &agent)?).await
}

/// Get an agent.
#[utoipa::path(get, path = "/v1/agents/{agent_type}", tag = "agents",
    params(("agent_type" = String, Path, description = "The agent's type.")),
    responses((status = 200, description = "The agent.", body = Agent)))]
async fn get_agent(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(agent_type): Path<String>,
) -> Result<Answer, Problem> {
    let mut db = app.db.acquire().await?;
    let agent = queries::get(&mut db, access.organization_id(), &agent_type).await?;
    let agent = agent.or_else(|| built_in(&agent_type).map(Agent::from));
    let agent = agent.ok_or(Problem::NotFound)?;
    match agent.version {
        Some(version) => Answer::ok(version, &agent),
        None => Answer::plain(&agent),
    }
}

/// Change an agent that the organization registered. Its token stays unless one is given, or null takes it away; another
/// address needs one of the two, so that nobody is sent a token that was meant for somebody else.
#[utoipa::path(patch, path = "/v1/agents/{agent_type}", tag = "agents",
    params(("agent_type" = String, Path, description = "The agent's type.")),
    request_body(content = NewAgent, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The agent as it is now.", body = Agent)))]
async fn update_agent(
    State(app): State<App>,
    access: Access<ManageOrganization>,
    Path(agent_type): Path<String>,
    if_match: IfMatch,
    patch: MergePatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let (id, current) = own(&mut work, organization_id, &agent_type).await?;
    if_match.check(current.version.unwrap_or_default())?;
    let mut shown = serde_json::to_value(&current).map_err(anyhow::Error::from)?;
    shown["token"] = Value::Null;
    let new: NewAgent = patch.apply(&shown, READ_ONLY)?;
    if new.agent_type != agent_type {
        let detail = format!("must stay {agent_type}; register another agent instead");
        return Err(Problem::field("/agent_type", "fixed", detail));
    }
    let keeps_token = current.has_token && !patch.names("token");
    if keeps_token && current.url.as_ref() != Some(&new.url) {
        let detail = "is required with another url: the token for that, or null for none";
        return Err(Problem::field("/token", "required", detail));
    }
    app.agent_outbound.check(&new.url)?;
    let now = work.now;
    let token = seal(&app, organization_id, id, new.token.as_deref())?;
    let token = token.as_ref();
    let updated = queries::update(
        &mut work,
        organization_id,
        id,
        &new,
        keeps_token,
        token,
        now,
    );
    let agent = updated.await?;
    work.audit("agent.updated", ("agent", id), Some(&current), Some(&agent))
        .await?;
    work.commit(Answer::ok(agent.version.unwrap_or_default(), &agent)?)
        .await
}

/// Remove an agent that the organization registered. Steps that name it fail from then on.
#[utoipa::path(delete, path = "/v1/agents/{agent_type}", tag = "agents",
    params(("agent_type" = String, Path, description = "The agent's type.")),
    responses((status = 204, description = "Gone.")))]
async fn delete_agent(
    State(app): State<App>,
    access: Access<ManageOrganization>,
    Path(agent_type): Path<String>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let mut work = access.begin(&app).await?;
    let (id, agent) = own(&mut work, organization_id, &agent_type).await?;
    if_match.check(agent.version.unwrap_or_default())?;
    queries::delete(&mut work, organization_id, id).await?;
    work.audit("agent.deleted", ("agent", id), Some(&agent), None::<&()>)
        .await?;
    work.commit(Answer::no_content()).await
}

impl From<&BuiltIn> for Agent {
    fn from(agent: &BuiltIn) -> Self {
        Self {
            agent_type: agent.agent_type.to_owned(),
            kind: AgentKind::BuiltIn,
            description: agent.description.to_owned(),
            url: None,
            has_token: false,
            tools: agent.tools(),
            version: None,
            created_at: None,
        }
    }
}

/// The agent with its id, if the organization registered it.
async fn own(
    work: &mut Work,
    organization_id: Uuid,
    agent_type: &str,
) -> Result<(Uuid, Agent), Problem> {
    let agent = queries::lock(work, organization_id, agent_type).await?;
    agent.ok_or_else(|| match built_in(agent_type) {
        Some(_) => {
            let detail = "a built-in agent cannot be changed or removed";
            Problem::conflict(&kinds::IN_USE, detail)
        }
        None => Problem::NotFound,
    })
}

fn seal(
    app: &App,
    organization_id: Uuid,
    id: Uuid,
    token: Option<&str>,
) -> Result<Option<SealedToken>, Problem> {
    let Some(token) = token else {
        return Ok(None);
    };
    let ring = app.keys.ring()?;
    Ok(Some(SealedToken::new(
        ring,
        organization_id,
        id,
        &token.into(),
    )?))
}

fn visible(token: &str) -> Result<(), ValidationError> {
    if token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(ValidationError::new("pattern").with_message("must be visible ASCII".into()))
}

fn tool_names(tools: &[String]) -> Result<(), ValidationError> {
    if tools.iter().all(|tool| (1..=128).contains(&tool.len())) {
        return Ok(());
    }
    Err(ValidationError::new("length").with_message("each must be 1 to 128 characters".into()))
}
