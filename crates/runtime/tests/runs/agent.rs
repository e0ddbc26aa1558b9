//! The built-in agent in a process of its own, as any client sees it.

use hatchery_sandbox::{CommandSpec, Containment, Ending, Network, Stdin};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout};

use crate::support::{at_work, keeper};

pub(crate) fn all() -> Vec<Trial> {
    crate::trials![
        agent::a_turn_is_told_in_updates_of_the_protocol,
        agent::a_cancel_gets_through_while_a_prompt_runs,
        agent::a_second_prompt_is_refused_until_the_first_has_its_answer,
        agent::when_the_client_leaves_the_agent_and_its_children_are_gone_within_a_second,
    ]
}

/// A client that is not ours: raw lines.
struct Client {
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    keeper: hatchery_sandbox::KeeperHandle,
    session: String,
}

impl Client {
    async fn start() -> Self {
        let binary = std::env::current_exe().unwrap().into_os_string();
        let env = [("PATH", "/usr/bin:/bin"), ("HATCHERY_MODEL", "builtin/shell")];
        let spec = CommandSpec {
            argv: vec![binary, "agent".into()],
            cwd: "/".into(),
            env: env.map(|(name, value)| (name.into(), value.into())).to_vec(),
            stdin: Stdin::Piped,
            ticket: None,
            network: Network::Host,
            containment: Containment::Auto,
        };
        let tree = keeper().prepare(spec).await.unwrap().begin();
        let mut client = Self {
            stdin: tree.stdin.unwrap(),
            lines: BufReader::new(tree.stdout).lines(),
            keeper: tree.keeper,
            session: String::new(),
        };
        client.send("init", "initialize", json!({ "protocolVersion": 1 })).await;
        assert_eq!(client.read().await["result"]["protocolVersion"], 1);
        client.send("new", "session/new", json!({ "cwd": "/", "mcpServers": [] })).await;
        client.session = client.read().await["result"]["sessionId"].as_str().unwrap().to_owned();
        client
    }

    async fn send(&mut self, id: &str, method: &str, params: Value) {
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.stdin.write_all(format!("{request}\n").as_bytes()).await.unwrap();
    }

    async fn prompt(&mut self, id: &str, line: &str) {
        let prompt = json!([{ "type": "text", "text": line }]);
        let params = json!({ "sessionId": self.session, "prompt": prompt });
        self.send(id, "session/prompt", params).await;
    }

    async fn cancel(&mut self) {
        let params = json!({ "sessionId": self.session });
        let cancel = json!({ "jsonrpc": "2.0", "method": "session/cancel", "params": params });
        self.stdin.write_all(format!("{cancel}\n").as_bytes()).await.unwrap();
    }

    async fn read(&mut self) -> Value {
        serde_json::from_str(&self.lines.next_line().await.unwrap().unwrap()).unwrap()
    }

    /// The text of the next piece of the answer; the call that begins a command is passed by.
    async fn piece(&mut self) -> String {
        loop {
            let update = self.read().await["params"]["update"].take();
            if update["sessionUpdate"] == "agent_message_chunk" {
                return update["content"]["text"].as_str().unwrap().to_owned();
            }
            assert_eq!(update["sessionUpdate"], "tool_call");
        }
    }
}

pub(crate) async fn a_turn_is_told_in_updates_of_the_protocol() {
    let mut client = Client::start().await;
    client.prompt("turn", "printf hi; exit 3").await;
    let mut updates = Vec::new();
    let answer = loop {
        let mut message = client.read().await;
        if message["id"] == "turn" {
            break message;
        }
        assert_eq!(message["params"]["sessionId"], client.session);
        updates.push(message["params"]["update"].take());
    };
    assert_eq!(
        answer["result"],
        json!({ "stopReason": "end_turn", "_meta": { "hatchery": { "exitCode": 3 } } })
    );
    assert_eq!(
        updates,
        [
            json!({
                "sessionUpdate": "tool_call",
                "toolCallId": "command-1",
                "title": "printf hi; exit 3",
                "kind": "execute",
                "status": "in_progress",
                "rawInput": { "argv": ["/bin/sh", "-c", "printf hi; exit 3"] },
            }),
            json!({
                "sessionUpdate": "agent_message_chunk",
                "content": { "type": "text", "text": "hi" },
                "_meta": { "hatchery": { "stream": "stdout" } },
            }),
            json!({
                "sessionUpdate": "tool_call_update",
                "toolCallId": "command-1",
                "status": "failed",
                "rawOutput": { "exitCode": 3 },
            }),
        ]
    );
}

pub(crate) async fn a_cancel_gets_through_while_a_prompt_runs() {
    let mut client = Client::start().await;
    for turn in ["first", "second"] {
        client.prompt(turn, "echo ready; sleep 1000").await;
        assert_eq!(client.piece().await, "ready\n");
        client.cancel().await;
        let update = client.read().await["params"]["update"].take();
        assert_eq!(update["status"], "failed");
        let answer = client.read().await;
        assert_eq!(
            (&answer["id"], &answer["result"]["stopReason"]),
            (&json!(turn), &json!("cancelled"))
        );
        // One that comes late hits nothing.
        client.cancel().await;
    }
}

pub(crate) async fn a_second_prompt_is_refused_until_the_first_has_its_answer() {
    let mut client = Client::start().await;
    client.prompt("first", "echo ready; sleep 1000").await;
    client.piece().await;
    client.prompt("second", "true").await;
    let refusal = client.read().await;
    assert_eq!((&refusal["id"], &refusal["error"]["code"]), (&json!("second"), &json!(-32600)));
    client.cancel().await;
    while client.read().await["id"] != "first" {}
    client.prompt("third", "true").await;
    while client.read().await["id"] != "third" {}
}

pub(crate) async fn when_the_client_leaves_the_agent_and_its_children_are_gone_within_a_second() {
    let mut client = Client::start().await;
    client.prompt("turn", "trap '' TERM; echo; while :; do sleep 1000; : left alone; done").await;
    client.piece().await;
    assert_ne!(at_work(": left alone"), 0);
    let begun = Instant::now();
    let Client { stdin, mut keeper, lines, .. } = client;
    drop(stdin);
    // It must not need to be read either.
    assert_eq!(keeper.wait().await, Ending::Exited(0));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(at_work(": left alone"), 0);
    drop(lines);
}
