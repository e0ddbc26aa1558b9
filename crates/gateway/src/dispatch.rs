//! One dispatcher for all doors: which method, with which permit, to which handler.

use std::sync::Arc;

use bytes::Bytes;
use hatchery_access::{Caller, authorize, authorize_node};
use hatchery_protocol::{
    ErrorCode, Method, Needs, ProtocolVersion, Request, Response, Role, WireError,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::approvals::Kind;
use crate::asker::Asker;
use crate::connection::Speaker;
use crate::gateway::Shared;
use crate::methods::tasks::Decision;
use crate::methods::{
    absent, agents, approvals, chat, chatting, config, conversations, devices, export, gateway,
    health, logs, models, node_side, nodes, session_list, session_look, sessions, system, tasks,
    turns, waiting, watch,
};
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
    // What it began after its runs were stopped, because it had asked just before, is stopped too.
    if outbox.is_revoked() && !caller.is_of_the_owner() {
        shared.supervisor.stop_runs(|starter| starter == caller);
    }
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
        Needs::Read
        | Needs::Write
        | Needs::Pairing
        | Needs::Approvals
        | Needs::Questions
        | Needs::Admin => role == Role::Operator,
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
        Method::AgentIdentityGet => agents::identity(shared, &authorize(caller)?, read(params)?)?,
        Method::AgentsList => agents::list(shared, &authorize(caller)?),
        Method::AgentsSetup => agents::setup(shared, &authorize(caller)?),
        Method::ApprovalGet => approvals::get(shared, &authorize(caller)?, &read(params)?)?,
        Method::ApprovalResolve => approvals::resolve(shared, &authorize(caller)?, &read(params)?)?,
        Method::ChannelsStatus => absent::channels(&authorize(caller)?),
        Method::ChatMetadata => chat::metadata(shared, &authorize(caller)?),
        Method::CommandsList => chat::commands(&authorize(caller)?),
        Method::ConfigGet => config::get(shared, &authorize(caller)?)?,
        Method::CronList => absent::cron_jobs(&authorize(caller)?),
        Method::CronStatus => absent::cron_status(&authorize(caller)?),
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
        Method::ExecApprovalGet => {
            approvals::get_exec(shared, &authorize(caller)?, &read(params)?)?
        }
        Method::ExecApprovalList => approvals::list(shared, &authorize(caller)?, Kind::Exec),
        Method::ExecApprovalRequest => {
            approvals::request_exec(shared, &authorize(caller)?, read(params)?, asker)?;
            return Ok(Answer::Later);
        }
        Method::ExecApprovalResolve => {
            approvals::resolve_kind(shared, &authorize(caller)?, &read(params)?, Kind::Exec)?
        }
        Method::ExecApprovalWaitDecision | Method::PluginApprovalWaitDecision => {
            approvals::wait_decision(shared, &authorize(caller)?, read(params)?, asker)?;
            return Ok(Answer::Later);
        }
        Method::GatewayIdentityGet => system::identity(shared, &authorize(caller)?)?,
        Method::GatewayStatus => gateway::status(shared, &authorize(caller)?),
        Method::GatewayStop => gateway::stop(shared, &authorize(caller)?),
        Method::Health => return Ok(Answer::Raw(health::health(shared, caller).await?)),
        Method::LastHeartbeat => health::last_heartbeat(&authorize(caller)?),
        Method::LogsTail => logs::tail(shared, &authorize(caller)?, read(params)?).await?,
        Method::ModelsAuthStatus => models::auth_status(shared, &authorize(caller)?),
        Method::ModelsList => models::list(shared, &authorize(caller)?),
        Method::NodeDescribe => nodes::describe(shared, &authorize(caller)?, read(params)?).await?,
        Method::NodeEvent => node_side::event(&authorize_node(caller)?, &read(params)?),
        Method::NodeInvoke => nodes::invoke(shared, &authorize(caller)?, read(params)?).await?,
        Method::NodeInvokeResult => {
            let permit = authorize_node(caller)?;
            node_side::result(shared, &permit, asker.connection, read(params)?)?
        }
        Method::NodeList => nodes::list(shared, &authorize(caller)?).await?,
        Method::NodePairApprove => {
            nodes::approve(shared, &authorize(caller)?, read(params)?, asker).await?;
            return Ok(Answer::Later);
        }
        Method::NodePairList => nodes::pairings(shared, &authorize(caller)?).await?,
        Method::NodePairReject => {
            nodes::reject(shared, &authorize(caller)?, read(params)?, asker).await?;
            return Ok(Answer::Later);
        }
        Method::NodePairRemove => {
            nodes::remove(shared, &authorize(caller)?, read(params)?, asker).await?;
            return Ok(Answer::Later);
        }
        Method::NodePendingAck => node_side::acknowledge(&authorize_node(caller)?, &read(params)?),
        Method::NodePendingDrain => node_side::drain(&authorize_node(caller)?),
        Method::NodePendingPull => node_side::pull(&authorize_node(caller)?),
        Method::NodeRename => {
            nodes::rename(shared, &authorize(caller)?, read(params)?, asker).await?;
            return Ok(Answer::Later);
        }
        Method::OpenclawApprovalList => absent::system_agent_approvals(&authorize(caller)?),
        Method::PluginApprovalList => approvals::list(shared, &authorize(caller)?, Kind::Plugin),
        Method::PluginApprovalRequest => {
            approvals::request_plugin(shared, &authorize(caller)?, read(params)?, asker)?;
            return Ok(Answer::Later);
        }
        Method::PluginApprovalResolve => {
            approvals::resolve_kind(shared, &authorize(caller)?, &read(params)?, Kind::Plugin)?
        }
        Method::QuestionList => absent::questions(&authorize(caller)?),
        Method::SessionsDescribe => {
            session_look::describe(shared, &authorize(caller)?, read(params)?).await?
        }
        Method::SessionsGroupsDefaults => absent::session_group_defaults(&authorize(caller)?),
        Method::SessionsGroupsList => absent::session_groups(&authorize(caller)?),
        Method::Agent => {
            return Ok(turns::agent(shared, authorize(caller)?, read(params)?, asker)
                .await?
                .into());
        }
        Method::AgentWait => {
            turns::wait(shared, &authorize(caller)?, read(params)?, asker);
            return Ok(Answer::Later);
        }
        Method::ChatAbort => chatting::abort(shared, authorize(caller)?, read(params)?).await?,
        Method::ChatHistory => chatting::history(shared, authorize(caller)?, read(params)?).await?,
        Method::ChatInject => chatting::inject(shared, authorize(caller)?, read(params)?).await?,
        Method::ChatSend | Method::SessionsSend => {
            return Ok(chatting::send(shared, authorize(caller)?, read(params)?, asker)
                .await?
                .into());
        }
        Method::ChatStartup => chatting::startup(shared, authorize(caller)?, read(params)?).await?,
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
        Method::SessionsExport => export::export(shared, authorize(caller)?, read(params)?).await?,
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
        Method::SessionsList => {
            let permit = authorize(caller)?;
            let list = session_list::list(shared, &permit, read(params)?).await?;
            return Ok(Answer::Raw(list));
        }
        Method::SessionsPreview => {
            session_look::preview(shared, &authorize(caller)?, read(params)?).await?
        }
        Method::SessionsResolve => {
            session_look::resolve(shared, &authorize(caller)?, read(params)?).await?
        }
        Method::SessionsShow => sessions::show(shared, authorize(caller)?, read(params)?).await?,
        Method::SessionsSpawn => {
            sessions::spawn(shared, &authorize(caller)?, read(params)?, asker)?;
            return Ok(Answer::Later);
        }
        Method::SessionsWatch => {
            watch::watch(shared, authorize(caller)?, read(params)?, asker).await?;
            return Ok(Answer::Later);
        }
        Method::Status => health::status(shared, &authorize(caller)?).await?,
        Method::SystemInfo => system::info(shared, &authorize(caller)?),
        Method::SystemPresence => {
            return Ok(Answer::Raw(health::presence(shared, &authorize(caller)?)?));
        }
        Method::TaskSuggestionsList => absent::task_suggestions(&authorize(caller)?),
        Method::SessionsYield => {
            waiting::wait_for_results(shared, &authorize(caller)?, read(params)?, asker.connection)
                .await?
        }
        Method::TasksDismiss => {
            tasks::decide(shared, &authorize(caller)?, read(params)?, Decision::Dismiss).await?
        }
        Method::TasksRetry => {
            tasks::decide(shared, &authorize(caller)?, read(params)?, Decision::Retry).await?
        }
        Method::TasksGet => tasks::get(shared, &authorize(caller)?, read(params)?).await?,
        Method::TasksList => tasks::list(shared, &authorize(caller)?, read(params)?).await?,
        Method::UpdateStatus => absent::updates(&authorize(caller)?),
    };
    Ok(Answer::Now(payload))
}

/// Reads parameters; no parameters are an empty object. A list is none: it would fill fields by
/// their order.
fn read<T: DeserializeOwned>(params: Value) -> Result<T, WireError> {
    let invalid = |cause: &dyn std::fmt::Display| {
        WireError::new(ErrorCode::InvalidRequest, format!("invalid params: {cause}"))
    };
    let params = match params {
        Value::Null => Value::Object(serde_json::Map::new()),
        Value::Object(_) => params,
        _ => return Err(invalid(&"an object is expected")),
    };
    serde_json::from_value(params).map_err(|error| invalid(&error))
}
