//! HTTP to others: connections that are shared by the whole process.
//!
//! Redirects are not followed: what is sent goes to the host it was meant for and nowhere else. How
//! long an answer may take is for the caller to say.

use std::error::Error;
use std::io;
use std::sync::{LazyLock, OnceLock};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Duration;

/// How long a connection may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// How long a connection that nobody uses is kept.
const IDLE_CONNECTION: Duration = Duration::from_secs(60);

/// How many such connections are kept for one host.
const IDLE_CONNECTIONS: usize = 8;

/// Without encryption: what is on this machine needs none, and no certificates are read for it.
static PLAIN: LazyLock<Client<HttpConnector, Full<Bytes>>> =
    LazyLock::new(|| pooled().build(connector()));

/// With encryption.
static ENCRYPTED: OnceLock<Client<HttpsConnector<HttpConnector>, Full<Bytes>>> = OnceLock::new();

/// Why no answer to a request began, in the system's own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnswered {
    /// There was no connection.
    #[error("{0}")]
    Unreachable(String),
    /// There was one, and it ended before an answer began.
    #[error("{0}")]
    BrokeOff(String),
}

/// Sends a request and gives the response once it begins, whatever its status.
///
/// # Errors
/// [`NotAnswered`].
pub async fn send(request: Request<Full<Bytes>>) -> Result<Response<Incoming>, NotAnswered> {
    let response = if request.uri().scheme_str() == Some("https") {
        let client = encrypted_client().map_err(|e| NotAnswered::Unreachable(e.to_string()))?;
        client.request(request).await
    } else {
        PLAIN.request(request).await
    };
    response.map_err(|error| match error.is_connect() {
        true => NotAnswered::Unreachable(innermost(&error)),
        false => NotAnswered::BrokeOff(innermost(&error)),
    })
}

fn pooled() -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION)
        .pool_max_idle_per_host(IDLE_CONNECTIONS);
    builder
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT_DEADLINE));
    connector.set_nodelay(true);
    connector
}

/// The certificates of the system are read when they are needed for the first time.
fn encrypted_client() -> io::Result<&'static Client<HttpsConnector<HttpConnector>, Full<Bytes>>> {
    if let Some(client) = ENCRYPTED.get() {
        return Ok(client);
    }
    let provider = rustls::crypto::ring::default_provider();
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(provider)?
        .https_only()
        .enable_http1()
        .wrap_connector(connector());
    Ok(ENCRYPTED.get_or_init(|| pooled().build(connector)))
}

/// What lies at the bottom of an error: the system's own words.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "nobody listens there".to_owned(),
        Some(io::ErrorKind::ConnectionReset) => "the connection was reset".to_owned(),
        _ => innermost.to_string(),
    }
}
