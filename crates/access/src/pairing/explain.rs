//! Why a device or a request stands as it does, rule by rule, and the command that changes it.

use std::collections::BTreeSet;

use hatchery_protocol::{Role, Scope};
use serde::Serialize;

use super::{PairedDevice, PairingState, PendingRequest, within};

/// How much of an id has to be given.
const MIN_PREFIX: usize = 4;

/// Why a device or a request stands as it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What is explained, in one sentence.
    pub subject: String,
    /// The rules it was held against.
    pub rules: Vec<RuleLine>,
    /// The commands that let it in, or would. None where nothing is missing.
    pub commands: Vec<String>,
}

/// One rule, and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleLine {
    /// The rule.
    pub rule: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// What was found.
    pub says: String,
}

fn line(rule: &'static str, holds: bool, says: impl Into<String>) -> RuleLine {
    RuleLine { rule, holds, says: says.into() }
}

fn list(scopes: &BTreeSet<Scope>) -> String {
    if scopes.is_empty() {
        return "none".to_owned();
    }
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ")
}

impl PairingState {
    /// Explains a request or a device, by its id or an unambiguous beginning of one. `None` where
    /// there is no such thing, or several begin so.
    #[must_use]
    pub fn explain(&self, id: &str, now_ms: u64) -> Option<Explanation> {
        let id = id.trim();
        if id.len() < MIN_PREFIX {
            return None;
        }
        let mut requests =
            self.pending(now_ms).filter(|one| one.request_id.as_str().starts_with(id));
        let mut devices = self.devices().filter(|one| one.device_id.as_str().starts_with(id));
        match (requests.next(), requests.next(), devices.next(), devices.next()) {
            (Some(request), None, None, _) => Some(self.explain_request(request, now_ms)),
            (None, _, Some(device), None) => Some(self.explain_device(device, now_ms)),
            (None, _, None, _) => {
                // A device that is not let in is known by what it asks.
                let asks = |one: &&PendingRequest| one.device_id.as_str().starts_with(id);
                let request = self.pending(now_ms).find(asks)?;
                Some(self.explain_request(request, now_ms))
            }
            _ => None,
        }
    }

    fn explain_request(&self, request: &PendingRequest, now_ms: u64) -> Explanation {
        let known = self.devices.get(&request.device_id);
        let same_key = known.is_none_or(|known| known.public_key == request.public_key);
        let role = request.role;
        let has_role = known.is_some_and(|known| known.live_token(role).is_some());
        let ceiling = known.map(|known| known.ceiling(role)).unwrap_or_default();
        let missing: BTreeSet<Scope> =
            request.scopes.difference(&within(&request.scopes, &ceiling)).copied().collect();
        let left = request.expires_at_ms().saturating_sub(now_ms) / 1000;
        let rules = vec![
            line("device key", true, format!("it proved to hold the key of {}", request.device_id)),
            line(
                "paired",
                known.is_some() && same_key,
                match known {
                    None => "the device is not known".to_owned(),
                    Some(_) if !same_key => "the device is known with another key".to_owned(),
                    Some(known) => format!("the device is known as \"{}\"", known.name()),
                },
            ),
            line(
                "role",
                has_role,
                if has_role {
                    format!("{role} is approved")
                } else {
                    format!("{role} is not approved, or its token was revoked")
                },
            ),
            line(
                "scopes",
                missing.is_empty(),
                format!(
                    "asked: {}; approved: {}; missing: {}",
                    list(&request.scopes),
                    list(&ceiling),
                    list(&missing)
                ),
            ),
            line(
                "platform",
                known.is_none_or(|known| {
                    known.platform.eq_ignore_ascii_case(&request.about.platform)
                }),
                match known {
                    None => format!("it says it runs on {}", request.about.platform),
                    Some(known) => format!(
                        "it says it runs on {}, and said {} before",
                        request.about.platform, known.platform
                    ),
                },
            ),
            line("approved without asking", false, request.because.in_words()),
            line("waits", true, format!("{left} s from now, longer if it asks again")),
        ];
        let name = request.about.display_name.as_deref().unwrap_or(&request.about.client_id);
        Explanation {
            subject: format!(
                "\"{name}\" from {} asks to be let in: {}",
                request.remote_ip,
                request.reason.in_words()
            ),
            rules,
            commands: vec![
                request.approve_command(),
                format!("hatchery devices reject {}", request.request_id),
            ],
        }
    }

    fn explain_device(&self, device: &PairedDevice, now_ms: u64) -> Explanation {
        let mut rules = vec![line(
            "paired",
            true,
            format!(
                "let in by {}; baseline: {}",
                device.approved_via.as_str(),
                list(&device.scopes)
            ),
        )];
        let mut is_closed = false;
        for role in [Role::Operator, Role::Node] {
            let Some(token) = device.tokens.get(&role).filter(|_| device.roles.contains(&role))
            else {
                continue;
            };
            let (holds, says) = if !token.is_live() {
                is_closed = true;
                (false, "its token was revoked: the role is closed until it is approved anew")
            } else if token.hash.is_none() {
                (true, "approved; it gets its token when it connects with the shared secret")
            } else {
                (true, "approved, and it has its token")
            };
            rules.push(line("role", holds, format!("{role}: {says}")));
            if role == Role::Operator && holds {
                let says = format!("it may have: {}", list(&device.ceiling(role)));
                rules.push(line("scopes", !token.held_down, says));
                if token.held_down {
                    let says = "lowered by hand; more has to be approved, on loopback too";
                    rules.push(line("held down", false, says));
                }
            }
        }
        if device.roles.contains(&Role::Node) {
            let commands: Vec<&str> = device.node_commands.iter().map(String::as_str).collect();
            let says = if commands.is_empty() {
                "nothing may be asked of it".to_owned()
            } else {
                format!("may be asked: {}", commands.join(", "))
            };
            rules.push(line("node commands", !commands.is_empty(), says));
        }
        let own = |one: &&PendingRequest| one.device_id == device.device_id;
        let mut commands = Vec::new();
        for request in self.pending(now_ms).filter(own) {
            let says = format!("{} waits: {}", request.request_id, request.reason.in_words());
            rules.push(line("request", false, says));
            commands.push(request.approve_command());
        }
        let offer = self.node_requests(now_ms).find(|one| one.device_id == device.device_id);
        if let Some(offer) = offer {
            let says = format!("{} waits: it offers commands", offer.request_id);
            rules.push(line("node request", false, says));
            commands.push(format!("hatchery nodes approve {}", offer.request_id));
        }
        if is_closed && commands.is_empty() {
            // It asks when it connects; without that there is nothing to approve.
            commands.push("hatchery devices list".to_owned());
        }
        Explanation {
            subject: format!("\"{}\" ({})", device.name(), device.device_id.short()),
            rules,
            commands,
        }
    }
}
