//! What a tree may use up: handed down, never widened, never overspent.

use hatchery_access::Caller;
use hatchery_spawn::{
    Budget, BudgetPart, Command, Event, SpawnRefusal, SpawnRequest, Spend, StopReason,
};
use proptest::prelude::*;

use super::world::{World, request, run, short};

fn tokens(tokens: u64) -> Spend {
    Spend { tokens, cost_micros: 0 }
}

fn cost(cost_micros: u64) -> Spend {
    Spend { tokens: 0, cost_micros }
}

fn world_with(budget: Budget) -> World {
    let mut world = World::new();
    world.ask(SpawnRequest { budget, ..request("top", Caller::Owner) }).unwrap();
    world
}

fn reserve(world: &mut World, name: &str, call: u32, spend: Spend) -> Result<(), SpawnRefusal> {
    world.decide(&Command::Reserve { run: run(name), call, spend }).map(drop)
}

fn settle(world: &mut World, name: &str, call: Option<u32>, spend: Spend) -> Vec<Event> {
    world.play(&Command::Settle { run: run(name), call, spend })
}

fn over(of: &str, part: BudgetPart) -> SpawnRefusal {
    SpawnRefusal::OverBudget { of: run(of), part }
}

#[test]
fn a_call_is_made_when_every_budget_above_can_pay_for_it() {
    let mut world =
        world_with(Budget { tokens: Some(10), cost_micros: Some(9), ..Budget::default() });
    world.spawn_below("top", "low");
    let narrow = Budget { tokens: Some(4), ..Budget::default() };
    world.ask(SpawnRequest { budget: narrow, ..request("narrow", world.caller("top")) }).unwrap();
    assert_eq!(
        reserve(&mut world, "narrow", 0, tokens(5)),
        Err(over("narrow", BudgetPart::Tokens))
    );
    assert_eq!(reserve(&mut world, "narrow", 0, tokens(4)), Ok(()));
    // What one has set aside is not there for the others, up to the last one.
    assert_eq!(reserve(&mut world, "low", 0, tokens(7)), Err(over("top", BudgetPart::Tokens)));
    assert_eq!(reserve(&mut world, "low", 0, tokens(6)), Ok(()));
    assert_eq!(reserve(&mut world, "top", 0, tokens(1)), Err(over("top", BudgetPart::Tokens)));
    assert_eq!(reserve(&mut world, "top", 0, cost(10)), Err(over("top", BudgetPart::Cost)));
    assert_eq!(reserve(&mut world, "top", 0, cost(9)), Ok(()));
    // What was not needed is there again.
    settle(&mut world, "low", Some(0), tokens(2));
    assert_eq!(reserve(&mut world, "top", 1, tokens(5)), Err(over("top", BudgetPart::Tokens)));
    assert_eq!(reserve(&mut world, "top", 1, tokens(4)), Ok(()));
    world.come_to_rest();
}

#[test]
fn a_call_that_was_given_up_or_cut_off_is_paid_in_full() {
    let mut world = world_with(Budget { tokens: Some(10), ..Budget::default() });
    world.spawn_below("top", "low");
    // Its number is used again while it is out.
    assert_eq!(reserve(&mut world, "low", 0, tokens(3)), Ok(()));
    assert_eq!(reserve(&mut world, "low", 0, tokens(2)), Ok(()));
    let account = *world.state.account(&run("top")).unwrap();
    assert_eq!((account.spent, account.reserved), (tokens(3), tokens(2)));
    // Its run ends in the middle of it.
    let events = world.end("low");
    assert_eq!(short(&events), ["budget_settled low", "run_finished low", "run_announced low"]);
    let account = *world.state.account(&run("top")).unwrap();
    assert_eq!((account.spent, account.reserved), (tokens(5), tokens(0)));
    world.come_to_rest();
}

#[test]
fn whoever_asks_models_itself_is_stopped_with_everything_that_shares_the_budget() {
    let mut world = world_with(Budget { tokens: Some(10), ..Budget::default() });
    world.spawn_below("top", "a");
    world.spawn_below("top", "b");
    world.spawn("other");
    assert_eq!(short(&settle(&mut world, "a", None, tokens(9))), ["budget_settled a"]);
    settle(&mut world, "a", None, tokens(1));
    for name in ["top", "a", "b"] {
        assert_eq!(world.get(name).stopping, Some(StopReason::OverBudget), "{name}");
    }
    assert_eq!(world.get("other").stopping, None);
    world.come_to_rest();
}

#[test]
fn whoever_shares_a_used_up_budget_starts_nothing() {
    let mut world = world_with(Budget { cost_micros: Some(5), ..Budget::default() });
    world.spawn_below("top", "low");
    reserve(&mut world, "low", 0, cost(5)).unwrap();
    settle(&mut world, "low", Some(0), cost(5));
    let asked = request("late", world.caller("low"));
    // Its own budget is the same, and the nearest is named.
    assert_eq!(world.ask(asked).unwrap_err(), over("low", BudgetPart::Cost));
    assert_eq!(reserve(&mut world, "top", 1, cost(1)), Err(over("top", BudgetPart::Cost)));
}

#[test]
fn a_budget_leaves_room_for_the_run_itself() {
    let mut world = World::new();
    let of = |concurrency| Budget { concurrency: Some(concurrency), ..Budget::default() };
    let asked = |budget| SpawnRequest { budget, ..request("a", Caller::Owner) };
    assert_eq!(world.ask(asked(of(0))), Err(SpawnRefusal::NeverBegins));
    world.ask(asked(of(1))).unwrap();
    assert_eq!(short(&world.start("a")), ["run_running a"]);
}

#[test]
fn descendants_are_counted_for_ever_and_at_every_level() {
    let mut world = world_with(Budget { descendants: Some(3), ..Budget::default() });
    world.spawn_below("top", "a");
    let one = Budget { descendants: Some(1), ..Budget::default() };
    world.ask(SpawnRequest { budget: one, ..request("b", world.caller("a")) }).unwrap();
    world.spawn_below("b", "c");
    let below = |world: &World, name: &str| request("late", world.caller(name));
    let asked = below(&world, "b");
    assert_eq!(world.ask(asked).unwrap_err(), over("b", BudgetPart::Descendants));
    // Those who are over count on.
    world.end("c");
    for (asker, of) in [("b", "b"), ("a", "top"), ("top", "top")] {
        let asked = below(&world, asker);
        assert_eq!(world.ask(asked).unwrap_err(), over(of, BudgetPart::Descendants));
    }
    world.come_to_rest();
}

#[test]
fn the_settings_limit_a_tree_and_a_request_only_narrows_them() {
    let mut world = World::new();
    world.policy.budget = Budget { tokens: Some(50), wall_ms: Some(60_000), ..Budget::default() };
    let asked = Budget { tokens: Some(70), descendants: Some(2), ..Budget::default() };
    world.ask(SpawnRequest { budget: asked, ..request("top", Caller::Owner) }).unwrap();
    let granted = Budget { descendants: Some(2), ..world.policy.budget };
    assert_eq!(world.get("top").run.budget, granted);
    // The time of a tree is kept at its top.
    world.spawn_below("top", "low");
    assert_eq!(world.get("low").run.budget, Budget { wall_ms: None, ..granted });
    assert_eq!(world.state.tree_deadlines().count(), 1);
    world.say("turn");
    assert_eq!(world.get("turn").run.budget, world.policy.budget);
}

fn budget() -> impl Strategy<Value = Budget> {
    let part = || prop::option::of(0..9u64);
    let small = || prop::option::of(1..9u32);
    (part(), part(), part(), small(), small()).prop_map(
        |(tokens, cost_micros, wall_ms, descendants, concurrency)| Budget {
            tokens: tokens.map(|tokens| tokens + 1),
            cost_micros: cost_micros.map(|cost| cost + 1),
            wall_ms,
            descendants,
            concurrency,
        },
    )
}

fn within<T: Ord>(child: Option<T>, parent: Option<T>) -> bool {
    parent.is_none_or(|parent| child.is_some_and(|child| child <= parent))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_part_of_a_budget_is_wider_than_that_of_the_run_above(
        settings in budget(),
        asked in prop::collection::vec(budget(), 1..5),
    ) {
        let mut world = World::new();
        world.policy.budget = settings;
        let mut above: Option<(String, Budget)> = None;
        for (depth, budget) in asked.into_iter().enumerate() {
            let name = format!("d{depth}");
            let caller = above.as_ref().map_or(Caller::Owner, |(above, _)| world.caller(above));
            let spawn = SpawnRequest { budget, ..request(&name, caller) };
            if world.ask(spawn).is_err() {
                break;
            }
            let granted = world.get(&name).run.budget;
            let limit = above.map_or(settings, |(_, limit)| Budget { wall_ms: None, ..limit });
            prop_assert_eq!(granted, budget.narrowed_by(limit));
            prop_assert!(within(granted.tokens, limit.tokens));
            prop_assert!(within(granted.cost_micros, limit.cost_micros));
            prop_assert!(within(granted.wall_ms, limit.wall_ms));
            prop_assert!(within(granted.descendants, limit.descendants));
            prop_assert!(within(granted.concurrency, limit.concurrency));
            above = Some((name, granted));
        }
    }

    #[test]
    fn a_budget_is_overdrawn_only_by_what_calls_took_beyond_what_was_set_aside(
        limit in 0..60u64,
        calls in prop::collection::vec((0..3usize, 0..20u64, 0..30u64, any::<bool>()), 0..40),
    ) {
        let mut world = world_with(Budget { tokens: Some(limit + 1), ..Budget::default() });
        world.spawn_below("top", "a");
        world.spawn_below("a", "b");
        let (mut taken, mut beyond) = (0, 0);
        let mut open = Vec::new();
        for (number, (who, aside, takes, ends)) in calls.into_iter().enumerate() {
            let name = ["top", "a", "b"][who];
            let call = u32::try_from(number).unwrap();
            if reserve(&mut world, name, call, tokens(aside)).is_ok() {
                taken += takes;
                beyond += takes.saturating_sub(aside);
                open.push((name, call, takes));
            }
            if ends && let Some((name, call, takes)) = open.pop() {
                settle(&mut world, name, Some(call), tokens(takes));
            }
            prop_assert!(taken <= limit + 1 + beyond);
        }
        for (name, call, takes) in open {
            settle(&mut world, name, Some(call), tokens(takes));
        }
        prop_assert_eq!(world.state.account(&run("top")).unwrap().spent, tokens(taken));
    }
}
