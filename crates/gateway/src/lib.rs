//! Doors, dispatch and effects: the process that stays up.
//!
//! A connection comes in by a door, is told apart by what the kernel says of it, and its requests
//! go through one dispatcher to handlers that take a permit. What they ask for is decided by
//! `access` and `spawn`; the supervisor here makes decisions durable and carries out what follows.
//! Nothing in this crate decides who may do what.

mod approvals;
mod asker;
mod chat_commands;
mod clock;
mod commands;
pub mod config;
mod connection;
mod control_ui;
mod descriptors;
mod device_door;
mod dispatch;
mod door;
mod error;
mod event;
mod fold;
mod gateway;
mod gateway_key;
mod hello;
mod http;
mod hub;
mod ids;
mod invocations;
mod kept;
mod launcher;
mod lobby;
mod lock;
mod log;
mod methods;
mod models;
mod outbox;
mod pairing;
mod policy;
mod presence;
mod pulse;
mod session_names;
mod settings;
mod socket;
mod state_directory;
mod supervisor;
mod talk;
mod tick;
mod tls;
mod watchers;
mod websocket;

pub use error::StartError;
pub use gateway::{Doors, Gateway, Options};
pub use lock::{Holder, Lock, LockError};
pub use log::{LogFile, MAX_LOG_BYTES};
pub use pulse::PULSE_INTERVAL;
pub use socket::connect;
pub use state_directory::{NoStateDirectory, StateDirectory};
pub use tls::TlsError;
