//! Tells what has to be read first: messages as they stand in transcripts, sessions as they are.
//!
//! One task does all the reading, in the order the news came in, so that nobody is told of a
//! session as it was after having been told of it as it is.

use std::sync::{Arc, Weak};

use hatchery_protocol::{SessionId, SessionKey, event};
use hatchery_store::ReadError;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{message, payload};
use crate::clock::now_ms;
use crate::hub::{Audience, Hub};
use crate::methods::session_row::row_of;
use crate::supervisor::Supervisor;

/// Something to be read and told.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// A transcript has a new message.
    Message {
        /// Its name.
        id: String,
        /// Whether it is also told as the end of a turn, because no turn said it.
        with_final: bool,
    },
    /// A session is not what it was.
    Changed {
        /// The session.
        session: SessionId,
        /// What happened.
        reason: &'static str,
        /// The run it happened to.
        run: Option<String>,
    },
    /// A session is gone.
    Gone {
        /// Its key.
        key: SessionKey,
    },
}

/// Tells news for as long as anybody can bring any. It does not keep the supervisor alive.
pub(crate) async fn herald(
    supervisor: Weak<Supervisor>,
    hub: Arc<Hub>,
    mut news: UnboundedReceiver<News>,
) {
    while let Some(item) = news.recv().await {
        if !is_wanted(&hub, &item) {
            continue;
        }
        let Some(supervisor) = supervisor.upgrade() else { return };
        let hub = Arc::clone(&hub);
        let told = tokio::task::spawn_blocking(move || tell(&supervisor, &hub, item)).await;
        match told {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("something could not be told: {error}"),
            Err(error) => tracing::error!("the news could not be told: {error}"),
        }
    }
}

fn is_wanted(hub: &Hub, news: &News) -> bool {
    match news {
        News::Message { with_final: true, .. } => hub.has(&Audience::Readers),
        News::Message { with_final: false, .. } => hub.has(&Audience::Messages),
        News::Changed { .. } | News::Gone { .. } => hub.has(&Audience::SessionChanges),
    }
}

fn tell(supervisor: &Supervisor, hub: &Hub, news: News) -> Result<(), ReadError> {
    match news {
        News::Message { id, with_final } => tell_message(supervisor, hub, &id, with_final),
        News::Changed { session, reason, run } => {
            let Some(view) = supervisor.store.session_by_id(&session)? else { return Ok(()) };
            let row = row_of(&supervisor.store, &supervisor.settings.policy(), &view.key)?;
            let mut payload = row.clone();
            payload["sessionKey"] = json!(view.key);
            payload["reason"] = json!(reason);
            payload["ts"] = json!(now_ms());
            payload["session"] = row;
            if let Some(run) = run {
                payload["runId"] = json!(run);
            }
            hub.tell(&Audience::SessionChanges, event::SESSIONS_CHANGED, payload);
            Ok(())
        }
        News::Gone { key } => {
            let payload = json!({"sessionKey": key, "reason": "delete", "ts": now_ms()});
            hub.tell(&Audience::SessionChanges, event::SESSIONS_CHANGED, payload);
            Ok(())
        }
    }
}

fn tell_message(
    supervisor: &Supervisor,
    hub: &Hub,
    id: &str,
    with_final: bool,
) -> Result<(), ReadError> {
    let Some((session, stored)) = supervisor.store.message(id)? else { return Ok(()) };
    let Some(view) = supervisor.store.session_by_id(&session)? else { return Ok(()) };
    if with_final && message::role(&stored.said) == "assistant" {
        let state = payload::whole(&message::text_of(&stored.said), stored.at_ms);
        let name = message::run_name(&stored.said);
        hub.tell(&Audience::Readers, event::CHAT, payload::chat(&name, &view.key, 1, state));
    }
    let audience = Audience::MessagesOf(&view.key);
    if hub.has(&audience) {
        let row = row_of(&supervisor.store, &supervisor.settings.policy(), &view.key)?;
        let payload: Value = json!({
            "sessionKey": view.key,
            "agentId": view.agent_id,
            "message": message::wire_message(&stored),
            "messageId": stored.id,
            "messageSeq": stored.seq,
            "session": row,
        });
        hub.tell(&audience, event::SESSION_MESSAGE, payload);
    }
    Ok(())
}
