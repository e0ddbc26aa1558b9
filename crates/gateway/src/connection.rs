//! One connection on the local socket: frames in, frames out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hatchery_access::{Caller, Proof, Refusal};
use hatchery_protocol::{
    ConnectParams, ErrorCode, Features, Frame, HelloAuth, HelloOk, HelloPolicy, Line, LineBuffer,
    Method, PROTOCOL_VERSION, Request, Response, ServerInfo, WireError, event,
};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::dispatch::dispatch;
use crate::gateway::Shared;
use crate::outbox::{Outbox, Outgoing, Share};

/// The longest frame before a caller is known, in bytes (OpenClaw protocol §1.1).
const MAX_FIRST_FRAME: usize = 64 * 1024;

/// The longest frame after that, in bytes (OpenClaw protocol §1.1).
const MAX_FRAME: usize = 25 * 1024 * 1024;

/// How long a caller may take to say who it is.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// How long a frame may take to be written before the connection counts as dead. Until then a
/// slow reader slows down the run it watches.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// How many requests of one connection may be open, from being read until their answer is written;
/// more wait in the socket.
const MAX_OPEN_REQUESTS: usize = 64;

static NEXT_CONNECTION: AtomicU64 = AtomicU64::new(1);

/// Serves one connection to its end.
pub(crate) async fn serve(shared: Arc<Shared>, stream: UnixStream, proof: Proof, peer: String) {
    let (reader, writer) = stream.into_split();
    let (outbox, waiting) = Outbox::new();
    let number = NEXT_CONNECTION.fetch_add(1, Ordering::Relaxed);
    let mut writing = tokio::spawn(write_frames(writer, waiting));
    let reading = read_frames(&shared, reader, outbox, number, &proof, &peer);
    tokio::select! {
        () = reading => {}
        // Nothing can be answered any more.
        _ = &mut writing => {}
        () = shared.closing() => {}
        // Whoever holds a descriptor of a run's connection has nothing when the run is over.
        () = authority_ends(&shared, &proof) => {}
    }
    shared.supervisor.with_watchers(|watchers| watchers.silence(number));
    shared.hub.leave(number);
    // What stands in the outbox is still written, as long as somebody reads.
    if !writing.is_finished() && writing.await.is_err() {
        tracing::error!("a connection's writer has panicked");
    }
    shared.supervisor.connection_ended(number);
}

/// Returns once nobody stands behind the connection any more: its run is over.
async fn authority_ends(shared: &Shared, proof: &Proof) {
    match proof {
        Proof::Given(_) => std::future::pending().await,
        Proof::TicketOf(run) => shared.supervisor.run_ended(run).await,
    }
}

async fn read_frames(
    shared: &Arc<Shared>,
    reader: OwnedReadHalf,
    outbox: Outbox,
    number: u64,
    proof: &Proof,
    peer: &str,
) {
    let mut frames = Frames { reader, buffer: LineBuffer::new(MAX_FIRST_FRAME) };
    let Ok(Some(first)) = tokio::time::timeout(HANDSHAKE_LIMIT, frames.next()).await else {
        return;
    };
    let (id, hello) = match first {
        Ok(request) => {
            let hello = connect(shared, &request, number, proof, peer);
            (request.id, hello)
        }
        Err(error) => ("invalid".to_owned(), Err(error)),
    };
    let (caller, caps) = match hello {
        Ok((caller, caps, hello)) => {
            let payload = serde_json::to_value(hello).unwrap_or_default();
            outbox.answer(Response::ok(id, payload), Share::None);
            (Arc::new(caller), caps)
        }
        Err(error) => return outbox.answer(Response::error(id, error), Share::None),
    };
    shared.supervisor.with_watchers(|watchers| watchers.connected(number, outbox.clone()));
    shared.hub.join(number, (*caller).clone(), caps, outbox.clone());
    frames.buffer.set_limit(MAX_FRAME);
    let open = Arc::new(Semaphore::new(MAX_OPEN_REQUESTS));
    while let Some(frame) = frames.next().await {
        let request = match frame {
            Ok(request) => request,
            Err(error) => {
                outbox.answer(Response::error("invalid".to_owned(), error), Share::None);
                continue;
            }
        };
        // The semaphore is never closed, so this always gives a permit.
        let Ok(permit) = Arc::clone(&open).acquire_owned().await else { return };
        let share = Share::Of(Arc::new(permit));
        if request.method != Method::SessionsKill.name() {
            dispatch(shared, &caller, request, number, &outbox, share).await;
            continue;
        }
        // The one request that takes as long as a run takes to end: others must not wait for it.
        let (shared, outbox, caller) = (Arc::clone(shared), outbox.clone(), Arc::clone(&caller));
        tokio::spawn(
            async move { dispatch(&shared, &caller, request, number, &outbox, share).await },
        );
    }
}

/// Frames as they come off a connection.
struct Frames {
    reader: OwnedReadHalf,
    buffer: LineBuffer,
}

impl Frames {
    /// The next request, or why a line was none; `None` when nothing more comes.
    async fn next(&mut self) -> Option<Result<Request, WireError>> {
        loop {
            match self.buffer.next_line() {
                Some(Line::Complete(line)) if line.is_empty() => {}
                Some(Line::Complete(line)) => return Some(request(&line)),
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

fn request(line: &[u8]) -> Result<Request, WireError> {
    match serde_json::from_slice(line) {
        Ok(Frame::Req(request)) if !request.id.is_empty() => Ok(request),
        Ok(_) => Err(invalid("invalid request frame: a `req` with an id is expected")),
        Err(error) => Err(invalid(&format!("invalid request frame: {error}"))),
    }
}

fn invalid(message: &str) -> WireError {
    WireError::new(ErrorCode::InvalidRequest, message)
}

fn connect(
    shared: &Shared,
    request: &Request,
    number: u64,
    proof: &Proof,
    peer: &str,
) -> Result<(Caller, BTreeSet<String>, HelloOk), WireError> {
    if request.method != "connect" {
        return Err(invalid("invalid handshake: first request must be connect"));
    }
    let params: ConnectParams = serde_json::from_value(request.params.clone().unwrap_or_default())
        .map_err(|error| invalid(&format!("invalid connect params: {error}")))?;
    if params.min_protocol > PROTOCOL_VERSION || params.max_protocol < PROTOCOL_VERSION {
        return Err(invalid(&format!(
            "protocol mismatch: this gateway speaks {PROTOCOL_VERSION}; update whichever is older"
        )));
    }
    let ticket = params.auth.and_then(|auth| auth.ticket);
    // What is no base64 is a ticket that nobody made.
    let ticket = ticket.map(|text| STANDARD.decode(text.reveal()).unwrap_or_default());
    let caller = shared
        .supervisor
        .identify(proof, ticket.as_deref(), peer)
        .map_err(|refusal: Refusal| WireError::from(refusal))?;
    let hello = HelloOk {
        kind: "hello-ok".to_owned(),
        protocol: PROTOCOL_VERSION,
        server: ServerInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            conn_id: number.to_string(),
        },
        features: Features {
            methods: Method::ALL.iter().map(|method| method.name().to_owned()).collect(),
            events: [event::RUN_OUTPUT, event::RUN_STATE, event::SHUTDOWN]
                .map(str::to_owned)
                .into(),
            capabilities: Vec::new(),
        },
        snapshot: json!({}),
        auth: HelloAuth {
            role: caller.role(),
            scopes: caller.scopes().collect(),
            method: None,
            device_token: None,
            issued_at_ms: None,
        },
        policy: HelloPolicy {
            max_payload: MAX_FRAME,
            max_buffered_bytes: MAX_FRAME,
            tick_interval_ms: 30_000,
        },
    };
    let caps = params.caps.as_slice().iter().cloned().collect();
    Ok((caller, caps, hello))
}

async fn write_frames(mut writer: OwnedWriteHalf, mut waiting: UnboundedReceiver<Outgoing>) {
    while let Some(outgoing) = waiting.recv().await {
        match tokio::time::timeout(WRITE_LIMIT, writer.write_all(&outgoing.line)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                return tracing::warn!(
                    "a connection was closed: it did not read for {WRITE_LIMIT:?}"
                );
            }
        }
    }
}
