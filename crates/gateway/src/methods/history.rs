//! The transcript of a session, page by page (OpenClaw protocol §3.2, §3.3).

use std::sync::Arc;

use hatchery_access::Caller;
use hatchery_protocol::{AgentId, WireError};
use hatchery_store::{Page, SessionView};
use serde::Deserialize;
use serde_json::{Value, json};

use super::conversation;
use super::session_row::row_of;
use super::sessions::reading;
use crate::gateway::Shared;
use crate::talk::wire_message;

/// How many messages are given where no number is asked for, and at most.
const DEFAULT_MESSAGES: u32 = 200;
const MAX_MESSAGES: u32 = 1_000;

/// How much of a transcript is given at a time, in bytes. The oldest messages beyond it are left
/// out; they are on the next page.
const MAX_BYTES: usize = 6 * 1024 * 1024;

/// Parameters of `chat.history` and `sessions.get`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Params {
    #[serde(alias = "key")]
    session_key: String,
    agent_id: Option<AgentId>,
    limit: Option<u32>,
    offset: Option<u64>,
    max_chars: Option<usize>,
}

/// A page of what was said in a session. A session that was never used has said nothing.
pub(crate) async fn history(
    shared: &Arc<Shared>,
    caller: &Caller,
    params: &Params,
) -> Result<Value, WireError> {
    let agent = params.agent_id.as_ref();
    let Some(session) = conversation::find(shared, caller, &params.session_key, agent).await?
    else {
        let key = conversation::key(shared, &params.session_key, agent)?;
        return Ok(json!({"sessionKey": key, "sessionId": "", "messages": [], "hasMore": false,
            "totalMessages": 0, "thinkingLevel": "off",
            "pendingInputs": {"items": [], "total": 0}}));
    };
    let offset = params.offset.unwrap_or(0);
    let limit = params.limit.unwrap_or(DEFAULT_MESSAGES).clamp(1, MAX_MESSAGES);
    let page = Page { limit, offset };
    let policy = shared.supervisor.settings.policy();
    let (session, transcript, row) = reading(shared, move |store| {
        let transcript = store.transcript(&session, page)?;
        let row = row_of(store, &policy, &session.key)?;
        Ok((session, transcript, row))
    })
    .await?;
    let mut messages: Vec<Value> = transcript.messages.iter().map(wire_message).collect();
    if let Some(limit) = params.max_chars {
        messages.iter_mut().for_each(|message| shorten(message, limit.max(1)));
    }
    let messages = newest_within(messages, MAX_BYTES);
    let given = offset + messages.len() as u64;
    let has_more = given < transcript.total && !messages.is_empty();
    let mut answer = about(shared, &session, &row);
    answer["messages"] = json!(messages);
    answer["hasMore"] = json!(has_more);
    answer["totalMessages"] = json!(transcript.total);
    if has_more {
        answer["nextOffset"] = json!(given);
    }
    Ok(answer)
}

fn about(shared: &Shared, session: &SessionView, row: &Value) -> Value {
    let thinking = session.settings.get("thinkingLevel").cloned().unwrap_or_else(|| json!("off"));
    let mut about = json!({
        "sessionKey": session.key,
        "sessionId": session.transcript_id(),
        "agentId": session.agent_id,
        "thinkingLevel": thinking,
        "sessionInfo": row,
        "pendingInputs": {"items": [], "total": 0},
    });
    if let Some((run, text)) = shared.supervisor.talk.growing(&session.session_id) {
        about["inFlightRun"] = json!({"runId": run, "text": text});
    }
    about
}

/// The newest messages that fit; at least one.
fn newest_within(messages: Vec<Value>, limit: usize) -> Vec<Value> {
    let mut room = limit;
    let fitting = messages
        .iter()
        .rev()
        .enumerate()
        .take_while(|(at, message)| {
            let size = message.to_string().len();
            let fits = *at == 0 || size <= room;
            room = room.saturating_sub(size);
            fits
        })
        .count();
    let left_out = messages.len() - fitting;
    messages.into_iter().skip(left_out).collect()
}

fn shorten(message: &mut Value, characters: usize) {
    let Some(Value::String(text)) = message.pointer_mut("/content/0/text") else { return };
    if text.chars().count() > characters {
        let kept: String = text.chars().take(characters).collect();
        *text = format!("{kept}\n…(shortened)…");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{newest_within, shorten};

    #[test]
    fn of_too_much_the_newest_is_given_and_never_nothing() {
        let messages: Vec<Value> = (0..4).map(|number| json!(format!("{number:08}"))).collect();
        for (limit, first, count) in [(1_000, 0, 4), (29, 2, 2), (20, 2, 2), (1, 3, 1)] {
            let given = newest_within(messages.clone(), limit);
            assert_eq!(given, messages[first..].to_vec(), "{limit}");
            assert_eq!(given.len(), count);
        }
        assert!(newest_within(Vec::new(), 1).is_empty());
    }

    #[test]
    fn a_long_message_is_shortened_at_the_limit() {
        let mut message = json!({"content": [{"type": "text", "text": "äöü"}]});
        shorten(&mut message, 3);
        assert_eq!(message["content"][0]["text"], "äöü");
        shorten(&mut message, 2);
        assert_eq!(message["content"][0]["text"], "äö\n…(shortened)…");
    }
}
