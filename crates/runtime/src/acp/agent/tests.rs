//! The agent's side as a client sees it, as far as it needs no process.

#![allow(clippy::unwrap_used)]

use hatchery_agent::Model;
use hatchery_sandbox::{KeeperCommand, Network};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines};

use super::{AgentSide, serve_agent};

/// A client that writes lines and reads lines.
struct Client {
    agent: tokio::task::JoinHandle<()>,
    to: DuplexStream,
    from: Lines<BufReader<DuplexStream>>,
}

impl Client {
    fn start() -> Self {
        Self::with_room(64 * 1024)
    }

    /// A client that can be sent so many bytes without reading them.
    fn with_room(bytes: usize) -> Self {
        let (to, input) = tokio::io::duplex(64 * 1024);
        let (output, from) = tokio::io::duplex(bytes);
        let nowhere = KeeperCommand { program: "/nonexistent/keeper".into(), args: Vec::new() };
        let config = AgentSide {
            keeper: nowhere,
            env: Vec::new(),
            ticket: None,
            network: Network::Host,
            model: Model::Shell,
        };
        let agent = tokio::spawn(serve_agent(input, output, config));
        Self { agent, to, from: BufReader::new(from).lines() }
    }

    async fn write(&mut self, line: impl AsRef<[u8]>) {
        self.to.write_all(line.as_ref()).await.unwrap();
        self.to.write_all(b"\n").await.unwrap();
    }

    async fn read(&mut self) -> Value {
        serde_json::from_str(&self.from.next_line().await.unwrap().unwrap()).unwrap()
    }

    /// The answer to a request; nothing else is expected before it.
    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": method, "method": method, "params": params });
        self.write(request.to_string()).await;
        let answer = self.read().await;
        assert_eq!(answer["id"], method, "{answer}");
        answer
    }

    async fn new_session(&mut self) -> String {
        let answer = self.ask("session/new", json!({ "cwd": "/", "mcpServers": [] })).await;
        answer["result"]["sessionId"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn no_two_sessions_share_an_id_not_even_those_of_two_processes() {
    let (mut one, mut other) = (Client::start(), Client::start());
    let ids = [one.new_session().await, one.new_session().await, other.new_session().await];
    assert_eq!(std::collections::HashSet::from(ids).len(), 3);
}

#[tokio::test]
async fn whatever_version_is_asked_for_the_answer_is_1() {
    let mut client = Client::start();
    for version in [1, 0, 2, 99] {
        let answer = client.ask("initialize", json!({ "protocolVersion": version })).await;
        assert_eq!(answer["result"]["protocolVersion"], 1);
        assert_eq!(answer["result"]["agentCapabilities"]["loadSession"], false);
    }
}

#[tokio::test]
async fn each_session_has_an_id_of_its_own() {
    let mut client = Client::start();
    assert_ne!(client.new_session().await, client.new_session().await);
}

#[tokio::test]
async fn a_wrong_request_is_refused_with_its_code_and_the_agent_goes_on() {
    let mut client = Client::start();
    let session = client.new_session().await;
    let text = json!([{ "type": "text", "text": "true" }]);
    let prompt = |prompt: Value| json!({ "sessionId": session, "prompt": prompt });
    for (method, params, code) in [
        ("initialize", json!({}), -32602),
        ("initialize", json!({ "protocolVersion": "1" }), -32602),
        ("initialize", Value::Null, -32602),
        ("authenticate", json!({}), -32602),
        ("session/new", json!({ "cwd": "/" }), -32602),
        ("session/new", json!({ "cwd": null, "mcpServers": [] }), -32602),
        ("session/new", json!({ "cwd": "tmp", "mcpServers": [] }), -32602),
        ("session/new", json!({ "cwd": "/nonexistent", "mcpServers": [] }), -32602),
        ("session/new", json!({ "cwd": "/dev/null", "mcpServers": [] }), -32602),
        ("session/prompt", json!({ "prompt": text }), -32602),
        ("session/prompt", json!({ "sessionId": "none", "prompt": text }), -32002),
        ("session/prompt", prompt(json!("true")), -32602),
        ("session/prompt", prompt(json!([])), -32602),
        ("session/prompt", prompt(json!([{ "type": "text", "text": " " }])), -32602),
        ("session/prompt", prompt(json!([{ "type": "text" }])), -32602),
        ("session/prompt", prompt(json!([{ "type": "image", "data": "" }])), -32602),
        ("session/load", json!({ "sessionId": session }), -32601),
        ("fs/read_text_file", json!({}), -32601),
        ("", Value::Null, -32601),
    ] {
        let answer = client.ask(method, params.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{method} {params}: {answer}");
    }
    client.new_session().await;
}

#[tokio::test]
async fn a_line_that_means_nothing_is_answered_and_passed_over() {
    let mut client = Client::start();
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(17 * 1024 * 1024));
    for (line, code) in [
        (&b"hello"[..], -32700),
        (b"{\"id\":1", -32700),
        (b"\xff\xfe", -32700),
        (b"[]", -32600),
        (b"\"text\"", -32600),
        (b"{}", -32600),
        (b"{\"id\":[],\"method\":\"initialize\"}", -32600),
        (long.as_bytes(), -32700),
    ] {
        client.write(line).await;
        assert_eq!(client.read().await["error"]["code"], code);
    }
    client.write("\n  \n").await;
    client.new_session().await;
}

#[tokio::test]
async fn nobody_answers_a_notification_or_an_answer() {
    let mut client = Client::start();
    let session = client.new_session().await;
    for line in [
        json!({ "method": "session/cancel", "params": { "sessionId": session } }),
        json!({ "method": "session/cancel", "params": { "sessionId": "none" } }),
        json!({ "method": "session/cancel" }),
        json!({ "method": "$/cancel_request", "params": { "requestId": 7 } }),
        json!({ "method": "session/prompt", "params": {} }),
        json!({ "id": 7, "result": {} }),
    ] {
        client.write(line.to_string()).await;
    }
    client.new_session().await;
}

#[tokio::test]
async fn a_command_that_cannot_be_started_fails_its_prompt_and_frees_the_session() {
    let mut client = Client::start();
    let session = client.new_session().await;
    for _ in 0..2 {
        let prompt = json!([{ "type": "text", "text": "true" }]);
        let params = json!({ "sessionId": session, "prompt": prompt });
        let answer = client.ask("session/prompt", params).await;
        assert_eq!(answer["error"]["code"], -32603, "{answer}");
    }
}

#[tokio::test]
async fn when_the_client_leaves_everything_said_is_written_and_the_agent_ends() {
    let mut client = Client::start();
    client.write(r#"{"id":1,"method":"initialize","params":{"protocolVersion":1}}"#).await;
    // The last line lacks its line feed.
    client.to.write_all(br#"{"id":2,"method":"nope"}"#).await.unwrap();
    let Client { agent, to, mut from } = client;
    drop(to);
    let mut answers = Vec::new();
    while let Some(line) = from.next_line().await.unwrap() {
        answers.push(serde_json::from_str::<Value>(&line).unwrap()["id"].clone());
    }
    assert_eq!(answers, [json!(1), json!(2)]);
    agent.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_without_reading_does_not_keep_the_agent() {
    for line in ["junk", r#"{"id":1,"method":"nope"}"#] {
        let mut client = Client::with_room(256);
        // More than fits into the stream and the queue before it.
        for _ in 0..100 {
            client.write(line).await;
        }
        let Client { agent, to, from } = client;
        drop(to);
        let second = std::time::Duration::from_secs(1);
        tokio::time::timeout(second, agent).await.unwrap().unwrap();
        drop(from);
    }
}
