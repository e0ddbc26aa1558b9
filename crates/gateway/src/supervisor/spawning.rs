//! Taking spawns on.

use std::sync::Arc;

use hatchery_access::{Permit, Refusal, Write};
use hatchery_failpoints::{Point, reach};
use hatchery_protocol::{RunStatus, RuntimeKind, SessionId, SpawnAccepted, SpawnParams};
use hatchery_spawn::{Asked, Command, Event, SpawnRequest, decide};
use hatchery_store::CommitError;
use tokio::sync::oneshot;

use super::{Directories, Supervisor, unavailable};
use crate::asker::Asker;
use crate::clock::now_ms;
use crate::ids::draw;
use crate::watchers::Watcher;

impl Supervisor {
    /// Takes a spawn on. Its receipt is given to `asker` once it is durable, before anything else
    /// is said of the run; a `stream`ing asker then sees what the run says and gets its end.
    ///
    /// Blocks on the disk for as long as it takes to see whether the settings have changed.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        permit: &Permit<Write>,
        params: SpawnParams,
        directories: Directories,
        asker: Asker,
    ) -> Result<(), Refusal> {
        let watcher = params.stream.then(|| asker.watcher());
        self.take_on(permit, params, directories, None, watcher, |outcome, receipt| {
            asker.answer(outcome, receipt);
        })
    }

    /// Takes on a spawn that was asked for in a session, which will be told its result; returns
    /// once it is durable.
    pub(crate) async fn spawn_in(
        self: &Arc<Self>,
        permit: &Permit<Write>,
        params: SpawnParams,
        directories: Directories,
        session: &SessionId,
        asked: Asked,
    ) -> Result<SpawnAccepted, Refusal> {
        let (tell, told) = oneshot::channel();
        let asked = Some((session.clone(), asked));
        self.take_on(permit, params, directories, asked, None, move |outcome, receipt| {
            if tell.send(outcome.map(|()| receipt)).is_err() {
                tracing::debug!("nobody waits for a receipt any more");
            }
        })?;
        match told.await {
            Ok(Ok(Some(receipt))) => Ok(receipt),
            Ok(Err(error)) => Err(unavailable("JOURNAL_UNAVAILABLE", error)),
            Ok(Ok(None)) | Err(_) => {
                Err(unavailable("JOURNAL_UNAVAILABLE", CommitError::WriterGone))
            }
        }
    }

    fn take_on(
        self: &Arc<Self>,
        permit: &Permit<Write>,
        params: SpawnParams,
        directories: Directories,
        asked: Option<(SessionId, Asked)>,
        watcher: Option<Watcher>,
        receive: impl FnOnce(Result<(), CommitError>, Option<SpawnAccepted>) + Send + 'static,
    ) -> Result<(), Refusal> {
        let (run, session) = draw().map_err(|error| unavailable("NO_RANDOMNESS", error))?;
        let mut request = SpawnRequest {
            caller: permit.caller().clone(),
            run,
            session,
            task: params.task,
            agent: params.agent_id,
            runtime: params.runtime.unwrap_or(RuntimeKind::Isolated),
            asked,
            model: params.model,
            cwd: directories.cwd,
            caller_cwd: directories.caller_cwd,
            timeout_ms: params.run_timeout_seconds.map(|seconds| seconds.saturating_mul(1_000)),
            label: params.label,
            shutting_down: false,
        };
        let policy = self.settings.policy();
        let now = now_ms();
        let caller = request.caller.clone();
        let mut core = self.core();
        if let Some(error) = &core.journal_error {
            return Err(unavailable("JOURNAL_UNAVAILABLE", error));
        }
        request.shutting_down = core.shutting_down;
        let decided = decide(&core.state, &policy, &Command::Spawn(Box::new(request)), now);
        let events = match decided {
            Ok(events) => events,
            Err(refusal) => {
                drop(core);
                let refusal = Refusal::from(refusal);
                self.note_refusal(&caller.describe(), &refusal, "spawn");
                return Err(refusal);
            }
        };
        for event in &events {
            if let Event::RunAccepted { run } = event {
                core.callers.insert(run.id.clone(), caller.clone());
                if let Some(watcher) = watcher.clone() {
                    core.watchers.watch(run.id.clone(), watcher);
                }
            }
        }
        let receipt = events.iter().find_map(receipt);
        self.happen(&mut core, now, events, move |outcome| {
            receive(outcome, receipt);
            reach(Point::Receipt);
        });
        Ok(())
    }
}

fn receipt(event: &Event) -> Option<SpawnAccepted> {
    let Event::RunAccepted { run } = event else { return None };
    Some(SpawnAccepted {
        status: RunStatus::Accepted,
        run_id: run.id.clone(),
        session_id: run.session.clone(),
        child_session_key: run.session_key.clone(),
        agent_id: run.agent.clone(),
        runtime: run.runtime,
        model: run.model.clone(),
    })
}
