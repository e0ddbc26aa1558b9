//! The device door: whoever comes over the network.
//!
//! A stranger gets a challenge and has to answer it in one bounded frame and in bounded time. What
//! follows from the answer is decided by `access`; here it is only asked and carried out.

mod admission;
mod change;
mod closing;
mod handshake;
mod visitor;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use bytes::Bytes;
use hatchery_protocol::WireError;
use hyper::body::Incoming as RequestBody;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use admission::{Guesses, door_policy};
pub(crate) use change::watch;

use self::visitor::Visitor;
use crate::connection::{
    Framing, Incoming, MAX_FIRST_FRAME, MAX_FRAME, carry, converse, next_number, write_frames,
};
use crate::gateway::Shared;
use crate::lobby::PlaceInLobby;
use crate::outbox::{Closing, Outbox};
use crate::websocket::{Messages, Unreadable, upgrade};

/// Answers the request to become a WebSocket, and serves what it becomes.
pub(crate) fn open(
    shared: &Arc<Shared>,
    from: SocketAddr,
    place: Arc<PlaceInLobby>,
    mut request: Request<RequestBody>,
) -> Response<Body> {
    let response = match upgrade::answer(&request) {
        Ok(response) => response,
        Err(response) => return *response,
    };
    let config = shared.supervisor.settings.config();
    match Visitor::of(from, request.headers(), &config) {
        Ok(visitor) => {
            let upgraded = hyper::upgrade::on(&mut request);
            tokio::spawn(begin(Arc::clone(shared), Box::new(visitor), place, upgraded));
            response
        }
        Err(refusal) => {
            shared.supervisor.note_stranger(from.ip(), &refusal, "connect");
            let text = format!("{}\n{}\n", refusal.message, refusal.remedy.as_str());
            let mut response = Response::new(Body::from(text));
            *response.status_mut() = StatusCode::FORBIDDEN;
            response
        }
    }
}

async fn begin(
    shared: Arc<Shared>,
    visitor: Box<Visitor>,
    place: Arc<PlaceInLobby>,
    upgraded: OnUpgrade,
) {
    match upgraded.await {
        Ok(io) => Box::pin(serve(shared, TokioIo::new(io), visitor, place)).await,
        Err(error) => tracing::debug!("a request did not become a WebSocket: {error}"),
    }
}

/// Serves one WebSocket to its end.
async fn serve(
    shared: Arc<Shared>,
    io: impl AsyncRead + AsyncWrite,
    visitor: Box<Visitor>,
    place: Arc<PlaceInLobby>,
) {
    let (reader, writer) = tokio::io::split(io);
    let (outbox, waiting) = Outbox::new();
    let number = next_number();
    // Boxed, since a future that is handed on takes its room once for each hand.
    let writing = Box::pin(write_frames(writer, waiting, Framing::WebSocket));
    let reading = Box::pin(read(&shared, reader, outbox, visitor, place, number));
    carry(&shared, number, reading, writing).await;
}

async fn read<R: AsyncRead + Unpin>(
    shared: &Arc<Shared>,
    reader: R,
    outbox: Outbox,
    visitor: Box<Visitor>,
    place: Arc<PlaceInLobby>,
    number: u64,
) {
    let messages = Messages::new(reader, MAX_FIRST_FRAME, outbox.clone());
    let mut socket = WebSocket { messages, outbox, greeted: false };
    let ends = socket.outbox.clone();
    // A stranger keeps it to the end.
    let mut place = Some(place);
    let conversation = async {
        // Boxed, so that what the handshake needs is gone once it is over.
        let greeting = Box::pin(handshake::greet(shared, &mut socket, visitor, number));
        let speaker = tokio::select! {
            speaker = greeting => speaker,
            () = sent_away(place.as_deref()) => None,
        };
        if let Some(speaker) = speaker {
            place = None;
            socket.greeted = true;
            socket.messages.set_limit(MAX_FRAME);
            converse(shared, &speaker, &mut socket).await;
        }
    };
    tokio::select! {
        biased;
        () = conversation => {}
        () = ends.gone() => {}
        () = shared.closing() => ends.close(Closing::new(1012, "service restart")),
    }
    ends.hang_up();
    drop(ends);
    socket.messages.drain().await;
}

async fn sent_away(place: Option<&PlaceInLobby>) {
    match place {
        Some(place) => place.sent_away().await,
        None => std::future::pending().await,
    }
}

/// A WebSocket as frames come off it.
struct WebSocket<R> {
    messages: Messages<R>,
    outbox: Outbox,
    /// Whether the other end is known.
    greeted: bool,
}

impl<R: AsyncRead + Unpin> Incoming for WebSocket<R> {
    async fn next(&mut self) -> Option<Result<Bytes, WireError>> {
        let unreadable = match self.messages.next().await {
            Ok(message) => return Some(Ok(message)),
            Err(unreadable) => unreadable,
        };
        match unreadable {
            Unreadable::Ended => {}
            Unreadable::TooLong if self.greeted => {
                self.outbox.close(Closing::new(1009, "payload too large"));
            }
            Unreadable::TooLong => {
                self.outbox.close(Closing::new(1009, "preauth payload too large"));
            }
            Unreadable::Broken => self.outbox.close(Closing::new(1002, "protocol error")),
        }
        None
    }
}
