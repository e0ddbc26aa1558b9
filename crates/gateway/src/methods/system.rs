//! `system.info` and `gateway.identity.get`: the machine, and who the gateway is on it.

use std::fs;

use hatchery_access::{Permit, Read, Refusal};
use serde_json::{Value, json};

use crate::clock::now_ms;
use crate::gateway::Shared;
use crate::supervisor::unavailable;

/// The machine the gateway runs on.
pub(crate) fn info(shared: &Shared, _permit: &Permit<Read>) -> Value {
    let host = kernel("hostname");
    let release = kernel("osrelease");
    let (total, free) = memory();
    let mut info = json!({
        "machineName": host,
        "hostname": host,
        "platform": std::env::consts::OS,
        "release": release,
        "arch": std::env::consts::ARCH,
        "osLabel": format!("{} {release}", std::env::consts::OS).trim_end(),
        // This gateway does not run on Node.
        "nodeVersion": "",
        "pid": std::process::id(),
        "uptimeMs": now_ms().saturating_sub(shared.started_at_ms),
        "cpuCount": std::thread::available_parallelism().map_or(1, usize::from),
        "memoryTotalBytes": total,
        "memoryFreeBytes": free,
    });
    if let Some(address) = shared.address {
        info["port"] = json!(address.port());
    }
    info
}

/// What the kernel says of itself; empty where it does not say.
fn kernel(name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    text.trim().to_owned()
}

/// All memory and what of it is to be had, in bytes; 0 where the system does not say.
fn memory() -> (u64, u64) {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim_start_matches(':').split_whitespace().next()?.parse().ok()?;
        Some(kib * 1024)
    };
    (field("MemTotal").unwrap_or_default(), field("MemAvailable").unwrap_or_default())
}

/// The gateway's own key, by which it is known again.
pub(crate) fn identity(shared: &Shared, _permit: &Permit<Read>) -> Result<Value, Refusal> {
    let identity = shared.key.identity().map_err(|error| unavailable("NO_GATEWAY_KEY", error))?;
    Ok(json!({"deviceId": identity.device_id, "publicKey": identity.public_key}))
}
