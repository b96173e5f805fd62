//! The registry: every tool of a sidecar, once, in the order that callers see.

use std::collections::BTreeMap;

use anyhow::ensure;
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    call::Call,
    tool::{NoArguments, Tool},
};

/// The name of the tool that every sidecar has and that sorts first.
pub const CAPABILITIES: &str = "capabilities";
const LONGEST_NAME: usize = 40;

/// The tools of one sidecar. `capabilities` is made here and comes first, the others follow by name.
#[derive(Debug, Clone)]
pub struct Tools {
    sidecar: &'static str,
    version: &'static str,
    notes: JsonObject,
    longest_name: usize,
    by_name: BTreeMap<&'static str, Tool>,
}

/// What `capabilities` answers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Capabilities {
    pub sidecar: &'static str,
    pub version: &'static str,
    pub tools: Vec<ToolSummary>,
    /// What this sidecar says of its provider: limits, modes, what is switched off.
    pub notes: JsonObject,
}

/// A tool in few words.
#[expect(clippy::struct_excessive_bools, reason = "these are MCP's four hints")]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ToolSummary {
    pub name: String,
    pub scope: &'static str,
    pub read_only: bool,
    pub destructive: bool,
    pub idempotent: bool,
    pub open_world: bool,
}

impl Tools {
    /// An empty registry; `sidecar` prefixes the tools' names at the gateway and labels the metrics.
    pub fn new(sidecar: &'static str, version: &'static str) -> Self {
        let notes = JsonObject::new();
        Self {
            sidecar,
            version,
            notes,
            longest_name: LONGEST_NAME,
            by_name: BTreeMap::new(),
        }
    }

    /// What `capabilities` says of the provider.
    #[must_use]
    pub fn notes(mut self, notes: JsonObject) -> Self {
        self.notes = notes;
        self
    }

    /// Allows longer names than the 40 characters that leave room for the gateway's prefix: for the gateway itself.
    #[must_use]
    pub fn names_up_to(mut self, characters: usize) -> Self {
        self.longest_name = characters;
        self
    }

    /// Adds a tool.
    ///
    /// # Errors
    /// A name that is not `snake_case`, too long or already there, no description, or arguments that
    /// are no object or let unknown fields through.
    pub fn with(mut self, tool: Tool) -> anyhow::Result<Self> {
        let name = tool.name().to_owned();
        let is_snake = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .chars()
                .all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_');
        let longest = self.longest_name;
        ensure!(
            is_snake && name.len() <= longest,
            "tool {name}: the name must be snake_case, at most {longest} characters"
        );
        ensure!(
            name != CAPABILITIES && !self.by_name.contains_key(name.as_str()),
            "tool {name}: the name is taken"
        );
        let described = tool
            .definition
            .description
            .as_deref()
            .is_some_and(|text| !text.trim().is_empty());
        ensure!(described, "tool {name}: say what it does");
        let schema = &tool.definition.input_schema;
        ensure!(
            schema.get("type") == Some(&"object".into()),
            "tool {name}: the arguments must be a struct"
        );
        ensure!(
            !tool.is_typed || schema.get("additionalProperties") == Some(&Value::Bool(false)),
            "tool {name}: put #[serde(deny_unknown_fields)] on its arguments"
        );
        let name: &'static str = match &tool.definition.name {
            std::borrow::Cow::Borrowed(name) => name,
            std::borrow::Cow::Owned(_) => anyhow::bail!("tool {name}: the name must be a constant"),
        };
        self.by_name.insert(name, tool);
        Ok(self)
    }

    /// Leaves out every tool that changes something, where the setting `READ_ONLY` says so.
    #[must_use]
    pub fn reading_only(mut self, is_read_only: bool) -> Self {
        self.by_name
            .retain(|_, tool| !is_read_only || ToolSummary::of(tool).read_only);
        self
    }

    /// The tools as callers see them: `capabilities`, then by name.
    pub(crate) fn finish(self) -> Registry {
        let summaries = self.by_name.values().map(ToolSummary::of).collect();
        let answer = Capabilities {
            sidecar: self.sidecar,
            version: self.version,
            tools: summaries,
            notes: self.notes,
        };
        let capabilities = Tool::new(
            CAPABILITIES,
            "What this server can do: its tools with their effects, its limits and its version. Changes nothing.",
            move |_: Call, NoArguments {}| {
                let answer = answer.clone();
                async move { Ok(answer) }
            },
        );
        let first = capabilities.read_only().closed_world();
        let tools = std::iter::once(first)
            .chain(self.by_name.into_values())
            .collect();
        Registry {
            sidecar: self.sidecar,
            version: self.version,
            tools,
        }
    }
}

/// The finished registry.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) sidecar: &'static str,
    pub(crate) version: &'static str,
    /// `capabilities`, then by name.
    pub(crate) tools: Vec<Tool>,
}

impl Registry {
    pub(crate) fn get(&self, name: &str) -> Option<&Tool> {
        let (first, rest) = self.tools.split_first()?;
        if first.name() == name {
            return Some(first);
        }
        let index = rest.binary_search_by(|tool| tool.name().cmp(name)).ok()?;
        rest.get(index)
    }
}

impl ToolSummary {
    fn of(tool: &Tool) -> Self {
        let hints = tool.definition.annotations.clone().unwrap_or_default();
        Self {
            name: tool.name().to_owned(),
            scope: tool.scope,
            read_only: hints.read_only_hint.unwrap_or(false),
            destructive: hints.is_destructive(),
            idempotent: hints.is_idempotent(),
            open_world: hints.open_world_hint.unwrap_or(true),
        }
    }
}
