//! Taking spawns on.

use std::collections::BTreeSet;
use std::sync::Arc;

use hatchery_access::{Permit, Refusal, Write};
use hatchery_failpoints::{Point, reach};
use hatchery_protocol::{
    RunStatus, RuntimeKind, SessionId, SpawnAccepted, SpawnBudget, SpawnParams,
};
use hatchery_spawn::{Asked, Budget, Command, Deadlines, Event, Route, Run, SpawnRequest};
use hatchery_store::CommitError;
use tokio::sync::oneshot;

use super::notices::WEBHOOK;
use super::{Directories, Supervisor, unavailable};
use crate::asker::Asker;
use crate::ids::draw;
use crate::watchers::Watcher;
use crate::webhook::{Address, BadAddress};

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
        let watcher = params.stream.then(|| (asker.connection, asker.watcher()));
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
        watcher: Option<(u64, Watcher)>,
        receive: impl FnOnce(Result<(), CommitError>, Option<SpawnAccepted>) + Send + 'static,
    ) -> Result<(), Refusal> {
        let route = params.announce_to.map(route).transpose()?;
        let (run, session) = draw().map_err(|error| unavailable("NO_RANDOMNESS", error))?;
        let policy = self.settings.policy();
        let runtime = params.runtime.unwrap_or(RuntimeKind::Isolated);
        let missing = match runtime {
            RuntimeKind::Acp => self.launcher.missing(&policy),
            RuntimeKind::Local | RuntimeKind::Isolated => BTreeSet::new(),
        };
        let request = SpawnRequest {
            caller: permit.caller().clone(),
            run,
            session,
            task: params.task,
            agent: params.agent_id,
            runtime,
            missing,
            asked,
            model: params.model,
            cwd: directories.cwd,
            caller_cwd: directories.caller_cwd,
            timeout_ms: params.run_timeout_seconds.map(milliseconds),
            deadlines: Deadlines {
                queue_ms: params.queue_timeout_seconds.map(milliseconds),
                start_ms: params.start_timeout_seconds.map(milliseconds),
                idle_ms: params.idle_timeout_seconds.map(milliseconds),
            },
            budget: params.budget.map(budget).unwrap_or_default(),
            route,
            label: params.label,
        };
        let caller = request.caller.clone();
        let mut core = self.core();
        if let Some(error) = &core.journal_error {
            return Err(unavailable("JOURNAL_UNAVAILABLE", error));
        }
        let step = match core.decide(&policy, &Command::Spawn(Box::new(request))) {
            Ok(step) => step,
            Err(refusal) => {
                drop(core);
                let refusal = Refusal::from(refusal);
                self.note_refusal(&caller.describe(), &refusal, "spawn");
                return Err(refusal);
            }
        };
        let accepted = step.events.iter().find_map(|event| match event {
            Event::RunAccepted { run } => Some(&**run),
            _ => None,
        });
        if let Some(run) = accepted {
            core.callers.insert(run.id.clone(), caller.clone());
            if let Some((connection, watcher)) = watcher {
                core.watchers.watch(run.id.clone(), watcher);
                if caller.grant().is_some() {
                    core.attached.insert(run.id.clone(), connection);
                }
            }
            self.set_queue_clock(run);
        }
        let receipt = accepted.map(receipt);
        self.keep(&mut core, step, move |outcome| {
            receive(outcome, receipt);
            reach(Point::Receipt);
        });
        Ok(())
    }
}

fn milliseconds(seconds: u64) -> u64 {
    seconds.saturating_mul(1_000)
}

fn budget(asked: SpawnBudget) -> Budget {
    Budget {
        tokens: asked.tokens,
        cost_micros: asked.cost_usd.map(micro_dollars),
        wall_ms: asked.wall_seconds.map(milliseconds),
        descendants: asked.descendants,
        concurrency: asked.concurrency,
    }
}

/// Rounded to the nearest; what is no amount of money is none.
fn micro_dollars(dollars: f64) -> u64 {
    let micros = (dollars * 1e6).round();
    // A cast of a float stops at the ends of the range, and makes 0 of what is no number.
    micros as u64
}

/// Only what could be told there later is taken on.
fn route(to: String) -> Result<Route, BadAddress> {
    Address::parse(&to).map(|_| Route { channel: WEBHOOK.to_owned(), to })
}

fn receipt(run: &Run) -> SpawnAccepted {
    SpawnAccepted {
        status: RunStatus::Accepted,
        run_id: run.id.clone(),
        session_id: run.session.clone(),
        child_session_key: run.session_key.clone(),
        agent_id: run.agent.clone(),
        runtime: run.runtime,
        model: run.model.clone(),
    }
}
