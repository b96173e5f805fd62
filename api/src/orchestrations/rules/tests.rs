//! Runs of every shape, with every outcome in every order.

use proptest::prelude::*;

use super::*;

/// A subtask of a made-up playbook, and how it will go.
#[derive(Debug, Clone)]
struct Fate {
    depends_on: Vec<usize>,
    needs_approval: bool,
    is_compensable: bool,
    /// 0–5: it succeeds; 6: it is skipped; 7: it fails; 8: it fails and nobody knows what it did.
    outcome: u8,
    can_be_undone: bool,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = (
        any::<u16>(),
        prop::bool::weighted(0.2),
        any::<bool>(),
        0..9_u8,
        prop::bool::weighted(0.9),
    );
    prop::collection::vec(fate, 1..10).prop_map(|drawn| {
        let fates = drawn.into_iter().enumerate();
        fates
            .map(
                |(position, (mask, needs_approval, is_compensable, outcome, can_be_undone))| Fate {
                    // Only on those before it, so that there is no cycle.
                    depends_on: (0..position)
                        .filter(|before| mask >> before & 1 == 1)
                        .collect(),
                    needs_approval,
                    is_compensable,
                    outcome,
                    can_be_undone,
                },
            )
            .collect()
    })
}

struct Simulation {
    fates: Vec<Fate>,
    nodes: Vec<Node>,
    status: RunStatus,
    started: Vec<usize>,
    undone: Vec<usize>,
}

impl Simulation {
    fn new(fates: Vec<Fate>) -> Self {
        let nodes = fates.iter().map(|fate| Node {
            status: SubtaskStatus::Pending,
            depends_on: fate.depends_on.clone(),
            needs_approval: fate.needs_approval,
            is_compensable: fate.is_compensable,
            is_uncertain: false,
        });
        let mut simulation = Self {
            nodes: nodes.collect(),
            fates,
            status: RunStatus::Queued,
            started: Vec::new(),
            undone: Vec::new(),
        };
        simulation.advance();
        simulation
    }

    fn advance(&mut self) {
        let next = next(self.status, &self.nodes);
        for (position, due) in next.moves {
            self.nodes[position].status = match due {
                Move::Run => SubtaskStatus::Ready,
                Move::AskForApproval => SubtaskStatus::WaitingApproval,
                Move::Drop => SubtaskStatus::Skipped,
                Move::Compensate => SubtaskStatus::Compensating,
                Move::MarkForPerson => SubtaskStatus::CompensationFailed,
            };
        }
        self.status = next.status;
    }

    /// Something happens to one of the subtasks that can move; false when nothing can.
    fn step(&mut self, choice: usize) -> bool {
        let can_move = |node: &Node| {
            matches!(
                node.status,
                SubtaskStatus::Ready
                    | SubtaskStatus::Running
                    | SubtaskStatus::WaitingApproval
                    | SubtaskStatus::Compensating
            )
        };
        let open: Vec<usize> = (0..self.nodes.len())
            .filter(|position| can_move(&self.nodes[*position]))
            .collect();
        if open.is_empty() {
            return false;
        }
        let position = open[choice % open.len()];
        let fate = self.fates[position].clone();
        let node = &mut self.nodes[position];
        match node.status {
            SubtaskStatus::WaitingApproval => {
                node.needs_approval = false;
                node.status = SubtaskStatus::Ready;
            }
            SubtaskStatus::Ready => {
                node.status = SubtaskStatus::Running;
                self.started.push(position);
            }
            SubtaskStatus::Running => {
                node.is_uncertain = fate.outcome == 8;
                node.status = match fate.outcome {
                    0..=5 => SubtaskStatus::Succeeded,
                    6 => SubtaskStatus::Skipped,
                    _ => SubtaskStatus::Failed,
                };
            }
            _ if fate.can_be_undone => {
                node.status = SubtaskStatus::Compensated;
                self.undone.push(position);
            }
            _ => node.status = SubtaskStatus::CompensationFailed,
        }
        self.advance();
        true
    }
}

proptest! {
    #[test]
    fn a_run_ends_and_each_step_begins_once_after_those_before_it(fates in fates(), choices in prop::collection::vec(any::<usize>(), 60)) {
        let mut run = Simulation::new(fates);
        for choice in choices {
            let before = run.started.len();
            if !run.step(choice) {
                break;
            }
            for position in &run.started[before..] {
                for earlier in &run.nodes[*position].depends_on {
                    let status = run.nodes[*earlier].status;
                    prop_assert!(matches!(status, SubtaskStatus::Succeeded | SubtaskStatus::Skipped));
                }
            }
        }
        let failed = run.nodes.iter().any(|node| node.status == SubtaskStatus::Failed);
        let expected = if failed { RunStatus::Failed } else { RunStatus::Succeeded };
        prop_assert_eq!(run.status, expected);
        let mut started = run.started.clone();
        started.sort_unstable();
        started.dedup();
        prop_assert_eq!(started.len(), run.started.len());
    }

    #[test]
    fn a_cancelled_run_begins_nothing_and_undoes_all_in_reverse(
        fates in fates(), choices in prop::collection::vec(any::<usize>(), 90), cancelled_after in 0..40_usize,
    ) {
        let mut run = Simulation::new(fates);
        let mut started = None;
        for (number, choice) in choices.into_iter().enumerate() {
            if number == cancelled_after {
                run.status = RunStatus::Cancelling;
                run.advance();
                started = Some(run.started.len());
            }
            run.step(choice);
        }
        prop_assert_eq!(started, Some(run.started.len()), "nothing begins after that");
        for (order, position) in run.undone.iter().enumerate() {
            for later in &run.undone[order + 1..] {
                prop_assert!(!dependents(&run.nodes)[*position].contains(later), "{later} was undone after {position}");
            }
        }
        for (node, fate) in run.nodes.iter().zip(&run.fates) {
            let left = node.status == SubtaskStatus::Succeeded && fate.is_compensable;
            prop_assert!(!left, "something stands: {:?}", run.nodes);
            let open = matches!(node.status, SubtaskStatus::Pending | SubtaskStatus::Ready | SubtaskStatus::Running | SubtaskStatus::WaitingApproval);
            prop_assert!(!open);
        }
        let marked = run.nodes.iter().any(|node| node.status == SubtaskStatus::CompensationFailed);
        let expected = if marked { RunStatus::CompensationFailed } else { RunStatus::Cancelled };
        prop_assert_eq!(run.status, expected);
    }

    #[test]
    fn asking_again_changes_nothing(fates in fates(), choices in prop::collection::vec(any::<usize>(), 0..30)) {
        let mut run = Simulation::new(fates);
        for choice in choices {
            run.step(choice);
        }
        let again = next(run.status, &run.nodes);
        prop_assert_eq!(again, Next { moves: Vec::new(), status: run.status });
    }
}

#[test]
fn what_depends_on_nothing_runs_side_by_side() {
    let node = |depends_on: &[usize]| Node {
        status: SubtaskStatus::Pending,
        depends_on: depends_on.to_vec(),
        needs_approval: false,
        is_compensable: false,
        is_uncertain: false,
    };
    let nodes = [node(&[]), node(&[]), node(&[0, 1])];
    let next = next(RunStatus::Queued, &nodes);
    assert_eq!(next.moves, [(0, Move::Run), (1, Move::Run)]);
    assert_eq!(next.status, RunStatus::Queued);
}
