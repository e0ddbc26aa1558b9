//! What a request for approval carries on the wire, and what is kept of it.

use hatchery_access::{Caller, Refusal};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::board::{Ask, Requester, invalid};
use super::{Decision, Kind};
use crate::hub::ConnectionId;

/// How long a request waits where nothing is said, and at most, in milliseconds.
const DEFAULT_TIMEOUT_MS: u64 = 120_000;
const MAX_TIMEOUT_MS: u64 = 600_000;

/// How large what is kept of a request may be, in bytes.
const MAX_REQUEST_BYTES: usize = 128 * 1024;

/// The longest id a requester may choose, in bytes.
const MAX_ID_BYTES: usize = 128;

/// What those who decide see of a request to run a command, besides the command.
const SHOWN: [&str; 14] = [
    "cwd",
    "nodeId",
    "host",
    "security",
    "ask",
    "warningText",
    "resolvedPath",
    "sessionId",
    "runId",
    "toolCallId",
    "turnSourceChannel",
    "turnSourceTo",
    "turnSourceAccountId",
    "turnSourceThreadId",
];

/// Parameters of `exec.approval.request`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ExecParams {
    pub(crate) id: Option<String>,
    command: Option<String>,
    command_argv: Option<Vec<String>>,
    system_run_plan: Option<Plan>,
    env: Map<String, Value>,
    agent_id: Option<String>,
    session_key: Option<String>,
    unavailable_decisions: Vec<String>,
    timeout_ms: Option<u64>,
    pub(crate) two_phase: bool,
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// A command as a node has prepared it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Plan {
    argv: Vec<String>,
    cwd: Option<String>,
    command_text: String,
    command_preview: Option<String>,
    agent_id: Option<String>,
    session_key: Option<String>,
}

/// Parameters of `plugin.approval.request`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PluginParams {
    title: String,
    description: String,
    detail: Option<String>,
    severity: Option<String>,
    plugin_id: Option<String>,
    tool_name: Option<String>,
    tool_call_id: Option<String>,
    agent_id: Option<String>,
    session_key: Option<String>,
    allowed_decisions: Option<Vec<Decision>>,
    timeout_ms: Option<u64>,
    #[serde(default)]
    pub(crate) two_phase: bool,
}

impl ExecParams {
    pub(super) fn into_ask(self, caller: &Caller, from: ConnectionId) -> Result<Ask, Refusal> {
        let mut more = self.more;
        let plan = self.system_run_plan.unwrap_or_default();
        let argv = self.command_argv.or(Some(plan.argv)).filter(|argv| !argv.is_empty());
        let text = self
            .command
            .or(Some(plan.command_text))
            .filter(|text| !text.trim().is_empty())
            .or_else(|| argv.as_ref().map(|argv| argv.join(" ")))
            .ok_or_else(|| invalid("NO_COMMAND", "invalid params: command is required"))?;
        if let Some(cwd) = plan.cwd {
            more.entry("cwd").or_insert(json!(cwd));
        }
        let (agent, session) =
            origin(caller, self.agent_id.or(plan.agent_id), self.session_key.or(plan.session_key));
        let mut allowed = Decision::ALL.to_vec();
        if self.unavailable_decisions.iter().any(|word| word == Decision::AllowAlways.as_str()) {
            allowed.retain(|decision| *decision != Decision::AllowAlways);
        }
        let exactly = json!([
            text,
            argv,
            more.get("cwd"),
            more.get("host"),
            more.get("nodeId"),
            self.env,
            agent
        ]);
        let mut request = json!({
            "command": text,
            "commandPreview": plan.command_preview,
            "agentId": agent,
            "sessionKey": session,
            "allowedDecisions": allowed,
        });
        if let Some(argv) = argv {
            request["commandArgv"] = json!(argv);
        }
        if !self.env.is_empty() {
            // The values can be secrets.
            request["envKeys"] = self.env.keys().map(String::as_str).collect();
        }
        for name in SHOWN {
            request[name] = more.remove(name).unwrap_or_default();
        }
        Ask::new(Kind::Exec, request, exactly, allowed, requester(caller, from), self.timeout_ms)
    }
}

impl PluginParams {
    pub(super) fn into_ask(self, caller: &Caller, from: ConnectionId) -> Result<Ask, Refusal> {
        for (name, text, limit) in
            [("title", &self.title, 80), ("description", &self.description, 512)]
        {
            if text.trim().is_empty() || text.chars().count() > limit {
                let message = format!("invalid params: {name} has 1 to {limit} characters");
                return Err(invalid("BAD_REQUEST", &message));
            }
        }
        let severity = self.severity.unwrap_or_else(|| "warning".to_owned());
        if !["info", "warning", "critical"].contains(&severity.as_str()) {
            return Err(invalid("BAD_REQUEST", "invalid params: severity is none of ours"));
        }
        let (agent, session) = origin(caller, self.agent_id, self.session_key);
        let allowed = self
            .allowed_decisions
            .filter(|allowed| !allowed.is_empty())
            .unwrap_or_else(|| Decision::ALL.to_vec());
        let exactly = json!([
            self.title,
            self.description,
            self.detail,
            self.plugin_id,
            self.tool_name,
            agent
        ]);
        let request = json!({
            "title": self.title,
            "description": self.description,
            "detail": self.detail,
            "severity": severity,
            "pluginId": self.plugin_id,
            "toolName": self.tool_name,
            "toolCallId": self.tool_call_id,
            "agentId": agent,
            "sessionKey": session,
            "allowedDecisions": allowed,
        });
        Ask::new(Kind::Plugin, request, exactly, allowed, requester(caller, from), self.timeout_ms)
    }
}

impl Ask {
    fn new(
        kind: Kind,
        request: Value,
        exactly: Value,
        allowed: Vec<Decision>,
        from: Requester,
        timeout_ms: Option<u64>,
    ) -> Result<Self, Refusal> {
        let (shown, exactly) = (request.to_string().len(), exactly.to_string());
        if shown + exactly.len() > MAX_REQUEST_BYTES {
            return Err(invalid("REQUEST_TOO_LARGE", "the request is too large to be decided on"));
        }
        let timeout_ms = timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS).clamp(1, MAX_TIMEOUT_MS);
        Ok(Self { kind, request, exactly, allowed, from, timeout_ms })
    }
}

/// For which agent and session something is asked. A run speaks for itself and for nobody else.
fn origin(
    caller: &Caller,
    agent: Option<String>,
    session: Option<String>,
) -> (Option<String>, Option<String>) {
    match caller {
        Caller::Owner | Caller::Device(_) => (agent, session),
        Caller::Run(grant) => (Some(grant.agent().to_string()), Some(grant.session().to_string())),
    }
}

fn requester(caller: &Caller, connection: ConnectionId) -> Requester {
    match caller {
        Caller::Run(grant) => {
            Requester { run: Some(grant.run().clone()), name: grant.run().to_string() }
        }
        Caller::Owner | Caller::Device(_) => {
            Requester { run: None, name: format!("connection {connection}") }
        }
    }
}

/// Whether a requester may choose this id: short, and fit for an address.
pub(super) fn check_id(id: &str) -> Result<(), Refusal> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if id.is_empty()
        || id.len() > MAX_ID_BYTES
        || !id.bytes().all(fits)
        || [".", ".."].contains(&id)
    {
        return Err(invalid("BAD_APPROVAL_ID", "invalid params: id is no id of an approval"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hatchery_access::Caller;
    use serde_json::{Value, json};

    use super::{Ask, ExecParams, PluginParams, Refusal, check_id};

    fn exec(params: Value) -> Result<Ask, Refusal> {
        let params: ExecParams = serde_json::from_value(params).unwrap();
        params.into_ask(&Caller::Owner, 1)
    }

    #[test]
    fn what_is_to_be_run_is_taken_from_wherever_it_stands() {
        for (params, command) in [
            (json!({"command": "ls -l", "commandArgv": ["ls", "-l"]}), "ls -l"),
            (json!({"commandArgv": ["ls", "-l"]}), "ls -l"),
            (
                json!({"systemRunPlan": {"argv": ["a"], "commandText": "a", "cwd": null,
                "agentId": null, "sessionKey": null}}),
                "a",
            ),
        ] {
            assert_eq!(exec(params).unwrap().request["command"], command);
        }
        for params in [json!({}), json!({"command": " "}), json!({"commandArgv": []})] {
            assert_eq!(exec(params).unwrap_err().code, "NO_COMMAND");
        }
    }

    #[test]
    fn the_values_of_the_environment_are_not_shown_but_bind_the_decision() {
        let one = exec(json!({"command": "ls", "env": {"KEY": "secret"}})).unwrap();
        assert!(!one.request.to_string().contains("secret"));
        assert_eq!(one.request["envKeys"], json!(["KEY"]));
        let other = exec(json!({"command": "ls", "env": {"KEY": "other"}})).unwrap();
        assert_ne!(one.exactly, other.exactly);
        let elsewhere = exec(json!({"command": "ls", "env": {"KEY": "secret"}, "cwd": "/x"}));
        assert_ne!(elsewhere.unwrap().exactly, one.exactly);
    }

    #[test]
    fn a_request_has_bounds() {
        let large = "x".repeat(super::MAX_REQUEST_BYTES);
        assert_eq!(exec(json!({"command": large})).unwrap_err().code, "REQUEST_TOO_LARGE");
        let asked = exec(json!({"command": "ls", "timeoutMs": 10_000_000})).unwrap();
        assert_eq!(asked.timeout_ms, super::MAX_TIMEOUT_MS);
        for (title, good) in [("t".repeat(80), true), ("t".repeat(81), false), (" ".into(), false)]
        {
            let params: PluginParams =
                serde_json::from_value(json!({"title": title, "description": "d"})).unwrap();
            assert_eq!(params.into_ask(&Caller::Owner, 1).is_ok(), good);
        }
    }

    #[test]
    fn an_id_is_short_and_plain() {
        for good in ["a", "plugin:1-2_3.4", &"x".repeat(128)] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", &"x".repeat(129)] {
            assert!(check_id(bad).is_err(), "{bad}");
        }
    }
}
