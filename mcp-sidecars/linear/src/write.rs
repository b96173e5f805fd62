//! `create_issue`, `update_issue`.

use jiff::civil::Date;
use mcp_kit::{Call, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use validator::Validate;

use crate::{
    client::Linear,
    issue::{Connection, ISSUE, Issue, Resource, Team},
    read::{StateType, issue_of, team_of},
};

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateIssue {
    /// Any text that is new for each issue, such as a UUID: the same key again finds the issue instead of creating another.
    #[validate(length(min = 1, max = 255))]
    idempotency_key: String,
    /// Key or id of the team.
    #[validate(length(min = 1, max = 100))]
    team: String,
    #[validate(length(min = 1, max = 255))]
    title: String,
    /// Markdown.
    #[validate(length(max = 60_000))]
    description: Option<String>,
    /// A day such as `2027-06-12`.
    #[validate(length(min = 1, max = 10))]
    due_date: Option<String>,
    priority: Option<Priority>,
    /// Check only, and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateIssue {
    /// Id or identifier, such as `EVT-12`.
    #[validate(length(min = 1, max = 100))]
    issue: String,
    #[validate(length(min = 1, max = 255))]
    title: Option<String>,
    /// Markdown; empty takes it away.
    #[validate(length(max = 60_000))]
    description: Option<String>,
    /// A day such as `2027-06-12`; empty takes it away.
    #[validate(length(max = 10))]
    due_date: Option<String>,
    priority: Option<Priority>,
    /// Name of a state of the issue's team, such as `Done`.
    #[validate(length(min = 1, max = 100))]
    state: Option<String>,
    /// What its state shall mean, in place of `state`: an issue whose state means it stays in that, another one gets the team's
    /// first state that does.
    state_type: Option<StateType>,
    /// Check only, and say what would be done.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Priority {
    None,
    Urgent,
    High,
    Medium,
    Low,
}

/// What a change came to.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Written {
    /// Missing after a dry run that would create it.
    #[serde(skip_serializing_if = "Option::is_none")]
    issue: Option<Issue>,
    /// It was there already, under this idempotency key; it may have been changed since.
    replayed: bool,
    /// What would be done, after a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    would: Option<String>,
}

#[derive(Deserialize)]
struct Payload {
    issue: Resource,
}

pub(crate) async fn create_issue(
    linear: Linear,
    call: Call,
    arguments: CreateIssue,
) -> Result<Written, ToolError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        issue_create: Payload,
    }
    let due_date = arguments.due_date.as_deref().map(day).transpose()?;
    let team = team_of(&linear, &call, &arguments.team).await?;
    if arguments.dry_run {
        let what = format!("create “{}” in {}", arguments.title, team.key);
        return Ok(Written::would(what, None));
    }
    let id = id(&call, &arguments.idempotency_key);
    let document = format!(
        "mutation($input: IssueCreateInput!) {{ issueCreate(input: $input) {{ success issue {{ {ISSUE} }} }} }}"
    );
    let mut input = json!({
        "id": id,
        "teamId": team.id,
        "title": arguments.title,
        "description": arguments.description,
        "dueDate": due_date,
        "priority": arguments.priority.map(Priority::number),
    });
    if let Some(fields) = input.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    let variables = json!({ "input": input });
    if let Some(Data { issue_create }) = linear.create(&call, &document, variables).await? {
        return Ok(Written::done(issue_create.issue, false));
    }
    let there = issue_of(&linear, &call, &id).await?;
    if there.team.id == team.id {
        return Ok(Written::done(there, true));
    }
    let words = "this idempotency_key was used for an issue of another team: take a new one";
    Err(ToolError::refused(words).with_details(json!({ "issue_id": id })))
}

pub(crate) async fn update_issue(
    linear: Linear,
    call: Call,
    arguments: UpdateIssue,
) -> Result<Written, ToolError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        issue_update: Payload,
    }
    let mut input = json!({});
    if let Some(title) = &arguments.title {
        input["title"] = title.as_str().into();
    }
    if let Some(description) = &arguments.description {
        input["description"] = Some(description.as_str())
            .filter(|text| !text.is_empty())
            .into();
    }
    if let Some(due_date) = arguments.due_date.as_deref() {
        let due_date = Some(due_date).filter(|date| !date.is_empty());
        input["dueDate"] = due_date.map(day).transpose()?.into();
    }
    if let Some(priority) = arguments.priority {
        input["priority"] = priority.number().into();
    }
    let there = issue_of(&linear, &call, &arguments.issue).await?;
    let wanted = arguments.wanted_state()?;
    if input.as_object().is_none_or(serde_json::Map::is_empty) && wanted.is_none() {
        return Err(ToolError::invalid(
            "say what to change: title, description, due_date, priority, state or state_type",
        ));
    }
    let wanted = wanted.filter(|wanted| !wanted.is_met_by(&there));
    if let Some(wanted) = &wanted {
        input["stateId"] = state_of(&linear, &call, &there.team, wanted).await?.into();
    }
    let issue = Issue::from(there);
    if input.as_object().is_none_or(serde_json::Map::is_empty) && !arguments.dry_run {
        return Ok(Written {
            issue: Some(issue),
            replayed: false,
            would: None,
        });
    }
    if arguments.dry_run {
        let what = format!("change {} “{}”", issue.identifier, issue.title);
        return Ok(Written::would(what, Some(issue)));
    }
    let document = format!(
        "mutation($id: String!, $input: IssueUpdateInput!) {{ issueUpdate(id: $id, input: $input) {{ success issue {{ {ISSUE} }} }} }}"
    );
    let variables = json!({ "id": issue.id, "input": input });
    let Data { issue_update } = linear.ask(&call, &document, variables).await?;
    Ok(Written::done(issue_update.issue, false))
}

/// The state that an issue shall have.
enum WantedState<'a> {
    Named(&'a str),
    Meaning(StateType),
}

impl UpdateIssue {
    fn wanted_state(&self) -> Result<Option<WantedState<'_>>, ToolError> {
        match (self.state.as_deref(), self.state_type) {
            (Some(_), Some(_)) => Err(ToolError::invalid("give state or state_type, one of them")),
            (Some(name), None) => Ok(Some(WantedState::Named(name))),
            (None, kind) => Ok(kind.map(WantedState::Meaning)),
        }
    }
}

impl WantedState<'_> {
    /// Whether nothing has to be looked up: of several states that mean it, people choose one.
    fn is_met_by(&self, issue: &Resource) -> bool {
        matches!(self, Self::Meaning(kind) if issue.state_type() == kind.as_str())
    }

    fn fits(&self, state: &State) -> bool {
        match self {
            Self::Named(name) => state.name.eq_ignore_ascii_case(name),
            Self::Meaning(kind) => state.kind == kind.as_str(),
        }
    }

    fn field(&self) -> &'static str {
        match self {
            Self::Named(_) => "/state",
            Self::Meaning(_) => "/state_type",
        }
    }
}

#[derive(Deserialize)]
struct State {
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    /// Its place in the team's order.
    position: f64,
}

/// The id of a team's state.
async fn state_of(
    linear: &Linear,
    call: &Call,
    team: &Team,
    wanted: &WantedState<'_>,
) -> Result<String, ToolError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        workflow_states: Connection<State>,
    }
    let document = "query($filter: WorkflowStateFilter) { workflowStates(first: 100, filter: $filter) \
        { nodes { id name type position } pageInfo { hasNextPage endCursor } } }";
    let filter = json!({ "team": { "id": { "eq": team.id } } });
    let data: Data = linear
        .ask(call, document, json!({ "filter": filter }))
        .await?;
    let states = data.workflow_states.nodes;
    let found = states.iter().filter(|state| wanted.fits(state));
    if let Some(state) = found.min_by(|one, other| one.position.total_cmp(&other.position)) {
        return Ok(state.id.clone());
    }
    let names: Vec<_> = states.iter().map(|state| state.name.as_str()).collect();
    let words = format!(
        "the team {} has these states: {}",
        team.key,
        names.join(", ")
    );
    Err(ToolError::field(wanted.field(), "unknown", &words))
}

impl Written {
    fn done(issue: Resource, replayed: bool) -> Self {
        Self {
            issue: Some(issue.into()),
            replayed,
            would: None,
        }
    }

    fn would(what: String, issue: Option<Issue>) -> Self {
        Self {
            issue,
            replayed: false,
            would: Some(what),
        }
    }
}

impl Priority {
    /// As Linear counts.
    fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Urgent => 1,
            Self::High => 2,
            Self::Medium => 3,
            Self::Low => 4,
        }
    }
}

fn day(text: &str) -> Result<Value, ToolError> {
    let date: Result<Date, _> = text.parse();
    let is_plain = |date: &Date| date.to_string() == text;
    date.ok()
        .filter(is_plain)
        .map(|date| date.to_string().into())
        .ok_or_else(|| ToolError::field("/due_date", "format", "must be a day such as 2027-06-12"))
}

/// The id under which an issue is created: it follows from the key, for each organization and account on its own, and has the
/// form of a random UUID (RFC 9562, version 4), the only one that Linear takes.
fn id(call: &Call, idempotency_key: &str) -> String {
    let mut digest = Sha256::new();
    let account = call.account.as_ref().map(|account| &*account.id);
    for part in [
        call.organization().unwrap_or_default(),
        account.unwrap_or_default(),
        idempotency_key,
    ] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let digest = digest.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = format!("{:032x}", u128::from_be_bytes(bytes));
    [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ]
    .join("-")
}
