//! Two ends of the same kind, and an end against raw lines.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::{Duration, timeout};

use super::{CallError, Connection, Incoming, Role, RpcError, connect};

/// How long anything here may take before its test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

fn pair() -> (Connection, Connection) {
    let (left_reads, right_writes) = tokio::io::duplex(1024);
    let (right_reads, left_writes) = tokio::io::duplex(1024);
    let client = connect(left_reads, left_writes, Role::Client);
    (client, connect(right_reads, right_writes, Role::Agent))
}

async fn taken(connection: &mut Connection) -> (String, Value) {
    match connection.incoming.recv().await.unwrap() {
        Incoming::Notification { method, params } => (method, params),
        Incoming::Request { id, method, params } => {
            connection.peer.answer(id, Ok(json!({ "echo": params.clone() }))).await;
            (method, params)
        }
    }
}

#[tokio::test]
async fn both_ends_ask_and_answer_at_once() {
    let (mut client, mut agent) = pair();
    let from_client = client.peer.request("a", &json!(1)).await.unwrap();
    let from_agent = agent.peer.request("b", &json!(2)).await.unwrap();
    assert_eq!(taken(&mut agent).await, ("a".to_owned(), json!(1)));
    assert_eq!(taken(&mut client).await, ("b".to_owned(), json!(2)));
    assert_eq!(from_client.answer().await, Ok(json!({ "echo": 1 })));
    assert_eq!(from_agent.answer().await, Ok(json!({ "echo": 2 })));
}

#[tokio::test]
async fn an_error_is_an_answer() {
    let (client, mut agent) = pair();
    let sent = client.peer.request("a", &Value::Null).await.unwrap();
    let Some(Incoming::Request { id, .. }) = agent.incoming.recv().await else { panic!() };
    let error = RpcError::new(-32001, "no");
    agent.peer.answer(id, Err(error.clone())).await;
    assert_eq!(sent.answer().await, Err(CallError::Rpc(error)));
}

#[tokio::test]
async fn a_request_under_way_holds_nothing_up() {
    let (client, mut agent) = pair();
    let slow = client.peer.request("slow", &Value::Null).await.unwrap();
    client.peer.notify("cancel", &Value::Null).await;
    let Some(Incoming::Request { id, .. }) = agent.incoming.recv().await else { panic!() };
    assert_eq!(taken(&mut agent).await.0, "cancel");
    agent.peer.answer(id, Ok(json!("late"))).await;
    assert_eq!(slow.answer().await, Ok(json!("late")));
}

#[tokio::test]
async fn when_the_other_end_is_gone_every_request_fails() {
    let (client, agent) = pair();
    let waiting = client.peer.request("a", &Value::Null).await.unwrap();
    drop(agent);
    assert_eq!(waiting.answer().await, Err(CallError::Closed));
    assert!(matches!(client.peer.request("b", &Value::Null).await, Err(CallError::Closed)));
}

#[tokio::test]
async fn what_was_said_before_an_answer_is_queued_when_it_comes() {
    let (mut client, mut agent) = pair();
    let sent = client.peer.request("a", &Value::Null).await.unwrap();
    let Some(Incoming::Request { id, .. }) = agent.incoming.recv().await else { panic!() };
    agent.peer.notify("before", &Value::Null).await;
    agent.peer.answer(id, Ok(Value::Null)).await;
    sent.answer().await.unwrap();
    let Incoming::Notification { method, .. } = client.incoming.try_recv().unwrap() else {
        panic!()
    };
    assert_eq!(method, "before");
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_read_makes_the_other_wait() {
    let (output, _unread) = tokio::io::duplex(1024);
    let client = connect(tokio::io::empty(), output, Role::Client);
    let mut sent = 0;
    let flood = async {
        loop {
            client.peer.notify("x", &"y".repeat(100_000)).await;
            sent += 1;
        }
    };
    let hour = Duration::from_secs(3600);
    assert!(timeout(hour, flood).await.is_err());
    assert!(sent < 20, "{sent}");
}

#[tokio::test]
async fn a_client_drops_junk_without_a_word_and_goes_on() {
    let (mut agent, input) = tokio::io::duplex(1024);
    let (output, heard) = tokio::io::duplex(1024);
    let mut client = connect(input, output, Role::Client);
    let sent = client.peer.request("a", &Value::Null).await.unwrap();
    agent.write_all(b"Starting...\n[1]\n\"x\"\n{}\n\xff\n").await.unwrap();
    agent.write_all(b"{\"id\":99,\"result\":1}\n{\"id\":1,\"result\":5}\n").await.unwrap();
    assert_eq!(sent.answer().await, Ok(json!(5)));
    assert_eq!(client.peer.junk().seen().count, 5);
    client.finish().await;
    let mut lines = String::new();
    BufReader::new(heard).read_to_string(&mut lines).await.unwrap();
    assert_eq!(lines.lines().count(), 1, "{lines}");
}

#[tokio::test]
async fn an_agent_that_only_talks_junk_is_given_up_at_once() {
    let (mut agent, input) = tokio::io::duplex(1024);
    let client = connect(input, tokio::io::sink(), Role::Client);
    let sent = client.peer.request("initialize", &Value::Null).await.unwrap();
    let talk = async { while agent.write_all(b"Usage: prog [FILE]\n").await.is_ok() {} };
    let ((), answer) = tokio::join!(talk, sent.answer());
    assert_eq!(answer, Err(CallError::Closed));
    assert_eq!(client.peer.junk().seen().last, "Usage: prog [FILE]");
}

#[tokio::test(start_paused = true)]
async fn a_stream_held_open_by_somebody_else_ends_once_the_other_side_is_gone() {
    let (mut agent, input) = tokio::io::duplex(1024);
    let mut client = connect(input, tokio::io::sink(), Role::Client);
    let waiting = client.peer.request("a", &Value::Null).await.unwrap();
    agent.write_all(b"{\"method\":\"last\"}\n").await.unwrap();
    client.gone.send_replace(true);
    assert_eq!(taken(&mut client).await.0, "last");
    assert_eq!(waiting.answer().await, Err(CallError::Closed));
    assert!(client.incoming.recv().await.is_none());
}

#[tokio::test]
async fn a_stream_flooded_by_somebody_else_ends_once_the_other_side_is_gone() {
    let (mut somebody, input) = tokio::io::duplex(1024);
    let client = connect(input, tokio::io::sink(), Role::Client);
    let waiting = client.peer.request("a", &Value::Null).await.unwrap();
    client.gone.send_replace(true);
    // It ends when nobody reads it any more.
    let flood = async { while somebody.write_all(&[b'x'; 1024]).await.is_ok() {} };
    let ended = async { tokio::join!(flood, waiting.answer()) };
    let ((), answer) = timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(answer, Err(CallError::Closed));
}

#[tokio::test]
async fn nobody_waits_to_be_read_once_the_other_side_is_gone() {
    let (output, held_open) = tokio::io::duplex(1024);
    let (held_open_too, input) = tokio::io::duplex(1024);
    let client = connect(input, output, Role::Client);
    let speak = async { while client.peer.request("x", &"y".repeat(10_000)).await.is_ok() {} };
    let leave = async {
        tokio::task::yield_now().await;
        client.gone.send_replace(true);
    };
    timeout(PATIENCE, async { tokio::join!(speak, leave) }).await.unwrap();
    drop((held_open, held_open_too));
}

#[tokio::test]
async fn lines_go_out_whole_and_in_order() {
    let (output, heard) = tokio::io::duplex(16);
    let mut client = connect(tokio::io::empty(), output, Role::Client);
    let mut lines = BufReader::new(heard).lines();
    tokio::join!(
        async {
            for number in 0..100 {
                client.peer.notify("n", &number).await;
            }
            client.finish().await;
        },
        async {
            for number in 0..100 {
                let line = lines.next_line().await.unwrap().unwrap();
                assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["params"], number);
            }
            assert!(lines.next_line().await.unwrap().is_none());
        }
    );
}
