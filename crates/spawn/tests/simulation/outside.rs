//! The world around the gateway, which no crash takes back: who was told what, what was begun,
//! and what it cost.

use std::collections::{BTreeMap, BTreeSet};

use hatchery_protocol::RunId;
use hatchery_spawn::{Budget, Run, Spend};

use crate::invariant::{Held, Invariant, hold};

/// What happened outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outside {
    /// Whose asker has a receipt.
    pub(crate) receipts: BTreeSet<RunId>,
    begun: BTreeMap<RunId, Begun>,
    /// How often each result was told on its route, whatever the gateway heard of it.
    pub(crate) told: BTreeMap<RunId, u32>,
    /// What was used by each run and those below it.
    used: BTreeMap<RunId, Used>,
}

/// How a run was begun.
#[derive(Clone, Debug, Default)]
struct Begun {
    fresh: u32,
    continued: u32,
    commands: u32,
}

/// What a tree used.
#[derive(Clone, Debug, Default)]
struct Used {
    budget: Budget,
    taken: Spend,
    /// What of it went beyond what was set aside for it.
    beyond: Spend,
}

impl Outside {
    /// An agent is given its task.
    pub(crate) fn begin(&mut self, run: &RunId) -> Held<()> {
        let begun = self.begun.entry(run.clone()).or_default();
        begun.fresh += 1;
        hold(begun.fresh == 1 && begun.continued == 0, Invariant::BegunOnce, run, || {
            format!("begun {} times, {} times told to go on", begun.fresh, begun.continued)
        })
    }

    /// An agent is told to go on.
    pub(crate) fn go_on(&mut self, run: &RunId) -> Held<()> {
        let begun = self.begun.entry(run.clone()).or_default();
        begun.continued += 1;
        hold(begun.continued == 1, Invariant::BegunOnce, run, || {
            format!("told to go on {} times", begun.continued)
        })
    }

    /// A command is executed, which cannot be undone.
    pub(crate) fn execute(&mut self, run: &RunId) -> Held<()> {
        let begun = self.begun.entry(run.clone()).or_default();
        begun.commands += 1;
        hold(begun.commands == 1, Invariant::BegunOnce, run, || {
            format!("its command was executed {} times", begun.commands)
        })
    }

    /// A model is paid.
    pub(crate) fn pay(&mut self, run: &Run, taken: Spend, beyond: Spend, of: Budgets) -> Held<()> {
        for (above, budget) in of {
            let used = self.used.entry(above.clone()).or_default();
            used.budget = budget;
            used.taken = used.taken.plus(taken);
            used.beyond = used.beyond.plus(beyond);
            let within = |limit: Option<u64>, taken: u64, beyond: u64| {
                limit.is_none_or(|limit| taken <= limit.saturating_add(beyond))
            };
            let holds = within(budget.tokens, used.taken.tokens, used.beyond.tokens)
                && within(budget.cost_micros, used.taken.cost_micros, used.beyond.cost_micros);
            hold(holds, Invariant::Budget, &run.id, || {
                format!(
                    "of {above}: {budget:?}, took {:?} with {:?} beyond",
                    used.taken, used.beyond
                )
            })?;
        }
        Ok(())
    }
}

/// The budgets a run counts against, and whose they are.
pub(crate) type Budgets = Vec<(RunId, Budget)>;
