//! What events mean to those who read along in sessions.

use std::sync::Arc;

use hatchery_protocol::RunId;
use hatchery_spawn::{Event, Run};

use super::Supervisor;
use crate::clock::now_ms;
use crate::talk::News;

impl Supervisor {
    /// Tells readers what happened. Called after the commit, in the journal's order.
    pub(super) fn tell_readers(&self, events: &[Event], ended: &[Arc<Run>]) {
        for event in events {
            match event {
                Event::RunAccepted { run } => self.talk.accepted(run),
                Event::RunStarting { run } | Event::RunRestarting { run } => {
                    if let Some(run) = self.live_or_ended(run, ended) {
                        self.talk.started(&run, now_ms());
                    }
                }
                Event::RunFinished { run, outcome } => {
                    let Some(run) = ended.iter().find(|ended| ended.id == *run) else { continue };
                    if let Some(asked) = run.asked.as_ref().filter(|asked| asked.turn) {
                        self.finish_key(&asked.key);
                    }
                    self.talk.finished(run, outcome);
                }
                Event::RunAnnounced { run, to, in_conversation: true, .. }
                | Event::AnnounceMoved { run, to, in_conversation: true } => {
                    let id = format!("{run}:announce");
                    self.talk.news(News::Message { id, with_final: true });
                    self.changed(to, "announce");
                }
                Event::SessionOpened { session, .. } => self.changed(session, "create"),
                Event::SessionPatched { session, .. } => self.changed(session, "patch"),
                Event::SessionReset { session } => self.changed(session, "reset"),
                Event::SessionArchived { session } => self.changed(session, "archive"),
                Event::SessionReopened { session } => self.changed(session, "reopen"),
                Event::SessionDeleted { key, .. } => {
                    self.talk.news(News::Gone { key: key.clone() });
                }
                Event::MessageAdded { session, message } => {
                    let id = message.id.clone();
                    self.talk.news(News::Message { id, with_final: true });
                    self.changed(session, "send");
                }
                Event::RunRunning { .. }
                | Event::RunResumable { .. }
                | Event::RunWaiting { .. }
                | Event::RunResumed { .. }
                | Event::BudgetReserved { .. }
                | Event::BudgetSettled { .. }
                | Event::AnnounceMoved { .. }
                | Event::NoticeDue { .. }
                | Event::NoticeDelivered { .. }
                | Event::NoticeBlocked { .. }
                | Event::NoticeDismissed { .. }
                | Event::RunStopping { .. }
                | Event::RunAnnounced { .. }
                | Event::Refused { .. } => {}
            }
        }
    }

    fn changed(&self, session: &hatchery_protocol::SessionId, reason: &'static str) {
        self.talk.news(News::Changed { session: session.clone(), reason, run: None });
    }

    fn live_or_ended(&self, run: &RunId, ended: &[Arc<Run>]) -> Option<Arc<Run>> {
        let live = self.core().state.get(run).map(|live| live.run.clone());
        live.or_else(|| ended.iter().find(|ended| ended.id == *run).cloned())
    }
}
