//! `device.*`: which devices are let in. The owner's door can always do all of it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hatchery_access::pairing::{
    Cleared, Command, Outcome, Reply, RequestId, SetupProfile, TokenHash,
};
use hatchery_access::{Admin, Caller, DeviceId, Pairing, Permit, Refusal, Remedy};
use hatchery_protocol::{ErrorCode, Response, Role, Scope, WireError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::asker::Asker;
use crate::clock::now_ms;
use crate::config::AuthMode;
use crate::gateway::Shared;
use crate::pairing::{Carried, fresh, reachable, with_durability};

/// How long somebody who waits for a decision is kept waiting at most.
const MAX_WAIT: Duration = Duration::from_secs(10 * 60);

/// Parameters that name a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestParams {
    request_id: String,
}

/// Parameters that name a device.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeviceParams {
    device_id: DeviceId,
}

/// Parameters of `device.pair.rename`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RenameParams {
    device_id: DeviceId,
    #[serde(alias = "name", alias = "operatorLabel", alias = "displayName")]
    label: Option<String>,
}

/// Parameters of `device.token.rotate` and `device.token.revoke`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenParams {
    device_id: DeviceId,
    role: String,
    scopes: Option<Vec<String>>,
    /// Ours: the owner wants to see the new token.
    #[serde(default)]
    reveal: bool,
}

/// Parameters of `device.pair.clear`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClearParams {
    #[serde(default)]
    pending_only: bool,
}

/// Parameters of `device.pair.explain`.
#[derive(Debug, Deserialize)]
pub(crate) struct ExplainParams {
    id: String,
}

/// Parameters of `device.pair.setupCode`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SetupParams {
    #[serde(alias = "url")]
    public_url: Option<String>,
    /// Who the code is for: `limited` (a person) or `node`.
    bootstrap_profile: Option<String>,
    /// Ours: the same by the name of the role.
    role: Option<String>,
    /// Ours: less than the profile gives.
    scopes: Option<Vec<String>>,
}

/// Parameters of `device.pair.setupStatus`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SetupStatusParams {
    setup_id: TokenHash,
}

/// Parameters of `device.scopes.requestUpgrade`.
#[derive(Debug, Deserialize)]
pub(crate) struct UpgradeParams {
    scopes: Vec<String>,
}

/// The devices the caller may see, and the requests that wait.
pub(crate) async fn list(
    shared: &Arc<Shared>,
    permit: Permit<Pairing>,
) -> Result<Value, WireError> {
    let caller = permit.caller();
    let connected = shared.hub.connected_devices();
    let (pending, paired) = shared
        .pairing
        .with_state(|state| {
            let mut pending: Vec<_> = state
                .pending(now_ms())
                .filter(|request| state.shows(caller, &request.device_id))
                .collect();
            pending.sort_by_key(|request| std::cmp::Reverse(request.asked_at_ms));
            let pending: Vec<Value> = pending.into_iter().map(|request| request.view()).collect();
            let paired: Vec<Value> = state
                .devices()
                .filter(|device| state.shows(caller, &device.device_id))
                .map(|device| {
                    let mut view = device.view();
                    view["connected"] = json!(connected.contains(&device.device_id));
                    view
                })
                .collect();
            (pending, paired)
        })
        .await?;
    let store = shared.pairing.store_view().await?;
    Ok(json!({"pending": pending, "paired": paired, "store": store}))
}

/// Why a device is let in or not, rule by rule.
pub(crate) async fn explain(
    shared: &Arc<Shared>,
    permit: Permit<Pairing>,
    params: ExplainParams,
) -> Result<Value, WireError> {
    let caller = permit.caller();
    let explained = shared
        .pairing
        .with_state(|state| {
            let (id, now) = (params.id.trim(), now_ms());
            let asking = state.pending(now).filter(|request| {
                request.request_id.as_str().starts_with(id)
                    || request.device_id.as_str().starts_with(id)
            });
            let known = state.devices().map(|device| &device.device_id);
            let known = known.filter(|device| device.as_str().starts_with(id));
            let mut meant = asking.map(|request| &request.device_id).chain(known);
            // What a caller may not see it cannot find out by asking for an explanation.
            meant.all(|device| state.shows(caller, device)).then(|| state.explain(id, now))?
        })
        .await?;
    explained.map(|explained| json!(explained)).ok_or_else(|| {
        let remedy = Remedy::Command("hatchery devices list".to_owned());
        let id: String = params.id.chars().take(64).collect();
        let message = format!("there is no request and no device '{id}'");
        Refusal::forbidden("NO_SUCH_DEVICE", "pairing.devices", message, remedy)
            .in_class(ErrorCode::InvalidRequest)
            .into()
    })
}

/// Carries out a command that answers at once, and ends the caller's own connection after the
/// answer where the command takes away what it stands on.
async fn carry_out(
    shared: &Arc<Shared>,
    caller: &Caller,
    command: Command,
    asker: Asker,
) -> Result<(), WireError> {
    let carried = shared.pairing.command(caller, command, Some(asker.connection)).await?;
    let payload = with_durability(payload(&carried), carried.durable);
    asker.outbox.answer(Response::ok(asker.request, payload), asker.share);
    shared.pairing.disconnect_own(&carried);
    Ok(())
}

fn payload(carried: &Carried) -> Value {
    match &carried.reply {
        Reply::Approved { request, device } | Reply::NodeApproved { request, device } => {
            json!({"requestId": request, "device": device.view()})
        }
        Reply::Rejected { request, device } => json!({"requestId": request, "deviceId": device}),
        Reply::Changed { device } => json!({"deviceId": device}),
        Reply::Rotated { device, role, scopes, rotated_at_ms, token } => {
            let mut payload = json!({
                "deviceId": device, "role": role, "scopes": scopes, "rotatedAtMs": rotated_at_ms,
            });
            match token {
                Some(token) => payload["token"] = json!(token),
                None => payload["tokenDelivery"] = json!("withheld-cross-device"),
            }
            payload
        }
        Reply::Revoked { device, role, revoked_at_ms } => {
            json!({"deviceId": device, "role": role, "revokedAtMs": revoked_at_ms})
        }
        Reply::Cleared { devices, requests } => json!({"devices": devices, "requests": requests}),
        Reply::UpgradeAsked { request } => json!({"requestId": request}),
        // These two have answers of their own.
        Reply::UpgradeClaimed { .. } | Reply::SetupCode { .. } => Value::Null,
    }
}

/// Lets a device in as it asks.
pub(crate) async fn approve(
    shared: &Arc<Shared>,
    permit: Permit<Pairing>,
    params: RequestParams,
    asker: Asker,
) -> Result<(), WireError> {
    let command = Command::Approve { request: RequestId::new(params.request_id) };
    carry_out(shared, permit.caller(), command, asker).await
}

/// Does not let a device in.
pub(crate) async fn reject(
    shared: &Arc<Shared>,
    permit: Permit<Pairing>,
    params: RequestParams,
    asker: Asker,
) -> Result<(), WireError> {
    let command = Command::Reject { request: RequestId::new(params.request_id) };
    carry_out(shared, permit.caller(), command, asker).await
}

/// Forgets a device.
pub(crate) async fn remove(
    shared: &Arc<Shared>,
    permit: Permit<Pairing>,
    params: DeviceParams,
    asker: Asker,
) -> Result<(), WireError> {
    let command = Command::Remove { device: params.device_id };
    carry_out(shared, permit.caller(), command, asker).await
}

/// Gives a device another name.
pub(crate) async fn rename(
    shared: &Arc<Shared>,
    permit: Permit<Pairing>,
    params: RenameParams,
    asker: Asker,
) -> Result<(), WireError> {
    let command = Command::Rename { device: params.device_id, label: params.label };
    carry_out(shared, permit.caller(), command, asker).await
}

/// Forgets many at once.
pub(crate) async fn clear(
    shared: &Arc<Shared>,
    permit: Permit<Pairing>,
    params: ClearParams,
    asker: Asker,
) -> Result<(), WireError> {
    let what = if params.pending_only { Cleared::Pending } else { Cleared::Everything };
    carry_out(shared, permit.caller(), Command::Clear(what), asker).await
}

/// Exchanges a token for another.
pub(crate) async fn rotate(
    shared: &Arc<Shared>,
    permit: Permit<Pairing>,
    params: TokenParams,
    asker: Asker,
) -> Result<(), WireError> {
    let TokenParams { device_id, role, scopes, reveal } = params;
    let command = Command::Rotate {
        device: device_id,
        role: known_role(&role)?,
        scopes: scopes.as_deref().map(known_scopes).transpose()?,
        fresh: fresh()?,
        by_own_token: shared.hub.came_by_own_token(asker.connection),
        reveal,
    };
    carry_out(shared, permit.caller(), command, asker).await
}

/// Revokes a token.
pub(crate) async fn revoke(
    shared: &Arc<Shared>,
    permit: Permit<Pairing>,
    params: TokenParams,
    asker: Asker,
) -> Result<(), WireError> {
    let command = Command::Revoke { device: params.device_id, role: known_role(&params.role)? };
    carry_out(shared, permit.caller(), command, asker).await
}

/// A connected device asks for more than it has.
pub(crate) async fn request_upgrade(
    shared: &Arc<Shared>,
    caller: &Caller,
    params: UpgradeParams,
    asker: Asker,
) -> Result<(), WireError> {
    let scopes = known_scopes(&params.scopes)?;
    let address = match caller.device().cloned() {
        Some(device) => shared.pairing.with_state(|state| state.device(&device)?.remote_ip).await?,
        None => None,
    };
    let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let command = Command::RequestUpgrade { scopes, origin: None, address };
    carry_out(shared, caller, command, asker).await
}

/// Waits until what a device asked for is decided. Others on the connection need not wait.
pub(crate) fn wait_upgrade(
    shared: &Arc<Shared>,
    caller: &Caller,
    params: RequestParams,
    asker: Asker,
) -> Result<(), WireError> {
    let Some(device) = caller.device().cloned() else {
        return Err(invalid("only a device with a key can ask for more"));
    };
    let (shared, caller) = (Arc::clone(shared), caller.clone());
    tokio::spawn(async move {
        let request = RequestId::new(params.request_id);
        let outcome = tokio::time::timeout(MAX_WAIT, decided(&shared, &device, &request)).await;
        let answer = match outcome.unwrap_or(Ok(Outcome::Expired)) {
            Ok(Outcome::Approved) => claim(&shared, &caller, &request).await,
            Ok(Outcome::Rejected) => Ok(json!({"status": "rejected", "requestId": request})),
            Ok(Outcome::Expired | Outcome::Waiting) => {
                Ok(json!({"status": "expired", "requestId": request}))
            }
            Err(refusal) => Err(refusal),
        };
        let response = match answer {
            Ok(payload) => Response::ok(asker.request, payload),
            Err(refusal) => Response::error(asker.request, refusal.into()),
        };
        asker.outbox.answer(response, asker.share);
    });
    Ok(())
}

async fn decided(
    shared: &Shared,
    device: &DeviceId,
    request: &RequestId,
) -> Result<Outcome, Refusal> {
    /// How often it is looked whether the request has lapsed, which nobody tells.
    const LOOK_EVERY: Duration = Duration::from_secs(5);
    let mut changes = shared.pairing.changes();
    loop {
        let look = |state: &hatchery_access::pairing::PairingState| {
            state.outcome(device, request, now_ms())
        };
        let outcome = shared.pairing.with_state(look).await?;
        if outcome != Outcome::Waiting {
            return Ok(outcome);
        }
        if let Ok(Err(_)) = tokio::time::timeout(LOOK_EVERY, changes.changed()).await {
            return Ok(Outcome::Expired);
        }
    }
}

async fn claim(
    shared: &Arc<Shared>,
    caller: &Caller,
    request: &RequestId,
) -> Result<Value, Refusal> {
    let command = Command::ClaimUpgrade { request: request.clone(), fresh: fresh()? };
    let carried = shared.pairing.command(caller, command, None).await?;
    let Reply::UpgradeClaimed { token, scopes, .. } = carried.reply else {
        return Err(crate::supervisor::unavailable("NO_UPGRADE", "nothing was approved"));
    };
    Ok(json!({
        "status": "approved", "requestId": request, "deviceToken": token, "scopes": scopes,
    }))
}

/// Makes a code that lets one device in: what a telephone reads from a picture.
pub(crate) async fn setup_code(
    shared: &Arc<Shared>,
    permit: Permit<Admin>,
    params: SetupParams,
) -> Result<Value, WireError> {
    let mut profile = SetupProfile::default();
    let role = match params.bootstrap_profile.as_deref() {
        Some("node") => Some(Role::Node.as_str()),
        _ => params.role.as_deref(),
    };
    if let Some(role) = role {
        profile.roles = [known_role(role)?].into();
    }
    if let Some(scopes) = &params.scopes {
        profile.scopes = known_scopes(scopes)?;
    }
    let (url, source) = match params.public_url {
        Some(url) => (url, "request"),
        None => (own_url(shared).ok_or_else(no_url)?, "gateway.bind"),
    };
    let command = Command::IssueSetupCode { profile, fresh: fresh()? };
    let carried = shared.pairing.command(permit.caller(), command, None).await?;
    let Reply::SetupCode { secret, profile, expires_at_ms } = carried.reply else {
        return Err(invalid("no setup code was made"));
    };
    let code = json!({"url": url, "bootstrapToken": secret}).to_string();
    let config = shared.supervisor.settings.config();
    let auth = match config.gateway.auth.mode {
        AuthMode::Password => "password",
        AuthMode::Token | AuthMode::None | AuthMode::TrustedProxy => "token",
    };
    Ok(json!({
        "setupId": TokenHash::of(&secret),
        "setupCode": URL_SAFE_NO_PAD.encode(code),
        "gatewayUrl": url,
        "urlSource": source,
        "auth": auth,
        "access": access(&profile),
        "expiresAtMs": expires_at_ms,
    }))
}

/// What has become of a setup code: who used it, or nothing where nobody has.
pub(crate) fn setup_status(
    shared: &Shared,
    _permit: &Permit<Admin>,
    params: &SetupStatusParams,
) -> Value {
    let used = shared.pairing.setup(&params.setup_id).and_then(|setup| {
        let use_of_it = setup.used?;
        Some(json!({
            "setupId": params.setup_id,
            "deviceId": use_of_it.device,
            "access": access(&setup.profile),
            "ts": use_of_it.at_ms,
        }))
    });
    match used {
        Some(completion) => json!({"completion": completion}),
        None => json!({}),
    }
}

/// What a setup code gives, in the wire's words.
fn access(profile: &SetupProfile) -> &'static str {
    if profile.roles.contains(&Role::Node) { "node" } else { "limited" }
}

/// Where a device finds this gateway, as far as the gateway knows.
fn own_url(shared: &Shared) -> Option<String> {
    let scheme = if shared.tls.is_some() { "wss" } else { "ws" };
    reachable(shared.address?).map(|address| format!("{scheme}://{address}"))
}

fn no_url() -> Refusal {
    Refusal::forbidden(
        "NO_ADDRESS",
        "gateway.bind",
        "this gateway listens on no address that a device could reach",
        Remedy::Command("hatchery gateway restart --bind lan".to_owned()),
    )
    .in_class(ErrorCode::Unavailable)
}

fn known_role(text: &str) -> Result<Role, WireError> {
    Role::parse(text.trim()).ok_or_else(|| invalid("invalid params: role is operator or node"))
}

fn known_scopes(texts: &[String]) -> Result<BTreeSet<Scope>, WireError> {
    let scope = |text: &String| {
        let text = text.trim();
        Scope::parse(text).or_else(|| Scope::parse(&format!("operator.{text}"))).ok_or_else(|| {
            let text: String = text.chars().take(64).collect();
            invalid(&format!("invalid params: there is no scope '{text}'"))
        })
    };
    texts.iter().map(scope).collect()
}

fn invalid(message: &str) -> WireError {
    WireError::new(ErrorCode::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::known_scopes;
    use hatchery_protocol::Scope;

    #[test]
    fn scopes_are_read_with_or_without_their_prefix() {
        let read = |text: &str| known_scopes(&[text.to_owned()]);
        for text in ["operator.read", "read", " read "] {
            assert_eq!(read(text).ok(), Some([Scope::Read].into()), "{text}");
        }
        assert!(read("root").is_err());
    }
}
