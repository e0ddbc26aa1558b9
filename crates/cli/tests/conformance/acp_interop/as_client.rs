//! An agent made with the official library runs as a child of a gateway.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use crate::home::{Home, Said, is_alive, named, wait_until};

/// The agent of `examples/official_agent.rs`.
fn program() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let program = this.ancestors().nth(2).unwrap().join("examples/official_agent");
    assert!(
        program.exists(),
        "`cargo test` builds the examples, but with `--test` it does not: run `cargo build \
         --package hatchery-cli --examples` first"
    );
    program
}

fn home() -> Home {
    let config = format!(
        "{{ acp: {{ allowedAgents: ['official'] }},
            agents: {{ entries: {{ official: {{ runtime: {{
              type: 'acp', acp: {{ command: ['{}'] }} }} }} }} }} }}",
        program().display()
    );
    Home::with_config(&config, "")
}

const SPAWN: [&str; 6] = ["spawn", "--agent", "official", "--runtime", "acp", "--"];

fn spawn(home: &Home, words: &[&str]) -> Said {
    home.run(&[&SPAWN, words].concat())
}

/// What the agent itself said, without the lines that tell of the run.
fn answer(said: &Said) -> Vec<&str> {
    let ours = |line: &str| {
        ["Spawning agent", "Agent spawned", "[sess_"].iter().any(|start| line.starts_with(start))
    };
    said.stdout.lines().filter(|line| !ours(line)).collect()
}

#[test]
fn its_answer_is_the_output_of_the_run() {
    let home = home();
    let said = spawn(&home, &["greet", "the gateway"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(
        answer(&said),
        [
            "I was told: greet 'the gateway'",
            "The client offers read, write, terminal: [false, false, false]",
        ]
    );
}

#[test]
fn its_question_is_answered_with_no_at_once() {
    let home = home();
    let said = spawn(&home, &["ask"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(answer(&said), ["chosen: c"]);
}

#[test]
fn it_cannot_have_files_written_for_it() {
    let home = home();
    let said = spawn(&home, &["write"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(answer(&said), ["refused: -32601"]);
}

#[test]
fn a_refused_task_is_a_failed_run_with_the_cause_named() {
    let home = home();
    let said = spawn(&home, &["refuse"]);
    assert_ne!(said.status, 0, "{said:?}");
    assert!(said.stderr.contains("the agent refused the task"), "{said:?}");
    let sessions = home.sessions();
    assert_eq!(sessions.iter().filter(|(_, status)| status == "failed").count(), 1, "{sessions:?}");
}

#[test]
fn a_turn_without_a_word_is_no_answer() {
    let home = home();
    let said = spawn(&home, &["silent"]);
    assert_ne!(said.status, 0, "{said:?}");
    assert!(said.stderr.contains("without an answer"), "{said:?}");
}

#[test]
fn an_interrupted_run_ends_with_its_agent() {
    let home = home();
    let mut spawn = home.begin(&[&SPAWN, &["hang"][..]].concat());
    let lines = BufReader::new(spawn.stdout.take().unwrap()).lines();
    let names_itself = |line: &String| line.contains(" pid:[");
    let agent = named(&lines.map(Result::unwrap).find(names_itself).unwrap());
    assert!(is_alive(agent));
    let client = nix::unistd::Pid::from_raw(i32::try_from(spawn.id()).unwrap());
    nix::sys::signal::kill(client, nix::sys::signal::Signal::SIGINT).unwrap();
    assert!(!spawn.wait().unwrap().success());
    wait_until("the agent is gone", || !is_alive(agent));
    let statuses: Vec<_> = home.sessions().into_iter().map(|(_, status)| status).collect();
    assert!(statuses.contains(&"cancelled".to_owned()), "{statuses:?}");
}
