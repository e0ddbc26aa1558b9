//! What can happen next in a world.

use hatchery_access::Caller;
use hatchery_protocol::RunId;
use hatchery_spawn::{Clock, Command, Event, LiveRun, Phase, Wait};

use crate::invariant::{Held, Invariant, hold};
use crate::life::{Attempt, Reply};
use crate::world::World;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// A kind of thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    Spawn,
    Turn,
    AgentActs,
    Commit,
    Perform,
    Deliver,
    Hear,
    ClockRunsOut,
    ClockIsLate,
    TimePasses,
    TimeJumps,
    Kill,
    Hush,
    Approve,
    StopWaiting,
    AbandonWait,
    Retry,
    Dismiss,
    Expire,
    Settings,
    ShutDown,
    Crash,
}

impl Move {
    /// Each with its weight, and whether no world is without it.
    pub(crate) const ALL: &[(Self, u64, bool)] = &[
        (Self::Spawn, 12, true),
        (Self::Turn, 6, false),
        (Self::AgentActs, 60, true),
        (Self::Commit, 40, true),
        (Self::Perform, 50, true),
        (Self::Deliver, 6, false),
        (Self::Hear, 6, false),
        (Self::ClockRunsOut, 6, false),
        (Self::ClockIsLate, 3, false),
        (Self::TimePasses, 10, false),
        (Self::TimeJumps, 1, false),
        (Self::Kill, 3, false),
        (Self::Hush, 1, false),
        (Self::Approve, 6, false),
        (Self::StopWaiting, 2, false),
        (Self::AbandonWait, 2, false),
        (Self::Retry, 2, false),
        (Self::Dismiss, 1, false),
        (Self::Expire, 1, false),
        (Self::Settings, 1, false),
        (Self::ShutDown, 1, false),
        (Self::Crash, 3, false),
    ];
}

impl World {
    /// Makes a move, as far as it is possible now.
    pub(crate) fn make(&mut self, kind: Move) -> Held<()> {
        if self.life.is_none() {
            return self.recover();
        }
        let open = self.life.as_ref().is_some_and(|life| life.open);
        match kind {
            Move::Commit => {
                let most = self.random.below(5) + 1;
                self.commit(usize::try_from(most).unwrap(), true)
            }
            Move::Perform => {
                let Some(life) = &self.life else { return Ok(()) };
                let Some(run) = self.random.any(life.todo.keys()).cloned() else { return Ok(()) };
                self.perform(&run)
            }
            Move::AgentActs => {
                let Some(life) = &self.life else { return Ok(()) };
                let run = self.random.any(life.agents.keys()).cloned();
                run.map_or(Ok(()), |run| self.agent_acts(&run))
            }
            Move::TimePasses => {
                self.now += self.random.below(MINUTE_MS / 2);
                Ok(())
            }
            Move::TimeJumps => {
                let by = self.random.below(9 * DAY_MS);
                let back = self.random.chance(40);
                self.now = if back { self.now - by } else { self.now + by };
                Ok(())
            }
            Move::Settings => {
                self.policy.max_concurrent = self.random.below(5) as u32 + 1;
                let now = self.policy.max_concurrent;
                self.trace.say(self.now, None, || format!("max_concurrent is {now}"));
                // Whoever changes the settings lets the core look at them.
                self.play_for_all(&Command::ExpireNotices)
            }
            Move::ClockRunsOut => match self.clock_that_ran_out() {
                Some((run, clock)) => self.play_for_all(&Command::DeadlinePassed { run, clock }),
                None => Ok(()),
            },
            Move::ClockIsLate => self.clock_is_late(),
            Move::Deliver => self.deliver(),
            Move::Hear => self.hear_of_an_attempt(),
            Move::ShutDown => self.shut_down_or_go(),
            Move::Crash => self.crash(),
            _ if !open => Ok(()),
            Move::Spawn => self.spawn(Caller::Owner),
            Move::Turn => self.turn(),
            Move::Kill => self.kill_somebody(),
            Move::Hush => self.hush(),
            Move::Approve => self.approve(),
            Move::StopWaiting => self.stop_waiting(),
            Move::AbandonWait => self.abandon_wait(),
            Move::Retry | Move::Dismiss => self.decide_about_a_notice(kind),
            Move::Expire => self.play_for_all(&Command::ExpireNotices),
        }
    }

    /// Has the core decide something that nobody waits for and nothing stands against.
    pub(crate) fn play_for_all(&mut self, command: &Command) -> Held<()> {
        self.play(command, Reply::Nobody)?.unwrap();
        Ok(())
    }

    /// A clock that has run out and was not told of.
    pub(crate) fn clock_that_ran_out(&mut self) -> Option<(RunId, Clock)> {
        let life = self.life.as_ref()?;
        let now = self.now;
        let past = |from: u64, limit: Option<u64>| {
            limit.is_some_and(|limit| now >= from.saturating_add(limit))
        };
        let mut out: Vec<(RunId, Clock)> = Vec::new();
        for live in life.state.runs().filter(|live| live.stopping.is_none()) {
            let (run, id) = (&live.run, &live.run.id);
            let times = life.times.get(id);
            let clock = match (live.phase, times) {
                (Phase::Queued, _) => {
                    past(run.accepted_at_ms, run.deadlines.queue_ms).then_some(Clock::Queue)
                }
                (_, Some(times)) if past(times.starting_at_ms, run.timeout_ms) => Some(Clock::Wall),
                (Phase::Starting, Some(times)) => {
                    past(times.starting_at_ms, run.deadlines.start_ms).then_some(Clock::Start)
                }
                (Phase::Running, Some(times)) if live.waiting.is_none() => {
                    past(times.alive_at_ms, run.deadlines.idle_ms).then_some(Clock::Idle)
                }
                _ => None,
            };
            out.extend(clock.map(|clock| (id.clone(), clock)));
        }
        let trees = life.state.tree_deadlines().filter(|(_, at)| now >= *at);
        out.extend(trees.map(|(run, _)| (run.clone(), Clock::Tree)));
        self.random.any(out.into_iter())
    }

    /// A clock was not wound down in time, and runs out when its phase is over.
    fn clock_is_late(&mut self) -> Held<()> {
        let Some(life) = &self.life else { return Ok(()) };
        let Some(live) = self.random.any(life.state.runs().collect::<Vec<_>>().into_iter()) else {
            return Ok(());
        };
        let clock = self.random.pick(&[Clock::Queue, Clock::Start, Clock::Idle, Clock::Wall]);
        if in_its_phase(live, clock) {
            return Ok(());
        }
        let run = live.run.id.clone();
        self.happened.note("a late clock");
        let events =
            self.play(&Command::DeadlinePassed { run: run.clone(), clock }, Reply::Nobody)?;
        let still = events.as_ref().is_ok_and(Vec::is_empty);
        hold(still, Invariant::StaleClock, &run, || format!("{clock:?}: {events:?}"))
    }

    /// Tells a result on its route. Whether it got there, and whether the gateway hears of it, are
    /// two things.
    pub(crate) fn deliver(&mut self) -> Held<()> {
        let Some(life) = &mut self.life else { return Ok(()) };
        let Some(run) = self.random.any(life.due.iter()).cloned() else { return Ok(()) };
        let notice = life.state.notices().get(&run).filter(|notice| notice.blocked.is_none());
        match notice {
            Some(notice) if notice.due_at_ms > self.now => return Ok(()),
            Some(_) => {}
            None => {
                life.due.remove(&run);
                return Ok(());
            }
        }
        life.due.remove(&run);
        let arrives = self.random.chance(60);
        if arrives {
            let told = self.outside.told.entry(run.clone()).or_default();
            *told += 1;
            if *told > 1 {
                self.happened.note("told twice");
            }
        }
        let confirmed = arrives && self.random.chance(80);
        life.attempts.push(Attempt { run, confirmed });
        Ok(())
    }

    pub(crate) fn hear_of_an_attempt(&mut self) -> Held<()> {
        let Some(life) = &mut self.life else { return Ok(()) };
        if life.attempts.is_empty() {
            return Ok(());
        }
        let at = self.random.below(life.attempts.len() as u64);
        let Attempt { run, confirmed } = life.attempts.remove(usize::try_from(at).unwrap());
        let command = if confirmed {
            Command::Delivered { run }
        } else {
            let for_good = self.random.chance(20);
            Command::DeliveryFailed { run, reason: "no answer".to_owned(), for_good }
        };
        self.play_for_all(&command)
    }

    /// The gateway is told to end, or does so when nothing is at work any more.
    pub(crate) fn shut_down_or_go(&mut self) -> Held<()> {
        let Some(life) = &mut self.life else { return Ok(()) };
        let Some(keeps_queued) = life.keeps_queued else {
            let keep_queued = self.random.chance(50);
            life.keeps_queued = Some(keep_queued);
            self.policy.closing = true;
            return self.play_for_all(&Command::ShutDown { keep_queued });
        };
        let waits = life.state.runs().any(|live| live.phase != Phase::Queued);
        if waits {
            return Ok(());
        }
        self.commit(usize::MAX, true)?;
        let left = self.disk.committed.runs().next().map(|live| live.run.id.clone());
        if let Some(run) = left {
            hold(keeps_queued, Invariant::Rest, &run, || "it outlives a shutdown".to_owned())?;
        }
        self.trace.say(self.now, None, || "gone in order".to_owned());
        self.happened.note("gone in order");
        self.life = None;
        Ok(())
    }

    fn approve(&mut self) -> Held<()> {
        let Some(life) = &self.life else { return Ok(()) };
        let waiting = life.state.runs().filter(|live| live.waiting == Some(Wait::Approval));
        let waiting: Vec<RunId> = waiting.map(|live| live.run.id.clone()).collect();
        match self.random.any(waiting.into_iter()) {
            Some(run) => self.play_for_all(&Command::ApprovalDecided { run }),
            None => Ok(()),
        }
    }

    /// A run has waited for as long as it wanted to.
    fn stop_waiting(&mut self) -> Held<()> {
        let Some(life) = &self.life else { return Ok(()) };
        match self.random.any(life.agents.keys()).cloned() {
            Some(run) => self.play_for_all(&Command::StopWaiting { run }),
            None => Ok(()),
        }
    }

    /// Whoever waited in a run's name is gone, and takes nothing.
    fn abandon_wait(&mut self) -> Held<()> {
        let Some(life) = &self.life else { return Ok(()) };
        let Some(run) = self.random.any(life.agents.keys()).cloned() else { return Ok(()) };
        let command = Command::AbandonWait { run: run.clone() };
        let events = self.play(&command, Reply::Nobody)?.unwrap();
        let takes = |event: &Event| matches!(event, Event::RunResumed { results, .. } if !results.is_empty());
        hold(!events.iter().any(takes), Invariant::OneInbox, &run, || format!("{events:?}"))?;
        if !events.is_empty() {
            self.happened.note("a wait was abandoned");
        }
        Ok(())
    }

    fn decide_about_a_notice(&mut self, kind: Move) -> Held<()> {
        let Some(life) = &self.life else { return Ok(()) };
        let run = self.random.any(life.state.notices().keys()).cloned();
        let Some(run) = run else { return Ok(()) };
        let caller = Caller::Owner;
        self.play_for_all(&match kind {
            Move::Retry => Command::RetryNotice { caller, run },
            _ => Command::DismissNotice { caller, run },
        })
    }
}

/// Whether what a clock measures goes on.
fn in_its_phase(live: &LiveRun, clock: Clock) -> bool {
    match clock {
        Clock::Queue => live.phase == Phase::Queued,
        Clock::Idle => live.phase == Phase::Running && live.waiting.is_none(),
        Clock::Start | Clock::Wall | Clock::Tree => live.phase != Phase::Queued,
    }
}
