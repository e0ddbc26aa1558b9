//! Many runs at work at the same time.

use hatchery_protocol::{Method, RunStatus, RuntimeKind, SpawnParams, SpawnResult, Task};
use serde_json::Value;

use super::scene::Counted;
use crate::failure::Failure;
use crate::home::{Gateway, Limits};
use crate::spawning;

const RUNS: usize = 1_000;

pub(super) const LIMITS: Limits =
    Limits { max_concurrent: RUNS, max_children_per_agent: 5, max_spawn_depth: 1 };

/// Long enough for all of them to be at work before the first one ends.
const TASK: &str = "sleep 30; echo done";

/// How many requests wait for their receipts.
const IN_FLIGHT: usize = 64;

pub(super) fn describe() -> String {
    format!("{RUNS} runs at work at once")
}

pub(super) async fn play(gateway: &mut Gateway) -> Result<Counted, Failure> {
    let params = spawning::params(gateway, RuntimeKind::Local, Task::Text(TASK.to_owned()));
    let results = results(gateway, &params, RUNS).await?;
    let came = results.iter().filter(|result| result.result == "done\n").count();
    Ok(Counted { expected: RUNS, came })
}

/// Starts so many runs and gives the results of those that ended well.
pub(super) async fn results(
    gateway: &mut Gateway,
    params: &SpawnParams,
    runs: usize,
) -> Result<Vec<SpawnResult>, Failure> {
    let (mut begun, mut accepted, mut ended) = (0, 0, 0);
    let mut results = Vec::with_capacity(runs);
    while ended < runs {
        if begun < runs && begun - accepted < IN_FLIGHT {
            gateway.client.send(Method::SessionsSpawn.name(), params).await?;
            begun += 1;
            continue;
        }
        let (_, payload) = gateway.client.next_answer().await?;
        if is_receipt(&payload) {
            accepted += 1;
            continue;
        }
        ended += 1;
        let result: SpawnResult = serde_json::from_value(payload)?;
        if result.status == RunStatus::Ok {
            results.push(result);
        } else {
            let SpawnResult { run_id, status, error, result, .. } = result;
            eprintln!(
                "hatchery-bench: the run {run_id} is {status}: {error:?}, and said: {result}"
            );
        }
    }
    Ok(results)
}

/// Each request is answered twice: with the receipt and with the result.
fn is_receipt(payload: &Value) -> bool {
    payload["status"] == RunStatus::Accepted.as_str()
}
