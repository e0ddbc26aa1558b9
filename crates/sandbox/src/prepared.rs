//! A tree that is ready to begin and has not begun.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use crate::control;
use crate::identity::ProcessIdentity;
use crate::tree::Tree;

/// A keeper that waits for the word to start its program. Whoever has to know of a process before
/// it does anything writes down who it is now.
///
/// Dropping it ends the keeper, and so does the death of this process: the program never runs.
#[derive(Debug)]
pub struct PreparedTree {
    pub(crate) tree: Tree,
    /// What the program gets besides its outputs.
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) ticket: Option<Arc<OwnedFd>>,
}

impl PreparedTree {
    /// The process the tree can be recognised by: its keeper.
    #[must_use]
    pub fn identity(&self) -> &ProcessIdentity {
        self.tree.identity()
    }

    /// Lets the program start. Whether it can is told by how it ends.
    #[must_use]
    pub fn begin(self) -> Tree {
        let Self { tree, stdin, ticket } = self;
        let descriptors: Vec<_> =
            stdin.iter().map(AsFd::as_fd).chain(ticket.as_deref().map(AsFd::as_fd)).collect();
        // A keeper that is gone is found out by waiting for it.
        control::send_begin(tree.keeper.control(), &descriptors).ok();
        tree
    }

    /// Ends the keeper without having begun, and returns once it is gone.
    pub async fn give_up(self) {
        self.tree.keeper.give_up().await;
    }
}
