//! Who does what: the built-in agents and those that an organization registered.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    queries,
    token::Stored,
    tools::{self, Tool},
};

/// An agent that comes along.
pub struct BuiltIn {
    pub agent_type: &'static str,
    pub description: &'static str,
    /// Families of tools, e.g. `slack`.
    pub families: &'static [&'static str],
}

/// The agents for software write work orders and tell people; no program of ours writes, reviews or deploys code. An
/// organization that has such a program registers it and names its tools in a playbook.
pub const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        agent_type: "calendar",
        description: "Holds the event's time in Google Calendar, and keeps other entries there.",
        families: &["calendar_entry", "calendar"],
    },
    BuiltIn {
        agent_type: "cicd",
        description: "Keeps the release checklist and tells people about builds and releases; a person runs them.",
        families: SOFTWARE,
    },
    BuiltIn {
        agent_type: "code-review",
        description: "Asks for a review and waits for a person's verdict.",
        families: SOFTWARE,
    },
    BuiltIn {
        agent_type: "documentation",
        description: "Starts the documents that people complete.",
        families: SOFTWARE,
    },
    BuiltIn {
        agent_type: "documents",
        description: "Keeps the event's documents, and other files, in Google Drive.",
        families: &["documents", "gdrive"],
    },
    BuiltIn {
        agent_type: "feature-dev",
        description: "Writes the work order of a feature and tells the developers; a person writes the code.",
        families: SOFTWARE,
    },
    BuiltIn {
        agent_type: "infrastructure",
        description: "Writes down what has to be provided and asks for it; a person provides it.",
        families: SOFTWARE,
    },
    BuiltIn {
        agent_type: "messages",
        description: "Posts in Slack and sends text messages; what is about the event stands in its ledger.",
        families: &["messages", "slack"],
    },
    BuiltIn {
        agent_type: "payments",
        description: "Asks for the event's deposit by Stripe.",
        families: &["payments"],
    },
    BuiltIn {
        agent_type: "people",
        description: "Waits for a person.",
        families: &["people"],
    },
    BuiltIn {
        agent_type: "tasks",
        description: "Gives the event the tasks of a checklist, and keeps other lists of what there is to do.",
        families: &["tasks", "gdrive", "people"],
    },
];

const SOFTWARE: &[&str] = &["gdrive", "slack", "people"];

/// An MCP server that an organization registered.
#[derive(Debug, Clone)]
pub struct Registered {
    pub id: Uuid,
    pub agent_type: String,
    pub url: String,
    pub token: Option<Stored>,
    /// The tools that steps may use; all of them when empty.
    pub tools: Vec<String>,
}

/// What an organization's steps can be done by.
#[derive(Debug, Default)]
pub struct Directory(BTreeMap<String, Registered>);

/// Where a step's tool is.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    BuiltIn(&'static Tool),
    Registered(&'a Registered),
}

/// Why there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Unknown {
    Agent(String),
    Tool(String),
}

impl Directory {
    pub async fn load(db: &mut PgConnection, organization_id: Uuid) -> sqlx::Result<Self> {
        let agents = queries::registered(db, organization_id).await?;
        let by_type = agents
            .into_iter()
            .map(|agent| (agent.agent_type.clone(), agent));
        Ok(Self(by_type.collect()))
    }

    /// The tool of that name, as this agent may use it.
    pub fn find(&self, agent_type: &str, tool: &str) -> Result<Found<'_>, Unknown> {
        if let Some(tool) = built_in_tool(agent_type, tool) {
            return Ok(Found::BuiltIn(tool));
        }
        let built_in = built_in(agent_type);
        let registered = self.0.get(agent_type);
        if let Some(agent) = registered
            && (agent.tools.is_empty() || agent.tools.iter().any(|known| known == tool))
        {
            return Ok(Found::Registered(agent));
        }
        match (built_in, registered) {
            (None, None) => Err(Unknown::Agent(
                "there is no such agent; GET /v1/agents lists them".into(),
            )),
            _ => Err(Unknown::Tool(format!(
                "the agent {agent_type} has no such tool; GET /v1/agents/{agent_type} lists them"
            ))),
        }
    }
}

/// The agent of that type that comes along.
pub fn built_in(agent_type: &str) -> Option<&'static BuiltIn> {
    BUILT_IN.iter().find(|agent| agent.agent_type == agent_type)
}

/// The tool of that name, if it is a built-in agent's of that type: any other agent's may have the same name.
pub fn built_in_tool(agent_type: &str, tool: &str) -> Option<&'static Tool> {
    let (agent, tool) = (built_in(agent_type)?, tools::find(tool)?);
    agent.families.contains(&tool.family()).then_some(tool)
}

impl BuiltIn {
    pub fn tools(&self) -> Vec<String> {
        let families = self.families.iter();
        families
            .flat_map(|family| tools::of_family(family))
            .map(str::to_owned)
            .collect()
    }
}
