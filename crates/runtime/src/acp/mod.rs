//! The Agent Client Protocol, wire version 1, on both sides of the pipe.
//!
//! One JSON object per line. [`serve_agent`] is the agent's side: what `hatchery agent` speaks,
//! to this program or to an editor. The client's side runs any command that speaks ACP and copes
//! with how real agents stray from the protocol: unknown updates pass by, unknown requests are
//! refused, junk lines are dropped, and every wait ends.
//!
//! The protocol has no place for a command's exit code, its two streams, or bytes that are no
//! text. Between two ends of ours these travel in `_meta` under `hatchery`, where every other
//! agent and client passes them by.

mod agent;
pub(crate) mod client;
mod meta;
mod peer;
mod pending;
mod reader;
mod rpc;
mod wire;
mod writer;

pub use agent::{AgentSide, serve_agent};
