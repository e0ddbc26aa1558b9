//! What holds of the state in memory after every step.

use std::collections::BTreeMap;

use hatchery_protocol::{RunId, RuntimeKind};
use hatchery_spawn::{Account, LiveRun, Phase, Policy, Run, Spend, State, Wait};

use crate::invariant::{Held, Invariant, hold, hold_all};

/// Checks a state, right after a step.
pub(crate) fn check(state: &State, policy: &Policy) -> Held<()> {
    let mut below: BTreeMap<&RunId, u32> = BTreeMap::new();
    let mut children: BTreeMap<&RunId, u32> = BTreeMap::new();
    let mut set_aside: BTreeMap<&RunId, Spend> = BTreeMap::new();
    for live in state.runs() {
        let calls = live.calls.values().fold(Spend::default(), |sum, call| sum.plus(*call));
        for above in live.run.path() {
            let sum = set_aside.entry(above).or_default();
            *sum = sum.plus(calls);
        }
        for above in &live.run.lineage {
            *below.entry(&above.run).or_default() += 1;
        }
        if let Some(parent) = live.run.parent() {
            *children.entry(parent).or_default() += 1;
        }
    }
    let mut at_work = 0;
    let mut slots = 0;
    for live in state.runs() {
        let below = below.get(&live.run.id).copied().unwrap_or(0);
        if live.phase != Phase::Queued && !live.run.is_turn() {
            at_work += 1;
            slots += u32::from(below == 0);
        }
        check_run(state, policy, live, below)?;
        let count = children.get(&live.run.id).copied().unwrap_or(0);
        hold(state.children_of(&live.run.id) == count, Invariant::Slots, &live.run.id, || {
            format!("{count} children, counted as {}", state.children_of(&live.run.id))
        })?;
    }
    hold_all(state.at_work() == at_work && state.slots_taken() == slots, Invariant::Slots, || {
        let counted = (state.at_work(), state.slots_taken());
        format!("{at_work} at work in {slots} slots, counted as {counted:?}")
    })?;
    for (run, sum) in set_aside {
        let account = state.account(run).copied().unwrap_or_default();
        check_account(run, &account, sum)?;
    }
    check_queue(state, policy)?;
    check_turns(state, policy)
}

fn check_run(state: &State, policy: &Policy, live: &LiveRun, below: u32) -> Held<()> {
    let id = &live.run.id;
    hold(live.run.depth() <= policy.max_spawn_depth, Invariant::Authority, id, || {
        format!("at depth {}", live.run.depth())
    })?;
    let children = state.children_of(id);
    hold(children <= policy.max_children_per_agent, Invariant::Authority, id, || {
        format!("{children} children")
    })?;
    hold(state.live_below(id) == below, Invariant::Slots, id, || {
        format!("{below} below, counted as {}", state.live_below(id))
    })?;
    if let Some(Wait::Children { wanted }) = live.waiting {
        let come = live.unseen.len() as u64;
        let enough = wanted.is_some_and(|wanted| come >= u64::from(wanted));
        hold(below > 0 && !enough && live.stopping.is_none(), Invariant::Waiting, id, || {
            format!("waits for {wanted:?}, {below} below, {come} come, {:?}", live.stopping)
        })?;
    }
    Ok(())
}

fn check_account(run: &RunId, account: &Account, set_aside: Spend) -> Held<()> {
    hold(account.reserved == set_aside, Invariant::Budget, run, || {
        format!("{set_aside:?} is set aside, counted as {:?}", account.reserved)
    })?;
    let Some(limit) = account.budget.descendants else { return Ok(()) };
    hold(account.descendants <= limit, Invariant::Budget, run, || {
        format!("{} descendants of {limit}", account.descendants)
    })
}

fn check_queue(state: &State, policy: &Policy) -> Held<()> {
    let queued = |live: &&LiveRun| live.phase == Phase::Queued && !live.run.is_turn();
    let (mut len, mut bytes) = (0, 0);
    for live in state.runs().filter(queued) {
        len += 1;
        bytes += live.run.task.bytes() as u64;
    }
    let queue = state.queue();
    hold_all(queue.len() == len && queue.task_bytes() == bytes, Invariant::Slots, || {
        format!("{len} wait with {bytes} bytes, counted as {queue:?}")
    })?;
    if policy.closing || len == 0 || state.slots_taken() >= policy.max_concurrent {
        return Ok(());
    }
    let may_start = |live: &LiveRun| {
        live.run.path().filter_map(|above| state.account(above)).all(|account| {
            account.budget.concurrency.is_none_or(|limit| account.slots_taken() < limit)
        })
    };
    for live in state.runs().filter(queued) {
        hold(!may_start(live), Invariant::NoIdleSlot, &live.run.id, || {
            format!("waits, {} of {} slots taken", state.slots_taken(), policy.max_concurrent)
        })?;
    }
    Ok(())
}

fn check_turns(state: &State, policy: &Policy) -> Held<()> {
    for session in state.conversations() {
        for (at, turn) in state.turns_of(session).enumerate() {
            let right = match (at, turn.phase) {
                (0, Phase::Queued) => policy.closing,
                (_, Phase::Queued) | (0, _) => true,
                _ => false,
            };
            hold(right, Invariant::Turns, &turn.run.id, || format!("{:?} at {at}", turn.phase))?;
        }
    }
    Ok(())
}

/// Checks that there was room for a run that was just taken on.
pub(crate) fn check_room(state: &State, policy: &Policy, run: &Run) -> Held<()> {
    let (queue, room) = (state.queue(), policy.queue_room);
    let fits = queue.len() <= room.runs && queue.task_bytes() <= room.task_bytes;
    hold(fits || run.is_turn(), Invariant::QueueRoom, &run.id, || {
        format!("{} runs with {} bytes, and {room:?}", queue.len(), queue.task_bytes())
    })
}

/// A child stands within what its parent may.
pub(crate) fn check_child(state: &State, policy: &Policy, child: &Run) -> Held<()> {
    let Some(parent) = child.parent().and_then(|parent| state.get(parent)) else { return Ok(()) };
    let (above, id) = (&parent.run, &child.id);
    let starter = |run: &Run| run.starter.clone().unwrap().restore();
    let of_parent = above.grant(&starter(above), policy, 0);
    let of_child = child.grant(&starter(child), policy, 0);
    let within = child.depth() == above.depth() + 1
        && of_child.depth() == child.depth()
        && child.workspace.starts_with(&above.workspace)
        && of_child.scopes().is_subset(of_parent.scopes())
        && of_child.is_of_the_owner() == of_parent.is_of_the_owner()
        && (above.runtime != RuntimeKind::Isolated || child.runtime == RuntimeKind::Isolated)
        && child.route.is_none();
    hold(within, Invariant::Authority, id, || format!("{child:?}\nbelow {above:?}"))?;
    let narrower = |child: Option<u64>, above: Option<u64>| {
        above.is_none_or(|above| child.is_some_and(|child| child <= above))
    };
    let (mine, theirs) = (child.budget, above.budget);
    let part = |part: Option<u32>| part.map(u64::from);
    let within = narrower(mine.tokens, theirs.tokens)
        && narrower(mine.cost_micros, theirs.cost_micros)
        && narrower(part(mine.descendants), part(theirs.descendants))
        && narrower(part(mine.concurrency), part(theirs.concurrency));
    hold(within, Invariant::Authority, id, || format!("{mine:?} below {theirs:?}"))
}
