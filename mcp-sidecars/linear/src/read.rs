//! `list_teams`, `list_issues`, `get_issue`.

use mcp_kit::{Call, Limit, Page, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use validator::Validate;

use crate::{
    client::Linear,
    issue::{Connection, ISSUE, Issue, Resource, Team},
};

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListTeams {
    #[serde(default)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[validate(length(min = 1, max = 500))]
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListIssues {
    /// Key or id of a team; all that may be used if left out.
    #[validate(length(min = 1, max = 100))]
    team: Option<String>,
    /// Words that the title has, whatever their case.
    #[validate(length(min = 1, max = 255))]
    title: Option<String>,
    /// Only issues whose state means this.
    state_type: Option<StateType>,
    #[serde(default)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[validate(length(min = 1, max = 500))]
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StateType {
    Triage,
    Backlog,
    Unstarted,
    Started,
    Completed,
    Canceled,
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetIssue {
    /// Id or identifier, such as `EVT-12`.
    #[validate(length(min = 1, max = 100))]
    issue: String,
}

pub(crate) async fn list_teams(
    linear: Linear,
    call: Call,
    arguments: ListTeams,
) -> Result<Page<Team>, ToolError> {
    #[derive(Deserialize)]
    struct Data {
        teams: Connection<Team>,
    }
    let document = "query($first: Int!, $after: String) { teams(first: $first, after: $after) \
        { nodes { id key name } pageInfo { hasNextPage endCursor } } }";
    let variables = json!({ "first": arguments.limit.get(), "after": arguments.cursor });
    let Data { teams } = linear.ask(&call, document, variables).await?;
    let allowed = teams.nodes.into_iter();
    Ok(Page {
        items: allowed
            .filter(|team| team.is_allowed(&linear.settings))
            .collect(),
        next_cursor: teams.page_info.next(),
    })
}

pub(crate) async fn list_issues(
    linear: Linear,
    call: Call,
    arguments: ListIssues,
) -> Result<Page<Issue>, ToolError> {
    #[derive(Deserialize)]
    struct Data {
        issues: Connection<Resource>,
    }
    let mut filter = json!({});
    if let Some(team) = &arguments.team {
        let team = team_of(&linear, &call, team).await?;
        filter["team"] = json!({ "id": { "eq": team.id } });
    } else if let Some(teams) = linear.settings.teams() {
        filter["team"] = json!({ "key": { "in": teams } });
    }
    if let Some(title) = &arguments.title {
        filter["title"] = json!({ "containsIgnoreCase": title });
    }
    if let Some(kind) = arguments.state_type {
        filter["state"] = json!({ "type": { "eq": kind.as_str() } });
    }
    let document = format!(
        "query($first: Int!, $after: String, $filter: IssueFilter) {{ issues(first: $first, after: $after, filter: $filter) \
         {{ nodes {{ {ISSUE} }} pageInfo {{ hasNextPage endCursor }} }} }}"
    );
    let variables =
        json!({ "first": arguments.limit.get(), "after": arguments.cursor, "filter": filter });
    let Data { issues } = linear.ask(&call, &document, variables).await?;
    Ok(Page {
        items: issues.nodes.into_iter().map(Issue::from).collect(),
        next_cursor: issues.page_info.next(),
    })
}

pub(crate) async fn get_issue(
    linear: Linear,
    call: Call,
    arguments: GetIssue,
) -> Result<Issue, ToolError> {
    Ok(issue_of(&linear, &call, &arguments.issue).await?.into())
}

/// A team by key or id, if it may be used.
pub(crate) async fn team_of(linear: &Linear, call: &Call, team: &str) -> Result<Team, ToolError> {
    #[derive(Deserialize)]
    struct Data {
        team: Team,
    }
    let document = "query($id: String!) { team(id: $id) { id key name } }";
    let data: Data = linear.ask(call, document, json!({ "id": team })).await?;
    data.team.check(&linear.settings)?;
    Ok(data.team)
}

/// An issue by id or identifier, if its team may be used.
pub(crate) async fn issue_of(
    linear: &Linear,
    call: &Call,
    issue: &str,
) -> Result<Resource, ToolError> {
    #[derive(Deserialize)]
    struct Data {
        issue: Resource,
    }
    let document = format!("query($id: String!) {{ issue(id: $id) {{ {ISSUE} }} }}");
    let variables: Value = json!({ "id": issue });
    let data: Data = linear.ask(call, &document, variables).await?;
    data.issue.team.check(&linear.settings)?;
    Ok(data.issue)
}

impl StateType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Triage => "triage",
            Self::Backlog => "backlog",
            Self::Unstarted => "unstarted",
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
        }
    }
}
