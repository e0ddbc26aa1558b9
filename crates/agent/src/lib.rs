//! The built-in agent: turns and models, for whichever host runs it.
//!
//! A turn takes a task and ends with an answer, a cancel or a named failure. What it prints on
//! the way goes to a [`Host`], which may be the gateway in the same process or a peer on a pipe;
//! the agent cannot tell and never asks. It never names the gateway, reads no configuration and
//! takes nothing from the environment of the process it is in: a [`Workplace`] says where it works,
//! a [`Model`] whom it asks.

mod cancel;
mod chat;
mod command;
mod conversation;
mod host;
mod model;
mod output;
pub mod outward;
mod report;
mod turn;
mod workplace;

pub use cancel::Cancel;
pub use chat::{
    MAX_ANSWER_BYTES, MAX_ATTEMPTS, MAX_RETRY_AFTER, ModelFailure, Stage as ModelStage, prompt,
};
pub use command::command_line;
pub use conversation::{Conversation, Message, Speaker};
pub use host::{Host, StartingCommand};
pub use model::{
    BACK_OFF, ChatModel, FIRST_BYTE_DEADLINE, IDLE_DEADLINE, Model, ModelDeadlines, SHELL_MODEL,
};
pub use report::{ModelReport, Usage};
pub use turn::{TurnEnd, TurnFailure, run_turn};
pub use workplace::{TICKET_FD_VARIABLE, Workplace};
