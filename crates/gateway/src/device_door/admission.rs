//! Whether somebody is let in, and as what.

use std::collections::BTreeSet;

use hatchery_access::{Caller, DeviceCaller, Refusal, Remedy};
use hatchery_protocol::{ConnectParams, ErrorCode, Role, Scope, Secret};
use subtle::ConstantTimeEq as _;

use super::Visitor;
use super::closing::Farewell;
use crate::gateway::Shared;
use crate::hello::{self, Auth};

/// Somebody who is let in.
pub(super) struct Admitted {
    pub(super) caller: Caller,
    pub(super) auth: Auth,
}

/// Decides about somebody who has answered the challenge.
pub(super) fn admit(
    shared: &Shared,
    visitor: &Visitor,
    params: &ConnectParams,
    _nonce: &str,
) -> Result<Admitted, Farewell> {
    let config = shared.supervisor.settings.config();
    let secret = config.gateway.auth.token.as_ref().or(config.gateway.auth.password.as_ref());
    let shown =
        params.auth.as_ref().and_then(|auth| auth.token.as_ref().or(auth.password.as_ref()));
    let good = match (secret, shown) {
        (Some(secret), Some(shown)) => same(secret.expose(), shown),
        _ => false,
    };
    if !good || !visitor.from.ip().is_loopback() || visitor.headers.contains_key("origin") {
        let refusal = Refusal::forbidden(
            "AUTH_TOKEN_MISMATCH",
            "gateway.auth",
            "unauthorized: gateway token mismatch",
            Remedy::Advice("set the gateway's token in the client".to_owned()),
        )
        .in_class(ErrorCode::InvalidRequest);
        shared.supervisor.note_refusal(&visitor.from.ip().to_string(), &refusal, "connect");
        return Err(Farewell::refused(refusal));
    }
    let asked = params.scopes.iter().flatten().filter_map(|scope| Scope::parse(scope));
    let scopes: BTreeSet<Scope> = asked.collect();
    let caller = Caller::Device(DeviceCaller {
        device: None,
        role: Role::Operator,
        scopes,
        client: params.client.to_string(),
    });
    let mut auth = hello::auth(&caller);
    auth.method = Some("token".to_owned());
    Ok(Admitted { caller, auth })
}

fn same(secret: &str, shown: &Secret) -> bool {
    secret.as_bytes().ct_eq(shown.reveal().as_bytes()).into()
}
