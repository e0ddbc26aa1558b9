//! One dispatcher for all doors: which method, with which permit, to which handler.

use std::sync::Arc;

use bytes::Bytes;
use hatchery_access::{Caller, authorize};
use hatchery_protocol::{
    ErrorCode, Method, Needs, ProtocolVersion, Request, Response, Role, WireError,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::asker::Asker;
use crate::connection::Speaker;
use crate::gateway::Shared;
use crate::methods::{agents, chatting, conversations, gateway, sessions, turns};
use crate::outbox::Share;

/// Answers one request. The answer holds `share` until it is written.
pub(crate) async fn dispatch(
    shared: Arc<Shared>,
    speaker: Arc<Speaker>,
    request: Request,
    share: Share,
) {
    let Request { id, method, params } = request;
    let (connection, outbox) = (speaker.number, &speaker.outbox);
    let asker =
        Asker { connection, outbox: outbox.clone(), request: id.clone(), share: share.clone() };
    let caller = &speaker.caller;
    let outcome = match Method::parse(&method) {
        Some(method) => answer(&shared, caller, method, params.unwrap_or_default(), asker).await,
        None => Err(unknown(&method)),
    };
    match outcome {
        Ok(Answer::Now(payload)) => outbox.answer(Response::ok(id, payload), share),
        Ok(Answer::Raw(payload)) => outbox.answer_raw(&id, &payload, share),
        Ok(Answer::Later) => {}
        Err(error) => outbox.answer(Response::error(id, spoken(error, speaker.version)), share),
    }
}

/// Whether somebody of this role may ask for a method at all (OpenClaw protocol §1.1).
pub(crate) fn check_role(role: Role, method: &str) -> Result<(), WireError> {
    let Some(known) = Method::parse(method) else { return Ok(()) };
    let right = match known.needs() {
        Needs::Nothing => true,
        Needs::Node => role == Role::Node,
        Needs::Read | Needs::Write | Needs::Pairing | Needs::Approvals | Needs::Admin => {
            role == Role::Operator
        }
    };
    if right {
        return Ok(());
    }
    Err(WireError::new(ErrorCode::InvalidRequest, format!("unauthorized role: {role}")))
}

fn unknown(method: &str) -> WireError {
    let method: String = method.chars().take(MAX_QUOTED).collect();
    WireError::new(ErrorCode::InvalidRequest, format!("unknown method: {method}"))
}

/// An error in the words of a version: the two differ in how they say that a scope is missing.
fn spoken(mut error: WireError, version: ProtocolVersion) -> WireError {
    if error.detail_code() == Some("MISSING_SCOPE") {
        let scope = error.detail("rule").unwrap_or_default().to_owned();
        if let Some(details) = &mut error.details {
            details["missingScope"] = json!(scope);
            details["requiredScopes"] = json!([scope]);
        }
        if version == ProtocolVersion::V3 {
            error.code = ErrorCode::InvalidRequest;
        }
    }
    error
}

/// How much of an unknown method's name is said back.
const MAX_QUOTED: usize = 128;

/// When a request that was taken is answered, and with what.
enum Answer {
    /// By the dispatcher, with this.
    Now(Value),
    /// By the dispatcher, with this, which is JSON already.
    #[expect(dead_code, reason = "for answers that are kept ready")]
    Raw(Bytes),
    /// By whoever was given the asker.
    Later,
}

impl From<Option<Value>> for Answer {
    fn from(payload: Option<Value>) -> Self {
        payload.map_or(Self::Later, Self::Now)
    }
}

async fn answer(
    shared: &Arc<Shared>,
    caller: &Caller,
    method: Method,
    params: Value,
    asker: Asker,
) -> Result<Answer, WireError> {
    let payload = match method {
        Method::Agent => {
            return Ok(turns::agent(shared, authorize(caller)?, read(params)?, asker)
                .await?
                .into());
        }
        Method::AgentWait => {
            turns::wait(shared, &authorize(caller)?, read(params)?, asker);
            return Ok(Answer::Later);
        }
        Method::AgentsList => agents::list(shared, &authorize(caller)?),
        Method::ChatAbort => chatting::abort(shared, authorize(caller)?, read(params)?).await?,
        Method::ChatHistory => chatting::history(shared, authorize(caller)?, read(params)?).await?,
        Method::ChatInject => chatting::inject(shared, authorize(caller)?, read(params)?).await?,
        Method::ChatSend | Method::SessionsSend => {
            return Ok(chatting::send(shared, authorize(caller)?, read(params)?, asker)
                .await?
                .into());
        }
        Method::ChatStartup => chatting::startup(shared, authorize(caller)?, read(params)?).await?,
        Method::ConfigGet => gateway::config(shared, &authorize(caller)?),
        Method::GatewayStatus => gateway::status(shared, &authorize(caller)?),
        Method::GatewayStop => gateway::stop(shared, &authorize(caller)?),
        Method::Health => gateway::health(shared),
        Method::Send => conversations::send(&authorize(caller)?)?,
        Method::SessionsAbort => {
            conversations::abort(shared, authorize(caller)?, read(params)?).await?
        }
        Method::SessionsCompact => {
            conversations::compact(shared, authorize(caller)?, read(params)?).await?
        }
        Method::SessionsCreate => {
            conversations::create(shared, authorize(caller)?, read(params)?).await?
        }
        Method::SessionsDelete => {
            conversations::delete(shared, authorize(caller)?, read(params)?).await?
        }
        Method::SessionsGet => {
            conversations::get(shared, authorize(caller)?, read(params)?).await?
        }
        Method::SessionsMessagesSubscribe | Method::SessionsMessagesUnsubscribe => {
            let hear = method == Method::SessionsMessagesSubscribe;
            let (permit, params) = (authorize(caller)?, read(params)?);
            conversations::subscribe_messages(shared, &permit, &params, asker.connection, hear)?
        }
        Method::SessionsPatch => conversations::patch(shared, authorize(caller)?, params).await?,
        Method::SessionsReset => {
            conversations::reset(shared, authorize(caller)?, read(params)?).await?
        }
        Method::SessionsSubscribe | Method::SessionsUnsubscribe => {
            let hear = method == Method::SessionsSubscribe;
            conversations::subscribe(shared, &authorize(caller)?, asker.connection, hear)?
        }
        Method::SessionsHistory => {
            sessions::history(shared, authorize(caller)?, read(params)?).await?
        }
        Method::SessionsKill => sessions::kill(shared, authorize(caller)?, read(params)?).await?,
        Method::SessionsList => sessions::list(shared, authorize(caller)?, read(params)?).await?,
        Method::SessionsShow => sessions::show(shared, authorize(caller)?, read(params)?).await?,
        Method::SessionsSpawn => {
            sessions::spawn(shared, &authorize(caller)?, read(params)?, asker)?;
            return Ok(Answer::Later);
        }
    };
    Ok(Answer::Now(payload))
}

/// Reads parameters; no parameters are an empty object.
fn read<T: DeserializeOwned>(params: Value) -> Result<T, WireError> {
    let params = if params.is_null() { Value::Object(serde_json::Map::new()) } else { params };
    serde_json::from_value(params).map_err(|error| {
        WireError::new(ErrorCode::InvalidRequest, format!("invalid params: {error}"))
    })
}
