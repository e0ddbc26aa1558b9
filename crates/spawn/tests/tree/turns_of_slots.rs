//! Who gets a slot: each tree in its turn, within the limits of its own.

use hatchery_protocol::Task;
use hatchery_spawn::{
    Budget, Event, MAX_QUEUED_RUNS, MAX_QUEUED_TASK_BYTES, Phase, SpawnRefusal, SpawnRequest,
};

use super::world::{World, request, started};
use hatchery_access::Caller;

#[test]
fn a_tree_that_asks_for_much_does_not_keep_out_one_that_asks_for_little() {
    let mut world = World::with_slots(1);
    world.spawn("busy");
    for number in 0..5 {
        world.spawn_below("busy", &format!("b{number}"));
    }
    world.spawn("x");
    world.spawn("y");
    let mut order = Vec::new();
    let mut at_work = "b0".to_owned();
    while world.lives(&at_work) && at_work != "busy" {
        order.push(at_work.clone());
        let next = started(&world.end(&at_work));
        at_work = next.first().cloned().unwrap_or_else(|| "busy".to_owned());
    }
    // `b0` began before anybody else was there, so it was nobody's turn that was taken.
    assert_eq!(order, ["b0", "b1", "x", "y", "b2", "b3", "b4"]);
    world.come_to_rest();
}

#[test]
fn a_tree_has_no_more_at_work_than_its_budget_says() {
    let mut world = World::new();
    let budget = Budget { concurrency: Some(2), ..Budget::default() };
    world.ask(SpawnRequest { budget, ..request("top", Caller::Owner) }).unwrap();
    for number in 0..4 {
        world.spawn_below("top", &format!("c{number}"));
    }
    // The top has lent its slot to those below it.
    let at_work = |world: &World| {
        let runs = world.state.runs().filter(|live| live.phase != Phase::Queued);
        runs.map(|live| live.run.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(at_work(&world), ["c0", "c1", "top"]);
    // Others are not concerned.
    assert_eq!(started(&world.spawn("other")), ["other"]);
    assert_eq!(started(&world.end("c1")), ["c2"]);
    assert_eq!(started(&world.end("c0")), ["c3"]);
    world.come_to_rest();
}

#[test]
fn a_part_of_a_tree_that_is_full_does_not_keep_out_the_rest_of_it() {
    let mut world = World::new();
    world.spawn("top");
    let budget = Budget { concurrency: Some(1), ..Budget::default() };
    let caller = world.caller("top");
    world.ask(SpawnRequest { budget, ..request("narrow", caller) }).unwrap();
    world.spawn_below("narrow", "n0");
    assert!(started(&world.spawn_below("narrow", "n1")).is_empty());
    assert_eq!(started(&world.spawn_below("top", "wide")), ["wide"]);
    assert_eq!(started(&world.end("n0")), ["n1"]);
    world.come_to_rest();
}

#[test]
fn whoever_waits_for_a_run_far_below_has_lent_its_slot_too() {
    let mut world = World::with_slots(1);
    world.spawn("top");
    world.spawn_below("top", "middle");
    world.spawn("other");
    world.spawn_below("middle", "low");
    assert_eq!(world.get("other").phase, Phase::Starting);
    // The one between ends before the one below has begun.
    world.end("middle");
    world.yields("top", None).unwrap();
    assert_eq!(started(&world.end("other")), ["low"]);
    let events = world.end("low");
    assert!(events.iter().any(|event| matches!(event, Event::RunResumed { .. })));
    world.come_to_rest();
}

#[test]
fn a_slot_that_comes_with_the_settings_is_given_out_at_the_next_step() {
    let mut world = World::with_slots(1);
    for name in ["a", "b", "c", "d"] {
        world.spawn(name);
    }
    world.policy.max_concurrent = 3;
    assert_eq!(started(&world.play(&hatchery_spawn::Command::ExpireNotices)), ["b", "c"]);
    world.policy.max_concurrent = 1;
    assert!(started(&world.end("a")).is_empty());
    assert!(started(&world.end("b")).is_empty());
    assert_eq!(started(&world.end("c")), ["d"]);
    world.come_to_rest();
}

#[test]
fn the_queue_takes_so_many_runs_and_not_one_more() {
    let mut world = World::with_slots(1);
    for number in 0..=MAX_QUEUED_RUNS {
        world.spawn(&format!("r{number}"));
    }
    assert_eq!(world.state.queue().len(), MAX_QUEUED_RUNS);
    let late = world.ask(request("late", Caller::Owner));
    assert_eq!(late.unwrap_err(), SpawnRefusal::QueueFull { limit: MAX_QUEUED_RUNS });
    world.end("r0");
    world.spawn("late");
}

#[test]
fn the_queue_takes_tasks_of_so_many_bytes_and_not_one_more() {
    let mut world = World::with_slots(1);
    world.spawn("at work");
    let of = |name: &str, bytes: u64| SpawnRequest {
        task: Task::Text("x".repeat(usize::try_from(bytes).unwrap())),
        ..request(name, Caller::Owner)
    };
    world.ask(of("large", MAX_QUEUED_TASK_BYTES - 10)).unwrap();
    world.ask(of("small", 10)).unwrap();
    assert_eq!(world.state.queue().task_bytes(), MAX_QUEUED_TASK_BYTES);
    assert_eq!(
        world.ask(of("late", 1)).unwrap_err(),
        SpawnRefusal::QueueTooLarge { limit: MAX_QUEUED_TASK_BYTES }
    );
    // Whoever leaves makes room again, whether by a slot or by a kill.
    world.kill("small");
    world.ask(of("late", 10)).unwrap();
    world.come_to_rest();
}
