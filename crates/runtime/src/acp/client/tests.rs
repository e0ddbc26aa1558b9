//! Conversations with scripted agents, as far as they need no process.

#![allow(clippy::unwrap_used)]

mod progress;
mod resuming;

use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use hatchery_agent::Cancel;
use hatchery_protocol::{OutputStream, Task};
use hatchery_sandbox::ProcessIdentity;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::{Duration, Instant};

use super::conversation::{Conversation, Subject, Trouble, TurnResult};
use super::stop::{Phase, see_off};
use crate::acp::peer::{Role, connect};
use crate::acp::rpc::RpcError;
use crate::{AcpDeadlines, Observer, Progress, Step};

#[derive(Default)]
struct Seen {
    output: Mutex<Vec<(OutputStream, Bytes)>>,
    progress: Mutex<Vec<Progress>>,
    resumable: Mutex<Vec<String>>,
}

impl Observer for Seen {
    async fn starting(&self, _: Option<ProcessIdentity>) {}

    async fn output(&self, stream: OutputStream, bytes: Bytes) {
        self.output.lock().unwrap().push((stream, bytes));
    }

    async fn progress(&self, progress: Progress) {
        self.progress.lock().unwrap().push(progress);
    }

    async fn resumable(&self, session: &str) {
        self.resumable.lock().unwrap().push(session.to_owned());
    }
}

/// What there is to see after a conversation.
struct Told {
    result: Result<TurnResult, Trouble>,
    output: Vec<(OutputStream, Bytes)>,
    /// What the observer was told beside it.
    progress: Vec<Progress>,
    /// The sessions it was told it can take up again.
    resumable: Vec<String>,
    /// Every message the agent was sent.
    heard: Vec<Value>,
    /// The graces its tree was stopped with.
    stops: Vec<Duration>,
    took: Duration,
}

/// Holds a conversation with an agent that reacts to each message with lines, or with `None`
/// leaves. `cancel` is asked for once the agent has been prompted.
async fn converse(
    task: Task,
    cancel_at_prompt: bool,
    agent: impl FnMut(&Value) -> Option<Vec<String>>,
) -> Told {
    converse_about(task, None, cancel_at_prompt, agent).await
}

/// The same where the task may have been begun before in a session.
async fn converse_about(
    task: Task,
    resume: Option<&str>,
    cancel_at_prompt: bool,
    mut agent: impl FnMut(&Value) -> Option<Vec<String>>,
) -> Told {
    let (input, mut speaks) = tokio::io::duplex(1024);
    let (listens, output) = tokio::io::duplex(1024);
    let mut connection = connect(input, output, Role::Client);
    let peer = connection.peer.clone();
    let (seen, phase, cancel) = (Seen::default(), Phase::new(), Cancel::new());
    let (stops, mut heard) = (Mutex::new(Vec::new()), Vec::new());
    let begun = Instant::now();

    let agent = async {
        let mut lines = BufReader::new(listens).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            let message: Value = serde_json::from_str(&line).unwrap();
            let reaction = agent(&message);
            if cancel_at_prompt && message["method"] == "session/prompt" {
                cancel.cancel();
            }
            heard.push(message);
            let Some(reaction) = reaction else { break };
            for line in reaction {
                speaks.write_all(format!("{line}\n").as_bytes()).await.unwrap();
            }
        }
        drop(speaks);
    };
    let talk = async {
        let mut conversation =
            Conversation::new(&peer, &mut connection.incoming, &seen, &phase, &cancel);
        let deadlines = AcpDeadlines::default();
        let subject = Subject { cwd: Path::new("/home/me"), task: &task, resume };
        let result = conversation.hold(subject, &deadlines).await;
        phase.over();
        conversation.linger().await;
        result
    };
    let stop = |grace| {
        stops.lock().unwrap().push(grace);
        // As if the tree had been killed.
        connection.gone.send_replace(true);
    };
    let deadlines = AcpDeadlines::default();
    let result = tokio::select! {
        (result, _) = async {
            let agent = async {
                tokio::select! {
                    () = agent => {}
                    () = async { drop(connection.gone.subscribe().wait_for(|&gone| gone).await) } => {}
                }
            };
            tokio::join!(talk, agent)
        } => result,
        never = see_off(&peer, &phase, stop, &deadlines, &cancel) => match never {},
    };
    Told {
        result,
        output: seen.output.into_inner().unwrap(),
        progress: seen.progress.into_inner().unwrap(),
        resumable: seen.resumable.into_inner().unwrap(),
        heard,
        stops: stops.into_inner().unwrap(),
        took: begun.elapsed(),
    }
}

fn answer(request: &Value, result: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string()
}

fn chunk(session: &str, text: &str, meta: Value) -> String {
    let update = json!({
        "sessionUpdate": "agent_message_chunk",
        "content": { "type": "text", "text": text },
        "_meta": meta,
    });
    update_of(session, update)
}

fn update_of(session: &str, update: Value) -> String {
    let params = json!({ "sessionId": session, "update": update });
    json!({ "jsonrpc": "2.0", "method": "session/update", "params": params }).to_string()
}

/// An agent that opens session `s` and does `turn` when it is prompted.
fn proper(
    mut turn: impl FnMut(&Value) -> Option<Vec<String>>,
) -> impl FnMut(&Value) -> Option<Vec<String>> {
    move |message| match message["method"].as_str() {
        Some("initialize") => Some(vec![answer(message, json!({ "protocolVersion": 1 }))]),
        Some("session/new") => Some(vec![answer(message, json!({ "sessionId": "s" }))]),
        _ => turn(message),
    }
}

fn text() -> Task {
    Task::Text("say hi".to_owned())
}

fn ended(stop_reason: &str, exit_code: Option<i32>) -> Result<TurnResult, Trouble> {
    Ok(TurnResult { stop_reason: stop_reason.to_owned(), exit_code })
}

#[tokio::test]
async fn a_turn_is_asked_for_and_its_answer_heard_in_order() {
    let told = converse(
        text(),
        false,
        proper(|prompt| {
            let mut lines: Vec<_> =
                (0..50).map(|n| chunk("s", &format!("{n} "), Value::Null)).collect();
            lines.push(answer(prompt, json!({ "stopReason": "end_turn" })));
            lines.push(chunk("s", "late", Value::Null));
            Some(lines)
        }),
    );
    let told = told.await;
    assert_eq!(told.result, ended("end_turn", None));
    let said: Vec<u8> = told.output.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
    let expected: String = (0..50).map(|n| format!("{n} ")).collect();
    assert_eq!(String::from_utf8(said).unwrap(), format!("{expected}late"));

    let methods: Vec<_> = told.heard.iter().map(|message| &message["method"]).collect();
    assert_eq!(methods, ["initialize", "session/new", "session/prompt"]);
    assert_eq!(told.heard[0]["params"]["protocolVersion"], 1);
    assert_eq!(told.heard[1]["params"], json!({ "cwd": "/home/me", "mcpServers": [] }));
    assert_eq!(told.heard[2]["params"]["prompt"], json!([{ "type": "text", "text": "say hi" }]));
    assert!(told.stops.is_empty(), "an agent that leaves by itself is not stopped");
}

#[tokio::test]
async fn an_argv_travels_beside_its_line() {
    let task = Task::Argv(vec!["echo".to_owned(), "a b".to_owned()]);
    let turn = |prompt: &Value| Some(vec![answer(prompt, json!({ "stopReason": "end_turn" }))]);
    let told = converse(task, false, proper(turn)).await;
    let params = &told.heard[2]["params"];
    assert_eq!(params["prompt"][0]["text"], "echo 'a b'");
    assert_eq!(params["_meta"], json!({ "hatchery": { "argv": ["echo", "a b"] } }));
}

#[tokio::test]
async fn stream_bytes_and_exit_code_of_our_own_agent_are_restored() {
    let ours = |meta: Value| json!({ "hatchery": meta });
    let told = converse(
        text(),
        false,
        proper(|prompt| {
            let end = json!({ "stopReason": "end_turn", "_meta": ours(json!({ "exitCode": 3 })) });
            Some(vec![
                chunk("s", "out", ours(json!({ "stream": "stdout" }))),
                chunk("s", "\u{fffd}", ours(json!({ "stream": "stderr", "base64": "/w==" }))),
                chunk("s", "x", ours(json!({ "stream": "stdout", "base64": "no base64" }))),
                chunk("s", "y", ours(json!({ "stream": "elsewhere" }))),
                answer(prompt, end),
            ])
        }),
    );
    let told = told.await;
    assert_eq!(told.result, ended("end_turn", Some(3)));
    assert_eq!(
        told.output,
        [
            (OutputStream::Stdout, "out".into()),
            (OutputStream::Stderr, Bytes::from_static(b"\xff")),
            (OutputStream::Stdout, "x".into()),
            (OutputStream::Stdout, "y".into()),
        ]
    );
}

#[tokio::test]
async fn only_the_answer_of_the_turn_is_output() {
    let told = converse(text(), false, |message| {
        Some(match message["method"].as_str() {
            Some("initialize") => vec![
                "Welcome to the agent!".to_owned(),
                answer(message, json!({ "protocolVersion": 1, "extra": [1] })),
            ],
            Some("session/new") => vec![
                chunk("s", "before the answer", Value::Null),
                answer(message, json!({ "sessionId": "s" })),
            ],
            _ => vec![
                update_of("s", json!({ "sessionUpdate": "agent_thought_chunk" })),
                update_of("s", json!({ "sessionUpdate": "news", "content": { "text": "x" } })),
                update_of("s", json!("odd")),
                chunk("another", "x", Value::Null),
                json!({ "method": "_auth/status_update", "params": {} }).to_string(),
                "[]".to_owned(),
                chunk("s", "the answer", Value::Null),
                answer(message, json!({ "stopReason": "end_turn" })),
            ],
        })
    });
    assert_eq!(told.await.output, [(OutputStream::Stdout, "the answer".into())]);
}

#[tokio::test]
async fn what_an_agent_asks_is_answered_at_once_and_never_allowed() {
    let told = converse(
        text(),
        false,
        proper(|message| {
            let ask = |id: &str, method: &str, params: Value| {
                json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
                    .to_string()
            };
            match (message["method"].as_str(), message["id"].as_str()) {
                (Some("session/prompt"), _) => {
                    let options = json!([
                        { "optionId": "y", "kind": "allow_always" },
                        { "optionId": "n", "kind": "reject_once" },
                    ]);
                    Some(vec![
                        ask("may", "session/request_permission", json!({ "options": options })),
                        ask("read", "fs/read_text_file", json!({ "path": "/etc/passwd" })),
                        ask("odd", "craft/drainMidTurnQueue", json!({})),
                    ])
                }
                (None, Some("odd")) => {
                    let end = json!({ "id": 3, "result": { "stopReason": "end_turn" } });
                    Some(vec![end.to_string()])
                }
                _ => Some(Vec::new()),
            }
        }),
    );
    let told = told.await;
    assert_eq!(told.result, ended("end_turn", None));
    let answered = |id: &str| told.heard.iter().find(|message| message["id"] == id).unwrap();
    assert_eq!(answered("may")["result"]["outcome"]["optionId"], "n");
    assert_eq!(answered("read")["error"]["code"], -32601);
    assert_eq!(answered("odd")["error"]["code"], -32601);
}

#[tokio::test]
async fn an_agent_that_leaves_early_is_missed_at_once() {
    for (method, step) in [
        ("initialize", Step::Initialize),
        ("session/new", Step::NewSession),
        ("session/prompt", Step::Prompt),
    ] {
        let mut rest = proper(|_| None);
        let told =
            converse(
                text(),
                false,
                move |message| {
                    if message["method"] == method { None } else { rest(message) }
                },
            );
        assert_eq!(told.await.result, Err(Trouble::Closed(step)));
    }
}

#[tokio::test]
async fn an_unusable_answer_names_the_field_that_is_missing() {
    let broken = |method: &'static str, result: Value| {
        let mut rest = proper(|_| None);
        converse(text(), false, move |message| {
            let broken = message["method"] == method;
            if broken { Some(vec![answer(message, result.clone())]) } else { rest(message) }
        })
    };
    for (method, result, trouble) in [
        ("initialize", json!({ "protocolVersion": 2 }), Trouble::WrongVersion(2)),
        ("initialize", Value::Null, Trouble::BadAnswer(Step::Initialize, "protocolVersion")),
        ("session/new", json!({}), Trouble::BadAnswer(Step::NewSession, "sessionId")),
        ("session/prompt", json!([]), Trouble::BadAnswer(Step::Prompt, "stopReason")),
    ] {
        assert_eq!(broken(method, result).await.result, Err(trouble));
    }
}

#[tokio::test]
async fn an_error_is_told_with_its_code() {
    let told = converse(
        text(),
        false,
        proper(|prompt| {
            let error = json!({ "code": 500, "message": "no model" });
            Some(vec![json!({ "id": prompt["id"], "error": error }).to_string()])
        }),
    );
    let error = RpcError::new(500, "no model");
    assert_eq!(told.await.result, Err(Trouble::Rpc(Step::Prompt, error)));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_answers_has_a_deadline_and_is_stopped() {
    let told = converse(text(), false, |_| Some(Vec::new())).await;
    let limit = Duration::from_secs(60);
    assert_eq!(told.result, Err(Trouble::Deadline(Step::Initialize, limit)));
    assert!(told.took < Duration::from_secs(65), "{:?}", told.took);

    let told = converse(text(), false, |message| match message["method"].as_str() {
        Some("initialize") => Some(vec![answer(message, json!({ "protocolVersion": 1 }))]),
        _ => Some(Vec::new()),
    });
    let limit = Duration::from_secs(120);
    assert_eq!(told.await.result, Err(Trouble::Deadline(Step::NewSession, limit)));
}

#[tokio::test(start_paused = true)]
async fn a_cancel_is_sent_behind_the_prompt_and_its_answer_ends_the_turn() {
    let mut prompt = Value::Null;
    let turn = move |message: &Value| {
        Some(match message["method"].as_str() {
            Some("session/prompt") => {
                prompt = message.clone();
                Vec::new()
            }
            _ => vec![
                chunk("s", "so far", Value::Null),
                answer(&prompt, json!({ "stopReason": "cancelled" })),
            ],
        })
    };
    let told = converse(text(), true, proper(turn)).await;
    assert_eq!(told.result, Err(Trouble::Cancelled));
    assert_eq!(told.output, [(OutputStream::Stdout, "so far".into())]);
    let last = told.heard.last().unwrap();
    assert_eq!(last["method"], "session/cancel");
    assert_eq!(last["params"], json!({ "sessionId": "s" }));
    assert!(told.stops.is_empty() && told.took < Duration::from_secs(1), "{:?}", told.took);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_heed_a_cancel_is_stopped_after_its_grace() {
    let told = converse(text(), true, proper(|_| Some(Vec::new()))).await;
    assert_eq!(told.result, Err(Trouble::Cancelled));
    assert_eq!(told.stops, [Duration::from_secs(2)]);
    assert!(told.took >= Duration::from_secs(10), "{:?}", told.took);
    assert!(told.took < Duration::from_secs(11), "{:?}", told.took);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_leave_after_its_turn_is_stopped() {
    let (input, mut speaks) = tokio::io::duplex(1024);
    let connection = connect(input, tokio::io::sink(), Role::Client);
    let (phase, cancel) = (Phase::new(), Cancel::new());
    let stopped = tokio::sync::Notify::new();
    phase.over();
    let (deadlines, begun) = (AcpDeadlines::default(), Instant::now());
    tokio::select! {
        () = stopped.notified() => {}
        never = see_off(
            &connection.peer,
            &phase,
            |_| stopped.notify_one(),
            &deadlines,
            &cancel,
        ) => match never {},
    }
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    speaks.write_all(b"still here\n").await.unwrap();
}
