//! Telling results on the routes that were named at the spawn.
//!
//! An attempt that is under way when the gateway ends is made again in its next life: whoever gets
//! a result may get it more than once, under the same key.

use std::sync::Arc;
use std::time::Duration;

use hatchery_access::{Permit, Refusal, Write};
use hatchery_failpoints::{Point, reach};
use hatchery_protocol::RunId;
use hatchery_spawn::{Command, LONGEST_PAUSE_MS, Notice};
use tokio::time::sleep;

use super::Supervisor;
use crate::clock::now_ms;
use crate::webhook::{self, Address, Letter, NotTaken};

/// The name of the one kind of route there is.
pub(super) const WEBHOOK: &str = "webhook";

/// How often it is looked for what was blocked for too long.
const EXPIRE_EVERY: Duration = Duration::from_secs(60 * 60);

impl Supervisor {
    /// Tells a result on its route once that is due. A gateway that only looks tells nothing.
    pub(super) fn deliver(self: &Arc<Self>, run: &RunId) {
        if !self.tells {
            return;
        }
        let Some(notice) = self.core().state.notices().get(run).cloned() else { return };
        let (supervisor, run) = (Arc::clone(self), run.clone());
        self.tasks.spawn(async move { supervisor.deliver_when_due(run, notice).await });
    }

    async fn deliver_when_due(self: Arc<Self>, run: RunId, notice: Notice) {
        // A clock that was set back must not make it wait longer than it may.
        let left = notice.due_at_ms.saturating_sub(now_ms()).min(LONGEST_PAUSE_MS);
        sleep(Duration::from_millis(left)).await;
        // The semaphore is never closed.
        let Ok(_place) = self.deliveries.acquire().await else { return };
        // Somebody may have decided otherwise meanwhile.
        if self.core().state.notices().get(&run) != Some(&notice) {
            return;
        }
        let told = self.tell(&run, &notice).await;
        reach(Point::Told);
        match told {
            Ok(()) => {
                tracing::info!(%run, "the result was told on its route");
                self.note(&Command::Delivered { run });
            }
            Err(NotTaken { reason, for_good }) => {
                tracing::info!(%run, reason, for_good, "the result was not taken on its route");
                self.note(&Command::DeliveryFailed { run, reason, for_good });
            }
        }
    }

    async fn tell(self: &Arc<Self>, run: &RunId, notice: &Notice) -> Result<(), NotTaken> {
        let route = &notice.route;
        if route.channel != WEBHOOK {
            return Err(NotTaken::for_good(format!("there is no channel '{}'", route.channel)));
        }
        let address = Address::parse(&route.to)
            .map_err(|bad| NotTaken::for_good(format!("its address cannot be used: {bad}")))?;
        let (supervisor, id) = (Arc::clone(self), run.clone());
        let read = tokio::task::spawn_blocking(move || supervisor.store.session_of_run(&id)).await;
        let session = match read {
            Ok(Ok(session)) => session,
            Ok(Err(error)) => return Err(NotTaken::for_now(error.to_string())),
            Err(error) => return Err(NotTaken::for_now(error.to_string())),
        };
        let letter = session.as_ref().and_then(Letter::of);
        let letter = letter.ok_or_else(|| NotTaken::for_good("the result is gone".to_owned()))?;
        webhook::send(&address, &letter).await
    }

    /// Gives up what was blocked for too long, at once and then now and again, until the task is
    /// ended.
    pub(crate) async fn expire_notices_regularly(self: Arc<Self>) {
        loop {
            self.note(&Command::ExpireNotices);
            sleep(EXPIRE_EVERY).await;
        }
    }

    /// Has a result that could not be told told again.
    pub(crate) async fn retry_notice(
        self: &Arc<Self>,
        permit: &Permit<Write>,
        run: RunId,
    ) -> Result<(), Refusal> {
        self.command(&Command::RetryNotice { caller: permit.caller().clone(), run })?;
        self.settled().await;
        Ok(())
    }

    /// Gives up a result that is not told yet.
    pub(crate) async fn dismiss_notice(
        self: &Arc<Self>,
        permit: &Permit<Write>,
        run: RunId,
    ) -> Result<(), Refusal> {
        self.command(&Command::DismissNotice { caller: permit.caller().clone(), run })?;
        self.settled().await;
        Ok(())
    }
}
