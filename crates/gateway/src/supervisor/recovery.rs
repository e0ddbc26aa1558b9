//! After a life of the gateway that ended with runs in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hatchery_access::{Caller, CallerRecord};
use hatchery_failpoints::{Point, reach};
use hatchery_protocol::RunId;
use hatchery_sandbox::{ProcessIdentity, reap};
use hatchery_spawn::{Command, LastWords, Phase, State};

use super::Supervisor;
use crate::clock::now_ms;
use crate::error::StartError;
use crate::pairing::PairingService;

/// How long what was left behind may take to end before it is killed: longer than a keeper's own
/// patience with its tree.
const PATIENCE: Duration = Duration::from_secs(4);

impl Supervisor {
    /// Finds out what was going on when the last life ended, makes sure that nothing of it still
    /// runs, and decides what goes on. Called once, before any door opens.
    pub(crate) async fn recover(
        self: &Arc<Self>,
        pairing: &PairingService,
    ) -> Result<(), StartError> {
        let state = self.last_state()?;
        let has_open_notices = !state.notices().is_empty();
        if state.is_empty() && !has_open_notices {
            return Ok(());
        }
        reach(Point::RecoveryBegun);
        self.end_left_over(&state).await;
        reach(Point::RecoveryReaped);
        let mut said = BTreeMap::new();
        for live in state.runs().filter(|live| live.phase != Phase::Queued) {
            let words = self.store.last_words(&live.run.id)?;
            let (tail, output_bytes) = (words.tail, words.output_bytes);
            said.insert(live.run.id.clone(), LastWords { tail, output_bytes });
        }
        let disowned = disowned(&state, pairing).await;
        self.take_over(state);
        self.note(&Command::Recover { said, resume: self.stays, disowned });
        // Whoever looks next must not find running what does not.
        self.settled().await;
        reach(Point::RecoveryMarked);
        if let Some(error) = self.core().journal_error.clone() {
            return Err(error.into());
        }
        self.set_clocks_again();
        Ok(())
    }

    /// The state as the last life left it: its last snapshot, and what happened since.
    fn last_state(&self) -> Result<State, StartError> {
        let replay = self.store.recover()?;
        if replay.passed_over > 0 {
            tracing::error!(
                "{} snapshots of the state were not written by this gateway and are not used; \
                 see `hatchery audit verify`",
                replay.passed_over
            );
        }
        let snapshot = replay.snapshot.as_deref().map(serde_json::from_str::<State>).transpose();
        let (mut state, events) = match snapshot {
            Ok(state) => (state.unwrap_or_default(), replay.events),
            Err(error) => {
                tracing::warn!(
                    "the whole journal is read, as its snapshot is of another form: {error}"
                );
                (State::default(), self.store.recover_from_start()?.events)
            }
        };
        for (at_ms, event) in events {
            state.apply(&event, at_ms);
        }
        Ok(state)
    }

    async fn end_left_over(&self, state: &State) {
        let keepers: Vec<ProcessIdentity> = state
            .runs()
            .filter_map(|live| live.process.clone())
            .map(|mark| ProcessIdentity {
                pid: mark.pid,
                start_time: mark.start_time,
                boot_id: mark.boot_id,
            })
            .collect();
        for reaped in reap(&keepers, PATIENCE).await {
            tracing::info!(?reaped, "looked after a process of the last life");
        }
    }

    /// From here on that is the state, and whoever had started a run stands behind it again.
    fn take_over(&self, state: State) {
        let mut core = self.core();
        core.callers = state
            .runs()
            .filter_map(|live| {
                let starter = live.run.starter.clone()?;
                Some((live.run.id.clone(), starter.restore()))
            })
            .collect();
        for run in state.runs().map(|live| &live.run).filter(|run| run.is_turn()) {
            self.talk.taken(run, None);
        }
        core.state = state;
    }

    /// Sets the clocks that do not begin with a start, and tries again what was not told yet.
    fn set_clocks_again(self: &Arc<Self>) {
        let now = now_ms();
        let (queued, trees, notices) = {
            let core = self.core();
            let queued = core.state.runs().filter(|live| live.phase == Phase::Queued);
            let queued: Vec<_> = queued.map(|live| live.run.clone()).collect();
            let trees: Vec<_> =
                core.state.tree_deadlines().map(|(top, at)| (top.clone(), at)).collect();
            let open = core.state.notices().iter().filter(|(_, notice)| notice.blocked.is_none());
            let notices: Vec<RunId> = open.map(|(run, _)| run.clone()).collect();
            (queued, trees, notices)
        };
        queued.iter().for_each(|run| self.set_queue_clock(run));
        for (top, at) in trees {
            self.set_tree_clock(&top, at.saturating_sub(now));
        }
        notices.iter().for_each(|run| self.deliver(run));
    }
}

/// The runs that devices had started which are not approved for as much any more, or cannot be
/// recognised. Whether a device is approved is looked up only where one has started something.
async fn disowned(state: &State, pairing: &PairingService) -> BTreeSet<RunId> {
    let of_devices: Vec<(RunId, Caller)> = state
        .runs()
        .filter_map(|live| match live.run.starter.clone()? {
            starter @ CallerRecord::Device { .. } => Some((live.run.id.clone(), starter.restore())),
            CallerRecord::Owner | CallerRecord::Run(_) => None,
        })
        .collect();
    if of_devices.is_empty() {
        return BTreeSet::new();
    }
    let upheld = pairing.with_state(|devices| {
        let upheld = |caller: &Caller| caller.device().is_some() && devices.upholds(caller, false);
        of_devices.iter().map(|(_, caller)| upheld(caller)).collect::<Vec<bool>>()
    });
    let upheld = upheld.await.unwrap_or_else(|refusal| {
        tracing::error!("the devices cannot be read, so nothing of theirs goes on: {refusal}");
        Vec::new()
    });
    let upheld = upheld.into_iter().chain(std::iter::repeat(false));
    let runs = of_devices.into_iter().zip(upheld);
    runs.filter(|(_, upheld)| !upheld).map(|((run, _), _)| run).collect()
}
