//! The three frames every door speaks: `req`, `res` and `event` (OpenClaw protocol §1.1).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::WireError;

/// One JSON object on the wire. Unknown extra fields are ignored, both ways.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Frame {
    /// A client asks.
    Req(Request),
    /// The gateway answers; a long call is answered twice under the same id, first `accepted`.
    Res(Response),
    /// The gateway tells.
    Event(EventFrame),
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the client, any non-empty text; the answer carries it back.
    pub id: String,
    /// The name of the method.
    pub method: String,
    /// The method's parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// The id of the request.
    pub id: String,
    /// Whether `payload` or `error` is meant.
    pub ok: bool,
    /// The result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// The error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<WireError>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventFrame {
    /// The event's name.
    pub event: String,
    /// The event's content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// The position in the receiver's stream of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

impl Response {
    /// A good answer.
    #[must_use]
    pub fn ok(id: String, payload: Value) -> Self {
        Self { id, ok: true, payload: Some(payload), error: None }
    }

    /// A bad answer.
    #[must_use]
    pub fn error(id: String, error: WireError) -> Self {
        Self { id, ok: false, payload: None, error: Some(error) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Frame, Request, Response};
    use crate::{ErrorCode, WireError};

    #[test]
    fn a_request_has_the_wire_shape() {
        let frame = Frame::Req(Request { id: "1".into(), method: "health".into(), params: None });
        assert_eq!(
            serde_json::to_value(&frame).ok(),
            Some(json!({"type": "req", "id": "1", "method": "health"}))
        );
    }

    #[test]
    fn an_error_response_has_the_wire_shape() {
        let error = WireError::new(ErrorCode::InvalidRequest, "unknown method: x");
        let frame = Frame::Res(Response::error("7".into(), error));
        assert_eq!(
            serde_json::to_value(&frame).ok(),
            Some(json!({"type": "res", "id": "7", "ok": false,
                "error": {"code": "INVALID_REQUEST", "message": "unknown method: x"}}))
        );
    }

    #[test]
    fn a_number_goes_through_unchanged() {
        let text = r#"{"type":"req","id":"1","method":"m","params":{"ts":1.111111111111111e81}}"#;
        let read: Option<Frame> = serde_json::from_str(text).ok();
        let written = serde_json::to_string(&read).unwrap_or_default();
        assert!(read.is_some() && serde_json::from_str(&written).ok() == Some(read), "{written}");
    }

    #[test]
    fn fields_of_a_newer_peer_are_ignored() {
        let frame: Result<Frame, _> = serde_json::from_value(
            json!({"type": "req", "id": "1", "method": "m", "traceparent": "x"}),
        );
        assert!(frame.is_ok());
    }
}
