//! The TCP listener: signs of life over HTTP.

use std::convert::Infallible;
use std::net::SocketAddr;
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

/// Listens on the first of `addresses` that can be had.
pub(crate) async fn listen(addresses: &[SocketAddr]) -> std::io::Result<TcpListener> {
    TcpListener::bind(addresses).await
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
