//! Webhooks: a result sent to an address as one POST with a JSON body.
//!
//! A delivery is tried by the supervisor, which also knows how often. Here is one attempt: it ends
//! with a verdict and never tries by itself. It may happen more than once, so that the receiver
//! tells copies by the `Idempotency-Key`, which is the run's id.

mod address;
mod letter;

use std::time::Duration;

use bytes::Bytes;
use hatchery_agent::outward;
use http::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{HeaderName, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::timeout;

pub(crate) use address::{Address, BadAddress, shown};
pub(crate) use letter::Letter;

/// How many results are sent at a time, to whatever addresses.
pub(crate) const MAX_DELIVERIES: usize = 16;

/// How long one attempt may take, the connection (10 s) and the answer included.
const DEADLINE: Duration = Duration::from_secs(30);

/// How many bytes of a receiver's refusal are read.
const ANSWER_BYTES: usize = 4 * 1024;

/// How many characters of it are shown.
const SHOWN_CHARACTERS: usize = 200;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Why a result was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotTaken {
    /// For people, without what is secret of the address.
    pub(crate) reason: String,
    /// Whether it would fail again.
    pub(crate) for_good: bool,
}

impl NotTaken {
    /// What another try may mend.
    pub(crate) fn for_now(reason: String) -> Self {
        Self { reason, for_good: false }
    }

    /// What no other try mends.
    pub(crate) fn for_good(reason: String) -> Self {
        Self { reason, for_good: true }
    }
}

/// Sends a result once. It is taken when the receiver answers with a status of success.
pub(crate) async fn send(address: &Address, letter: &Letter) -> Result<(), NotTaken> {
    let request = request(address, letter)?;
    match timeout(DEADLINE, attempt(address, request)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(NotTaken::for_now(format!(
            "{address} did not answer within {} s",
            DEADLINE.as_secs()
        ))),
    }
}

fn request(address: &Address, letter: &Letter) -> Result<Request<Full<Bytes>>, NotTaken> {
    let unsendable = |_| NotTaken::for_good(format!("nothing can be sent to {address}"));
    let agent = concat!("hatchery/", env!("CARGO_PKG_VERSION"));
    let body = Bytes::from(letter.to_json());
    Request::post(address.uri().clone())
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(USER_AGENT, HeaderValue::from_static(agent))
        .header(IDEMPOTENCY_KEY, letter.run().as_str())
        .body(Full::new(body))
        .map_err(unsendable)
}

async fn attempt(address: &Address, request: Request<Full<Bytes>>) -> Result<(), NotTaken> {
    let response = outward::send(request).await;
    let response = response
        .map_err(|error| NotTaken::for_now(format!("{address} cannot be reached: {error}")))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    if status.is_redirection() {
        return Err(NotTaken::for_good(format!(
            "{address} answered {status}: it sends us elsewhere, which is not followed"
        )));
    }
    let words = address.hidden_in(&beginning(response.into_body()).await);
    let reason = match shortened(&words) {
        words if words.is_empty() => format!("{address} answered {status}"),
        words => format!("{address} answered {status}: {words}"),
    };
    Err(NotTaken { reason, for_good: !may_pass(status) })
}

/// Whether a refusal may be another one at the next try.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 409 | 425 | 429)
}

/// The beginning of an answer's body. What cannot be read is not needed.
async fn beginning(mut body: Incoming) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    bytes.truncate(ANSWER_BYTES);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Words of a stranger on one line, without what a terminal would obey.
fn shortened(words: &str) -> String {
    let words = words.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::StatusCode;

    use super::{Address, Letter, SHOWN_CHARACTERS, may_pass, send, shortened};

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_too_long_is_asked_again_later() {
        // It takes connections and never says a word.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook?key=abc", listener.local_addr().unwrap());
        let address = Address::parse(&url).unwrap();
        let not_taken = send(&address, &Letter::empty("r")).await.unwrap_err();
        assert!(!not_taken.for_good, "{not_taken:?}");
        assert!(!not_taken.reason.contains("abc"), "{not_taken:?}");
    }

    #[test]
    fn a_refusal_that_may_pass_is_told_from_one_that_does_not() {
        for status in [408, 409, 425, 429, 500, 502, 503, 504, 599] {
            assert!(StatusCode::from_u16(status).is_ok_and(may_pass), "{status}");
        }
        for status in [400, 401, 403, 404, 405, 410, 413, 422, 451] {
            assert!(StatusCode::from_u16(status).is_ok_and(|status| !may_pass(status)), "{status}");
        }
    }

    #[test]
    fn a_receivers_words_are_one_short_line() {
        assert_eq!(shortened(" no\n\tsuch \u{1b}[31mhook\r\n"), "no such [31mhook");
        let long = shortened(&"x".repeat(SHOWN_CHARACTERS + 1));
        assert_eq!(long.chars().count(), SHOWN_CHARACTERS + 1);
        assert!(long.ends_with('…'));
        assert_eq!(shortened(&"x".repeat(SHOWN_CHARACTERS)).len(), SHOWN_CHARACTERS);
    }
}
