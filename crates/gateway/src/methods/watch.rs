//! `sessions.watch`: what a run says from any piece on, and its end, for whoever comes later or
//! comes back. It starts nothing and stops nothing.

mod replay;

use std::sync::Arc;

use hatchery_access::{Permit, Read, Refusal, Remedy};
use hatchery_protocol::{ErrorCode, Response, RunId, WatchAccepted, WatchParams, WireError};
use hatchery_store::{RunView, SessionView, StoredOutput};
use serde_json::json;

use self::replay::{Replay, Told};
use super::sessions::{find, reading};
use crate::asker::Asker;
use crate::gateway::Shared;
use crate::outbox::Share;
use crate::supervisor::{Joined, unavailable};
use crate::watchers::result;

/// Shows what is kept of a run's output, then what it says as it says it, then how it ended. The
/// request counts as open until what is kept was written.
pub(crate) async fn watch(
    shared: &Arc<Shared>,
    permit: Permit<Read>,
    params: WatchParams,
    asker: Asker,
) -> Result<(), WireError> {
    let session = find(shared, permit.caller(), params.session).await?;
    let at_work = shared.supervisor.at_work_in(&session.session_id);
    let Some(run) = at_work.or_else(|| session.run.as_ref().map(|run| run.run_id.clone())) else {
        return Err(nothing_ran(&session).into());
    };
    let joined = shared.supervisor.join(&run, asker.watcher()).await;
    let joined = joined.map_err(|_| already_watched(&session))?;
    let connection = asker.connection;
    let shown = show(shared, &session, &run, joined, params.after_seq, asker).await;
    shared.supervisor.with_watchers(|watchers| match shown {
        Ok(()) => watchers.caught_up(&run, connection),
        Err(_) => watchers.forget(&run, connection),
    });
    shown
}

async fn show(
    shared: &Arc<Shared>,
    session: &SessionView,
    run: &RunId,
    joined: Joined,
    after: u64,
    asker: Asker,
) -> Result<(), WireError> {
    let (view, kept) = read(shared, run).await?;
    let told = match (&joined, &view.outcome) {
        (Joined::Live(_, progress), _) => Told::so_far(*progress),
        (Joined::Over, Some(outcome)) => Told::altogether(outcome),
        (Joined::Over, None) => {
            return Err(unavailable("JOURNAL_UNAVAILABLE", "its end could not be kept").into());
        }
    };
    let replay = Replay::of(kept, after, told);
    let status = match joined {
        Joined::Live(status, _) => status,
        Joined::Over => view.status,
    };
    let receipt = WatchAccepted {
        status,
        run_id: run.clone(),
        session_id: session.session_id.clone(),
        session_key: session.key.clone(),
        agent_id: session.agent_id.clone(),
        runtime: view.runtime,
        model: view.model,
        task: view.task,
        from_seq: after.saturating_add(1),
        kept_bytes: replay.kept_bytes,
        gap: replay.gap,
    };
    let response = Response::ok(asker.request.clone(), json!(receipt));
    asker.outbox.answer(response, asker.share.clone());
    replay.put(&asker.outbox, run, &session.session_id).await;
    if let (Joined::Over, Some(outcome)) = (joined, &view.outcome) {
        let result = result(run, &session.session_id, view.accepted_at_ms, outcome);
        asker.outbox.answer(Response::ok(asker.request, json!(result)), Share::None);
    }
    Ok(())
}

async fn read(
    shared: &Arc<Shared>,
    run: &RunId,
) -> Result<(RunView, Vec<StoredOutput>), WireError> {
    let wanted = run.clone();
    let (view, kept) =
        reading(shared, move |store| Ok((store.run(&wanted)?, store.kept_output(&wanted)?)))
            .await?;
    let view = view.ok_or_else(|| unavailable("JOURNAL_UNREADABLE", "the run is not there"))?;
    Ok((view, kept))
}

fn nothing_ran(session: &SessionView) -> Refusal {
    Refusal::forbidden(
        "NOT_RUNNING",
        "sessions",
        format!("nothing has run in {}", session.session_id),
        Remedy::Command("hatchery sessions list".to_owned()),
    )
    .in_class(ErrorCode::InvalidRequest)
}

fn already_watched(session: &SessionView) -> Refusal {
    Refusal::forbidden(
        "ALREADY_WATCHED",
        "sessions.watch",
        format!("this connection watches {} already", session.session_id),
        Remedy::Advice("go on reading, or watch it from another connection".to_owned()),
    )
    .in_class(ErrorCode::InvalidRequest)
}
