//! One connection, by whatever door it came: requests in, answers and events out.
//!
//! A door finds out who is there and makes a [`Speaker`] of it. From then on all connections are
//! the same. Reading and writing are one task, so that an idle connection costs little.

mod local;
mod speaker;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hatchery_protocol::{ErrorCode, Frame, Request, Response, WireError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use local::serve;
pub(crate) use speaker::{Origin, Speaker};
pub(crate) use writer::{Framing, write_frames};

use crate::dispatch::{self, dispatch};
use crate::gateway::Shared;
use crate::hub::ConnectionId;
use crate::outbox::{Closing, Outbox, Share};

/// The longest frame before a caller is known, in bytes (OpenClaw protocol §1.1).
pub(crate) const MAX_FIRST_FRAME: usize = 64 * 1024;

/// The longest frame after that, in bytes (OpenClaw protocol §1.1).
pub(crate) const MAX_FRAME: usize = 25 * 1024 * 1024;

/// How long a client may take to end its side of a connection.
const LINGER: Duration = Duration::from_secs(2);

/// How many requests of one connection may be open, from being read until their answer is written;
/// more wait in the socket.
const MAX_OPEN_REQUESTS: usize = 64;

/// How many requests of a role that may not make them are answered one after another before the
/// connection is ended (OpenClaw protocol §1.1).
const MAX_WRONG_ROLE: u32 = 10;

/// Frames as they come off a connection.
pub(crate) trait Incoming {
    /// The next frame, or why what came is none; `None` when nothing more comes.
    async fn next(&mut self) -> Option<Result<Bytes, WireError>>;
}

/// The number of the next connection.
pub(crate) fn next_number() -> ConnectionId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Carries a connection to its end. Reading ends when nothing more comes, or nothing can be
/// answered any more, or nobody stands behind the connection. What stands in the outbox then is
/// still written, as long as somebody reads.
pub(crate) async fn carry(
    shared: &Shared,
    number: ConnectionId,
    reading: impl Future<Output = ()>,
    writing: impl Future<Output = ()>,
) {
    let (mut reading, mut writing) = (std::pin::pin!(reading), std::pin::pin!(writing));
    let written = tokio::select! {
        biased;
        () = &mut reading => false,
        () = &mut writing => true,
    };
    shared.supervisor.with_watchers(|watchers| watchers.silence(number));
    shared.hub.leave(number);
    shared.invocations.left(number);
    if !written {
        writing.await;
    } else if tokio::time::timeout(LINGER, reading).await.is_err() {
        tracing::debug!(number, "a client did not end its side of a connection");
    }
    shared.supervisor.connection_ended(number);
}

/// Takes requests until nothing more comes, and answers them.
pub(crate) async fn converse(
    shared: &Arc<Shared>,
    speaker: &Arc<Speaker>,
    incoming: &mut impl Incoming,
) {
    let open = Arc::new(Semaphore::new(MAX_OPEN_REQUESTS));
    let mut wrong_role = 0;
    while let Some(frame) = incoming.next().await {
        let request = match frame.and_then(|frame| request(&frame)) {
            Ok(request) => request,
            Err(error) => {
                let response = Response::error("invalid".to_owned(), error);
                speaker.outbox.answer(response, Share::None);
                continue;
            }
        };
        let Some(permit) = room(&open, &speaker.outbox).await else { return };
        let share = Share::Of(Arc::new(permit));
        if speaker.outbox.is_revoked() {
            return;
        }
        if let Err(error) = dispatch::check_role(speaker.caller.role(), &request.method) {
            speaker.outbox.answer(Response::error(request.id, error), share);
            wrong_role += 1;
            if wrong_role > MAX_WRONG_ROLE {
                return speaker.outbox.close(Closing::new(1008, "repeated unauthorized calls"));
            }
            continue;
        }
        wrong_role = 0;
        let work = dispatch(Arc::clone(shared), Arc::clone(speaker), request, share);
        let mut work = Box::pin(work);
        // Requests begin in the order they come. What cannot be answered at once does not hold up
        // what comes after it.
        let begun = std::future::poll_fn(|cx| std::task::Poll::Ready(work.as_mut().poll(cx))).await;
        if begun.is_pending() {
            tokio::spawn(work);
        }
    }
}

/// A place among the open requests of a connection. Until there is one, nothing is read from it.
async fn room(open: &Arc<Semaphore>, outbox: &Outbox) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = Arc::clone(open).try_acquire_owned() {
        return Some(permit);
    }
    outbox.deafen(true);
    // The semaphore is never closed, so this always gives a permit.
    let permit = Arc::clone(open).acquire_owned().await.ok();
    outbox.deafen(false);
    permit
}

/// Reads a frame that has to be a request.
pub(crate) fn request(frame: &[u8]) -> Result<Request, WireError> {
    match serde_json::from_slice(frame) {
        Ok(Frame::Req(request)) if !request.id.is_empty() => Ok(request),
        Ok(_) => Err(invalid("invalid request frame: a `req` with an id is expected")),
        Err(error) => Err(invalid(&format!("invalid request frame: {error}"))),
    }
}

pub(crate) fn invalid(message: &str) -> WireError {
    WireError::new(ErrorCode::InvalidRequest, message)
}
