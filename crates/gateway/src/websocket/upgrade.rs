//! The HTTP request that becomes a WebSocket.

use axum::body::Body;
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tungstenite::handshake::derive_accept_key;

/// The version of the WebSocket protocol there is.
const VERSION: &str = "13";

/// Whether the request wants to become a WebSocket.
pub(crate) fn is_wanted<B>(request: &Request<B>) -> bool {
    has_word(request.headers(), &UPGRADE, "websocket")
}

/// The answer that makes the connection a WebSocket, or says why it does not become one.
pub(crate) fn answer<B>(request: &Request<B>) -> Result<Response<Body>, Box<Response<Body>>> {
    let headers = request.headers();
    if request.method() != Method::GET || !has_word(headers, &CONNECTION, "upgrade") {
        return Err(Box::new(plain(StatusCode::BAD_REQUEST, "Not a WebSocket upgrade")));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
        let mut response = plain(StatusCode::UPGRADE_REQUIRED, "Unsupported WebSocket version");
        response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
        return Err(Box::new(response));
    }
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else {
        return Err(Box::new(plain(StatusCode::BAD_REQUEST, "No Sec-WebSocket-Key")));
    };
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()))
        .map_err(|_| Box::new(plain(StatusCode::BAD_REQUEST, "Bad Sec-WebSocket-Key")))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

/// A response of one sentence.
pub(crate) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(word))
}
