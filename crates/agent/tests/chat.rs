//! A turn with a provider's model, against a server that speaks the real wire and misbehaves.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../../cli/tests/conformance/model_server.rs"]
#[allow(dead_code)]
mod model_server;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hatchery_agent::{
    Cancel, ChatModel, Conversation, Host, MAX_ANSWER_BYTES, MAX_ATTEMPTS, Message, Model,
    ModelDeadlines, ModelFailure, ModelStage, StartingCommand, TurnEnd, TurnFailure, Usage,
    Workplace, run_turn,
};
use hatchery_protocol::{OutputStream, Secret, Task};
use hatchery_sandbox::{KeeperCommand, Network};
use model_server::{Gate, ModelServer, Reply, Step};

const KEY: &str = "sk-secret-0123456789";

/// What a host hears beside words.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sign {
    Alive,
    Used(Usage),
}

/// A host that keeps what was said, and may do something at a word.
#[derive(Default)]
struct Listener {
    said: Mutex<Vec<u8>>,
    signs: Mutex<Vec<Sign>>,
    pieces: Mutex<Vec<String>>,
    at_piece: Option<(usize, Box<dyn Fn() + Send + Sync>)>,
}

impl Host for Listener {
    async fn command_starting(&self, _: &StartingCommand) {
        panic!("a question starts no command");
    }

    async fn output(&self, stream: OutputStream, bytes: Bytes) {
        assert_eq!(stream, OutputStream::Stdout);
        assert!(bytes.len() <= 64 * 1024);
        self.said.lock().unwrap().extend_from_slice(&bytes);
        let count = {
            let mut pieces = self.pieces.lock().unwrap();
            pieces.push(String::from_utf8(bytes.to_vec()).expect("whole characters"));
            pieces.len()
        };
        if let Some((piece, act)) = &self.at_piece
            && *piece == count
        {
            act();
        }
    }

    async fn alive(&self) {
        self.signs.lock().unwrap().push(Sign::Alive);
    }

    async fn used(&self, tokens: Usage) {
        self.signs.lock().unwrap().push(Sign::Used(tokens));
    }
}

impl Listener {
    fn signs(&self) -> Vec<Sign> {
        self.signs.lock().unwrap().clone()
    }

    fn text(&self) -> String {
        String::from_utf8(self.said.lock().unwrap().clone()).unwrap()
    }
}

fn model(base_url: String) -> ChatModel {
    ChatModel {
        provider: "mock".to_owned(),
        id: "m".to_owned(),
        base_url,
        api_key: Some(Secret::new(KEY.to_owned())),
        headers: vec![("x-team".to_owned(), Secret::new("blue".to_owned()))],
        context_window: None,
        max_tokens: None,
        deadlines: ModelDeadlines {
            first_byte: Duration::from_secs(20),
            idle: Duration::from_secs(20),
            back_off: Duration::from_millis(1),
        },
    }
}

async fn turn(
    host: &Listener,
    model: ChatModel,
    earlier: &Conversation,
    cancel: Cancel,
) -> TurnEnd {
    let workplace = Workplace {
        keeper: KeeperCommand { program: "/bin/false".into(), args: Vec::new() },
        cwd: "/".into(),
        env: Vec::new(),
        ticket: None,
        network: Network::Host,
    };
    let task = Task::Argv(vec!["how".to_owned(), "are".to_owned(), "you?".to_owned()]);
    let model = Model::Chat(Box::new(model));
    let turn = run_turn(host, &workplace, &model, earlier, &task, cancel);
    tokio::time::timeout(Duration::from_secs(30), turn).await.expect("the turn hangs")
}

/// How a turn against these replies failed, what was said until then, and how often it was asked.
async fn failure(replies: Vec<Reply>) -> (ModelFailure, String, usize) {
    let server = ModelServer::start(replies);
    failure_at(&server, model(server.base_url())).await
}

async fn failure_at(server: &ModelServer, model: ChatModel) -> (ModelFailure, String, usize) {
    let host = Listener::default();
    match turn(&host, model, &Conversation::default(), Cancel::new()).await {
        TurnEnd::Failed(TurnFailure::Model(failure)) => {
            assert!(!failure.to_string().contains(KEY), "{failure}");
            (failure, host.text(), server.requests().len())
        }
        other => panic!("{other:?}"),
    }
}

fn steps(steps: impl IntoIterator<Item = Step>) -> Vec<Reply> {
    vec![Reply::Steps(steps.into_iter().collect())]
}

fn text(words: &str) -> Step {
    Step::Text(words.to_owned())
}

#[tokio::test]
async fn an_answer_streams_in_order_and_is_reported() {
    let server = ModelServer::start([]);
    let host = Listener::default();
    let earlier = Conversation {
        system: Some("be brief".to_owned()),
        messages: vec![Message::user("hi"), Message::assistant("hello")],
    };
    let end = turn(&host, model(server.base_url()), &earlier, Cancel::new()).await;
    let TurnEnd::Answered { exit_code: None, report: Some(report) } = end else {
        panic!("{end:?}")
    };
    assert_eq!(host.text(), "echo: how are you?");
    assert_eq!(host.pieces.lock().unwrap().len(), 3);
    assert_eq!((report.provider.as_str(), report.asked.as_str()), ("mock", "m"));
    assert_eq!(report.answered.as_deref(), Some("m-2026-01-01"));
    assert_eq!(report.finish.as_deref(), Some("stop"));
    assert_eq!(report.attempts, 1);
    let usage = Usage { input_tokens: 11, output_tokens: 7, cached_tokens: 3 };
    assert_eq!(report.usage, Some(usage));

    let request = &server.requests()[0];
    assert_eq!(request.path, "/v1/chat/completions");
    let header = |name: &str| {
        let found = request.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    assert_eq!(header("authorization"), format!("Bearer {KEY}"));
    assert_eq!(
        (header("x-team").as_str(), header("content-type").as_str()),
        ("blue", "application/json")
    );
    let roles: Vec<&str> = request.body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
}

#[tokio::test]
async fn a_piece_is_heard_before_the_next_is_sent() {
    let gate = Gate::default();
    let opened = gate.clone();
    let server = ModelServer::start(steps([
        Step::Head,
        text("one "),
        Step::Wait(gate),
        text("two"),
        Step::Finish("stop"),
        Step::Done,
    ]));
    let host =
        Listener { at_piece: Some((1, Box::new(move || opened.open()))), ..Listener::default() };
    let end = turn(&host, model(server.base_url()), &Conversation::default(), Cancel::new()).await;
    assert!(matches!(end, TurnEnd::Answered { .. }), "{end:?}");
    assert_eq!(host.text(), "one two");
}

#[tokio::test]
async fn a_model_that_thinks_shows_life() {
    let (thought, kept) = (Gate::default(), Gate::default());
    let think = r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#;
    let server = ModelServer::start(steps([
        Step::Head,
        Step::Wait(thought.clone()),
        Step::Event(think.to_owned()),
        Step::Wait(kept.clone()),
        Step::Bytes(b"8\r\n: ping\n\n\r\n".to_vec()),
        Step::Hold,
    ]));
    let (host, cancel, earlier) = (Listener::default(), Cancel::new(), Conversation::default());
    let watch = async {
        for (gate, signs) in [(Some(thought), 1), (Some(kept), 2), (None, 3)] {
            while host.signs().len() < signs {
                tokio::task::yield_now().await;
            }
            gate.inspect(Gate::open);
        }
        cancel.cancel();
    };
    let (end, ()) =
        tokio::join!(turn(&host, model(server.base_url()), &earlier, cancel.clone()), watch);
    assert!(matches!(end, TurnEnd::Cancelled), "{end:?}");
    assert!(host.signs().iter().all(|sign| *sign == Sign::Alive), "{:?}", host.signs());
    assert_eq!(host.text(), "");
}

#[tokio::test]
async fn what_was_used_up_is_told_even_of_an_answer_that_failed() {
    let used = Usage { input_tokens: 11, output_tokens: 7, cached_tokens: 3 };
    for reason in ["stop", "length"] {
        let script = [Step::Head, text("half"), Step::Finish(reason), Step::Done];
        let server = ModelServer::start(steps(script));
        let host = Listener::default();
        turn(&host, model(server.base_url()), &Conversation::default(), Cancel::new()).await;
        assert!(host.signs().contains(&Sign::Used(used)), "{:?}", host.signs());
    }
}

#[tokio::test]
async fn characters_and_events_may_be_cut_anywhere() {
    let event = "data: {\"choices\":[{\"delta\":{\"content\":\"grüße 🦆\"}}]}\r\n\r\n";
    let mut script = vec![Step::Head];
    script.extend(
        event.as_bytes().iter().map(|byte| Step::Bytes([b"1\r\n", &[*byte][..], b"\r\n"].concat())),
    );
    script.extend([Step::Event(": x".to_owned()), Step::Finish("stop"), Step::End]);
    script.remove(event.len() + 1);
    let server = ModelServer::start(steps(script));
    let host = Listener::default();
    let end = turn(&host, model(server.base_url()), &Conversation::default(), Cancel::new()).await;
    // It ended without `[DONE]`, but with a reason.
    assert!(matches!(end, TurnEnd::Answered { .. }), "{end:?}");
    assert_eq!(host.text(), "grüße 🦆");
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = ModelServer::start([]);
    // A connection is free again once a task of its own has seen the end of the response, which
    // may be a moment after the turn.
    for _ in 0..50 {
        let host = Listener::default();
        let model = model(server.base_url());
        let end = turn(&host, model, &Conversation::default(), Cancel::new()).await;
        assert!(matches!(end, TurnEnd::Answered { .. }), "{end:?}");
    }
    let connections: BTreeSet<usize> =
        server.requests().iter().map(|request| request.connection).collect();
    assert!(connections.len() < 25, "{connections:?}");
}

#[tokio::test]
async fn what_cannot_be_helped_by_asking_again_is_named_at_once() {
    let cases = [
        (401, "invalid_api_key", "authentication"),
        (403, "forbidden", "authentication"),
        (402, "payment_required", "billing"),
        (429, "insufficient_quota", "billing"),
        (404, "model_not_found", "unknown_model"),
        (400, "model_not_found", "unknown_model"),
        (400, "context_length_exceeded", "bad_request"),
        (413, "too_large", "bad_request"),
        (422, "invalid", "bad_request"),
        (307, "moved", "bad_request"),
    ];
    for (status, code, name) in cases {
        let message = format!("key {KEY} is\nno good");
        let (failure, said, asked) = failure(vec![Reply::error(status, code, &message)]).await;
        assert_eq!((failure.code(), said.as_str(), asked), (name, "", 1), "{status} {code}");
        if status != 307 {
            let told = failure.to_string();
            assert!(told.contains("key [hidden] is no good"), "{told}");
        }
    }
}

#[tokio::test]
async fn what_may_pass_is_asked_again_and_no_more_than_three_times() {
    for (status, name) in [(500, "server_error"), (503, "server_error"), (429, "rate_limit")] {
        let (failure, _, asked) = failure(vec![Reply::error(status, "x", "busy")]).await;
        assert_eq!((failure.code(), asked), (name, MAX_ATTEMPTS as usize));
    }
    let server = ModelServer::start([
        Reply::error(500, "x", "busy"),
        Reply::Status(429, vec![("retry-after", "0".to_owned())], String::new()),
        Reply::Echo,
    ]);
    let host = Listener::default();
    let end = turn(&host, model(server.base_url()), &Conversation::default(), Cancel::new()).await;
    let TurnEnd::Answered { report: Some(report), .. } = end else { panic!("{end:?}") };
    assert_eq!((report.attempts, host.text().as_str()), (3, "echo: how are you?"));
}

#[tokio::test]
async fn a_provider_that_asks_for_a_long_wait_is_not_waited_for() {
    let reply = Reply::Status(429, vec![("retry-after", "31".to_owned())], String::new());
    let (failure, _, asked) = failure(vec![reply]).await;
    assert_eq!(asked, 1);
    assert!(failure.to_string().ends_with("try again in 31 s"), "{failure}");
}

#[tokio::test]
async fn nobody_there_is_told_with_the_place() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let host = Listener::default();
    let model = model(format!("http://{address}/secret-path"));
    let end = turn(&host, model, &Conversation::default(), Cancel::new()).await;
    let TurnEnd::Failed(failure) = end else { panic!("{end:?}") };
    let told = failure.to_string();
    assert!(
        told.contains(&format!("cannot be reached at http://{address}: nobody listens")),
        "{told}"
    );
    assert!(!told.contains("secret-path"), "{told}");
}

#[tokio::test]
async fn a_connection_that_ends_before_the_answer_is_asked_again() {
    // A reply without a step closes nothing; this one cannot be read as HTTP.
    let server = ModelServer::start([
        Reply::Steps(vec![Step::Bytes(b"nonsense\r\n\r\n".to_vec()), Step::Hold]),
        Reply::Echo,
    ]);
    let host = Listener::default();
    let end = turn(&host, model(server.base_url()), &Conversation::default(), Cancel::new()).await;
    let TurnEnd::Answered { report: Some(report), .. } = end else { panic!("{end:?}") };
    assert_eq!(report.attempts, 2);
}

#[tokio::test]
async fn an_answer_that_breaks_off_keeps_what_came_and_is_not_asked_again() {
    let cut = [Step::Head, text("half"), Step::Bytes(b"zz\r\n".to_vec()), Step::Hold];
    let (failure_cut, said, asked) = failure(steps(cut)).await;
    assert_eq!((failure_cut.code(), said.as_str(), asked), ("broken", "half", 1));

    let (ended, said, _) = failure(steps([Step::Head, text("half"), Step::End])).await;
    assert_eq!((ended.code(), said.as_str()), ("broken", "half"));

    let error = Step::Event(r#"{"error":{"message":"overloaded","code":"x"}}"#.to_owned());
    let (told, said, asked) = failure(steps([Step::Head, text("half"), error, Step::Done])).await;
    assert_eq!((told.code(), said.as_str(), asked), ("broken", "half", 1));
    assert!(told.to_string().contains("overloaded"), "{told}");
}

#[tokio::test]
async fn an_end_without_a_word_is_no_answer() {
    for silent in [vec![], vec![text(""), text(" \n")]] {
        let script = [vec![Step::Head], silent, vec![Step::Finish("stop"), Step::Done]].concat();
        let (failure, _, asked) = failure(steps(script)).await;
        assert_eq!((failure.code(), asked), ("empty", 1));
    }
}

#[tokio::test]
async fn an_answer_that_was_cut_short_by_the_provider_is_named() {
    for (reason, name) in [("length", "out_of_tokens"), ("content_filter", "refused")] {
        let script = [Step::Head, text("half"), Step::Finish(reason), Step::Done];
        let (failure, said, _) = failure(steps(script)).await;
        assert_eq!((failure.code(), said.as_str()), (name, "half"));
    }
}

#[tokio::test]
async fn what_is_no_chat_completion_is_told_apart() {
    let page = Reply::Status(200, Vec::new(), "<html>a page</html>".to_owned());
    let (failure_page, _, asked) = failure(vec![page]).await;
    assert_eq!((failure_page.code(), asked), ("not_an_answer", 1));

    let garbage = [Step::Head, Step::Event("{broken".to_owned()), Step::Done];
    assert_eq!(failure(steps(garbage)).await.0.code(), "not_an_answer");

    let (flood, _, _) = failure(steps([Step::Head, Step::Flood(b'x')])).await;
    assert!(flood.to_string().contains("too long"), "{flood}");
}

#[tokio::test]
async fn an_answer_has_its_limit() {
    let piece = "x".repeat(512 * 1024);
    let fits = MAX_ANSWER_BYTES / piece.len();
    let mut script = vec![Step::Head];
    script.extend(std::iter::repeat_n(text(&piece), fits));
    let full = [script.clone(), vec![Step::Finish("stop"), Step::Done]].concat();
    let server = ModelServer::start(steps(full));
    let host = Listener::default();
    let end = turn(&host, model(server.base_url()), &Conversation::default(), Cancel::new()).await;
    assert!(matches!(end, TurnEnd::Answered { .. }), "{end:?}");

    script.extend([text("x"), Step::Hold]);
    let (failure, said, _) = failure(steps(script)).await;
    assert_eq!((failure.code(), said.len()), ("too_large", MAX_ANSWER_BYTES));
}

#[tokio::test]
async fn silence_ends_a_turn_at_every_stage() {
    let limit = Duration::from_millis(50);
    for (script, stage, said) in [
        (vec![Step::Hold], ModelStage::FirstByte, ""),
        (vec![Step::Head, text("half"), Step::Hold], ModelStage::NextPiece, "half"),
    ] {
        let server = Arc::new(ModelServer::start(steps(script)));
        let mut model = model(server.base_url());
        match stage {
            ModelStage::FirstByte => model.deadlines.first_byte = limit,
            ModelStage::NextPiece => model.deadlines.idle = limit,
        }
        let (failure, heard, asked) = failure_at(&server, model).await;
        let expected = ModelFailure::Deadline { provider: "mock".to_owned(), stage, limit };
        assert_eq!((failure, heard.as_str(), asked), (expected, said, 1));
        left(&server).await;
    }
}

#[tokio::test]
async fn a_cancel_drops_the_request_whatever_it_waits_for() {
    // Before the first byte.
    let server = Arc::new(ModelServer::start(steps([Step::Hold])));
    let end = cancelled_at_first_request(&server, model(server.base_url())).await;
    assert!(matches!(end, TurnEnd::Cancelled), "{end:?}");
    left(&server).await;

    // In the answer: what came stays.
    let server = Arc::new(ModelServer::start(steps([Step::Head, text("half"), Step::Hold])));
    let cancel = Cancel::new();
    let wish = cancel.clone();
    let host =
        Listener { at_piece: Some((1, Box::new(move || wish.cancel()))), ..Listener::default() };
    let end = turn(&host, model(server.base_url()), &Conversation::default(), cancel).await;
    assert!(matches!(end, TurnEnd::Cancelled), "{end:?}");
    assert_eq!(host.text(), "half");
    left(&server).await;

    // Between two attempts.
    let server = Arc::new(ModelServer::start([Reply::error(500, "x", "busy")]));
    let mut slow = model(server.base_url());
    slow.deadlines.back_off = Duration::from_secs(3600);
    let end = cancelled_at_first_request(&server, slow).await;
    assert!(matches!(end, TurnEnd::Cancelled), "{end:?}");

    // Before anything.
    let server = ModelServer::start([]);
    let (host, cancel) = (Listener::default(), Cancel::new());
    cancel.cancel();
    let end = turn(&host, model(server.base_url()), &Conversation::default(), cancel).await;
    assert!(matches!(end, TurnEnd::Cancelled), "{end:?}");
    assert!(server.requests().is_empty());
}

/// The connection is closed by a task of its own, which needs this thread.
async fn left(server: &Arc<ModelServer>) {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || server.wait_for_leaving(1)).await.unwrap();
}

async fn cancelled_at_first_request(server: &Arc<ModelServer>, model: ChatModel) -> TurnEnd {
    let (host, earlier, cancel) = (Listener::default(), Conversation::default(), Cancel::new());
    let (wish, waiting) = (cancel.clone(), Arc::clone(server));
    let asked = tokio::task::spawn_blocking(move || {
        waiting.wait_for_requests(1);
        wish.cancel();
    });
    let end = turn(&host, model, &earlier, cancel).await;
    asked.await.unwrap();
    end
}

#[tokio::test]
async fn a_key_that_no_header_can_carry_is_told_without_the_key() {
    let server = ModelServer::start([]);
    let mut model = model(server.base_url());
    model.api_key = Some(Secret::new("sk-\u{7}bell".to_owned()));
    assert!(!format!("{model:?}").contains("bell"));
    let (failure, _, asked) = failure_at(&server, model).await;
    assert_eq!((failure.code(), asked), ("bad_request", 0));
    assert!(!failure.to_string().contains("bell"), "{failure}");
}
