//! What queries and changes are told: filters and inputs, as Linear's schema has them.

use async_graphql::{Enum, ID, InputObject, MaybeUndefined, scalar};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{
    issues::Wish,
    schema::Issue,
    workspace::{Team, WorkflowState},
};

/// A date without a time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct TimelessDate(pub(super) Date);
scalar!(TimelessDate);

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(super) enum PaginationOrderBy {
    #[graphql(name = "createdAt")]
    CreatedAt,
    #[graphql(name = "updatedAt")]
    UpdatedAt,
}

#[derive(InputObject, Default)]
#[graphql(name = "IDComparator")]
pub(super) struct IdComparator {
    eq: Option<ID>,
    #[graphql(name = "in")]
    one_of: Option<Vec<ID>>,
}

#[derive(InputObject, Default)]
pub(super) struct StringComparator {
    eq: Option<String>,
    #[graphql(name = "in")]
    one_of: Option<Vec<String>>,
    contains_ignore_case: Option<String>,
}

#[derive(InputObject, Default)]
pub(super) struct TeamFilter {
    id: Option<IdComparator>,
    key: Option<StringComparator>,
}

#[derive(InputObject, Default)]
pub(super) struct WorkflowStateFilter {
    id: Option<IdComparator>,
    name: Option<StringComparator>,
    #[graphql(name = "type")]
    kind: Option<StringComparator>,
    team: Option<TeamFilter>,
}

#[derive(InputObject, Default)]
pub(super) struct IssueFilter {
    id: Option<IdComparator>,
    title: Option<StringComparator>,
    team: Option<TeamFilter>,
    state: Option<WorkflowStateFilter>,
}

#[derive(InputObject)]
pub(super) struct IssueCreateInput {
    pub(super) id: Option<String>,
    title: Option<String>,
    description: Option<String>,
    pub(super) team_id: String,
    due_date: Option<TimelessDate>,
    priority: Option<i32>,
    state_id: Option<String>,
    assignee_id: Option<String>,
}

#[derive(InputObject)]
pub(super) struct IssueUpdateInput {
    title: Option<String>,
    description: MaybeUndefined<String>,
    due_date: MaybeUndefined<TimelessDate>,
    priority: Option<i32>,
    state_id: Option<String>,
    assignee_id: MaybeUndefined<String>,
}

impl IdComparator {
    pub(super) fn takes(&self, id: &ID) -> bool {
        self.eq.as_ref().is_none_or(|eq| eq == id)
            && self.one_of.as_ref().is_none_or(|ids| ids.contains(id))
    }
}

impl StringComparator {
    pub(super) fn takes(&self, text: &str) -> bool {
        let contains = |part: &String| text.to_lowercase().contains(&part.to_lowercase());
        self.eq.as_ref().is_none_or(|eq| eq == text)
            && self
                .one_of
                .as_ref()
                .is_none_or(|all| all.iter().any(|one| one == text))
            && self.contains_ignore_case.as_ref().is_none_or(contains)
    }
}

impl TeamFilter {
    pub(super) fn takes(&self, team: &Team) -> bool {
        self.id.as_ref().is_none_or(|id| id.takes(&team.id))
            && self.key.as_ref().is_none_or(|key| key.takes(&team.key))
    }
}

impl WorkflowStateFilter {
    pub(super) fn takes(&self, state: &WorkflowState) -> bool {
        self.id.as_ref().is_none_or(|id| id.takes(&state.id))
            && self.name.as_ref().is_none_or(|name| name.takes(state.name))
            && self
                .kind
                .as_ref()
                .is_none_or(|kind| kind.takes(&state.kind))
            && self
                .team
                .as_ref()
                .is_none_or(|team| team.takes(&state.team))
    }
}

impl IssueFilter {
    pub(super) fn takes(&self, issue: &Issue) -> bool {
        self.id.as_ref().is_none_or(|id| id.takes(&issue.id))
            && self
                .title
                .as_ref()
                .is_none_or(|title| title.takes(&issue.title))
            && self
                .team
                .as_ref()
                .is_none_or(|team| team.takes(&issue.team))
            && self
                .state
                .as_ref()
                .is_none_or(|state| state.takes(&issue.state))
    }
}

impl From<IssueCreateInput> for Wish {
    fn from(input: IssueCreateInput) -> Self {
        Self {
            title: input.title,
            description: input.description.map(Some),
            due_date: input.due_date.map(|date| Some(date.0)),
            priority: input.priority,
            state_id: input.state_id,
            assignee_id: input.assignee_id.map(Some),
        }
    }
}

impl From<IssueUpdateInput> for Wish {
    fn from(input: IssueUpdateInput) -> Self {
        Self {
            title: input.title,
            description: given(input.description),
            due_date: given(input.due_date).map(|date| date.map(|date| date.0)),
            priority: input.priority,
            state_id: input.state_id,
            assignee_id: given(input.assignee_id),
        }
    }
}

#[expect(
    clippy::option_option,
    reason = "not given, and given as nothing, are two things"
)]
fn given<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}
