//! What a program gets from us, and that it gets nothing else.

use hatchery_sandbox::CommandSpec;
use libtest_mimic::Trial;

use crate::support::{part, run, sh, spec, words};

pub(crate) fn all() -> Vec<Trial> {
    crate::trials_either_way![
        inheritance::the_environment_is_exactly_the_one_given,
        inheritance::a_program_is_looked_up_on_the_path_given,
        inheritance::the_program_starts_in_the_directory_given,
        inheritance::arguments_arrive_as_they_are,
        inheritance::no_descriptor_of_ours_is_inherited,
        inheritance::signals_are_as_if_just_logged_in,
        inheritance::a_program_gives_way_and_one_below_it_no_further,
        inheritance::the_program_leads_a_group_away_from_our_terminal,
    ]
}

pub(crate) async fn the_environment_is_exactly_the_one_given() {
    let env = vec![("B".into(), "two words".into()), ("A".into(), "".into())];
    let (_, out, _) = run(CommandSpec { env, ..spec(words(&["/usr/bin/env"])) }).await;
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A=", "B=two words"]);

    let (_, out, _) = run(CommandSpec { env: vec![], ..spec(words(&["/usr/bin/env"])) }).await;
    assert_eq!(out, "");
}

pub(crate) async fn a_program_is_looked_up_on_the_path_given() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/echo", directory.path().join("only-here")).unwrap();
    let env = vec![("PATH".into(), directory.path().into())];
    let (_, out, _) = run(CommandSpec { env, ..spec(words(&["only-here", "found"])) }).await;
    assert_eq!(out, "found\n");
}

pub(crate) async fn the_program_starts_in_the_directory_given() {
    let directory = tempfile::tempdir().unwrap();
    let cwd = directory.path().canonicalize().unwrap();
    let (_, out, _) = run(CommandSpec { cwd: cwd.clone(), ..sh("pwd") }).await;
    assert_eq!(out.trim_end(), cwd.to_str().unwrap());
}

pub(crate) async fn arguments_arrive_as_they_are() {
    let argv = words(&["/usr/bin/printf", "[%s]", "", "--", "--no-network", "a  b", "$HOME", "\n"]);
    assert_eq!(run(spec(argv)).await.1, "[][--][--no-network][a  b][$HOME][\n]");
}

pub(crate) async fn no_descriptor_of_ours_is_inherited() {
    // One that ought not to be passed on, to be sure there is any.
    let _open = std::fs::File::open("/dev/null").unwrap();
    assert_eq!(run(sh("ls /proc/$$/fd; :")).await.1, "0\n1\n2\n");
    let (_source, theirs) = hatchery_sandbox::ticket_channel().unwrap();
    let spec = CommandSpec { ticket: Some(theirs.into()), ..sh("ls /proc/$$/fd; :") };
    assert_eq!(run(spec).await.1, "0\n1\n2\n3\n");
}

pub(crate) async fn signals_are_as_if_just_logged_in() {
    // The C library keeps the first two real-time signals to itself.
    const NAMED: u64 = (1 << 31) - 1;
    let (_, out, _) = run(spec(words(&["/bin/cat", "/proc/self/status"]))).await;
    let bits = |name: &str| {
        let line = out.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    assert_eq!((bits("SigBlk:"), bits("SigIgn:") & NAMED), (0, 0));
}

pub(crate) async fn a_program_gives_way_and_one_below_it_no_further() {
    assert_eq!(run(spec(words(&["nice"]))).await.1, "10\n");
    let said = run(spec(part(&["agent", "nice"]))).await.1;
    assert_eq!(said.lines().nth(1), Some("10"), "{said}");
}

pub(crate) async fn the_program_leads_a_group_away_from_our_terminal() {
    // Fields: process id, group, session, terminal.
    let (_, out, _) = run(sh("read pid name state parent group session terminal rest \
                              < /proc/$$/stat; echo $pid $group $session $terminal $parent"))
    .await;
    let fields: Vec<i32> = out.split_whitespace().map(|field| field.parse().unwrap()).collect();
    let [pid, group, session, terminal, keeper] = fields[..] else { panic!("{out}") };
    assert_eq!((group, session, terminal), (pid, keeper, 0));
}
