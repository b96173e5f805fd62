//! Who and what there is before anybody does anything: two workspaces, so that nobody sees into the other one.

use async_graphql::{ID, SimpleObject};

/// A workspace, as Linear's interface calls it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Workspace {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) url_key: &'static str,
    pub(super) user: Person,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Person {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) email: &'static str,
}

pub(super) const WORKSPACES: [Workspace; 2] = [
    Workspace {
        id: "5a9db0c1-0000-4000-8000-000000000001",
        name: "Sandbox Events",
        url_key: "sandbox-events",
        user: Person {
            id: "5a9db0c1-0000-4000-8000-000000000011",
            name: "Pia Planner",
            email: "pia@sandbox.example",
        },
    },
    Workspace {
        id: "5a9db0c1-0000-4000-8000-000000000002",
        name: "Other Workspace",
        url_key: "other-workspace",
        user: Person {
            id: "5a9db0c1-0000-4000-8000-000000000012",
            name: "Otto Other",
            email: "otto@other.example",
        },
    },
];

/// A team: which workspace, id, key and name.
pub(super) const TEAMS: [(usize, &str, &str, &str); 4] = [
    (0, "5a9db0c1-0000-4000-8000-000000000021", "EVT", "Events"),
    (
        0,
        "5a9db0c1-0000-4000-8000-000000000022",
        "OPS",
        "Operations",
    ),
    (0, "5a9db0c1-0000-4000-8000-000000000023", "FIN", "Finance"),
    (1, "5a9db0c1-0000-4000-8000-000000000024", "SEC", "Secrets"),
];

/// The states of every team: name and type, in order.
const STATES: [(&str, &str); 5] = [
    ("Backlog", "backlog"),
    ("Todo", "unstarted"),
    ("In Progress", "started"),
    ("Done", "completed"),
    ("Canceled", "canceled"),
];
/// Where new issues begin.
pub(super) const FIRST_STATE: usize = 0;

#[derive(SimpleObject, Debug, Clone)]
pub(super) struct User {
    id: ID,
    name: String,
    display_name: String,
    email: String,
    active: bool,
}

#[derive(SimpleObject, Debug, Clone)]
pub(super) struct Organization {
    id: ID,
    name: String,
    url_key: String,
}

#[derive(SimpleObject, Debug, Clone)]
pub(super) struct Team {
    pub(super) id: ID,
    pub(super) key: String,
    pub(super) name: String,
}

#[derive(SimpleObject, Debug, Clone)]
pub(super) struct WorkflowState {
    pub(super) id: ID,
    #[graphql(skip)]
    pub(super) number: usize,
    #[graphql(name = "name")]
    title: String,
    #[graphql(skip)]
    pub(super) name: &'static str,
    #[graphql(name = "type")]
    pub(super) kind: String,
    position: f64,
    pub(super) team: Team,
}

impl Workspace {
    pub(super) fn organization(&self) -> Organization {
        Organization {
            id: self.id.into(),
            name: self.name.to_owned(),
            url_key: self.url_key.to_owned(),
        }
    }

    pub(super) fn viewer(&self) -> User {
        User {
            id: self.user.id.into(),
            name: self.user.name.to_owned(),
            display_name: self.user.name.to_owned(),
            email: self.user.email.to_owned(),
            active: true,
        }
    }
}

/// The number of a team of that workspace, by id or key.
pub(super) fn find_team(workspace: usize, id: &str) -> Option<usize> {
    let mut teams = TEAMS.iter();
    teams.position(|team| team.0 == workspace && (team.1 == id || team.2 == id))
}

pub(super) fn team(number: usize) -> Option<Team> {
    let (_, id, key, name) = TEAMS.get(number)?;
    Some(Team {
        id: (*id).into(),
        key: (*key).to_owned(),
        name: (*name).to_owned(),
    })
}

/// A state of a team.
pub(super) fn state(team_number: usize, number: usize) -> Option<WorkflowState> {
    let (name, kind) = STATES.get(number)?;
    Some(WorkflowState {
        id: format!("5a9db0c1-0000-4000-8000-0000000{team_number:02}{number:03}").into(),
        number,
        title: (*name).to_owned(),
        name,
        kind: (*kind).to_owned(),
        position: f64::from(u8::try_from(number).unwrap_or_default()),
        team: team(team_number)?,
    })
}

/// All states of a team, in order.
pub(super) fn states(team_number: usize) -> impl Iterator<Item = WorkflowState> {
    (0..STATES.len()).filter_map(move |number| state(team_number, number))
}
