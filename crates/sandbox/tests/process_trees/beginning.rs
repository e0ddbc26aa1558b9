//! Nothing of a tree runs before it is told to begin.

use std::path::PathBuf;
use std::process::Stdio;

use hatchery_sandbox::{Ending, ProcessIdentity};
use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::support::{self, Lines, finish, keeper, part, sh};

pub(crate) fn all() -> Vec<Trial> {
    crate::trials_either_way![
        beginning::what_is_not_told_to_begin_does_nothing,
        beginning::what_was_dropped_never_begins,
        beginning::a_gateway_that_dies_before_the_word_has_begun_nothing,
    ]
}

/// A script that leaves a mark, and where.
fn marking() -> (TempDir, PathBuf, String) {
    let directory = tempfile::tempdir().unwrap();
    let mark = directory.path().join("mark");
    let script = format!("echo > {}", mark.display());
    (directory, mark, script)
}

/// Waits until a keeper waits for the word.
async fn waits(keeper: &ProcessIdentity) {
    let name = format!("/proc/{}/comm", keeper.pid);
    while std::fs::read_to_string(&name).unwrap() != "hatchery-keeper\n" {
        tokio::task::yield_now().await;
    }
    support::in_state(keeper, 'S').await;
}

fn children(process: &ProcessIdentity) -> String {
    std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", process.pid)).unwrap()
}

pub(crate) async fn what_is_not_told_to_begin_does_nothing() {
    let (_directory, mark, script) = marking();
    let prepared = keeper().prepare(sh(&script)).await.unwrap();
    let identity = prepared.identity().clone();
    waits(&identity).await;
    assert_eq!(children(&identity), "");
    prepared.give_up().await;
    assert!(!identity.is_running() && !mark.exists());

    let prepared = keeper().prepare(sh(&script)).await.unwrap();
    assert_eq!(finish(prepared.begin()).await.0, Ending::Exited(0));
    assert!(mark.exists());
}

pub(crate) async fn what_was_dropped_never_begins() {
    let (_directory, mark, script) = marking();
    let prepared = keeper().prepare(sh(&script)).await.unwrap();
    let identity = prepared.identity().clone();
    drop(prepared);
    support::ended(&identity).await;
    assert!(!mark.exists());
}

pub(crate) async fn a_gateway_that_dies_before_the_word_has_begun_nothing() {
    let (_directory, mark, script) = marking();
    let held = support::containment_word();
    let words = part(&[&["gateway", "--hesitant"], held, &["/bin/sh", "-c", &script]].concat());
    let mut gateway = tokio::process::Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = gateway.stdout.take().unwrap();
    let line = Lines::of(&mut stdout).next().await;
    let keeper: ProcessIdentity = serde_json::from_str(&line).unwrap();
    waits(&keeper).await;
    gateway.kill().await.unwrap();
    support::ended(&keeper).await;
    assert!(!mark.exists());
}
