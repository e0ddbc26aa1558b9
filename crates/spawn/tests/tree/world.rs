//! A gateway of a few lines: a state, settings, and a time that the test sets.

use std::collections::{BTreeMap, BTreeSet};

use hatchery_access::Caller;
use hatchery_protocol::{AgentId, RunId, RuntimeKind, SessionId, SessionKey, SessionKind, Task};
use hatchery_spawn::{
    AgentPolicy, AllowAgents, Budget, Command, Deadlines, Ending, Event, LiveRun, Phase, Policy,
    ProviderModels, QueueRoom, SpawnRefusal, SpawnRequest, State, TurnRequest, step,
};

/// A model that runs commands.
pub(crate) const SHELL: &str = "builtin/shell";
/// A model that can be asked again.
pub(crate) const CHAT: &str = "p/m";

pub(crate) fn run(name: &str) -> RunId {
    RunId::new(name.to_owned())
}

pub(crate) fn session(name: &str) -> SessionId {
    SessionId::new(format!("sess_{name}"))
}

/// Settings with room for everything.
pub(crate) fn policy() -> Policy {
    let agent = |harness: Option<&str>| AgentPolicy {
        model: CHAT.to_owned(),
        subagent_model: None,
        workspace: None,
        harness: harness.map(|command| vec![command.to_owned()]),
        allow_agents: AllowAgents::Any,
        require_agent_id: false,
    };
    Policy {
        default_agent: AgentId::main(),
        acp_default_agent: None,
        acp_enabled: true,
        acp_allowed: BTreeSet::new(),
        acp_max_sessions: None,
        max_spawn_depth: 9,
        max_children_per_agent: 99,
        max_concurrent: 99,
        queue_room: QueueRoom::default(),
        run_timeout_ms: None,
        deadlines: Deadlines::default(),
        budget: Budget::default(),
        closing: false,
        agents: BTreeMap::from([
            (AgentId::main(), agent(None)),
            (AgentId::new("external").unwrap(), agent(Some("an agent"))),
        ]),
        models: BTreeMap::from([("p".to_owned(), ProviderModels::Any)]),
    }
}

/// Asks for a run, and for nothing besides.
pub(crate) fn request(name: &str, caller: Caller) -> SpawnRequest {
    SpawnRequest {
        caller,
        run: run(name),
        session: session(name),
        task: Task::Text("true".to_owned()),
        agent: None,
        runtime: RuntimeKind::Local,
        missing: BTreeSet::new(),
        model: None,
        cwd: None,
        caller_cwd: "/w".into(),
        timeout_ms: None,
        deadlines: Deadlines::default(),
        budget: Budget::default(),
        route: None,
        label: None,
        asked: None,
    }
}

/// Says something in the conversation `talk`.
pub(crate) fn message(name: &str) -> TurnRequest {
    TurnRequest {
        caller: Caller::Owner,
        run: run(name),
        session: session("talk"),
        session_key: SessionKey::parse("talk", &AgentId::main()).unwrap(),
        kind: SessionKind::Main,
        key: format!("key of {name}"),
        task: Task::Text("say something".to_owned()),
        agent: AgentId::main(),
        model: None,
        caller_cwd: "/w".into(),
        timeout_ms: None,
    }
}

pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) policy: Policy,
    pub(crate) now: u64,
    /// Everything that happened, and when.
    pub(crate) events: Vec<(Event, u64)>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { state: State::default(), policy: policy(), now: 1_000, events: Vec::new() }
    }

    pub(crate) fn with_slots(max_concurrent: u32) -> Self {
        let mut world = Self::new();
        world.policy.max_concurrent = max_concurrent;
        world
    }

    pub(crate) fn decide(&mut self, command: &Command) -> Result<Vec<Event>, SpawnRefusal> {
        let events = step(&mut self.state, &self.policy, command, self.now)?.events;
        self.events.extend(events.iter().map(|event| (event.clone(), self.now)));
        Ok(events)
    }

    pub(crate) fn play(&mut self, command: &Command) -> Vec<Event> {
        self.decide(command).unwrap()
    }

    /// The owner asks for a run.
    pub(crate) fn spawn(&mut self, name: &str) -> Vec<Event> {
        self.ask(request(name, Caller::Owner)).unwrap()
    }

    pub(crate) fn ask(&mut self, request: SpawnRequest) -> Result<Vec<Event>, SpawnRefusal> {
        self.decide(&Command::Spawn(Box::new(request)))
    }

    /// A run asks for one.
    pub(crate) fn spawn_below(&mut self, parent: &str, name: &str) -> Vec<Event> {
        self.ask(request(name, self.caller(parent))).unwrap()
    }

    pub(crate) fn say(&mut self, name: &str) -> Vec<Event> {
        self.play(&Command::Turn(Box::new(message(name))))
    }

    /// A run as a caller.
    pub(crate) fn caller(&self, name: &str) -> Caller {
        let live = self.get(name);
        let starter = live.run.starter.clone().unwrap().restore();
        Caller::Run(live.run.grant(&starter, &self.policy, self.now))
    }

    pub(crate) fn get(&self, name: &str) -> &LiveRun {
        self.state.get(&run(name)).unwrap()
    }

    pub(crate) fn lives(&self, name: &str) -> bool {
        self.state.get(&run(name)).is_some()
    }

    pub(crate) fn start(&mut self, name: &str) -> Vec<Event> {
        self.play(&Command::Started { run: run(name), process: None })
    }

    pub(crate) fn end(&mut self, name: &str) -> Vec<Event> {
        self.end_so(name, false)
    }

    pub(crate) fn end_so(&mut self, name: &str, heard: bool) -> Vec<Event> {
        let ending = Ending { exit_code: Some(0), ..Ending::default() };
        self.play(&Command::Ended { run: run(name), ending, heard })
    }

    pub(crate) fn kill(&mut self, name: &str) -> Vec<Event> {
        self.play(&Command::Kill { caller: Caller::Owner, session: session(name) })
    }

    pub(crate) fn yields(
        &mut self,
        name: &str,
        wanted: Option<u32>,
    ) -> Result<Vec<Event>, SpawnRefusal> {
        self.decide(&Command::Yield { run: run(name), wanted })
    }

    pub(crate) fn recover(&mut self) -> Vec<Event> {
        self.recover_without(&[])
    }

    /// The same, where those who had started these runs may not start them any more.
    pub(crate) fn recover_without(&mut self, disowned: &[&str]) -> Vec<Event> {
        let disowned = disowned.iter().map(|name| run(name)).collect();
        self.play(&Command::Recover { said: BTreeMap::new(), resume: true, disowned })
    }

    fn somebody_at_work(&self) -> Option<String> {
        let mut runs = self.state.runs();
        runs.find(|live| live.phase != Phase::Queued).map(|live| live.run.id.to_string())
    }

    /// Ends everybody who can end, and sees that nothing is left.
    pub(crate) fn come_to_rest(&mut self) {
        while let Some(name) = self.somebody_at_work() {
            self.end(&name);
        }
        assert_eq!(self.state, State::default());
    }
}

/// What happened, in short: `kind run`.
pub(crate) fn short(events: &[Event]) -> Vec<String> {
    let words = |event: &Event| format!("{} {}", event.kind(), event.run().unwrap());
    events.iter().map(words).collect()
}

/// Which runs got a slot.
pub(crate) fn started(events: &[Event]) -> Vec<String> {
    let started = events.iter().filter_map(|event| match event {
        Event::RunStarting { run } => Some(run.to_string()),
        _ => None,
    });
    started.collect()
}

/// Which results stand where now: `result in session`.
pub(crate) fn placed(events: &[Event]) -> Vec<String> {
    let placed = events.iter().filter_map(|event| match event {
        Event::RunAnnounced { run, to, .. } | Event::AnnounceMoved { run, to, .. } => {
            Some(format!("{run} in {to}"))
        }
        _ => None,
    });
    placed.collect()
}

/// Who goes on with which results.
pub(crate) fn resumed(events: &[Event]) -> Vec<(String, Vec<String>)> {
    let resumed = events.iter().filter_map(|event| match event {
        Event::RunResumed { run, results } => {
            Some((run.to_string(), results.iter().map(ToString::to_string).collect()))
        }
        _ => None,
    });
    resumed.collect()
}
