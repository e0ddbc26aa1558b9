//! What is told of a run while it works, and that its end is never without a name.

use hatchery_agent::{Model, ModelDeadlines, Usage};
use hatchery_runtime::{Progress, RunSpec, Spent};
use libtest_mimic::Trial;

use crate::model_server::{ModelServer, Reply, Step};
use crate::strangers::{agent, hurried};
use crate::support::{both, chat_model, outcome, said_by_a_model, spec, text};

pub(crate) fn all() -> Vec<Trial> {
    crate::trials![
        signs::a_command_is_a_step,
        signs::a_long_command_is_a_short_step,
        signs::what_a_stranger_is_at_is_told,
        signs::a_model_without_an_answer_is_a_named_failure,
    ]
}

pub(crate) async fn a_command_is_a_step() {
    for launch in both() {
        let (end, seen) = outcome(spec(launch, text("printf hi;\nexit 3"))).await;
        assert_eq!(end, "answered 3");
        let step = Progress::Step("execute: printf hi; exit 3".to_owned());
        assert_eq!(seen.progress(), [step]);
    }
}

pub(crate) async fn a_long_command_is_a_short_step() {
    for launch in both() {
        let line = format!("true {}", "x".repeat(10_000));
        let (_, seen) = outcome(spec(launch, text(&line))).await;
        let [Progress::Step(step)] = &seen.progress()[..] else { panic!() };
        assert_eq!(step.chars().count(), 200);
        assert!(step.starts_with("execute: true xxx") && step.ends_with('…'), "{step}");
    }
}

pub(crate) async fn what_a_stranger_is_at_is_told() {
    let turn = r#"
update() { say '{"method":"session/update","params":{"sessionId":"s","update":{'"$1"'}}}'; }
update '"sessionUpdate":"agent_thought_chunk","content":{"type":"text","text":"hm"}'
update '"sessionUpdate":"tool_call","toolCallId":"1","kind":"read","title":"Look","locations":[{"path":"/etc/hosts"}]'
update '"sessionUpdate":"tool_call_update","toolCallId":"1","status":"completed"'
say '{"id":9,"method":"session/request_permission","params":{"toolCall":{"toolCallId":"2","kind":"delete","title":"Away with it"},"options":[]}}'
read -r line
chunk done
update '"sessionUpdate":"usage_update","used":5,"size":9,"cost":{"amount":0.001,"currency":"USD"}'
say '{"id":3,"result":{"stopReason":"end_turn","usage":{"inputTokens":5,"outputTokens":2,"totalTokens":7}}}'
"#;
    let (end, seen) = outcome(hurried(agent(turn))).await;
    assert_eq!((end.as_str(), &seen.stdout()[..]), ("answered", &b"done"[..]));
    let spent = Spent { tokens: None, micro_dollars: Some(1000) };
    let tokens = Usage { input_tokens: 5, output_tokens: 2, cached_tokens: 0 };
    assert_eq!(
        seen.progress(),
        [
            Progress::Step("read: Look".to_owned()),
            Progress::Touched("/etc/hosts".into()),
            Progress::Step("delete: Away with it".to_owned()),
            Progress::Waiting(true),
            Progress::Waiting(false),
            Progress::Spent(spent),
            Progress::Spent(Spent { tokens: Some(tokens), ..spent }),
        ]
    );
    // Two answers, a thought, and the end of a call.
    assert_eq!(seen.life(), 4);
    assert!(seen.resumable().is_empty());
}

pub(crate) async fn a_model_without_an_answer_is_a_named_failure() {
    let says = |words: &str, reason| {
        let text = Step::Text(words.to_owned());
        Reply::Steps(vec![Step::Head, text, Step::Finish(reason), Step::Done])
    };
    for (reply, name, said) in [
        (Reply::error(401, "invalid_api_key", "no"), "refused the key (401)", ""),
        (Reply::error(402, "payment", "no"), "wants to be paid first", ""),
        (Reply::error(429, "insufficient_quota", "no"), "wants to be paid first", ""),
        (Reply::error(404, "model_not_found", "no"), "has no model `echo`", ""),
        (Reply::error(500, "x", "no"), "has a fault (500)", ""),
        (says("", "stop"), "ended its answer without a word", ""),
        (says(" \n", "stop"), "ended its answer without a word", " \n"),
        (says("half", "length"), "reached its token limit", "half"),
        (says("half", "content_filter"), "held the answer back", "half"),
        (Reply::Steps(vec![Step::Head, Step::End]), "broke off", ""),
        (Reply::Status(200, Vec::new(), "{}".to_owned()), "no chat completion", ""),
    ] {
        let server = ModelServer::start([reply]);
        let mut model = chat_model(server.base_url());
        model.deadlines =
            ModelDeadlines { back_off: std::time::Duration::from_millis(1), ..model.deadlines };
        let [local, _] = both();
        let model = Some(Model::Chat(Box::new(model)));
        let (end, printed) = said_by_a_model(RunSpec { model, ..spec(local, text("hello")) }).await;
        assert!(end.contains(name), "{name}: {end}");
        assert_eq!(printed, said.as_bytes(), "{name}");
    }
}
