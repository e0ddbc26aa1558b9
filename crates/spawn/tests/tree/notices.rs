//! Results that are told on a route: again and again for a while, then visibly not any more.

use hatchery_access::{Caller, DeviceCaller};
use hatchery_protocol::{Role, Scope};
use hatchery_spawn::{
    Command, Effect, Event, MAX_OPEN_NOTICES, NOTICE_KEPT_MS, Notice, Route, SpawnRefusal,
    SpawnRequest, effects,
};

use super::world::{World, request, run, session, short};

fn routed(name: &str, caller: Caller) -> SpawnRequest {
    let route = Route { channel: "webhook".to_owned(), to: "https://example.org/".to_owned() };
    SpawnRequest { route: Some(route), ..request(name, caller) }
}

/// A world with a notice of the run `a`, since the time 1,000.
fn world() -> World {
    let mut world = World::new();
    world.ask(routed("a", Caller::Owner)).unwrap();
    let events = world.end("a");
    assert_eq!(short(&events), ["run_finished a", "run_announced a", "notice_due a"]);
    assert_eq!(effects(&events[2]), Some(Effect::Deliver(run("a"))));
    world
}

fn notice(world: &World) -> &Notice {
    &world.state.notices()[&run("a")]
}

fn fail(world: &mut World, for_good: bool) -> Vec<Event> {
    world.play(&Command::DeliveryFailed { run: run("a"), reason: "no answer".to_owned(), for_good })
}

fn device() -> Caller {
    Caller::Device(DeviceCaller {
        device: None,
        role: Role::Operator,
        scopes: [Scope::Read, Scope::Write].into(),
        client: "a phone".to_owned(),
    })
}

#[test]
fn it_is_tried_nine_times_in_half_an_hour_and_is_then_blocked() {
    let mut world = world();
    let mut due = vec![notice(&world).due_at_ms];
    while notice(&world).blocked.is_none() {
        world.now = notice(&world).due_at_ms;
        fail(&mut world, false);
        due.push(notice(&world).due_at_ms);
    }
    let seconds: Vec<u64> = due.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000).collect();
    assert_eq!(seconds, [1, 5, 15, 60, 120, 300, 600, 700, 0]);
    assert_eq!(notice(&world).blocked.as_deref(), Some("no answer"));
    assert_eq!(notice(&world).session, session("a"));
    // It stays blocked, whatever is still on its way.
    assert_eq!(fail(&mut world, false), []);
    // Something that arrived after all is told.
    assert_eq!(short(&world.play(&Command::Delivered { run: run("a") })), ["notice_delivered a"]);
    assert!(world.state.notices().is_empty());
    assert_eq!(world.play(&Command::Delivered { run: run("a") }), []);
    assert_eq!(fail(&mut world, false), []);
}

#[test]
fn what_would_fail_again_is_blocked_at_once_and_told_again_when_somebody_says_so() {
    let mut world = world();
    assert_eq!(short(&fail(&mut world, true)), ["notice_blocked a"]);
    world.now += NOTICE_KEPT_MS;
    assert_eq!(world.play(&Command::ExpireNotices), [], "it is not too old yet");
    world.play(&Command::RetryNotice { caller: device(), run: run("a") });
    let Notice { attempts, due_at_ms, since_ms, blocked, .. } = notice(&world).clone();
    assert_eq!((attempts, due_at_ms, since_ms, blocked), (0, world.now, world.now, None));
    // From now on it is as if new, also for how long it is kept.
    fail(&mut world, true);
    world.now += NOTICE_KEPT_MS;
    assert_eq!(world.play(&Command::ExpireNotices), []);
    world.now += 1;
    let events = world.play(&Command::ExpireNotices);
    assert!(matches!(&events[..], [Event::NoticeDismissed { by, .. }] if by == "age"));
    world.come_to_rest();
}

#[test]
fn what_is_still_tried_does_not_expire() {
    let mut world = world();
    world.now += NOTICE_KEPT_MS * 2;
    assert_eq!(world.play(&Command::ExpireNotices), []);
}

#[test]
fn people_decide_about_notices_and_runs_do_not() {
    for caller in [Caller::Owner, device()] {
        let mut world = world();
        let dismissed = world.play(&Command::DismissNotice { caller, run: run("a") });
        assert_eq!(short(&dismissed), ["notice_dismissed a"]);
    }
    let mut world = world();
    world.spawn("b");
    let caller = world.caller("b");
    for command in [
        Command::DismissNotice { caller: caller.clone(), run: run("a") },
        Command::RetryNotice { caller, run: run("a") },
    ] {
        assert_eq!(world.decide(&command), Err(SpawnRefusal::RouteOfTheOwner));
    }
    let none = Command::RetryNotice { caller: Caller::Owner, run: run("b") };
    assert_eq!(world.decide(&none), Err(SpawnRefusal::NoNotice(run("b"))));
}

#[test]
fn only_the_owner_names_a_route() {
    let mut world = World::new();
    world.spawn("a");
    let below = world.caller("a");
    for caller in [device(), below] {
        let refused = world.ask(routed("b", caller)).unwrap_err();
        assert_eq!(refused, SpawnRefusal::RouteOfTheOwner);
    }
    world.ask(routed("b", Caller::Owner)).unwrap();
}

#[test]
fn no_more_routes_are_taken_on_when_too_many_results_wait() {
    let mut world = World::new();
    for number in 0..MAX_OPEN_NOTICES {
        let name = format!("r{number}");
        world.ask(routed(&name, Caller::Owner)).unwrap();
        world.end(&name);
    }
    let refused = world.ask(routed("late", Caller::Owner)).unwrap_err();
    assert_eq!(refused, SpawnRefusal::TooManyNotices);
    world.spawn("without a route");
    world.play(&Command::Delivered { run: run("r0") });
    world.ask(routed("late", Caller::Owner)).unwrap();
}

#[test]
fn a_run_that_a_crash_or_a_kill_ended_is_told_on_its_route_too() {
    let mut world = World::with_slots(1);
    world.spawn("first");
    world.ask(routed("a", Caller::Owner)).unwrap();
    assert_eq!(short(&world.kill("a")).last().unwrap(), "notice_due a");
    let mut world = World::new();
    let shell = Some(super::world::SHELL.to_owned());
    world.ask(SpawnRequest { model: shell, ..routed("a", Caller::Owner) }).unwrap();
    assert_eq!(short(&world.recover()).last().unwrap(), "notice_due a");
}
