//! The program as people meet it: the real binary, real processes, real sockets, real SQLite.
//! One test binary, so that it is linked once.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod acp_interop;
mod audit;
mod bad_frames;
mod bad_input;
mod budgets;
mod chat;
mod clocks;
mod crash;
mod dependencies;
mod device;
mod device_door;
mod device_tls;
mod device_wire;
mod devices;
mod exemptions;
mod export;
mod floods;
mod gateway_life;
mod help;
mod home;
mod journal_faults;
mod limits;
mod look;
mod looking;
#[allow(dead_code)]
mod model_server;
mod models;
mod nodes;
mod notices;
mod reattach;
mod receiver;
mod resuming;
mod runtimes;
mod spawn;
mod spawn_matrix;
mod stopping;
mod strangers;
mod taken_away;
mod tickets;
mod vanishing;
mod wire;
mod yielding;
