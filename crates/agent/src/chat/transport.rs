//! HTTP to a provider: one request's way to its response.
//!
//! Redirects are not followed: a key goes to the host it was configured for and nowhere else.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::{Duration, timeout};

use super::failure::{ModelFailure, Stage};
use super::words::{code, message, origin, shown};
use crate::ChatModel;
use crate::outward::{self, NotAnswered, innermost};

/// The most of an error's body that is read.
const ERROR_BYTES: usize = 64 * 1024;

/// Sends a request and gives the response once it begins, if it is one of success.
pub(crate) async fn send(
    model: &ChatModel,
    body: Vec<u8>,
) -> Result<Response<Incoming>, ModelFailure> {
    let request = request(model, body)?;
    let limit = model.deadlines.first_byte;
    let response = match timeout(limit, outward::send(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(not_answered(model, &error)),
        Err(_) => return Err(silent(model, Stage::FirstByte, limit)),
    };
    if response.status().is_success() { Ok(response) } else { Err(refused(model, response).await) }
}

/// The next piece of a response; none at its end.
pub(crate) async fn next_piece(
    model: &ChatModel,
    body: &mut Incoming,
) -> Result<Option<Bytes>, ModelFailure> {
    let limit = model.deadlines.idle;
    loop {
        match timeout(limit, body.frame()).await {
            Err(_) => return Err(silent(model, Stage::NextPiece, limit)),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(broken(model, &innermost(&error))),
            // Trailers carry nothing of an answer.
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// The beginning of a response's body as text, for an error.
pub(crate) async fn beginning(model: &ChatModel, mut body: Incoming) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < ERROR_BYTES
        && let Ok(Some(piece)) = next_piece(model, &mut body).await
    {
        bytes.extend_from_slice(&piece);
    }
    bytes.truncate(ERROR_BYTES);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A response that ended too early, or whose connection did.
pub(crate) fn broken(model: &ChatModel, reason: &str) -> ModelFailure {
    ModelFailure::Broken { provider: model.provider.clone(), reason: shown(model, reason) }
}

fn request(model: &ChatModel, body: Vec<u8>) -> Result<Request<Full<Bytes>>, ModelFailure> {
    let url = format!("{}/chat/completions", model.base_url.trim_end_matches('/'));
    let uri: Uri = url.parse().map_err(|_| unreachable(model, "that is not a URL"))?;
    let mut request = Request::post(uri)
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| unreachable(model, "that is not a URL"))?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let agent = concat!("hatchery/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    if let Some(key) = &model.api_key {
        let value = format!("Bearer {}", key.reveal().trim());
        headers.insert(AUTHORIZATION, secret(model, "the key", &value)?);
    }
    for (name, value) in &model.headers {
        let parsed = HeaderName::from_bytes(name.as_bytes());
        let parsed = parsed.map_err(|_| bad_header(model, &format!("`{name}` is no header")))?;
        headers.insert(parsed, secret(model, &format!("the header `{name}`"), value.reveal())?);
    }
    Ok(request)
}

fn secret(model: &ChatModel, what: &str, text: &str) -> Result<HeaderValue, ModelFailure> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| bad_header(model, &format!("{what} holds what a header cannot carry")))?;
    value.set_sensitive(true);
    Ok(value)
}

fn bad_header(model: &ChatModel, message: &str) -> ModelFailure {
    let (provider, message) = (model.provider.clone(), message.to_owned());
    ModelFailure::BadRequest { provider, status: 400, message }
}

fn silent(model: &ChatModel, stage: Stage, limit: Duration) -> ModelFailure {
    ModelFailure::Deadline { provider: model.provider.clone(), stage, limit }
}

fn unreachable(model: &ChatModel, reason: &str) -> ModelFailure {
    ModelFailure::Unreachable {
        provider: model.provider.clone(),
        place: origin(&model.base_url),
        reason: shown(model, reason),
    }
}

fn not_answered(model: &ChatModel, error: &NotAnswered) -> ModelFailure {
    match error {
        NotAnswered::Unreachable(reason) => unreachable(model, reason),
        NotAnswered::BrokeOff(reason) => broken(model, &format!("before it began: {reason}")),
    }
}

/// What a response other than success means.
async fn refused(model: &ChatModel, response: Response<Incoming>) -> ModelFailure {
    let (head, body) = response.into_parts();
    let body = beginning(model, body).await;
    let provider = model.provider.clone();
    let message = shown(model, &message(&body));
    let status = head.status.as_u16();
    match (status, code(&body).as_str()) {
        (402, _) | (_, "insufficient_quota" | "billing_hard_limit_reached") => {
            ModelFailure::Billing { provider, message }
        }
        (401 | 403, _) => ModelFailure::Authentication { provider, status, message },
        (429, _) => {
            ModelFailure::RateLimited { provider, message, retry_after: retry_after(&head.headers) }
        }
        (404, _) | (400, "model_not_found") => {
            ModelFailure::UnknownModel { provider, model: model.id.clone(), message }
        }
        (408 | 409 | 425, _) => ModelFailure::Server { provider, status, message },
        _ if head.status.is_server_error() => ModelFailure::Server { provider, status, message },
        _ if head.status.is_redirection() => {
            let message = "it sends us elsewhere, and a key is not sent after that".to_owned();
            ModelFailure::BadRequest { provider, status, message }
        }
        _ => ModelFailure::BadRequest { provider, status, message },
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse::<f64>().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Whether a response is a stream of events, as was asked for.
pub(crate) fn is_event_stream(response: &Response<Incoming>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    response.status() == StatusCode::OK
        && kind.is_some_and(|kind| kind.trim_start().starts_with("text/event-stream"))
}
