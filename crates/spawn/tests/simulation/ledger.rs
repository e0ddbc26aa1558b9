//! A second account of what was committed, kept in another way than the program's own: per run
//! its end and where its result stands.

use std::collections::{BTreeMap, BTreeSet};

use hatchery_protocol::{RunId, SessionId};
use hatchery_spawn::{Budget, Event, Run};

use crate::invariant::{Broken, Held, Invariant, hold};
use crate::outside::Outside;

/// What the committed events say.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    runs: BTreeMap<RunId, Entry>,
    by_session: BTreeMap<SessionId, RunId>,
    /// The results nobody has taken, by the session that has them.
    inboxes: BTreeMap<SessionId, BTreeSet<RunId>>,
}

/// What became of one run.
#[derive(Clone)]
struct Entry {
    run: Run,
    starts: u32,
    restarts: u32,
    stopping: bool,
    finished: bool,
    announced: bool,
    resumable: bool,
    notice: Option<Told>,
}

/// What became of a result that is to be told on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Open,
    Blocked,
    Over,
}

impl Ledger {
    /// Takes in what was committed together.
    pub(crate) fn commit(&mut self, events: &[Event], outside: &Outside) -> Held<()> {
        let mut ended = Vec::new();
        let mut placed = Vec::new();
        for event in events {
            self.take_in(event, outside)?;
            match event {
                Event::RunFinished { run, .. } => ended.push(run),
                Event::RunAnnounced { run, to, heard: false, .. }
                | Event::AnnounceMoved { run, to, .. } => placed.push((run, to)),
                _ => {}
            }
        }
        for run in ended {
            self.check_end(run)?;
        }
        for (run, to) in placed {
            self.check_place(run, to)?;
        }
        Ok(())
    }

    fn take_in(&mut self, event: &Event, outside: &Outside) -> Held<()> {
        if let Event::RunAccepted { run } = event {
            return self.accept(run);
        }
        let Some(id) = event.run() else { return Ok(()) };
        let Some(entry) = self.runs.get_mut(id) else {
            return Err(Broken {
                invariant: Invariant::EndsOnce,
                run: Some(id.clone()),
                what: format!("{} of a run that was never accepted", event.kind()),
            });
        };
        let early =
            |invariant, what: &str| hold(!entry.finished, invariant, id, || what.to_owned());
        match event {
            Event::RunStarting { .. } => {
                early(Invariant::EndsOnce, "started after its end")?;
                entry.starts += 1;
                hold(entry.starts == 1, Invariant::BegunOnce, id, || "started twice".to_owned())?;
            }
            Event::RunRestarting { .. } => {
                early(Invariant::EndsOnce, "goes on after its end")?;
                entry.restarts += 1;
                let can = entry.run.model.starts_with("p/") || entry.resumable;
                hold(entry.restarts == 1 && can, Invariant::BegunOnce, id, || {
                    format!("goes on for the {}. time", entry.restarts)
                })?;
            }
            Event::RunResumable { .. } => entry.resumable = true,
            Event::RunStopping { .. } => {
                early(Invariant::EndsOnce, "stopped after its end")?;
                hold(!entry.stopping, Invariant::EndsOnce, id, || "stopped twice".to_owned())?;
                entry.stopping = true;
            }
            Event::RunFinished { .. } => {
                early(Invariant::EndsOnce, "ended twice")?;
                entry.finished = true;
            }
            Event::RunAnnounced { to, heard, .. } => {
                let first = entry.finished && !entry.announced && !entry.run.is_turn();
                hold(first, Invariant::AnnouncedOnce, id, || "announced again".to_owned())?;
                entry.announced = true;
                if *heard {
                    let parent = entry.run.lineage.first().map(|parent| &parent.session);
                    hold(parent == Some(to), Invariant::OneInbox, id, || {
                        format!("{to} is said to have heard it, and {parent:?} did")
                    })?;
                } else {
                    self.inboxes.entry(to.clone()).or_default().insert(id.clone());
                }
            }
            Event::AnnounceMoved { to, .. } => self.shift(id, to)?,
            Event::RunResumed { results, .. } => {
                early(Invariant::EndsOnce, "goes on after its end")?;
                let session = entry.run.session.clone();
                for result in results {
                    self.take(&session, result)?;
                }
            }
            Event::NoticeDue { .. } => {
                let open = match entry.notice {
                    None => entry.finished && entry.run.route.is_some(),
                    Some(told) => told != Told::Over,
                };
                hold(open, Invariant::Notice, id, || "due when it was not".to_owned())?;
                entry.notice = Some(Told::Open);
            }
            Event::NoticeBlocked { .. } => {
                let open = entry.notice == Some(Told::Open);
                hold(open, Invariant::Notice, id, || "blocked twice".to_owned())?;
                entry.notice = Some(Told::Blocked);
            }
            Event::NoticeDelivered { .. } => {
                let told = outside.told.contains_key(id) && entry.notice != Some(Told::Over);
                hold(told, Invariant::Notice, id, || "it was never told".to_owned())?;
                entry.notice = Some(Told::Over);
            }
            Event::NoticeDismissed { .. } => entry.notice = Some(Told::Over),
            _ => early(Invariant::EndsOnce, "something happened after its end")?,
        }
        Ok(())
    }

    fn accept(&mut self, run: &Run) -> Held<()> {
        if !run.is_turn() {
            self.by_session.insert(run.session.clone(), run.id.clone());
        }
        let entry = Entry {
            run: run.clone(),
            starts: 0,
            restarts: 0,
            stopping: false,
            finished: false,
            announced: false,
            resumable: false,
            notice: None,
        };
        let before = self.runs.insert(run.id.clone(), entry);
        hold(before.is_none(), Invariant::EndsOnce, &run.id, || "accepted twice".to_owned())
    }

    fn take(&mut self, session: &SessionId, result: &RunId) -> Held<()> {
        let had = self.inboxes.get_mut(session).is_some_and(|inbox| inbox.remove(result));
        hold(had, Invariant::OneInbox, result, || format!("taken from {session}, which has it not"))
    }

    fn shift(&mut self, result: &RunId, to: &SessionId) -> Held<()> {
        let from = self.inboxes.iter().find(|(_, inbox)| inbox.contains(result));
        let Some(from) = from.map(|(session, _)| session.clone()) else {
            return hold(false, Invariant::OneInbox, result, || "moved from nowhere".to_owned());
        };
        let gone = self.by_session.get(&from).is_some_and(|run| self.runs[run].finished);
        hold(gone, Invariant::OneInbox, result, || format!("moved from {from}, who lives"))?;
        self.take(&from, result)?;
        self.inboxes.entry(to.clone()).or_default().insert(result.clone());
        Ok(())
    }

    /// An end is announced, noticed, and leaves nothing in its inbox.
    fn check_end(&self, run: &RunId) -> Held<()> {
        let entry = &self.runs[run];
        let announced = entry.announced || entry.run.is_turn();
        hold(announced, Invariant::AnnouncedOnce, run, || "ended unannounced".to_owned())?;
        let noticed = entry.notice.is_some() == entry.run.route.is_some();
        hold(noticed, Invariant::Notice, run, || "its route was forgotten".to_owned())?;
        let left = self.inboxes.get(&entry.run.session).filter(|inbox| !inbox.is_empty());
        let kept = left.is_none() || entry.run.is_turn();
        hold(kept, Invariant::OneInbox, run, || format!("it ended with {left:?} in its inbox"))
    }

    /// A result stands with the nearest above that lives on.
    fn check_place(&self, result: &RunId, to: &SessionId) -> Held<()> {
        let Entry { run, .. } = &self.runs[result];
        // What was taken in the same commit needs no place any more.
        if !self.inboxes.get(to).is_some_and(|inbox| inbox.contains(result)) {
            return Ok(());
        }
        let mut nearest = None;
        for above in &run.lineage {
            let entry = &self.runs[&above.run];
            if above.session == *to && (above.turn || !entry.finished) {
                return Ok(());
            }
            if above.turn || !(entry.finished || entry.stopping) {
                nearest = Some(&above.session);
                break;
            }
        }
        let right = match (nearest, &run.conversation) {
            (Some(_), _) => false,
            (None, Some(conversation)) => to == conversation,
            (None, None) => *to == SessionId::main(),
        };
        hold(right, Invariant::OneInbox, result, || format!("in {to}, should be in {nearest:?}"))
    }

    /// The budgets a run counts against.
    pub(crate) fn budgets(&self, run: &Run) -> Vec<(RunId, Budget)> {
        let budget = |above: &RunId| self.runs.get(above).map(|entry| entry.run.budget);
        run.path().map(|above| (above.clone(), budget(above).unwrap_or_default())).collect()
    }

    /// All that may be different for the same runs.
    pub(crate) fn digest(&self) -> impl std::fmt::Debug + '_ {
        let entries = self.runs.iter().map(|(id, entry)| {
            let begun = (entry.starts, entry.restarts, entry.resumable);
            (id, begun, entry.stopping, entry.finished, entry.announced, entry.notice)
        });
        (entries.collect::<Vec<_>>(), &self.inboxes)
    }

    pub(crate) fn has(&self, run: &RunId) -> bool {
        self.runs.contains_key(run)
    }

    /// Nothing goes on any more.
    pub(crate) fn check_rest(&self) -> Held<()> {
        for (id, entry) in &self.runs {
            hold(entry.finished, Invariant::EndsOnce, id, || "it never ended".to_owned())?;
            let settled = entry.notice != Some(Told::Open);
            hold(settled, Invariant::Notice, id, || "still open".to_owned())?;
        }
        for (session, inbox) in &self.inboxes {
            let Some(result) = inbox.first() else { continue };
            let with_the_dead = self.by_session.contains_key(session);
            hold(!with_the_dead, Invariant::OneInbox, result, || format!("left in {session}"))?;
        }
        Ok(())
    }
}
