//! Waiting for results and for permissions.

use hatchery_protocol::{RunStatus, SessionId};
use hatchery_spawn::{Command, Event, SpawnRefusal, Wait};

use super::world::{World, placed, resumed, run, session, short};

fn family(children: u32) -> World {
    let mut world = World::new();
    world.spawn("p");
    for number in 0..children {
        world.spawn_below("p", &format!("c{number}"));
    }
    world
}

fn goes_on(who: &str, results: &[&str]) -> Vec<(String, Vec<String>)> {
    vec![(who.to_owned(), results.iter().map(|result| (*result).to_owned()).collect())]
}

#[test]
fn a_parent_goes_on_when_as_many_results_are_there_as_it_wants() {
    for (wanted, ends) in [(Some(1), 1), (Some(2), 2), (Some(3), 3), (Some(9), 3), (None, 3)] {
        let mut world = family(3);
        world.start("p");
        world.yields("p", wanted).unwrap();
        assert_eq!(world.get("p").waiting, Some(Wait::Children { wanted }));
        assert_eq!(world.get("p").status(), RunStatus::Waiting);
        let results = ["c0", "c1", "c2"];
        for number in 1..=ends {
            assert!(world.get("p").waiting.is_some(), "{wanted:?} after {}", number - 1);
            let events = world.end(results[number - 1]);
            let done = if number == ends { goes_on("p", &results[..number]) } else { Vec::new() };
            assert_eq!(resumed(&events), done, "{wanted:?} after {number}");
        }
        assert_eq!(world.get("p").unseen, []);
        world.come_to_rest();
    }
}

#[test]
fn what_is_there_already_counts_and_is_given_at_once_where_it_is_enough() {
    let mut world = family(3);
    world.end("c0");
    world.end("c1");
    assert_eq!(resumed(&world.yields("p", Some(2)).unwrap()), goes_on("p", &["c0", "c1"]));
    // What was taken is not given again.
    assert!(resumed(&world.yields("p", Some(1)).unwrap()).is_empty());
    assert_eq!(resumed(&world.end("c2")), goes_on("p", &["c2"]));
    let nothing = world.yields("p", None).unwrap_err();
    assert_eq!(nothing, SpawnRefusal::NothingToWaitFor);
    // Somebody who wants nothing is not kept.
    world.spawn_below("p", "c3");
    assert_eq!(resumed(&world.yields("p", Some(0)).unwrap()), goes_on("p", &[]));
    world.come_to_rest();
}

#[test]
fn whoever_has_waited_long_enough_takes_what_there_is() {
    let mut world = family(2);
    let enough = Command::StopWaiting { run: run("p") };
    assert_eq!(world.play(&enough), [], "it does not wait");
    world.yields("p", None).unwrap();
    world.end("c0");
    assert_eq!(resumed(&world.play(&enough)), goes_on("p", &["c0"]));
    assert_eq!(world.play(&enough), []);
    // A permission is not a result.
    world.start("p");
    world.play(&Command::AwaitApproval { run: run("p") });
    assert_eq!(world.play(&enough), []);
}

#[test]
fn what_is_left_when_nobody_lives_below_is_given_without_waiting() {
    let mut world = family(1);
    world.end("c0");
    assert_eq!(resumed(&world.yields("p", Some(5)).unwrap()), goes_on("p", &["c0"]));
}

#[test]
fn a_child_that_is_cancelled_brings_a_result_as_well() {
    let mut world = family(2);
    world.yields("p", None).unwrap();
    world.kill("c0");
    assert!(resumed(&world.end("c0")).is_empty());
    assert_eq!(resumed(&world.end("c1")), goes_on("p", &["c0", "c1"]));
    // One that never began as well.
    let mut world = World::with_slots(1);
    world.spawn("p");
    world.spawn_below("p", "c0");
    world.spawn_below("p", "c1");
    world.yields("p", Some(1)).unwrap();
    assert_eq!(resumed(&world.kill("c1")), goes_on("p", &["c1"]));
}

#[test]
fn a_result_that_was_heard_is_not_given_again_and_does_not_count() {
    let mut world = family(3);
    world.yields("p", Some(2)).unwrap();
    assert!(resumed(&world.end_so("c0", true)).is_empty());
    assert_eq!(placed(&world.end_so("c1", false)), ["c1 in sess_p"]);
    assert!(world.get("p").waiting.is_some());
    assert_eq!(resumed(&world.end("c2")), goes_on("p", &["c1", "c2"]));
    // The last one was heard: nothing else will come.
    world.spawn_below("p", "c3");
    world.yields("p", None).unwrap();
    assert_eq!(resumed(&world.end_so("c3", true)), goes_on("p", &[]));
    world.come_to_rest();
}

#[test]
fn a_result_that_goes_past_its_parent_was_not_heard_by_whoever_gets_it() {
    let mut world = World::new();
    world.spawn("g");
    world.spawn_below("g", "p");
    world.spawn_below("p", "c");
    world.yields("g", Some(1)).unwrap();
    world.kill("p");
    // The parent, which is being stopped, heard it on its way out.
    let events = world.end_so("c", true);
    assert_eq!(placed(&events), ["c in sess_g"]);
    assert_eq!(resumed(&events), goes_on("g", &["c"]));
    // Where the owner asked, there is nobody above who could have heard.
    let top = world.end_so("g", true);
    assert!(matches!(&top[1], Event::RunAnnounced { to, heard: false, .. }
        if *to == SessionId::main()));
}

#[test]
fn a_wait_ends_with_results_from_further_below() {
    let mut world = World::new();
    world.spawn("g");
    world.spawn_below("g", "p");
    world.spawn_below("p", "c");
    world.yields("g", None).unwrap();
    world.end("p");
    assert!(world.get("g").waiting.is_some(), "somebody lives below");
    assert_eq!(resumed(&world.end("c")), goes_on("g", &["p", "c"]));
    world.come_to_rest();
}

#[test]
fn a_turn_waits_for_so_many_results_too() {
    let mut world = World::new();
    world.say("t");
    for name in ["c0", "c1", "c2"] {
        world.spawn_below("t", name);
    }
    world.yields("t", Some(2)).unwrap();
    assert!(resumed(&world.end("c0")).is_empty());
    assert_eq!(resumed(&world.end("c1")), goes_on("t", &["c0", "c1"]));
    world.yields("t", None).unwrap();
    assert_eq!(resumed(&world.end("c2")), goes_on("t", &["c2"]));
    // What it does not look at stays where it is, in the conversation.
    world.spawn_below("t", "c3");
    assert_eq!(placed(&world.end("c3")), ["c3 in sess_talk"]);
    assert_eq!(short(&world.end("t")), ["run_finished t"]);
    world.come_to_rest();
}

#[test]
fn whoever_is_stopped_does_not_wait_any_more() {
    let mut world = family(1);
    world.yields("p", None).unwrap();
    assert_eq!(short(&world.kill("p")), ["run_stopping c0", "run_resumed p", "run_stopping p"]);
    let refused = world.yields("p", None).unwrap_err();
    assert_eq!(refused, SpawnRefusal::CallerEnding(run("p")));
}

#[test]
fn nobody_waits_twice_and_whoever_has_not_begun_does_not_wait() {
    let mut world = family(2);
    world.yields("p", None).unwrap();
    assert_eq!(world.yields("p", None), Err(SpawnRefusal::WaitsAlready(run("p"))));
    let mut world = World::with_slots(1);
    world.spawn("a");
    world.spawn("b");
    assert_eq!(world.yields("b", None), Err(SpawnRefusal::CallerEnding(run("b"))));
    assert_eq!(world.yields("gone", None), Err(SpawnRefusal::CallerEnding(run("gone"))));
}

#[test]
fn a_permission_is_waited_for_at_work_only_and_results_do_not_end_that_wait() {
    let ask = Command::AwaitApproval { run: run("p") };
    let decided = Command::ApprovalDecided { run: run("p") };
    let mut world = family(2);
    assert_eq!(world.play(&ask), [], "it is not at work yet");
    world.start("p");
    assert_eq!(short(&world.play(&ask)), ["run_waiting p"]);
    assert_eq!(world.get("p").waiting, Some(Wait::Approval));
    assert_eq!(world.play(&ask), [], "it waits already");
    assert_eq!(world.yields("p", None), Err(SpawnRefusal::WaitsAlready(run("p"))));
    assert!(resumed(&world.end("c0")).is_empty());
    assert_eq!(resumed(&world.play(&decided)), goes_on("p", &[]));
    assert_eq!(world.play(&decided), [], "it was decided already");
    // The result that came meanwhile is still there.
    assert_eq!(world.get("p").unseen, [run("c0")]);
    // A permission does not end a wait for results.
    world.yields("p", None).unwrap();
    assert_eq!(world.play(&decided), []);
    world.kill("p");
    assert_eq!(world.play(&ask), [], "it is being stopped");
    assert!(world.state.in_session(&session("p")).is_some());
}

#[test]
fn a_wait_that_nobody_is_there_for_any_more_ends_and_takes_no_result() {
    let mut world = family(2);
    world.start("p");
    world.yields("p", Some(2)).unwrap();
    world.end("c0");
    let abandon = Command::AbandonWait { run: run("p") };
    assert_eq!(resumed(&world.play(&abandon)), goes_on("p", &[]));
    assert_eq!(world.get("p").unseen, [run("c0")]);
    // There is no wait any more that could be abandoned, and the next one gets what there is.
    assert_eq!(world.play(&abandon), []);
    world.end("c1");
    assert_eq!(resumed(&world.yields("p", None).unwrap()), goes_on("p", &["c0", "c1"]));
    world.come_to_rest();
}
