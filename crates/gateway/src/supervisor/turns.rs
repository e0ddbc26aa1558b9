//! Turns of conversations: taking them on, stopping them, waiting for them.

use std::path::PathBuf;
use std::sync::Arc;

use hatchery_access::{Caller, Permit, Refusal, Write};
use hatchery_failpoints::{Point, reach};
use hatchery_protocol::{RunId, SessionId, Task};
use hatchery_spawn::{Command, Event, Step, TurnRequest};
use hatchery_store::{CommitError, SessionView};
use tokio::sync::oneshot;

use super::{Supervisor, unavailable};
use crate::ids::draw;
use crate::watchers::Watcher;

/// A message that a turn is to answer.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The client's own name for it.
    pub(crate) key: String,
    pub(crate) task: Task,
    pub(crate) model: Option<String>,
    pub(crate) timeout_ms: Option<u64>,
    /// The directory for an agent without a workspace of its own.
    pub(crate) workspace: PathBuf,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// A turn answers it; its receipt comes after the commit.
    New,
    /// It was sent before, to this session.
    Before(SessionId),
}

impl Supervisor {
    /// Takes a message on. `receipt` hears when it is durable, or why it is not; `waiter`'s
    /// request is answered by the turn's end.
    pub(crate) fn turn(
        self: &Arc<Self>,
        permit: &Permit<Write>,
        session: &SessionView,
        message: Message,
        waiter: Option<Watcher>,
        receipt: impl FnOnce(Result<(), CommitError>) + Send + 'static,
    ) -> Result<Taken, Refusal> {
        let (run, _) = draw().map_err(|error| unavailable("NO_RANDOMNESS", error))?;
        let caller = permit.caller().clone();
        let key = message.key;
        let request = TurnRequest {
            caller: caller.clone(),
            run,
            session: session.session_id.clone(),
            session_key: session.key.clone(),
            kind: session.kind,
            key: key.clone(),
            task: message.task,
            agent: session.agent_id.clone(),
            model: message.model,
            caller_cwd: message.workspace,
            timeout_ms: message.timeout_ms,
        };
        let policy = self.settings.policy();
        let mut core = self.core();
        if let Some(error) = &core.journal_error {
            return Err(unavailable("JOURNAL_UNAVAILABLE", error));
        }
        if let Err(session) = core.message_keys.take(&key, &session.session_id) {
            return Ok(Taken::Before(session));
        }
        let step = match core.decide(&policy, &Command::Turn(Box::new(request))) {
            Ok(step) => step,
            Err(refusal) => {
                core.message_keys.give_back(&key);
                drop(core);
                let refusal = Refusal::from(refusal);
                self.note_refusal(&caller.describe(), &refusal, "turn");
                return Err(refusal);
            }
        };
        if let Some(Event::RunAccepted { run }) = step.events.first() {
            core.callers.insert(run.id.clone(), caller);
            self.talk.taken(run, waiter);
        }
        self.keep(&mut core, step, |outcome| {
            receipt(outcome);
            reach(Point::Receipt);
        });
        Ok(Taken::New)
    }

    /// Stops the turns of a session, or one of them, with everything below; gives the names of
    /// those that were still to be stopped, once that is durable.
    pub(crate) async fn hush(
        self: &Arc<Self>,
        permit: &Permit<Write>,
        session: &SessionId,
        only: Option<&str>,
    ) -> Result<Vec<String>, Refusal> {
        let caller = permit.caller().clone();
        let stopped = self
            .hush_now(&caller, session, only)
            .inspect_err(|refusal| self.note_refusal(&caller.describe(), refusal, "abort"))?;
        self.settled().await;
        Ok(stopped)
    }

    fn hush_now(
        self: &Arc<Self>,
        caller: &Caller,
        session: &SessionId,
        only: Option<&str>,
    ) -> Result<Vec<String>, Refusal> {
        let policy = self.settings.policy();
        let mut core = self.core();
        let live: Vec<(RunId, String)> = core
            .state
            .turns_of(session)
            .map(|live| (live.run.id.clone(), live.run.name().to_owned()))
            .collect();
        let only = match only {
            None => None,
            Some(name) => match live.iter().find(|(_, live)| live == name) {
                Some((run, _)) => Some(run.clone()),
                None => return Ok(Vec::new()),
            },
        };
        let command = Command::Hush { caller: caller.clone(), session: session.clone(), only };
        let step = core.decide(&policy, &command).map_err(Refusal::from)?;
        let is_stopped = |run: &RunId| step.events.iter().any(|event| event.run() == Some(run));
        let stopped =
            live.into_iter().filter(|(run, _)| is_stopped(run)).map(|(_, name)| name).collect();
        self.keep(&mut core, step, |_| {});
        Ok(stopped)
    }

    /// Writes down what happened to sessions, which no rule of the run tree speaks of, and
    /// returns once it is durable.
    pub(crate) async fn record(self: &Arc<Self>, events: Vec<Event>) -> Result<(), Refusal> {
        self.record_then(events, |_| {}).await
    }

    /// The same; `receipt` hears of it before anybody else does.
    pub(crate) async fn record_then(
        self: &Arc<Self>,
        events: Vec<Event>,
        receipt: impl FnOnce(Result<(), CommitError>) + Send + 'static,
    ) -> Result<(), Refusal> {
        let (tell, told) = oneshot::channel();
        {
            let mut core = self.core();
            if let Some(error) = &core.journal_error {
                return Err(unavailable("JOURNAL_UNAVAILABLE", error));
            }
            let step = Step { events, ended: Vec::new() };
            self.keep(&mut core, step, move |outcome| {
                receipt(outcome.clone());
                if tell.send(outcome).is_err() {
                    tracing::debug!("nobody waits for an entry any more");
                }
            });
        }
        match told.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(unavailable("JOURNAL_UNAVAILABLE", error)),
            Err(_) => Err(unavailable("JOURNAL_UNAVAILABLE", CommitError::WriterGone)),
        }
    }

    /// Takes the name of a message that no turn answers; the session that has it, where one has.
    pub(crate) fn take_key(&self, key: &str, session: &SessionId) -> Result<(), SessionId> {
        self.core().message_keys.take(key, session)
    }

    /// Such a message is answered.
    pub(crate) fn finish_key(&self, key: &str) {
        self.core().message_keys.finish(key);
    }

    /// The names of a session's runs that are not over, the one at work first.
    pub(crate) fn live_in(&self, session: &SessionId) -> Vec<String> {
        let core = self.core();
        let mut runs: Vec<String> =
            core.state.turns_of(session).map(|live| live.run.name().to_owned()).collect();
        if runs.is_empty() {
            runs.extend(core.state.in_session(session).map(|live| live.run.name().to_owned()));
        }
        runs
    }

    /// The session of the live turn of that name.
    pub(crate) fn session_of_turn(&self, name: &str) -> Option<SessionId> {
        let core = self.core();
        let mut turns = core.state.runs().filter(|live| live.run.is_turn());
        turns.find(|live| live.run.name() == name).map(|live| live.run.session.clone())
    }

    /// Returns once something has happened.
    pub(crate) async fn next_change(&self) {
        if self.changes.subscribe().changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Whether a run of that name is live: a turn's message key, or any run's own id.
    fn is_live(&self, name: &str) -> bool {
        self.core().state.runs().any(|live| live.run.name() == name || live.run.id.as_str() == name)
    }

    /// Returns once no run of that name is live, and the end of it is durable.
    pub(crate) async fn ended(&self, name: &str) {
        let mut changes = self.changes.subscribe();
        while self.is_live(name) {
            if changes.changed().await.is_err() {
                return;
            }
        }
        self.settled().await;
    }
}
