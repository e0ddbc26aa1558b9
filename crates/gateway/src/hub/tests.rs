use std::collections::BTreeSet;

use hatchery_access::{Caller, DeviceCaller, DeviceId};
use hatchery_protocol::Role;

use super::{Hub, Joining};
use crate::outbox::Outbox;
use crate::presence::Seen;

fn id(name: &str) -> DeviceId {
    DeviceId::new(name.to_owned())
}

fn join(hub: &Hub, connection: u64, role: Role, by_secret: bool) -> Outbox {
    let (outbox, _) = Outbox::new();
    let caller = Caller::Device(DeviceCaller {
        device: Some(id("one")),
        role,
        scopes: BTreeSet::new(),
        client: "test".to_owned(),
    });
    let joining = Joining {
        caller,
        by_secret,
        by_own_token: false,
        caps: BTreeSet::new(),
        commands: BTreeSet::new(),
        outbox: outbox.clone(),
        is_pinged: false,
        seen: Seen::default(),
    };
    hub.join(connection, joining);
    outbox
}

#[tokio::test]
async fn what_is_taken_away_while_somebody_is_decided_about_reaches_it() {
    type Take = fn(&Hub) -> usize;
    let takes: [(Take, bool); 5] = [
        (|hub| hub.disconnect(&id("one"), None, "removed", None), true),
        (|hub| hub.disconnect(&id("one"), Some(Role::Operator), "rotated", None), true),
        (|hub| hub.disconnect(&id("one"), Some(Role::Node), "rotated", None), false),
        (|hub| hub.disconnect(&id("other"), None, "removed", None), false),
        (|hub| hub.disconnect_by_secret("changed").len(), true),
    ];
    for (case, (take, reaches)) in takes.into_iter().enumerate() {
        let hub = Hub::default();
        hub.arrive(1, Some("one"));
        assert_eq!(take(&hub), 0);
        let outbox = join(&hub, 1, Role::Operator, true);
        assert_eq!(outbox.is_revoked(), reaches, "case {case}");
        assert_eq!(hub.connected_devices().is_empty(), reaches, "case {case}");
        // Whoever comes after it is not concerned.
        hub.arrive(2, Some("one"));
        assert!(!join(&hub, 2, Role::Operator, true).is_revoked(), "case {case}");
    }
}

#[tokio::test]
async fn who_came_by_its_own_token_is_spared_by_another_secret_and_who_left_leaves_nothing() {
    let hub = Hub::default();
    hub.arrive(1, Some("one"));
    hub.disconnect_by_secret("changed");
    assert!(!join(&hub, 1, Role::Operator, false).is_revoked());
    hub.arrive(2, None);
    hub.leave(2);
    assert!(hub.inner().arriving.is_empty());
}
