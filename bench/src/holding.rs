//! What it takes to hold things that do nothing: runs at work, and sessions.

use std::path::Path;
use std::time::{Duration, Instant};

use hatchery_protocol::{Method, RuntimeKind, SpawnParams, Task};

use crate::failure::Failure;
use crate::home::{Gateway, Home, Limits};
use crate::memory;
use crate::spawning;
use crate::table::Table;
use crate::wire::{self, Target};

/// How many runs are held at work.
const RUNS: usize = 200;

/// How many sessions are held.
const SESSIONS: usize = 10_000;

/// What an idle session may take, in bytes.
const AIM_OF_SESSION: u64 = 20 * 1024;

/// How long runs may take until all of them are at work.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked whether they are.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Measures the memory of runs at work: in the gateway, and together with their keepers.
pub(crate) async fn runs(program: &Path, table: &mut Table) -> Result<(), Failure> {
    let home = Home::new(program.to_owned())?;
    home.set_limits(&Limits::at_work(RUNS))?;
    let mut gateway = home.start_gateway().await?;
    let pid = gateway.pid();
    let before = memory::resident(pid)?;
    let sleep = Task::Argv(vec!["sleep".to_owned(), "86400".to_owned()]);
    let params =
        SpawnParams { stream: false, ..spawning::params(&gateway, RuntimeKind::Local, sleep) };
    for _ in 0..RUNS {
        gateway.client.call_with(Method::SessionsSpawn, &params).await?;
    }
    until_at_work(&mut gateway, RUNS).await?;
    let more = memory::resident(pid)?.saturating_sub(before);
    let (mut resident, mut proportional) = (0, 0);
    for keeper in memory::children(pid)? {
        resident += memory::resident_now(keeper)?;
        proportional += memory::proportional_now(keeper)?;
    }
    let mut row = |of: &str, bytes: u64| {
        let figure = format!("memory of a `local` run, {RUNS} at work: {of}");
        table.small_memory(figure, bytes / RUNS as u64, None);
    };
    row("gateway", more);
    row("gateway and keeper, resident", more + resident);
    row("gateway and keeper, proportional", more + proportional);
    gateway.stop().await
}

/// Measures the memory of sessions that nobody uses.
pub(crate) async fn sessions(program: &Path, table: &mut Table) -> Result<(), Failure> {
    let home = Home::new(program.to_owned())?;
    let mut gateway = home.start_gateway().await?;
    let target = Target::new(gateway.address().await?, home.token().to_owned())?;
    // What the first ones take is not theirs: the door and the journal come to work.
    wire::open_sessions(&target, 10)?;
    let before = memory::resident(gateway.pid())?;
    wire::open_sessions(&target, SESSIONS)?;
    let more = memory::resident(gateway.pid())?.saturating_sub(before);
    let figure = format!("memory of an idle session, {SESSIONS} held");
    table.small_memory(figure, more / SESSIONS as u64, Some(AIM_OF_SESSION));
    gateway.stop().await
}

async fn until_at_work(gateway: &mut Gateway, many: usize) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = gateway.client.call(Method::GatewayStatus).await?;
        let at_work = status["runs"]["atWork"].as_u64().unwrap_or_default();
        if at_work >= many as u64 {
            return Ok(());
        }
        if Instant::now() > deadline {
            let how = format!("{at_work} of {many} are at work");
            return Err(Failure::Wrong { what: "starting many runs".to_owned(), how });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
