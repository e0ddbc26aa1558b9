//! The clocks of a run, each end to end: it ends what it measures and nothing else, and what was
//! said until then is kept.

use serde_json::Value;

use crate::home::{Home, Said, wait_until};

const ONE_SLOT: &str =
    "{ gateway: { port: 0 }, agents: { defaults: { subagents: { maxConcurrent: 1 } } } }";

/// The newest session's status, and what it is told to have said.
fn newest(home: &Home) -> (String, String) {
    let (session, status) = home.sessions().remove(0);
    (status, home.run(&["sessions", "history", &session]).stdout)
}

fn assert_timed_out(said: &Said, sentence: &str) {
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stderr.contains("Task timed_out: "), "{said:?}");
    assert!(said.stderr.contains(sentence), "{said:?}");
}

#[test]
fn a_run_does_not_wait_for_a_slot_for_longer_than_it_may() {
    let home = Home::with_config(ONE_SLOT, "");
    home.start_gateway();
    let first = home.begin(&["spawn", "--runtime", "local", "--", "echo $$ > first; sleep 600"]);
    home.wait_for_file("first");
    let words = ["spawn", "--runtime", "local", "--queue-timeout", "1s", "--", "echo > never"];
    assert_timed_out(&home.run(&words), "no slot fell free within its queueTimeoutSeconds");
    assert!(!home.path().join("never").exists());
    assert_eq!(newest(&home).0, "timed_out");
    let (session, status) = home.sessions().remove(1);
    assert_eq!(status, "running");
    assert_eq!(home.run(&["sessions", "kill", &session]).status, 0);
    assert_eq!(first.wait_with_output().unwrap().status.code(), Some(130));
    // A run that gets its slot in time has that clock behind it.
    let words =
        ["spawn", "--runtime", "local", "--queue-timeout", "1s", "--", "sleep 1.5; echo on"];
    assert_eq!(home.run(&words).status, 0);
}

/// A home with an ACP agent that is this command.
fn with_agent(command: &str) -> Home {
    Home::with_config(
        &format!(
            "{{ gateway: {{ port: 0 }}, agents: {{ entries: {{ odd: {{ runtime: {{ type: \"acp\", \
             acp: {{ command: {command} }} }} }} }} }} }}"
        ),
        "",
    )
}

#[test]
fn an_agent_that_does_not_get_to_work_in_time_is_ended() {
    let home = with_agent(r#"["sh", "-c", "echo $$ > odd.pid; exec sleep 600"]"#);
    home.start_gateway();
    let words =
        ["spawn", "--agent", "odd", "--runtime", "acp", "--start-timeout", "1s", "--", "hi"];
    assert_timed_out(&home.run(&words), "it did not get to work within its startTimeoutSeconds");
    assert_eq!(newest(&home).0, "timed_out");
}

#[test]
fn the_start_is_over_once_a_run_is_at_work() {
    let home = Home::with_config("{ gateway: { port: 0 } }", "");
    home.start_gateway();
    for runtime in ["local", "isolated", "acp"] {
        let words =
            ["spawn", "--runtime", runtime, "--start-timeout", "5s", "--", "sleep 6; echo on"];
        let said = home.run(&words);
        assert_eq!(said.status, 0, "{runtime}: {said:?}");
    }
}

#[test]
fn a_run_without_a_sign_of_life_is_ended_and_what_it_said_is_kept() {
    let home = Home::with_config("{ gateway: { port: 0 } }", "");
    home.start_gateway();
    for runtime in ["local", "isolated", "acp"] {
        let line = "echo so far; exec sleep 600";
        let words = ["spawn", "--runtime", runtime, "--idle-timeout", "1s", "--", line];
        let said = home.run(&words);
        assert_timed_out(&said, "it gave no sign of life for its idleTimeoutSeconds");
        let (status, history) = newest(&home);
        assert_eq!(status, "timed_out", "{runtime}");
        assert!(history.contains("so far\n< timed_out: "), "{runtime}: {history}");
    }
}

#[test]
fn a_run_that_is_slow_and_alive_lives_to_its_end() {
    let home = Home::with_config("{ gateway: { port: 0 } }", "");
    home.start_gateway();
    for runtime in ["local", "isolated", "acp"] {
        let line =
            "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do echo $i; sleep 0.2; done; echo end";
        let words = ["spawn", "--runtime", runtime, "--idle-timeout", "2s", "--", line];
        let said = home.run(&words);
        assert_eq!(said.status, 0, "{runtime}: {said:?}");
        assert!(said.stdout.contains("15\nend\n"), "{runtime}: {said:?}");
    }
}

#[test]
fn the_settings_do_not_call_a_silent_command_idle() {
    let home = Home::with_config(
        "{ gateway: { port: 0 }, agents: { defaults: { subagents: { idleTimeoutSeconds: 1 } } } }",
        "",
    );
    let said = home.run(&["spawn", "--runtime", "local", "--", "sleep 2.5; echo end"]);
    assert_eq!(said.status, 0, "{said:?}");
}

#[test]
fn a_run_that_waits_for_its_children_is_not_idle() {
    let home = Home::with_config(
        "{ gateway: { port: 0 }, agents: { defaults: { subagents: { maxSpawnDepth: 2 } } } }",
        "",
    );
    home.start_gateway();
    let line = "hatchery spawn --detach --runtime local --idle-timeout 0 -- 'sleep 4; echo slept'; \
                hatchery sessions yield";
    let words = ["spawn", "--runtime", "local", "--idle-timeout", "2s", "--", line];
    let said = home.run(&words);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.stdout.contains("slept\n"), "{said:?}");
}

#[test]
fn the_time_of_a_tree_goes_on_when_its_top_is_over() {
    let home = Home::with_config(
        "{ gateway: { port: 0 }, agents: { defaults: { subagents: { maxSpawnDepth: 2 } } } }",
        "",
    );
    home.start_gateway();
    let line = "hatchery spawn --detach --runtime local -- \
                'echo so far; echo $$ > child; exec sleep 600'; \
                while [ ! -e child ]; do sleep 0.02; done";
    let said = home.run(&["spawn", "--runtime", "local", "--budget", "wall=6s", "--", line]);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(newest(&home).0, "running");
    wait_until("the child is over", || newest(&home).0 != "running");
    let (status, history) = newest(&home);
    assert_eq!(status, "timed_out");
    assert!(
        history.contains("so far\n< timed_out: the time of its whole tree was up"),
        "{history}"
    );
    // Its result stands where its parent's does.
    let inbox = home.run(&["sessions", "history", "sess_main"]).stdout;
    assert_eq!(inbox.matches(" from sess_").count(), 2, "{inbox}");
}

#[test]
fn of_five_siblings_the_two_that_answer_are_heard_and_the_three_that_hang_are_ended() {
    let home = Home::with_config(
        "{ gateway: { port: 0 }, agents: { defaults: { subagents: { maxSpawnDepth: 2 } } } }",
        "",
    );
    home.start_gateway();
    let line = "for n in 1 2; do hatchery spawn --detach --runtime local -- \"echo good $n\"; done; \
                for n in 1 2 3; do hatchery spawn --detach --runtime local --timeout 2s -- \
                'echo half; exec sleep 600'; done; \
                hatchery sessions yield --json > all.part; mv all.part all";
    let said = home.run(&["spawn", "--runtime", "local", "--", line]);
    assert_eq!(said.status, 0, "{said:?}");
    let all: Value = serde_json::from_str(&home.wait_for_file("all")).unwrap();
    let mut ends: Vec<(&str, &str)> = all["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["status"].as_str().unwrap(), r["result"].as_str().unwrap()))
        .collect();
    ends.sort_unstable();
    let half = ("timed_out", "half\n");
    assert_eq!(ends, [("ok", "good 1\n"), ("ok", "good 2\n"), half, half, half]);
}
