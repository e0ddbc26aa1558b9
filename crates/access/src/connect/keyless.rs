//! Clients without a device key: what the shared secret alone is good for.

use std::collections::BTreeSet;

use hatchery_protocol::{ProtocolVersion, Role, Scope};

use super::admit::{Admission, Admitted};
use super::arrival::{Arrival, SharedFailure, SharedProof};
use super::credential::AuthMethod;
use super::denial::Denial;
use super::policy::DoorPolicy;
use crate::{Caller, DeviceCaller};

const CONTROL_UI: &str = "openclaw-control-ui";

/// Programs that newer clients run on this machine with the shared secret and without a key.
const KEYLESS_LOCAL: [(&str, &str); 2] = [("cli", "cli"), ("gateway-client", "backend")];

/// Decides about a client without a device key. It is never paired and gets no token.
pub(crate) fn admit_keyless(arrival: &Arrival<'_>, policy: &DoorPolicy, role: Role) -> Admission {
    match scopes(arrival, policy, role) {
        Err(denial) => Admission::Refused(denial),
        Ok((scopes, exempt)) => {
            let method = AuthMethod::by_shared(&arrival.shared).unwrap_or(AuthMethod::None);
            Admission::Admitted(Box::new(Admitted {
                caller: Caller::Device(DeviceCaller {
                    device: None,
                    role,
                    scopes,
                    client: super::admit::client_name(arrival),
                }),
                method,
                issued: None,
                by_device_token: false,
                silent: false,
                exempt,
                node_commands: BTreeSet::new(),
                events: Vec::new(),
            }))
        }
    }
}

type Granted = (BTreeSet<Scope>, Option<&'static str>);

fn scopes(arrival: &Arrival<'_>, policy: &DoorPolicy, role: Role) -> Result<Granted, Box<Denial>> {
    let needs_key = |rule, advice| Err(Box::new(Denial::device_required(rule, advice)));
    if role != Role::Operator {
        return needs_key("connect.device", "a node connects with a device key");
    }
    let asked = arrival.asked(role).unwrap_or_default();
    if arrival.params.client.id == CONTROL_UI {
        let open = policy.control_ui_without_device
            || (policy.control_ui_insecure && arrival.direct_loopback && !arrival.via_proxy);
        if open && arrival.shared.is_secret() {
            return Ok((asked, Some("gateway.controlUi")));
        }
        if !matches!(
            arrival.shared,
            SharedProof::Failed(SharedFailure::TokenMismatch | SharedFailure::PasswordMismatch)
        ) {
            return Err(Box::new(Denial::control_ui_device_required()));
        }
    }
    match &arrival.shared {
        SharedProof::Failed(SharedFailure::TokenMissing | SharedFailure::PasswordMissing) => {
            needs_key(
                "connect.device",
                "connect with a device key and the gateway's shared secret (`--token`, `--password`)",
            )
        }
        SharedProof::Failed(failure) => Err(Box::new(Denial::shared_secret(*failure, arrival))),
        SharedProof::Open | SharedProof::Proxy { .. } => match policy.exempts(arrival) {
            Some(rule) => Ok((asked, Some(rule))),
            None => needs_key(
                "connect.device",
                "connect with a device key, and let the owner approve the device",
            ),
        },
        SharedProof::Token | SharedProof::Password => with_secret(arrival, policy, asked),
    }
}

fn with_secret(
    arrival: &Arrival<'_>,
    policy: &DoorPolicy,
    asked: BTreeSet<Scope>,
) -> Result<Granted, Box<Denial>> {
    if let Some(rule) = policy.exempts(arrival) {
        return Ok((asked, Some(rule)));
    }
    if arrival.is_owner_by_secret() && arrival.version == ProtocolVersion::V4 {
        if KEYLESS_LOCAL.iter().any(|(id, mode)| arrival.says_it_is(id, mode)) {
            if !policy.auto_approve_local {
                return Err(Box::new(Denial::device_required(
                    "gateway.nodes.pairing.autoApproveLocal",
                    "gateway.nodes.pairing.autoApproveLocal is false, so programs on this \
                     machine are approved one by one: connect with a device key",
                )));
            }
            return Ok((asked, None));
        }
        if arrival.params.client.mode == "probe" && policy.auto_approve_local {
            return Ok((asked.into_iter().filter(|scope| *scope == Scope::Read).collect(), None));
        }
    }
    // Somebody who knows the secret and has no key to approve: connected, and allowed nothing.
    Ok((BTreeSet::new(), None))
}
