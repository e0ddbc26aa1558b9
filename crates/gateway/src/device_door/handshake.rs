//! From the challenge to `hello-ok` (OpenClaw protocol §1.2).

use std::sync::Arc;

use hatchery_protocol::{ConnectParams, ProtocolVersion, Response, event};
use serde_json::json;
use tokio::io::AsyncRead;

use super::admission::{Admitted, admit};
use super::closing::Farewell;
use super::{Visitor, WebSocket};
use crate::clock::now_ms;
use crate::connection::{HANDSHAKE_LIMIT, Incoming, Speaker, invalid, request};
use crate::event::{Reach, encode};
use crate::gateway::Shared;
use crate::hello;
use crate::hub::ConnectionId;
use crate::outbox::{Closing, Outbox, Share};

/// Finds out who is there; `None` for somebody who was not let in and has heard why.
pub(super) async fn greet<R: AsyncRead + Unpin>(
    shared: &Arc<Shared>,
    socket: &mut WebSocket<R>,
    visitor: Visitor,
    number: ConnectionId,
) -> Option<Arc<Speaker>> {
    let outbox = socket.outbox.clone();
    let nonce = match crate::ids::nonce() {
        Ok(nonce) => nonce,
        Err(error) => {
            tracing::error!("no challenge can be made: {error}");
            outbox.close(Closing::new(1011, "no randomness"));
            return None;
        }
    };
    challenge(&outbox, &nonce);
    let Ok(first) = tokio::time::timeout(HANDSHAKE_LIMIT, socket.next()).await else {
        outbox.close(Closing::new(1000, ""));
        return None;
    };
    let frame = first?.ok()?;
    let request = match request(&frame) {
        Ok(request) => request,
        Err(error) => {
            tracing::debug!("a first frame was no request: {}", error.message);
            outbox.close(Closing::new(1008, "invalid request frame"));
            return None;
        }
    };
    let id = request.id;
    let outcome = if request.method == "connect" {
        serde_json::from_value::<ConnectParams>(request.params.unwrap_or_default())
            .map_err(|error| {
                Farewell::invalid(invalid(&format!("invalid connect params: {error}")))
            })
            .and_then(|params| {
                let version = ProtocolVersion::settle(&params)
                    .ok_or_else(|| Farewell::protocol_mismatch(&params))?;
                let admitted = admit(shared, &visitor, &params, &nonce)?;
                Ok((params, version, admitted))
            })
    } else {
        Err(Farewell::invalid(invalid("invalid handshake: first request must be connect")))
    };
    match outcome {
        Ok((params, version, Admitted { caller, auth })) => {
            let speaker = Arc::new(Speaker { number, caller, version, outbox });
            let hello = hello::payload(shared, &speaker, &auth);
            speaker.outbox.answer_raw(&id, &hello, Share::None);
            speaker.join(shared, &params);
            tracing::info!(connection = number, caller = speaker.caller.describe(),
                from = %visitor.from, protocol = version.number(), "connected");
            Some(speaker)
        }
        Err(farewell) => {
            outbox.answer(Response::error(id, farewell.error), Share::None);
            outbox.close(farewell.closing);
            None
        }
    }
}

/// Says what the client's signature has to cover.
fn challenge(outbox: &Outbox, nonce: &str) {
    let payload = json!({"nonce": nonce, "ts": now_ms()});
    let event = encode(event::CONNECT_CHALLENGE, &payload, None, Reach::Some);
    // It has no number, so it is whole here.
    let line = [&event.body[..], b"}"].concat();
    if outbox.put_line(line.into(), Share::None).is_err() {
        tracing::debug!("a stranger was gone before the challenge");
    }
}
