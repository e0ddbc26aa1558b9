//! Events as they go out: encoded once, however many hear them.

use hatchery_protocol::event;
use serde::Serialize;

use crate::outbox::EncodedEvent;

/// To whom an event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To all who may hear it.
    All,
    /// To those of them who asked for it.
    Some,
}

/// How often presence and health have changed (OpenClaw protocol §1.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct StateVersion {
    pub(crate) presence: u64,
    pub(crate) health: u64,
}

/// Encodes an event.
pub(crate) fn encode(
    name: &str,
    payload: &impl Serialize,
    state: Option<StateVersion>,
    reach: Reach,
) -> EncodedEvent {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Event<'a, T> {
        #[serde(rename = "type")]
        kind: &'static str,
        event: &'a str,
        payload: &'a T,
        #[serde(skip_serializing_if = "Option::is_none")]
        state_version: Option<StateVersion>,
    }
    let frame = Event { kind: "event", event: name, payload, state_version: state };
    // Nothing of that can fail to be written as JSON.
    let mut body = serde_json::to_vec(&frame).unwrap_or_default();
    // The writer adds the number and the last brace.
    body.pop();
    EncodedEvent {
        body: body.into(),
        targeted: reach == Reach::Some,
        // The next one says all that matters.
        droppable: matches!(name, event::TICK | event::PRESENCE | "health"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Reach, StateVersion, encode};

    #[test]
    fn an_event_is_whole_but_for_its_last_brace() {
        let state = StateVersion { presence: 2, health: 1 };
        let event = encode("presence", &json!({"presence": []}), Some(state), Reach::All);
        assert_eq!(
            &event.body[..],
            br#"{"type":"event","event":"presence","payload":{"presence":[]},"stateVersion":{"presence":2,"health":1}"#
        );
        assert!(event.droppable && !event.targeted);
    }
}
