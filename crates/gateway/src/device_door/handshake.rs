//! From the challenge to `hello-ok` (OpenClaw protocol §1.2).

use std::sync::Arc;
use std::time::Duration;

use hatchery_access::connect::{Admitted, AuthMethod};
use hatchery_protocol::{ConnectParams, ProtocolVersion, Request, Response, event};
use serde_json::json;
use tokio::io::AsyncRead;

use super::WebSocket;
use super::admission::admit;
use super::closing::Farewell;
use super::visitor::Visitor;
use crate::clock::now_ms;
use crate::connection::{Incoming, Origin, Speaker, invalid, request};
use crate::event::{Reach, encode};
use crate::gateway::Shared;
use crate::hello;
use crate::hub::ConnectionId;
use crate::outbox::{Closing, Outbox, Share};

/// Finds out who is there; `None` for somebody who was not let in and has heard why.
pub(super) async fn greet<R: AsyncRead + Unpin>(
    shared: &Arc<Shared>,
    socket: &mut WebSocket<R>,
    visitor: Box<Visitor>,
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
    let limit = shared.supervisor.settings.config().gateway.handshake_timeout_ms;
    let limit = Duration::from_millis(limit);
    let Ok(first) = tokio::time::timeout(limit, socket.next()).await else {
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
    let id = request.id.clone();
    match decide(shared, &visitor, request, &nonce, number).await {
        Ok((params, version, admitted)) => {
            let Admitted { caller, method, issued, by_device_token, .. } = *admitted;
            let mut auth = hello::auth(&caller);
            auth.method = Some(method.as_str().to_owned());
            if let Some(issued) = issued {
                auth.device_token = Some(issued.token);
                auth.issued_at_ms = Some(issued.issued_at_ms);
            }
            let speaker = Arc::new(Speaker { number, caller, version, outbox });
            let hello = hello::payload(shared, &speaker, &auth);
            speaker.outbox.answer_raw(&id, &hello, Share::None);
            let address = visitor.source.address.to_string();
            let by_secret = !matches!(method, AuthMethod::DeviceToken | AuthMethod::BootstrapToken);
            let by_own_token = by_device_token;
            let origin = Origin { by_secret, by_own_token, address: Some(&address) };
            speaker.join(shared, &params, &origin);
            tracing::info!(connection = number, caller = speaker.caller.describe(),
                from = %visitor.source, protocol = version.number(), method = method.as_str(),
                "connected");
            Some(speaker)
        }
        Err(farewell) => {
            outbox.answer(Response::error(id, farewell.error), Share::None);
            outbox.close(farewell.closing);
            None
        }
    }
}

async fn decide(
    shared: &Shared,
    visitor: &Visitor,
    request: Request,
    nonce: &str,
    number: ConnectionId,
) -> Result<(ConnectParams, ProtocolVersion, Box<Admitted>), Farewell> {
    if request.method != "connect" {
        let error = invalid("invalid handshake: first request must be connect");
        return Err(Farewell::invalid(error));
    }
    let params: ConnectParams = serde_json::from_value(request.params.unwrap_or_default())
        .map_err(|error| Farewell::invalid(invalid(&format!("invalid connect params: {error}"))))?;
    let version =
        ProtocolVersion::settle(&params).ok_or_else(|| Farewell::protocol_mismatch(&params))?;
    let device = params.device.as_ref().map(|device| device.id.as_str());
    shared.hub.arrive(number, device);
    let admitted = admit(shared, visitor, &params, version, nonce).await?;
    Ok((params, version, admitted))
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
