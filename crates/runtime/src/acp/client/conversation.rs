//! What is said to an agent, and what it says.

use std::path::Path;

use hatchery_agent::{Cancel, command_line};
use hatchery_protocol::Task;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Duration, timeout};

use super::hearing::Hearing;
use super::opening::{SESSION_NAME, TakesUp};
use super::stop::Phase;
use crate::acp::meta::{self, EndMeta};
use crate::acp::peer::{CallError, Peer, Sent};
use crate::acp::rpc::{Incoming, METHOD_NOT_FOUND, RpcError};
use crate::acp::wire::{PROMPT, REQUEST_PERMISSION, UPDATE};
use crate::{AcpDeadlines, Observer, Step};

/// What an agent is told that takes up a session: nothing of the task, which it has.
const GO_ON: &str = "The program that runs you was restarted in the middle of this turn. What you \
                     had done until then is in the history of this session. Continue from there, \
                     and do not repeat actions that are finished.";

/// How a turn ended, in the agent's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TurnResult {
    /// Why it ended.
    pub(crate) stop_reason: String,
    /// How the command behind the answer ended, where there is one.
    pub(crate) exit_code: Option<i32>,
}

/// Why there was no turn, or it has no end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Somebody cancelled.
    Cancelled,
    /// The agent was gone before it had answered.
    Closed(Step),
    /// It did not answer in time.
    Deadline(Step, Duration),
    /// It answered with an error.
    Rpc(Step, RpcError),
    /// It speaks another version.
    WrongVersion(u64),
    /// Its answer lacks this field.
    BadAnswer(Step, &'static str),
    /// It does not take up the session it was to take up.
    CannotResume(String),
}

/// What is to be talked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The directory to work in.
    pub(crate) cwd: &'a Path,
    /// What is to be done.
    pub(crate) task: &'a Task,
    /// The session in which it was begun before.
    pub(crate) resume: Option<&'a str>,
}

/// A conversation with an agent.
pub(crate) struct Conversation<'a, O> {
    peer: &'a Peer,
    incoming: &'a mut mpsc::Receiver<Incoming>,
    pub(super) hearing: Hearing<'a, O>,
    phase: &'a Phase,
    cancel: &'a Cancel,
}

impl<'a, O: Observer> Conversation<'a, O> {
    pub(crate) fn new(
        peer: &'a Peer,
        incoming: &'a mut mpsc::Receiver<Incoming>,
        observer: &'a O,
        phase: &'a Phase,
        cancel: &'a Cancel,
    ) -> Self {
        Self { peer, incoming, hearing: Hearing::new(observer), phase, cancel }
    }

    /// The whole conversation, up to the end of the one turn.
    pub(crate) async fn hold(
        &mut self,
        subject: Subject<'_>,
        deadlines: &AcpDeadlines,
    ) -> Result<TurnResult, Trouble> {
        let takes_up = within(deadlines.initialize, Step::Initialize, self.initialize()).await?;
        let limit = deadlines.new_session;
        let session = match subject.resume {
            None => within(limit, Step::NewSession, self.new_session(subject.cwd)).await?,
            Some(session) => {
                let step = match takes_up {
                    TakesUp::Resuming => Step::ResumeSession,
                    TakesUp::Loading | TakesUp::No => Step::LoadSession,
                };
                within(limit, step, self.take_up(subject.cwd, session, takes_up)).await?;
                session.to_owned()
            }
        };
        if takes_up != TakesUp::No && session.len() <= SESSION_NAME {
            self.hearing.resumable(&session).await;
        }
        if self.cancel.is_cancelled() {
            return Err(Trouble::Cancelled);
        }
        self.prompt(session, subject).await
    }

    /// Takes what the agent still has to say, until it is gone.
    pub(crate) async fn linger(&mut self) {
        while let Some(incoming) = self.incoming.recv().await {
            self.take(incoming).await;
        }
    }

    /// Whether there was anything but white space in the answer.
    pub(crate) fn has_words(&self) -> bool {
        self.hearing.has_words()
    }

    async fn prompt(
        &mut self,
        session: String,
        subject: Subject<'_>,
    ) -> Result<TurnResult, Trouble> {
        let says = |text: &str| json!([{ "type": "text", "text": text }]);
        let params = match (subject.resume, subject.task) {
            (Some(_), _) => json!({ "sessionId": session, "prompt": says(GO_ON) }),
            (None, task @ Task::Argv(argv)) => json!({
                "sessionId": session,
                "prompt": says(&command_line(task)),
                "_meta": { "hatchery": { "argv": argv } },
            }),
            (None, Task::Text(text)) => json!({ "sessionId": session, "prompt": says(text) }),
        };
        let sent = self.peer.request(PROMPT, &params).await;
        let sent = sent.map_err(|error| trouble(Step::Prompt, error))?;
        // From here on a cancel is sent behind the prompt, never before it.
        self.phase.prompting(&session);
        self.hearing.expect_answer(session);
        let answer = self.answer(Step::Prompt, sent).await;
        if let Ok(answer) = &answer {
            self.hearing.end(answer).await;
        }
        if self.cancel.is_cancelled() {
            // Some agents answer a cancel with an error or as if they had finished.
            return Err(Trouble::Cancelled);
        }
        let answer = answer?;
        let Some(stop_reason) = answer.get("stopReason").and_then(Value::as_str) else {
            return Err(Trouble::BadAnswer(Step::Prompt, "stopReason"));
        };
        if stop_reason == "refusal" && subject.resume.is_some() && !self.has_words() {
            // Where it knows no such session, a certain agent says no sooner.
            return Err(Trouble::CannotResume("its agent refused to go on".to_owned()));
        }
        let exit_code = meta::read(&answer).map(|EndMeta { exit_code }| exit_code);
        Ok(TurnResult { stop_reason: stop_reason.to_owned(), exit_code })
    }

    /// Sends a request and waits for its answer, which is a sign of life.
    pub(super) async fn call(
        &mut self,
        step: Step,
        method: &str,
        params: &Value,
    ) -> Result<Value, Trouble> {
        let sent = self.peer.request(method, params).await;
        let answer = self.answer(step, sent.map_err(|error| trouble(step, error))?).await?;
        self.hearing.life().await;
        Ok(answer)
    }

    /// Waits for an answer, and takes what the agent says meanwhile.
    async fn answer(&mut self, step: Step, sent: Sent) -> Result<Value, Trouble> {
        let mut answer = std::pin::pin!(sent.answer());
        let answer = loop {
            tokio::select! {
                Some(incoming) = self.incoming.recv() => self.take(incoming).await,
                answer = &mut answer => break answer,
            }
        };
        // What was said before the answer may still be queued.
        for _ in 0..self.incoming.len() {
            if let Ok(incoming) = self.incoming.try_recv() {
                self.take(incoming).await;
            }
        }
        answer.map_err(|error| trouble(step, error))
    }

    async fn take(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Notification { method, params } if method == UPDATE => {
                self.hearing.update(&params).await;
            }
            // Agents announce many things of their own; none of them is needed.
            Incoming::Notification { .. } => self.hearing.life().await,
            Incoming::Request { id, method, params } => {
                let answer = match method.as_str() {
                    REQUEST_PERMISSION => Ok(self.hearing.permission(&params).await),
                    _ => {
                        self.hearing.life().await;
                        Err(RpcError::new(METHOD_NOT_FOUND, format!("no method `{method}` here")))
                    }
                };
                self.peer.answer(id, answer).await;
            }
        }
    }
}

/// What comes of `step`, if it comes within `limit`.
async fn within<T>(
    limit: Duration,
    step: Step,
    result: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    timeout(limit, result).await.unwrap_or(Err(Trouble::Deadline(step, limit)))
}

fn trouble(step: Step, error: CallError) -> Trouble {
    match error {
        CallError::Closed => Trouble::Closed(step),
        CallError::Rpc(error) => Trouble::Rpc(step, error),
    }
}
