//! The tools that we bring along: those of the sidecars, as their committed `tools.json` describe them, and our own.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    CallError,
    own::{OWN, Run},
};
use crate::{
    jobs::Failure,
    sidecars::{Errand, Sidecar, Sidecars},
    state::App,
};

/// Something that a step can do.
#[derive(Debug)]
pub struct Tool {
    /// `<family>.<tool>`, e.g. `slack.post_message`.
    pub name: String,
    /// The lane of its jobs, named as its provider's family: they wait together while the provider is away. Empty for what
    /// needs nobody.
    pub lane: &'static str,
    /// It is about the event of its run.
    pub needs_event: bool,
    /// JSON Schema of its arguments.
    pub input_schema: Value,
    /// It changes nothing.
    pub is_read_only: bool,
    action: Action,
}

#[derive(Debug)]
enum Action {
    /// A sidecar's tool, under the errand's key where it takes one.
    Sidecar {
        sidecar: fn(&Sidecars) -> &Sidecar,
        tool: String,
        takes_key: bool,
    },
    /// A function of ours. It does its work once for the errand's key.
    Own(Run),
}

/// A sidecar's tools, as the sidecar lists them.
#[derive(Deserialize)]
struct Listed {
    tools: Vec<ListedTool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedTool {
    name: String,
    input_schema: Value,
    annotations: Annotations,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Annotations {
    read_only_hint: bool,
    idempotent_hint: bool,
}

/// A family of tools: its name, its sidecar, and the sidecar's list. Without a list only tools of ours reach it: all
/// organizations share one account there.
type Family = (
    &'static str,
    fn(&Sidecars) -> &Sidecar,
    Option<&'static str>,
);

const FAMILIES: [Family; 5] = [
    (
        "gdrive",
        |all| &all.gdrive,
        Some(include_str!("../../../mcp-sidecars/gdrive/tools.json")),
    ),
    (
        "slack",
        |all| &all.slack,
        Some(include_str!("../../../mcp-sidecars/slack/tools.json")),
    ),
    (
        "calendar",
        |all| &all.calendar,
        Some(include_str!("../../../mcp-sidecars/calendar/tools.json")),
    ),
    ("stripe", |all| &all.stripe, None),
    ("twilio", |all| &all.twilio, None),
];

/// What may be done with the installation's own accounts, which organizations without one of theirs share: making things, and
/// taking them back by ids that nobody guesses. Reading, searching and sharing would show an organization what is another's.
const SHARED: [&str; 8] = [
    "calendar.cancel_event",
    "calendar.create_event",
    "gdrive.create_document",
    "gdrive.create_folder",
    "gdrive.trash_file",
    "slack.delete_message",
    "slack.post_message",
    "slack.reply_in_thread",
];

static TOOLS: LazyLock<BTreeMap<String, Tool>> = LazyLock::new(|| {
    let ours = OWN.iter().map(|own| Tool {
        name: own.name.to_owned(),
        lane: own.lane,
        needs_event: own.needs_event,
        input_schema: (own.schema)(),
        is_read_only: false,
        action: Action::Own(own.run),
    });
    let all = FAMILIES.into_iter().flat_map(of_sidecar).chain(ours);
    all.map(|tool| (tool.name.clone(), tool)).collect()
});

/// A tool by its name.
pub fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.get(name)
}

/// The names of a family's tools, e.g. of `slack`.
pub fn of_family(family: &str) -> impl Iterator<Item = &'static str> {
    TOOLS
        .values()
        .filter(move |tool| tool.family() == family)
        .map(|tool| tool.name.as_str())
}

impl Tool {
    pub fn family(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }

    /// Which setting is missing for it to work here, if one is.
    pub fn missing(&self, app: &App) -> Option<String> {
        let (_, sidecar, _) = FAMILIES.iter().find(|(family, ..)| *family == self.lane)?;
        if sidecar(&app.sidecars).is_set() {
            return None;
        }
        let setting = format!("{}_SIDECAR_URL", self.lane.to_uppercase());
        Some(format!("needs {setting}, which is not set"))
    }

    /// The names of the arguments that it takes and of those that it needs; the idempotency key is ours to give.
    pub fn arguments(&self) -> (Vec<&str>, Vec<&str>) {
        let known = self.input_schema["properties"].as_object();
        let known = known.into_iter().flat_map(Map::keys).map(String::as_str);
        let required = self.input_schema["required"].as_array();
        let required = required.into_iter().flatten().filter_map(Value::as_str);
        let is_callers = |name: &&str| *name != "idempotency_key";
        (
            known.filter(is_callers).collect(),
            required.filter(is_callers).collect(),
        )
    }

    /// Does it, once for the errand's key.
    pub async fn call(
        &self,
        app: &App,
        errand: &Errand,
        event_id: Option<Uuid>,
        input: Value,
    ) -> Result<Value, CallError> {
        let done = match &self.action {
            Action::Sidecar {
                sidecar,
                tool,
                takes_key,
            } => {
                let sidecar = sidecar(&app.sidecars);
                self.call_sidecar(sidecar, errand, tool, *takes_key, &input)
                    .await
            }
            Action::Own(run) => run(app, errand, event_id, input).await,
        };
        done.map_err(|failure| CallError::of(failure, errand.deadline <= Instant::now()))
    }

    async fn call_sidecar(
        &self,
        sidecar: &Sidecar,
        errand: &Errand,
        tool: &str,
        takes_key: bool,
        input: &Value,
    ) -> Result<Value, Failure> {
        let is_shared = SHARED.contains(&self.name.as_str());
        if !is_shared && !sidecar.has_own_account(errand).await? {
            return Err(Failure::Fatal(format!(
                "{} is done with an account of the organization's own; connect one (docs/integrations.md)",
                self.name
            )));
        }
        let answer = if takes_key {
            sidecar.run(errand, tool, input).await
        } else {
            sidecar.ask(errand, tool, input).await
        };
        Ok(answer?)
    }
}

/// The tools of a family that are safe to ask for again: one that is not has no place in a run.
fn of_sidecar((family, sidecar, list): Family) -> impl Iterator<Item = Tool> {
    let listed = list.and_then(|list| serde_json::from_str::<Listed>(list).ok());
    let tools = listed.map(|listed| listed.tools).unwrap_or_default();
    tools.into_iter().filter_map(move |tool| {
        let takes_key = tool.input_schema["properties"]["idempotency_key"].is_object();
        let is_safe = takes_key || tool.annotations.idempotent_hint;
        is_safe.then(|| Tool {
            name: format!("{family}.{}", tool.name),
            lane: family,
            needs_event: false,
            input_schema: tool.input_schema,
            is_read_only: tool.annotations.read_only_hint,
            action: Action::Sidecar {
                sidecar,
                tool: tool.name,
                takes_key,
            },
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::BUILT_IN;

    #[test]
    fn every_sidecars_list_is_read() {
        for (family, _, list) in FAMILIES {
            let Some(list) = list else {
                assert_eq!(of_family(family).count(), 0);
                continue;
            };
            let listed: Listed = serde_json::from_str(list).unwrap();
            assert!(of_family(family).count() + 2 >= listed.tools.len());
            assert!(of_family(family).count() > 4, "{family}");
        }
        let post = find("slack.post_message").unwrap();
        assert_eq!(post.arguments().1, ["channel", "text"]);
        assert!(!post.arguments().0.contains(&"idempotency_key"));
        assert!(SHARED.iter().all(|name| find(name).is_some()));
        assert_eq!(find("people.confirm").unwrap().lane, "");
    }

    #[test]
    fn every_tool_of_ours_has_a_schema_an_agent_and_a_provider_that_is_known() {
        for own in OWN {
            let tool = find(own.name).unwrap();
            let schema = &tool.input_schema;
            assert_eq!(schema["type"], "object", "{}", own.name);
            assert_eq!(schema["additionalProperties"], false, "{}", own.name);
            let lanes = FAMILIES.map(|(family, ..)| family);
            assert!(own.lane.is_empty() || lanes.contains(&own.lane));
            let mut agents = BUILT_IN.iter();
            assert!(agents.any(|agent| agent.families.contains(&tool.family())));
        }
        let document = find("documents.create_document").unwrap();
        assert_eq!(document.arguments().1, ["name"]);
        assert_eq!(document.arguments().0.len(), 4);
    }
}
