//! Agents that are none of ours, and behave as they like.

use std::time::Duration;

use hatchery_runtime::{AcpDeadlines, Launch, RunSpec};
use libtest_mimic::Trial;

use crate::support::{acp, outcome, outcome_cancelled_at, script, spec, text};

pub(crate) fn all() -> Vec<Trial> {
    crate::trials![
        strangers::a_program_that_is_not_there_is_named,
        strangers::a_program_that_speaks_something_else_is_told_apart,
        strangers::an_agent_that_dies_in_its_turn_is_told_with_its_last_words,
        strangers::an_agent_that_closes_its_output_and_stays_is_ended,
        strangers::an_agent_that_stays_after_its_turn_has_answered_all_the_same,
        strangers::an_agent_that_does_not_heed_a_cancel_is_killed,
        strangers::an_agent_that_says_nothing_has_not_answered,
        strangers::an_agent_noisy_on_its_standard_error_is_not_held_up,
    ]
}

/// An agent that opens a session, is prompted, and goes on as `rest` says.
pub(crate) fn agent(rest: &str) -> Launch {
    script(&format!(
        r#"
say() {{ printf '%s\n' "$1"; }}
chunk() {{
    say '{{"method":"session/update","params":{{"sessionId":"s","update":{{"sessionUpdate":"agent_message_chunk","content":{{"type":"text","text":"'"$1"'"}}}}}}}}'
}}
end() {{ say '{{"id":3,"result":{{"stopReason":"end_turn"}}}}'; }}
read -r line; say '{{"id":1,"result":{{"protocolVersion":1}}}}'
read -r line; say '{{"id":2,"result":{{"sessionId":"s"}}}}'
read -r line
{rest}
"#
    ))
}

/// A run with little patience for what an agent should do by itself.
pub(crate) fn hurried(launch: Launch) -> RunSpec {
    let deadlines = AcpDeadlines {
        cancel: Duration::from_millis(100),
        exit: Duration::from_millis(100),
        terminate: Duration::from_millis(100),
        ..AcpDeadlines::default()
    };
    RunSpec { deadlines, ..spec(launch, text("do it")) }
}

pub(crate) async fn a_program_that_is_not_there_is_named() {
    let (end, _) = outcome(spec(acp(vec!["no-such-agent".into()]), text("do it"))).await;
    assert!(
        end.starts_with("cannot run the agent's program `no-such-agent`: there is no"),
        "{end}"
    );
    let (end, _) = outcome(spec(acp(vec!["/etc/passwd".into()]), text("do it"))).await;
    assert!(end.starts_with("cannot run the agent's program `/etc/passwd`: it is not ex"), "{end}");
}

pub(crate) async fn a_program_that_speaks_something_else_is_told_apart() {
    let usage = script("echo 'Usage: prog'; echo 'wrong argument' >&2; exit 2");
    let (end, _) = outcome(spec(usage, text("do it"))).await;
    assert!(end.starts_with("`/bin/sh` does not speak ACP: it said something else: Usage: prog"));
    assert!(end.ends_with("it said: wrong argument"), "{end}");

    let (end, _) = outcome(hurried(script("yes; sleep 1000"))).await;
    assert!(end.contains("it said 64 lines that are something else, the last: y"), "{end}");
}

pub(crate) async fn an_agent_that_dies_in_its_turn_is_told_with_its_last_words() {
    let launch = agent("chunk half; echo 'out of memory' >&2; exit 3");
    let (end, seen) = outcome(spec(launch, text("do it"))).await;
    assert_eq!(end, "the agent ended during session/prompt (exit code 3); it said: out of memory");
    assert_eq!(seen.stdout(), b"half");
}

pub(crate) async fn an_agent_that_closes_its_output_and_stays_is_ended() {
    let (end, _) = outcome(hurried(agent("exec >&-; sleep 1000"))).await;
    assert_eq!(end, "the agent ended during session/prompt (signal 15)");
}

pub(crate) async fn an_agent_that_stays_after_its_turn_has_answered_all_the_same() {
    let (end, seen) = outcome(hurried(agent(
        "chunk hi; end; trap '' TERM; chunk late; \
                                             while :; do sleep 1000; done",
    )))
    .await;
    assert_eq!(end, "answered");
    assert_eq!(seen.stdout(), b"hilate");
}

pub(crate) async fn an_agent_that_does_not_heed_a_cancel_is_killed() {
    let launch = agent("trap '' TERM; chunk ready; while :; do sleep 1000; done");
    let (end, _) = outcome_cancelled_at(hurried(launch), "ready").await;
    assert_eq!(end, "cancelled");
}

pub(crate) async fn an_agent_that_says_nothing_has_not_answered() {
    for nothing in ["", "chunk ''; chunk ' '; chunk '\\n';"] {
        let launch = agent(&format!("{nothing} end; echo 'no key' >&2"));
        let (end, _) = outcome(hurried(launch)).await;
        assert_eq!(end, "the agent ended its turn without an answer; it said: no key");
    }
}

pub(crate) async fn an_agent_noisy_on_its_standard_error_is_not_held_up() {
    let launch = agent("seq 200000 >&2; chunk done; end");
    let (end, seen) = outcome(hurried(launch)).await;
    assert_eq!((end.as_str(), &seen.stdout()[..]), ("answered", &b"done"[..]));
    assert!(seen.stderr().is_empty());
}
