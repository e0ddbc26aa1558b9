//! Taking up a run whose first life ended without a word.

use std::path::PathBuf;

use hatchery_agent::{Cancel, Model};
use hatchery_runtime::{Launch, RunSpec, run};
use libtest_mimic::Trial;

use crate::model_server::ModelServer;
use crate::strangers::hurried;
use crate::support::{
    Seen, appears, both, chat_model, keeper, outcome, said_by_a_model, script, spec, text,
};

pub(crate) fn all() -> Vec<Trial> {
    crate::trials![
        resuming::a_run_whose_gateway_died_goes_on_in_its_session,
        resuming::a_session_its_agent_does_not_know_is_never_begun_anew,
        resuming::a_command_is_never_run_twice,
        resuming::a_question_to_a_model_is_asked_again,
    ]
}

/// An agent that keeps its one session in its directory. The first turn does something and then
/// hangs; one that is gone on with only answers.
fn keeps_its_session() -> Launch {
    script(
        r#"
say() { printf '%s\n' "$1"; }
update() { say '{"method":"session/update","params":{"sessionId":"kept","update":{"sessionUpdate":"'"$1"'","content":{"type":"text","text":"'"$2"'"}}}}'; }
read -r line; say '{"id":1,"result":{"protocolVersion":1,"agentCapabilities":{"loadSession":true}}}'
read -r line
case $line in
*session/new*)
    say '{"id":2,"result":{"sessionId":"kept"}}'
    read -r line
    echo "$line" >> done
    update agent_message_chunk 'first half'
    sleep 1000 ;;
*session/load*'"kept"'*)
    update user_message_chunk 'do it'
    update agent_message_chunk 'first half'
    say '{"id":2,"result":null}'
    read -r line
    echo "$line" >> asked
    update agent_message_chunk 'second half'
    say '{"id":3,"result":{"stopReason":"end_turn"}}' ;;
*)
    say '{"id":2,"error":{"code":-32002,"message":"no such session"}}'
    read -r line ;;
esac
"#,
    )
}

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let cwd = directory.path().canonicalize().unwrap();
    (directory, cwd)
}

pub(crate) async fn a_run_whose_gateway_died_goes_on_in_its_session() {
    let (_directory, cwd) = directory();
    let spec = RunSpec { cwd: cwd.clone(), ..hurried(keeps_its_session()) };

    let (seen, begun) = (Seen::default(), cwd.join("done"));
    tokio::select! {
        end = run(spec.clone(), keeper(), seen.clone(), Cancel::new()) => panic!("{end:?}"),
        // As if this process had died.
        () = appears(&begun) => {}
    }
    while !seen.is_gone() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let session = seen.resumable().pop();
    assert_eq!(session.as_deref(), Some("kept"));

    let (end, seen) = outcome(RunSpec { resume: session, ..spec }).await;
    assert_eq!(end, "answered");
    assert_eq!(seen.stdout(), b"second half");
    assert_eq!(seen.resumable(), ["kept"]);
    let lines = |file: &str| std::fs::read_to_string(cwd.join(file)).unwrap();
    assert_eq!(lines("done").lines().count(), 1);
    assert!(!lines("asked").contains("do it"), "{}", lines("asked"));
}

pub(crate) async fn a_session_its_agent_does_not_know_is_never_begun_anew() {
    let (_directory, cwd) = directory();
    let spec = hurried(keeps_its_session());
    let spec = RunSpec { cwd: cwd.clone(), resume: Some("lost".to_owned()), ..spec };
    let (end, seen) = outcome(spec).await;
    assert!(
        end.starts_with(
            "the run cannot be taken up where it was left: \
             the agent answered session/load with error -32002: no such session;"
        ),
        "{end}"
    );
    assert!(seen.stdout().is_empty() && seen.resumable().is_empty());
    assert_eq!(std::fs::read_dir(cwd).unwrap().count(), 0);
}

pub(crate) async fn a_command_is_never_run_twice() {
    for launch in both() {
        let (_directory, cwd) = directory();
        let spec = spec(launch, text(": > run"));
        let spec = RunSpec { cwd: cwd.clone(), resume: Some("s".to_owned()), ..spec };
        let (end, seen) = outcome(spec).await;
        assert!(end.starts_with("the run cannot be taken up where it was left: "), "{end}");
        assert_eq!(std::fs::read_dir(cwd).unwrap().count(), 0);
        assert!(seen.progress().is_empty());
    }
}

pub(crate) async fn a_question_to_a_model_is_asked_again() {
    let server = ModelServer::start([]);
    let [local, _] = both();
    let model = Some(Model::Chat(Box::new(chat_model(server.base_url()))));
    let spec = spec(local, text("hello"));
    let spec = RunSpec { model, resume: Some("s".to_owned()), ..spec };
    let answer = said_by_a_model(spec).await;
    assert_eq!(answer, ("answered with 18 tokens".to_owned(), b"echo: hello".to_vec()));
}
