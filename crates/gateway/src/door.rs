//! The local door: who has connected to the owner's socket.

use std::sync::Arc;
use std::time::Duration;

use hatchery_access::{LocalPeer, LocalPlace, Proof, Refusal, Remedy, admit};
use hatchery_protocol::{ErrorCode, Frame, Response, WireError};
use hatchery_sandbox::{Ancestry, keeper_above};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::UCred;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::OwnedSemaphorePermit;

use crate::connection;
use crate::gateway::Shared;
use crate::outbox::encode;

/// How long the door rests when no connection can be taken (no descriptors left, say).
const REST: Duration = Duration::from_millis(100);

/// How many connections all runs together may have open.
pub(crate) const MAX_RUN_CONNECTIONS: usize = 256;

/// Takes connections until the task is ended.
pub(crate) async fn accept(shared: Arc<Shared>, listener: UnixListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(Arc::clone(&shared), stream));
            }
            Err(error) => {
                tracing::error!("the owner's socket takes no connection: {error}");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Serves one connection once it is known who stands there.
pub(crate) async fn serve(shared: Arc<Shared>, stream: UnixStream) {
    let credentials = match stream.peer_cred() {
        Ok(credentials) => credentials,
        Err(error) => return tracing::warn!("a connection without credentials: {error}"),
    };
    let peer = describe(&credentials);
    let admitted = admit(&local_peer(&shared, &credentials), nix::unistd::geteuid().as_raw());
    let admitted = admitted.and_then(|proof| {
        let room = room_for(&shared, &proof)?;
        Ok((proof, room))
    });
    match admitted {
        Ok((proof, _room)) => connection::serve(shared, stream, proof, peer).await,
        Err(refusal) => {
            shared.supervisor.note_refusal(&peer, &refusal, "connect");
            turn_away(stream, refusal).await;
        }
    }
}

/// Runs share a limited number of connections, so that none of them can use up what the owner
/// needs to come in and stop it.
fn room_for(shared: &Shared, proof: &Proof) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
    let Proof::TicketOf(_) = proof else { return Ok(None) };
    let room = Arc::clone(&shared.run_connections).try_acquire_owned();
    room.map(Some).map_err(|_| {
        Refusal::forbidden(
            "TOO_MANY_CONNECTIONS",
            "connections of runs",
            format!("the runs of this gateway have {MAX_RUN_CONNECTIONS} connections open already"),
            Remedy::Advice("close a connection, or wait for a run to end".to_owned()),
        )
        .in_class(ErrorCode::Unavailable)
    })
}

/// The process at the other end, by the kernel's word.
fn local_peer(shared: &Shared, credentials: &UCred) -> LocalPeer {
    LocalPeer { uid: credentials.uid(), place: place(shared, credentials.pid()) }
}

/// A process below us that stands under no keeper we know of is one whose run is only just
/// starting. It must not pass for the owner, so it counts as unknown.
fn place(shared: &Shared, pid: Option<i32>) -> LocalPlace {
    let ours = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    let Some(pid) = pid else { return LocalPlace::Unknown };
    if pid == ours {
        return LocalPlace::Outside;
    }
    let is_keeper = |pid| pid == ours || shared.supervisor.run_of_keeper(pid).is_some();
    match keeper_above(pid, is_keeper) {
        Ancestry::Outside => LocalPlace::Outside,
        Ancestry::Unknown => LocalPlace::Unknown,
        Ancestry::Under(keeper) => match shared.supervisor.run_of_keeper(keeper) {
            Some(run) => LocalPlace::Inside(run),
            None => LocalPlace::Unknown,
        },
    }
}

fn describe(credentials: &UCred) -> String {
    match credentials.pid() {
        Some(pid) => format!("process {pid} of user {}", credentials.uid()),
        None => format!("a process of user {}", credentials.uid()),
    }
}

async fn turn_away(mut stream: UnixStream, refusal: Refusal) {
    let response = Response::error("connect".to_owned(), WireError::from(refusal));
    let line = [&encode(&Frame::Res(response))[..], b"\n"].concat();
    if stream.write_all(&line).await.is_err() {
        tracing::debug!("a refused connection was gone before its answer");
    }
}

/// A connection of this very process, which needs no socket on disk.
pub(crate) fn connect_within(shared: &Arc<Shared>) -> std::io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    let proof = Proof::Given(hatchery_access::Caller::Owner);
    tokio::spawn(connection::serve(Arc::clone(shared), ours, proof, "this process".to_owned()));
    Ok(theirs)
}
