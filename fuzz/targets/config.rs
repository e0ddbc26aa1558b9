//! The two files of the configuration, as anybody may have written them.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use config::{AllowList, Config, Flags, Sources, allow_agent};
use hatchery_protocol::AgentId;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

#[path = "../../crates/gateway/src/config/mod.rs"]
#[allow(dead_code, unused_imports)]
mod config;

/// Nobody writes this but the seeds, so it shows where a secret went.
const MARK: &str = "hunter2hunter2";

/// Memory where there is some: every round writes both files.
static PLACE: LazyLock<TempDir> =
    LazyLock::new(|| TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a directory"));

fuzz_target!(|bytes: &[u8]| {
    let (hatchery, gateway) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], Some(&bytes[at + 1..])),
        None => (bytes, None),
    };
    let hatchery_json = PLACE.path().join("hatchery.json");
    let gateway_json = PLACE.path().join("gateway.json");
    fs::write(&hatchery_json, hatchery).expect("the file can be written");
    match gateway {
        Some(gateway) => fs::write(&gateway_json, gateway).expect("the file can be written"),
        None => drop(fs::remove_file(&gateway_json)),
    }
    let sources = Sources {
        hatchery_json: hatchery_json.clone(),
        flags: Flags::default(),
        env: &|_| None,
        home: Some("/home/ada".into()),
    };
    match Config::load(&sources) {
        Ok(config) => {
            // A secret stands under a secret's key only where the seeds put it.
            let secret = config.gateway.auth.token.as_ref().is_some_and(|s| s.expose() == MARK);
            if secret && count(hatchery) + count(gateway.unwrap_or_default()) == 1 {
                let shown = format!("{config:?} {:?}", config.settings());
                assert!(!shown.contains(MARK), "a secret shows");
            }
            // What was well-formed is so after an edit too, and the edit holds.
            let agent = AgentId::main();
            if allow_agent(&hatchery_json, AllowList::Acp, &agent).is_ok() {
                let edited = Config::load(&sources).expect("an edited file loads");
                assert!(edited.acp.allowed_agents.names(&agent), "the edit does not hold");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

fn count(bytes: &[u8]) -> usize {
    bytes.windows(MARK.len()).filter(|part| *part == MARK.as_bytes()).count()
}
