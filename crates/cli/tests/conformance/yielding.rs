//! Runs that wait for what they have started: each result comes to them once, and none is lost
//! when they do not look.

use serde_json::Value;

use crate::home::{Home, Said, wait_until};

fn home() -> Home {
    let home = Home::with_config(
        "{ gateway: { port: 0 }, agents: { defaults: { subagents: { maxSpawnDepth: 2 } } } }",
        "",
    );
    home.start_gateway();
    home
}

/// Starts a run that goes on by itself; gives its session.
fn begin(home: &Home, runtime: &str, line: &str) -> String {
    let words = ["spawn", "--detach", "--json", "--runtime", runtime, "--label", "top", "--", line];
    let receipt = home.run(&words);
    receipt.json()["sessionId"].as_str().unwrap_or_else(|| panic!("{receipt:?}")).to_owned()
}

/// A line that starts children which answer once their file is there.
fn children(runtime: &str, names: &str) -> String {
    format!(
        "for n in {names}; do hatchery spawn --detach --runtime {runtime} --label c$n -- \
         \"while [ ! -e go$n ]; do sleep 0.02; done; echo answer $n\" || exit 9; done; "
    )
}

fn go(home: &Home, name: &str) {
    std::fs::write(home.path().join(format!("go{name}")), "").unwrap();
}

fn status(home: &Home, session: &str) -> String {
    home.ask(&["sessions", "show", session])["run"]["status"].as_str().unwrap().to_owned()
}

fn wait_for(home: &Home, session: &str, wanted: &str) {
    wait_until(&format!("{session} is {wanted}"), || status(home, session) == wanted);
}

/// The results a run has written down, as (label, status, what was said).
fn results(home: &Home, file: &str) -> Vec<(String, String, String)> {
    let text = home.wait_for_file(file);
    let answer: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let field = |result: &Value, name: &str| result[name].as_str().unwrap_or_default().to_owned();
    let results = answer["results"].as_array().unwrap().iter();
    let mut results: Vec<_> = results
        .map(|result| (field(result, "label"), field(result, "status"), field(result, "result")))
        .collect();
    results.sort();
    results
}

fn ok(name: &str) -> (String, String, String) {
    (format!("c{name}"), "ok".to_owned(), format!("answer {name}\n"))
}

/// A line whose output is in the file all at once.
fn into(line: &str, file: &str) -> String {
    format!("{line} > {file}.part && mv {file}.part {file}")
}

#[test]
fn a_run_that_waits_gets_each_result_once() {
    for runtime in ["local", "isolated"] {
        let home = home();
        let line = children(runtime, "1 2 3")
            + &into("hatchery sessions yield --count 1 --json", "first")
            + " && "
            + &into("hatchery sessions_yield --json", "rest");
        let parent = begin(&home, runtime, &line);
        wait_for(&home, &parent, "waiting");
        go(&home, "2");
        assert_eq!(results(&home, "first"), [ok("2")], "{runtime}");
        wait_for(&home, &parent, "waiting");
        go(&home, "1");
        go(&home, "3");
        assert_eq!(results(&home, "rest"), [ok("1"), ok("3")], "{runtime}");
        wait_for(&home, &parent, "ok");
        // What it has taken moves nowhere: its own result alone stands above it.
        let inbox = home.run(&["sessions", "history", "sess_main"]).stdout;
        assert_eq!(inbox.matches(" from sess_").count(), 1, "{inbox}");
    }
}

#[test]
fn results_read_as_a_person_would_have_them() {
    let home = home();
    let line = children("local", "1") + "touch go1; hatchery sessions yield";
    let said = home.run(&["spawn", "--runtime", "local", "--", &line]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.stdout.contains("] c1 ok\nanswer 1\n"), "{said:?}");
}

#[test]
fn what_a_run_has_not_looked_at_moves_up_once_when_it_ends() {
    let home = home();
    let line =
        children("local", "1 2 3") + "echo $$ > begun; while [ ! -e end ]; do sleep 0.02; done";
    let parent = begin(&home, "local", &line);
    home.wait_for_file("begun");
    // Two are over before it ends, one after.
    go(&home, "1");
    go(&home, "2");
    wait_until("two children are over", || {
        home.sessions().iter().filter(|(_, status)| status == "ok").count() == 2
    });
    std::fs::write(home.path().join("end"), "").unwrap();
    wait_for(&home, &parent, "ok");
    go(&home, "3");
    wait_until("all are over", || {
        home.sessions().iter().filter(|(_, status)| status == "ok").count() == 4
    });
    for life in 0..2 {
        let inbox = home.run(&["sessions", "history", "sess_main"]).stdout;
        for (session, _) in home.sessions().iter().filter(|(session, _)| session != "sess_main") {
            let from = format!(" from {session}\n");
            assert_eq!(inbox.matches(&from).count(), 1, "life {life}: {inbox}");
        }
        let own = home.run(&["sessions", "history", &parent]).stdout;
        assert_eq!(own.matches(" from sess_").count(), 0, "{own}");
        home.run(&["gateway", "restart", "--port", "0"]);
    }
}

#[test]
fn killed_children_wake_whoever_waits_for_them() {
    let home = home();
    let line = children("local", "1 2") + &into("hatchery sessions yield --json", "all");
    let parent = begin(&home, "local", &line);
    wait_for(&home, &parent, "waiting");
    for (session, status) in home.sessions() {
        if status == "running" {
            assert_eq!(home.run(&["sessions", "kill", &session]).status, 0);
        }
    }
    let ends: Vec<String> = results(&home, "all").into_iter().map(|(_, end, _)| end).collect();
    assert_eq!(ends, ["cancelled", "cancelled"]);
    wait_for(&home, &parent, "ok");
}

#[test]
fn a_wait_has_an_end_of_its_own_and_loses_nothing() {
    let home = home();
    let line = children("local", "1 2")
        + &into("hatchery sessions yield --timeout 1s --json", "none")
        + "; touch go1 go2; "
        + &into("hatchery sessions yield --json", "all");
    let parent = begin(&home, "local", &line);
    assert_eq!(results(&home, "none"), []);
    assert_eq!(results(&home, "all"), [ok("1"), ok("2")]);
    wait_for(&home, &parent, "ok");
}

#[test]
fn a_result_is_not_given_to_a_command_that_is_gone() {
    let home = home();
    let line = children("local", "1")
        + "hatchery sessions yield > /dev/null 2>&1 & waiter=$!; \
           while [ ! -e leave ]; do sleep 0.02; done; kill -9 $waiter; echo gone > left; \
           while [ ! -e ask ]; do sleep 0.02; done; "
        + &into("hatchery sessions yield --json", "all");
    let parent = begin(&home, "local", &line);
    wait_for(&home, &parent, "waiting");
    std::fs::write(home.path().join("leave"), "").unwrap();
    home.wait_for_file("left");
    wait_for(&home, &parent, "running");
    go(&home, "1");
    wait_until("the child is over", || home.sessions().iter().any(|(_, status)| status == "ok"));
    std::fs::write(home.path().join("ask"), "").unwrap();
    assert_eq!(results(&home, "all"), [ok("1")]);
    wait_for(&home, &parent, "ok");
}

#[test]
fn only_a_run_with_something_to_wait_for_waits() {
    let home = home();
    let from_inside = |line: &str| home.run(&["spawn", "--runtime", "local", "--", line]);
    let said = from_inside("hatchery sessions yield");
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stderr.contains("no live sub-agents and no results"), "{said:?}");
    assert!(said.stderr.contains("try: start a sub-agent first"), "{said:?}");
    // What it was told already it is not told again.
    let said =
        from_inside("hatchery spawn --runtime local -- true && hatchery sessions yield --json");
    assert!(said.stdout.contains("NOTHING_TO_WAIT_FOR"), "{said:?}");
    for words in [&["sessions", "yield"][..], &["sessions_yield"]] {
        let said: Said = home.run(words);
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.stderr.contains("only a run waits for its sub-agents"), "{said:?}");
        assert!(said.stderr.contains("try: "), "{said:?}");
    }
    assert_eq!(home.run(&["sessions", "yield", "--count", "0"]).status, 2);
}
