//! The gateway around the core: decides, commits, and does outside what follows; crashes, and
//! comes back.

use std::collections::{BTreeMap, BTreeSet};

use hatchery_access::CallerRecord;
use hatchery_protocol::RunId;
use hatchery_spawn::{
    Command, Effect, Event, LastWords, LiveRun, Phase, Policy, SpawnRefusal, State, effects, step,
};

use crate::agent::Agent;
use crate::bug::{Bug, gives_a_slot_back, leak};
use crate::check::{check, check_child, check_room};
use crate::coverage::Happened;
use crate::disk::Disk;
use crate::invariant::{Held, Invariant, hold, hold_all};
use crate::ledger::Ledger;
use crate::life::{Job, Life, Reply, Todo};
use crate::outside::Outside;
use crate::random::Random;
use crate::temper::{Temper, policy};
use crate::trace::Trace;

/// Where the worlds begin: some time in 2023.
const BEGINNING_MS: u64 = 1_700_000_000_000;

/// Everything there is.
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) temper: Temper,
    pub(crate) policy: Policy,
    pub(crate) now: u64,
    pub(crate) disk: Disk,
    /// The gateway, unless it is down.
    pub(crate) life: Option<Life>,
    pub(crate) outside: Outside,
    pub(crate) ledger: Ledger,
    pub(crate) trace: Trace,
    pub(crate) bug: Option<Bug>,
    pub(crate) happened: Happened,
    /// How many runs were asked for.
    pub(crate) names: u64,
}

/// What came of a command.
pub(crate) type Decided = Result<Vec<Event>, SpawnRefusal>;

impl World {
    pub(crate) fn new(seed: u64, bug: Option<Bug>, trace: Trace) -> Self {
        let mut random = Random::new(seed);
        let temper = Temper::new(&mut random);
        let policy = policy(&mut random, temper.limited);
        let mut life = Life::new(hatchery_spawn::State::default());
        life.open = true;
        Self {
            disk: Disk::new(temper.snapshot_every, bug),
            random,
            temper,
            policy,
            now: BEGINNING_MS,
            life: Some(life),
            outside: Outside::default(),
            ledger: Ledger::default(),
            trace,
            bug,
            happened: Happened::default(),
            names: 0,
        }
    }

    /// Has the core decide, and puts what happens into the buffer.
    pub(crate) fn play(&mut self, command: &Command, reply: Reply) -> Held<Decided> {
        let Self { life: Some(life), policy, now, .. } = self else { return Ok(Ok(Vec::new())) };
        let before = (self.bug == Some(Bug::SlotNotGivenBack)).then(|| life.state.clone());
        let decided = step(&mut life.state, policy, command, *now).map(|step| step.events);
        let events = match decided {
            Ok(events) => events,
            Err(refusal) => {
                self.trace.say(*now, None, || format!("refused: {refusal}"));
                self.happened.refusal(&refusal);
                return Ok(Err(refusal));
            }
        };
        if let Some(before) = before {
            let leaking = events.iter().filter(|event| gives_a_slot_back(&before, event));
            leaking.for_each(|_| leak(&mut life.state));
        }
        for event in &events {
            life.note_times(event, *now);
            self.happened.event(event);
            self.trace.event(*now, "decided", event, &life.state);
        }
        let started: Vec<&RunId> = events.iter().filter_map(started).collect();
        let takes_no_slot =
            |run: &RunId| life.state.get(run).is_some_and(|live| live.run.is_turn());
        let taken = life.state.slots_taken();
        hold_all(
            started.iter().all(|run| takes_no_slot(run)) || taken <= policy.max_concurrent,
            Invariant::Slots,
            || format!("{taken} of {} slots given out", policy.max_concurrent),
        )?;
        hold_all(!policy.closing || started.is_empty(), Invariant::Closing, || {
            "it starts".to_owned()
        })?;
        if let Some(Event::RunAccepted { run }) = events.first() {
            check_child(&life.state, policy, run)?;
            check_room(&life.state, policy, run)?;
        }
        check(&life.state, policy)?;
        let job = Job { events: events.clone(), at_ms: self.now, reply };
        if self.bug == Some(Bug::AnnounceBeforeCommit) {
            let number = self.disk.jobs + life.buffer.len() as u64;
            let silent = Job { reply: Reply::Nobody, ..job };
            life.buffer.push_back(Job { events: silent.events.clone(), ..silent });
            let told = Job { events: silent.events, at_ms: silent.at_ms, reply: job.reply };
            self.follow(&told, number)?;
        } else if job.events.is_empty() {
            self.follow(&job, self.disk.jobs)?;
        } else {
            life.buffer.push_back(job);
        }
        Ok(Ok(events))
    }

    /// Makes up to so many jobs durable, and does what follows from them unless the gateway ends
    /// before it can.
    pub(crate) fn commit(&mut self, most: usize, and_follow: bool) -> Held<()> {
        for _ in 0..most {
            let Some(job) = self.life.as_mut().and_then(|life| life.buffer.pop_front()) else {
                break;
            };
            let number = self.disk.jobs;
            self.disk.append(&job.events, job.at_ms);
            self.trace.committed(job.at_ms, job.events.len());
            self.ledger.commit(&job.events, &self.outside)?;
            if and_follow && self.bug != Some(Bug::AnnounceBeforeCommit) {
                self.follow(&job, number)?;
            }
        }
        let Some(life) = self.life.as_ref().filter(|life| life.buffer.is_empty()) else {
            return Ok(());
        };
        hold_all(life.state == self.disk.committed, Invariant::Fold, || {
            format!("in memory: {:?}\ncommitted: {:?}", life.state, self.disk.committed)
        })
    }

    /// What follows from a job: whoever waits for it is told, and effects are to be done.
    fn follow(&mut self, job: &Job, number: u64) -> Held<()> {
        let Some(life) = &mut self.life else { return Ok(()) };
        for event in &job.events {
            if let Event::RunResumed { run, .. } = event
                && let Some(agent) = life.agents.get_mut(run)
            {
                agent.blocked = false;
            }
            if let Some(effect) = effects(event) {
                let run = event.run().unwrap().clone();
                life.todo.entry(run).or_default().push_back(Todo { job: number, effect });
            }
        }
        match &job.reply {
            Reply::Nobody => {}
            Reply::Receipt(run) => drop(self.outside.receipts.insert(run.clone())),
            Reply::Open => life.open = true,
            Reply::Call(run, call) => self.begin_call(&run.clone(), *call)?,
        }
        Ok(())
    }

    /// Does the next thing that is to be done outside for a run.
    pub(crate) fn perform(&mut self, run: &RunId) -> Held<()> {
        let Some(life) = &mut self.life else { return Ok(()) };
        let Some(todo) = life.todo.get_mut(run).and_then(|todo| todo.pop_front()) else {
            return Ok(());
        };
        if life.todo[run].is_empty() {
            life.todo.remove(run);
        }
        let Todo { job, effect } = todo;
        self.trace.say(self.now, Some(run), || format!("done outside: {effect:?}"));
        let durable = self.disk.jobs;
        hold(job < durable, Invariant::EffectAfterCommit, run, || {
            format!("{effect:?} of job {job}, and {durable} are durable")
        })?;
        let goes_on = matches!(effect, Effect::Resume(_)) && self.bug != Some(Bug::BeginsAgain);
        match effect {
            Effect::Start(_) | Effect::Resume(_) => {
                let agent = Agent::new(&mut self.random, self.temper.sick, goes_on);
                let before = life.agents.insert(run.clone(), agent);
                hold(before.is_none(), Invariant::BegunOnce, run, || "begun beside".to_owned())?;
                if goes_on {
                    self.outside.go_on(run)?;
                } else {
                    self.outside.begin(run)?;
                }
            }
            Effect::Stop(_) => {
                let ignores = self.random.below(4);
                if let Some(agent) = life.agents.get_mut(run) {
                    agent.stop.get_or_insert(ignores);
                }
            }
            Effect::Release(_) => {
                let left = life.agents.contains_key(run);
                hold(!left, Invariant::EndsOnce, run, || "over, and at work".to_owned())?;
            }
            Effect::Deliver(_) => drop(life.due.insert(run.clone())),
        }
        Ok(())
    }

    /// The gateway is gone. Some of what was on its way to the disk may have got there.
    pub(crate) fn crash(&mut self) -> Held<()> {
        let most = self.random.below(3);
        self.trace.say(self.now, None, || "crash".to_owned());
        self.happened.note("crash");
        if let Some(life) = &self.life {
            if !life.open {
                self.happened.note("crash in a recovery");
            }
            if most > 0 && !life.buffer.is_empty() {
                self.happened.note("crash with something on its way to the disk");
            }
        }
        self.commit(usize::try_from(most).unwrap(), false)?;
        self.life = None;
        for run in &self.outside.receipts {
            hold(self.ledger.has(run), Invariant::ReceiptKept, run, || "it is gone".to_owned())?;
        }
        Ok(())
    }

    /// The gateway starts again.
    pub(crate) fn recover(&mut self) -> Held<()> {
        self.policy.closing = false;
        let state = self.disk.recover(self.random.chance(10))?;
        let resume = !self.random.chance(5);
        self.trace.say(self.now, None, || format!("recovery, resume: {resume}"));
        let begun = state.runs().filter(|live| live.phase != Phase::Queued);
        let words = || LastWords { tail: "so far".to_owned(), output_bytes: 6 };
        let said: BTreeMap<RunId, LastWords> =
            begun.map(|live| (live.run.id.clone(), words())).collect();
        let disowned = self.no_longer_approved(&state);
        self.life = Some(Life::new(state));
        let disowns = disowned.clone();
        let decided = self.play(&Command::Recover { said, resume, disowned }, Reply::Open)?;
        hold_all(decided.is_ok(), Invariant::Rest, || format!("{decided:?}"))?;
        let Some(life) = &self.life else { return Ok(()) };
        for live in life.state.runs() {
            let of = disowns.iter().find(|above| live.run.is_in_tree_of(above));
            hold(of.is_none(), Invariant::Authority, &live.run.id, || {
                format!("it lives on, and whoever started {of:?} is not approved any more")
            })?;
        }
        Ok(())
    }

    /// Runs of devices that lost their approval while the gateway was down.
    fn no_longer_approved(&mut self, state: &State) -> BTreeSet<RunId> {
        let of_device =
            |live: &&LiveRun| matches!(live.run.starter, Some(CallerRecord::Device { .. }));
        let runs: Vec<RunId> =
            state.runs().filter(of_device).map(|live| live.run.id.clone()).collect();
        let revoked = self.temper.revoked;
        let disowned: BTreeSet<RunId> =
            runs.into_iter().filter(|_| self.random.chance(revoked)).collect();
        if !disowned.is_empty() {
            self.happened.note("a device was revoked");
        }
        disowned
    }
}

fn started(event: &Event) -> Option<&RunId> {
    match event {
        Event::RunStarting { run } => Some(run),
        _ => None,
    }
}
