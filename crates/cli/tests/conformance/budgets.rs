//! What a tree may use up: its limits hold for everything below, in real runs.

use crate::home::{Home, wait_until};
use crate::model_server::{ModelServer, Reply};

const DEEP: &str =
    "{ gateway: { port: 0 }, agents: { defaults: { subagents: { maxSpawnDepth: 3 } } } }";

#[test]
fn a_tree_has_no_more_descendants_than_its_budget_allows() {
    let home = Home::with_config(DEEP, "");
    home.start_gateway();
    // The grandchild counts as well.
    let line = "hatchery spawn --runtime local -- 'hatchery spawn --runtime local -- echo second' \
                && hatchery spawn --runtime local -- echo third";
    let words = ["spawn", "--runtime", "local", "--budget", "descendants=2", "--", line];
    let said = home.run(&words);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stdout.contains("\nsecond\n") && !said.stdout.contains("\nthird\n"), "{said:?}");
    assert!(said.stderr.contains("the budget 'descendants' of the run "), "{said:?}");
    assert!(said.stderr.contains("--budget descendants=N"), "{said:?}");
}

#[test]
fn a_child_cannot_widen_the_budget_it_was_given() {
    let home = Home::with_config(DEEP, "");
    home.start_gateway();
    let inner =
        "hatchery spawn --runtime local -- echo one && hatchery spawn --runtime local -- echo two";
    let line = format!("hatchery spawn --runtime local --budget descendants=9 -- '{inner}'");
    let words = ["spawn", "--runtime", "local", "--budget", "descendants=2", "--", &line];
    let said = home.run(&words);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stdout.contains("\none\n") && !said.stdout.contains("\ntwo\n"), "{said:?}");
}

#[test]
fn the_settings_give_every_tree_a_budget() {
    let home = Home::with_config(
        "{ gateway: { port: 0 }, agents: { defaults: { subagents: { maxSpawnDepth: 2,
           budget: { descendants: 1 } } } } }",
        "",
    );
    home.start_gateway();
    let line = "hatchery spawn --runtime local -- true && hatchery spawn --runtime local -- true";
    for _ in 0..2 {
        let said = home.run(&["spawn", "--runtime", "local", "--", line]);
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.stderr.contains("the budget 'descendants'"), "{said:?}");
    }
}

#[test]
fn no_more_of_a_tree_is_at_work_at_a_time_than_its_budget_allows() {
    let home = Home::with_config(DEEP, "");
    home.start_gateway();
    let line = "for n in 1 2 3; do hatchery spawn --detach --runtime local -- \
                \"while [ ! -e go$n ]; do sleep 0.02; done\"; done; hatchery sessions yield";
    let words = ["spawn", "--runtime", "local", "--budget", "concurrency=2", "--", line];
    let parent = home.begin(&words);
    let with = |status: &str| home.sessions().iter().filter(|(_, is)| is == status).count();
    wait_until("the parent waits", || with("waiting") == 1);
    wait_until("two are at work", || with("running") == 2);
    assert_eq!(with("accepted"), 1);
    // A run beside the tree is not held up by it.
    assert_eq!(home.run(&["spawn", "--runtime", "local", "--", "true"]).status, 0);
    assert_eq!((with("running"), with("accepted")), (2, 1));
    for name in ["go1", "go2"] {
        std::fs::write(home.path().join(name), "").unwrap();
    }
    wait_until("the third is at work", || (with("running"), with("accepted")) == (1, 0));
    std::fs::write(home.path().join("go3"), "").unwrap();
    assert_eq!(parent.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn a_question_the_budget_does_not_cover_is_never_asked() {
    let server = ModelServer::start([Reply::Echo]);
    let base_url = server.base_url();
    let home = Home::with_config(
        &format!(
            r#"{{ gateway: {{ port: 0 }}, agents: {{ defaults: {{ subagents: {{ maxSpawnDepth: 2 }} }} }},
                 models: {{ providers: {{ mock: {{ baseUrl: "{base_url}" }} }} }} }}"#
        ),
        "",
    );
    home.start_gateway();
    // Until an answer is there it is taken to need 4,096 tokens; the first one took 18.
    let ask = "hatchery spawn --runtime local --model mock/echo -- hello";
    let line = format!("{ask} && {ask}");
    let words = ["spawn", "--runtime", "local", "--budget", "tokens=4110", "--", &line];
    let said = home.run(&words);
    assert_eq!(said.status, 1, "{said:?}");
    assert_eq!(said.stdout.matches("\necho: hello\n").count(), 1, "{said:?}");
    assert!(said.stderr.contains("the budget 'tokens' of the run "), "{said:?}");
    assert_eq!(server.requests().len(), 1);
    // Whoever has no budget asks on.
    let said = home.run(&["spawn", "--runtime", "local", "--model", "mock/echo", "--", "hello"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(server.requests().len(), 2);
}
