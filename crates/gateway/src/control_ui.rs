//! The Control UI: files of a page, taken from a directory the owner names.
//!
//! The page is OpenClaw's own or another; none of it is in this program. Nothing here asks who is
//! there: the files hold no secret, and the page has to come in by the device door like anybody.

use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, Response, StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Json, Redirect};
use axum::routing::{any, get};
use serde_json::{Value, json};
use tower_http::services::{ServeDir, ServeFile};

use crate::config::ControlUiConfig;

/// What the root says where no page is served.
const NO_PAGE: &str = "This is a Hatchery gateway. It serves no page here: set gateway.controlUi.root to the\n\
directory of an installed Control UI. Clients connect to this address over WebSocket.\n";

/// What a browser may do with the page: no other page may hold it in a frame. What it may load is
/// left to the page, whose scripts and styles are not known here.
const POLICY: &str = "base-uri 'self'; frame-ancestors 'none'; object-src 'none'";

/// Where the page asks what it is to show, below its base path. The names are OpenClaw's.
const CONFIG_PATHS: [&str; 3] = [
    "/control-ui-config.json",
    "/__openclaw/control-ui-config.json",
    "/__openclaw__/control-ui-config.json",
];

/// The routes of the page.
pub(crate) fn routes(config: &ControlUiConfig) -> Router {
    let base = base_path(config);
    let root = config.root.as_ref().filter(|_| config.enabled);
    let mut router = Router::new();
    for path in CONFIG_PATHS.iter().filter(|_| config.enabled) {
        let answer = page_config(&base);
        router = router.route(&format!("{base}{path}"), get(async move || Json(answer.clone())));
    }
    router = match root {
        Some(root) if base.is_empty() => router.fallback_service(any_file(root)),
        Some(root) => {
            let home = format!("{base}/");
            let redirect = get(async move || Redirect::permanent(&home));
            router
                .nest_service(&format!("{base}/"), any_file(root))
                .route(&base, redirect)
                .fallback(nothing)
        }
        None => router.route("/", get(async || NO_PAGE)).fallback(nothing),
    };
    router.layer(from_fn(secure))
}

/// The base path as a prefix: nothing, or a path that begins with a slash and ends without one.
fn base_path(config: &ControlUiConfig) -> String {
    let path = config.base_path.as_deref().unwrap_or_default().trim_matches('/');
    if path.is_empty() { String::new() } else { format!("/{path}") }
}

fn page_config(base: &str) -> Value {
    json!({
        "basePath": base,
        "assistantName": "Hatchery",
        "assistantAvatar": "H",
        "serverVersion": env!("CARGO_PKG_VERSION"),
    })
}

async fn nothing() -> StatusCode {
    StatusCode::NOT_FOUND
}

/// Files below a directory. A path that names no file and has no extension is one of the page's
/// own addresses, and shows the page.
fn any_file(root: &Path) -> Router {
    let (files, root) = (ServeDir::new(root), root.to_owned());
    let page = any(async move |uri: Uri, request: Request| show_page(&root, &uri, request).await);
    Router::new().fallback_service(files.fallback(page))
}

async fn show_page(root: &Path, uri: &Uri, request: Request) -> Response<Body> {
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    if last.contains('.') {
        return StatusCode::NOT_FOUND.into_response();
    }
    match ServeFile::new(root.join("index.html")).try_call(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            tracing::warn!("the Control UI's page cannot be read: {error}");
            StatusCode::NOT_FOUND.into_response()
        }
    }
}

/// Adds what keeps a page safe in a browser.
async fn secure(request: Request, next: Next) -> Response<Body> {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let is_page =
        headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_page {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    response
}
