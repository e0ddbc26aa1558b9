//! No tree outlives its gateway, and what a dead one left behind is cleaned up.

use std::process::Stdio;
use std::time::Duration;

use hatchery_sandbox::{Ending, ProcessIdentity, ReapOutcome, Reaped, reap};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;

use crate::support::{
    self, Lines, NS, STUBBORN, STUBBORN_COUNT, assert_all_ended, part, sh, start,
};

pub(crate) fn all() -> Vec<Trial> {
    crate::trials_either_way![
        reaping::a_tree_dies_with_its_gateway,
        reaping::a_tree_dies_with_its_gateway_even_if_its_keeper_is_suspended,
        reaping::a_keeper_without_gateway_is_reaped_even_if_suspended,
        reaping::a_keeper_that_listens_is_stopped_in_peace,
        reaping::a_process_with_a_recycled_number_is_left_alone,
        reaping::who_has_the_number_of_a_keeper_now_is_left_alone_with_all_below_it,
        reaping::whoever_reaps_does_not_reap_itself,
        reaping::nothing_left_over_is_nothing_to_do,
    ]
}

const PATIENCE: Duration = Duration::from_secs(30);
const NO_PATIENCE: Duration = Duration::from_millis(20);

/// Another gateway with a stubborn tree: its process, the keeper, everyone under it.
async fn other_gateway() -> (Child, ProcessIdentity, Vec<ProcessIdentity>) {
    let held = support::containment_word();
    let words = part(&[&["gateway"], held, &["/bin/sh", "-c", STUBBORN]].concat());
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

pub(crate) async fn a_tree_dies_with_its_gateway_even_if_its_keeper_is_suspended() {
    let (mut gateway, keeper, everyone) = other_gateway().await;
    kill(Pid::from_raw(keeper.pid), Signal::SIGSTOP).unwrap();
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
    let mut tree = start(sh("trap 'exit 4' TERM; echo; while :; do sleep 0.01; done")).await;
    Lines::of(&mut tree.stdout).next().await;
    let keeper = tree.identity().clone();
    let report = reap(std::slice::from_ref(&keeper), PATIENCE).await;
    assert_eq!(tree.wait().await, Ending::Exited(4));
    assert_eq!(report, [Reaped { keeper, outcome: ReapOutcome::Stopped }]);
}

pub(crate) async fn a_process_with_a_recycled_number_is_left_alone() {
    let mut tree = start(sh("echo; while :; do sleep 1000; done")).await;
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

/// What a record of a keeper looks like whose number `process` has got since.
fn records_of_earlier_ones(process: &ProcessIdentity) -> [ProcessIdentity; 3] {
    let ProcessIdentity { start_time, .. } = *process;
    let an_earlier_boot = "00000000-0000-0000-0000-000000000000".to_owned();
    [
        ProcessIdentity { start_time: start_time - 1, ..process.clone() },
        ProcessIdentity { start_time: start_time + 1, ..process.clone() },
        ProcessIdentity { boot_id: an_earlier_boot, ..process.clone() },
    ]
}

pub(crate) async fn who_has_the_number_of_a_keeper_now_is_left_alone_with_all_below_it() {
    // No keeper and no tree: anybody's shell, with something it has started.
    let mut shell = tokio::process::Command::new("sh")
        .args(["-c", &format!("{NS}sh -c 'echo $$ $NS; exec sleep 1000' & wait")])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdout = shell.stdout.take().unwrap();
    let below = Lines::of(&mut stdout).processes(1).await;
    let innocent = ProcessIdentity::of(shell.id().unwrap().try_into().unwrap()).unwrap();
    for record in records_of_earlier_ones(&innocent) {
        let report = reap(std::slice::from_ref(&record), NO_PATIENCE).await;
        assert_eq!(report, [Reaped { keeper: record, outcome: ReapOutcome::AlreadyGone }]);
        assert!(innocent.is_running() && below[0].is_running());
    }
    kill(Pid::from_raw(below[0].pid), Signal::SIGKILL).unwrap();
    shell.wait().await.unwrap();
}

pub(crate) async fn whoever_reaps_does_not_reap_itself() {
    let tree = start(sh("read line")).await;
    let us = ProcessIdentity::current().unwrap();
    let mut records = records_of_earlier_ones(&us).to_vec();
    records.push(us);
    let report = reap(&records, NO_PATIENCE).await;
    assert!(report.iter().all(|reaped| reaped.outcome == ReapOutcome::AlreadyGone), "{report:?}");
    // What is below us was not taken for a tree left over either.
    assert_eq!(support::finish(tree).await.0, Ending::Exited(1));
}

pub(crate) async fn nothing_left_over_is_nothing_to_do() {
    assert_eq!(reap(&[], PATIENCE).await, []);
}
