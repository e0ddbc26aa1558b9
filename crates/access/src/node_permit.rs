//! The permit of a node: proof that a caller is connected as one, and as which.

use hatchery_protocol::{ErrorCode, Role};

use crate::{Caller, DeviceId, Refusal, Remedy};

/// Proof that a caller is a node. Only [`authorize_node`] makes one.
#[derive(Clone, Debug)]
pub struct NodePermit {
    device: DeviceId,
}

impl NodePermit {
    /// Which node.
    #[must_use]
    pub fn device(&self) -> &DeviceId {
        &self.device
    }
}

/// Decides whether a caller may speak as a node: it is connected as one, with a device key.
///
/// # Errors
/// A [`Refusal`] in the words of the wire.
pub fn authorize_node(caller: &Caller) -> Result<NodePermit, Refusal> {
    if let (Role::Node, Some(device)) = (caller.role(), caller.device()) {
        return Ok(NodePermit { device: device.clone() });
    }
    Err(Refusal::forbidden(
        "NOT_A_NODE",
        "role of a node",
        format!("unauthorized role: {}", caller.role()),
        Remedy::Advice("connect with the role node and a device key".to_owned()),
    )
    .in_class(ErrorCode::InvalidRequest))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hatchery_protocol::Role;

    use super::authorize_node;
    use crate::{Caller, DeviceCaller, DeviceId};

    #[test]
    fn only_a_device_that_is_connected_as_a_node_speaks_as_one() {
        let device = |role, device: Option<&str>| {
            Caller::Device(DeviceCaller {
                device: device.map(|id| DeviceId::new(id.to_owned())),
                role,
                scopes: BTreeSet::new(),
                client: "test".to_owned(),
            })
        };
        for (caller, is_node) in [
            (Caller::Owner, false),
            (device(Role::Operator, Some("a")), false),
            (device(Role::Node, None), false),
            (device(Role::Node, Some("a")), true),
        ] {
            assert_eq!(authorize_node(&caller).is_ok(), is_node, "{caller:?}");
        }
    }
}
