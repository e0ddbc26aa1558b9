//! What the outside world has to do once an event is durable.

use hatchery_protocol::RunId;

use crate::Event;

/// Something to do outside, after the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start the run in its runtime, with its grant, its ticket and its deadline.
    Start(RunId),
    /// Start it again and have its agent go on from where it was.
    Resume(RunId),
    /// Stop the run's whole tree of processes and take its authority away.
    Stop(RunId),
    /// The run is over: forget its timers, its tickets, its subscribers.
    Release(RunId),
    /// Tell the run's result on its route, once that is due.
    Deliver(RunId),
}

/// The effect that follows from an event.
#[must_use]
pub fn effects(event: &Event) -> Option<Effect> {
    match event {
        Event::RunStarting { run } => Some(Effect::Start(run.clone())),
        Event::RunRestarting { run } => Some(Effect::Resume(run.clone())),
        Event::RunStopping { run, .. } => Some(Effect::Stop(run.clone())),
        Event::RunFinished { run, .. } => Some(Effect::Release(run.clone())),
        Event::NoticeDue { run, .. } => Some(Effect::Deliver(run.clone())),
        Event::RunAccepted { .. }
        | Event::RunRunning { .. }
        | Event::RunResumable { .. }
        | Event::RunWaiting { .. }
        | Event::RunResumed { .. }
        | Event::BudgetReserved { .. }
        | Event::BudgetSettled { .. }
        | Event::RunAnnounced { .. }
        | Event::AnnounceMoved { .. }
        | Event::NoticeDelivered { .. }
        | Event::NoticeBlocked { .. }
        | Event::NoticeDismissed { .. }
        | Event::SessionOpened { .. }
        | Event::SessionPatched { .. }
        | Event::SessionReset { .. }
        | Event::SessionDeleted { .. }
        | Event::SessionArchived { .. }
        | Event::SessionReopened { .. }
        | Event::MessageAdded { .. }
        | Event::Refused { .. } => None,
    }
}
