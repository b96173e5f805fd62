//! What a playbook says: how it is recognised, and its steps.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Span};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use crate::{access::Role, plans::brief::EventType};

/// A step may take so long when it does not say.
const TIMEOUT: Duration = Duration::from_secs(30);
/// And at most.
pub const LONGEST_TIMEOUT: Duration = Duration::from_mins(5);

/// Steps that are done for one kind of event or work.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "team-dinner", "title": "Team dinner", "match": { "keywords": { "dinner": 3 } },
    "steps": [
        { "id": "folder", "agent_type": "documents", "tool": "gdrive.create_folder",
          "description": "Make a folder", "inputs": { "name": "${request.title}" } },
        { "id": "tell", "agent_type": "messages", "tool": "slack.post_message", "description": "Tell the team",
          "inputs": { "channel": "#events", "text": "Papers: ${steps.folder.output.file.link}" },
          "depends_on": ["folder"] }
    ]
}))]
pub struct Definition {
    /// Lower-case letters, digits, `-` and `_`, beginning with a letter. The name of a shipped playbook puts this one
    /// in its place.
    #[validate(custom(function = name))]
    #[schema(min_length = 1, max_length = 63, pattern = "^[a-z][a-z0-9_-]{0,62}$")]
    pub name: String,
    #[validate(length(min = 1, max = 200), custom(function = crate::text::not_blank))]
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub title: String,
    #[serde(default)]
    #[validate(length(max = 2000))]
    #[schema(max_length = 2000, required = false)]
    pub description: String,
    /// How a description is recognised; without it the playbook is only used by its name.
    #[serde(default, rename = "match")]
    #[validate(nested)]
    #[schema(required = false)]
    pub matching: Matching,
    #[validate(length(min = 1, max = 50), nested)]
    #[schema(min_items = 1, max_items = 50)]
    pub steps: Vec<Step>,
}

/// What speaks for a playbook.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Matching {
    /// Words or phrases, in lower case, and the weight of each, 1 to 10.
    #[serde(default)]
    #[validate(length(max = 50), custom(function = weights))]
    #[schema(required = false)]
    pub keywords: BTreeMap<String, u8>,
    /// An event of such a type weighs 2.
    #[serde(default)]
    #[schema(required = false)]
    pub event_types: Vec<EventType>,
}

/// One thing to do.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// How other steps name it.
    #[validate(custom(function = name))]
    #[schema(min_length = 1, max_length = 63, pattern = "^[a-z][a-z0-9_-]{0,62}$")]
    pub id: String,
    /// Who does it: a built-in agent, or one that the organization registered.
    #[validate(length(min = 1, max = 63))]
    #[schema(min_length = 1, max_length = 63)]
    pub agent_type: String,
    /// What it does it with, such as `slack.post_message`.
    #[validate(length(min = 1, max = 128))]
    #[schema(min_length = 1, max_length = 128)]
    pub tool: String,
    /// For people.
    #[validate(length(min = 1, max = 500), custom(function = crate::text::not_blank))]
    #[schema(min_length = 1, max_length = 500, pattern = r"\S")]
    pub description: String,
    /// The tool's arguments: literals, and references such as `${event.title}` or `${steps.folder.output.file.id}`.
    #[serde(default)]
    #[schema(value_type = Object, required = false)]
    pub inputs: Map<String, Value>,
    /// Steps that come before it.
    #[serde(default)]
    #[validate(length(max = 50))]
    #[schema(max_items = 50, required = false)]
    pub depends_on: Vec<String>,
    /// When it should be done, from the start of the event: an ISO 8601 duration such as `-P14D`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = is_deadline))]
    #[schema(max_length = 40)]
    pub deadline: Option<String>,
    /// The longest time for one attempt: an ISO 8601 duration, `PT1S` to `PT5M`; `PT30S` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(custom(function = is_timeout))]
    #[schema(max_length = 40)]
    pub timeout: Option<String>,
    /// Attempts before it has failed; those that find the provider away do not count.
    #[serde(default = "default_attempts")]
    #[validate(range(min = 1, max = 20))]
    #[schema(minimum = 1, maximum = 20, default = 5, required = false)]
    pub attempts: u8,
    /// Minutes that people and agents need for it, for the estimate.
    #[serde(default = "default_minutes")]
    #[validate(range(min = 0, max = 100_000))]
    #[schema(minimum = 0, maximum = 100_000, default = 1, required = false)]
    pub estimated_minutes: i32,
    /// How it is undone when the run is cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub compensate: Option<Compensation>,
    /// Somebody has to approve it before it is done: `true`, or the role that it takes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "approval"
    )]
    pub approval: Option<Approval>,
    /// If it cannot be done, it is skipped and the run goes on.
    #[serde(default)]
    #[schema(required = false)]
    pub optional: bool,
}

/// How a step is undone: by a tool, or by a person who is told what to do. Exactly one of the two.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = one_way))]
pub struct Compensation {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 128))]
    #[schema(min_length = 1, max_length = 128)]
    pub tool: Option<String>,
    /// As of a step; `${output…}` is what the step gave, `${input…}` what it got.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object, required = false)]
    pub inputs: Map<String, Value>,
    /// What a person is to do, with references. The run is then marked for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(length(min = 1, max = 500))]
    #[schema(min_length = 1, max_length = 500)]
    pub person: Option<String>,
}

/// Who may approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// This role, or one above it.
    pub role: Role,
}

impl Step {
    pub fn longest_attempt(&self) -> Duration {
        let given = self.timeout.as_deref().and_then(read_timeout);
        given.unwrap_or(TIMEOUT)
    }

    /// From the start of the event to when it should be done.
    pub fn deadline(&self) -> Option<Span> {
        self.deadline.as_deref()?.parse().ok()
    }
}

/// Whether this can be the name of a playbook, an agent or a step.
pub fn is_name(name: &str) -> bool {
    let is_plain = |char: char| {
        char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-' || char == '_'
    };
    name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(is_plain)
}

pub fn name(name: &str) -> Result<(), ValidationError> {
    let message = "must be 1 to 63 lower-case letters, digits, - or _, beginning with a letter";
    says(is_name(name), "pattern", message)
}

fn weights(keywords: &BTreeMap<String, u8>) -> Result<(), ValidationError> {
    let is_right = |(word, weight): (&String, &u8)| {
        let length = word.chars().count();
        let is_plain = word.trim() == word && word.to_lowercase() == *word;
        (1..=60).contains(&length) && is_plain && (1..=10).contains(weight)
    };
    let message = "each must be 1 to 60 characters in lower case, with a weight from 1 to 10";
    says(keywords.iter().all(is_right), "range", message)
}

fn is_deadline(text: &str) -> Result<(), ValidationError> {
    let message = "must be an ISO 8601 duration from the start of the event, such as -P14D";
    let is_right = text.len() <= 40 && is_iso(text) && text.parse::<Span>().is_ok();
    says(is_right, "duration", message)
}

fn is_timeout(text: &str) -> Result<(), ValidationError> {
    let message = "must be an ISO 8601 duration from PT1S to PT5M";
    says(read_timeout(text).is_some(), "duration", message)
}

fn read_timeout(text: &str) -> Option<Duration> {
    let given = text.parse::<SignedDuration>().ok().filter(|_| is_iso(text));
    let given = Duration::try_from(given?).ok()?;
    (Duration::from_secs(1)..=LONGEST_TIMEOUT)
        .contains(&given)
        .then_some(given)
}

/// jiff also takes a friendlier form, which no other program would.
fn is_iso(text: &str) -> bool {
    text.trim_start_matches(['-', '+']).starts_with('P')
}

fn one_way(compensation: &Compensation) -> Result<(), ValidationError> {
    let is_one = compensation.tool.is_some() != compensation.person.is_some();
    let is_right = is_one && (compensation.tool.is_some() || compensation.inputs.is_empty());
    says(
        is_right,
        "conflict",
        "give either tool and inputs, or person",
    )
}

fn says(is_right: bool, code: &'static str, message: &'static str) -> Result<(), ValidationError> {
    if is_right {
        return Ok(());
    }
    Err(ValidationError::new(code).with_message(message.into()))
}

fn default_attempts() -> u8 {
    5
}

fn default_minutes() -> i32 {
    1
}

/// `true` is a planner's approval, `false` none.
fn approval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Approval>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null | Value::Bool(false) => Ok(None),
        Value::Bool(true) => Ok(Some(Approval {
            role: Role::Planner,
        })),
        given => serde_json::from_value(given).map(Some).map_err(|_| {
            de::Error::custom("must be true, or an object with the role that approves")
        }),
    }
}
