//! The TCP listener: signs of life over HTTP.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::clock::now_ms;
use crate::gateway::Shared;

/// How many connections are served at a time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 256;

/// How long a client may take to send a request's head.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// How long a connection may last.
const CONNECTION_LIMIT: Duration = Duration::from_secs(60);

/// How long the listener rests when no connection can be taken.
const REST: Duration = Duration::from_millis(100);

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
    let router = Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .with_state(Arc::clone(&shared));
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                shared.count_tcp_accept();
                let router = router.clone();
                tokio::spawn(async move {
                    serve(stream, router).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::error!("the TCP listener takes no connection: {error}");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT);
    let connection =
        server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match tokio::time::timeout(CONNECTION_LIMIT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("an HTTP connection broke: {error}"),
        Err(_) => tracing::debug!("an HTTP connection lasted too long"),
    }
}

/// The process lives.
async fn health() -> Result<Json<serde_json::Value>, Infallible> {
    Ok(Json(json!({"ok": true, "ts": now_ms()})))
}

/// The process can take work.
async fn ready(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let broken = shared.supervisor.load().journal_broken;
    let status = if broken { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(json!({"ready": !broken})))
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
