//! What travels on the wire: frames, methods, events, error codes, scopes, session keys.
//!
//! Every door of the gateway speaks the frames of the OpenClaw gateway protocol (§1.1); this
//! crate is their vocabulary. It never opens a socket, never awaits and never decides who may
//! do what: data enters as bytes or JSON and leaves as typed values, and the other way round.

mod agent_id;
mod connect;
mod error;
mod frame;
mod hello;
mod lines;
mod method;
mod output;
mod run;
mod scope;
mod secret;
mod session;
mod session_key;
mod spawn;
mod task;
mod watch;

pub use agent_id::{AgentId, InvalidAgentId};
pub use connect::{ClientInfo, ConnectAuth, ConnectParams, DeviceParams};
pub use error::{ErrorCode, WireError};
pub use frame::{EventFrame, Frame, Request, Response};
pub use hello::{
    Features, HelloAuth, HelloOk, HelloPolicy, OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION,
    ProtocolVersion, ServerInfo,
};
pub use lines::{Line, LineBuffer};
pub use method::{Method, Needs, event};
pub use output::{OutputChunk, OutputStream};
pub use run::{RunId, RunStatus, RuntimeKind, UnknownRuntime};
pub use scope::{Role, Scope};
pub use secret::{OptionalList, Secret};
pub use session::{SessionId, SessionKind};
pub use session_key::{InvalidSessionKey, MAX_SESSION_KEY, SessionKey};
pub use spawn::{SpawnAccepted, SpawnBudget, SpawnParams, SpawnResult};
pub use task::{InvalidTask, Task};
pub use watch::{OutputGap, WatchAccepted, WatchParams};
