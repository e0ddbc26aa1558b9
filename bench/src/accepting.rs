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
use crate::floor::{PAUSE_AFTER, Syncs};
use crate::home::{Gateway, Home, Limits};
use crate::samples::Samples;
use crate::spawning;
use crate::table::{Against, Table};

/// How many requests wait for their receipts when many do.
const IN_FLIGHT: usize = 64;

const ONE_AT_A_TIME: usize = 500;

/// How often the queue is filled and emptied.
const ROUNDS: usize = 5;

/// How many spawns are accepted before the queue is emptied.
const A_ROUND: usize = 1_000;

/// How many accepted spawns each sync should carry.
const AIM_PER_SYNC: f64 = 20.0;

/// Measures receipts at one request in flight and at many, and how many each sync carried.
pub(crate) async fn measure(program: &Path, table: &mut Table) -> Result<(), Failure> {
    let home = Home::new(program.to_owned())?;
    home.set_limits(&Limits::at_work(1))?;
    let mut gateway = home.start_gateway().await?;
    let occupant = task(&gateway, Task::Argv(vec!["sleep".to_owned(), "86400".to_owned()]));
    gateway.client.call_with(Method::SessionsSpawn, &occupant).await?;
    one_at_a_time(&home, &mut gateway, table).await?;
    many_at_a_time(&home, &mut gateway, table).await?;
    gateway.stop().await
}

async fn one_at_a_time(
    home: &Home,
    gateway: &mut Gateway,
    table: &mut Table,
) -> Result<(), Failure> {
    let mut syncs = Syncs::new(home)?;
    let (mut times, mut sessions) = (Vec::new(), Vec::new());
    while times.len() < ONE_AT_A_TIME.min(MAX_QUEUED_RUNS) {
        syncs.pause()?;
        let some = accept(gateway, PAUSE_AFTER, 1).await?;
        times.extend(some.times);
        sessions.extend(some.sessions);
    }
    empty_queue(gateway, sessions).await?;
    let sync = syncs.samples().p50();
    let against = Against { aim: Some(sync * 2), floor: Some((sync, "1 fdatasync")) };
    table.time("spawn accepted and waiting, 1 in flight", &Samples::new(times), &against);
    Ok(())
}

async fn many_at_a_time(
    home: &Home,
    gateway: &mut Gateway,
    table: &mut Table,
) -> Result<(), Failure> {
    let mut synced = Syncs::new(home)?;
    let (mut times, mut took, mut commits) = (Vec::new(), Duration::ZERO, Some(0));
    for _ in 0..ROUNDS {
        synced.pause()?;
        let before = committed(gateway).await?;
        let round = accept(gateway, A_ROUND.min(MAX_QUEUED_RUNS), IN_FLIGHT).await?;
        let after = committed(gateway).await?;
        let of_round = before.zip(after).map(|(before, after)| after.saturating_sub(before));
        commits = commits.zip(of_round).map(|(commits, more)| commits + more);
        times.extend(round.times);
        took += round.took;
        empty_queue(gateway, round.sessions).await?;
    }
    let accepted = times.len() as f64;
    let floor = (synced.samples().p50(), "1 fdatasync");
    let against = Against { aim: None, floor: Some(floor) };
    let figure = format!("spawn accepted and waiting, {IN_FLIGHT} in flight");
    table.time(figure, &Samples::new(times), &against);
    let figure = format!("spawns accepted, {IN_FLIGHT} in flight");
    table.rate_beside(figure, accepted / took.as_secs_f64(), "per second", floor);
    let each = commits.filter(|commits| *commits > 0).map(|commits| accepted / commits as f64);
    table.at_least(format!("accepted by each sync, {IN_FLIGHT} in flight"), each, AIM_PER_SYNC);
    Ok(())
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
async fn committed(gateway: &mut Gateway) -> Result<Option<u64>, Failure> {
    let status = gateway.client.call(Method::GatewayStatus).await?;
    let told = [&status["journal"]["commits"], &status["commits"]];
    Ok(told.into_iter().find_map(Value::as_u64))
}

fn task(gateway: &Gateway, task: Task) -> SpawnParams {
    SpawnParams { stream: false, ..spawning::params(gateway, RuntimeKind::Local, task) }
}
