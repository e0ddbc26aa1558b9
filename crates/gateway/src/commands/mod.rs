//! Commands said in a session: `/status`, `/subagents spawn …` and the like.
//!
//! A command does nothing that whoever says it could not do by a method of their own: each takes
//! the caller's permit, or asks for the one the method would ask for. The gateway lends it no
//! authority, and no command leads to pairing or to an approval. What came of it is a message in
//! the session.

mod parse;
mod session;
mod subagents;

use std::sync::Arc;

use hatchery_access::{Permit, Write};
use hatchery_protocol::WireError;
use hatchery_spawn::{AddedMessage, Event, Speaker};
use hatchery_store::{CommitError, SessionView};
use serde_json::json;

pub(crate) use parse::is_command;
use parse::{ChatCommand, Subagents};

use crate::clock::now_ms;
use crate::gateway::Shared;
use crate::methods::saying::{self, Reply, Words};
use crate::methods::turns::answer_waiter;
use crate::watchers::Watcher;

/// What there is to say.
const HELP: &str = "\
/help: this list
/status: this session
/model [provider/model]: show or set the model of this session; `default` for the agent's own
/agents: the agents there are
/whoami: who you are to this gateway, and what you may do
/new [provider/model], /reset: begin this session anew
/stop: stop the answer that is being given
/subagents list: the sub-agents of this session
/subagents info <id|#>, /subagents log <id|#> [lines]: one of them
/subagents spawn <agentId> <task> [--model provider/model] [--label name]: start one
/subagents kill <id|#|all>: stop them";

/// Somebody says a command in a session.
struct Said<'a> {
    shared: &'a Arc<Shared>,
    permit: &'a Permit<Write>,
    session: &'a SessionView,
    /// The client's own name for the message.
    key: &'a str,
}

/// Obeys a command, once, and puts what came of it into the session.
pub(crate) async fn obey(
    shared: &Arc<Shared>,
    permit: &Permit<Write>,
    session: &SessionView,
    words: &Words,
    waiter: Option<Watcher>,
    receipt: impl FnOnce(Result<(), CommitError>) + Send + 'static,
) -> Result<Reply, WireError> {
    let key = words.key.as_str();
    match shared.supervisor.take_key(key, &session.session_id) {
        Ok(()) => {}
        Err(of) if of == session.session_id => return Ok(Reply::Now(saying::in_flight(key))),
        Err(_) => return Err(saying::of_another_session(key)),
    }
    let began = now_ms();
    let said = Said { shared, permit, session, key };
    let answer = match said.obeyed(parse::parse(&words.text)).await {
        Ok(answer) => answer,
        Err(error) => refused(&error),
    };
    let told = said.tell(&words.text, &answer, receipt).await;
    shared.supervisor.finish_key(key);
    told?;
    if let Some(waiter) = waiter {
        let meta = json!({"durationMs": now_ms().saturating_sub(began),
            "agentMeta": {"sessionId": session.session_id}});
        let result = json!({"runId": key, "status": "ok", "summary": "completed",
            "result": {"payloads": [{"text": answer, "mediaUrl": null}], "meta": meta}});
        answer_waiter(waiter, result);
    }
    Ok(Reply::Later)
}

impl Said<'_> {
    async fn obeyed(&self, command: ChatCommand) -> Result<String, WireError> {
        match command {
            ChatCommand::Help => Ok(HELP.to_owned()),
            ChatCommand::Whoami => Ok(self.whoami()),
            ChatCommand::Status => self.status().await,
            ChatCommand::Agents => self.agents(),
            ChatCommand::Stop => self.stop().await,
            ChatCommand::New(model) => self.begin_anew(model.as_deref()).await,
            ChatCommand::Reset => self.begin_anew(None).await,
            ChatCommand::Model(None) => Ok(self.model()),
            ChatCommand::Model(Some(model)) => self.set_model(&model).await,
            ChatCommand::Subagents(Subagents::List) => self.list().await,
            ChatCommand::Subagents(Subagents::Info(target)) => self.info(&target).await,
            ChatCommand::Subagents(Subagents::Log(target, lines)) => self.log(&target, lines).await,
            ChatCommand::Subagents(Subagents::Spawn(words)) => self.spawn(words).await,
            ChatCommand::Subagents(Subagents::Kill(target)) => self.kill(&target).await,
            ChatCommand::Subagents(Subagents::Write) => Ok(
                "A sub-agent has its one task and takes no message while it works. Stop it with \
                 /subagents kill and start another."
                    .to_owned(),
            ),
            ChatCommand::Unknown(name) => {
                Ok(format!("There is no command /{name} here.\n\n{HELP}"))
            }
            ChatCommand::Wrong(usage) => Ok(format!("It is said like this: {usage}")),
        }
    }

    /// Puts the command and its answer into the session, together.
    async fn tell(
        &self,
        text: &str,
        answer: &str,
        receipt: impl FnOnce(Result<(), CommitError>) + Send + 'static,
    ) -> Result<(), WireError> {
        let message = |speaker, text: &str| -> Result<Event, WireError> {
            let id = saying::new_name()?;
            let key = Some(self.key.to_owned());
            let message = AddedMessage { id, speaker, text: text.to_owned(), key };
            Ok(Event::MessageAdded { session: self.session.session_id.clone(), message })
        };
        let messages = vec![message(Speaker::User, text)?, message(Speaker::Assistant, answer)?];
        Ok(self.shared.supervisor.record_then(messages, receipt).await?)
    }
}

/// A refusal as an answer: what, and what to do.
fn refused(error: &WireError) -> String {
    match error.detail("remedy") {
        Some(remedy) => format!("{}.\n{remedy}", error.message),
        None => error.message.clone(),
    }
}
