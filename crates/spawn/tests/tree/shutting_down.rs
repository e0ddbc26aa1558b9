//! The gateway is told to end.

use hatchery_protocol::RunStatus;
use hatchery_spawn::{Command, Event, Phase, SpawnRefusal, StopReason};

use super::world::{World, placed, request, short, started};
use hatchery_access::Caller;

fn closing(keep_queued: bool) -> (World, Vec<Event>) {
    let mut world = World::with_slots(1);
    world.spawn("a");
    world.spawn_below("a", "b");
    world.spawn("waiting");
    world.say("t0");
    world.say("t1");
    world.policy.closing = true;
    let events = world.play(&Command::ShutDown { keep_queued });
    (world, events)
}

#[test]
fn what_is_at_work_is_stopped_and_what_waits_is_over_or_kept() {
    let (mut world, events) = closing(false);
    let stopping = ["run_stopping a", "run_stopping b", "run_stopping t0"];
    let over = ["run_finished t1", "run_finished waiting", "run_announced waiting"];
    assert_eq!(short(&events), [&stopping[..], &over[..]].concat());
    for name in ["a", "b", "t0"] {
        assert_eq!(world.get(name).stopping, Some(StopReason::Shutdown));
    }
    // A parent that is being stopped is told nothing any more.
    assert_eq!(placed(&world.end("b")), ["b in sess_main"]);
    let ended = world.end("a");
    assert!(matches!(&ended[0], Event::RunFinished { outcome, .. }
        if outcome.status == RunStatus::Interrupted));
    world.come_to_rest();

    let (mut world, events) = closing(true);
    assert_eq!(short(&events), stopping);
    for name in ["a", "b", "t0"] {
        assert!(started(&world.end(name)).is_empty());
    }
    let left: Vec<_> = world.state.runs().map(|live| (live.run.id.as_str(), live.phase)).collect();
    assert_eq!(left, [("t1", Phase::Queued), ("waiting", Phase::Queued)]);
    // The next life begins them.
    world.policy.closing = false;
    assert_eq!(short(&world.recover()), ["run_starting t1", "run_starting waiting"]);
}

#[test]
fn nothing_is_taken_on_any_more() {
    let (mut world, _) = closing(false);
    let late = world.ask(request("late", Caller::Owner)).unwrap_err();
    assert_eq!(late, SpawnRefusal::ShuttingDown);
}

#[test]
fn saying_it_twice_says_nothing_new() {
    let (mut world, _) = closing(true);
    assert_eq!(world.play(&Command::ShutDown { keep_queued: true }), []);
    let events = world.play(&Command::ShutDown { keep_queued: false });
    let over = ["run_finished t1", "run_finished waiting", "run_announced waiting"];
    assert_eq!(short(&events), over);
}
