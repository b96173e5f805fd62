//! The part of Linear's GraphQL schema that is spoken here; whatever is not in it is an error, as there.

#![expect(
    clippy::unused_async,
    reason = "the library wants resolvers to be asynchronous"
)]

use std::sync::{Arc, LazyLock};

use async_graphql::{
    Context, EmptySubscription, Error, ErrorExtensions, ID, Object, Result, Schema, SimpleObject,
    scalar,
};
use serde::{Deserialize, Serialize};

use super::{
    inputs::{
        IssueCreateInput, IssueFilter, IssueUpdateInput, PaginationOrderBy, TeamFilter,
        TimelessDate, WorkflowStateFilter,
    },
    issues::Fault,
    token::Who,
    workspace::{
        Organization, TEAMS, Team, User, WORKSPACES, WorkflowState, Workspace, find_team, state,
        states, team,
    },
};
use crate::{google, world::World};

const PAGE: i32 = 50;
const LONGEST_PAGE: i32 = 250;

pub(super) type Linear = Schema<Query, Mutation, EmptySubscription>;

/// The schema, made once.
pub(super) fn schema() -> &'static Linear {
    static SCHEMA: LazyLock<Linear> = LazyLock::new(|| {
        Schema::build(Query, Mutation, EmptySubscription)
            .limit_complexity(10_000)
            .limit_depth(20)
            .finish()
    });
    &SCHEMA
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct DateTime(jiff::Timestamp);
scalar!(DateTime);

#[derive(SimpleObject)]
struct PageInfo {
    has_next_page: bool,
    has_previous_page: bool,
    start_cursor: Option<String>,
    end_cursor: Option<String>,
}

#[derive(SimpleObject)]
struct TeamConnection {
    nodes: Vec<Team>,
    page_info: PageInfo,
}

#[derive(SimpleObject)]
struct WorkflowStateConnection {
    nodes: Vec<WorkflowState>,
    page_info: PageInfo,
}

#[derive(SimpleObject)]
struct IssueConnection {
    nodes: Vec<Issue>,
    page_info: PageInfo,
}

#[derive(SimpleObject)]
pub(super) struct Issue {
    pub(super) id: ID,
    identifier: String,
    number: f64,
    pub(super) title: String,
    description: Option<String>,
    priority: f64,
    priority_label: &'static str,
    due_date: Option<TimelessDate>,
    url: String,
    created_at: DateTime,
    updated_at: DateTime,
    pub(super) team: Team,
    pub(super) state: WorkflowState,
    assignee: Option<User>,
    creator: Option<User>,
}

#[derive(SimpleObject)]
struct IssuePayload {
    success: bool,
    last_sync_id: f64,
    issue: Option<Issue>,
}

pub(super) struct Query;

#[Object]
impl Query {
    async fn viewer(&self, ctx: &Context<'_>) -> Result<User> {
        Ok(here(ctx)?.1.viewer())
    }

    async fn organization(&self, ctx: &Context<'_>) -> Result<Organization> {
        Ok(here(ctx)?.1.organization())
    }

    async fn team(&self, ctx: &Context<'_>, id: String) -> Result<Team> {
        let (workspace, _) = here(ctx)?;
        let found = find_team(workspace, &id).and_then(team);
        found.ok_or_else(|| told(Fault::missing("Team")))
    }

    async fn teams(
        &self,
        ctx: &Context<'_>,
        filter: Option<TeamFilter>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<TeamConnection> {
        let (workspace, _) = here(ctx)?;
        let filter = filter.unwrap_or_default();
        let teams = (0..TEAMS.len()).filter(|number| TEAMS[*number].0 == workspace);
        let teams = teams.filter_map(team).filter(|team| filter.takes(team));
        let (nodes, page_info) = page(teams.collect(), |team| &team.id, first, after)?;
        Ok(TeamConnection { nodes, page_info })
    }

    async fn workflow_states(
        &self,
        ctx: &Context<'_>,
        filter: Option<WorkflowStateFilter>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<WorkflowStateConnection> {
        let (workspace, _) = here(ctx)?;
        let filter = filter.unwrap_or_default();
        let teams = (0..TEAMS.len()).filter(|number| TEAMS[*number].0 == workspace);
        let found = teams.flat_map(states).filter(|state| filter.takes(state));
        let (nodes, page_info) = page(found.collect(), |state| &state.id, first, after)?;
        Ok(WorkflowStateConnection { nodes, page_info })
    }

    async fn issue(&self, ctx: &Context<'_>, id: String) -> Result<Issue> {
        let (workspace, of) = here(ctx)?;
        let things = world(ctx)?.things();
        let issue = things.linear.issue(workspace, &id).map_err(told)?;
        Issue::of(issue, &of)
    }

    async fn issues(
        &self,
        ctx: &Context<'_>,
        filter: Option<IssueFilter>,
        first: Option<i32>,
        after: Option<String>,
        order_by: Option<PaginationOrderBy>,
    ) -> Result<IssueConnection> {
        let (workspace, of) = here(ctx)?;
        let filter = filter.unwrap_or_default();
        let things = world(ctx)?.things();
        let issues = things.linear.issues_of(workspace).rev();
        let issues = issues.map(|issue| Issue::of(issue, &of));
        let mut issues: Vec<_> = issues.collect::<Result<_>>()?;
        issues.retain(|issue| filter.takes(issue));
        if order_by == Some(PaginationOrderBy::UpdatedAt) {
            issues.sort_by_key(|issue| std::cmp::Reverse(issue.updated_at.0));
        }
        let (nodes, page_info) = page(issues, |issue| &issue.id, first, after)?;
        Ok(IssueConnection { nodes, page_info })
    }
}

pub(super) struct Mutation;

#[Object]
impl Mutation {
    async fn issue_create(
        &self,
        ctx: &Context<'_>,
        input: IssueCreateInput,
    ) -> Result<IssuePayload> {
        let (workspace, of) = here(ctx)?;
        may(ctx, &["write", "issues:create"])?;
        let team = find_team(workspace, &input.team_id);
        let team = team.ok_or_else(|| told(Fault::missing("Team")))?;
        let id = input.id.clone().map_or_else(new_id, Ok)?;
        let world = world(ctx)?;
        let now = world.now();
        let mut things = world.things();
        let created = things
            .linear
            .create(id, team, input.into(), of.user.id, now);
        IssuePayload::of(created, &of)
    }

    async fn issue_update(
        &self,
        ctx: &Context<'_>,
        id: String,
        input: IssueUpdateInput,
    ) -> Result<IssuePayload> {
        let (workspace, of) = here(ctx)?;
        may(ctx, &["write"])?;
        let wish = input.into();
        let world = world(ctx)?;
        let now = world.now();
        let mut things = world.things();
        let updated = things.linear.update(workspace, &id, wish, of.user.id, now);
        IssuePayload::of(updated, &of)
    }
}

impl Issue {
    fn of(issue: &super::Issue, workspace: &Workspace) -> Result<Self> {
        let label = ["No priority", "Urgent", "High", "Medium", "Low"];
        let index = usize::try_from(issue.priority).unwrap_or_default();
        let (slug, identifier) = (workspace.url_key, issue.identifier());
        Ok(Self {
            id: issue.id.clone().into(),
            number: issue.number.into(),
            title: issue.title.clone(),
            description: issue.description.clone(),
            priority: issue.priority.into(),
            priority_label: label.get(index).copied().unwrap_or_default(),
            due_date: issue.due_date.map(TimelessDate),
            url: format!("https://linear.app/{slug}/issue/{identifier}"),
            identifier,
            created_at: DateTime(issue.created_at),
            updated_at: DateTime(issue.updated_at),
            team: team(issue.team).ok_or_else(|| told(Fault::missing("Team")))?,
            state: state(issue.team, issue.state)
                .ok_or_else(|| told(Fault::missing("WorkflowState")))?,
            assignee: issue.is_assigned.then(|| workspace.viewer()),
            creator: Some(workspace.viewer()),
        })
    }
}

impl IssuePayload {
    fn of(done: Result<&super::Issue, Fault>, workspace: &Workspace) -> Result<Self> {
        Ok(Self {
            success: true,
            last_sync_id: 1.0,
            issue: Some(Issue::of(done.map_err(told)?, workspace)?),
        })
    }
}

/// The page after a cursor, which is the id of the last one.
fn page<T>(
    mut all: Vec<T>,
    id: impl Fn(&T) -> &ID,
    first: Option<i32>,
    after: Option<String>,
) -> Result<(Vec<T>, PageInfo)> {
    let first = first.unwrap_or(PAGE);
    if !(1..=LONGEST_PAGE).contains(&first) {
        let words = format!("first must not be greater than {LONGEST_PAGE}.");
        return Err(told(Fault("Argument Validation Error".to_owned(), words)));
    }
    let has_previous_page = after.is_some();
    if let Some(after) = after {
        let last = all.iter().position(|item| **id(item) == after);
        let last = last.ok_or_else(|| told(Fault::missing("Cursor")))?;
        all.drain(..=last);
    }
    let length = usize::try_from(first).unwrap_or_default();
    let has_next_page = all.len() > length;
    all.truncate(length);
    let cursor = |item: Option<&T>| item.map(|item| id(item).to_string());
    let page_info = PageInfo {
        has_next_page,
        has_previous_page,
        start_cursor: cursor(all.first()),
        end_cursor: cursor(all.last()),
    };
    Ok((all, page_info))
}

/// In which workspace the caller is.
fn here(ctx: &Context<'_>) -> Result<(usize, Workspace)> {
    let number = ctx.data::<Who>()?.workspace;
    let workspace = WORKSPACES.get(number).copied();
    Ok((
        number,
        workspace.ok_or_else(|| told(Fault::missing("Organization")))?,
    ))
}

fn world<'a>(ctx: &Context<'a>) -> Result<&'a Arc<World>> {
    ctx.data::<Arc<World>>()
}

fn may(ctx: &Context<'_>, scopes: &[&str]) -> Result<()> {
    let held = &ctx.data::<Who>()?.scopes;
    if scopes.iter().any(|scope| held.contains(*scope)) {
        return Ok(());
    }
    let words = format!("Invalid scope: `{}` required", scopes.join("` or `"));
    let error = Error::new(&words).extend_with(|_, extensions| {
        extensions.set("code", "FORBIDDEN");
        extensions.set("type", "forbidden");
        extensions.set("statusCode", 403);
        extensions.set("userError", true);
        extensions.set("userPresentableMessage", words.as_str());
    });
    Err(error)
}

fn told(Fault(message, presentable): Fault) -> Error {
    Error::new(message).extend_with(|_, extensions| {
        extensions.set("code", "INPUT_ERROR");
        extensions.set("type", "invalid input");
        extensions.set("statusCode", 400);
        extensions.set("userError", true);
        extensions.set("userPresentableMessage", presentable.as_str());
    })
}

/// A random UUID.
fn new_id() -> Result<String> {
    let random = google::random().map_err(|_| Error::new("no randomness"))?;
    let bits = (random & !(0xf << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62);
    let text = format!("{bits:032x}");
    let parts = [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ];
    Ok(parts.join("-"))
}
