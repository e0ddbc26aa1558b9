//! An agent made with the protocol's official Rust library. The conformance tests run it below a
//! gateway; it is no part of the program. The first word of a prompt says what it does:
//! `greet`, `ask`, `write`, `refuse`, `hang`, `silent`.

use agent_client_protocol::v1::ConnectionTo;
use agent_client_protocol::v1::schema::{
    AgentCapabilities, CancelNotification, ClientCapabilities, ContentBlock, ContentChunk,
    InitializeRequest, InitializeResponse, NewSessionRequest, NewSessionResponse, PermissionOption,
    PermissionOptionKind, PromptRequest, PromptResponse, RequestPermissionOutcome,
    RequestPermissionRequest, SessionId, SessionNotification, SessionUpdate, StopReason, ToolCall,
    ToolCallUpdate, ToolCallUpdateFields, WriteTextFileRequest,
};
use agent_client_protocol::{Agent, ByteStreams, Client, Error};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tokio_util::compat::{TokioAsyncReadCompatExt as _, TokioAsyncWriteCompatExt as _};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let seen = Arc::new(Mutex::new(ClientCapabilities::new()));
    let capabilities = seen.clone();
    let cancelled = Arc::new(Notify::new());
    let cancel = cancelled.clone();
    Agent
        .v1()
        .name("official")
        .on_receive_request(
            async move |request: InitializeRequest, responder, _client| {
                if let Ok(mut seen) = seen.lock() {
                    *seen = request.client_capabilities;
                }
                responder.respond(
                    InitializeResponse::new(request.protocol_version)
                        .agent_capabilities(AgentCapabilities::new()),
                )
            },
            agent_client_protocol::on_receive_request!(),
        )
        .on_receive_request(
            async move |_: NewSessionRequest, responder, _client| {
                responder.respond(NewSessionResponse::new("only"))
            },
            agent_client_protocol::on_receive_request!(),
        )
        .on_receive_request(
            async move |request: PromptRequest, responder, client: ConnectionTo<Client>| {
                let turn = Turn {
                    session: request.session_id.clone(),
                    client: client.clone(),
                    capabilities: capabilities.lock().map(|seen| seen.clone()).unwrap_or_default(),
                    cancelled: cancelled.clone(),
                };
                // Nothing else is received while a handler runs, so the turn is a task.
                client.spawn(async move {
                    let end = turn.take(&request.prompt).await?;
                    responder.respond(PromptResponse::new(end))
                })
            },
            agent_client_protocol::on_receive_request!(),
        )
        .on_receive_notification(
            async move |_: CancelNotification, _client| {
                cancel.notify_one();
                Ok(())
            },
            agent_client_protocol::on_receive_notification!(),
        )
        .connect_to(ByteStreams::new(
            tokio::io::stdout().compat_write(),
            tokio::io::stdin().compat(),
        ))
        .await
}

/// One prompt's work.
struct Turn {
    session: SessionId,
    client: ConnectionTo<Client>,
    capabilities: ClientCapabilities,
    cancelled: Arc<Notify>,
}

impl Turn {
    async fn take(self, prompt: &[ContentBlock]) -> Result<StopReason, Error> {
        let text = match prompt {
            [ContentBlock::Text(text)] => text.text.as_str(),
            other => return Err(Error::invalid_params().data(format!("{other:?}"))),
        };
        match text.split(' ').next().unwrap_or_default() {
            "greet" => self.greet(text),
            "ask" => self.ask().await,
            "write" => self.write().await,
            "refuse" => Ok(StopReason::Refusal),
            "hang" => {
                let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
                self.say(&format!("{} {}\n", std::process::id(), namespace.display()))?;
                self.cancelled.notified().await;
                Ok(StopReason::Cancelled)
            }
            // Says nothing at all, which is no answer.
            _ => Ok(StopReason::EndTurn),
        }
    }

    fn greet(&self, text: &str) -> Result<StopReason, Error> {
        self.update(SessionUpdate::AgentThoughtChunk(ContentChunk::new("a greeting".into())))?;
        let ClientCapabilities { fs, terminal, .. } = &self.capabilities;
        self.say("I was ")?;
        self.say(&format!("told: {text}\n"))?;
        let all = [fs.read_text_file, fs.write_text_file, *terminal];
        self.say(&format!("The client offers read, write, terminal: {all:?}\n"))?;
        Ok(StopReason::EndTurn)
    }

    async fn ask(&self) -> Result<StopReason, Error> {
        self.update(SessionUpdate::ToolCall(ToolCall::new("call", "Launch the rocket")))?;
        let call = ToolCallUpdate::new("call", ToolCallUpdateFields::new());
        // The tempting one comes first.
        let options = vec![
            PermissionOption::new("a", "Always", PermissionOptionKind::AllowAlways),
            PermissionOption::new("b", "Once", PermissionOptionKind::AllowOnce),
            PermissionOption::new("c", "Not now", PermissionOptionKind::RejectOnce),
            PermissionOption::new("d", "Never", PermissionOptionKind::RejectAlways),
        ];
        let request = RequestPermissionRequest::new(self.session.clone(), call, options);
        let answer = self.client.send_request(request).block_task().await?;
        let told = match answer.outcome {
            RequestPermissionOutcome::Selected(selected) => {
                format!("chosen: {}", selected.option_id)
            }
            other => format!("{other:?}"),
        };
        self.say(&format!("{told}\n"))?;
        Ok(StopReason::EndTurn)
    }

    async fn write(&self) -> Result<StopReason, Error> {
        let request = WriteTextFileRequest::new(self.session.clone(), "/written", "by an agent");
        match self.client.send_request(request).block_task().await {
            Ok(_) => self.say("written\n")?,
            Err(error) => self.say(&format!("refused: {}\n", i32::from(error.code)))?,
        }
        Ok(StopReason::EndTurn)
    }

    fn say(&self, text: &str) -> Result<(), Error> {
        self.update(SessionUpdate::AgentMessageChunk(ContentChunk::new(text.into())))
    }

    fn update(&self, update: SessionUpdate) -> Result<(), Error> {
        self.client.send_notification(SessionNotification::new(self.session.clone(), update))
    }
}
