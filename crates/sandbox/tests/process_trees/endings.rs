//! How programs end, and what is told about it.

use hatchery_sandbox::{CommandSpec, Ending, StartError, StartFailure, Stdin};
use libtest_mimic::Trial;
use tokio::io::AsyncWriteExt;

use crate::support::{self, keeper, run, sh, spec, start, words};

pub(crate) fn all() -> Vec<Trial> {
    crate::trials_either_way![
        endings::an_exit_code_is_told,
        endings::a_signal_is_told,
        endings::a_program_that_is_not_there_is_told_apart,
        endings::a_program_that_may_not_run_is_told_apart,
        endings::any_other_obstacle_is_told_in_words,
        endings::what_cannot_be_started_is_refused_at_once,
        endings::all_output_arrives,
        endings::piped_input_arrives_and_ends,
        endings::waiting_can_be_cancelled_and_repeated,
        endings::output_ends_when_the_program_closes_it,
    ]
}

pub(crate) async fn an_exit_code_is_told() {
    for code in [0, 7, 255] {
        assert_eq!(run(sh(&format!("exit {code}"))).await.0, Ending::Exited(code));
    }
}

pub(crate) async fn a_signal_is_told() {
    // 40 is a real-time signal, which has no name.
    for signal in [9, 15, 40] {
        assert_eq!(run(sh(&format!("kill -{signal} $$"))).await.0, Ending::Signalled(signal));
    }
}

pub(crate) async fn a_program_that_is_not_there_is_told_apart() {
    for program in ["/nowhere/program", "no-such-program-anywhere"] {
        let ending = run(spec(words(&[program]))).await.0;
        assert_eq!(ending, Ending::NotStarted(StartFailure::NotFound));
        assert_eq!(ending.exit_code(), 127);
    }
}

pub(crate) async fn a_program_that_may_not_run_is_told_apart() {
    for program in ["/etc/passwd", "/etc"] {
        let ending = run(spec(words(&[program]))).await.0;
        assert_eq!(ending, Ending::NotStarted(StartFailure::PermissionDenied));
        assert_eq!(ending.exit_code(), 126);
    }
}

pub(crate) async fn any_other_obstacle_is_told_in_words() {
    let ending = run(spec(words(&[&"/x".repeat(3000)]))).await.0;
    let Ending::NotStarted(StartFailure::Other(words)) = &ending else { panic!("{ending:?}") };
    assert!(words.contains("name too long"), "{words}");
    assert_eq!(ending.exit_code(), 1);
}

pub(crate) async fn what_cannot_be_started_is_refused_at_once() {
    let refusal = async |spec| keeper().prepare(spec).await.unwrap_err();
    assert!(matches!(refusal(spec(vec![])).await, StartError::EmptyCommand));
    assert!(matches!(refusal(spec(words(&["a\0b"]))).await, StartError::NulByte));
    let nowhere = CommandSpec { cwd: "/nowhere".into(), ..sh("") };
    assert!(
        matches!(refusal(nowhere).await, StartError::Cwd { path } if path.as_os_str() == "/nowhere")
    );
    let file = CommandSpec { cwd: "/etc/passwd".into(), ..sh("") };
    assert!(matches!(refusal(file).await, StartError::Cwd { .. }));
}

pub(crate) async fn all_output_arrives() {
    let (ending, out, err) = run(sh("seq 200000 & seq 200000 >&2; wait")).await;
    assert_eq!(ending, Ending::Exited(0));
    for text in [out, err] {
        assert_eq!(text.lines().count(), 200_000);
        assert!(text.ends_with("\n199999\n200000\n"));
    }
}

pub(crate) async fn piped_input_arrives_and_ends() {
    let mut tree = start(CommandSpec { stdin: Stdin::Piped, ..sh("cat; echo end") }).await;
    let mut stdin = tree.stdin.take().unwrap();
    stdin.write_all(b"some input\n").await.unwrap();
    drop(stdin);
    assert_eq!(support::finish(tree).await.1, "some input\nend\n");
    assert_eq!(run(sh("cat; echo end")).await.1, "end\n");
}

pub(crate) async fn waiting_can_be_cancelled_and_repeated() {
    let mut tree = start(CommandSpec { stdin: Stdin::Piped, ..sh("read line; exit 3") }).await;
    tokio::select! {
        biased;
        ending = tree.wait() => panic!("{ending:?}"),
        () = std::future::ready(()) => {}
    }
    drop(tree.stdin.take());
    assert_eq!(tree.wait().await, Ending::Exited(3));
    assert_eq!(tree.wait().await, Ending::Exited(3));
}

pub(crate) async fn output_ends_when_the_program_closes_it() {
    let mut tree =
        start(CommandSpec { stdin: Stdin::Piped, ..sh("exec >&- 2>&-; read line") }).await;
    // The program still runs: it waits for a line.
    assert_eq!(support::read_all(&mut tree.stdout).await, "");
    assert_eq!(support::read_all(&mut tree.stderr).await, "");
    drop(tree.stdin.take());
    assert_eq!(tree.wait().await, Ending::Exited(1));
}
