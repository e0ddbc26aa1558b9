//! A run's end and who is told of it.
//!
//! The result stands in an inbox from the commit of the end on: that of the nearest run above
//! that lives on, else of the conversation, else of the owner. What a run has not taken from its
//! own inbox when it ends itself moves up with it, so no result stays with the dead.

use hatchery_access::Caller;
use hatchery_protocol::{RunId, SessionId};

use crate::notice::{NOTICE_KEPT_MS, next_attempt};
use crate::spending::settle_all;
use crate::{Event, LiveRun, Notice, Outcome, SpawnRefusal, State};

/// Where a result goes.
pub(crate) struct Inbox {
    pub(crate) session: SessionId,
    pub(crate) is_conversation: bool,
}

/// Who gets the result of a run.
pub(crate) fn inbox(live: &LiveRun, lives_on: impl Fn(&RunId) -> bool) -> Inbox {
    let above = live.run.lineage.iter().find(|above| above.turn || lives_on(&above.run));
    match (above, &live.run.conversation) {
        (Some(above), _) => Inbox { session: above.session.clone(), is_conversation: above.turn },
        (None, Some(session)) => Inbox { session: session.clone(), is_conversation: true },
        (None, None) => Inbox { session: SessionId::main(), is_conversation: false },
    }
}

/// A run's end and its announce: always together. A turn's answer stands in its own session
/// already, so it is announced nowhere.
pub(crate) fn finish(
    live: &LiveRun,
    to: &Inbox,
    outcome: Outcome,
    heard: bool,
    now_ms: u64,
) -> Vec<Event> {
    let run = &live.run.id;
    let mut events: Vec<Event> = settle_all(live).collect();
    events.push(Event::RunFinished { run: run.clone(), outcome });
    let in_conversation = to.is_conversation;
    if !live.run.is_turn() {
        let to = to.session.clone();
        events.push(Event::RunAnnounced { run: run.clone(), to, in_conversation, heard });
    }
    // What a turn did not look at stands in its conversation, and stays there.
    let moving = live.unseen.iter().filter(|_| !live.run.is_turn());
    events.extend(moving.map(|result| Event::AnnounceMoved {
        run: result.clone(),
        to: to.session.clone(),
        in_conversation,
    }));
    if let Some(route) = &live.run.route {
        let notice = Notice {
            route: route.clone(),
            session: live.run.session.clone(),
            attempts: 0,
            due_at_ms: now_ms,
            since_ms: now_ms,
            blocked: None,
        };
        events.push(Event::NoticeDue { run: run.clone(), notice: Box::new(notice) });
    }
    events
}

/// A result was told on its route.
pub(crate) fn delivered(state: &State, run: &RunId) -> Vec<Event> {
    let open = state.notices().contains_key(run);
    open.then(|| Event::NoticeDelivered { run: run.clone() }).into_iter().collect()
}

/// It could not be told: again later, or not any more.
pub(crate) fn delivery_failed(
    state: &State,
    run: &RunId,
    reason: &str,
    for_good: bool,
    now_ms: u64,
) -> Vec<Event> {
    let Some(notice) = state.notices().get(run).filter(|notice| notice.blocked.is_none()) else {
        return Vec::new();
    };
    let attempts = notice.attempts.saturating_add(1);
    let next = if for_good { None } else { next_attempt(attempts, now_ms) };
    let again = |due_at_ms| Notice { attempts, due_at_ms, ..notice.clone() };
    vec![match next {
        Some(at) => Event::NoticeDue { run: run.clone(), notice: Box::new(again(at)) },
        None => Event::NoticeBlocked { run: run.clone(), reason: reason.to_owned() },
    }]
}

/// Somebody wants a result told again, from now on as if it were new.
pub(crate) fn retry(
    state: &State,
    caller: &Caller,
    run: &RunId,
    now_ms: u64,
) -> Result<Vec<Event>, SpawnRefusal> {
    let notice = Notice {
        attempts: 0,
        due_at_ms: now_ms,
        since_ms: now_ms,
        blocked: None,
        ..open_notice(state, caller, run)?.clone()
    };
    Ok(vec![Event::NoticeDue { run: run.clone(), notice: Box::new(notice) }])
}

/// Somebody wants no more of it.
pub(crate) fn dismiss(
    state: &State,
    caller: &Caller,
    run: &RunId,
) -> Result<Vec<Event>, SpawnRefusal> {
    open_notice(state, caller, run)?;
    Ok(vec![Event::NoticeDismissed { run: run.clone(), by: caller.describe() }])
}

/// A route is the owner's, so only people decide about what goes over it.
fn open_notice<'a>(
    state: &'a State,
    caller: &Caller,
    run: &RunId,
) -> Result<&'a Notice, SpawnRefusal> {
    if caller.grant().is_some() {
        return Err(SpawnRefusal::RouteOfTheOwner);
    }
    state.notices().get(run).ok_or_else(|| SpawnRefusal::NoNotice(run.clone()))
}

/// Gives up what nobody has decided about in all the time it was blocked.
pub(crate) fn expire(state: &State, now_ms: u64) -> Vec<Event> {
    let too_old = |notice: &Notice| {
        notice.blocked.is_some() && now_ms.saturating_sub(notice.since_ms) > NOTICE_KEPT_MS
    };
    let open = state.notices().iter().filter(|(_, notice)| too_old(notice));
    open.map(|(run, _)| Event::NoticeDismissed { run: run.clone(), by: "age".to_owned() }).collect()
}
