//! A connection on the local socket: one frame per line.

use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hatchery_access::{Proof, Refusal};
use hatchery_protocol::{
    ConnectParams, Line, LineBuffer, PROTOCOL_VERSION, ProtocolVersion, Request, Response,
    WireError,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;

use super::{
    Framing, Incoming, MAX_FIRST_FRAME, MAX_FRAME, Origin, Speaker, carry, converse, invalid,
    next_number, write_frames,
};
use crate::gateway::Shared;
use crate::hello;
use crate::outbox::{Closing, Outbox, Share};

/// How long a caller may take to say who it is.
const GREETING_LIMIT: Duration = Duration::from_secs(10);

/// Serves one connection to its end.
pub(crate) async fn serve(shared: Arc<Shared>, stream: UnixStream, proof: Proof, peer: String) {
    let (reader, writer) = stream.into_split();
    let (outbox, waiting) = Outbox::new();
    let number = next_number();
    let reading = async {
        let nothing_can_be_said = outbox.clone();
        tokio::select! {
            biased;
            () = read(&shared, reader, outbox, &proof, &peer, number) => {}
            () = nothing_can_be_said.gone() => {}
            () = shared.closing() => {}
            // Whoever holds a descriptor of a run's connection has nothing when the run is over.
            () = authority_ends(&shared, &proof) => {}
        }
    };
    let writing = write_frames(writer, waiting, Framing::Lines);
    carry(&shared, number, Box::pin(reading), Box::pin(writing)).await;
}

/// Returns once nobody stands behind the connection any more: its run is over.
async fn authority_ends(shared: &Shared, proof: &Proof) {
    match proof {
        Proof::Given(_) => std::future::pending().await,
        Proof::TicketOf(run) => shared.supervisor.run_ended(run).await,
    }
}

async fn read(
    shared: &Arc<Shared>,
    reader: OwnedReadHalf,
    outbox: Outbox,
    proof: &Proof,
    peer: &str,
    number: u64,
) {
    let mut lines = Lines { reader, buffer: LineBuffer::new(MAX_FIRST_FRAME) };
    let Ok(Some(first)) = tokio::time::timeout(GREETING_LIMIT, lines.next()).await else {
        return;
    };
    let first = match first.and_then(|frame| super::request(&frame)) {
        Ok(request) => request,
        Err(error) => {
            return outbox.answer(Response::error("invalid".to_owned(), error), Share::None);
        }
    };
    let greeting = connect(shared, &first, outbox.clone(), number, proof, peer);
    let (speaker, params) = match greeting.await {
        Ok(greeted) => greeted,
        Err(error) => return outbox.answer(Response::error(first.id, error), Share::None),
    };
    drop(outbox);
    let hello = hello::payload(shared, &speaker, &hello::auth(&speaker.caller));
    speaker.outbox.answer_raw(&first.id, &hello, Share::None);
    speaker.join(shared, &params, &Origin::default());
    drop((first, params));
    lines.buffer.set_limit(MAX_FRAME);
    converse(shared, &speaker, &mut lines).await;
    if is_hung_up(&lines.reader) {
        // What waits has no reader; nor has what a silent run would say one day.
        speaker.outbox.cut(Closing::new(1001, "hung up"));
    }
}

/// Whether the other end has closed the socket, and not only its own direction of it.
fn is_hung_up(reader: &OwnedReadHalf) -> bool {
    let stream: &UnixStream = reader.as_ref();
    let mut polled = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    let hung_up = |polled: &PollFd<'_>| {
        polled.revents().is_some_and(|told| told.contains(PollFlags::POLLHUP))
    };
    poll(&mut polled, PollTimeout::ZERO).is_ok() && hung_up(&polled[0])
}

async fn connect(
    shared: &Shared,
    request: &Request,
    outbox: Outbox,
    number: u64,
    proof: &Proof,
    peer: &str,
) -> Result<(Arc<Speaker>, ConnectParams), WireError> {
    if request.method != "connect" {
        return Err(invalid("invalid handshake: first request must be connect"));
    }
    let params: ConnectParams = serde_json::from_value(request.params.clone().unwrap_or_default())
        .map_err(|error| invalid(&format!("invalid connect params: {error}")))?;
    let Some(version) = ProtocolVersion::settle(&params) else {
        return Err(invalid(&format!(
            "protocol mismatch: this gateway speaks {PROTOCOL_VERSION}; update whichever is older"
        )));
    };
    let ticket = params.auth.as_ref().and_then(|auth| auth.ticket.as_ref());
    // What is no base64 is a ticket that nobody made.
    let ticket = ticket.map(|text| STANDARD.decode(text.reveal()).unwrap_or_default());
    let caller = shared
        .supervisor
        .identify(proof, ticket, peer)
        .await
        .map_err(|refusal: Refusal| WireError::from(refusal))?;
    Ok((Arc::new(Speaker { number, caller, version, outbox }), params))
}

/// Frames as lines.
struct Lines {
    reader: OwnedReadHalf,
    buffer: LineBuffer,
}

impl Incoming for Lines {
    async fn next(&mut self) -> Option<Result<Bytes, WireError>> {
        loop {
            match self.buffer.next_line() {
                Some(Line::Complete(line)) if line.is_empty() => {}
                Some(Line::Complete(line)) => return Some(Ok(line)),
                Some(Line::TooLong) => return Some(Err(invalid("the frame is too long"))),
                None => {
                    // A reset connection has ended like any other.
                    let read = self.reader.read_buf(self.buffer.incoming()).await.unwrap_or(0);
                    if read == 0 {
                        return None;
                    }
                }
            }
        }
    }
}
