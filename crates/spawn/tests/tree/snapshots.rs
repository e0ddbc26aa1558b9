//! The state written down and read back, and built up from its events.

use hatchery_access::Caller;
use hatchery_spawn::{Budget, Clock, Command, Route, SpawnRequest, Spend, State};
use proptest::prelude::*;

use super::world::{SHELL, World, request, run};

/// One step of a random life, with small numbers that stand for names.
#[derive(Clone, Debug)]
enum Step {
    Spawn(bool),
    SpawnBelow(usize),
    Say,
    Started(usize),
    Resumable(usize),
    Yield(usize, Option<u32>),
    Approval(usize),
    Reserve(usize, u64),
    Settle(usize, Option<u32>),
    Fail(usize),
    Deadline(usize),
    End(usize),
    Kill(usize),
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0..20usize;
    let step = prop_oneof![
        4 => any::<bool>().prop_map(Step::Spawn),
        6 => who.clone().prop_map(Step::SpawnBelow),
        2 => Just(Step::Say),
        4 => who.clone().prop_map(Step::Started),
        1 => who.clone().prop_map(Step::Resumable),
        2 => (who.clone(), prop::option::of(0..3u32)).prop_map(|(run, n)| Step::Yield(run, n)),
        1 => who.clone().prop_map(Step::Approval),
        3 => (who.clone(), 0..40u64).prop_map(|(run, n)| Step::Reserve(run, n)),
        2 => (who.clone(), prop::option::of(0..2u32)).prop_map(|(run, n)| Step::Settle(run, n)),
        2 => who.clone().prop_map(Step::Fail),
        1 => who.clone().prop_map(Step::Deadline),
        5 => who.clone().prop_map(Step::End),
        1 => who.prop_map(Step::Kill),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 0..60)
}

fn take(world: &mut World, step: Step, names: &mut usize) {
    let live = |world: &World, number: usize| {
        let runs = world.state.runs().filter(|live| live.phase != hatchery_spawn::Phase::Queued);
        runs.map(|live| live.run.id.to_string()).nth(number)
    };
    let mut new_name = || {
        *names += 1;
        format!("r{names}")
    };
    // Whether it is allowed is not what is asked here.
    let decide = |world: &mut World, command: Command| drop(world.decide(&command));
    match step {
        Step::Spawn(plain) => {
            let budget = Budget { tokens: Some(100), concurrency: Some(2), ..Budget::default() };
            let route = Route { channel: "webhook".to_owned(), to: "there".to_owned() };
            let asked = request(&new_name(), Caller::Owner);
            let asked = match plain {
                true => SpawnRequest { model: Some(SHELL.to_owned()), ..asked },
                false => SpawnRequest { budget, route: Some(route), ..asked },
            };
            decide(world, Command::Spawn(Box::new(asked)));
        }
        Step::Say => {
            let message = super::world::message(&new_name());
            decide(world, Command::Turn(Box::new(message)));
        }
        Step::Crash => drop(world.recover()),
        Step::Fail(number) => {
            let open = world.state.notices().keys().nth(number).cloned();
            let reason = "no answer".to_owned();
            let failed = open.map(|run| Command::DeliveryFailed { run, reason, for_good: false });
            failed.into_iter().for_each(|command| decide(world, command));
        }
        Step::Kill(number) => {
            let session = world.state.runs().nth(number).map(|live| live.run.session.clone());
            let caller = Caller::Owner;
            let kill = session.map(|session| Command::Kill { caller, session });
            kill.into_iter().for_each(|command| decide(world, command));
        }
        Step::SpawnBelow(number)
        | Step::Started(number)
        | Step::Resumable(number)
        | Step::Yield(number, _)
        | Step::Approval(number)
        | Step::Reserve(number, _)
        | Step::Settle(number, _)
        | Step::Deadline(number)
        | Step::End(number) => {
            let Some(name) = live(world, number) else { return };
            let run = run(&name);
            let spend = |tokens| Spend { tokens, cost_micros: tokens / 2 };
            decide(
                world,
                match step {
                    Step::SpawnBelow(_) => {
                        Command::Spawn(Box::new(request(&new_name(), world.caller(&name))))
                    }
                    Step::Started(_) => Command::Started { run, process: None },
                    Step::Resumable(_) => Command::Resumable { run, session: name },
                    Step::Yield(_, wanted) => Command::Yield { run, wanted },
                    Step::Approval(_) => Command::AwaitApproval { run },
                    Step::Reserve(_, tokens) => {
                        Command::Reserve { run, call: 0, spend: spend(tokens) }
                    }
                    Step::Settle(_, call) => Command::Settle { run, call, spend: spend(5) },
                    Step::Deadline(_) => Command::DeadlinePassed { run, clock: Clock::Wall },
                    _ => Command::Ended { run, ending: Default::default(), heard: false },
                },
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_state_is_the_same_after_it_was_written_down_and_from_its_events(steps in steps()) {
        let mut world = World::with_slots(3);
        world.policy.max_spawn_depth = 3;
        let mut names = 0;
        let mut replayed = State::default();
        let mut replayed_to = 0;
        for step in steps {
            world.now += 10;
            take(&mut world, step, &mut names);
            let text = serde_json::to_string(&world.state).unwrap();
            let read: State = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read, &world.state);
            for (event, at_ms) in &world.events[replayed_to..] {
                // As the journal keeps it.
                let text = serde_json::to_string(event).unwrap();
                replayed.apply(&serde_json::from_str(&text).unwrap(), *at_ms);
            }
            replayed_to = world.events.len();
            prop_assert_eq!(&replayed, &world.state);
        }
    }
}
