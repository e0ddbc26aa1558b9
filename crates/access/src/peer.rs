//! The two doors on the local socket: who stands at it, by the kernel's word.

use hatchery_protocol::{ErrorCode, RunId};

use crate::{Caller, Refusal, Remedy};

/// What the kernel says of a process that connected to the local socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPeer {
    /// The user the process runs as.
    pub uid: u32,
    /// Where the process stands in the tree of processes.
    pub place: LocalPlace,
}

/// Where a process stands in the tree of processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalPlace {
    /// Below no run: a terminal, an editor, a script of the owner's.
    Outside,
    /// Below a run: whatever user it has, it acts for that run.
    Inside(RunId),
    /// It ended before it could be placed, so nothing speaks for it.
    Unknown,
}

/// What a local peer still has to show before it is a [`Caller`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Nothing: the kernel's word was enough.
    Given(Caller),
    /// A ticket of this run.
    TicketOf(RunId),
}

/// Decides by which door a local peer comes in. A process of the gateway's own user is the owner,
/// unless it stands below a run: then it is that run and needs the run's ticket, so that no child
/// becomes the owner by asking at the owner's door.
///
/// # Errors
/// A [`Refusal`] for another user and for a process that cannot be placed.
pub fn admit(peer: &LocalPeer, our_uid: u32) -> Result<Proof, Refusal> {
    if peer.uid != our_uid {
        return Err(Refusal::forbidden(
            "NOT_THE_OWNER",
            "owner door",
            "this socket serves the user the gateway runs as, and nobody else",
            Remedy::Advice(
                "run the command as the gateway's user, or connect as a paired device".to_owned(),
            ),
        )
        .with_log(format!("uid {} at a gateway of uid {our_uid}", peer.uid)));
    }
    match &peer.place {
        LocalPlace::Outside => Ok(Proof::Given(Caller::Owner)),
        LocalPlace::Inside(run) => Ok(Proof::TicketOf(run.clone())),
        LocalPlace::Unknown => Err(Refusal::forbidden(
            "PEER_UNKNOWN",
            "owner door",
            "the connecting process ended before the gateway could tell who it was",
            Remedy::Advice("run the command again".to_owned()),
        )
        .in_class(ErrorCode::Unavailable)),
    }
}

#[cfg(test)]
mod tests {
    use hatchery_protocol::RunId;

    use super::{LocalPeer, LocalPlace, Proof, admit};
    use crate::Caller;

    #[test]
    fn only_the_owners_processes_outside_every_run_are_the_owner() {
        let run = RunId::new("r".into());
        let cases = [
            (1000, LocalPlace::Outside, Some(Proof::Given(Caller::Owner))),
            (1000, LocalPlace::Inside(run.clone()), Some(Proof::TicketOf(run.clone()))),
            (1000, LocalPlace::Unknown, None),
            (1001, LocalPlace::Outside, None),
            (1001, LocalPlace::Inside(run), None),
            (0, LocalPlace::Outside, None),
        ];
        for (uid, place, expected) in cases {
            let peer = LocalPeer { uid, place };
            assert_eq!(admit(&peer, 1000).ok(), expected, "{peer:?}");
        }
    }
}
