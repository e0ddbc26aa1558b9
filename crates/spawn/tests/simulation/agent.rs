//! The agents in their runtimes: they start or do not, work, pay, spawn, wait, and end.

use std::collections::BTreeMap;

use hatchery_access::Caller;
use hatchery_protocol::{RunId, RuntimeKind};
use hatchery_spawn::{Command, Ending, Event, Spend};

use crate::bug::Bug;
use crate::invariant::Held;
use crate::life::Reply;
use crate::random::Random;
use crate::temper::{CHAT, Habit, SHELL};
use crate::world::World;

/// One agent.
pub(crate) struct Agent {
    mood: Mood,
    /// Whether it was told to go on with what it had begun.
    goes_on: bool,
    pub(crate) started: bool,
    /// Whether it waits to be told that it may go on.
    pub(crate) blocked: bool,
    /// Whether it was told to stop, and how often it will ignore that.
    pub(crate) stop: Option<u64>,
    pub(crate) calls: BTreeMap<u32, Call>,
    next_call: u32,
}

/// A call of a model.
pub(crate) struct Call {
    set_aside: Spend,
    takes: Spend,
    pub(crate) is_under_way: bool,
}

/// How an agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    /// It ends instead of starting.
    Fails,
    /// It never starts.
    Hangs,
    /// It starts and does nothing any more.
    FallsSilent,
}

impl Agent {
    pub(crate) fn new(random: &mut Random, sick: u64, goes_on: bool) -> Self {
        let mood = if random.chance(sick) {
            random.pick(&[Mood::Fails, Mood::Hangs, Mood::FallsSilent])
        } else {
            Mood::Well
        };
        Self {
            mood,
            goes_on,
            started: false,
            blocked: false,
            stop: None,
            calls: BTreeMap::new(),
            next_call: 0,
        }
    }

    /// Whether nothing comes of it by itself.
    pub(crate) fn is_stuck(&self) -> bool {
        match self.mood {
            Mood::Hangs => !self.started,
            Mood::FallsSilent => self.started,
            Mood::Well | Mood::Fails => false,
        }
    }
}

impl World {
    /// An agent does the next thing.
    pub(crate) fn agent_acts(&mut self, run: &RunId) -> Held<()> {
        let Some(life) = &mut self.life else { return Ok(()) };
        let Some(agent) = life.agents.get_mut(run) else { return Ok(()) };
        match agent.stop {
            Some(0) => {
                return self.agent_ends(run, Ending { exit_code: Some(143), ..Ending::default() });
            }
            Some(times) => agent.stop = Some(times - 1),
            None => {}
        }
        if agent.is_stuck() || agent.blocked {
            return Ok(());
        }
        if !agent.started {
            return self.agent_starts(run);
        }
        life.alive(run, self.now);
        match self.random.pick(&self.temper.habits) {
            Habit::Pays => self.agent_pays(run),
            Habit::Settles => self.agent_settles(run),
            Habit::Spawns => self.agent_spawns(run),
            Habit::Yields => {
                let wanted = self.random.maybe(50, 3).map(|wanted| wanted as u32);
                self.agent_waits(run, &Command::Yield { run: run.clone(), wanted })
            }
            Habit::Asks => self.agent_waits(run, &Command::AwaitApproval { run: run.clone() }),
            Habit::Speaks => Ok(()),
            Habit::Ends => {
                let ending = match self.random.below(4) {
                    0 => Ending { failure: Some("it failed".to_owned()), ..Ending::default() },
                    1 => Ending::default(),
                    _ => Ending { tail: "done".to_owned(), output_bytes: 4, ..Ending::default() },
                };
                self.agent_ends(run, ending)
            }
        }
    }

    fn agent_starts(&mut self, run: &RunId) -> Held<()> {
        let life = self.life.as_mut().unwrap();
        let agent = life.agents.get_mut(run).unwrap();
        if agent.mood == Mood::Fails {
            let failure = Some("it did not start".to_owned());
            return self.agent_ends(run, Ending { failure, ..Ending::default() });
        }
        agent.started = true;
        let goes_on = agent.goes_on;
        let live = life.state.get(run).map(|live| (live.run.runtime, live.run.model.clone()));
        if live.as_ref().is_some_and(|(_, model)| model == SHELL) {
            self.outside.execute(run)?;
        }
        self.play(&Command::Started { run: run.clone(), process: None }, Reply::Nobody)?.unwrap();
        let external = live.is_some_and(|(runtime, _)| runtime == RuntimeKind::Acp);
        if external && !goes_on && self.random.chance(self.temper.resumable) {
            let session = format!("of {run}");
            let command = Command::Resumable { run: run.clone(), session };
            self.play(&command, Reply::Nobody)?.unwrap();
        }
        Ok(())
    }

    pub(crate) fn agent_ends(&mut self, run: &RunId, ending: Ending) -> Held<()> {
        let life = self.life.as_mut().unwrap();
        life.agents.remove(run);
        let parent = life.state.get(run).and_then(|live| live.run.parent());
        let parent_is_there = parent.is_some_and(|parent| life.agents.contains_key(parent));
        let heard = parent_is_there && self.random.chance(30);
        let command = Command::Ended { run: run.clone(), ending, heard };
        self.play(&command, Reply::Nobody)?.unwrap();
        Ok(())
    }

    /// A call of a model: what it may take is set aside first. An external agent asks its models
    /// itself, and only says what it took.
    fn agent_pays(&mut self, run: &RunId) -> Held<()> {
        let (a, b) = (self.random.below(40), self.random.below(20));
        let spend = Spend { tokens: a, cost_micros: b };
        let life = self.life.as_mut().unwrap();
        let Some(live) = life.state.get(run) else { return Ok(()) };
        if live.run.runtime == RuntimeKind::Acp {
            let paid = live.run.clone();
            let budgets = self.ledger.budgets(&paid);
            self.outside.pay(&paid, spend, spend, budgets)?;
            let command = Command::Settle { run: run.clone(), call: None, spend };
            self.play(&command, Reply::Nobody)?.unwrap();
            return Ok(());
        }
        if live.run.model != CHAT {
            return Ok(());
        }
        let agent = life.agents.get_mut(run).unwrap();
        // A number is used again once the call before is out and given up.
        let last = agent.next_call.saturating_sub(1);
        let gives_up = agent.calls.get(&last).is_some_and(|call| call.is_under_way);
        let call = if gives_up && self.random.chance(20) { last } else { agent.next_call };
        if call < agent.next_call {
            self.happened.note("a call was given up");
        }
        agent.next_call = agent.next_call.max(call + 1);
        // Now and then more is taken than was set aside.
        let takes = Spend {
            tokens: if self.random.chance(10) { a + 5 } else { self.random.below(a + 1) },
            cost_micros: self.random.below(b + 1),
        };
        let new = Call { set_aside: spend, takes, is_under_way: false };
        let given_up = agent.calls.insert(call, new);
        let early = self.bug == Some(Bug::BudgetCheckedLate);
        if early {
            self.begin_call(run, call)?;
        }
        let reply = if early { Reply::Nobody } else { Reply::Call(run.clone(), call) };
        let command = Command::Reserve { run: run.clone(), call, spend };
        let decided = self.play(&command, reply)?;
        if decided.is_err() && !early {
            let life = self.life.as_mut().unwrap();
            let calls = &mut life.agents.get_mut(run).unwrap().calls;
            calls.remove(&call);
            calls.extend(given_up.map(|before| (call, before)));
        }
        Ok(())
    }

    /// The call goes out, and is to be paid from now on, whatever becomes of it.
    pub(crate) fn begin_call(&mut self, run: &RunId, call: u32) -> Held<()> {
        let Some(life) = &mut self.life else { return Ok(()) };
        let agent = life.agents.get_mut(run);
        let Some(call) = agent.and_then(|agent| agent.calls.get_mut(&call)) else { return Ok(()) };
        call.is_under_way = true;
        let (takes, set_aside) = (call.takes, call.set_aside);
        let Some(live) = life.state.get(run) else { return Ok(()) };
        let paid = live.run.clone();
        let beyond = takes.minus(set_aside);
        if beyond != Spend::default() {
            self.happened.note("it took more than was set aside");
        }
        let budgets = self.ledger.budgets(&paid);
        self.outside.pay(&paid, takes, beyond, budgets)
    }

    fn agent_settles(&mut self, run: &RunId) -> Held<()> {
        let agent = self.life.as_mut().unwrap().agents.get_mut(run).unwrap();
        let under_way = agent.calls.iter().find(|(_, call)| call.is_under_way);
        let Some(call) = under_way.map(|(call, _)| *call) else { return Ok(()) };
        let spend = agent.calls.remove(&call).unwrap().takes;
        let command = Command::Settle { run: run.clone(), call: Some(call), spend };
        self.play(&command, Reply::Nobody)?.unwrap();
        Ok(())
    }

    fn agent_waits(&mut self, run: &RunId, command: &Command) -> Held<()> {
        let Ok(events) = self.play(command, Reply::Nobody)? else { return Ok(()) };
        let waits = events.iter().any(|event| matches!(event, Event::RunWaiting { .. }));
        if let Some(agent) = self.life.as_mut().unwrap().agents.get_mut(run) {
            agent.blocked = waits;
        }
        Ok(())
    }

    fn agent_spawns(&mut self, run: &RunId) -> Held<()> {
        let Some(live) = self.life.as_ref().and_then(|life| life.state.get(run)) else {
            return Ok(());
        };
        let Some(starter) = live.run.starter.clone() else { return Ok(()) };
        let grant = live.run.grant(&starter.restore(), &self.policy, self.now);
        self.spawn(Caller::Run(grant))
    }
}
