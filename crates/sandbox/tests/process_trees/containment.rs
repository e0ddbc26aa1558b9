//! Whoever starts a tree, and whatever holds it: a stopped tree is dead, all of it.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hatchery_sandbox::{CommandSpec, Containment, Ending, Hold, ProcessIdentity};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdout};

use crate::support::{self, Lines, finish, run, sh, start};

pub(crate) fn all() -> Vec<Trial> {
    crate::trials![
        containment::a_stopped_tree_is_gone_and_writes_no_more,
        containment::a_keeper_and_a_gateway_killed_together_leave_nobody_in_a_namespace,
        containment::a_keeper_killed_alone_leaves_nobody_in_a_namespace,
        containment::in_a_namespace_numbers_agree_with_proc,
        containment::a_namespace_fits_into_a_namespace,
        containment::where_proc_cannot_show_a_namespace_the_keeper_holds,
        containment::nobody_in_a_namespace_can_kill_its_init,
        containment::without_a_namespace_the_keeper_holds,
        containment::an_ordinary_user_with_network_stays_in_the_users_namespace,
        containment::in_a_namespace_a_user_keeps_its_name,
        containment::a_tree_asked_before_it_runs_ends,
    ]
}

/// Who starts a tree, with which words, and whether it is in a namespace where one can be made.
struct Row {
    user: Option<u32>,
    words: &'static [&'static str],
    namespace: bool,
}

const NOBODY: u32 = 65_534;

fn table() -> Vec<Row> {
    let row = |user, words, namespace| Row { user, words, namespace };
    let mut table =
        vec![row(None, &["--no-network"][..], true), row(None, &["--no-namespace"], false)];
    if geteuid().is_root() {
        let nobody = Some(NOBODY);
        table.extend([
            row(None, &[], true),
            row(nobody, &["--no-network"], true),
            row(nobody, &["--namespace"], true),
            row(nobody, &[], false),
            row(nobody, &["--no-namespace", "--no-network"], false),
        ]);
    }
    table
}

impl Row {
    fn says(&self) -> String {
        format!("user {:?}, {:?}", self.user, self.words)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Asks another program whether this user can have a namespace here.
    fn can_have_namespace(&self) -> bool {
        let ordinary = self.user.is_some() || !geteuid().is_root();
        let user = if ordinary { &["--user", "--map-root-user"][..] } else { &[] };
        let mut unshare = self.command("unshare");
        unshare.args(user).args(["--pid", "--fork", "--mount-proc", "true"]);
        unshare.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// A gateway of this user with a tree of `script`.
    fn gateway(&self, script: &[&str]) -> Gateway {
        // By this way it can be run also where its directory is closed to others.
        let mut command = self.command("/proc/self/exe");
        command.arg("gateway").args(self.words).args(script);
        let mut command = tokio::process::Command::from(command);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        Gateway { child, stdout }
    }
}

struct Gateway {
    child: Child,
    stdout: ChildStdout,
}

impl Gateway {
    /// All it still says, once it has ended.
    async fn last_words(mut self) -> String {
        let said = support::read_all(&mut self.stdout).await;
        self.child.wait().await.unwrap();
        said
    }
}

/// Three generations of every sort. Each of the named ones says a line.
const EVERY_SORT: &str = r#"
case $1 in
top)
    for sort in away daemon deaf spinning breeding suspended writing; do
        sh "$0" middle $sort &
    done
    echo top; sleep 1000; sleep 1000 ;;
middle)
    case $2 in
    away) setsid sh "$0" leaf away & ;;
    daemon) (setsid sh "$0" leaf daemon &) ;;
    *) sh "$0" leaf $2 & ;;
    esac
    echo middle; sleep 1000; sleep 1000 ;;
leaf)
    trap '' TERM HUP INT
    echo leaf
    case $2 in
    spinning) while :; do :; done ;;
    breeding)
        for child in 1 2 3 4 5 6 7 8 9 10 11 12; do
            setsid sh -c 'while :; do sleep 1000; done' "$0" &
        done
        while :; do (sh -c 'sleep 0.01; :' "$0" &); sleep 0.01; done ;;
    suspended) kill -STOP $$ ;;
    writing) while :; do echo more >> "$(dirname "$0")/diary"; done ;;
    *) while :; do sleep 1000; done ;;
    esac ;;
esac
"#;
const EVERY_SORT_COUNT: usize = 1 + 7 + 7;

/// A directory anybody may write to, with the script in it.
fn workspace() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let script = directory.path().join("every-sort");
    std::fs::write(&script, EVERY_SORT).unwrap();
    (directory, script.to_str().unwrap().to_owned())
}

/// Everybody whose command line names this script. Zombies have none.
fn at_work(script: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let words = entries.filter_map(|path| std::fs::read(path.join("cmdline")).ok());
    let words = words.map(|words| String::from_utf8_lossy(&words).replace('\0', " "));
    words.filter(|words| words.contains(script) && !words.contains(" gateway ")).collect()
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "it never came about that {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Starts every sort and returns once all are there: the gateway, and its keeper.
async fn everybody(row: &Row, script: &str) -> (Gateway, ProcessIdentity) {
    let mut gateway = row.gateway(&["/bin/sh", script, "top"]);
    let mut lines = Lines::of(&mut gateway.stdout);
    let keeper = serde_json::from_str(&lines.next().await).unwrap();
    for _ in 0..EVERY_SORT_COUNT {
        lines.next().await;
    }
    drop(lines);
    (gateway, keeper)
}

fn size(path: &Path) -> u64 {
    match std::fs::metadata(path) {
        Ok(file) => file.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => panic!("{error}"),
    }
}

pub(crate) async fn a_stopped_tree_is_gone_and_writes_no_more() {
    for row in table() {
        let (directory, script) = workspace();
        let diary = directory.path().join("diary");
        let (mut gateway, keeper) = everybody(&row, &script).await;
        until("something is written", || size(&diary) > 0).await;
        gateway.child.stdin.take().unwrap().write_all(b"stop\n").await.unwrap();
        let said = support::read_all(&mut gateway.stdout).await;
        let left = at_work(&script);
        let written = size(&diary);

        assert_eq!(left, Vec::<String>::new(), "{}", row.says());
        assert!(!keeper.is_running(), "{}", row.says());
        let said = said.lines().last().unwrap();
        assert!(said.starts_with("Signalled(15) ") || said.starts_with("Signalled(9) "), "{said}");
        let in_namespace = row.namespace && row.can_have_namespace();
        assert_eq!(said.contains("Namespace"), in_namespace, "{}: {said}", row.says());
        // Time passes for everybody: others run from start to end meanwhile.
        for _ in 0..2 {
            run(sh("seq 1000 > /dev/null")).await;
            assert_eq!(size(&diary), written, "{}", row.says());
        }
        gateway.child.wait().await.unwrap();
    }
}

pub(crate) async fn a_keeper_and_a_gateway_killed_together_leave_nobody_in_a_namespace() {
    for row in table().iter().filter(|row| row.namespace && row.can_have_namespace()) {
        let (_directory, script) = workspace();
        let (mut gateway, keeper) = everybody(row, &script).await;
        let keeper_pid = Pid::from_raw(keeper.pid);
        // Suspended, it can do nothing in between.
        kill(keeper_pid, Signal::SIGSTOP).unwrap();
        gateway.child.start_kill().unwrap();
        kill(keeper_pid, Signal::SIGKILL).unwrap();
        gateway.child.wait().await.unwrap();
        until("nobody is left", || at_work(&script).is_empty()).await;
    }
}

pub(crate) async fn a_keeper_killed_alone_leaves_nobody_in_a_namespace() {
    for row in table().iter().filter(|row| row.namespace && row.can_have_namespace()) {
        let (_directory, script) = workspace();
        let (gateway, keeper) = everybody(row, &script).await;
        kill(Pid::from_raw(keeper.pid), Signal::SIGKILL).unwrap();
        // Its last word comes when all are gone; it adopts nobody, like an agent.
        let said = gateway.last_words().await;
        assert_eq!(at_work(&script), Vec::<String>::new(), "{}", row.says());
        assert!(said.contains("KeeperLost Some(Namespace"), "{said}");
    }
}

/// The table's rows in which there is a namespace, with what `script` says in it.
async fn said_in_namespaces(script: &str) -> Vec<(Row, String)> {
    let mut answers = Vec::new();
    for row in table().into_iter().filter(|row| row.namespace && row.can_have_namespace()) {
        let said = row.gateway(&["/bin/sh", "-c", script]).last_words().await;
        answers.push((row, said));
    }
    answers
}

fn lines_of_the_program(said: &str) -> Vec<&str> {
    let lines: Vec<&str> = said.lines().collect();
    lines[1..lines.len() - 1].to_vec()
}

pub(crate) async fn in_a_namespace_numbers_agree_with_proc() {
    let script = "echo $$ $PPID; cd /proc; echo [0-9]*; ps -o pid=,comm= -p 1,$$";
    for (row, said) in said_in_namespaces(script).await {
        let lines: Vec<Vec<&str>> = lines_of_the_program(&said)
            .iter()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let expected: [&[&str]; 4] =
            [&["2", "1"], &["1", "2"], &["1", "hatchery-init"], &["2", "sh"]];
        assert_eq!(lines, expected, "{}", row.says());
    }
}

/// An agent in one starts its commands in more.
pub(crate) async fn a_namespace_fits_into_a_namespace() {
    for row in table().iter().filter(|row| row.namespace && row.can_have_namespace()) {
        let mut words = vec!["/proc/self/exe", "gateway"];
        words.extend(row.words);
        words.extend(["/bin/sh", "-c", "cd /proc; echo [0-9]*"]);
        let said = row.gateway(&words).last_words().await;
        let lines: Vec<&str> = said.lines().skip(2).collect();
        let [numbers, inner, outer] = lines[..] else { panic!("{said}") };
        assert_eq!(numbers, "1 2", "{}", row.says());
        for held in [inner, outer] {
            assert!(held.starts_with("Exited(0) Some(Namespace"), "{}: {said}", row.says());
        }
    }
}

/// Numbers that mean one thing to the kernel and another to `/proc` would be worse than none.
pub(crate) async fn where_proc_cannot_show_a_namespace_the_keeper_holds() {
    if !geteuid().is_root() {
        return;
    }
    // The kernel shows nobody a fresh `/proc` who has seen only parts of one.
    let covered =
        "mount -t tmpfs none /proc/irq && exec setpriv --reuid 65534 --clear-groups \"$@\"";
    let (directory, _) = workspace();
    let binary = directory.path().join("gateway");
    std::fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    let mut unshare = tokio::process::Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", covered, "sh"]).arg(binary);
    unshare.args(["gateway", "--namespace", "/bin/sh", "-c", "exit 3"]);
    let mut child = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let said = Gateway { child, stdout }.last_words().await;
    assert!(said.ends_with("\nExited(3) Some(Keeper)\n"), "{said}");
}

pub(crate) async fn nobody_in_a_namespace_can_kill_its_init() {
    let script = "kill -9 $PPID; kill -STOP $PPID; kill -TERM $PPID; sh -c 'exit 3'; echo $?";
    for (row, said) in said_in_namespaces(script).await {
        assert_eq!(lines_of_the_program(&said), ["3"], "{}", row.says());
        assert!(said.contains("\nExited(0) "), "{}: {said}", row.says());
    }
}

pub(crate) async fn in_a_namespace_a_user_keeps_its_name() {
    let script = "id -u; id -g; touch \"$(mktemp -u)\"; echo $?";
    for (row, said) in said_in_namespaces(script).await {
        let user = row.user.unwrap_or(geteuid().as_raw()).to_string();
        let group = row.user.unwrap_or(nix::unistd::getegid().as_raw()).to_string();
        assert_eq!(lines_of_the_program(&said), [&user[..], &group, "0"], "{}", row.says());
    }
}

pub(crate) async fn without_a_namespace_the_keeper_holds() {
    let spec =
        CommandSpec { containment: Containment::NoNamespace, ..sh("readlink /proc/self/ns/pid") };
    let mut tree = start(spec).await;
    assert_eq!(tree.keeper.hold(), None);
    let said = support::read_all(&mut tree.stdout).await;
    assert_eq!(tree.wait().await, Ending::Exited(0));
    assert_eq!(tree.keeper.hold(), Some(&Hold::Keeper));
    let ours = std::fs::read_link("/proc/self/ns/pid").unwrap();
    assert_eq!(said.trim_end(), ours.to_str().unwrap());
}

/// A user namespace would take from set-user-ID programs what they are there for.
pub(crate) async fn an_ordinary_user_with_network_stays_in_the_users_namespace() {
    let row = Row { user: geteuid().is_root().then_some(NOBODY), words: &[], namespace: false };
    let said = row.gateway(&["/usr/bin/readlink", "/proc/self/ns/user"]).last_words().await;
    let ours = std::fs::read_link("/proc/self/ns/user").unwrap();
    assert_eq!(lines_of_the_program(&said), [ours.to_str().unwrap()]);
}

pub(crate) async fn a_tree_asked_before_it_runs_ends() {
    for containment in [Containment::Auto, Containment::NoNamespace] {
        for _ in 0..10 {
            let tree = start(CommandSpec { containment, ..sh("exec sleep 1000") }).await;
            tree.stopper().stop(Duration::from_secs(3600));
            assert_eq!(finish(tree).await.0, Ending::Signalled(15));
        }
    }
}
