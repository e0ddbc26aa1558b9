//! What clients ask at their start and this gateway does not have: each is answered truthfully
//! with nothing. Only what is really empty belongs here.

use hatchery_access::{Admin, Approvals, Permit, Questions, Read, Write};
use serde_json::{Value, json};

use crate::clock::now_ms;

/// No chat channel is set up.
pub(crate) fn channels(_permit: &Permit<Read>) -> Value {
    json!({"ts": now_ms(), "channelOrder": [], "channelLabels": {}, "channels": {},
        "channelAccounts": {}, "channelDefaultAccountId": {}})
}

/// No job is scheduled.
pub(crate) fn cron_jobs(_permit: &Permit<Read>) -> Value {
    json!({"jobs": [], "total": 0, "offset": 0, "limit": 0, "hasMore": false, "nextOffset": null})
}

/// Nothing is scheduled here, and the wire has a word for that.
pub(crate) fn cron_status(_permit: &Permit<Read>) -> Value {
    json!({"enabled": false, "storePath": "", "jobs": 0, "nextWakeAtMs": null})
}

/// No agent has asked anything.
pub(crate) fn questions(_permit: &Permit<Questions>) -> Value {
    json!({"questions": []})
}

/// No task is suggested.
pub(crate) fn task_suggestions(_permit: &Permit<Read>) -> Value {
    json!({"suggestions": []})
}

/// Sessions are not sorted into groups.
pub(crate) fn session_groups(_permit: &Permit<Read>) -> Value {
    json!({"groups": []})
}

/// Nor do groups start with anything.
pub(crate) fn session_group_defaults(_permit: &Permit<Write>) -> Value {
    json!({"defaults": []})
}

/// There is no system agent that could ask for anything.
pub(crate) fn system_agent_approvals(_permit: &Permit<Approvals>) -> Value {
    json!([])
}

/// Nobody looks for a newer version.
pub(crate) fn updates(_permit: &Permit<Admin>) -> Value {
    json!({"sentinel": null, "updateAvailable": null})
}
