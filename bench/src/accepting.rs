//! How fast spawns are accepted, each of them durable before its receipt.
//!
//! One run holds the only slot, so that what is accepted waits and no process takes time from it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use hatchery_protocol::{Method, RuntimeKind, SessionId, SpawnAccepted, SpawnParams, Task};
use hatchery_spawn::MAX_QUEUED_RUNS;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::floor::Floors;
use crate::home::{Gateway, Home, Limits};
use crate::samples::Samples;
use crate::spawning;
use crate::table::{Against, Table};

/// How many requests wait for their receipts when many do.
const IN_FLIGHT: usize = 64;

const ONE_AT_A_TIME: usize = 500;

/// How often the queue is filled and emptied.
const ROUNDS: usize = 5;

/// How many accepted spawns each sync should carry.
const AIM_PER_SYNC: f64 = 20.0;

/// Measures receipts at one request in flight and at many, and how many each sync carried.
pub(crate) async fn measure(
    program: &Path,
    floors: &Floors,
    table: &mut Table,
) -> Result<(), Failure> {
    let home = Home::new(program.to_owned())?;
    home.set_limits(&Limits::at_work(1))?;
    let mut gateway = home.start_gateway().await?;
    let occupant = task(&gateway, Task::Argv(vec!["sleep".to_owned(), "86400".to_owned()]));
    gateway.client.call_with(Method::SessionsSpawn, &occupant).await?;
    let against = Against { aim: Some(floors.sync * 2), floor: Some((floors.sync, "1 fdatasync")) };

    let one = accept(&mut gateway, ONE_AT_A_TIME.min(MAX_QUEUED_RUNS), 1).await?;
    empty_queue(&mut gateway, one.sessions).await?;
    table.time("spawn accepted and waiting, 1 in flight", &Samples::new(one.times), &against);

    let (mut times, mut took, mut syncs) = (Vec::new(), Duration::ZERO, Some(0));
    for _ in 0..ROUNDS {
        let before = commits(&mut gateway).await?;
        let round = accept(&mut gateway, MAX_QUEUED_RUNS, IN_FLIGHT).await?;
        let after = commits(&mut gateway).await?;
        let of_round = before.zip(after).map(|(before, after)| after.saturating_sub(before));
        syncs = syncs.zip(of_round).map(|(syncs, more)| syncs + more);
        times.extend(round.times);
        took += round.took;
        empty_queue(&mut gateway, round.sessions).await?;
    }
    let accepted = times.len() as f64;
    let figure = format!("spawn accepted and waiting, {IN_FLIGHT} in flight");
    let none = Against { aim: None, ..against };
    table.time(figure, &Samples::new(times), &none);
    let figure = format!("spawns accepted, {IN_FLIGHT} in flight");
    let floor = (floors.sync, "1 fdatasync");
    table.rate_beside(figure, accepted / took.as_secs_f64(), "per second", floor);
    let each = syncs.filter(|syncs| *syncs > 0).map(|syncs| accepted / syncs as f64);
    table.at_least(format!("accepted by each sync, {IN_FLIGHT} in flight"), each, AIM_PER_SYNC);
    gateway.stop().await
}

/// What came of many spawns.
struct Accepted {
    times: Vec<Duration>,
    took: Duration,
    sessions: Vec<SessionId>,
}

async fn accept(gateway: &mut Gateway, many: usize, window: usize) -> Result<Accepted, Failure> {
    let params = task(gateway, Task::Argv(vec!["true".to_owned()]));
    let mut asked: BTreeMap<String, Instant> = BTreeMap::new();
    let (mut times, mut sessions) = (Vec::with_capacity(many), Vec::with_capacity(many));
    let (mut begun, before) = (0, Instant::now());
    while times.len() < many {
        while begun < many && asked.len() < window {
            let now = Instant::now();
            asked.insert(gateway.client.send(Method::SessionsSpawn.name(), &params).await?, now);
            begun += 1;
        }
        let (id, receipt) = gateway.client.next_answer().await?;
        times.extend(asked.remove(&id).map(|asked| asked.elapsed()));
        let receipt: SpawnAccepted = serde_json::from_value(receipt)?;
        sessions.push(receipt.session_id);
    }
    Ok(Accepted { times, took: before.elapsed(), sessions })
}

/// Stops what waits, so that there is room again.
async fn empty_queue(gateway: &mut Gateway, sessions: Vec<SessionId>) -> Result<(), Failure> {
    let (mut begun, mut ended) = (0, 0);
    while ended < sessions.len() {
        if let Some(session) = sessions.get(begun).filter(|_| begun - ended < IN_FLIGHT) {
            let params = json!({"session": session});
            gateway.client.send(Method::SessionsKill.name(), &params).await?;
            begun += 1;
        } else {
            gateway.client.next_answer().await?;
            ended += 1;
        }
    }
    Ok(())
}

/// How often the journal has committed, where the gateway tells it: each commit is one sync.
async fn commits(gateway: &mut Gateway) -> Result<Option<u64>, Failure> {
    let status = gateway.client.call(Method::GatewayStatus).await?;
    let told = [&status["journal"]["commits"], &status["commits"]];
    Ok(told.into_iter().find_map(Value::as_u64))
}

fn task(gateway: &Gateway, task: Task) -> SpawnParams {
    SpawnParams { stream: false, ..spawning::params(gateway, RuntimeKind::Local, task) }
}
