//! The end of a world: no more crashes, everybody does what is left to do.

use hatchery_access::Caller;
use hatchery_protocol::RunId;
use hatchery_spawn::{Command, Ending, Phase, State, Wait};

use crate::invariant::{Held, Invariant, hold_all};
use crate::life::Reply;
use crate::world::World;

/// How often everybody may be asked. A world that is not at rest by then never will be.
const ROUNDS: u32 = 2_000;

impl World {
    /// Lets everything come to its end, and checks that it does.
    pub(crate) fn rest(&mut self) -> Held<()> {
        for _ in 0..ROUNDS {
            self.trace.next_step();
            if self.life.is_none() {
                self.recover()?;
            }
            if !self.one_round()? {
                return self.check_rest();
            }
        }
        hold_all(false, Invariant::Rest, || "it goes on for ever".to_owned())
    }

    /// Does all that is to be done now. Whether there was anything.
    fn one_round(&mut self) -> Held<bool> {
        self.commit(usize::MAX, true)?;
        let todo: Vec<RunId> = self.life.as_ref().unwrap().todo.keys().cloned().collect();
        for run in &todo {
            while self.life.as_ref().unwrap().todo.contains_key(run) {
                self.perform(run)?;
            }
        }
        let agents: Vec<RunId> = self.life.as_ref().unwrap().agents.keys().cloned().collect();
        let mut any = !todo.is_empty();
        for run in agents {
            any |= self.agent_finishes(&run)?;
        }
        any |= self.deliver_everything()?;
        let life = self.life.as_ref().unwrap();
        if life.keeps_queued.is_some() && life.agents.is_empty() && !any {
            self.shut_down_or_go()?;
            any = self.life.is_none();
        }
        Ok(any)
    }

    /// An agent that can do so comes to its end. One that waits for others waits on.
    fn agent_finishes(&mut self, run: &RunId) -> Held<bool> {
        let life = self.life.as_ref().unwrap();
        let Some(agent) = life.agents.get(run) else { return Ok(false) };
        let Some(live) = life.state.get(run) else { return Ok(false) };
        if agent.stop.is_none() && live.stopping.is_none() {
            if live.waiting == Some(Wait::Approval) {
                self.play_for_all(&Command::ApprovalDecided { run: run.clone() })?;
                return Ok(true);
            }
            if agent.is_stuck() {
                let session = live.run.session.clone();
                let command = Command::Kill { caller: Caller::Owner, session };
                self.play(&command, Reply::Nobody)?.unwrap();
                return Ok(true);
            }
            if agent.blocked {
                return Ok(false);
            }
            if !agent.started {
                self.agent_acts(run)?;
                return Ok(true);
            }
        }
        if live.stopping.is_some() && agent.stop.is_none() {
            return Ok(false);
        }
        let ending = Ending { exit_code: Some(0), ..Ending::default() };
        self.agent_ends(run, ending)?;
        Ok(true)
    }

    fn deliver_everything(&mut self) -> Held<bool> {
        let life = self.life.as_ref().unwrap();
        let open = life.state.notices().values().filter(|notice| notice.blocked.is_none());
        let Some(due) = open.map(|notice| notice.due_at_ms).min() else { return Ok(false) };
        self.now = self.now.max(due);
        for _ in 0..=life.due.len() {
            self.deliver()?;
        }
        while self.life.as_ref().is_some_and(|life| !life.attempts.is_empty()) {
            self.hear_of_an_attempt()?;
        }
        Ok(true)
    }

    fn check_rest(&mut self) -> Held<()> {
        let life = self.life.as_ref().unwrap();
        let left = life.state.runs().next();
        if let Some(live) = left {
            let queued = life.state.runs().filter(|live| live.phase == Phase::Queued).count();
            let what = format!("{live:?} is left of {}, {queued} wait", life.state.len());
            let run = Some(live.run.id.clone());
            return Err(crate::invariant::Broken { invariant: Invariant::Rest, run, what });
        }
        let mut state = life.state.clone();
        let blocked: Vec<RunId> = state.notices().keys().cloned().collect();
        for run in blocked {
            let by = "the end of the world".to_owned();
            state.apply(&hatchery_spawn::Event::NoticeDismissed { run, by }, self.now);
        }
        hold_all(state == State::default(), Invariant::Rest, || format!("left: {state:?}"))?;
        for run in &self.outside.receipts {
            crate::invariant::hold(self.ledger.has(run), Invariant::ReceiptKept, run, || {
                "it is gone".to_owned()
            })?;
        }
        self.ledger.check_rest()
    }
}
