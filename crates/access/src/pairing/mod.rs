//! Pairing: which devices are let in, for what, and who decides it.
//!
//! [`PairingState`] is a fold over [`PairingEvent`]s. [`PairingState::decide`] turns a command of
//! a known caller into events or a refusal, and [`crate::connect::admit_device`] does the same
//! for a device that connects. Nothing here reads a clock, draws a token or writes a file: time
//! and fresh tokens come in as arguments, events and replies go out. No event and no record holds
//! a secret, only its hash.

pub(crate) mod approve;
mod ask;
mod command;
mod decide;
mod event;
mod explain;
mod hand;
pub(crate) mod node;
mod paired;
mod pending;
mod setup;
mod state;
mod token;
mod tokens;

pub use command::{Cleared, Command, Decision, Reply};
pub use event::{Disconnect, Dropped, PairingEvent};
pub use explain::{Explanation, RuleLine};
pub use node::{MAX_NODE_COMMAND_CHARS, MAX_NODE_COMMANDS, NodeRequest, is_dangerous};
pub use paired::{ApprovedVia, DeviceToken, PairedDevice};
pub use pending::{
    About, MAX_PENDING, MAX_PENDING_PER_SOURCE, NotSilent, PENDING_TTL_MS, PendingRequest, Reason,
    RequestId,
};
pub use setup::{MAX_SETUP_CODES, NOT_FOR_STRANGERS, SETUP_CODE_TTL_MS, SetupCode, SetupProfile};
pub use state::{MAX_OUTCOMES, MAX_OUTCOMES_PER_DEVICE, MAX_PAIRED, Outcome, PairingState};
pub use token::{FreshToken, PublicKey, TokenHash};

pub(crate) use ask::Ask;
pub(crate) use paired::within;
