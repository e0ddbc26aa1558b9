//! Pairing and the device door's decision, held against their rules: tables of cases, properties
//! over all authorities, random histories, and a walk through every state of a small world.
#![allow(clippy::unwrap_used)]

mod commands;
mod connecting;
mod histories;
mod keyless;
mod nodes;
mod refusals;
mod setup_codes;
mod strangers;
mod walk;
mod widening;
mod world;
