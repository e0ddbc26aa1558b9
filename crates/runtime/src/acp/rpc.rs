//! JSON-RPC 2.0 messages: what a line can mean.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The line is not JSON.
pub(crate) const PARSE_ERROR: i64 = -32700;
/// The line is JSON but no request, or the request cannot be taken now.
pub(crate) const INVALID_REQUEST: i64 = -32600;
/// There is no such method.
pub(crate) const METHOD_NOT_FOUND: i64 = -32601;
/// The method's parameters are wrong.
pub(crate) const INVALID_PARAMS: i64 = -32602;
/// The request was fine and still could not be done.
pub(crate) const INTERNAL_ERROR: i64 = -32603;
/// Somebody must sign in first.
pub(crate) const AUTH_REQUIRED: i64 = -32000;
/// What the request is about does not exist.
pub(crate) const NOT_FOUND: i64 = -32002;

/// The name a request is answered under: a text, a number or null, given back as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct RequestId(Value);

impl RequestId {
    /// The id of an answer to something that could not be read far enough to have one.
    pub(crate) const NONE: Self = Self(Value::Null);

    /// Reads an id; none where it is of a type no id has.
    pub(crate) fn new(id: Value) -> Option<Self> {
        matches!(id, Value::Null | Value::Number(_) | Value::String(_)).then_some(Self(id))
    }
}

/// An error as an answer carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub(crate) struct RpcError {
    /// What kind of error it is.
    #[serde(default)]
    pub(crate) code: i64,
    /// One sentence for a person.
    #[serde(default)]
    pub(crate) message: String,
}

impl RpcError {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Something the other side says without having been asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Incoming {
    /// It wants an answer.
    Request { id: RequestId, method: String, params: Value },
    /// It wants none.
    Notification { method: String, params: Value },
}

/// What a line means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    /// A request or a notification.
    Incoming(Incoming),
    /// An answer to a request of ours.
    Answer { id: Value, result: Result<Value, RpcError> },
}

/// Reads a line.
///
/// # Errors
/// The error a JSON-RPC server answers such a line with, and under which id.
pub(crate) fn parse(line: &[u8]) -> Result<Message, (RequestId, RpcError)> {
    let invalid = |id, why: &str| (id, RpcError::new(INVALID_REQUEST, why));
    let mut object = match serde_json::from_slice(line) {
        Ok(Value::Object(object)) => object,
        Ok(Value::Array(_)) => {
            return Err(invalid(RequestId::NONE, "batches are not supported: send one object"));
        }
        Ok(_) => return Err(invalid(RequestId::NONE, "a message is a JSON object")),
        Err(error) => {
            let why = format!("the line is not JSON: {error}");
            return Err((RequestId::NONE, RpcError::new(PARSE_ERROR, why)));
        }
    };
    let id = object.remove("id");
    let named = id.clone().and_then(RequestId::new).unwrap_or(RequestId::NONE);
    let params = object.remove("params").unwrap_or(Value::Null);
    match (object.remove("method"), id) {
        (Some(Value::String(method)), None) => {
            Ok(Message::Incoming(Incoming::Notification { method, params }))
        }
        (Some(Value::String(method)), Some(id)) => match RequestId::new(id) {
            Some(id) => Ok(Message::Incoming(Incoming::Request { id, method, params })),
            None => Err(invalid(named, "`id` must be a text, a number or null")),
        },
        (Some(_), _) => Err(invalid(named, "`method` must be a text")),
        (None, Some(id)) => match answer(&mut object) {
            Some(result) => Ok(Message::Answer { id, result }),
            None => Err(invalid(named, "neither a request nor an answer")),
        },
        (None, None) => Err(invalid(named, "neither a request nor an answer")),
    }
}

fn answer(object: &mut Map<String, Value>) -> Option<Result<Value, RpcError>> {
    // Some agents send `"error": null` beside a result.
    match (object.remove("error"), object.remove("result")) {
        (None | Some(Value::Null), Some(result)) => Some(Ok(result)),
        (None | Some(Value::Null), None) => None,
        (Some(error), _) => Some(Err(serde_json::from_value(error)
            .unwrap_or_else(|_| RpcError::new(INTERNAL_ERROR, "an error without particulars")))),
    }
}

/// The line of a request or, without an id, a notification.
pub(crate) fn call_line(id: Option<u64>, method: &str, params: &impl Serialize) -> Vec<u8> {
    #[derive(Serialize)]
    struct Call<'a, P> {
        jsonrpc: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        method: &'a str,
        params: &'a P,
    }
    line(&Call { jsonrpc: "2.0", id, method, params })
}

/// The line of an answer.
pub(crate) fn answer_line(id: &RequestId, answer: &Result<Value, RpcError>) -> Vec<u8> {
    line(&match answer {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
    })
}

fn line(message: &impl Serialize) -> Vec<u8> {
    // Everything sent is made of texts, numbers, lists and maps with text keys: JSON has them all.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_line_means_what_its_fields_say() {
        let request = |id: Value| {
            let id = RequestId::new(id).unwrap();
            Message::Incoming(Incoming::Request { id, method: "m".into(), params: Value::Null })
        };
        let answer = |result| Message::Answer { id: json!(1), result };
        let failed = |code, message: &str| answer(Err(RpcError::new(code, message)));
        for (line, message) in [
            (r#"{"jsonrpc":"2.0","id":"a","method":"m"}"#, request(json!("a"))),
            (r#"{"id":null,"method":"m"}"#, request(Value::Null)),
            (
                r#"{"method":"m","params":[1]}"#,
                Message::Incoming(Incoming::Notification {
                    method: "m".into(),
                    params: json!([1]),
                }),
            ),
            (r#"{"id":1,"result":null}"#, answer(Ok(Value::Null))),
            (r#"{"id":1,"result":2,"error":null}"#, answer(Ok(json!(2)))),
            (r#"{"id":1,"error":{"code":500,"message":"x","data":[]}}"#, failed(500, "x")),
            (r#"{"id":1,"error":{}}"#, failed(0, "")),
            (r#"{"id":1,"error":"x"}"#, failed(INTERNAL_ERROR, "an error without particulars")),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(message), "{line}");
        }
    }

    #[test]
    fn a_line_that_means_nothing_is_refused_with_its_code() {
        let deep = "[".repeat(10_000);
        for (line, id, code) in [
            ("", Value::Null, PARSE_ERROR),
            ("Welcome!", Value::Null, PARSE_ERROR),
            ("{", Value::Null, PARSE_ERROR),
            (deep.as_str(), Value::Null, PARSE_ERROR),
            ("[]", Value::Null, INVALID_REQUEST),
            (r#"[{"id":1,"method":"m"}]"#, Value::Null, INVALID_REQUEST),
            ("3", Value::Null, INVALID_REQUEST),
            (r#""m""#, Value::Null, INVALID_REQUEST),
            ("{}", Value::Null, INVALID_REQUEST),
            (r#"{"id":7}"#, json!(7), INVALID_REQUEST),
            (r#"{"id":7,"method":3}"#, json!(7), INVALID_REQUEST),
            (r#"{"id":{},"method":"m"}"#, Value::Null, INVALID_REQUEST),
        ] {
            let (refused, error) = parse(line.as_bytes()).unwrap_err();
            assert_eq!((refused.0, error.code), (id, code), "{line}");
        }
        assert_eq!(parse(b"\"\xff\"").unwrap_err().1.code, PARSE_ERROR);
    }

    #[test]
    fn a_message_is_one_line() {
        let call = call_line(Some(1), "m", &json!({ "text": "a\nb" }));
        assert_eq!(call.iter().filter(|&&byte| byte == b'\n').count(), 1);
        let refusal = answer_line(&RequestId::NONE, &Err(RpcError::new(-1, "a\nb")));
        assert_eq!(refusal.iter().filter(|&&byte| byte == b'\n').count(), 1);
        let refusal: serde_json::Value = serde_json::from_slice(&refusal).unwrap();
        let error = json!({ "code": -1, "message": "a\nb" });
        assert_eq!(refusal, json!({ "jsonrpc": "2.0", "id": null, "error": error }));
    }
}
