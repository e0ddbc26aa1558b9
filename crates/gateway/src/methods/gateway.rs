//! `gateway.*`: the gateway about itself.

use hatchery_access::{Admin, Permit, Read};
use serde_json::{Value, json};

use crate::clock::now_ms;
use crate::gateway::Shared;

/// The gateway's condition.
pub(crate) fn status(shared: &Shared, _permit: &Permit<Read>) -> Value {
    let load = shared.supervisor.load();
    let notices = shared.supervisor.open_notices();
    json!({
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
        "uptimeMs": now_ms().saturating_sub(shared.started_at_ms),
        "hosted": shared.hosted,
        "address": shared.address.map(|address| address.to_string()),
        "tcpAccepted": shared.tcp_accepted(),
        "connections": load.connections,
        "tlsFingerprint": shared.tls.as_ref().map(|tls| &tls.fingerprint),
        "runs": {"live": load.live, "atWork": load.at_work, "queued": load.queued},
        "notices": {"pending": notices.pending, "blocked": notices.blocked},
        "journal": if load.journal_broken { "broken" } else { "ok" },
        "stateDirectory": shared.state_directory.path(),
    })
}

/// Ends the gateway, in order. The answer comes before the end.
pub(crate) fn stop(shared: &Shared, _permit: &Permit<Admin>) -> Value {
    shared.ask_to_stop();
    json!({"stopping": true, "pid": std::process::id()})
}
