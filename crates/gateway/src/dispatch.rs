//! One dispatcher for all doors: which method, with which permit, to which handler.

use std::sync::Arc;

use hatchery_access::{Caller, authorize};
use hatchery_protocol::{ErrorCode, Method, Request, Response, WireError};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::asker::Asker;
use crate::gateway::Shared;
use crate::hub::ConnectionId;
use crate::methods::{agents, devices, gateway, sessions};
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

async fn answer(
    shared: &Arc<Shared>,
    caller: &Caller,
    method: Method,
    params: Value,
    asker: Asker,
) -> Result<Answer, WireError> {
    let payload = match method {
        Method::AgentsList => agents::list(shared, &authorize(caller)?),
        Method::ConfigGet => gateway::config(shared, &authorize(caller)?),
        Method::DevicePairApprove => {
            devices::approve(shared, authorize(caller)?, read(params)?, asker).await?;
            return Ok(Answer::Later);
        }
        Method::DevicePairClear => {
            devices::clear(shared, authorize(caller)?, read(params)?, asker).await?;
            return Ok(Answer::Later);
        }
        Method::DevicePairExplain => {
            devices::explain(shared, authorize(caller)?, read(params)?).await?
        }
        Method::DevicePairList => devices::list(shared, authorize(caller)?).await?,
        Method::DevicePairReject => {
            devices::reject(shared, authorize(caller)?, read(params)?, asker).await?;
            return Ok(Answer::Later);
        }
        Method::DevicePairRemove => {
            devices::remove(shared, authorize(caller)?, read(params)?, asker).await?;
            return Ok(Answer::Later);
        }
        Method::DevicePairRename => {
            devices::rename(shared, authorize(caller)?, read(params)?, asker).await?;
            return Ok(Answer::Later);
        }
        Method::DevicePairSetupCode => {
            devices::setup_code(shared, authorize(caller)?, read(params)?).await?
        }
        Method::DevicePairSetupStatus => {
            devices::setup_status(shared, &authorize(caller)?, &read(params)?)
        }
        Method::DeviceScopesRequestUpgrade => {
            devices::request_upgrade(shared, caller, read(params)?, asker).await?;
            return Ok(Answer::Later);
        }
        Method::DeviceScopesWaitUpgrade => {
            devices::wait_upgrade(shared, caller, read(params)?, asker)?;
            return Ok(Answer::Later);
        }
        Method::DeviceTokenRevoke => {
            devices::revoke(shared, authorize(caller)?, read(params)?, asker).await?;
            return Ok(Answer::Later);
        }
        Method::DeviceTokenRotate => {
            devices::rotate(shared, authorize(caller)?, read(params)?, asker).await?;
            return Ok(Answer::Later);
        }
        Method::GatewayStatus => gateway::status(shared, &authorize(caller)?),
        Method::GatewayStop => gateway::stop(shared, &authorize(caller)?),
        Method::Health => gateway::health(shared),
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
