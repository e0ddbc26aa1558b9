//! One dispatcher for all doors: which method, with which permit, to which handler.

use std::sync::Arc;

use hatchery_access::{Caller, authorize};
use hatchery_protocol::{ErrorCode, Method, Request, Response, WireError};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::asker::Asker;
use crate::gateway::Shared;
use crate::hub::ConnectionId;
use crate::methods::{agents, chat, conversations, gateway, sessions, turns};
use crate::outbox::{Outbox, Share};

/// Answers one request. The answer holds `share` until it is written.
pub(crate) async fn dispatch(
    shared: &Arc<Shared>,
    caller: &Caller,
    request: Request,
    connection: ConnectionId,
    outbox: &Outbox,
    share: Share,
) {
    let Request { id, method, params } = request;
    let asker =
        Asker { connection, outbox: outbox.clone(), request: id.clone(), share: share.clone() };
    let outcome = match Method::parse(&method) {
        Some(method) => answer(shared, caller, method, params.unwrap_or_default(), asker).await,
        None => Err(WireError::new(
            ErrorCode::InvalidRequest,
            format!("unknown method: {}", method.chars().take(128).collect::<String>()),
        )),
    };
    let response = match outcome {
        Ok(Answer::Now(payload)) => Response::ok(id, payload),
        Ok(Answer::Later) => return,
        Err(error) => Response::error(id, error),
    };
    outbox.answer(response, share);
}

/// When a request that was taken is answered.
enum Answer {
    /// By the dispatcher, with this.
    Now(Value),
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
        Method::ChatAbort => chat::abort(shared, authorize(caller)?, read(params)?).await?,
        Method::ChatHistory => chat::history(shared, authorize(caller)?, read(params)?).await?,
        Method::ChatInject => chat::inject(shared, authorize(caller)?, read(params)?).await?,
        Method::ChatSend | Method::SessionsSend => {
            return Ok(chat::send(shared, authorize(caller)?, read(params)?, asker).await?.into());
        }
        Method::ChatStartup => chat::startup(shared, authorize(caller)?, read(params)?).await?,
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
