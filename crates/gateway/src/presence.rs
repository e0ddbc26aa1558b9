//! Who is connected, as clients show it to people.

use std::collections::BTreeMap;

use hatchery_access::Caller;
use hatchery_protocol::{ClientInfo, Role, Scope};
use serde::Serialize;

use crate::hub::ConnectionId;

/// How many of those who are connected are listed: the newest.
const MAX_LISTED: usize = 50;

/// Uses of a client's program that come and go too fast to be shown.
const FLEETING: [&str; 2] = ["cli", "probe"];

/// Who is connected. One device is one entry, however many connections it has.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    entries: BTreeMap<String, Entry>,
    /// Entries by age.
    order: BTreeMap<u64, String>,
    next: u64,
    version: u64,
}

#[derive(Debug)]
struct Entry {
    /// As JSON.
    line: Box<str>,
    connections: usize,
    age: u64,
}

/// What one entry says (OpenClaw protocol §3.2).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Said<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<&'a str>,
    version: &'a str,
    platform: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_family: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_identifier: Option<&'a str>,
    mode: &'a str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<&'a str>,
    roles: [Role; 1],
    scopes: Vec<Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<&'a str>,
    text: String,
    ts: u64,
}

/// What a client said of itself, and where it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen<'a> {
    pub(crate) client: Option<&'a ClientInfo>,
    pub(crate) address: Option<&'a str>,
    pub(crate) now_ms: u64,
}

impl Presence {
    /// Somebody has come. Gives the name of its entry, where it has one.
    pub(crate) fn come(
        &mut self,
        connection: ConnectionId,
        caller: &Caller,
        seen: &Seen<'_>,
    ) -> Option<String> {
        let client = seen.client?;
        if FLEETING.contains(&client.mode.as_str()) {
            return None;
        }
        let device = caller.device().map(|device| device.as_str());
        let instance = client.instance_id.as_deref().filter(|id| id.len() <= 64);
        let key = device.or(instance).map_or_else(|| connection.to_string(), str::to_owned);
        let name = short(client.display_name.as_deref().unwrap_or(&client.id));
        let said = Said {
            host: Some(name),
            ip: seen.address,
            version: short(&client.version),
            platform: short(&client.platform),
            device_family: client.device_family.as_deref().map(short),
            model_identifier: client.model_identifier.as_deref().map(short),
            mode: short(&client.mode),
            reason: "connect",
            device_id: device,
            roles: [caller.role()],
            scopes: caller.scopes().collect(),
            instance_id: instance,
            text: format!("{name} ({})", short(&client.mode)),
            ts: seen.now_ms,
        };
        let line = serde_json::to_string(&said).unwrap_or_default().into_boxed_str();
        let age = self.next;
        self.next += 1;
        self.version += 1;
        let connections = match self.entries.get(&key) {
            Some(entry) => {
                self.order.remove(&entry.age);
                entry.connections + 1
            }
            None => 1,
        };
        self.order.insert(age, key.clone());
        self.entries.insert(key.clone(), Entry { line, connections, age });
        Some(key)
    }

    /// One connection of an entry is gone.
    pub(crate) fn go(&mut self, key: &str) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.connections -= 1;
        if entry.connections == 0 {
            self.order.remove(&entry.age);
            self.entries.remove(key);
            self.version += 1;
        }
    }

    /// How often it has changed.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The newest entries, as a JSON list.
    pub(crate) fn list(&self) -> String {
        let newest = self.order.values().rev().take(MAX_LISTED);
        let lines = newest.filter_map(|key| Some(&*self.entries.get(key)?.line));
        format!("[{}]", lines.collect::<Vec<_>>().join(","))
    }
}

/// As much of what a client says of itself as is shown.
fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(64)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hatchery_access::Caller;
    use hatchery_protocol::ClientInfo;
    use serde_json::Value;

    use super::{MAX_LISTED, Presence, Seen};

    fn client(mode: &str, instance: &str) -> ClientInfo {
        ClientInfo {
            id: "test".to_owned(),
            mode: mode.to_owned(),
            instance_id: Some(instance.to_owned()),
            ..ClientInfo::default()
        }
    }

    fn listed(presence: &Presence) -> Vec<String> {
        let list: Vec<Value> = serde_json::from_str(&presence.list()).unwrap();
        list.iter().map(|entry| entry["instanceId"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn one_device_is_one_entry_until_its_last_connection_is_gone() {
        let mut presence = Presence::default();
        let one = client("ui", "one");
        let seen = Seen { client: Some(&one), ..Seen::default() };
        let key = presence.come(1, &Caller::Owner, &seen).unwrap();
        presence.come(2, &Caller::Owner, &seen).unwrap();
        assert_eq!(listed(&presence), ["one"]);
        presence.go(&key);
        assert_eq!(listed(&presence), ["one"]);
        let version = presence.version();
        presence.go(&key);
        assert!(listed(&presence).is_empty());
        assert_eq!(presence.version(), version + 1);
    }

    #[test]
    fn commands_are_not_shown_and_the_list_is_bounded() {
        let mut presence = Presence::default();
        for number in 0..=MAX_LISTED {
            let client = client("ui", &number.to_string());
            presence.come(0, &Caller::Owner, &Seen { client: Some(&client), ..Seen::default() });
        }
        let cli = client("cli", "cli");
        let fleeting = Seen { client: Some(&cli), ..Seen::default() };
        assert_eq!(presence.come(0, &Caller::Owner, &fleeting), None);
        let listed = listed(&presence);
        assert_eq!(listed.len(), MAX_LISTED);
        assert_eq!(listed[0], MAX_LISTED.to_string());
    }
}
