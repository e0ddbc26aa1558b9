//! `sessions.yield`: a run waits for results of what it has started.

use std::sync::Arc;
use std::time::Duration;

use hatchery_access::{Permit, Write};
use hatchery_protocol::WireError;
use hatchery_store::RunResult;
use serde::Deserialize;
use serde_json::{Value, json};

use super::sessions::reading;
use crate::gateway::Shared;

/// Parameters of `sessions.yield`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct YieldParams {
    /// How many results are waited for, those included that are there already; all where it is not
    /// said.
    count: Option<u32>,
    /// After how many seconds it goes on with what there is; never where it is not said.
    timeout_seconds: Option<u64>,
}

/// Waits in the name of the run that asks, and gives it the results that have come.
pub(crate) async fn wait_for_results(
    shared: &Arc<Shared>,
    permit: &Permit<Write>,
    params: YieldParams,
) -> Result<Value, WireError> {
    let limit = params.timeout_seconds.map(Duration::from_secs);
    let runs = shared.supervisor.wait_for_results(permit, params.count, limit).await?;
    let results = reading(shared, move |store| store.results(&runs)).await?;
    Ok(json!({"results": results.iter().map(result).collect::<Vec<_>>()}))
}

/// A result as `sessions.spawn` gives it to whoever waits there.
fn result(result: &RunResult) -> Value {
    let RunResult { run, session, label, outcome } = result;
    let mut told = json!({
        "runId": run,
        "sessionId": session,
        "label": label,
        "status": outcome.status,
        "result": outcome.tail,
        "outputBytes": outcome.output_bytes,
    });
    if let Some(code) = outcome.exit_code {
        told["exitCode"] = json!(code);
    }
    if let Some(error) = &outcome.error {
        told["error"] = json!(error);
    }
    told
}
