//! The run tree as a decider: commands in, events or a typed refusal out.
//!
//! [`decide`] looks at the state of all live runs, the settings and one command, and says what
//! happens; [`State::apply`] folds what happened into the state; [`effects`] names what the
//! outside world has to do once it is durable. There is no I/O, no clock, no randomness and no
//! async here: time and ids come in with the command.

mod admission;
mod decide;
mod effect;
mod event;
mod model_choice;
mod outcome;
mod policy;
mod refusal;
mod run;
mod state;

pub use decide::{Command, LastWords, SpawnRequest, TurnRequest, decide};
pub use effect::{Effect, effects};
pub use event::{AddedMessage, Event, SessionSettings, Speaker};
pub use model_choice::check_model;
pub use outcome::{Ending, Outcome, StopReason, Usage};
pub use policy::{
    AgentPolicy, AllowAgents, MAX_QUEUED_RUNS, MAX_TURNS, MAX_WAITING_TURNS, Policy, ProviderModels,
};
pub use refusal::{AllowList, SpawnRefusal};
pub use run::{Ancestor, Asked, ProcessMark, Run};
pub use state::{LiveRun, Phase, State};
