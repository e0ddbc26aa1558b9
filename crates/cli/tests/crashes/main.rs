//! The gateway dies at every named point of its life, with real processes under it, and nothing
//! that was promised is lost, done twice or left running.
//!
//! A round is a home of its own: gateways that are killed one after another while work comes in,
//! and one at last that is not, which is asked what became of everything. `CRASH_ROUNDS` says how
//! many rounds, `CRASH_SEED` which, `CRASH_ROUND` that only this one of them. A seed settles what
//! is asked for and where the gateway dies; how the processes interleave is the machine's choice.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod apart;
mod asking;
mod client;
mod gateway;
#[path = "../conformance/home.rs"]
#[allow(dead_code)]
mod home;
mod journal;
mod life;
mod plan;
mod processes;
mod random;
#[path = "../conformance/receiver.rs"]
#[allow(dead_code)]
mod receiver;
mod record;
mod recycled;
mod round;
mod rounds;
mod story;
mod verdict;
mod work;
