//! The rules of the run tree by idea, and a walk through every state of a small tree.
#![allow(clippy::unwrap_used, missing_docs)]

mod budgets;
mod clocks;
mod inboxes;
mod notices;
mod recovering;
mod shutting_down;
mod snapshots;
mod turns_of_slots;
mod waiting;
mod world;
