//! A value and where it came from.

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

/// What stands where a secret would be shown. OpenClaw's clients know this word.
pub const REDACTED: &str = "__OPENCLAW_REDACTED__";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line; the flag with its dashes.
    Flag(&'static str),
    /// The environment; the variable's name.
    Environment(String),
    /// A file.
    File {
        /// The file's path.
        path: PathBuf,
        /// The line of the value, from 1.
        line: u32,
    },
    /// Nobody set it.
    Default,
}

/// `--port`, `HATCHERY_GATEWAY_PORT`, `gateway.json:4` or `default`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Environment(variable) => f.write_str(variable),
            Self::File { path, line } => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                write!(f, "{}:{line}", name.to_string_lossy())
            }
            Self::Default => f.write_str("default"),
        }
    }
}

/// One key with the value in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The key from the root, joined with dots: `gateway.auth.mode`.
    pub key: String,
    /// The value as the gateway uses it: `~` expanded, ids in lower case, secrets redacted.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}
