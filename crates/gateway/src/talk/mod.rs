//! What is said in sessions, told while it is said.
//!
//! A turn's text grows here from what its run prints; readers get it in pieces, at most one each
//! [`FLUSH_EVERY`], then the end, then the messages as they stand in the transcript. Everything
//! told here is durable already: the supervisor calls in the journal's order, after the commit.
//! Nothing here decides anything or reads the journal on the journal's own thread.

mod answer;
mod context;
mod herald;
mod message;
mod payload;
mod text;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hatchery_protocol::{OutputStream, Response, RunId, SessionId, WireError};
use hatchery_spawn::{Outcome, Run};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Duration, Instant, sleep};

use crate::hub::{Audience, Hub};
use crate::outbox::Share;
use crate::watchers::Watcher;

pub(crate) use answer::{agent_result, wait_status};
pub(crate) use context::conversation;
pub(crate) use herald::{News, herald};
pub(crate) use message::{role, text_of, wire_message};
use text::GrowingText;

/// How often at most a turn's growing text is told.
const FLUSH_EVERY: Duration = Duration::from_millis(150);

/// The turns at work, and whoever waits for them.
pub(crate) struct Talk {
    hub: Arc<Hub>,
    tasks: Handle,
    news: UnboundedSender<News>,
    turns: Mutex<BTreeMap<RunId, Turn>>,
}

/// A turn that is not over.
struct Turn {
    run: Run,
    /// Counts what is told of it.
    seq: u64,
    text: GrowingText,
    told_at: Option<Instant>,
    /// Whether somebody will tell what has not been told yet.
    due: bool,
    is_at_work: bool,
    /// The requests that its end answers.
    waiters: Vec<Watcher>,
}

impl Talk {
    /// Nothing is said yet. What has to be read before it is told is sent to `news`.
    pub(crate) fn new(hub: Arc<Hub>, tasks: Handle, news: UnboundedSender<News>) -> Self {
        Self { hub, tasks, news, turns: Mutex::default() }
    }

    fn turns(&self) -> MutexGuard<'_, BTreeMap<RunId, Turn>> {
        // Every change is complete before anything can panic.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn at work in a session, and what it has said so far.
    pub(crate) fn growing(&self, session: &SessionId) -> Option<(String, String)> {
        let turns = self.turns();
        let turn = turns.values().find(|turn| turn.run.session == *session && turn.is_at_work)?;
        Some((turn.run.name().to_owned(), turn.text.whole().to_owned()))
    }

    /// A turn was taken on; `waiter`'s request is answered by its end.
    pub(crate) fn taken(&self, run: &Run, waiter: Option<Watcher>) {
        let turn = Turn {
            run: run.clone(),
            seq: 0,
            text: GrowingText::default(),
            told_at: None,
            due: false,
            is_at_work: false,
            waiters: waiter.into_iter().collect(),
        };
        self.turns().insert(run.id.clone(), turn);
    }

    /// A run is in the journal, and with it what it was asked.
    pub(crate) fn accepted(&self, run: &Run) {
        self.news(News::Message { id: format!("{}:user", run.id), with_final: false });
        let reason = if run.is_turn() { "send" } else { "create" };
        self.changed(run, reason);
    }

    /// A run is being started.
    pub(crate) fn started(&self, run: &Run, now_ms: u64) {
        if let Some(turn) = self.turns().get_mut(&run.id) {
            turn.is_at_work = true;
            let payload = turn.agent("lifecycle", payload::begun(now_ms), now_ms);
            self.hub.tell(&Audience::Readers, hatchery_protocol::event::AGENT, payload);
        }
        self.changed(run, "agent.run.started");
    }

    /// A run has said something.
    pub(crate) fn said(
        self: &Arc<Self>,
        run: &RunId,
        stream: OutputStream,
        bytes: &[u8],
        now_ms: u64,
    ) {
        let mut turns = self.turns();
        let Some(turn) = turns.get_mut(run) else { return };
        turn.text.take(stream, bytes);
        let now = Instant::now();
        let wait = turn.told_at.and_then(|told| (told + FLUSH_EVERY).checked_duration_since(now));
        match wait {
            _ if turn.due => {}
            None => turn.flush(&self.hub, now_ms),
            Some(wait) => {
                turn.due = true;
                let (talk, run) = (Arc::clone(self), run.clone());
                self.tasks.spawn(async move {
                    sleep(wait).await;
                    if let Some(turn) = talk.turns().get_mut(&run) {
                        turn.flush(&talk.hub, crate::clock::now_ms());
                    }
                });
            }
        }
    }

    /// A run is over, and its end is in the journal.
    pub(crate) fn finished(&self, run: &Run, outcome: &Outcome) {
        let ended = self.turns().remove(&run.id);
        if let Some(mut turn) = ended {
            turn.flush(&self.hub, outcome.ended_at_ms);
            let told = turn.agent("lifecycle", payload::ended(run, outcome), outcome.ended_at_ms);
            self.hub.tell(&Audience::Readers, hatchery_protocol::event::AGENT, told);
            let told = turn.chat(payload::over(outcome));
            self.hub.tell(&Audience::Readers, hatchery_protocol::event::CHAT, told);
            let result =
                agent_result(run.name(), &run.model, run.accepted_at_ms, outcome, &run.session);
            for waiter in turn.waiters {
                waiter.outbox.answer(Response::ok(waiter.request, result.clone()), Share::None);
            }
        }
        self.news(News::Message { id: format!("{}:assistant", run.id), with_final: false });
        self.changed(run, "agent.input.settled");
    }

    /// The end of a run could not be kept.
    pub(crate) fn lost(&self, error: &WireError) {
        for turn in std::mem::take(&mut *self.turns()).into_values() {
            for waiter in turn.waiters {
                let response = Response::error(waiter.request, error.clone());
                waiter.outbox.answer(response, Share::None);
            }
        }
    }

    fn changed(&self, run: &Run, reason: &'static str) {
        let name = run.name().to_owned();
        self.news(News::Changed { session: run.session.clone(), reason, run: Some(name) });
    }

    /// Something to be told once it has been read.
    pub(crate) fn news(&self, news: News) {
        if self.news.send(news).is_err() {
            tracing::debug!("nobody tells the news any more");
        }
    }
}

impl Turn {
    /// Tells what has not been told yet.
    fn flush(&mut self, hub: &Hub, now_ms: u64) {
        self.due = false;
        self.told_at = Some(Instant::now());
        let Some(delta) = self.text.new_part() else { return };
        let whole = self.text.whole().to_owned();
        let told = self.agent("assistant", payload::grown(&whole, &delta), now_ms);
        hub.tell(&Audience::Readers, hatchery_protocol::event::AGENT, told);
        let told = self.chat(payload::delta(&whole, &delta, now_ms));
        hub.tell(&Audience::Readers, hatchery_protocol::event::CHAT, told);
    }

    fn agent(&mut self, stream: &str, data: serde_json::Value, now_ms: u64) -> serde_json::Value {
        self.seq += 1;
        payload::agent(&self.run, self.seq, stream, data, now_ms)
    }

    fn chat(&mut self, state: serde_json::Value) -> serde_json::Value {
        self.seq += 1;
        payload::chat(self.run.name(), &self.run.session_key, self.seq, state)
    }
}
