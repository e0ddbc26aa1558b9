//! The official library's client drives `hatchery agent`, over the process's own pipes.

use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use agent_client_protocol::schema::ProtocolVersion;
use agent_client_protocol::v1::ConnectionTo;
use agent_client_protocol::v1::schema::{
    CancelNotification, ContentBlock, InitializeRequest, InitializeResponse, NewSessionRequest,
    PromptRequest, PromptResponse, SessionId, SessionNotification, SessionUpdate, StopReason,
    ToolCallStatus, ToolKind,
};
use agent_client_protocol::{Agent, ByteStreams, Client, Error, ErrorCode, UntypedMessage};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::compat::{TokioAsyncReadCompatExt as _, TokioAsyncWriteCompatExt as _};

use crate::home::{Home, ITSELF, is_alive, named};

/// How long a conversation may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The client's end of a conversation with `hatchery agent`.
struct Talk {
    agent: ConnectionTo<Agent>,
    updates: UnboundedReceiver<SessionNotification>,
}

impl Talk {
    async fn initialize(&self) -> Result<InitializeResponse, Error> {
        self.agent.send_request(InitializeRequest::new(ProtocolVersion::V1)).block_task().await
    }

    async fn session(&self, directory: &Path) -> Result<SessionId, Error> {
        let request = NewSessionRequest::new(directory);
        Ok(self.agent.send_request(request).block_task().await?.session_id)
    }

    /// Sends a prompt; the future is its answer.
    fn prompt(
        &self,
        session: &SessionId,
        text: &str,
    ) -> impl Future<Output = Result<PromptResponse, Error>> + use<> {
        let blocks = vec![ContentBlock::from(text)];
        self.agent.send_request(PromptRequest::new(session.clone(), blocks)).block_task()
    }

    async fn update(&mut self) -> SessionNotification {
        self.updates.recv().await.expect("the connection is open")
    }

    /// Reads on until the command has printed a line, and gives that.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        while !line.ends_with('\n') {
            line.push_str(&text(&self.update().await.update));
        }
        line.trim_end().to_owned()
    }

    /// Every update that has come so far.
    fn so_far(&mut self) -> Vec<SessionNotification> {
        std::iter::from_fn(|| self.updates.try_recv().ok()).collect()
    }
}

/// The answer text of an update, empty for any other.
fn text(update: &SessionUpdate) -> String {
    match update {
        SessionUpdate::AgentMessageChunk(chunk) => match &chunk.content {
            ContentBlock::Text(text) => text.text.clone(),
            other => panic!("no text: {other:?}"),
        },
        _ => String::new(),
    }
}

fn answer<'a>(updates: impl IntoIterator<Item = &'a SessionNotification>) -> String {
    updates.into_iter().map(|notification| text(&notification.update)).collect()
}

/// Starts `hatchery agent`, has a conversation with it, and hangs up. The agent has to take that
/// as a proper end.
async fn converse(home: &Home, conversation: impl AsyncFnOnce(&mut Talk) -> Result<(), Error>) {
    let mut command = tokio::process::Command::from(home.command(&["agent"]));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().unwrap();
    let stdin = process.stdin.take().unwrap().compat_write();
    let stdout = process.stdout.take().unwrap().compat();

    let (sender, updates) = unbounded_channel();
    let client = Client
        .v1()
        .name("interop")
        .on_receive_notification(
            async move |notification: SessionNotification, _agent| {
                sender.send(notification).map_err(Error::into_internal_error)
            },
            agent_client_protocol::on_receive_notification!(),
        )
        .connect_with(ByteStreams::new(stdin, stdout), async move |agent| {
            let mut talk = Talk { agent, updates };
            conversation(&mut talk).await
        });
    tokio::time::timeout(PATIENCE, client).await.expect("it never ended").unwrap();
    let ending = tokio::time::timeout(PATIENCE, process.wait()).await.expect("it stayed").unwrap();
    assert!(ending.success(), "{ending}");
}

#[tokio::test]
async fn a_turn_is_a_command_with_its_output_between() {
    let home = Home::new();
    converse(&home, async |talk| {
        let introduction = talk.initialize().await?;
        assert_eq!(introduction.protocol_version, ProtocolVersion::V1);
        assert_eq!(introduction.agent_info.unwrap().name, "hatchery");
        assert!(!introduction.agent_capabilities.load_session);
        assert!(introduction.auth_methods.is_empty());

        let session = talk.session(home.path()).await?;
        let command = "echo to one; echo to two >&2; pwd; exit 3";
        let response = talk.prompt(&session, command).await?;
        assert_eq!(response.stop_reason, StopReason::EndTurn);
        assert_eq!(response.meta.unwrap()["hatchery"], json!({ "exitCode": 3 }));

        let updates = talk.so_far();
        assert!(updates.iter().all(|update| update.session_id == session));
        let SessionUpdate::ToolCall(call) = &updates.first().unwrap().update else {
            panic!("{updates:?}")
        };
        assert_eq!((call.kind, call.status), (ToolKind::Execute, ToolCallStatus::InProgress));
        assert_eq!(call.title, command);
        let SessionUpdate::ToolCallUpdate(end) = &updates.last().unwrap().update else {
            panic!("{updates:?}")
        };
        assert_eq!(end.tool_call_id, call.tool_call_id);
        assert_eq!(end.fields.status, Some(ToolCallStatus::Failed));
        assert_eq!(end.fields.raw_output, Some(json!({ "exitCode": 3 })));

        let said = answer(&updates);
        for line in ["to one", "to two", &home.path().to_string_lossy()] {
            assert!(said.lines().any(|said| said == line), "{line} is not in {said}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn output_comes_while_the_command_runs() {
    let home = Home::new();
    converse(&home, async |talk| {
        talk.initialize().await?;
        let session = talk.session(home.path()).await?;
        // It goes on only once its first line has been read here.
        let turn = talk.prompt(&session, "mkfifo go; echo first; cat go");
        assert_eq!(talk.line().await, "first");
        std::fs::write(home.path().join("go"), "second\n").unwrap();
        assert_eq!(turn.await?.stop_reason, StopReason::EndTurn);
        assert_eq!(answer(&talk.so_far()), "second\n");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_turn_says_so_and_leaves_no_process() {
    let home = Home::new();
    converse(&home, async |talk| {
        talk.initialize().await?;
        let session = talk.session(home.path()).await?;
        let beside = ITSELF.replace("$$", "$!");
        let stay = format!("setsid sleep 1000 & echo {beside} and {ITSELF}; wait");
        let turn = talk.prompt(&session, &stay);
        let line = talk.line().await;
        let pids: Vec<i32> = line.split(" and ").map(named).collect();
        assert!(pids.iter().all(|pid| is_alive(*pid)), "{pids:?}");

        talk.agent.send_notification(CancelNotification::new(session.clone()))?;
        assert_eq!(turn.await?.stop_reason, StopReason::Cancelled);
        assert_eq!(pids.iter().copied().filter(|pid| is_alive(*pid)).count(), 0, "{pids:?}");
        // No command is left looking as if it were still running.
        let closed = talk.so_far().into_iter().any(|notification| {
            matches!(notification.update, SessionUpdate::ToolCallUpdate(end)
                if end.fields.status == Some(ToolCallStatus::Failed))
        });
        assert!(closed);

        // A cancel that comes too late does not hit the next turn.
        talk.agent.send_notification(CancelNotification::new(session.clone()))?;
        assert_eq!(talk.prompt(&session, "echo next").await?.stop_reason, StopReason::EndTurn);
        assert_eq!(answer(&talk.so_far()), "next\n");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn sessions_of_one_connection_run_beside_each_other() {
    let home = Home::new();
    let other = tempfile::tempdir().unwrap();
    converse(&home, async |talk| {
        talk.initialize().await?;
        let here = talk.session(home.path()).await?;
        let there = talk.session(other.path()).await?;
        assert_ne!(here, there);

        // The first ends only because the second runs meanwhile.
        let waiting = talk.prompt(&here, "mkfifo meeting; echo ready; cat meeting");
        assert_eq!(talk.line().await, "ready");
        let meeting = home.path().join("meeting").display().to_string();
        let turn = talk.prompt(&there, &format!("pwd; echo hello > {meeting}")).await?;
        assert_eq!(turn.stop_reason, StopReason::EndTurn);
        assert_eq!(waiting.await?.stop_reason, StopReason::EndTurn);

        let updates = talk.so_far();
        let of = |session: &SessionId| {
            answer(updates.iter().filter(|update| update.session_id == *session))
        };
        assert_eq!(of(&here), "hello\n");
        assert_eq!(of(&there), format!("{}\n", other.path().display()));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_second_prompt_is_refused_and_the_first_goes_on() {
    let home = Home::new();
    converse(&home, async |talk| {
        talk.initialize().await?;
        let session = talk.session(home.path()).await?;
        let first = talk.prompt(&session, "mkfifo go; echo ready; cat go");
        assert_eq!(talk.line().await, "ready");
        let refusal = talk.prompt(&session, "echo me too").await.unwrap_err();
        assert_eq!(refusal.code, ErrorCode::INVALID_REQUEST, "{refusal:?}");
        std::fs::write(home.path().join("go"), "done\n").unwrap();
        assert_eq!(first.await?.stop_reason, StopReason::EndTurn);
        assert_eq!(answer(&talk.so_far()), "done\n");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_done_has_its_error_code() {
    let home = Home::new();
    converse(&home, async |talk| {
        talk.initialize().await?;
        let session = talk.session(home.path()).await?;
        let code = |error: Error| error.code;
        let stranger = SessionId::new("nobody");
        let unknown = talk.prompt(&stranger, "echo hello").await.map_err(code);
        assert_eq!(unknown.unwrap_err(), ErrorCode::RESOURCE_NOT_FOUND);
        let method = UntypedMessage::new("session/levitate", json!({}))?;
        let unknown = talk.agent.send_request(method).block_task().await.map_err(code);
        assert_eq!(unknown.unwrap_err(), ErrorCode::METHOD_NOT_FOUND);
        for directory in [Path::new("relative"), &home.path().join("missing")] {
            let refused = talk.session(directory).await.map_err(code);
            assert_eq!(refused.unwrap_err(), ErrorCode::INVALID_PARAMS, "{directory:?}");
        }
        let empty = PromptRequest::new(session.clone(), vec![]);
        let refused = talk.agent.send_request(empty).block_task().await.map_err(code);
        assert_eq!(refused.unwrap_err(), ErrorCode::INVALID_PARAMS);
        // What went wrong before harms nothing after.
        assert_eq!(talk.prompt(&session, "true").await?.stop_reason, StopReason::EndTurn);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_no_process() {
    let home = Home::new();
    let pid = Mutex::new(0);
    converse(&home, async |talk| {
        talk.initialize().await?;
        let session = talk.session(home.path()).await?;
        let deaf = format!("trap '' TERM; echo {ITSELF}; while :; do sleep 1000; done");
        let turn = talk.prompt(&session, &deaf);
        *pid.lock().unwrap() = named(&talk.line().await);
        assert!(is_alive(*pid.lock().unwrap()));
        drop(turn);
        Ok(())
    })
    .await;
    // The agent has ended, and its command ended before it.
    assert!(!is_alive(*pid.lock().unwrap()));
}
