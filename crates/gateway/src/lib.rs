//! Doors, dispatch and effects: the process that stays up.
//!
//! A connection comes in by a door, is told apart by what the kernel says of it, and its requests
//! go through one dispatcher to handlers that take a permit. What they ask for is decided by
//! `access` and `spawn`; the supervisor here makes decisions durable and carries out what follows.
//! Nothing in this crate decides who may do what.

mod asker;
mod chat_commands;
mod clock;
pub mod config;
mod connection;
mod dispatch;
mod door;
mod error;
mod gateway;
mod http;
mod hub;
mod ids;
mod launcher;
mod lock;
mod log;
mod methods;
mod models;
mod outbox;
mod policy;
mod refusal_log;
mod session_row;
mod settings;
mod socket;
mod state_directory;
mod supervisor;
mod talk;
mod watchers;

pub use error::StartError;
pub use gateway::{Doors, Gateway, Options};
pub use lock::{Holder, Lock, LockError};
pub use log::{LogFile, MAX_LOG_BYTES};
pub use socket::connect;
pub use state_directory::{NoStateDirectory, StateDirectory};
