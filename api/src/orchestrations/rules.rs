//! What happens next in a run: pure, so that every order of events can be tried.

use super::{RunStatus, SubtaskStatus};

/// A subtask as far as the rules need to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub status: SubtaskStatus,
    /// Positions of the subtasks that come before it.
    pub depends_on: Vec<usize>,
    /// Somebody has to approve it, and nobody has.
    pub needs_approval: bool,
    /// It can be undone, by a tool or by a person.
    pub is_compensable: bool,
    /// An attempt ended without telling whether it had its effect.
    pub is_uncertain: bool,
}

/// What a subtask becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// On the queue.
    Run,
    AskForApproval,
    /// It will not be done: the run is cancelled.
    Drop,
    /// What it did is undone.
    Compensate,
    /// What it did, if anything, is left to a person.
    MarkForPerson,
}

/// The next step of a run: moves that are due now, and the status once they are made.
#[derive(Debug, PartialEq, Eq)]
pub struct Next {
    pub moves: Vec<(usize, Move)>,
    pub status: RunStatus,
}

/// The moves that are due. `depends_on` has no cycles: a definition with one is refused.
pub fn next(status: RunStatus, nodes: &[Node]) -> Next {
    match status {
        RunStatus::Cancelling | RunStatus::Cancelled | RunStatus::CompensationFailed => undo(nodes),
        _ => go_on(status, nodes),
    }
}

fn go_on(status: RunStatus, nodes: &[Node]) -> Next {
    let is_over = |position: &usize| {
        matches!(
            nodes[*position].status,
            SubtaskStatus::Succeeded | SubtaskStatus::Skipped
        )
    };
    let mut moves = Vec::new();
    for (position, node) in nodes.iter().enumerate() {
        if node.status == SubtaskStatus::Pending && node.depends_on.iter().all(is_over) {
            let due = if node.needs_approval {
                Move::AskForApproval
            } else {
                Move::Run
            };
            moves.push((position, due));
        }
    }
    let has = |wanted: SubtaskStatus| nodes.iter().any(|node| node.status == wanted);
    let is_due = |wanted: Move| moves.iter().any(|(_, due)| *due == wanted);
    let is_active = has(SubtaskStatus::Running) || has(SubtaskStatus::Ready) || is_due(Move::Run);
    let has_begun = nodes.iter().any(|node| {
        !matches!(
            node.status,
            SubtaskStatus::Pending | SubtaskStatus::Ready | SubtaskStatus::WaitingApproval
        )
    });
    let status = if (0..nodes.len()).all(|position| is_over(&position)) {
        RunStatus::Succeeded
    } else if is_active && !has_begun && status == RunStatus::Queued {
        RunStatus::Queued
    } else if is_active {
        RunStatus::Running
    } else if has(SubtaskStatus::Failed) {
        RunStatus::Failed
    } else {
        RunStatus::Waiting
    };
    Next { moves, status }
}

/// First everything that is under way ends; then what was done is undone, what came last first.
fn undo(nodes: &[Node]) -> Next {
    let mut moves = Vec::new();
    for (position, node) in nodes.iter().enumerate() {
        let due = match node.status {
            SubtaskStatus::Pending | SubtaskStatus::WaitingApproval => Move::Drop,
            // What may have been done already is done to its end: only then it can be undone.
            SubtaskStatus::Ready if !node.is_uncertain => Move::Drop,
            SubtaskStatus::Failed | SubtaskStatus::Skipped
                if node.is_uncertain && node.is_compensable =>
            {
                Move::MarkForPerson
            }
            _ => continue,
        };
        moves.push((position, due));
    }
    let is_dropped = |position: usize| moves.iter().any(|(dropped, _)| *dropped == position);
    let is_under_way = nodes.iter().enumerate().any(|(position, node)| {
        node.status == SubtaskStatus::Running
            || (node.status == SubtaskStatus::Ready && !is_dropped(position))
    });
    if is_under_way {
        return Next {
            moves,
            status: RunStatus::Cancelling,
        };
    }
    let stands = |node: &Node| match node.status {
        SubtaskStatus::Compensating => true,
        SubtaskStatus::Succeeded => node.is_compensable,
        _ => false,
    };
    let later = dependents(nodes);
    for (position, node) in nodes.iter().enumerate() {
        let is_due = node.status == SubtaskStatus::Succeeded && node.is_compensable;
        if is_due && !later[position].iter().any(|later| stands(&nodes[*later])) {
            moves.push((position, Move::Compensate));
        }
    }
    let is_marked = |due: &(usize, Move)| due.1 == Move::MarkForPerson;
    let status = if nodes.iter().any(stands) {
        RunStatus::Cancelling
    } else if moves.iter().any(is_marked)
        || nodes
            .iter()
            .any(|node| node.status == SubtaskStatus::CompensationFailed)
    {
        RunStatus::CompensationFailed
    } else {
        RunStatus::Cancelled
    };
    Next { moves, status }
}

/// For each subtask everything that comes after it, however far.
fn dependents(nodes: &[Node]) -> Vec<Vec<usize>> {
    let mut found = vec![Vec::new(); nodes.len()];
    for (first, dependents) in found.iter_mut().enumerate() {
        let mut reached = vec![false; nodes.len()];
        let mut open = vec![first];
        while let Some(current) = open.pop() {
            for (position, node) in nodes.iter().enumerate() {
                if !reached[position] && node.depends_on.contains(&current) {
                    reached[position] = true;
                    dependents.push(position);
                    open.push(position);
                }
            }
        }
    }
    found
}

#[cfg(test)]
#[path = "rules/tests.rs"]
mod tests;
