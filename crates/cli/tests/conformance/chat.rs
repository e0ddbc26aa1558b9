//! Turns in sessions, over the owner's socket: what is said, what is told, what is kept.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::home::{Home, ITSELF, is_alive, wait_until};
use crate::model_server::{ModelServer, Reply};
use crate::wire::{Wire, request};

/// A reader who remembers what was told while it waited for something else.
struct Reader {
    wire: Wire,
    heard: Vec<Value>,
}

impl Reader {
    fn new(home: &Home) -> Self {
        Self { wire: Wire::greeted(home), heard: Vec::new() }
    }

    /// Hears of everything in a session too.
    fn subscribed(home: &Home, session: &str) -> Self {
        let mut reader = Self::new(home);
        reader.ok("sessions.subscribe", json!({}));
        reader.ok("sessions.messages.subscribe", json!({"key": session}));
        reader
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.wire.say(&request(method, params));
        self.until(|frame| frame["type"] == "res" && frame["id"] == method)
    }

    fn ok(&mut self, method: &str, params: Value) -> Value {
        let response = self.ask(method, params);
        assert_eq!(response["ok"], true, "{method}: {response}");
        response["payload"].clone()
    }

    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.wire.next();
            self.heard.push(frame.clone());
            if wanted(&frame) {
                return frame;
            }
        }
    }

    fn event(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let is_it = |frame: &Value| frame["event"] == name && wanted(&frame["payload"]);
        if let Some(heard) = self.heard.iter().find(|frame| is_it(frame)) {
            return heard["payload"].clone();
        }
        self.until(is_it)["payload"].clone()
    }

    /// Says something, and waits for how it ends.
    fn say(&mut self, session: &str, text: &str, key: &str) -> Value {
        let params = json!({"sessionKey": session, "message": text, "idempotencyKey": key});
        assert_eq!(self.ok("chat.send", params), json!({"runId": key, "status": "started"}));
        self.ending(key)
    }

    fn ending(&mut self, run: &str) -> Value {
        self.event("chat", |chat| chat["runId"] == run && chat["state"] != "delta")
    }

    fn history(&mut self, session: &str) -> Vec<Value> {
        let history = self.ok("chat.history", json!({"sessionKey": session}));
        history["messages"].as_array().unwrap().clone()
    }

    /// The messages of a session as (role, text).
    fn lines(&mut self, session: &str) -> Vec<(String, String)> {
        let line = |message: &Value| {
            (message["role"].as_str().unwrap().to_owned(), text(message).to_owned())
        };
        self.history(session).iter().map(line).collect()
    }

    /// The places at which something was heard, in order.
    fn order(&self, of: impl Fn(&Value) -> Option<String>) -> Vec<String> {
        self.heard.iter().filter_map(of).collect()
    }
}

fn text(message: &Value) -> &str {
    message["content"][0]["text"].as_str().unwrap()
}

fn line(role: &str, text: &str) -> (String, String) {
    (role.to_owned(), text.to_owned())
}

#[test]
fn a_turn_is_told_in_order_and_kept_as_clients_expect_it() {
    let home = Home::new();
    home.start_gateway();
    let mut reader = Reader::subscribed(&home, "main");
    let end = reader.say("MAIN", "echo hello", "k1");
    assert_eq!(end["state"], "final");
    assert_eq!(end["stopReason"], "stop");
    assert_eq!(end["sessionKey"], "agent:main:main");
    assert_eq!(text(&end["message"]), "hello\n");
    reader.event("sessions.changed", |changed| changed["reason"] == "agent.input.settled");

    let told = reader.order(|frame| {
        let payload = &frame["payload"];
        if frame["type"] == "res" {
            return (frame["id"] == "chat.send").then(|| "receipt".to_owned());
        }
        match frame["event"].as_str()? {
            "agent" => Some(format!("{} {}", payload["stream"], payload["data"]["phase"])),
            "chat" => Some(format!("chat {}", payload["state"])),
            "session.message" if payload["message"]["role"] == "assistant" => Some("kept".into()),
            _ => None,
        }
        .map(|told| told.replace('"', ""))
    });
    assert_eq!(
        told,
        [
            "receipt",
            "lifecycle start",
            "assistant null",
            "chat delta",
            "lifecycle end",
            "chat final",
            "kept"
        ]
    );
    let delta = reader.event("chat", |chat| chat["state"] == "delta");
    assert_eq!(
        (delta["deltaText"].as_str(), text(&delta["message"])),
        (Some("hello\n"), "hello\n")
    );

    let messages = reader.history("main");
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0]["role"], "user");
    assert_eq!(messages[0]["idempotencyKey"], "k1:user");
    assert_eq!(messages[0]["__openclaw"]["idempotencyKey"], "k1:user");
    assert_eq!(messages[1]["role"], "assistant");
    assert_eq!(messages[1]["__openclaw"]["runId"], "k1");
    assert_eq!(messages[1]["__openclaw"]["seq"], 2);
    assert_eq!(messages[1]["stopReason"], "stop");
    assert_eq!(messages[1]["provider"], "builtin");
    // The message that was told is the one that is kept.
    let told = reader.event("session.message", |told| told["messageSeq"] == 2);
    assert_eq!(told["message"], messages[1]);
}

#[test]
fn a_message_sent_again_is_answered_once_also_after_a_restart() {
    let home = Home::new();
    home.start_gateway();
    let mut reader = Reader::new(&home);
    let count = "echo x >> count; cat count";
    let send = |key: &str| json!({"sessionKey": "main", "message": count, "idempotencyKey": key});
    let params = json!({"sessionKey": "main", "message": "until [ -e go ]; do sleep 0.02; done",
        "idempotencyKey": "slow"});
    reader.ok("chat.send", params.clone());
    assert_eq!(reader.ok("chat.send", params)["status"], "in_flight");
    std::fs::write(home.state_directory().join("workspace/go"), "").unwrap();
    assert_eq!(reader.ending("slow")["state"], "final");
    reader.ok("chat.send", send("once"));
    assert_eq!(text(&reader.ending("once")["message"]), "x\n");
    assert_eq!(reader.ok("chat.send", send("once")), json!({"runId": "once", "status": "ok"}));
    let elsewhere = json!({"sessionKey": "other", "message": "true", "idempotencyKey": "once"});
    let refused = reader.ask("chat.send", elsewhere);
    assert_eq!(refused["error"]["details"]["code"], "KEY_OF_ANOTHER_SESSION");
    drop(reader);

    assert_eq!(home.run(&["gateway", "stop"]).status, 0);
    home.start_gateway();
    let mut reader = Reader::new(&home);
    assert_eq!(reader.ok("chat.send", send("once")), json!({"runId": "once", "status": "ok"}));
    reader.ok("chat.send", send("twice"));
    assert_eq!(text(&reader.ending("twice")["message"]), "x\nx\n");
    assert_eq!(reader.history("main").len(), 6);
}

#[test]
fn a_turn_that_is_stopped_keeps_what_it_had_said_and_what_waits_is_not_begun() {
    let home = Home::new();
    home.start_gateway();
    let mut reader = Reader::new(&home);
    let send = |text: &str, key: &str| json!({"sessionKey": "main", "message": text, "idempotencyKey": key});
    let long = format!("echo part; echo {ITSELF} > pid; sleep 100");
    reader.ok("chat.send", send(&long, "long"));
    reader.event("chat", |chat| chat["state"] == "delta");
    reader.ok("chat.send", send("echo next", "next"));
    let pid = home.process_in(".local/state/hatchery/workspace/pid");
    let stopped = reader.ok("chat.abort", json!({"sessionKey": "main"}));
    assert_eq!(stopped, json!({"ok": true, "aborted": true, "runIds": ["long", "next"]}));
    let end = reader.ending("long");
    assert_eq!((end["state"].as_str(), text(&end["message"])), (Some("aborted"), "part\n"));
    let waited = reader.ok("agent.wait", json!({"runId": "long"}));
    assert_eq!(waited["status"], "error");
    wait_until("its process is gone", || !is_alive(pid));
    let expected = [
        line("user", &long),
        line("user", "echo next"),
        line("assistant", ""),
        line("assistant", "part\n"),
    ];
    assert_eq!(reader.lines("main"), expected);
    let again = reader.ok("chat.abort", json!({"sessionKey": "main"}));
    assert_eq!(again["aborted"], false);
    let status = reader.ok("sessions.abort", json!({"key": "main"}));
    assert_eq!(status["status"], "no-active-run");
}

#[test]
fn messages_are_answered_one_by_one_in_their_order() {
    let home = Home::new();
    home.start_gateway();
    let mut reader = Reader::new(&home);
    for number in 1..=3 {
        let text = format!("cat said; echo {number} >> said");
        let key = format!("m{number}");
        let params = json!({"sessionKey": "main", "message": text, "idempotencyKey": key});
        reader.ok("chat.send", params);
    }
    assert_eq!(text(&reader.ending("m3")["message"]), "1\n2\n");
    let messages = reader.history("main");
    let answers = messages.iter().filter(|message| message["role"] == "assistant");
    let runs: Vec<&Value> = answers.map(|answer| &answer["__openclaw"]["runId"]).collect();
    assert_eq!(runs, ["m1", "m2", "m3"]);
}

#[test]
fn agent_answers_twice_and_can_be_waited_for() {
    let home = Home::new();
    home.start_gateway();
    let mut reader = Reader::new(&home);
    let params = json!({"message": "echo done; exit 3", "idempotencyKey": "a1",
        "sessionKey": "agent:main:explicit:job"});
    let accepted = reader.ok("agent", params);
    assert_eq!(accepted["status"], "accepted");
    assert_eq!(accepted["runId"], "a1");
    assert_eq!(accepted["sessionKey"], "agent:main:explicit:job");
    let second = reader.until(|frame| frame["type"] == "res" && frame["id"] == "agent");
    assert_eq!(second["payload"]["status"], "error");
    assert_eq!(second["payload"]["error"], "the command ended with exit code 3");
    assert_eq!(second["payload"]["result"]["payloads"][0]["text"], "done\n");

    reader.ok("agent", json!({"message": "echo fine", "idempotencyKey": "a2"}));
    let waited = reader.ok("agent.wait", json!({"runId": "a2"}));
    assert_eq!((waited["status"].as_str(), waited["runId"].as_str()), (Some("ok"), Some("a2")));
    assert_eq!(waited["terminalReply"]["text"], "fine\n");
    let nobody = reader.ok("agent.wait", json!({"runId": "nobody", "timeoutMs": 20}));
    assert_eq!(nobody["status"], "timeout");
    let slow = json!({"message": "sleep 100", "idempotencyKey": "a3"});
    reader.ok("agent", slow);
    let waited = reader.ok("agent.wait", json!({"runId": "a3", "timeoutMs": 20}));
    assert_eq!(waited["status"], "timeout");
}

#[test]
fn a_turn_that_was_live_when_the_gateway_was_killed_is_kept_as_interrupted() {
    let home = Home::new();
    let gateway = home.start_gateway();
    let mut reader = Reader::new(&home);
    let say = json!({"sessionKey": "main", "message": "echo so far; sleep 100",
        "idempotencyKey": "cut"});
    reader.ok("chat.send", say);
    reader.event("chat", |chat| chat["state"] == "delta");
    kill(Pid::from_raw(gateway), Signal::SIGKILL).unwrap();
    wait_until("the gateway is gone", || !is_alive(gateway));

    home.start_gateway();
    let mut reader = Reader::new(&home);
    let messages = reader.history("main");
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert_eq!(text(&messages[1]), "so far\n");
    assert_eq!(messages[1]["stopReason"], "aborted");
    assert_eq!(messages[1]["errorMessage"], "the gateway ended while it ran");
    let waited = reader.ok("agent.wait", json!({"runId": "cut"}));
    assert_eq!(waited["status"], "error");
    // The session goes on.
    assert_eq!(reader.say("main", "echo on", "on")["state"], "final");
}

#[test]
fn a_sub_agent_that_was_asked_for_in_a_chat_tells_its_result_there_once() {
    let home = Home::new();
    let gateway = home.start_gateway();
    let mut reader = Reader::subscribed(&home, "main");
    let receipt = reader.say("main", "/subagents spawn main echo found --label scout", "s1");
    assert!(text(&receipt["message"]).starts_with("Started the sub-agent main in sess_"));
    let announced = reader.event("chat", |chat| {
        chat["runId"]
            .as_str()
            .is_some_and(|run| run.starts_with("announce:v1:agent:main:subagent:"))
    });
    assert_eq!(text(&announced["message"]), "The sub-agent scout is done.\n\nfound");
    reader.say("main", "/subagents spawn main echo late; sleep 100", "s2");
    let told = |lines: &[(String, String)]| {
        lines.iter().filter(|(_, text)| text.starts_with("The sub-agent ")).count()
    };
    assert_eq!(told(&reader.lines("main")), 1);
    // The same message starts nothing again, and a crash neither loses nor doubles a result.
    let again = json!({"sessionKey": "main", "idempotencyKey": "s1",
        "message": "/subagents spawn main echo found --label scout"});
    assert_eq!(reader.ok("chat.send", again)["status"], "ok");
    kill(Pid::from_raw(gateway), Signal::SIGKILL).unwrap();
    wait_until("the gateway is gone", || !is_alive(gateway));
    home.start_gateway();
    let mut reader = Reader::new(&home);
    let lines = reader.lines("main");
    assert_eq!(told(&lines), 2, "{lines:?}");
    assert!(lines.last().unwrap().1.contains("ended as interrupted"), "{lines:?}");
    let list = reader.say("main", "/subagents list", "l1");
    assert_eq!(text(&list["message"]).lines().count(), 2);
}

#[test]
fn what_a_turn_starts_tells_its_session_and_stops_with_it() {
    let home = Home::new();
    home.start_gateway();
    let mut reader = Reader::new(&home);
    let end = reader.say("main", "hatchery spawn --detach --runtime local -- echo child", "t1");
    assert_eq!(end["state"], "final", "{end}");
    let announced =
        |chat: &Value| chat["runId"].as_str().is_some_and(|run| run.starts_with("announce:v1:"));
    let told = reader.event("chat", announced);
    assert!(text(&told["message"]).ends_with("is done.\n\nchild"), "{told}");

    let spawn = format!("hatchery spawn --runtime local -- 'echo {ITSELF} > pid; sleep 100'");
    let params = json!({"sessionKey": "main", "message": spawn, "idempotencyKey": "t2"});
    reader.ok("chat.send", params);
    let pid = home.process_in(".local/state/hatchery/workspace/pid");
    let stop = json!({"sessionKey": "main", "message": "/stop", "idempotencyKey": "t3"});
    reader.ok("chat.send", stop);
    assert_eq!(reader.ending("t2")["state"], "aborted");
    wait_until("the child is gone", || !is_alive(pid));
}

#[test]
fn commands_answer_in_the_session_and_never_pair_or_approve() {
    let home = Home::new();
    home.start_gateway();
    let mut reader = Reader::new(&home);
    for (number, (said, answer)) in [
        ("/whoami", "You are: owner"),
        ("/status", "Session: agent:main:main (sess_main)"),
        ("/agents", "main: builtin/shell"),
        ("/model", "The model of this session is builtin/shell."),
        ("/model x/y", "model 'x/y' cannot be used"),
        ("/stop", "There was nothing to stop."),
        ("/subagents", "This session has no sub-agents."),
        ("/subagents info 1", "this session has no sub-agent '1'"),
        ("/subagents spawn nobody x", "agent 'nobody' is not allowed"),
        ("/subagents steer 1 left", "A sub-agent has its one task"),
        ("/pair approve latest", "There is no command /pair here."),
        ("/approve x allow-once", "There is no command /approve here."),
        ("/help", "/help: this list"),
    ]
    .into_iter()
    .enumerate()
    {
        let end = reader.say("main", said, &format!("c{number}"));
        assert!(text(&end["message"]).starts_with(answer), "{said}: {end}");
    }
    // A path is no command.
    assert_eq!(text(&reader.say("main", "/bin/echo path", "p")["message"]), "path\n");
    reader.say("main", "/new", "n");
    let lines = reader.lines("main");
    assert_eq!(lines[0], line("user", "/new"));
    assert_eq!(lines.len(), 2);
}

#[test]
fn sessions_are_opened_changed_begun_anew_and_deleted() {
    let home = Home::new();
    home.start_gateway();
    let mut reader = Reader::subscribed(&home, "main");
    let created = reader.ok("sessions.create", json!({"label": "notes", "message": "echo first"}));
    let key = created["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("agent:main:dashboard:"), "{key}");
    assert_eq!(
        (created["ok"].as_bool(), created["runStarted"].as_bool()),
        (Some(true), Some(true))
    );
    let run = created["runId"].as_str().unwrap().to_owned();
    assert_eq!(text(&reader.ending(&run)["message"]), "first\n");
    let changed = reader.event("sessions.changed", |changed| {
        changed["reason"] == "agent.input.settled" && changed["sessionKey"] == key.as_str()
    });
    assert_eq!(changed["session"]["label"], "notes");
    assert_eq!(changed["session"]["status"], "done");

    let patched = reader.ok("sessions.patch", json!({"key": key, "label": "n2", "pinned": true}));
    assert_eq!(
        (patched["entry"]["label"].as_str(), &patched["entry"]["pinned"]),
        (Some("n2"), &json!(true))
    );
    for bad in [
        json!({"key": key, "spawnDepth": 0}),
        json!({"key": key, "execSecurity": "full"}),
        json!({"key": key, "label": "x".repeat(513)}),
        json!({"label": "x"}),
    ] {
        assert_eq!(reader.ask("sessions.patch", bad)["ok"], false);
    }
    let reset = reader.ok("sessions.reset", json!({"key": key}));
    assert_ne!(reset["entry"]["sessionId"], created["sessionId"]);
    assert!(reader.history(&key).is_empty());
    assert_eq!(reader.ok("sessions.delete", json!({"key": key}))["deleted"], true);
    assert_eq!(reader.ask("sessions.delete", json!({"key": key}))["ok"], false);
    assert_eq!(reader.ask("sessions.delete", json!({"key": "main"}))["ok"], false);

    let injected =
        reader.ok("chat.inject", json!({"sessionKey": "main", "message": "hi", "label": "note"}));
    let name = format!("inject-{}", injected["messageId"].as_str().unwrap());
    assert_eq!(text(&reader.ending(&name)["message"]), "[note]\n\nhi");
    for (method, params, code) in [
        ("send", json!({"to": "x", "message": "y"}), "NO_CHANNEL"),
        (
            "chat.send",
            json!({"sessionKey": "agent:main:subagent:x", "message": "y"}),
            "NO_SUCH_SESSION",
        ),
        ("chat.send", json!({"sessionKey": "agent:nobody:main", "message": "y"}), "NO_SUCH_AGENT"),
        ("chat.send", json!({"sessionKey": "a b", "message": "y"}), "BAD_SESSION_KEY"),
        (
            "chat.send",
            json!({"sessionKey": "main", "message": "y", "attachments": [{}]}),
            "NO_ATTACHMENTS",
        ),
    ] {
        let refused = reader.ask(method, params);
        assert_eq!(refused["error"]["details"]["code"], code, "{refused}");
    }
}

#[test]
fn a_model_is_told_what_was_said_before() {
    let server = ModelServer::start([Reply::Echo]);
    let config = format!(
        r#"{{ models: {{ providers: {{ mock: {{ baseUrl: "{}", api: "openai-completions",
              models: [{{ id: "m", name: "M" }}] }} }} }},
             agents: {{ defaults: {{ model: "mock/m" }} }} }}"#,
        server.base_url()
    );
    let home = Home::with_config(&config, "");
    home.start_gateway();
    let mut reader = Reader::new(&home);
    let end = reader.say("main", "first", "k1");
    assert_eq!(text(&end["message"]), "echo: first", "{end}");
    assert_eq!(text(&reader.say("main", "second", "k2")["message"]), "echo: second");
    reader.say("main", "/status", "k3");
    reader.say("main", "third", "k4");
    let asked = server.requests();
    let messages = asked.last().unwrap().body["messages"].as_array().unwrap().clone();
    let told: Vec<&str> = messages
        .iter()
        .filter(|message| message["role"] != "system")
        .map(|message| message["content"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["first", "echo: first", "second", "echo: second", "third"]);
    let answer = &reader.history("main")[1];
    assert_eq!((answer["provider"].as_str(), answer["model"].as_str()), (Some("mock"), Some("m")));
    assert!(answer["usage"]["totalTokens"].as_u64().unwrap() > 0, "{answer}");
}
