//! No tree outlives its gateway, and what a dead one left behind is cleaned up.

use std::process::Stdio;
use std::time::Duration;

use hatchery_sandbox::{Ending, ProcessIdentity, ReapOutcome, Reaped, reap};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;

use crate::support::{self, Lines, STUBBORN, STUBBORN_COUNT, assert_all_ended, part, sh, start};

pub(crate) fn all() -> Vec<Trial> {
    crate::trials![
        reaping::a_tree_dies_with_its_gateway,
        reaping::a_keeper_without_gateway_is_reaped_even_if_suspended,
        reaping::a_keeper_that_listens_is_stopped_in_peace,
        reaping::a_process_with_a_recycled_number_is_left_alone,
        reaping::nothing_left_over_is_nothing_to_do,
    ]
}

const PATIENCE: Duration = Duration::from_secs(30);
const NO_PATIENCE: Duration = Duration::from_millis(20);

/// Another gateway with a stubborn tree: its process, the keeper, everyone under it.
async fn other_gateway() -> (Child, ProcessIdentity, Vec<ProcessIdentity>) {
    let words = part(&["gateway", "/bin/sh", "-c", STUBBORN]);
    let mut gateway = tokio::process::Command::new(&words[0])
        .args(&words[1..])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = gateway.stdout.take().unwrap();
    let mut lines = Lines::of(&mut stdout);
    let keeper: ProcessIdentity = serde_json::from_str(&lines.next().await).unwrap();
    let everyone = lines.processes(STUBBORN_COUNT).await;
    (gateway, keeper, everyone)
}

pub(crate) async fn a_tree_dies_with_its_gateway() {
    let (mut gateway, keeper, everyone) = other_gateway().await;
    gateway.kill().await.unwrap();
    support::ended(&keeper).await;
    assert_all_ended(&everyone);
}

pub(crate) async fn a_keeper_without_gateway_is_reaped_even_if_suspended() {
    let (mut gateway, keeper, everyone) = other_gateway().await;
    kill(Pid::from_raw(keeper.pid), Signal::SIGSTOP).unwrap();
    gateway.kill().await.unwrap();
    let report = reap(std::slice::from_ref(&keeper), NO_PATIENCE).await;
    assert_all_ended(&everyone);
    assert!(!keeper.is_running());
    assert_eq!(report, [Reaped { keeper, outcome: ReapOutcome::Killed }]);
}

pub(crate) async fn a_keeper_that_listens_is_stopped_in_peace() {
    let mut tree = start(sh("trap 'exit 4' TERM; echo; while :; do sleep 0.01; done"));
    Lines::of(&mut tree.stdout).next().await;
    let keeper = tree.identity().clone();
    let report = reap(std::slice::from_ref(&keeper), PATIENCE).await;
    assert_eq!(tree.wait().await, Ending::Exited(4));
    assert_eq!(report, [Reaped { keeper, outcome: ReapOutcome::Stopped }]);
}

pub(crate) async fn a_process_with_a_recycled_number_is_left_alone() {
    let mut tree = start(sh("echo; while :; do sleep 1000; done"));
    Lines::of(&mut tree.stdout).next().await;
    let real = tree.identity();
    let forged = [
        ProcessIdentity { start_time: real.start_time - 1, ..real.clone() },
        ProcessIdentity { boot_id: "an earlier boot".to_owned(), ..real.clone() },
        ProcessIdentity { pid: 0, ..real.clone() },
        ProcessIdentity { pid: -1, ..real.clone() },
    ];
    let outcomes: Vec<_> =
        reap(&forged, NO_PATIENCE).await.into_iter().map(|reaped| reaped.outcome).collect();
    assert_eq!(outcomes, [ReapOutcome::AlreadyGone; 4]);
    assert!(real.is_running());
}

pub(crate) async fn nothing_left_over_is_nothing_to_do() {
    assert_eq!(reap(&[], PATIENCE).await, []);
}
