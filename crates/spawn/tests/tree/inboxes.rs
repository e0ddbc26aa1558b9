//! Where a result stands, and where it goes when whoever has it is over.

use hatchery_access::Caller;
use hatchery_spawn::{Asked, Event, SpawnRequest};

use super::world::{World, placed, request, run, session};

/// `top` above `middle` above `low`.
fn three(world: &mut World) {
    world.spawn("top");
    world.spawn_below("top", "middle");
    world.spawn_below("middle", "low");
}

#[test]
fn what_a_run_has_not_looked_at_moves_up_with_its_end() {
    let mut world = World::new();
    three(&mut world);
    assert_eq!(placed(&world.end("low")), ["low in sess_middle"]);
    assert_eq!(world.get("middle").unseen, [run("low")]);
    assert_eq!(placed(&world.end("middle")), ["middle in sess_top", "low in sess_top"]);
    assert_eq!(world.get("top").unseen, [run("middle"), run("low")]);
    let last = ["top in sess_main", "middle in sess_main", "low in sess_main"];
    assert_eq!(placed(&world.end("top")), last);
}

#[test]
fn what_a_run_has_taken_or_heard_moves_nowhere() {
    let mut world = World::new();
    three(&mut world);
    world.end("low");
    world.yields("middle", None).unwrap();
    assert_eq!(placed(&world.end_so("middle", true)), ["middle in sess_top"]);
    assert_eq!(placed(&world.end("top")), ["top in sess_main"]);
}

#[test]
fn a_result_passes_by_those_who_are_over_or_being_stopped() {
    let mut world = World::new();
    three(&mut world);
    world.kill("middle");
    assert_eq!(placed(&world.end("low")), ["low in sess_top"]);
    world.kill("top");
    assert_eq!(placed(&world.end("middle")), ["middle in sess_main"]);
    assert_eq!(placed(&world.end("top")), ["top in sess_main", "low in sess_main"]);
}

#[test]
fn results_of_a_conversation_move_up_to_it() {
    // Asked for by the owner in a conversation.
    let mut world = World::new();
    let asked = Asked { key: "k".to_owned(), turn: false };
    let asked = Some((session("talk"), asked));
    world.ask(SpawnRequest { asked, ..request("top", Caller::Owner) }).unwrap();
    world.spawn_below("top", "low");
    world.end("low");
    let events = world.end("top");
    assert_eq!(placed(&events), ["top in sess_talk", "low in sess_talk"]);
    let in_conversation = |event: &Event| {
        matches!(
            event,
            Event::RunAnnounced { in_conversation: true, .. }
                | Event::AnnounceMoved { in_conversation: true, .. }
        )
    };
    assert_eq!(events.iter().filter(|event| in_conversation(event)).count(), 2);
    // Below a turn, which is over by then.
    world.say("turn");
    world.spawn_below("turn", "top");
    world.spawn_below("top", "low");
    world.end("turn");
    world.end("low");
    assert_eq!(placed(&world.end("top")), ["top in sess_talk", "low in sess_talk"]);
    world.come_to_rest();
}
