//! Taking up a session where an earlier life of the run left it.

use std::collections::BTreeSet;

use hatchery_protocol::{OutputStream, Task};
use serde_json::{Value, json};

use super::{Told, answer, chunk, converse, converse_about, ended, proper, text, update_of};
use crate::Step;
use crate::acp::client::conversation::Trouble;
use crate::acp::rpc::RpcError;

fn loads() -> Value {
    json!({ "loadSession": true })
}

fn resumes() -> Value {
    json!({ "loadSession": true, "sessionCapabilities": { "resume": {} } })
}

/// A conversation with an agent that can do this, is asked to take up session `old`, and reacts
/// to that with `reaction`. Its turn ends with the words `done`.
async fn taken_up(capabilities: Value, reaction: impl Fn(&Value) -> Vec<String>) -> Told {
    let task = Task::Argv(vec!["rm".to_owned(), "it".to_owned()]);
    let agent = move |message: &Value| {
        Some(match message["method"].as_str() {
            Some("initialize") => {
                let result = json!({ "protocolVersion": 1, "agentCapabilities": capabilities });
                vec![answer(message, result)]
            }
            Some("session/prompt") => vec![
                chunk("old", "done", Value::Null),
                answer(message, json!({ "stopReason": "end_turn" })),
            ],
            Some("session/new") => panic!("a session that is taken up is never begun anew"),
            _ => reaction(message),
        })
    };
    converse_about(task, Some("old"), false, agent).await
}

fn history() -> Vec<String> {
    let user = json!({ "sessionUpdate": "user_message_chunk", "content": { "text": "rm it" } });
    vec![update_of("old", user), chunk("old", "what was said before", Value::Null)]
}

#[tokio::test]
async fn a_turn_is_gone_on_with_and_not_asked_for_again() {
    for (capabilities, method) in [(loads(), "session/load"), (resumes(), "session/resume")] {
        let told = taken_up(capabilities, |message| {
            let mut lines = history();
            lines.push(answer(message, Value::Null));
            lines
        });
        let told = told.await;
        assert_eq!(told.result, ended("end_turn", None));
        let methods: Vec<_> = told.heard.iter().map(|message| &message["method"]).collect();
        assert_eq!(methods, ["initialize", method, "session/prompt"]);
        let params = json!({ "sessionId": "old", "cwd": "/home/me", "mcpServers": [] });
        assert_eq!(told.heard[1]["params"], params);
        // Nothing of the task is in it.
        let prompt = told.heard[2]["params"].as_object().unwrap();
        let parts: BTreeSet<&str> = prompt.keys().map(String::as_str).collect();
        assert_eq!(parts, BTreeSet::from(["prompt", "sessionId"]));
        let words = prompt["prompt"][0]["text"].as_str().unwrap();
        assert!(words.contains("was restarted") && words.ends_with("finished."), "{words}");
        assert_eq!(prompt["prompt"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn what_was_said_before_is_no_output_of_the_turn_that_goes_on() {
    for capabilities in [loads(), resumes()] {
        let told = taken_up(capabilities, |message| {
            let mut lines: Vec<String> = (0..50).flat_map(|_| history()).collect();
            lines.push(answer(message, json!({})));
            lines
        });
        assert_eq!(told.await.output, [(OutputStream::Stdout, "done".into())]);
    }
}

#[tokio::test]
async fn an_agent_that_cannot_is_not_asked_at_all() {
    let told = taken_up(json!({}), |message| panic!("{message}")).await;
    let why = "its agent takes up no session of an earlier process".to_owned();
    assert_eq!(told.result, Err(Trouble::CannotResume(why)));
    assert_eq!(told.heard.len(), 1);
    assert!(told.resumable.is_empty());
}

#[tokio::test]
async fn an_agent_that_refuses_is_told_with_its_error() {
    for (capabilities, step) in [(loads(), Step::LoadSession), (resumes(), Step::ResumeSession)] {
        let told = taken_up(capabilities, |message| {
            let error = json!({ "code": -32602, "message": "Session not found" });
            vec![json!({ "id": message["id"], "error": error }).to_string()]
        });
        let told = told.await;
        let error = RpcError::new(-32602, "Session not found");
        assert_eq!(told.result, Err(Trouble::Rpc(step, error)));
        assert_eq!((told.heard.len(), told.resumable.len()), (2, 0));
    }
}

#[tokio::test]
async fn an_agent_that_says_yes_to_any_name_is_found_out() {
    let failed = |told: Told, why: &str| {
        assert_eq!(told.result, Err(Trouble::CannotResume(why.to_owned())));
        assert!(told.resumable.is_empty() && told.output.is_empty());
    };
    // It loads a session in which nothing was ever said. What it announces of itself is no word.
    let told = taken_up(loads(), |message| {
        vec![
            update_of("old", json!({ "sessionUpdate": "available_commands_update" })),
            chunk("another", "x", Value::Null),
            answer(message, json!({})),
        ]
    });
    failed(told.await, "its agent knows nothing of what was said in the session");
    // It opens another one.
    let told = taken_up(resumes(), |message| vec![answer(message, json!({ "sessionId": "new" }))]);
    failed(told.await, "its agent has opened another session instead");
}

#[tokio::test]
async fn an_agent_that_says_yes_and_then_refuses_has_not_gone_on() {
    let agent = |says_something: bool| {
        move |message: &Value| {
            let refusal = answer(message, json!({ "stopReason": "refusal" }));
            Some(match message["method"].as_str() {
                Some("initialize") => {
                    let result = json!({ "protocolVersion": 1, "agentCapabilities": resumes() });
                    vec![answer(message, result)]
                }
                Some("session/prompt") if says_something => {
                    vec![chunk("old", "I will not", Value::Null), refusal]
                }
                Some("session/prompt") => vec![refusal],
                _ => vec![answer(message, json!({}))],
            })
        }
    };
    let silent = converse_about(text(), Some("old"), false, agent(false)).await;
    let why = "its agent refused to go on".to_owned();
    assert_eq!(silent.result, Err(Trouble::CannotResume(why)));
    let spoken = converse_about(text(), Some("old"), false, agent(true)).await;
    assert_eq!(spoken.result, ended("refusal", None));
}

#[tokio::test]
async fn a_session_is_told_once_where_it_can_be_taken_up_again() {
    let named = |name: String, capabilities: Value| {
        converse(text(), false, move |message| {
            Some(match message["method"].as_str() {
                Some("initialize") => {
                    let result = json!({ "protocolVersion": 1, "agentCapabilities": capabilities });
                    vec![answer(message, result)]
                }
                Some("session/new") => vec![answer(message, json!({ "sessionId": name }))],
                _ => vec![answer(message, json!({ "stopReason": "end_turn" }))],
            })
        })
    };
    let longest = vec!["x".repeat(512)];
    for capabilities in [loads(), resumes()] {
        assert_eq!(named("s".to_owned(), capabilities).await.resumable, ["s"]);
    }
    assert_eq!(named(longest[0].clone(), loads()).await.resumable, longest);
    assert!(named("x".repeat(513), loads()).await.resumable.is_empty());
    assert!(named("s".to_owned(), json!({ "loadSession": false })).await.resumable.is_empty());
    let plain = converse(text(), false, proper(|_| None)).await;
    assert!(plain.resumable.is_empty());
    // One that was taken up can be taken up again.
    let told = taken_up(resumes(), |message| vec![answer(message, json!({}))]).await;
    assert_eq!(told.resumable, ["old"]);
}
