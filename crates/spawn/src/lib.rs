//! The run tree as a decider: commands in, events or a typed refusal out.
//!
//! [`step`] looks at the state of all live runs, the settings and one command, says what happens
//! and folds it into the state; [`effects`] names what the outside world has to do once it is
//! durable. The state is nothing but what its events add up to ([`State::apply`]). There is no
//! I/O, no clock, no randomness and no async here: time and ids come in with the command.

mod admission;
mod announce;
mod budget;
mod command;
mod deadline;
mod decide;
mod effect;
mod event;
mod lifecycle;
mod model_choice;
mod notice;
mod outcome;
mod policy;
mod queue;
mod recovery;
mod refusal;
mod run;
mod spending;
mod state;
mod waiting;

pub use budget::{Account, Budget, BudgetPart, Spend};
pub use command::{Command, LastWords, SpawnRequest, TurnRequest};
pub use deadline::{Clock, Deadlines};
pub use decide::{Step, step};
pub use effect::{Effect, effects};
pub use event::{AddedMessage, Event, SessionSettings, Speaker};
pub use model_choice::check_model;
pub use notice::{LONGEST_PAUSE_MS, MAX_OPEN_NOTICES, NOTICE_KEPT_MS, Notice, Route};
pub use outcome::{Ending, MAX_FILES_TOUCHED, Outcome, StopReason, Usage};
pub use policy::{
    AgentPolicy, AllowAgents, MAX_QUEUED_RUNS, MAX_QUEUED_TASK_BYTES, MAX_TURNS, MAX_WAITING_TURNS,
    Policy, ProviderModels, QueueRoom,
};
pub use queue::FairQueue;
pub use recovery::{MAX_QUEUED_AGE_MS, MAX_RESTARTS};
pub use refusal::{AllowList, SpawnRefusal};
pub use run::{Ancestor, Asked, ProcessMark, Run, Wait};
pub use state::{LiveRun, Phase, State};
