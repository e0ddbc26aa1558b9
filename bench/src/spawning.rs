//! Spawns, over one connection that speaks the real frames.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hatchery_protocol::{
    Method, RunStatus, RuntimeKind, SpawnAccepted, SpawnParams, SpawnResult, Task,
};
use serde_json::Value;

use crate::failure::Failure;
use crate::floor::{Floors, PAUSE_AFTER, Syncs};
use crate::home::{Gateway, Home};
use crate::samples::Samples;
use crate::table::{Against, Table};

pub(crate) const RUNTIMES: [RuntimeKind; 3] =
    [RuntimeKind::Local, RuntimeKind::Isolated, RuntimeKind::Acp];

/// How many spawns are under way when many are.
pub(crate) const IN_FLIGHT: usize = 8;

const ONE_AT_A_TIME: usize = 200;
const MANY_AT_A_TIME: usize = 500;

const OUTPUT_BYTES: u64 = 200_000_000;

/// Prints [`OUTPUT_BYTES`] bytes of text.
const PRINT_MUCH: &str = "yes 'The quick brown fox jumps over the lazy dog.' | head -c 200000000";

/// Measures from the request to the receipt and from the request to the result. Gives how many
/// sessions this made.
pub(crate) async fn one_at_a_time(
    home: &Home,
    gateway: &mut Gateway,
    runtime: RuntimeKind,
    floors: &Floors,
    table: &mut Table,
) -> Result<usize, Failure> {
    let params = params(gateway, runtime, nothing());
    let mut syncs = Syncs::new(home)?;
    let (mut accepted, mut announced, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..ONE_AT_A_TIME {
        if number % PAUSE_AFTER == 0 {
            syncs.pause()?;
        }
        let before = Instant::now();
        gateway.client.send(Method::SessionsSpawn.name(), &params).await?;
        let (_, receipt) = gateway.client.next_answer().await?;
        let received = Instant::now();
        accepted.push(received - before);
        let (_, result) = gateway.client.next_answer().await?;
        announced.push(received.elapsed());
        ended.push(before.elapsed());
        let _receipt: SpawnAccepted = serde_json::from_value(receipt)?;
        check(runtime, result)?;
    }
    let sync = syncs.samples().p50();
    let against = Against { aim: Some(sync * 2), floor: Some((sync, "1 sync")) };
    table.time(format!("spawn accepted, {runtime}"), &Samples::new(accepted), &against);
    // A keeper and the command; where the agent has a process too, that and its own keeper.
    // Two commits stand between the request and the result: its acceptance and its end.
    let (aim, processes, what) = match runtime {
        RuntimeKind::Local => (5, 2, "2 processes, 2 syncs"),
        RuntimeKind::Isolated | RuntimeKind::Acp => (25, 4, "4 processes, 2 syncs"),
    };
    let floor = floors.process * processes + sync * 2;
    let aim = Some(Duration::from_millis(aim));
    // The announce is in one commit with the end, and the end is told after it.
    if runtime == RuntimeKind::Local {
        let floor = floors.process * processes + sync;
        let against = Against { aim, floor: Some((floor, "2 processes, 1 sync")) };
        table.time("accepted to announced, local", &Samples::new(announced), &against);
    }
    let against = Against { aim, floor: Some((floor, what)) };
    table.time(format!("spawn result, {runtime}"), &Samples::new(ended), &against);
    Ok(ONE_AT_A_TIME)
}

/// Measures how many spawns come to their results in a second. Gives how many sessions this made.
pub(crate) async fn many_at_a_time(
    gateway: &mut Gateway,
    runtime: RuntimeKind,
    table: &mut Table,
) -> Result<usize, Failure> {
    let params = params(gateway, runtime, nothing());
    let mut under_way: BTreeMap<String, bool> = BTreeMap::new();
    let (mut begun, mut ended) = (0, 0);
    let before = Instant::now();
    while ended < MANY_AT_A_TIME {
        while begun < MANY_AT_A_TIME && under_way.len() < IN_FLIGHT {
            let id = gateway.client.send(Method::SessionsSpawn.name(), &params).await?;
            under_way.insert(id, false);
            begun += 1;
        }
        let (id, payload) = gateway.client.next_answer().await?;
        // Each request is answered twice: with the receipt and with the result.
        match under_way.get_mut(&id) {
            Some(accepted) if !*accepted => *accepted = true,
            _ => {
                under_way.remove(&id);
                check(runtime, payload)?;
                ended += 1;
            }
        }
    }
    let rate = MANY_AT_A_TIME as f64 / before.elapsed().as_secs_f64();
    table.rate(format!("spawns, {runtime}, {IN_FLIGHT} in flight"), rate, "per second");
    Ok(MANY_AT_A_TIME)
}

/// Measures how fast a run's output comes through, every byte of it as frames.
pub(crate) async fn output(
    gateway: &mut Gateway,
    runtime: RuntimeKind,
    table: &mut Table,
) -> Result<(), Failure> {
    let params = params(gateway, runtime, Task::Text(PRINT_MUCH.to_owned()));
    let before = Instant::now();
    gateway.client.send(Method::SessionsSpawn.name(), &params).await?;
    gateway.client.next_answer().await?;
    let (_, result) = gateway.client.next_answer().await?;
    let time = before.elapsed();
    let result = check(runtime, result)?;
    if result.output_bytes != OUTPUT_BYTES {
        let how = format!("{} bytes of {OUTPUT_BYTES} came", result.output_bytes);
        return Err(Failure::Wrong { what: format!("much output ({runtime})"), how });
    }
    let rate = OUTPUT_BYTES as f64 / 1e6 / time.as_secs_f64();
    table.rate(format!("200 MB of output, {runtime}"), rate, "MB/s");
    Ok(())
}

fn nothing() -> Task {
    Task::Argv(vec!["true".to_owned()])
}

/// A spawn that is watched to its end.
pub(crate) fn params(gateway: &Gateway, runtime: RuntimeKind, task: Task) -> SpawnParams {
    SpawnParams {
        runtime: Some(runtime),
        caller_cwd: Some(gateway.work_in.clone()),
        stream: true,
        ..SpawnParams::new(task)
    }
}

fn check(runtime: RuntimeKind, payload: Value) -> Result<SpawnResult, Failure> {
    let result: SpawnResult = serde_json::from_value(payload)?;
    if result.status == RunStatus::Ok && result.exit_code == Some(0) {
        return Ok(result);
    }
    let how = format!("{} {:?}", result.status, result.error);
    Err(Failure::Wrong { what: format!("a spawn ({runtime})"), how })
}
