//! The rules of the run tree, one table or property each.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use hatchery_access::{Caller, DeviceCaller};
use hatchery_protocol::{AgentId, Role, RunId, RunStatus, RuntimeKind, Scope, SessionId, Task};
use hatchery_spawn::{
    AgentPolicy, AllowAgents, Budget, Clock, Command, Deadlines, Ending, Event, LastWords,
    MAX_QUEUED_RUNS, Phase, Policy, ProviderModels, QueueRoom, SpawnRefusal, SpawnRequest, State,
    step,
};
use proptest::prelude::*;

fn agent(name: &str) -> AgentId {
    AgentId::new(name).unwrap()
}

fn settings() -> AgentPolicy {
    AgentPolicy {
        model: "builtin/shell".to_owned(),
        subagent_model: None,
        workspace: None,
        harness: None,
        allow_agents: AllowAgents::Only(BTreeSet::new()),
        require_agent_id: false,
    }
}

fn policy() -> Policy {
    Policy {
        default_agent: AgentId::main(),
        acp_default_agent: None,
        acp_enabled: true,
        acp_allowed: BTreeSet::new(),
        acp_max_sessions: None,
        max_spawn_depth: 2,
        max_children_per_agent: 2,
        max_concurrent: 3,
        queue_room: QueueRoom::default(),
        run_timeout_ms: None,
        deadlines: Deadlines::default(),
        budget: Budget::default(),
        closing: false,
        agents: BTreeMap::from([(agent("main"), settings()), (agent("helper"), settings())]),
        models: BTreeMap::new(),
    }
}

fn request(name: &str, caller: Caller) -> SpawnRequest {
    SpawnRequest {
        caller,
        run: RunId::new(name.to_owned()),
        session: SessionId::new(format!("sess_{name}")),
        task: Task::Text("true".to_owned()),
        agent: None,
        runtime: RuntimeKind::Isolated,
        missing: BTreeSet::new(),
        model: None,
        cwd: None,
        caller_cwd: "/home/owner".into(),
        timeout_ms: None,
        deadlines: Deadlines::default(),
        budget: Budget::default(),
        route: None,
        label: None,
        asked: None,
    }
}

/// A world that plays commands and keeps every event.
struct World {
    state: State,
    policy: Policy,
    events: Vec<Event>,
    /// The authority of each run, as the supervisor derived it when the run was accepted.
    callers: BTreeMap<String, Caller>,
}

impl World {
    fn new(policy: Policy) -> Self {
        Self { state: State::default(), policy, events: Vec::new(), callers: BTreeMap::new() }
    }

    fn play(&mut self, command: &Command) -> Result<Vec<Event>, SpawnRefusal> {
        let events = step(&mut self.state, &self.policy, command, 1_000)?.events;
        // Slots are given out up to the limit and never beyond it.
        if events.iter().any(|event| matches!(event, Event::RunStarting { .. })) {
            assert!(self.state.slots_taken() <= self.policy.max_concurrent);
        }
        self.events.extend(events.iter().cloned());
        Ok(events)
    }

    fn spawn(&mut self, request: SpawnRequest) -> Result<Vec<Event>, SpawnRefusal> {
        let caller = request.caller.clone();
        let events = self.play(&Command::Spawn(Box::new(request)))?;
        if let Some(Event::RunAccepted { run }) = events.first() {
            let grant = run.grant(&caller, &self.policy, 0);
            self.callers.insert(run.id.to_string(), Caller::Run(grant));
        }
        Ok(events)
    }

    fn spawn_named(&mut self, name: &str) -> Result<Vec<Event>, SpawnRefusal> {
        self.spawn(request(name, Caller::Owner))
    }

    fn spawn_below(&mut self, parent: &str, name: &str) -> Result<Vec<Event>, SpawnRefusal> {
        let caller = self.caller(parent);
        self.spawn(request(name, caller))
    }

    fn caller(&self, name: &str) -> Caller {
        self.callers[name].clone()
    }

    fn end(&mut self, name: &str, exit_code: i32) -> Vec<Event> {
        let ending = Ending { exit_code: Some(exit_code), ..Ending::default() };
        let run = RunId::new(name.to_owned());
        self.play(&Command::Ended { run, ending, heard: false }).unwrap()
    }

    fn is_at_work(&self, name: &str) -> bool {
        let live = self.state.get(&RunId::new(name.to_owned()));
        live.is_some_and(|live| live.phase != Phase::Queued)
    }

    fn somebody_at_work(&self) -> Option<String> {
        let mut runs = self.state.runs();
        runs.find(|live| live.phase != Phase::Queued).map(|live| live.run.id.to_string())
    }

    fn kill(&mut self, caller: Caller, name: &str) -> Result<Vec<Event>, SpawnRefusal> {
        self.play(&Command::Kill { caller, session: SessionId::new(format!("sess_{name}")) })
    }
}

fn kinds(events: &[Event]) -> Vec<(&'static str, String)> {
    events.iter().map(|event| (event.kind(), event.run().unwrap().to_string())).collect()
}

fn announced_to(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::RunAnnounced { to, .. } => Some(to.to_string()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_spawn_is_accepted_and_started_in_one_step_while_slots_are_free() {
    let mut world = World::new(policy());
    for name in ["a", "b", "c"] {
        let events = world.spawn_named(name).unwrap();
        assert_eq!(
            kinds(&events),
            [("run_accepted", name.to_owned()), ("run_starting", name.to_owned())]
        );
    }
    assert_eq!(kinds(&world.spawn_named("d").unwrap()), [("run_accepted", "d".to_owned())]);
}

#[test]
fn the_longest_waiting_run_gets_the_slot_that_falls_free() {
    let mut world = World::new(policy());
    for name in ["a", "b", "c", "d", "e"] {
        world.spawn_named(name).unwrap();
    }
    let events = world.end("b", 0);
    assert_eq!(events.last(), Some(&Event::RunStarting { run: RunId::new("d".into()) }));
}

#[test]
fn parents_that_wait_for_their_children_never_fill_the_house() {
    let mut world = World::new(Policy { max_concurrent: 1, max_spawn_depth: 5, ..policy() });
    world.spawn_named("d1").unwrap();
    world.spawn_named("patient").unwrap();
    for depth in 1..5 {
        let events = world.spawn_below(&format!("d{depth}"), &format!("d{}", depth + 1)).unwrap();
        // Whoever waits longest is first, also before a child.
        let first = if depth == 1 { "patient" } else { "nobody" };
        let started = |name: &str| kinds(&events).contains(&("run_starting", name.to_owned()));
        assert_eq!(started("patient"), first == "patient");
        assert_eq!(started(&format!("d{}", depth + 1)), depth > 1);
        if depth == 1 {
            world.end("patient", 0);
        }
    }
    for depth in (1..=5).rev() {
        world.end(&format!("d{depth}"), 0);
    }
    assert_eq!(world.state, State::default());
}

#[test]
fn the_queue_has_an_end() {
    let mut world = World::new(Policy { max_concurrent: 1, ..policy() });
    for number in 0..=MAX_QUEUED_RUNS {
        world.spawn_named(&format!("r{number}")).unwrap();
    }
    assert_eq!(world.spawn_named("late"), Err(SpawnRefusal::QueueFull { limit: MAX_QUEUED_RUNS }));
}

#[test]
fn depth_is_counted_by_the_supervisor_and_ends_at_the_setting() {
    for (max_spawn_depth, allowed) in [(1, 1), (2, 2), (3, 3)] {
        let mut world = World::new(Policy { max_spawn_depth, max_concurrent: 9, ..policy() });
        world.spawn_named("d1").unwrap();
        let mut deepest = 1;
        while world.spawn_below(&format!("d{deepest}"), &format!("d{}", deepest + 1)).is_ok() {
            deepest += 1;
        }
        assert_eq!(deepest, allowed, "maxSpawnDepth {max_spawn_depth}");
        let refused = world.spawn_below(&format!("d{deepest}"), "x").unwrap_err();
        assert_eq!(
            refused,
            SpawnRefusal::DepthLimit { depth: deepest + 1, limit: max_spawn_depth }
        );
    }
}

#[test]
fn a_run_has_no_more_live_children_than_the_setting_says() {
    let mut world = World::new(Policy { max_concurrent: 9, ..policy() });
    world.spawn_named("p").unwrap();
    world.spawn_below("p", "c1").unwrap();
    world.spawn_below("p", "c2").unwrap();
    let refused = world.spawn_below("p", "c3").unwrap_err();
    assert_eq!(refused, SpawnRefusal::ChildLimit { children: 2, limit: 2 });
    world.end("c1", 0);
    assert!(world.spawn_below("p", "c3").is_ok());
}

#[test]
fn acp_sessions_end_at_their_limit_and_local_runs_do_not_count() {
    let mut world = World::new(Policy { acp_max_sessions: Some(2), max_concurrent: 9, ..policy() });
    let of = |runtime, name| SpawnRequest { runtime, ..request(name, Caller::Owner) };
    world.spawn(of(RuntimeKind::Acp, "a")).unwrap();
    world.spawn(of(RuntimeKind::Isolated, "b")).unwrap();
    let refused = world.spawn(of(RuntimeKind::Acp, "c")).unwrap_err();
    assert_eq!(refused, SpawnRefusal::SessionLimit { running: 2, limit: 2 });
    assert!(world.spawn(of(RuntimeKind::Local, "d")).is_ok());
    world.end("a", 0);
    assert!(world.spawn(of(RuntimeKind::Acp, "e")).is_ok());
}

#[test]
fn an_agent_whose_program_is_missing_is_refused_where_that_program_would_run_it() {
    let mut with_program = policy();
    let helper = with_program.agents.get_mut(&agent("helper")).unwrap();
    helper.harness = Some(vec!["its-agent".to_owned(), "--acp".to_owned()]);
    let mut world = World::new(with_program);
    let of = |runtime, name, missing: &str| SpawnRequest {
        runtime,
        agent: Some(agent("helper")),
        missing: BTreeSet::from([agent(missing)]),
        ..request(name, Caller::Owner)
    };
    let refused = world.spawn(of(RuntimeKind::Acp, "a", "helper")).unwrap_err();
    let program = "its-agent".to_owned();
    assert_eq!(refused, SpawnRefusal::HarnessMissing { agent: agent("helper"), program });
    assert!(world.spawn(of(RuntimeKind::Acp, "b", "main")).is_ok());
    assert!(world.spawn(of(RuntimeKind::Local, "c", "helper")).is_ok());
}

#[test]
fn which_agents_may_be_started_follows_from_caller_runtime_and_lists() {
    let acp = |names: &[&str]| names.iter().map(|name| agent(name)).collect::<BTreeSet<_>>();
    let listed = |names: &[&str]| AllowAgents::Only(acp(names));
    // (caller is a run of main, runtime, agent, acp list, allow list of main, allowed)
    let cases = [
        (false, RuntimeKind::Acp, "main", acp(&[]), listed(&[]), true),
        (false, RuntimeKind::Acp, "helper", acp(&[]), listed(&[]), true),
        (false, RuntimeKind::Acp, "nobody", acp(&[]), listed(&[]), false),
        (false, RuntimeKind::Acp, "main", acp(&["helper"]), listed(&[]), false),
        (false, RuntimeKind::Acp, "helper", acp(&["helper"]), listed(&[]), true),
        (false, RuntimeKind::Local, "main", acp(&["helper"]), listed(&[]), true),
        (false, RuntimeKind::Isolated, "helper", acp(&[]), listed(&[]), true),
        (true, RuntimeKind::Local, "main", acp(&[]), listed(&[]), true),
        (true, RuntimeKind::Local, "helper", acp(&[]), listed(&[]), false),
        (true, RuntimeKind::Local, "helper", acp(&[]), listed(&["helper"]), true),
        (true, RuntimeKind::Local, "helper", acp(&[]), AllowAgents::Any, true),
        (true, RuntimeKind::Local, "nobody", acp(&[]), AllowAgents::Any, false),
        (true, RuntimeKind::Acp, "helper", acp(&[]), listed(&[]), true),
        (true, RuntimeKind::Acp, "helper", acp(&["main"]), listed(&["helper"]), false),
    ];
    for (from_run, runtime, name, acp_allowed, allow_agents, allowed) in cases {
        let mut policy = Policy { acp_allowed, ..policy() };
        policy.agents.get_mut(&agent("main")).unwrap().allow_agents = allow_agents;
        let mut world = World::new(policy);
        world
            .spawn(SpawnRequest { runtime: RuntimeKind::Local, ..request("parent", Caller::Owner) })
            .unwrap();
        let caller = if from_run { world.caller("parent") } else { Caller::Owner };
        let asked = SpawnRequest { agent: Some(agent(name)), runtime, ..request("child", caller) };
        let outcome = world.spawn(asked);
        assert_eq!(outcome.is_ok(), allowed, "{from_run} {runtime} {name}: {outcome:?}");
        if let Err(refusal) = outcome {
            assert_eq!(refusal.code(), "AGENT_NOT_ALLOWED");
        }
    }
}

#[test]
fn other_refusals_name_their_setting() {
    let mut off = policy();
    off.acp_enabled = false;
    let acp = SpawnRequest { runtime: RuntimeKind::Acp, ..request("a", Caller::Owner) };
    assert_eq!(World::new(off).spawn(acp).unwrap_err().rule(), "acp.enabled");

    let model = SpawnRequest { model: Some("gpt".into()), ..request("a", Caller::Owner) };
    assert_eq!(World::new(policy()).spawn(model).unwrap_err().code(), "MODEL_UNUSABLE");

    let mut other_model = policy();
    other_model.agents.get_mut(&agent("main")).unwrap().subagent_model = Some("gpt".to_owned());
    let mut world = World::new(other_model);
    world.spawn_named("p").unwrap();
    assert_eq!(world.spawn_below("p", "c").unwrap_err().code(), "MODEL_UNUSABLE");

    let late = Policy { closing: true, ..policy() };
    assert_eq!(World::new(late).spawn_named("a").unwrap_err(), SpawnRefusal::ShuttingDown);

    let mut strict = policy();
    strict.agents.get_mut(&agent("main")).unwrap().require_agent_id = true;
    let mut world = World::new(strict);
    world.spawn_named("p").unwrap();
    assert_eq!(world.spawn_below("p", "c"), Err(SpawnRefusal::AgentRequired));
}

#[test]
fn a_run_never_leaves_the_workspace_of_the_one_above() {
    let mut world = World::new(policy());
    world.spawn(SpawnRequest { cwd: Some("/w".into()), ..request("p", Caller::Owner) }).unwrap();
    let caller = world.caller("p");
    let in_directory = |name: &str, cwd: &str| SpawnRequest {
        cwd: Some(cwd.into()),
        ..request(name, caller.clone())
    };
    for outside in ["/", "/wide", "/home/owner"] {
        let refused = world.spawn(in_directory("x", outside)).unwrap_err();
        assert_eq!(refused.code(), "OUTSIDE_WORKSPACE", "{outside}");
    }
    let events = world.spawn(in_directory("inside", "/w/sub")).unwrap();
    assert!(matches!(&events[0], Event::RunAccepted { run } if run.workspace.ends_with("w/sub")));
    // A caller that stands elsewhere and names no directory works in the workspace.
    let events = world.spawn(request("plain", caller.clone())).unwrap();
    assert!(matches!(&events[0], Event::RunAccepted { run } if run.workspace.ends_with("w")));
}

#[test]
fn what_an_isolated_run_starts_is_isolated() {
    use RuntimeKind::{Acp, Isolated, Local};
    let cases = [
        (Isolated, Isolated, true),
        (Isolated, Local, false),
        (Isolated, Acp, false),
        (Local, Isolated, true),
        (Local, Acp, true),
        (Acp, Local, true),
    ];
    for (outer, inner, allowed) in cases {
        let mut world = World::new(policy());
        world.spawn(SpawnRequest { runtime: outer, ..request("p", Caller::Owner) }).unwrap();
        let caller = world.caller("p");
        let outcome = world.spawn(SpawnRequest { runtime: inner, ..request("c", caller) });
        let refused = SpawnRefusal::WouldLeaveIsolation { runtime: inner };
        assert_eq!(outcome.err(), (!allowed).then_some(refused), "{inner} in {outer}");
    }
}

#[test]
fn a_result_goes_to_the_nearest_run_that_lives_on() {
    let mut world = World::new(Policy { max_spawn_depth: 3, max_concurrent: 9, ..policy() });
    world.spawn_named("a").unwrap();
    world.spawn_below("a", "b").unwrap();
    world.spawn_below("b", "c").unwrap();
    world.end("b", 0);
    assert_eq!(announced_to(&world.end("c", 0)), ["sess_a"]);
    assert_eq!(announced_to(&world.end("a", 0)), ["sess_main"]);
}

#[test]
fn stopping_a_run_stops_everything_below_it_and_nothing_else() {
    let mut world = World::new(Policy { max_spawn_depth: 3, max_concurrent: 1, ..policy() });
    world.spawn_named("a").unwrap();
    world.spawn_below("a", "b").unwrap();
    world.spawn_named("other").unwrap();
    world.spawn_below("b", "waiting").unwrap();
    let events = world.kill(Caller::Owner, "a").unwrap();
    assert_eq!(
        kinds(&events),
        [
            ("run_finished", "waiting".to_owned()),
            ("run_announced", "waiting".to_owned()),
            ("run_stopping", "b".to_owned()),
            ("run_stopping", "a".to_owned()),
        ]
    );
    assert_eq!(announced_to(&events), ["sess_main"]);
    // Told again, there is nothing left to tell.
    assert_eq!(world.kill(Caller::Owner, "a").unwrap(), []);
    // A run that is being stopped starts nothing.
    let refused = world.spawn_below("b", "late").unwrap_err();
    assert_eq!(refused, SpawnRefusal::CallerEnding(RunId::new("b".into())));
    let ended = world.end("a", 0);
    assert!(matches!(&ended[0], Event::RunFinished { outcome, .. }
        if outcome.status == RunStatus::Cancelled));
}

#[test]
fn a_run_stops_only_what_stands_below_it() {
    let mut world = World::new(policy());
    world.spawn_named("a").unwrap();
    world.spawn_below("a", "b").unwrap();
    world.spawn_named("other").unwrap();
    let a = world.caller("a");
    for (target, code) in [("other", "NOT_BELOW"), ("a", "NOT_BELOW"), ("gone", "NOT_RUNNING")] {
        assert_eq!(world.kill(a.clone(), target).unwrap_err().code(), code, "{target}");
    }
    assert!(world.kill(a, "b").is_ok());
}

#[test]
fn a_deadline_ends_the_run_as_timed_out_and_its_children_as_cancelled() {
    let mut world = World::new(policy());
    world.spawn_named("a").unwrap();
    world.spawn_below("a", "b").unwrap();
    world
        .play(&Command::DeadlinePassed { run: RunId::new("a".into()), clock: Clock::Wall })
        .unwrap();
    let status = |events: &[Event]| match &events[0] {
        Event::RunFinished { outcome, .. } => outcome.status,
        other => panic!("{other:?}"),
    };
    assert_eq!(status(&world.end("b", 0)), RunStatus::Cancelled);
    assert_eq!(status(&world.end("a", 0)), RunStatus::TimedOut);
    // A deadline that fires after the end means nothing.
    let late =
        world.play(&Command::DeadlinePassed { run: RunId::new("a".into()), clock: Clock::Wall });
    assert_eq!(late, Ok(Vec::new()));
}

#[test]
fn after_a_crash_every_run_is_interrupted_with_what_it_had_said() {
    let mut world = World::new(policy());
    world.spawn_named("a").unwrap();
    world.spawn_below("a", "b").unwrap();
    let words = |name: &str| {
        let said = LastWords { tail: format!("{name} said"), output_bytes: 6 };
        (RunId::new(name.to_owned()), said)
    };
    let said = [words("a"), words("b"), words("unknown")].into();
    let events =
        world.play(&Command::Recover { said, resume: true, disowned: BTreeSet::new() }).unwrap();
    assert_eq!(announced_to(&events), ["sess_main", "sess_main"]);
    for event in &events {
        if let Event::RunFinished { run, outcome } = event {
            assert_eq!(outcome.status, RunStatus::Interrupted);
            assert_eq!(outcome.tail, format!("{run} said"));
        }
    }
    assert!(world.state.is_empty());
}

/// One step of a random life, with small numbers that stand for names.
#[derive(Clone, Debug)]
enum Step {
    Spawn,
    SpawnBelow(usize),
    Started(usize),
    End(usize),
    Kill(usize),
    Deadline(usize),
    ShutDown,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Spawn),
        4 => (0..30usize).prop_map(Step::SpawnBelow),
        4 => (0..30usize).prop_map(Step::Started),
        5 => (0..30usize).prop_map(Step::End),
        1 => (0..30usize).prop_map(Step::Kill),
        1 => (0..30usize).prop_map(Step::Deadline),
        1 => Just(Step::ShutDown),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_limits_hold_and_every_accepted_run_ends_announced_once(steps in steps()) {
        let mut world = World::new(policy());
        let name = |number: usize| format!("r{number}");
        let mut spawned = 0;
        for step in steps {
            match step {
                Step::Spawn => {
                    prop_assert!(world.spawn_named(&name(spawned)).is_ok());
                    spawned += 1;
                }
                // A run that waits for its slot has no process that could ask for anything.
                Step::SpawnBelow(parent) if world.is_at_work(&name(parent)) => {
                    if world.spawn_below(&name(parent), &name(spawned)).is_ok() {
                        spawned += 1;
                    }
                }
                Step::SpawnBelow(_) => {}
                Step::Started(run) => {
                    let run = RunId::new(name(run));
                    let outcome = world.play(&Command::Started { run, process: None });
                    prop_assert!(outcome.is_ok());
                }
                Step::End(run) => {
                    // Only a run that holds a slot has a runtime that can report its end.
                    if world.is_at_work(&name(run)) {
                        world.end(&name(run), 0);
                    }
                }
                Step::Kill(run) => drop(world.kill(Caller::Owner, &name(run))),
                Step::Deadline(run) => {
                    let run = RunId::new(name(run));
                    let outcome = world.play(&Command::DeadlinePassed { run, clock: Clock::Wall });
                    prop_assert!(outcome.is_ok());
                }
                Step::ShutDown => {
                    let outcome = world.play(&Command::ShutDown { keep_queued: false });
                    prop_assert!(outcome.is_ok());
                }
            }
            for live in world.state.runs() {
                prop_assert!(live.run.depth() <= world.policy.max_spawn_depth);
                prop_assert!(world.state.children_of(&live.run.id) <= world.policy.max_children_per_agent);
            }
            // A slot is never idle while somebody waits for it.
            let waiting = world.state.queue().len();
            prop_assert!(waiting == 0 || world.state.slots_taken() >= world.policy.max_concurrent);
        }
        // Everything that still works comes to its end; nobody is left waiting.
        while let Some(name) = world.somebody_at_work() {
            world.end(&name, 0);
        }
        prop_assert!(world.state.is_empty());
        prop_assert_eq!(&world.state, &State::default());
        for number in 0..spawned {
            let count = |kind: &str| {
                let of_run = |event: &&Event| event.kind() == kind && event.run().unwrap().as_str() == name(number);
                world.events.iter().filter(of_run).count()
            };
            prop_assert_eq!(count("run_accepted"), 1);
            prop_assert_eq!(count("run_finished"), 1);
            prop_assert_eq!(count("run_announced"), 1);
        }
    }
}

#[test]
fn a_model_is_used_where_its_provider_has_it_and_the_runtime_reaches_it() {
    let mut policy = policy();
    policy.models = BTreeMap::from([
        ("any".to_owned(), ProviderModels::Any),
        ("listed".to_owned(), ProviderModels::Only(BTreeSet::from(["a/b".to_owned()]))),
    ]);
    let ask = |model: &str, runtime| {
        let request =
            SpawnRequest { model: Some(model.into()), runtime, ..request("a", Caller::Owner) };
        World::new(policy.clone()).spawn(request)
    };
    for model in ["any/thing", "any/or/other", "listed/a/b", "builtin/shell"] {
        assert!(ask(model, RuntimeKind::Local).is_ok(), "{model}");
    }
    for (model, words) in [
        ("gpt", "a model is named as provider/model"),
        ("any/", "a model is named as provider/model"),
        ("other/x", "there is no provider 'other'; known: any, listed"),
        ("builtin/other", "there is no provider 'builtin'"),
        ("listed/c", "the provider 'listed' has no model 'c'; known: a/b"),
    ] {
        let refusal = ask(model, RuntimeKind::Local).unwrap_err();
        assert_eq!(refusal.code(), "MODEL_UNUSABLE");
        assert!(refusal.to_string().contains(words), "{refusal}");
    }
    for runtime in [RuntimeKind::Isolated, RuntimeKind::Acp] {
        let refusal = ask("any/thing", runtime).unwrap_err();
        assert!(refusal.to_string().contains("cannot reach a provider"), "{refusal}");
        assert!(ask("builtin/shell", runtime).is_ok());
    }
}

#[test]
fn the_owners_model_is_for_the_owner_and_what_the_owner_starts() {
    let mut policy = policy();
    policy.models = BTreeMap::from([("any".to_owned(), ProviderModels::Any)]);
    let device = Caller::Device(DeviceCaller {
        device: None,
        role: Role::Operator,
        scopes: Scope::ALL.into_iter().collect(),
        client: "a client".to_owned(),
    });
    let ask = |caller: &Caller, model: Option<&str>| {
        let model = model.map(str::to_owned);
        World::new(policy.clone()).spawn(SpawnRequest { model, ..request("a", caller.clone()) })
    };
    for model in [None, Some("builtin/shell")] {
        assert!(ask(&Caller::Owner, model).is_ok());
        let refusal = ask(&device, model).unwrap_err();
        let (code, rule) = (refusal.code(), refusal.rule());
        assert_eq!((code, rule), ("MODEL_OF_THE_OWNER", "agents.defaults.model"));
        let wire = hatchery_access::Refusal::from(refusal);
        assert!(format!("{:?}", wire.remedy).contains("models.providers"), "{wire:?}");
    }
    let local = SpawnRequest {
        model: Some("any/thing".to_owned()),
        runtime: RuntimeKind::Local,
        ..request("a", device)
    };
    assert!(World::new(policy.clone()).spawn(local).is_ok());
}
