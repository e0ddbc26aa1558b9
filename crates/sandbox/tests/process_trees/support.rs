//! Starting trees and reading what they say.

use std::cell::Cell;
use std::ffi::OsString;
use std::future::Future;
use std::os::fd::AsFd;
use std::time::Duration;

use hatchery_sandbox::{
    CommandSpec, Containment, Ending, KeeperCommand, Network, ProcessIdentity, Stdin, Tree,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{PidfdFlags, pidfd_open};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::ChildStdout;

thread_local! {
    static CONTAINMENT: Cell<Containment> = const { Cell::new(Containment::Auto) };
}

/// The word that makes a gateway hold its trees as this test does.
pub(crate) fn containment_word() -> &'static [&'static str] {
    match CONTAINMENT.get() {
        Containment::NoNamespace => &["--no-namespace"],
        Containment::Auto | Containment::Namespace => &[],
    }
}

/// Runs one test. The limit is there to fail rather than hang; nothing is expected to take long.
pub(crate) fn block_on(test: impl Future<Output = ()>) {
    block_on_with(Containment::Auto, test);
}

/// The same, with its trees held by their keepers alone.
pub(crate) fn block_on_keepers(test: impl Future<Output = ()>) {
    block_on_with(Containment::NoNamespace, test);
}

fn block_on_with(containment: Containment, test: impl Future<Output = ()>) {
    // One thread runs all of a test, and many a test after it.
    CONTAINMENT.set(containment);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test hangs");
    });
}

pub(crate) fn keeper() -> KeeperCommand {
    KeeperCommand { program: "/proc/self/exe".into(), args: vec!["keeper".into()] }
}

/// This binary in another part.
pub(crate) fn part(words: &[&str]) -> Vec<OsString> {
    let binary = std::env::current_exe().unwrap().into_os_string();
    std::iter::once(binary).chain(words.iter().map(OsString::from)).collect()
}

pub(crate) fn spec(argv: Vec<OsString>) -> CommandSpec {
    CommandSpec {
        argv,
        cwd: "/".into(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        stdin: Stdin::Null,
        ticket: None,
        network: Network::Host,
        containment: CONTAINMENT.get(),
    }
}

/// What a script begins with that names processes: a number alone means something else in each
/// namespace.
pub(crate) const NS: &str = "export NS=$(readlink /proc/self/ns/pid); ";

/// A script that names processes by `echo $$ $NS`.
pub(crate) fn naming(script: &str) -> CommandSpec {
    sh(&format!("{NS}{script}"))
}

pub(crate) fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

pub(crate) fn sh(script: &str) -> CommandSpec {
    spec(words(&["/bin/sh", "-c", script]))
}

pub(crate) async fn start(spec: CommandSpec) -> Tree {
    keeper().prepare(spec).await.unwrap().begin()
}

pub(crate) async fn read_all(from: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The ending, and all of standard output and standard error.
pub(crate) async fn finish(mut tree: Tree) -> (Ending, String, String) {
    let (out, err) = (&mut tree.stdout, &mut tree.stderr);
    let (ending, out, err) = tokio::join!(tree.keeper.wait(), read_all(out), read_all(err));
    (ending, out, err)
}

pub(crate) async fn run(spec: CommandSpec) -> (Ending, String, String) {
    finish(start(spec).await).await
}

/// Reads one line at a time, without its end.
pub(crate) struct Lines<'a>(BufReader<&'a mut ChildStdout>);

impl<'a> Lines<'a> {
    pub(crate) fn of(stdout: &'a mut ChildStdout) -> Self {
        Lines(BufReader::new(stdout))
    }

    pub(crate) async fn next(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.0.read_line(&mut line).await.unwrap(), 0, "the output ended early");
        line.trim_end().to_owned()
    }

    /// The next lines name processes, as `echo $$ $NS` does.
    pub(crate) async fn processes(&mut self, count: usize) -> Vec<ProcessIdentity> {
        let mut found = Vec::new();
        for _ in 0..count {
            found.push(named(&self.next().await));
        }
        found
    }

    pub(crate) async fn rest(mut self) -> String {
        read_all(&mut self.0).await
    }
}

/// The process that somebody names by its number and the namespace in which it is that.
pub(crate) fn named(words: &str) -> ProcessIdentity {
    let (number, namespace) = words.split_once(' ').unwrap();
    let is_it = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let own = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        own.and_then(|numbers| numbers.split_whitespace().last()) == Some(number)
            && std::fs::read_link(format!("/proc/{pid}/ns/pid"))
                .is_ok_and(|link| link.as_os_str() == namespace)
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    let mut pids = entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    ProcessIdentity::of(pids.find(is_it).expect("it runs")).expect("it runs")
}

/// The keeper of a program, given its parent: itself, or its part that is the namespace's init.
pub(crate) fn keeper_of(parent: &ProcessIdentity) -> ProcessIdentity {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", parent.pid)).unwrap();
    if stat.contains("(hatchery-keeper)") {
        return parent.clone();
    }
    let above = stat.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap();
    ProcessIdentity::of(above.parse().unwrap()).unwrap()
}

/// A program that makes every effort to stay, in four processes that each name themselves: the
/// program, a child in a session of its own, a double-forked daemon, and one without our pipes.
/// All of them ignore SIGTERM.
pub(crate) const STUBBORN: &str = r#"
export NS=$(readlink /proc/self/ns/pid)
trap "" TERM HUP INT
stay() { echo $1 $NS; while :; do sleep 1000; done; }
setsid sh -c 'echo $$ $NS; while :; do sleep 1000; done' &
(setsid sh -c 'echo $$ $NS; while :; do sleep 1000; done' &)
sh -c 'echo $$ $NS; exec >/dev/null 2>&1 </dev/null; while :; do sleep 1000; done' &
stay $$
"#;
pub(crate) const STUBBORN_COUNT: usize = 4;

pub(crate) fn still_running(processes: &[ProcessIdentity]) -> Vec<i32> {
    processes.iter().filter(|process| process.is_running()).map(|process| process.pid).collect()
}

/// Waits until a process that need not be our child has ended.
pub(crate) async fn ended(process: &ProcessIdentity) {
    let pid = rustix::process::Pid::from_raw(process.pid).unwrap();
    let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if process.is_running() {
        let wait = move || {
            let mut one = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
            poll(&mut one, PollTimeout::NONE).unwrap()
        };
        tokio::task::spawn_blocking(wait).await.unwrap();
    }
}

/// Waits until the kernel shows a process in the given state, which nothing announces.
pub(crate) async fn in_state(process: &ProcessIdentity, state: char) {
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap();
        if stat.contains(&format!(") {state} ")) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) fn assert_all_ended(processes: &[ProcessIdentity]) {
    assert_eq!(still_running(processes), Vec::<i32>::new());
}
