//! Each clock counts in its phase alone, and has the default of the settings.

use hatchery_access::Caller;
use hatchery_protocol::RunStatus;
use hatchery_spawn::{Budget, Clock, Command, Deadlines, Event, SpawnRequest, StopReason};

use super::world::{CHAT, SHELL, World, request, run};

/// Where a run is when the clock runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Queued,
    Starting,
    Running,
    WaitingForResults,
    WaitingForApproval,
    Stopping,
    Over,
}

const EVERYWHERE: [At; 7] = [
    At::Queued,
    At::Starting,
    At::Running,
    At::WaitingForResults,
    At::WaitingForApproval,
    At::Stopping,
    At::Over,
];

fn world_with_a(at: At) -> World {
    let mut world = World::with_slots(1);
    if at == At::Queued {
        world.spawn("other");
    }
    world.spawn("a");
    if !matches!(at, At::Queued | At::Starting) {
        world.start("a");
    }
    match at {
        At::Queued | At::Starting | At::Running => {}
        At::WaitingForResults => {
            world.spawn_below("a", "b");
            world.yields("a", None).unwrap();
        }
        At::WaitingForApproval => drop(world.play(&Command::AwaitApproval { run: run("a") })),
        At::Stopping => drop(world.kill("a")),
        At::Over => drop(world.end("a")),
    }
    world
}

#[test]
fn a_clock_counts_in_its_phase_and_means_nothing_elsewhere() {
    use At::{Queued, Running, Starting, WaitingForApproval, WaitingForResults};
    let at_work = [Starting, Running, WaitingForResults, WaitingForApproval];
    let live = [Queued, Starting, Running, WaitingForResults, WaitingForApproval];
    let cases: [(Clock, &[At], StopReason); 5] = [
        (Clock::Queue, &[Queued], StopReason::QueueTimeout),
        (Clock::Start, &[Starting], StopReason::StartTimeout),
        (Clock::Idle, &[Running], StopReason::IdleTimeout),
        (Clock::Wall, &at_work, StopReason::TimedOut),
        (Clock::Tree, &live, StopReason::TreeTimeout),
    ];
    for (clock, counts, reason) in cases {
        for at in EVERYWHERE {
            let mut world = world_with_a(at);
            let events = world.play(&Command::DeadlinePassed { run: run("a"), clock });
            let stopped = events.iter().find_map(|event| match event {
                Event::RunStopping { run, reason } if run.as_str() == "a" => Some(reason.clone()),
                Event::RunFinished { run, outcome } if run.as_str() == "a" => {
                    assert_eq!(outcome.status, RunStatus::TimedOut);
                    assert_eq!(outcome.error.as_deref(), Some(reason.sentence()));
                    Some(reason.clone())
                }
                _ => None,
            });
            let expected = counts.contains(&at).then(|| reason.clone());
            assert_eq!(stopped, expected, "{clock:?} while {at:?}");
            assert!(expected.is_some() || events.is_empty(), "{clock:?} while {at:?}");
        }
    }
}

#[test]
fn the_time_of_a_tree_is_up_for_all_of_it_also_when_its_top_is_over() {
    let mut world = World::with_slots(2);
    let budget = Budget { wall_ms: Some(500), ..Budget::default() };
    world.ask(SpawnRequest { budget, ..request("top", Caller::Owner) }).unwrap();
    world.spawn_below("top", "middle");
    world.spawn_below("middle", "low");
    world.end("top");
    let deadlines: Vec<_> = world.state.tree_deadlines().collect();
    assert_eq!(deadlines, [(&run("top"), 1_500)]);
    world.play(&Command::DeadlinePassed { run: run("top"), clock: Clock::Tree });
    for name in ["middle", "low"] {
        assert_eq!(world.get(name).stopping, Some(StopReason::TreeTimeout), "{name}");
    }
    world.come_to_rest();
}

#[test]
fn what_a_request_says_wins_over_the_settings_and_0_is_for_ever() {
    let mut world = World::new();
    world.policy.deadlines =
        Deadlines { queue_ms: Some(10), start_ms: Some(20), idle_ms: Some(30) };
    world.policy.run_timeout_ms = Some(40);
    let all = |each| Deadlines { queue_ms: each, start_ms: each, idle_ms: each };
    let given = world.policy.deadlines;
    // (model, asked, asked for the whole, deadlines, the whole)
    let cases = [
        (CHAT, all(None), None, given, Some(40)),
        (CHAT, all(Some(0)), Some(0), all(None), None),
        (CHAT, all(Some(7)), Some(7), all(Some(7)), Some(7)),
        // A command may be silent and well, unless somebody says otherwise for this one.
        (SHELL, all(None), None, Deadlines { idle_ms: None, ..given }, Some(40)),
        (SHELL, all(Some(7)), None, all(Some(7)), Some(40)),
        (SHELL, all(Some(0)), None, all(None), Some(40)),
    ];
    for (number, (model, asked, whole, deadlines, timeout)) in cases.into_iter().enumerate() {
        let name = format!("r{number}");
        let asked = SpawnRequest {
            model: Some(model.to_owned()),
            deadlines: asked,
            timeout_ms: whole,
            ..request(&name, Caller::Owner)
        };
        world.ask(asked).unwrap();
        assert_eq!(world.get(&name).run.deadlines, deadlines, "{number}");
        assert_eq!(world.get(&name).run.timeout_ms, timeout, "{number}");
    }
    // A turn waits for those before it, not for a slot.
    world.say("t");
    assert_eq!(world.get("t").run.deadlines, Deadlines { queue_ms: None, ..given });
}
