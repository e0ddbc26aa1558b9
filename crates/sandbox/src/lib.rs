//! Process trees: start contained, watch, kill whole.
//!
//! Every process the gateway starts lives under a *keeper*: a tiny process of our own that
//! starts one program, adopts every orphan below it and does not end before all of them have.
//! The gateway holds a [`Tree`], its end of the keeper's control socket. That socket is the
//! lifeline: when the gateway drops it, or dies, the keeper kills the tree.
//! Where the kernel allows it, a tree is a PID namespace of its own, which dies with its keeper.
//!
//! This crate knows processes and descriptors, and how much memory this one keeps, which is here
//! because it takes `unsafe`. It never knows runs, agents or tickets' content, and decides nothing
//! about who may start what.

mod adoption;
mod ancestry;
mod command;
mod containment;
mod control;
mod descriptor;
mod ending;
mod identity;
pub mod keeper;
mod memory;
mod network;
mod prepared;
mod proc;
mod reap;
mod starter;
mod stopper;
mod ticket;
mod tree;

pub use adoption::adopt_orphans;
pub use ancestry::{Ancestry, keeper_above};
pub use command::{CommandSpec, KeeperCommand, Network, StartError, Stdin};
pub use containment::{Containment, Hold};
pub use descriptor::{Share, inherited_descriptor};
pub use ending::{Ending, StartFailure};
pub use identity::ProcessIdentity;
pub use memory::{give_memory_back, have_few_heaps};
pub use prepared::PreparedTree;
pub use reap::{ReapOutcome, Reaped, reap};
pub use stopper::Stopper;
pub use ticket::{
    MAX_TICKET_BYTES, TICKET_FD, TicketError, TicketSource, take_ticket, ticket_channel,
};
pub use tree::{KeeperHandle, Tree};
