//! `gateway.*`: the gateway about itself.

use hatchery_access::{Admin, Permit, Read};
use serde_json::{Value, json};

use crate::clock::now_ms;
use crate::gateway::Shared;
use crate::supervisor::JournalCondition;

/// How far the clock may be behind the journal's newest entry before it is said, in milliseconds:
/// clocks are set by a little all the time.
const CLOCK_TOLERANCE_MS: u64 = 60_000;

/// The gateway's condition.
pub(crate) fn status(shared: &Shared, _permit: &Permit<Read>) -> Value {
    let load = shared.supervisor.load();
    let (journal, trouble) = match &load.journal {
        JournalCondition::Ok => ("ok", None),
        JournalCondition::Broken(error) => ("broken", Some(error)),
        JournalCondition::Damaged(fault) => ("damaged", Some(fault)),
    };
    let store = &shared.supervisor.store;
    // A clock that was set back shows less than entries of the journal do already.
    let clock_behind = store.newest_at_ms().saturating_sub(now_ms());
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
        "journal": journal,
        "journalTrouble": trouble,
        "commits": store.commits(),
        "clockBehindMs": if clock_behind > CLOCK_TOLERANCE_MS { clock_behind } else { 0 },
        "notices": {"open": load.notices, "blocked": load.blocked},
        "stateDirectory": shared.state_directory.path(),
    })
}

/// Ends the gateway, in order. The answer comes before the end.
pub(crate) fn stop(shared: &Shared, _permit: &Permit<Admin>) -> Value {
    shared.ask_to_stop();
    json!({"stopping": true, "pid": std::process::id()})
}
