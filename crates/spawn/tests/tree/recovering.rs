//! What becomes of runs when the gateway comes back.

use std::collections::{BTreeMap, BTreeSet};

use hatchery_access::{Caller, DeviceCaller, DeviceId};
use hatchery_protocol::{AgentId, Role, RunStatus, RuntimeKind, Scope};
use hatchery_spawn::{
    Command, Effect, Event, MAX_QUEUED_AGE_MS, Phase, SpawnRequest, Spend, StopReason, effects,
};

use super::world::{CHAT, SHELL, World, placed, request, run, short};

/// What a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Chat,
    Command,
    External,
    ExternalResumable,
}

fn world_with(kind: Kind, started: bool) -> World {
    let mut world = World::new();
    let asked = match kind {
        Kind::Chat | Kind::Command => SpawnRequest {
            model: Some(if kind == Kind::Chat { CHAT } else { SHELL }.to_owned()),
            ..request("a", Caller::Owner)
        },
        Kind::External | Kind::ExternalResumable => SpawnRequest {
            runtime: RuntimeKind::Acp,
            agent: Some(AgentId::new("external").unwrap()),
            ..request("a", Caller::Owner)
        },
    };
    world.ask(asked).unwrap();
    if started {
        world.start("a");
    }
    if kind == Kind::ExternalResumable {
        let session = "its own name".to_owned();
        world.play(&Command::Resumable { run: run("a"), session });
    }
    world
}

#[test]
fn whoever_can_be_told_to_go_on_goes_on_once_and_never_twice() {
    for (kind, goes_on) in [
        (Kind::Chat, true),
        (Kind::Command, false),
        (Kind::External, false),
        (Kind::ExternalResumable, true),
    ] {
        for started in [false, true] {
            let mut world = world_with(kind, started);
            let events = world.recover();
            if !goes_on {
                assert_eq!(short(&events), ["run_finished a", "run_announced a"], "{kind:?}");
                let Event::RunFinished { outcome, .. } = &events[0] else { panic!() };
                assert_eq!(outcome.status, RunStatus::Interrupted);
                let why = outcome.error.as_deref();
                assert_eq!(why, Some("the gateway ended while it ran"));
                continue;
            }
            assert_eq!(short(&events), ["run_restarting a"], "{kind:?}");
            assert_eq!(effects(&events[0]), Some(Effect::Resume(run("a"))));
            assert_eq!(world.get("a").phase, Phase::Starting);
            assert_eq!(world.get("a").restarts, 1);
            // The next crash is one too many, at whatever point it comes.
            if started {
                world.start("a");
            }
            assert_eq!(short(&world.recover()), ["run_finished a", "run_announced a"]);
            world.come_to_rest();
        }
    }
}

#[test]
fn what_had_not_begun_waits_on_also_with_its_parent_gone() {
    let mut world = World::with_slots(1);
    let shell = |name: &str, caller| SpawnRequest {
        model: Some(SHELL.to_owned()),
        ..request(name, caller)
    };
    world.ask(shell("p", Caller::Owner)).unwrap();
    let caller = world.caller("p");
    world.ask(shell("c0", caller.clone())).unwrap();
    world.ask(shell("c1", caller)).unwrap();
    assert_eq!((world.get("c0").phase, world.get("c1").phase), (Phase::Starting, Phase::Queued));
    let events = world.recover();
    let expected = [
        "run_finished c0",
        "run_announced c0",
        "run_finished p",
        "run_announced p",
        "run_starting c1",
    ];
    assert_eq!(short(&events), expected);
    // It has the authority it was accepted with, and tells whoever is left.
    assert!(world.caller("c1").grant().is_some());
    assert_eq!(placed(&world.end("c1")), ["c1 in sess_main"]);
    world.come_to_rest();
}

#[test]
fn what_waited_for_a_day_is_not_begun_any_more() {
    for (age, begins) in [(MAX_QUEUED_AGE_MS, true), (MAX_QUEUED_AGE_MS + 1, false)] {
        let mut world = World::with_slots(1);
        world
            .ask(SpawnRequest { model: Some(SHELL.to_owned()), ..request("a", Caller::Owner) })
            .unwrap();
        world.spawn("b");
        world.now += age;
        let events = world.recover();
        assert_eq!(world.lives("b"), begins, "{age}");
        if !begins {
            let why = events.iter().find_map(|event| match event {
                Event::RunFinished { run, outcome } if run.as_str() == "b" => outcome.error.clone(),
                _ => None,
            });
            assert_eq!(why.as_deref(), Some("the gateway ended before it began"));
        }
    }
    // A clock that was put back makes nobody old.
    let mut world = World::with_slots(1);
    world.spawn("a");
    world.spawn("b");
    world.now = 0;
    world.recover();
    assert_eq!(world.get("b").phase, Phase::Queued);
}

#[test]
fn whoever_was_being_stopped_ends_for_the_reason_it_was_stopped_for() {
    let mut world = world_with(Kind::Chat, true);
    world.kill("a");
    let events = world.recover();
    let Event::RunFinished { outcome, .. } = &events[0] else { panic!("{events:?}") };
    assert_eq!(outcome.status, RunStatus::Cancelled);
    assert_eq!(outcome.error.as_deref(), Some(StopReason::Cancelled.sentence()));
}

#[test]
fn a_gateway_for_one_command_goes_on_with_nothing() {
    let mut world = World::with_slots(1);
    world.spawn("a");
    world.spawn("b");
    world.play(&Command::Recover {
        said: BTreeMap::new(),
        resume: false,
        disowned: BTreeSet::new(),
    });
    world.come_to_rest();
}

#[test]
fn calls_under_way_are_paid_in_full_whether_their_run_goes_on_or_not() {
    let spend = Spend { tokens: 7, cost_micros: 3 };
    let mut world = World::new();
    world.spawn("p");
    world
        .ask(SpawnRequest { model: Some(SHELL.to_owned()), ..request("x", world.caller("p")) })
        .unwrap();
    for name in ["p", "x"] {
        world.play(&Command::Reserve { run: run(name), call: 0, spend });
    }
    world.recover();
    let account = *world.state.account(&run("p")).unwrap();
    assert_eq!(account.reserved, Spend::default());
    assert_eq!(account.spent, spend.plus(spend));
    assert_eq!(world.get("p").spent, spend);
    // And no second time, when the agent begins to count anew.
    world.play(&Command::Reserve { run: run("p"), call: 0, spend });
    world.play(&Command::Settle { run: run("p"), call: Some(0), spend: Spend::default() });
    assert_eq!(world.state.account(&run("p")).unwrap().spent, spend.plus(spend));
    world.come_to_rest();
}

#[test]
fn a_parent_that_goes_on_waits_for_nobody_and_still_has_its_results() {
    let mut world = World::new();
    world.spawn("p");
    world.spawn_below("p", "c0");
    let shell = Some(SHELL.to_owned());
    world.ask(SpawnRequest { model: shell, ..request("c1", world.caller("p")) }).unwrap();
    world.end("c0");
    world.yields("p", None).unwrap();
    let events = world.recover();
    assert_eq!(placed(&events), ["c1 in sess_p"]);
    assert_eq!(world.get("p").waiting, None);
    assert_eq!(world.get("p").unseen, [run("c0"), run("c1")]);
}

#[test]
fn the_turn_at_work_goes_on_and_those_behind_it_wait_on() {
    let mut world = World::new();
    world.say("t0");
    world.say("t1");
    assert_eq!(short(&world.recover()), ["run_restarting t0"]);
    assert_eq!(short(&world.end("t0")), ["run_finished t0", "run_starting t1"]);
    // It went on once; with the next crash it is over, and the one behind begins.
    let mut world = World::new();
    world.say("t0");
    world.say("t1");
    world.recover();
    assert_eq!(short(&world.recover()), ["run_finished t0", "run_starting t1"]);
}

fn device() -> Caller {
    Caller::Device(DeviceCaller {
        device: Some(DeviceId::new("d".to_owned())),
        role: Role::Operator,
        scopes: BTreeSet::from([Scope::Read, Scope::Write]),
        client: "test".to_owned(),
    })
}

#[test]
fn what_a_device_had_started_goes_on_only_while_somebody_vouches_for_it() {
    let chat = |name: &str, caller| SpawnRequest {
        model: Some(CHAT.to_owned()),
        runtime: RuntimeKind::Local,
        ..request(name, caller)
    };
    // (the device may still do so much, the run above is live, what becomes of both)
    for (upheld, parent_lives, goes_on) in
        [(true, true, [true, true]), (true, false, [false, false]), (false, true, [false, false])]
    {
        let mut world = World::new();
        world.ask(chat("a", device())).unwrap();
        world.start("a");
        let above = world.caller("a");
        world.ask(chat("b", above)).unwrap();
        world.start("b");
        if !parent_lives {
            world.end("a");
        }
        let disowned: &[&str] = if upheld { &[] } else { &["a"] };
        world.recover_without(disowned);
        assert_eq!([world.lives("a"), world.lives("b")], goes_on, "{upheld} {parent_lives}");
    }
    // Of the owner's tree it is enough that it was accepted.
    let mut world = World::new();
    world.ask(chat("a", Caller::Owner)).unwrap();
    world.start("a");
    let above = world.caller("a");
    world.ask(chat("b", above)).unwrap();
    world.start("b");
    world.end("a");
    world.recover();
    assert!(world.lives("b"));
}
