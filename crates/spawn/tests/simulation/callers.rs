//! Those who ask for something: the owner, devices, and runs themselves.

use std::collections::BTreeSet;

use hatchery_access::{Caller, DeviceCaller};
use hatchery_protocol::{
    AgentId, Role, RunId, RuntimeKind, Scope, SessionId, SessionKey, SessionKind, Task,
};
use hatchery_spawn::{Asked, Command, Phase, Route, SpawnRequest, TurnRequest};

use crate::invariant::Held;
use crate::life::Reply;
use crate::temper::{CHAT, EXTERNAL, SHELL, budget, deadlines};
use crate::world::World;

fn conversation(number: u64) -> SessionId {
    SessionId::new(format!("sess_talk{number}"))
}

impl World {
    fn new_name(&mut self) -> RunId {
        self.names += 1;
        RunId::new(format!("r{}", self.names))
    }

    fn somebody(&mut self) -> Caller {
        if self.random.chance(80) {
            return Caller::Owner;
        }
        Caller::Device(DeviceCaller {
            device: None,
            role: Role::Operator,
            scopes: [Scope::Read, Scope::Write].into(),
            client: "a phone".to_owned(),
        })
    }

    /// Asks for a run. Whoever is refused does not mind.
    pub(crate) fn spawn(&mut self, caller: Caller) -> Held<()> {
        let by_a_run = caller.grant().is_some();
        let caller = if by_a_run { caller } else { self.somebody() };
        let limited = self.temper.limited;
        let runtime = match self.random.below(6) {
            0..3 => RuntimeKind::Local,
            3..5 => RuntimeKind::Acp,
            _ => RuntimeKind::Isolated,
        };
        let (agent, model) = match runtime {
            RuntimeKind::Acp => (Some(AgentId::new(EXTERNAL).unwrap()), None),
            RuntimeKind::Local => {
                (Some(AgentId::main()), Some(self.random.pick(&[CHAT, CHAT, SHELL])))
            }
            RuntimeKind::Isolated => (Some(AgentId::main()), None),
        };
        let run = self.new_name();
        let talk = self.random.maybe(15, 3).filter(|_| !by_a_run);
        let asked = Asked { key: format!("key of {run}"), turn: false };
        let routed = self.random.chance(self.temper.routed);
        let request = SpawnRequest {
            session: SessionId::new(format!("sess_{run}")),
            run: run.clone(),
            task: Task::Text("x".repeat(self.random.below(20) as usize + 1)),
            agent,
            runtime,
            missing: BTreeSet::new(),
            model: model.map(str::to_owned),
            cwd: None,
            caller_cwd: "/w".into(),
            timeout_ms: self.random.maybe(limited, 90_000),
            deadlines: deadlines(&mut self.random, limited),
            budget: budget(&mut self.random, limited),
            route: (routed && caller == Caller::Owner)
                .then(|| Route { channel: "webhook".to_owned(), to: format!("to {run}") }),
            label: None,
            asked: talk.map(|number| (conversation(number), asked)),
            caller,
        };
        let command = Command::Spawn(Box::new(request));
        self.play(&command, Reply::Receipt(run)).map(drop)
    }

    /// Says something in a conversation.
    pub(crate) fn turn(&mut self) -> Held<()> {
        let run = self.new_name();
        let caller = self.somebody();
        let talk = self.random.below(3);
        let model = self.random.pick(&[CHAT, CHAT, SHELL]);
        let request = TurnRequest {
            caller,
            session: conversation(talk),
            session_key: SessionKey::parse(&format!("talk{talk}"), &AgentId::main()).unwrap(),
            kind: SessionKind::Main,
            key: format!("key of {run}"),
            task: Task::Text("say something".to_owned()),
            agent: AgentId::main(),
            model: Some(model.to_owned()),
            caller_cwd: "/w".into(),
            timeout_ms: self.random.maybe(self.temper.limited, 90_000),
            run: run.clone(),
        };
        let command = Command::Turn(Box::new(request));
        self.play(&command, Reply::Receipt(run)).map(drop)
    }

    /// The owner stops somebody, or a run tries to.
    pub(crate) fn kill_somebody(&mut self) -> Held<()> {
        let Some(life) = &self.life else { return Ok(()) };
        let sessions: Vec<SessionId> =
            life.state.runs().map(|live| live.run.session.clone()).collect();
        let Some(session) = self.random.any(sessions.into_iter()) else { return Ok(()) };
        let at_work = life.state.runs().filter(|live| live.phase != Phase::Queued);
        let starters = at_work.filter_map(|live| Some((&live.run, live.run.starter.clone()?)));
        let somebody = self.random.any(starters.collect::<Vec<_>>().into_iter());
        let caller = match somebody {
            Some((run, starter)) if self.random.chance(50) => {
                Caller::Run(run.grant(&starter.restore(), &self.policy, self.now))
            }
            _ => Caller::Owner,
        };
        self.play(&Command::Kill { caller, session }, Reply::Nobody).map(drop)
    }

    pub(crate) fn hush(&mut self) -> Held<()> {
        let Some(life) = &self.life else { return Ok(()) };
        let Some(session) = self.random.any(life.state.conversations()).cloned() else {
            return Ok(());
        };
        let turns = life.state.turns_of(&session).map(|live| live.run.id.clone());
        let only = self.random.any(turns.collect::<Vec<_>>().into_iter());
        let only = only.filter(|_| self.random.chance(50));
        self.play_for_all(&Command::Hush { caller: Caller::Owner, session, only })
    }
}
