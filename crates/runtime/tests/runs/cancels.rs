//! A cancel ends a run whatever its agent is at, and what it had said until then stays.
//!
//! A run that is not ended fails by the limit of every test here.

use hatchery_runtime::{Launch, RunSpec};
use libtest_mimic::Trial;

use crate::strangers::{agent, hurried};
use crate::support::{
    both, outcome_cancelled_at, outcome_cancelled_when_ready, script, spec, text,
};

pub(crate) fn all() -> Vec<Trial> {
    crate::trials![
        cancels::an_agent_that_does_not_open_a_session_is_ended,
        cancels::an_agent_that_does_nothing_about_its_prompt_is_ended,
        cancels::an_agent_that_does_not_read_is_ended,
        cancels::an_agent_that_never_stops_talking_is_ended,
        cancels::an_agent_that_has_closed_its_output_is_ended,
        cancels::a_command_that_never_stops_printing_is_ended,
    ]
}

/// What a run says until it is cancelled, which it is as soon as its agent has made the file
/// `ready`. It must end as cancelled.
async fn said_until_cancelled(spec: RunSpec) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let cwd = directory.path().canonicalize().unwrap();
    let what = format!("{:?}", spec.launch);
    let (end, seen) = outcome_cancelled_when_ready(RunSpec { cwd, ..spec }).await;
    assert_eq!(end, "cancelled", "{what}");
    seen.stdout()
}

async fn said_by(launch: Launch) -> Vec<u8> {
    said_until_cancelled(hurried(launch)).await
}

pub(crate) async fn an_agent_that_does_not_open_a_session_is_ended() {
    let answers = r#"read -r line; printf '%s\n' '{"id":1,"result":{"protocolVersion":1}}'"#;
    for (before, stubborn) in
        [("", ""), ("", "trap '' TERM;"), (answers, ""), (answers, "trap '' TERM;")]
    {
        let agent =
            format!("{before}\nread -r line; {stubborn} : > ready; while :; do sleep 1000; done");
        assert_eq!(said_by(script(&agent)).await, b"");
    }
}

pub(crate) async fn an_agent_that_does_nothing_about_its_prompt_is_ended() {
    let call = r#"{"method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"tool_call","toolCallId":"1","title":"wait"}}}"#;
    let tool = format!("say '{call}'; setsid sh -c \"trap '' TERM; : > ready; sleep 1000\" & wait");
    let ask = r#"say '{"id":7,"method":"session/request_permission","params":{"options":[]}}'"#;
    for state in [
        // Silent.
        ": > ready; sleep 1000",
        // Silent, and deaf to being told so.
        "trap '' TERM; : > ready; while :; do sleep 1000; done",
        // Stopped by somebody.
        ": > ready; kill -STOP $$",
        // In a tool that is in a session of its own.
        &tool,
        // With leave asked for and not read.
        &format!("{ask}; : > ready; sleep 1000"),
        // It hears the cancel, and does not answer it.
        ": > ready; while read -r line; do :; done; sleep 1000",
    ] {
        assert_eq!(said_by(agent(&format!("chunk half; {state}"))).await, b"half", "{state}");
    }
}

pub(crate) async fn an_agent_that_does_not_read_is_ended() {
    // A prompt that fits in no pipe.
    let deaf = r#"
        read -r line; printf '%s\n' '{"id":1,"result":{"protocolVersion":1}}'
        read -r line; printf '%s\n' '{"id":2,"result":{"sessionId":"s"}}'
        : > ready; sleep 1000
    "#;
    let long = RunSpec { task: text(&"x".repeat(300_000)), ..hurried(script(deaf)) };
    assert_eq!(said_until_cancelled(long).await, b"");

    // Requests of its own, whose answers fill the pipe until both sides wait.
    let asks = r#"
        chunk half; number=0
        while :; do
            say '{"id":7,"method":"whatever"}'
            number=$((number + 1)); test $number = 1500 && : > ready
        done
    "#;
    assert_eq!(said_by(agent(asks)).await, b"half");
}

pub(crate) async fn an_agent_that_never_stops_talking_is_ended() {
    for flood in [
        "yes",
        "yes >&2",
        "cat /dev/zero",
        "cat /dev/zero >&2",
        r#"yes '{"method":"session/update","params":{"sessionId":"s","update":{}}}'"#,
        r#"yes '{"id":3,"method":"whatever"}'"#,
    ] {
        for stubborn in ["", "trap '' TERM;"] {
            let launch = agent(&format!("chunk half; {stubborn} : > ready; {flood}"));
            assert_eq!(said_by(launch).await, b"half", "{flood}");
        }
    }
    // What it says after the cancel and before its end is output too.
    let said = said_by(agent("trap '' TERM; : > ready; while :; do chunk x; done")).await;
    assert!(said.iter().all(|&byte| byte == b'x'));
}

pub(crate) async fn an_agent_that_has_closed_its_output_is_ended() {
    for closed in ["exec >&-", "exec >&- 2>&-", "exec >&- 2>&- <&-"] {
        let stays =
            format!("chunk half; : > ready; {closed}; trap '' TERM; while :; do sleep 1000; done");
        let directory = tempfile::tempdir().unwrap();
        let cwd = directory.path().canonicalize().unwrap();
        let spec = RunSpec { cwd, ..hurried(agent(&stays)) };
        let (end, seen) = outcome_cancelled_when_ready(spec).await;
        // Whichever comes first.
        assert!(end == "cancelled" || end.contains("ended during session/prompt"), "{end}");
        assert_eq!(seen.stdout(), b"half");
    }
}

pub(crate) async fn a_command_that_never_stops_printing_is_ended() {
    for launch in both() {
        for line in ["echo ready; yes", "echo ready; yes >&2", "echo ready; cat /dev/zero"] {
            let (end, _) = outcome_cancelled_at(spec(launch.clone(), text(line)), "ready").await;
            assert_eq!(end, "cancelled", "{line}");
        }
    }
}
