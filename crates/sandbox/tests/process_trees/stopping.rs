//! A stopped tree is dead, all of it.

use std::time::Duration;

use hatchery_sandbox::{CommandSpec, Ending, Stdin};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{
    self, Lines, NS, STUBBORN, STUBBORN_COUNT, assert_all_ended, naming, part, sh, spec, start,
    still_running,
};

pub(crate) fn all() -> Vec<Trial> {
    crate::trials_either_way![
        stopping::nobody_outlives_a_stop,
        stopping::nobody_outlives_the_lifeline,
        stopping::nobody_outlives_the_program,
        stopping::nobody_outlives_a_keeper_told_to_end,
        stopping::a_killed_keeper_is_told_and_leaves_no_session_behind,
        stopping::who_ends_when_asked_is_not_killed,
        stopping::children_get_the_grace_too,
        stopping::a_shorter_grace_counts_and_a_longer_does_not,
        stopping::a_stop_reaches_a_program_that_has_hardly_started,
        stopping::stopping_what_is_gone_does_nothing,
        stopping::a_suspended_tree_can_be_asked_to_end,
        stopping::a_process_that_keeps_forking_is_caught,
        stopping::a_tree_within_a_tree_is_asked_once_and_ends,
        stopping::a_tree_within_a_tree_ends_with_its_agent,
    ]
}

const LONG: Duration = Duration::from_secs(3600);

pub(crate) async fn nobody_outlives_a_stop() {
    for grace in [Duration::ZERO, Duration::from_millis(50)] {
        let mut tree = start(sh(STUBBORN)).await;
        let everyone = Lines::of(&mut tree.stdout).processes(STUBBORN_COUNT).await;
        assert_eq!(still_running(&everyone).len(), STUBBORN_COUNT);
        tree.stopper().stop(grace);
        assert_eq!(tree.wait().await, Ending::Signalled(9));
        assert_all_ended(&everyone);
        assert!(!tree.identity().is_running());
    }
}

pub(crate) async fn nobody_outlives_the_lifeline() {
    let mut tree = start(sh(STUBBORN)).await;
    let mut lines = Lines::of(&mut tree.stdout);
    let everyone = lines.processes(STUBBORN_COUNT).await;
    let keeper = tree.keeper.identity().clone();
    let stopper = tree.keeper.stopper();
    drop(tree.keeper);
    support::ended(&keeper).await;
    assert_all_ended(&everyone);
    assert_eq!(lines.rest().await, "");
    // A stopper left over is harmless.
    stopper.stop(Duration::ZERO);
}

pub(crate) async fn nobody_outlives_the_program() {
    let script = "setsid sleep 1000 & echo $! $NS; (sleep 1000 >/dev/null 2>&1 & echo $! $NS); \
                  read line; exit 5";
    let mut tree = start(CommandSpec { stdin: Stdin::Piped, ..naming(script) }).await;
    let everyone = Lines::of(&mut tree.stdout).processes(2).await;
    drop(tree.stdin.take());
    assert_eq!(tree.wait().await, Ending::Exited(5));
    assert_all_ended(&everyone);
}

pub(crate) async fn nobody_outlives_a_keeper_told_to_end() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut tree =
            start(naming("trap 'exit 4' TERM; echo $$ $NS; while :; do sleep 0.01; done")).await;
        let everyone = Lines::of(&mut tree.stdout).processes(1).await;
        kill(Pid::from_raw(tree.identity().pid), signal).unwrap();
        assert_eq!(tree.wait().await, Ending::Exited(4));
        assert_all_ended(&everyone);
    }
}

pub(crate) async fn a_killed_keeper_is_told_and_leaves_no_session_behind() {
    let script = "trap '' TERM HUP; echo $$ $NS; setsid sh -c 'echo $$ $NS; sleep 1000; exit' & \
                  sh -c 'echo $$ $NS; sleep 1000; exit' & wait";
    let mut tree = start(naming(script)).await;
    let everyone = Lines::of(&mut tree.stdout).processes(3).await;
    kill(Pid::from_raw(tree.identity().pid), Signal::SIGKILL).unwrap();
    assert_eq!(tree.wait().await, Ending::KeeperLost);
    assert_all_ended(&everyone);
}

pub(crate) async fn who_ends_when_asked_is_not_killed() {
    let mut tree =
        start(sh("trap 'echo bye; exit 3' TERM; echo; while :; do sleep 0.01; done")).await;
    let mut lines = Lines::of(&mut tree.stdout);
    lines.next().await;
    tree.keeper.stopper().stop(LONG);
    assert_eq!(lines.next().await, "bye");
    assert_eq!(tree.wait().await, Ending::Exited(3));
}

pub(crate) async fn children_get_the_grace_too() {
    let child = r#"trap "sleep 0.1; echo done; exit" TERM; echo; while :; do sleep 0.01; done"#;
    let mut tree = start(sh(&format!("sh -c '{child}' & wait"))).await;
    let mut lines = Lines::of(&mut tree.stdout);
    lines.next().await;
    tree.keeper.stopper().stop(LONG);
    // The program itself dies of the signal at once; its child still gets to say this.
    assert_eq!(lines.next().await, "done");
    assert_eq!(tree.wait().await, Ending::Signalled(15));
}

pub(crate) async fn a_shorter_grace_counts_and_a_longer_does_not() {
    for graces in [[LONG, Duration::from_millis(20)], [Duration::from_millis(20), LONG]] {
        let mut tree = start(sh("trap '' TERM; echo; while :; do sleep 1000; done")).await;
        Lines::of(&mut tree.stdout).next().await;
        for grace in graces {
            tree.stopper().stop(grace);
        }
        tree.stopper().stop(Duration::MAX);
        assert_eq!(tree.wait().await, Ending::Signalled(9));
    }
}

pub(crate) async fn a_stop_reaches_a_program_that_has_hardly_started() {
    for _ in 0..10 {
        let mut tree = start(sh("while :; do sleep 1000; done")).await;
        tree.stopper().stop(Duration::ZERO);
        assert_eq!(tree.wait().await, Ending::Signalled(9));
    }
}

pub(crate) async fn stopping_what_is_gone_does_nothing() {
    let mut tree = start(sh("exit 0")).await;
    assert_eq!(tree.wait().await, Ending::Exited(0));
    let stopper = tree.stopper();
    stopper.stop(LONG);
    stopper.stop(Duration::ZERO);
    assert_eq!(tree.wait().await, Ending::Exited(0));
    drop(tree);
    stopper.stop(Duration::ZERO);
}

pub(crate) async fn a_suspended_tree_can_be_asked_to_end() {
    let mut tree =
        start(naming("trap 'exit 3' TERM; echo $$ $NS; kill -STOP $$; sleep 1000")).await;
    let program = Lines::of(&mut tree.stdout).processes(1).await;
    support::in_state(&program[0], 'T').await;
    tree.stopper().stop(LONG);
    assert_eq!(tree.wait().await, Ending::Exited(3));
}

pub(crate) async fn a_process_that_keeps_forking_is_caught() {
    // Each one starts the next in a session of its own and ends; the chain never does.
    let directory = tempfile::tempdir().unwrap();
    let hop = directory.path().join("hop");
    std::fs::write(&hop, "echo; setsid sh \"$0\" &\n").unwrap();
    let mut tree = start(sh(&format!("sh {}; sleep 1000", hop.display()))).await;
    let mut lines = Lines::of(&mut tree.stdout);
    for _ in 0..20 {
        lines.next().await;
    }
    tree.keeper.stopper().stop(Duration::ZERO);
    let (ending, _) = tokio::join!(tree.keeper.wait(), lines.rest());
    assert_eq!(ending, Ending::Signalled(9));
}

pub(crate) async fn a_tree_within_a_tree_is_asked_once_and_ends() {
    let directory = tempfile::tempdir().unwrap();
    let diary = directory.path().join("diary");
    // A file, because the agent that reads the command's output is asked to end as well; for the
    // same reason the shell must not complain when its `sleep` is ended.
    let command = format!(
        "{NS}exec 2>/dev/null; trap 'echo asked >> {0}; sleep 0.05; echo left >> {0}; exit 6' TERM; \
         echo $$ $NS; while :; do sleep 0.01; done",
        diary.display()
    );
    let mut tree = start(spec(part(&["agent", "/bin/sh", "-c", &command]))).await;
    let everyone = Lines::of(&mut tree.stdout).processes(2).await;
    tree.stopper().stop(LONG);
    assert_eq!(tree.wait().await, Ending::Signalled(15));
    assert_all_ended(&everyone);
    assert_eq!(std::fs::read_to_string(diary).unwrap(), "asked\nleft\n");
}

pub(crate) async fn a_tree_within_a_tree_ends_with_its_agent() {
    let mut tree = start(spec(part(&["agent", "/bin/sh", "-c", STUBBORN]))).await;
    let everyone = Lines::of(&mut tree.stdout).processes(1 + STUBBORN_COUNT).await;
    let agent = &everyone[0];
    kill(Pid::from_raw(agent.pid), Signal::SIGKILL).unwrap();
    assert_eq!(tree.wait().await, Ending::Signalled(9));
    assert_all_ended(&everyone);
}
