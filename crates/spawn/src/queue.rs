//! Who starts next: accepted runs that wait for a slot, each tree in its turn.

use std::collections::{BTreeMap, VecDeque};

use hatchery_protocol::RunId;
use serde::{Deserialize, Serialize};

/// The runs without a slot. Trees take turns, so that one that asks for much does not keep out
/// one that asks for little; within a tree whoever waits longest is first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FairQueue {
    /// The waiting runs of each tree, the oldest first. Never an empty list.
    trees: BTreeMap<RunId, VecDeque<RunId>>,
    /// The trees that have somebody waiting, the next in turn first.
    turns: VecDeque<RunId>,
    len: usize,
    task_bytes: u64,
}

/// Whether a run that waits may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It may.
    Ready,
    /// Not yet; others of its tree may.
    Waits,
    /// Nobody of its tree may.
    TreeWaits,
}

impl FairQueue {
    /// How many runs wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes of tasks wait with them.
    #[must_use]
    pub fn task_bytes(&self) -> u64 {
        self.task_bytes
    }

    pub(crate) fn push(&mut self, tree: &RunId, run: &RunId, task_bytes: u64) {
        let waiting = self.trees.entry(tree.clone()).or_default();
        if waiting.is_empty() {
            self.turns.push_back(tree.clone());
        }
        waiting.push_back(run.clone());
        self.len += 1;
        self.task_bytes += task_bytes;
    }

    /// A run has its slot: the next turn is another tree's.
    pub(crate) fn start(&mut self, tree: &RunId, run: &RunId, task_bytes: u64) {
        if self.remove(tree, run, task_bytes)
            && self.trees.contains_key(tree)
            && let Some(at) = self.turns.iter().position(|turn| turn == tree)
            && let Some(turn) = self.turns.remove(at)
        {
            self.turns.push_back(turn);
        }
    }

    /// A run does not wait any more; whether it did.
    pub(crate) fn remove(&mut self, tree: &RunId, run: &RunId, task_bytes: u64) -> bool {
        let Some(waiting) = self.trees.get_mut(tree) else { return false };
        let Some(at) = waiting.iter().position(|other| other == run) else { return false };
        waiting.remove(at);
        self.len -= 1;
        self.task_bytes = self.task_bytes.saturating_sub(task_bytes);
        if waiting.is_empty() {
            self.trees.remove(tree);
            self.turns.retain(|turn| turn != tree);
        }
        true
    }

    /// The next `free` runs, in turn. Whoever may not start yet is passed over and keeps its turn.
    pub(crate) fn next(
        &self,
        free: usize,
        mut readiness: impl FnMut(&RunId) -> Readiness,
    ) -> Vec<RunId> {
        let mut chosen = Vec::new();
        let mut in_turn: VecDeque<(&RunId, usize)> = VecDeque::new();
        let mut fresh = self.turns.iter();
        while chosen.len() < free {
            let Some((tree, at)) =
                fresh.next().map(|tree| (tree, 0)).or_else(|| in_turn.pop_front())
            else {
                break;
            };
            let waiting = self.trees.get(tree).into_iter().flatten();
            for (at, run) in waiting.enumerate().skip(at) {
                match readiness(run) {
                    Readiness::Ready => {
                        chosen.push(run.clone());
                        in_turn.push_back((tree, at + 1));
                        break;
                    }
                    Readiness::Waits => {}
                    Readiness::TreeWaits => break,
                }
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use hatchery_protocol::RunId;

    use super::{FairQueue, Readiness};

    fn id(name: &str) -> RunId {
        RunId::new(name.to_owned())
    }

    fn queue(waiting: &[(&str, &str)]) -> FairQueue {
        let mut queue = FairQueue::default();
        for (tree, run) in waiting {
            queue.push(&id(tree), &id(run), 1);
        }
        queue
    }

    fn next(queue: &FairQueue, free: usize) -> Vec<String> {
        queue.next(free, |_| Readiness::Ready).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn trees_take_turns_and_within_a_tree_the_oldest_is_first() {
        let waiting = queue(&[("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1")]);
        assert_eq!(next(&waiting, 9), ["a1", "b1", "c1", "a2", "a3"]);
        assert_eq!(next(&waiting, 2), ["a1", "b1"]);
        let mut waiting = waiting;
        waiting.start(&id("a"), &id("a1"), 1);
        assert_eq!(next(&waiting, 9), ["b1", "c1", "a2", "a3"]);
        assert_eq!((waiting.len(), waiting.task_bytes()), (4, 4));
    }

    #[test]
    fn whoever_may_not_start_is_passed_over_and_keeps_its_turn() {
        let waiting = queue(&[("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1")]);
        let chosen = |name: &str, instead: Readiness| {
            let readiness = |run: &RunId| {
                if run.as_str().starts_with(name) { instead } else { Readiness::Ready }
            };
            waiting.next(9, readiness)
        };
        assert_eq!(chosen("a", Readiness::TreeWaits), [id("b1")]);
        assert_eq!(chosen("a", Readiness::Waits), [id("b1")]);
        assert_eq!(chosen("a1", Readiness::TreeWaits), [id("b1")]);
        assert_eq!(chosen("a1", Readiness::Waits), [id("a2"), id("b1"), id("a3")]);
        assert_eq!(next(&waiting, 1), ["a1"]);
    }

    #[test]
    fn whoever_leaves_leaves_nothing_behind() {
        let mut waiting = queue(&[("a", "a1"), ("b", "b1")]);
        assert!(waiting.remove(&id("a"), &id("a1"), 1));
        assert!(!waiting.remove(&id("a"), &id("a1"), 1));
        waiting.start(&id("b"), &id("b1"), 1);
        assert_eq!(waiting, FairQueue::default());
        assert!(waiting.is_empty());
    }
}
