//! What happened in a world, for whoever looks at a seed that failed.

use std::collections::BTreeMap;

use hatchery_protocol::RunId;
use hatchery_spawn::{Event, State};

/// How many lines are shown.
const SHOWN: usize = 80;

/// What happened, if anybody wants to know.
pub(crate) struct Trace {
    lines: Option<Vec<Line>>,
    step: u64,
    /// The tree of each run.
    trees: BTreeMap<RunId, RunId>,
}

struct Line {
    tree: Option<RunId>,
    text: String,
}

impl Trace {
    pub(crate) fn off() -> Self {
        Self { lines: None, step: 0, trees: BTreeMap::new() }
    }

    pub(crate) fn on() -> Self {
        Self { lines: Some(Vec::new()), ..Self::off() }
    }

    pub(crate) fn next_step(&mut self) {
        self.step += 1;
    }

    pub(crate) fn say(&mut self, now: u64, run: Option<&RunId>, what: impl FnOnce() -> String) {
        let Some(lines) = &mut self.lines else { return };
        let tree = run.and_then(|run| self.trees.get(run).cloned());
        let of = run.map(|run| format!("{run}: ")).unwrap_or_default();
        let text = format!("{:4} {:>13} {of}{}", self.step, now, what());
        lines.push(Line { tree, text });
    }

    pub(crate) fn event(&mut self, now: u64, how: &str, event: &Event, _: &State) {
        if self.lines.is_none() {
            return;
        }
        let said = match event {
            Event::RunAccepted { run } => {
                self.trees.insert(run.id.clone(), run.root().clone());
                let above: Vec<_> = run.lineage.iter().map(|above| above.run.as_str()).collect();
                let (runtime, model, budget) = (run.runtime, &run.model, run.budget);
                format!("run_accepted {runtime} {model} below {above:?} {budget:?}")
            }
            Event::RunFinished { outcome, .. } => format!("run_finished {}", outcome.status),
            Event::NoticeDue { notice, .. } => format!("notice_due after {}", notice.attempts),
            other => format!("{other:?}"),
        };
        self.say(now, event.run(), || format!("{how} {said}"));
    }

    pub(crate) fn committed(&mut self, at_ms: u64, events: usize) {
        self.say(at_ms, None, || format!("committed {events} events"));
    }

    /// The last lines that matter for a run.
    pub(crate) fn of(&self, run: Option<&RunId>) -> String {
        let tree = run.and_then(|run| self.trees.get(run));
        let lines = self.lines.iter().flatten();
        let matters =
            |line: &&Line| tree.is_none() || line.tree.is_none() || line.tree.as_ref() == tree;
        let lines: Vec<&str> = lines.filter(matters).map(|line| line.text.as_str()).collect();
        lines[lines.len().saturating_sub(SHOWN)..].join("\n")
    }
}
