//! The TCP listener: WebSocket for devices, and signs of life over HTTP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::clock::now_ms;
use crate::control_ui;
use crate::device_door;
use crate::gateway::Shared;
use crate::lobby::PlaceInLobby;
use crate::websocket::upgrade;

/// How long a client may take to send a request's head.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// The longest head of a request, in bytes; what is read at first takes less.
const MAX_HEAD: usize = 32 * 1024;

/// How long a connection may last that does not become a WebSocket.
const CONNECTION_LIMIT: Duration = Duration::from_secs(60);

/// How long the listener rests when no connection can be taken.
const REST: Duration = Duration::from_millis(100);

/// What somebody hears for whom there is no room.
const NO_ROOM: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n\
    Content-Length: 32\r\nConnection: close\r\n\r\nToo many unauthenticated sockets";

/// This machine's address in a Tailscale network: the first of 100.64.0.0/10.
pub(crate) fn tailnet_address() -> Option<IpAddr> {
    let addresses = nix::ifaddrs::getifaddrs().ok()?;
    let mut ipv4 =
        addresses.filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()));
    ipv4.find(is_carrier_grade).map(IpAddr::from)
}

fn is_carrier_grade(address: &Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && (64..128).contains(&second)
}

/// Serves HTTP until the task is ended.
pub(crate) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let router = routes(&shared);
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                shared.count_tcp_accept();
                let config = shared.supervisor.settings.config();
                let proxies = &config.gateway.trusted_proxies;
                let for_many = proxies.iter().any(|range| range.contains(from.ip()));
                let Ok(place) = shared.lobby.enter(from.ip(), for_many) else {
                    turn_away(stream);
                    continue;
                };
                let (shared, router) = (Arc::clone(&shared), router.clone());
                tokio::spawn(serve(shared, stream, from, router, place));
            }
            Err(error) => {
                tracing::error!("the TCP listener takes no connection: {error}");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

fn routes(shared: &Arc<Shared>) -> Router {
    let config = shared.supervisor.settings.config();
    Router::new()
        .route("/health", get(health))
        .route("/healthz", get(health))
        .route("/ready", get(ready))
        .route("/readyz", get(ready))
        .with_state(Arc::clone(shared))
        .merge(control_ui::routes(&config.gateway.control_ui))
}

/// Says that there is no room, if the socket takes it without waiting.
fn turn_away(stream: TcpStream) {
    if let Err(error) = stream.try_write(NO_ROOM) {
        tracing::debug!("a connection was gone before it was turned away: {error}");
    }
}

async fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    place: PlaceInLobby,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("a connection keeps its delay: {error}");
    }
    let Some(tls) = &shared.tls else {
        return speak_http(shared, stream, from, router, place).await;
    };
    let greeting = tokio::time::timeout(HEAD_LIMIT, tls.acceptor.accept(stream));
    tokio::select! {
        outcome = greeting => match outcome {
            Ok(Ok(stream)) => speak_http(Arc::clone(&shared), stream, from, router, place).await,
            Ok(Err(error)) => tracing::debug!("a connection did not come to TLS: {error}"),
            Err(_) => tracing::debug!("a connection took too long to come to TLS"),
        },
        () = place.sent_away() => tracing::debug!(%from, "a connection made room for another"),
    }
}

async fn speak_http(
    shared: Arc<Shared>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    from: SocketAddr,
    router: Router,
    place: PlaceInLobby,
) {
    let place = Arc::new(place);
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(MAX_HEAD);
    let service = service_fn(|request| {
        let (shared, router, place) = (Arc::clone(&shared), router.clone(), Arc::clone(&place));
        answer(shared, router, place, from, request)
    });
    let connection = server.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::select! {
        outcome = tokio::time::timeout(CONNECTION_LIMIT, connection) => match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("an HTTP connection broke: {error}"),
            Err(_) => tracing::debug!("an HTTP connection lasted too long"),
        },
        () = place.sent_away() => tracing::debug!(%from, "a connection made room for another"),
    }
}

async fn answer(
    shared: Arc<Shared>,
    router: Router,
    place: Arc<PlaceInLobby>,
    from: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, std::convert::Infallible> {
    if upgrade::is_wanted(&request) {
        return Ok(device_door::open(&shared, from, place, request));
    }
    TowerToHyperService::new(router).call(request).await
}

/// The process lives.
async fn health() -> Json<serde_json::Value> {
    Json(json!({"ok": true, "status": "live"}))
}

/// The process can take work.
async fn ready(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let broken = !shared.supervisor.takes_what_happens();
    let status = if broken { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let failing: &[&str] = if broken { &["journal"] } else { &[] };
    let uptime = now_ms().saturating_sub(shared.started_at_ms);
    (status, Json(json!({"ready": !broken, "failing": failing, "uptimeMs": uptime})))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::is_carrier_grade;

    #[test]
    fn a_tailnet_address_is_one_of_100_64_0_0_slash_10() {
        for (address, expected) in [
            ([100, 63, 255, 255], false),
            ([100, 64, 0, 0], true),
            ([100, 127, 255, 255], true),
            ([100, 128, 0, 0], false),
            ([10, 64, 0, 0], false),
        ] {
            assert_eq!(is_carrier_grade(&Ipv4Addr::from(address)), expected, "{address:?}");
        }
    }
}
