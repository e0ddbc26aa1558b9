//! Conversations that ask for many sub-agents, far more than may be at work.

use std::time::Duration;

use hatchery_protocol::Method;
use hatchery_spawn::MAX_QUEUED_RUNS;
use serde_json::{Value, json};

use super::scene::{Counted, until_nothing_is_live};
use crate::failure::Failure;
use crate::home::{Gateway, Limits};

/// How many conversations ask, and for how many sub-agents each.
const CONVERSATIONS: usize = 200;
const EACH: usize = 10;

const AT_WORK: usize = 64;

pub(super) const LIMITS: Limits =
    Limits { max_concurrent: AT_WORK, max_children_per_agent: EACH, max_spawn_depth: 1 };

const TASK: &str = "sleep 0.2; echo done";

/// How many requests are under way at a time.
const IN_FLIGHT: usize = 32;

/// How long to wait for room in the queue.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) fn describe() -> String {
    format!(
        "{} runs for {CONVERSATIONS} conversations, {AT_WORK} at work, at most {} waiting",
        CONVERSATIONS * EACH,
        MAX_QUEUED_RUNS.min(CONVERSATIONS * EACH)
    )
}

pub(super) async fn play(gateway: &mut Gateway) -> Result<Counted, Failure> {
    for first in (0..CONVERSATIONS * EACH).step_by(IN_FLIGHT) {
        let batch = first..(first + IN_FLIGHT).min(CONVERSATIONS * EACH);
        until_there_is_room(gateway).await?;
        for number in batch.clone() {
            let params = json!({
                "sessionKey": key(number % CONVERSATIONS),
                "message": format!("/subagents spawn main {TASK}"),
                "idempotencyKey": format!("load-{number}"),
            });
            gateway.client.send(Method::ChatSend.name(), &params).await?;
        }
        for _ in batch {
            gateway.client.next_answer().await?;
        }
    }
    until_nothing_is_live(gateway).await?;
    let mut came = 0;
    for conversation in 0..CONVERSATIONS {
        let params = json!({"sessionKey": key(conversation), "limit": 1000});
        let history = gateway.client.call_with(Method::ChatHistory, &params).await?;
        let messages = history["messages"].as_array().into_iter().flatten();
        came += messages.filter(|message| is_result(message)).count();
    }
    Ok(Counted { expected: CONVERSATIONS * EACH, came })
}

fn key(conversation: usize) -> String {
    format!("agent:main:explicit:load-{conversation}")
}

/// Whether a message of a transcript tells the good end of a sub-agent.
fn is_result(message: &Value) -> bool {
    let says_done = || message["content"][0]["text"].as_str()?.strip_suffix("\n\ndone");
    message["__openclaw"]["kind"] == "announce" && says_done().is_some()
}

async fn until_there_is_room(gateway: &mut Gateway) -> Result<(), Failure> {
    loop {
        let status = gateway.client.call(Method::GatewayStatus).await?;
        let queued = status["runs"]["queued"].as_u64().unwrap_or_default();
        if queued + IN_FLIGHT as u64 <= MAX_QUEUED_RUNS as u64 {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
