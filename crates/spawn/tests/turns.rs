//! The rules of turns: one at a time in a session, no slot, and children that outlive them.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use hatchery_access::{Caller, DeviceCaller};
use hatchery_protocol::{
    AgentId, Role, RunId, RunStatus, RuntimeKind, Scope, SessionId, SessionKey, SessionKind, Task,
};
use hatchery_spawn::{
    AgentPolicy, AllowAgents, Asked, Budget, Command, Deadlines, Ending, Event, LastWords,
    MAX_TURNS, MAX_WAITING_TURNS, Policy, ProviderModels, QueueRoom, Run, SpawnRefusal,
    SpawnRequest, State, TurnRequest, step,
};

const SHELL: &str = "builtin/shell";

fn policy(model: &str) -> Policy {
    let main = AgentPolicy {
        model: model.to_owned(),
        subagent_model: None,
        workspace: None,
        harness: None,
        allow_agents: AllowAgents::Only(BTreeSet::new()),
        require_agent_id: false,
    };
    Policy {
        default_agent: AgentId::main(),
        acp_default_agent: None,
        acp_enabled: true,
        acp_allowed: BTreeSet::new(),
        acp_max_sessions: None,
        max_spawn_depth: 1,
        max_children_per_agent: 2,
        max_concurrent: 1,
        queue_room: QueueRoom::default(),
        run_timeout_ms: None,
        deadlines: Deadlines::default(),
        budget: Budget::default(),
        closing: false,
        agents: BTreeMap::from([(AgentId::main(), main)]),
        models: BTreeMap::from([("p".to_owned(), ProviderModels::Any)]),
    }
}

fn device() -> Caller {
    Caller::Device(DeviceCaller {
        device: None,
        role: Role::Operator,
        scopes: BTreeSet::from([Scope::Read, Scope::Write]),
        client: "test".to_owned(),
    })
}

fn session(name: &str) -> SessionId {
    SessionId::new(format!("sess_{name}"))
}

fn run(name: &str) -> RunId {
    RunId::new(name.to_owned())
}

fn message(name: &str, in_session: &str, caller: Caller) -> TurnRequest {
    TurnRequest {
        caller,
        run: run(name),
        session: session(in_session),
        session_key: SessionKey::parse(in_session, &AgentId::main()).unwrap(),
        kind: SessionKind::Main,
        key: format!("key-{name}"),
        task: Task::Text("true".to_owned()),
        agent: AgentId::main(),
        model: None,
        caller_cwd: "/w".into(),
        timeout_ms: None,
    }
}

fn child(name: &str, caller: Caller) -> SpawnRequest {
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

struct World {
    state: State,
    policy: Policy,
    grants: BTreeMap<String, Caller>,
}

impl World {
    fn new() -> Self {
        Self { state: State::default(), policy: policy(SHELL), grants: BTreeMap::new() }
    }

    fn play(&mut self, command: &Command) -> Result<Vec<Event>, SpawnRefusal> {
        Ok(step(&mut self.state, &self.policy, command, 1)?.events)
    }

    fn say(&mut self, name: &str, in_session: &str) -> Result<Vec<Event>, SpawnRefusal> {
        let request = message(name, in_session, Caller::Owner);
        let events = self.play(&Command::Turn(Box::new(request)))?;
        self.keep_grant(&events, &Caller::Owner);
        Ok(events)
    }

    fn spawn(&mut self, name: &str, caller: &Caller) -> Result<Vec<Event>, SpawnRefusal> {
        let events = self.play(&Command::Spawn(Box::new(child(name, caller.clone()))))?;
        self.keep_grant(&events, caller);
        Ok(events)
    }

    fn keep_grant(&mut self, events: &[Event], caller: &Caller) {
        if let Some(Event::RunAccepted { run }) = events.first() {
            let grant = run.grant(caller, &self.policy, 0);
            self.grants.insert(run.id.to_string(), Caller::Run(grant));
        }
    }

    fn grant(&self, name: &str) -> Caller {
        self.grants[name].clone()
    }

    fn end(&mut self, name: &str) -> Vec<Event> {
        let ending = Ending::default();
        self.play(&Command::Ended { run: run(name), ending, heard: false }).unwrap()
    }

    fn hush(&mut self, in_session: &str, only: Option<&str>) -> Vec<Event> {
        let only = only.map(run);
        let session = session(in_session);
        self.play(&Command::Hush { caller: Caller::Owner, session, only }).unwrap()
    }
}

fn kinds(events: &[Event]) -> Vec<(&'static str, String)> {
    events.iter().map(|event| (event.kind(), event.run().unwrap().to_string())).collect()
}

fn named(kinds: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    kinds.iter().map(|(kind, run)| (*kind, (*run).to_owned())).collect()
}

fn accepted(events: &[Event]) -> Run {
    match &events[0] {
        Event::RunAccepted { run } => (**run).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_turns_of_a_session_follow_one_another_and_those_of_others_do_not_wait() {
    let mut world = World::new();
    let first = world.say("a", "main").unwrap();
    assert_eq!(kinds(&first), named(&[("run_accepted", "a"), ("run_starting", "a")]));
    assert_eq!(kinds(&world.say("b", "main").unwrap()), named(&[("run_accepted", "b")]));
    assert_eq!(kinds(&world.say("c", "main").unwrap()), named(&[("run_accepted", "c")]));
    let elsewhere = world.say("x", "other").unwrap();
    assert_eq!(kinds(&elsewhere), named(&[("run_accepted", "x"), ("run_starting", "x")]));
    assert_eq!(kinds(&world.end("a")), named(&[("run_finished", "a"), ("run_starting", "b")]));
    assert_eq!(kinds(&world.end("b")), named(&[("run_finished", "b"), ("run_starting", "c")]));
    assert_eq!(kinds(&world.end("c")), named(&[("run_finished", "c")]));
    assert_eq!(kinds(&world.end("x")), named(&[("run_finished", "x")]));
    assert_eq!(world.state, State::default());
}

#[test]
fn turns_take_no_slot_and_their_children_do() {
    let mut world = World::new();
    for number in 0..5 {
        world.say(&format!("t{number}"), &format!("s{number}")).unwrap();
    }
    assert_eq!(world.state.slots_taken(), 0);
    let parent = world.grant("t0");
    let first = world.spawn("c0", &parent).unwrap();
    assert_eq!(kinds(&first), named(&[("run_accepted", "c0"), ("run_starting", "c0")]));
    assert_eq!(world.state.slots_taken(), 1);
    // The one slot is taken; the next waits, and starts when the slot is free.
    assert_eq!(kinds(&world.spawn("c1", &parent).unwrap()), named(&[("run_accepted", "c1")]));
    let ended = world.end("c0");
    assert_eq!(ended[2], Event::RunStarting { run: run("c1") });
    // The turn's own end gives nothing back that it never had.
    world.end("t0");
    assert_eq!(world.state.slots_taken(), 1);
    world.end("c1");
    (1..5).for_each(|number| drop(world.end(&format!("t{number}"))));
    assert_eq!(world.state, State::default());
}

#[test]
fn a_child_of_a_turn_stands_where_a_child_of_the_owner_stands() {
    let mut world = World::new();
    let turn = accepted(&world.say("t", "main").unwrap());
    assert_eq!(turn.depth(), 0);
    assert_eq!(turn.name(), "key-t");
    let parent = world.grant("t");
    assert_eq!(parent.depth(), 0);
    let child = accepted(&world.spawn("c", &parent).unwrap());
    assert_eq!(child.depth(), 1);
    assert_eq!(child.requester, session("main"));
    assert_eq!(child.name(), "c");
    let below = world.grant("c");
    assert_eq!(below.depth(), 1);
    let refused = world.spawn("d", &below).unwrap_err();
    assert_eq!(refused, SpawnRefusal::DepthLimit { depth: 2, limit: 1 });
}

#[test]
fn results_of_a_conversation_come_to_it_whoever_is_gone_by_then() {
    let told = |events: &[Event]| match &events[1] {
        Event::RunAnnounced { to, in_conversation, .. } => (to.clone(), *in_conversation),
        other => panic!("{other:?}"),
    };
    // Of a turn that is over already.
    let mut world = World::new();
    world.say("t", "chat").unwrap();
    let parent = world.grant("t");
    world.spawn("c", &parent).unwrap();
    world.end("t");
    assert_eq!(told(&world.end("c")), (session("chat"), true));

    // Of a sub-agent that was asked for in a message, and of what that one started.
    let mut world = World::new();
    world.policy.max_spawn_depth = 2;
    let mut request = child("c", Caller::Owner);
    let asked = Asked { key: "k".to_owned(), turn: false };
    request.asked = Some((session("chat"), asked));
    let events = world.play(&Command::Spawn(Box::new(request))).unwrap();
    world.keep_grant(&events, &Caller::Owner);
    assert_eq!(accepted(&events).requester, session("chat"));
    let parent = world.grant("c");
    world.spawn("g", &parent).unwrap();
    assert_eq!(told(&world.end("c")), (session("chat"), true));
    assert_eq!(told(&world.end("g")), (session("chat"), true));

    // Of what a crash ended; a turn itself is announced nowhere.
    let mut world = World::new();
    world.say("t", "chat").unwrap();
    let parent = world.grant("t");
    world.spawn("c", &parent).unwrap();
    let last = |name: &str| (run(name), LastWords { tail: "so far".into(), output_bytes: 6 });
    let said = [last("t"), last("c")].into();
    let events =
        world.play(&Command::Recover { said, resume: true, disowned: BTreeSet::new() }).unwrap();
    assert_eq!(
        kinds(&events),
        named(&[("run_finished", "c"), ("run_announced", "c"), ("run_finished", "t")])
    );
    assert_eq!(told(&events), (session("chat"), true));
    let Event::RunFinished { outcome, .. } = &events[2] else { panic!("{events:?}") };
    assert_eq!((outcome.status, outcome.tail.as_str()), (RunStatus::Interrupted, "so far"));

    // Without a conversation it is the owner's inbox, and no message.
    let mut world = World::new();
    world.spawn("c", &Caller::Owner).unwrap();
    assert_eq!(told(&world.end("c")), (SessionId::main(), false));
}

#[test]
fn hushing_stops_the_turn_with_its_tree_and_begins_none_that_waited() {
    let mut world = World::new();
    world.say("a", "main").unwrap();
    world.say("b", "main").unwrap();
    let parent = world.grant("a");
    world.spawn("c", &parent).unwrap();
    let events = world.hush("main", None);
    assert_eq!(
        kinds(&events),
        named(&[("run_stopping", "c"), ("run_stopping", "a"), ("run_finished", "b")])
    );
    // The tree was told already; saying it again says nothing.
    assert_eq!(world.hush("main", None), []);
    let ended = world.end("c");
    assert_eq!(ended[1].kind(), "run_announced");
    assert_eq!(kinds(&world.end("a")), named(&[("run_finished", "a")]));

    // Only the one that is named.
    world.say("d", "main").unwrap();
    world.say("e", "main").unwrap();
    assert_eq!(kinds(&world.hush("main", Some("e"))), named(&[("run_finished", "e")]));
    assert_eq!(kinds(&world.hush("main", Some("d"))), named(&[("run_stopping", "d")]));
    world.end("d");
    assert_eq!(world.state, State::default());
}

#[test]
fn the_limits_hold_at_their_edges() {
    let mut world = World::new();
    for number in 0..=MAX_WAITING_TURNS {
        world.say(&format!("w{number}"), "main").unwrap();
    }
    assert_eq!(world.say("more", "main").unwrap_err(), SpawnRefusal::TooManyMessages);
    for number in 1..MAX_TURNS {
        world.say(&format!("s{number}"), &format!("s{number}")).unwrap();
    }
    assert_eq!(world.say("more", "elsewhere").unwrap_err(), SpawnRefusal::TooManyTurns);
    // Those that have their turn may still queue.
    assert!(world.say("behind", "s1").is_ok());
    world.end("s2");
    assert!(world.say("more", "elsewhere").is_ok());
}

#[test]
fn who_may_say_what_to_whom() {
    let mut world = World::new();
    world.say("t", "main").unwrap();
    let within = world.grant("t");
    let mut of_a_run = message("x", "sub", Caller::Owner);
    of_a_run.kind = SessionKind::Subagent;
    let mut of_nobody = message("x", "main", Caller::Owner);
    of_nobody.agent = AgentId::new("nobody").unwrap();
    let mut by_provider = message("x", "other", device());
    by_provider.model = Some("p/m".to_owned());
    for (request, code) in [
        (message("x", "other", within), Some("TURN_BY_RUN")),
        (of_a_run, Some("NO_CONVERSATION")),
        (of_nobody, Some("AGENT_NOT_ALLOWED")),
        (message("x", "other", device()), Some("MODEL_OF_THE_OWNER")),
        (by_provider, None),
    ] {
        let before = world.state.clone();
        let decided = world.play(&Command::Turn(Box::new(request)));
        assert_eq!(decided.err().map(|refusal| refusal.code()), code);
        world.state = before;
    }
    world.policy.closing = true;
    let late = world.say("x", "other").unwrap_err();
    assert_eq!(late, SpawnRefusal::ShuttingDown);
    world.policy.closing = false;
    // What a device starts never reaches the owner's model either, however it is asked for.
    let mut asked = child("x", device());
    asked.asked = Some((session("main"), Asked { key: "k".to_owned(), turn: false }));
    let refused = world.play(&Command::Spawn(Box::new(asked))).unwrap_err();
    assert_eq!(refused.code(), "MODEL_OF_THE_OWNER");
}
