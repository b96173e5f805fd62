//! Issues as they are kept, and what happens to them.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use super::{
    State,
    workspace::{FIRST_STATE, TEAMS, states},
};

const LONGEST_TITLE: usize = 255;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Issue {
    pub(super) id: String,
    /// Within its team.
    pub(super) number: u32,
    pub(super) team: usize,
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) due_date: Option<Date>,
    /// 0 for none, 1 urgent to 4 low.
    pub(super) priority: i32,
    pub(super) state: usize,
    pub(super) is_assigned: bool,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

/// What is wished of an issue; what is not given stays.
#[derive(Debug, Default)]
#[expect(
    clippy::option_option,
    reason = "not given, and given as nothing, are two things"
)]
pub(super) struct Wish {
    pub(super) title: Option<String>,
    pub(super) description: Option<Option<String>>,
    pub(super) due_date: Option<Option<Date>>,
    pub(super) priority: Option<i32>,
    pub(super) state_id: Option<String>,
    /// The id of a person, or nobody.
    pub(super) assignee_id: Option<Option<String>>,
}

/// Why Linear does not do it: its message, and the one for people.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault(pub(super) String, pub(super) String);

impl Fault {
    pub(super) fn missing(entity: &str) -> Self {
        Self(
            format!("Entity not found: {entity}"),
            format!("Could not find referenced {entity}."),
        )
    }

    fn invalid(words: &str) -> Self {
        Self("Argument Validation Error".to_owned(), words.to_owned())
    }
}

impl Issue {
    pub(super) fn identifier(&self) -> String {
        let key = TEAMS.get(self.team).map_or("", |team| team.2);
        format!("{key}-{}", self.number)
    }

    fn apply(&mut self, wish: Wish, user_id: &str) -> Result<(), Fault> {
        if let Some(title) = wish.title {
            let length = title.chars().count();
            if title.trim().is_empty() || length > LONGEST_TITLE {
                let words = "title must be longer than or equal to 1 and shorter than or equal to 255 characters.";
                return Err(Fault::invalid(words));
            }
            self.title = title;
        }
        if let Some(priority) = wish.priority {
            if !(0..=4).contains(&priority) {
                return Err(Fault::invalid("priority must not be greater than 4."));
            }
            self.priority = priority;
        }
        if let Some(id) = wish.state_id {
            let state = states(self.team).find(|state| *state.id == *id);
            self.state = state.ok_or_else(|| Fault::missing("WorkflowState"))?.number;
        }
        if let Some(assignee) = wish.assignee_id {
            if assignee.as_ref().is_some_and(|id| id != user_id) {
                return Err(Fault::missing("User"));
            }
            self.is_assigned = assignee.is_some();
        }
        if let Some(description) = wish.description {
            self.description = description;
        }
        if let Some(due_date) = wish.due_date {
            self.due_date = due_date;
        }
        Ok(())
    }
}

impl State {
    /// The issues of a workspace, oldest first.
    pub(super) fn issues_of(&self, workspace: usize) -> impl DoubleEndedIterator<Item = &Issue> {
        let is_theirs = move |issue: &&Issue| TEAMS[issue.team].0 == workspace;
        self.issues.iter().filter(is_theirs)
    }

    /// An issue by its id or its identifier, such as `EVT-3`.
    pub(super) fn issue(&self, workspace: usize, id: &str) -> Result<&Issue, Fault> {
        let mut issues = self.issues_of(workspace);
        issues
            .find(|issue| issue.id == id || issue.identifier() == id)
            .ok_or_else(|| Fault::missing("Issue"))
    }

    pub(super) fn create(
        &mut self,
        id: String,
        team: usize,
        wish: Wish,
        user_id: &str,
        now: Timestamp,
    ) -> Result<&Issue, Fault> {
        if !is_uuid(&id) {
            return Err(Fault::invalid("id must be a UUID."));
        }
        if self.issues.iter().any(|issue| issue.id == id) {
            return Err(Fault(
                "conflict on insert of Issue".to_owned(),
                format!("An entity Issue with the id {id} already exists."),
            ));
        }
        let numbers = self.issues.iter().filter(|issue| issue.team == team);
        let last = numbers.map(|issue| issue.number).max().unwrap_or_default();
        let mut issue = Issue {
            id,
            number: last + 1,
            team,
            title: String::new(),
            description: None,
            due_date: None,
            priority: 0,
            state: FIRST_STATE,
            is_assigned: false,
            created_at: now,
            updated_at: now,
        };
        if wish.title.is_none() {
            return Err(Fault::invalid("title should not be empty."));
        }
        issue.apply(wish, user_id)?;
        self.issues.push(issue);
        self.issues.last().ok_or_else(|| Fault::missing("Issue"))
    }

    pub(super) fn update(
        &mut self,
        workspace: usize,
        id: &str,
        wish: Wish,
        user_id: &str,
        now: Timestamp,
    ) -> Result<&Issue, Fault> {
        let id = self.issue(workspace, id)?.id.clone();
        let mut issues = self.issues.iter_mut();
        let issue = issues.find(|issue| issue.id == id);
        let issue = issue.ok_or_else(|| Fault::missing("Issue"))?;
        let mut changed = issue.clone();
        changed.apply(wish, user_id)?;
        changed.updated_at = now;
        *issue = changed;
        self.updates += 1;
        Ok(issue)
    }
}

/// A random UUID (RFC 9562, version 4): the only kind that Linear takes from clients.
fn is_uuid(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_right = |(index, byte): (usize, &u8)| match index {
        8 | 13 | 18 | 23 => *byte == b'-',
        14 => *byte == b'4',
        19 => b"89ab".contains(byte),
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
    };
    bytes.len() == 36 && bytes.iter().enumerate().all(is_right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_random_uuids_are_ids() {
        assert!(is_uuid("f81d4fae-7dec-41d0-a765-00a0c91e6bf6"));
        for wrong in [
            "",
            "f81d4fae-7dec-71d0-a765-00a0c91e6bf6",
            "f81d4fae-7dec-41d0-c765-00a0c91e6bf6",
            "F81D4FAE-7DEC-41D0-A765-00A0C91E6BF6",
            "f81d4fae7dec41d0a76500a0c91e6bf6",
        ] {
            assert!(!is_uuid(wrong), "{wrong}");
        }
    }
}
