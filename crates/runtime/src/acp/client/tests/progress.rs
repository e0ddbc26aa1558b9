//! What an observer hears beside the answer.

use hatchery_agent::Usage;
use serde_json::{Value, json};

use super::{answer, chunk, converse, ended, proper, text, update_of};
use crate::{Progress, Spent};

/// Signs of life that are nothing else are left out: there is one for each answer, too.
fn beside_life(progress: Vec<Progress>) -> Vec<Progress> {
    progress.into_iter().filter(|progress| *progress != Progress::Alive).collect()
}

#[tokio::test]
async fn a_turn_tells_its_steps_its_files_and_what_it_used_up() {
    let told = converse(
        text(),
        false,
        proper(|prompt| {
            let call = json!({
                "sessionUpdate": "tool_call", "toolCallId": "1", "kind": "edit",
                "title": "Write\nthe file", "locations": [{ "path": "/home/me/a" }],
            });
            let usage = json!({ "inputTokens": 3, "outputTokens": 4, "totalTokens": 7 });
            Some(vec![
                update_of("s", call),
                update_of("another", json!({ "sessionUpdate": "tool_call", "title": "x" })),
                chunk("s", "", json!({ "usage": { "inputTokens": 1, "outputTokens": 2 } })),
                answer(prompt, json!({ "stopReason": "end_turn", "usage": usage })),
                update_of(
                    "s",
                    json!({
                        "sessionUpdate": "usage_update", "used": 7, "size": 9,
                        "cost": { "amount": 0.25, "currency": "USD" },
                    }),
                ),
            ])
        }),
    );
    let told = told.await;
    assert_eq!(told.result, ended("end_turn", None));
    let tokens = |input_tokens, output_tokens| Spent {
        tokens: Some(Usage { input_tokens, output_tokens, cached_tokens: 0 }),
        micro_dollars: None,
    };
    let in_all = Spent { micro_dollars: Some(250_000), ..tokens(3, 4) };
    let signs = beside_life(told.progress);
    assert_eq!(
        signs[..3],
        [
            Progress::Step("edit: Write the file".to_owned()),
            Progress::Touched("/home/me/a".into()),
            Progress::Spent(tokens(1, 2)),
        ]
    );
    // The end and what comes after it may be told in either order.
    assert_eq!(signs.last(), Some(&Progress::Spent(in_all)));
    assert!(told.output.is_empty());
}

#[tokio::test]
async fn whatever_an_agent_says_that_is_no_output_shows_that_it_lives() {
    for line in [
        update_of("s", json!({ "sessionUpdate": "agent_thought_chunk" })),
        update_of("s", json!({ "sessionUpdate": "plan", "entries": [] })),
        update_of("s", json!({ "sessionUpdate": "news" })),
        update_of("s", Value::Null),
        update_of("another", json!({ "sessionUpdate": "plan" })),
        chunk("another", "not our answer", Value::Null),
        chunk("s", "", Value::Null),
        json!({ "method": "_auth/status_update" }).to_string(),
        json!({ "id": 9, "method": "craft/drainMidTurnQueue" }).to_string(),
    ] {
        let told = converse(
            text(),
            false,
            proper(|message| match message["method"].as_str() {
                Some(_) => {
                    Some(vec![line.clone(), answer(message, json!({ "stopReason": "end_turn" }))])
                }
                None => Some(Vec::new()),
            }),
        );
        let told = told.await;
        // One each for the two answers before, one for this.
        assert_eq!(told.progress, [Progress::Alive, Progress::Alive, Progress::Alive], "{line}");
        assert!(told.output.is_empty(), "{line}");
    }
}

#[tokio::test]
async fn lines_that_mean_nothing_are_no_sign_of_life() {
    let told = converse(
        text(),
        false,
        proper(|prompt| {
            let mut lines = vec!["working...".to_owned(), "[]".to_owned(), "7".to_owned()];
            lines.push(answer(prompt, json!({ "stopReason": "end_turn" })));
            Some(lines)
        }),
    );
    assert_eq!(told.await.progress, [Progress::Alive, Progress::Alive]);
}

#[tokio::test]
async fn output_is_told_once_and_not_as_life_besides() {
    let told = converse(
        text(),
        false,
        proper(|prompt| {
            let usage = json!({ "usage": { "inputTokens": 1, "outputTokens": 2 } });
            Some(vec![
                chunk("s", "a word", Value::Null),
                chunk("s", " more", usage),
                answer(prompt, json!({ "stopReason": "end_turn" })),
            ])
        }),
    );
    let told = told.await;
    assert_eq!(told.output.len(), 2);
    let tokens = Usage { input_tokens: 1, output_tokens: 2, cached_tokens: 0 };
    let spent = Spent { tokens: Some(tokens), micro_dollars: None };
    assert_eq!(told.progress[2..], [Progress::Spent(spent)]);
}

#[tokio::test]
async fn leave_that_is_asked_for_is_told_with_its_step_before_it_is_answered() {
    let told = converse(
        text(),
        false,
        proper(|message| {
            let call = json!({ "toolCallId": "1", "kind": "execute", "title": "rm -r /" });
            let ask = json!({ "toolCall": call, "options": [] });
            let ask = json!({ "id": 9, "method": "session/request_permission", "params": ask });
            Some(match message["method"].as_str() {
                Some(_) => vec![ask.to_string()],
                None => {
                    vec![json!({ "id": 3, "result": { "stopReason": "end_turn" } }).to_string()]
                }
            })
        }),
    );
    assert_eq!(
        beside_life(told.await.progress),
        [
            Progress::Step("execute: rm -r /".to_owned()),
            Progress::Waiting(true),
            Progress::Waiting(false),
        ]
    );
}
