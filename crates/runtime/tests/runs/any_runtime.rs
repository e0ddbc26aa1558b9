//! What holds wherever the built-in agent runs.

use std::io::Write;
use std::sync::Arc;

use hatchery_agent::Model;
use hatchery_protocol::Task;
use hatchery_runtime::RunSpec;
use libtest_mimic::Trial;

use crate::model_server::ModelServer;
use crate::support::{
    at_work, both, chat_model, outcome, outcome_cancelled_at, said_by_a_model, spec, text,
};

pub(crate) fn all() -> Vec<Trial> {
    crate::trials![
        any_runtime::a_text_is_a_shell_line,
        any_runtime::an_argv_is_never_seen_by_a_shell,
        any_runtime::a_failed_command_is_an_answer_with_its_code,
        any_runtime::a_program_that_cannot_run_is_an_answer_with_the_reason,
        any_runtime::bytes_arrive_exactly_and_on_their_stream,
        any_runtime::much_output_arrives_whole,
        any_runtime::a_run_sees_the_environment_and_directory_it_is_given,
        any_runtime::a_ticket_reaches_the_command,
        any_runtime::a_cancelled_run_is_dead,
        any_runtime::a_run_in_a_missing_directory_says_so,
        any_runtime::a_providers_model_is_asked_in_this_process_only,
        any_runtime::a_run_without_a_model_says_so,
    ]
}

pub(crate) async fn a_text_is_a_shell_line() {
    for launch in both() {
        let (end, seen) = outcome(spec(launch, text("printf 'a b' | tr a-z A-Z"))).await;
        assert_eq!((end.as_str(), &seen.stdout()[..]), ("answered 0", &b"A B"[..]));
    }
}

pub(crate) async fn an_argv_is_never_seen_by_a_shell() {
    for launch in both() {
        let argv = ["printf", "%s|", "$HOME", "a  b", "", "'; exit 9"];
        let task = Task::Argv(argv.map(str::to_owned).to_vec());
        let (end, seen) = outcome(spec(launch, task)).await;
        assert_eq!(end, "answered 0");
        assert_eq!(seen.stdout(), b"$HOME|a  b||'; exit 9|");
    }
}

pub(crate) async fn a_failed_command_is_an_answer_with_its_code() {
    for launch in both() {
        for (line, end) in
            [("exit 7", "answered 7"), ("kill -9 $$", "answered 137"), ("true", "answered 0")]
        {
            assert_eq!(outcome(spec(launch.clone(), text(line))).await.0, end);
        }
    }
}

pub(crate) async fn a_program_that_cannot_run_is_an_answer_with_the_reason() {
    for launch in both() {
        for (program, end, line) in [
            (
                "no-such-prog",
                "answered 127",
                "hatchery: cannot run `no-such-prog`: no such program\n",
            ),
            (
                "/etc/passwd",
                "answered 126",
                "hatchery: cannot run `/etc/passwd`: it is not executable\n",
            ),
        ] {
            let task = Task::Argv(vec![program.to_owned(), "x".to_owned()]);
            let (told, seen) = outcome(spec(launch.clone(), task)).await;
            assert_eq!(
                (told.as_str(), String::from_utf8(seen.stderr()).unwrap()),
                (end, line.to_owned())
            );
        }
    }
}

pub(crate) async fn bytes_arrive_exactly_and_on_their_stream() {
    for launch in both() {
        let line = r"printf 'out\377\0\n'; printf '\303' >&2; printf '\251' >&2; printf '\342\202'";
        let (_, seen) = outcome(spec(launch, text(line))).await;
        assert_eq!(seen.stdout(), b"out\xff\0\n\xe2\x82");
        assert_eq!(seen.stderr(), "é".as_bytes());
    }
}

pub(crate) async fn much_output_arrives_whole() {
    for launch in both() {
        let (end, seen) = outcome(spec(launch, text("seq 1000000"))).await;
        assert_eq!(end, "answered 0");
        let text = String::from_utf8(seen.stdout()).unwrap();
        assert!(text.lines().map(str::parse).eq((1..=1_000_000).map(Ok)));
    }
}

pub(crate) async fn a_run_sees_the_environment_and_directory_it_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let cwd = directory.path().canonicalize().unwrap();
    for launch in both() {
        let mut spec = RunSpec { cwd: cwd.clone(), ..spec(launch, text("pwd; env")) };
        spec.env.push(("GIVEN".into(), "it is".into()));
        // Names a descriptor that nobody here has.
        spec.env.push(("HATCHERY_TICKET_FD".into(), "3".into()));
        let (_, seen) = outcome(spec).await;
        let printed = String::from_utf8(seen.stdout()).unwrap();
        let mut lines: Vec<_> = printed
            .lines()
            .filter(|line| !line.starts_with("PWD=") && !line.starts_with("HATCHERY_MODEL="))
            .collect();
        lines.sort_unstable();
        assert_eq!(lines, [cwd.to_str().unwrap(), "GIVEN=it is", "PATH=/usr/bin:/bin"]);
    }
}

pub(crate) async fn a_ticket_reaches_the_command() {
    for launch in both() {
        let (ours, mut tickets) = std::io::pipe().unwrap();
        tickets.write_all(b"a ticket").unwrap();
        drop(tickets);
        let task = text("cat <&$HATCHERY_TICKET_FD");
        let spec = RunSpec { ticket: Some(Arc::new(ours.into())), ..spec(launch, task) };
        let (_, seen) = outcome(spec).await;
        assert_eq!(seen.stdout(), b"a ticket");
    }
}

pub(crate) async fn a_cancelled_run_is_dead() {
    let stubborn = "trap '' TERM; setsid sh -c 'echo ready; sleep 1000; : of a cancelled run' & \
                    while :; do sleep 1000; done";
    for launch in both() {
        let (end, seen) = outcome_cancelled_at(spec(launch, text(stubborn)), "ready").await;
        assert_eq!(end, "cancelled");
        assert_eq!(seen.stdout(), b"ready\n");
        assert_eq!(at_work(": of a cancelled run"), 0);
    }
}

pub(crate) async fn a_run_in_a_missing_directory_says_so() {
    for launch in both() {
        let spec = RunSpec { cwd: "/nonexistent".into(), ..spec(launch, text("true")) };
        let (end, _) = outcome(spec).await;
        assert!(end.contains("/nonexistent"), "{end}");
    }
}

pub(crate) async fn a_providers_model_is_asked_in_this_process_only() {
    let server = ModelServer::start([]);
    let model = chat_model(server.base_url());
    let asked = |launch| {
        let model = Some(Model::Chat(Box::new(model.clone())));
        RunSpec { model, ..spec(launch, text("hello")) }
    };
    let [local, isolated] = both();
    let answer = said_by_a_model(asked(local)).await;
    assert_eq!(answer, ("answered with 18 tokens".to_owned(), b"echo: hello".to_vec()));
    let (refused, printed) = said_by_a_model(asked(isolated)).await;
    assert!(
        refused.contains("`mock/echo`") && refused.ends_with("use --runtime local"),
        "{refused}"
    );
    assert!(printed.is_empty());
    assert_eq!(server.requests().len(), 1);
}

pub(crate) async fn a_run_without_a_model_says_so() {
    let [local, _] = both();
    let (end, _) = outcome(RunSpec { model: None, ..spec(local, text("true")) }).await;
    assert_eq!(end, "the run has no model; set agents.defaults.model");
}
