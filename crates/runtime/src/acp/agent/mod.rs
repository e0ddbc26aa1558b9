//! The agent's side: the built-in agent for any client that speaks ACP.

mod session;
mod turn;

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use hatchery_agent::Model;
use hatchery_sandbox::{KeeperCommand, Network};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};

use self::session::Session;
use self::turn::{Turn, task};
use super::peer::{Connection, Peer, Role, connect};
use super::rpc::{
    INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, Incoming, METHOD_NOT_FOUND, NOT_FOUND,
    RequestId, RpcError,
};
use super::wire::{
    AUTHENTICATE, AuthenticateParams, CANCEL, CANCEL_REQUEST, CancelParams, CancelRequestParams,
    INITIALIZE, InitializeParams, NEW_SESSION, NewSessionParams, PROMPT, PromptParams, VERSION,
};

/// How long running turns may take to end once the client is gone. Killing what ignores a
/// polite stop takes 200 ms of it.
const FAREWELL: Duration = Duration::from_millis(900);

/// How many turns and late answers there may be before a client has to read first.
const TASKS: usize = 256;

/// What the built-in agent works with.
#[derive(Clone, Debug)]
pub struct AgentSide {
    /// How process trees are started.
    pub keeper: KeeperCommand,
    /// The whole environment of its commands.
    pub env: Vec<(OsString, OsString)>,
    /// The descriptor its commands read tickets from.
    pub ticket: Option<Arc<OwnedFd>>,
    /// Whether its commands may open network connections.
    pub network: Network,
    /// The model it asks.
    pub model: Model,
}

/// Serves one client until its stream ends, then stops what still runs: within a second all of
/// it is over. Nothing but the protocol is ever written to `output`. Must be called within a
/// tokio runtime.
///
/// A client that goes wrong is answered with an error; there is no way for this to fail.
pub async fn serve_agent(
    input: impl AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Unpin + Send + 'static,
    config: AgentSide,
) {
    let mut connection = connect(input, output, Role::Agent);
    let mut agent = Agent::new(connection.peer.clone(), config);
    while let Some(incoming) = connection.incoming.recv().await {
        agent.take(incoming).await;
    }
    if timeout(FAREWELL, agent.leave(&mut connection)).await.is_err() {
        tracing::debug!("the client had stopped reading");
    }
}

/// The agent, as one client sees it.
struct Agent {
    peer: Peer,
    config: Arc<AgentSide>,
    sessions: HashMap<String, Session>,
    /// How many turns there have been, for the ids of their commands.
    begun: u64,
    /// Running turns, and answers on their way.
    tasks: JoinSet<()>,
}

impl Agent {
    fn new(peer: Peer, config: AgentSide) -> Self {
        let config = Arc::new(config);
        Self { peer, config, sessions: HashMap::new(), begun: 0, tasks: JoinSet::new() }
    }

    async fn take(&mut self, incoming: Incoming) {
        while self.tasks.try_join_next().is_some() {}
        match incoming {
            Incoming::Notification { method, params } => self.notified(&method, params),
            Incoming::Request { id, method, params } if method == PROMPT => {
                // Its answer comes at the end of the turn, from the turn itself.
                if let Err(error) = self.prompt(id.clone(), params) {
                    self.answer(id, Err(error)).await;
                }
            }
            Incoming::Request { id, method, params } => {
                let answer = self.request(&method, params);
                self.answer(id, answer).await;
            }
        }
    }

    /// Answers without waiting for a client that does not read just now, so that its cancel or
    /// its leaving is heard all the same.
    async fn answer(&mut self, id: RequestId, answer: Result<Value, RpcError>) {
        if self.peer.try_answer(&id, &answer) {
            return;
        }
        let peer = self.peer.clone();
        let late = async move { peer.answer(id, answer).await };
        if self.tasks.len() < TASKS { drop(self.tasks.spawn(late)) } else { late.await }
    }

    /// Stops every turn, says what there is left to say, and closes the stream.
    async fn leave(&mut self, connection: &mut Connection) {
        for session in self.sessions.values() {
            session.leave();
        }
        while self.tasks.join_next().await.is_some() {}
        connection.finish().await;
    }

    fn request(&mut self, method: &str, params: Value) -> Result<Value, RpcError> {
        match method {
            INITIALIZE => read::<InitializeParams>(params).map(|_| introduction()),
            // Nobody has to sign in, so whoever does succeeds.
            AUTHENTICATE => read::<AuthenticateParams>(params).map(|_| json!({})),
            NEW_SESSION => self.new_session(read(params)?),
            _ => Err(RpcError::new(METHOD_NOT_FOUND, format!("there is no method `{method}`"))),
        }
    }

    fn notified(&self, method: &str, params: Value) {
        match method {
            CANCEL => {
                let session = read::<CancelParams>(params)
                    .ok()
                    .and_then(|params| self.sessions.get(&params.session_id));
                if let Some(session) = session {
                    session.cancel();
                }
            }
            CANCEL_REQUEST => {
                let id = read::<CancelRequestParams>(params)
                    .ok()
                    .and_then(|params| RequestId::new(params.request_id));
                for session in self.sessions.values() {
                    session.cancel_request(id.as_ref());
                }
            }
            _ => tracing::debug!(method, "passed by a notification"),
        }
    }

    fn new_session(&mut self, params: NewSessionParams) -> Result<Value, RpcError> {
        let cwd = params.cwd;
        if !cwd.is_absolute() || !cwd.is_dir() {
            let why =
                format!("`cwd` must be an absolute path of a directory, not {}", cwd.display());
            return Err(RpcError::new(INVALID_PARAMS, why));
        }
        // Clients keep ids for longer than a connection lasts, and take those of two processes
        // for one session when they are the same.
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| {
            RpcError::new(INTERNAL_ERROR, format!("the system gives no random numbers: {error}"))
        })?;
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid().to_string();
        self.sessions.insert(id.clone(), Session::new(cwd));
        Ok(json!({ "sessionId": id }))
    }

    fn prompt(&mut self, id: RequestId, params: Value) -> Result<(), RpcError> {
        let params: PromptParams = read(params)?;
        let Some(session) = self.sessions.get(&params.session_id) else {
            let why = format!("there is no session `{}`", params.session_id);
            return Err(RpcError::new(NOT_FOUND, why));
        };
        let task = task(&params.prompt, &params.meta)?;
        let Some(running) = session.begin(id.clone()) else {
            let why = "a prompt is running in this session: wait for its answer or cancel it";
            return Err(RpcError::new(INVALID_REQUEST, why));
        };
        self.begun += 1;
        let turn = Turn {
            peer: self.peer.clone(),
            config: self.config.clone(),
            session: params.session_id,
            cwd: session.cwd().to_owned(),
            task,
            call: format!("command-{}", self.begun),
        };
        let peer = self.peer.clone();
        self.tasks.spawn(async move {
            let answer = turn.run(running.cancel()).await;
            // Whoever has the answer may prompt again at once.
            drop(running);
            peer.answer(id, answer).await;
        });
        Ok(())
    }
}

/// What the agent says of itself. A client that speaks another version leaves on reading it.
fn introduction() -> Value {
    json!({
        "protocolVersion": VERSION,
        "agentCapabilities": {
            "loadSession": false,
            "promptCapabilities": { "image": false, "audio": false, "embeddedContext": false },
            "mcpCapabilities": { "http": false, "sse": false },
        },
        "authMethods": [],
        "agentInfo": { "name": "hatchery", "version": env!("CARGO_PKG_VERSION") },
    })
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, RpcError> {
    serde_json::from_value(params)
        .map_err(|error| RpcError::new(INVALID_PARAMS, format!("wrong parameters: {error}")))
}

#[cfg(test)]
mod tests;
