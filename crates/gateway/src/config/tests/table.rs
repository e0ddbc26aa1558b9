//! The table of keys and the types say the same.

use std::fs;

use serde_json::{Value, json};

use super::{World, shown};
use crate::config::schema::{ANY, KEYS};

/// A file that sets every key there is to a value it takes.
const EVERYTHING: &str = r#"{
  gateway: {
    port: 1, bind: "custom", customBindHost: "10.1.2.3", mode: "local",
    auth: {
      mode: "trusted-proxy", token: "t", password: "p",
      rateLimit: { maxAttempts: 3, windowMs: 1000, lockoutMs: 1000 },
      trustedProxy: { userHeader: "x-user", requiredHeaders: ["x-a"], allowUsers: ["ann"] },
    },
    trustedProxies: ["10.0.0.0/8", "::1"],
    handshakeTimeoutMs: 1000,
    tls: { enabled: true, autoGenerate: false, certPath: "/c.pem", keyPath: "~/k.pem" },
    controlUi: {
      enabled: false, basePath: "/ui", root: "/srv/ui", allowedOrigins: ["https://a.example"],
      allowInsecureAuth: true, dangerouslyDisableDeviceAuth: true,
    },
    nodes: { pairing: { autoApproveLocal: false } },
    pairing: { loopbackExempt: true, internalSpawnBypass: false },
  },
  security: {
    enforcePairing: false, allowExemptionsBeyondLoopback: true,
    devicePairing: { requireForExternal: false, skipForLoopback: true },
  },
  acp: { enabled: false, allowedAgents: ["a"], defaultAgent: "a", maxConcurrentSessions: 3 },
  agents: {
    defaults: {
      model: "m", workspace: "/w",
      subagents: {
        maxSpawnDepth: 5, maxChildrenPerAgent: 20, maxConcurrent: 1,
        allowAgents: ["*"], requireAgentId: true, runTimeoutSeconds: 60,
        queueTimeoutSeconds: 60, startTimeoutSeconds: 60, idleTimeoutSeconds: 60,
        archiveAfterMinutes: 30,
        budget: {
          tokens: 1, costUsdCents: 1, wallSeconds: 1, descendants: 1, concurrency: 1,
        },
      },
    },
    entries: {
      helper: {
        model: "m", workspace: "/w",
        runtime: { type: "acp", acp: { command: ["x", "y"] } },
        subagents: { allowAgents: [], requireAgentId: false, model: { primary: "m", fallbacks: ["n"] } },
      },
    },
  },
  models: {
    mode: "replace",
    providers: {
      local: {
        baseUrl: "http://127.0.0.1:8080/v1", apiKey: "k", api: "openai-completions",
        headers: { "X-Team": "t" },
        models: [{
          id: "m", name: "M", contextWindow: 8192, maxTokens: 1024, reasoning: false,
          input: ["text"], cost: { input: 0.5, output: 1 },
        }],
      },
    },
  },
}"#;

#[test]
fn every_key_of_the_table_can_be_set_and_has_a_field() {
    let config = World::hatchery(EVERYTHING).config();
    assert_eq!(config.settings().len(), KEYS.len());
    for setting in config.settings() {
        assert_ne!(setting.origin.to_string(), "default", "{} was not read", setting.key);
        assert!(!setting.value.is_null(), "{} has no value", setting.key);
    }
}

#[test]
fn no_file_at_all_gives_the_defaults() {
    let config = World::new().config();
    let defaults = [
        ("gateway.port", json!(18789)),
        ("gateway.bind", json!("loopback")),
        ("gateway.auth.mode", json!("token")),
        ("gateway.auth.token", json!(null)),
        ("gateway.pairing.internalSpawnBypass", json!(true)),
        ("security.enforcePairing", json!(true)),
        ("acp.allowedAgents", json!([])),
        ("acp.maxConcurrentSessions", json!(null)),
        ("agents.defaults.subagents.maxSpawnDepth", json!(1)),
        ("agents.defaults.subagents.maxChildrenPerAgent", json!(5)),
        ("agents.defaults.subagents.maxConcurrent", json!(8)),
    ];
    for (key, value) in defaults {
        assert_eq!(shown(&config, key), (value, "default".to_owned()), "{key}");
    }
    let general = KEYS.iter().filter(|key| !key.path.contains(ANY));
    assert_eq!(config.settings().len(), general.count());
}

#[test]
fn an_agent_without_keys_is_an_agent() {
    let config = World::hatchery("{agents: {entries: {Helper: {}}}}").config();
    let names: Vec<_> = config.agents.entries.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["helper"]);
    assert_eq!(shown(&config, "agents.entries.helper.model"), (json!(null), "default".to_owned()));
}

#[test]
fn every_key_and_its_default_are_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let document = fs::read_to_string(path).unwrap();
    for key in KEYS {
        let name =
            key.path.replace("entries.*", "entries.ID").replace("providers.*", "providers.NAME");
        let fallback = match key.fallback.value() {
            Value::Null => "none".to_owned(),
            Value::Number(number) => number.to_string(),
            Value::String(word) => format!("`{word}`"),
            other => format!("`{other}`"),
        };
        // A provider of which nothing is said speaks what most speak.
        if name != "models.providers.NAME.api" {
            let row = format!("| `{name}` | {fallback} |");
            assert!(document.contains(&row), "{row}");
        }
    }
}
