//! What can be wrong with configuration.
//!
//! Every message says where, what was expected, and what to write instead. None repeats a value
//! of a key that holds a secret.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::kind::{Fault, Problem};

/// Where something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file; line and column count from 1, columns in characters.
    File {
        /// The file's path.
        path: PathBuf,
        /// The line.
        line: u32,
        /// The column.
        column: u32,
    },
    /// In a variable of the environment.
    Environment(String),
    /// On the command line; the flag with its dashes.
    Flag(&'static str),
}

/// `/etc/hatchery.json:3:7`, `HATCHERY_GATEWAY_PORT` or `--bind`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => {
                write!(f, "{}:{line}:{column}", path.display())
            }
            Self::Environment(variable) => f.write_str(variable),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// Why configuration could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file is there but cannot be read.
    #[error("cannot read {}: {source}. Check its permissions and that it is UTF-8 text.", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not JSON5.
    #[error("{at}: not valid JSON5: {reason}.")]
    Syntax {
        /// Where.
        at: Place,
        /// What the parser expected.
        reason: String,
    },
    /// Nobody knows this key.
    #[error("{at}: unknown key `{key}`. {}", remedy(nearest.as_deref(), known))]
    UnknownKey {
        /// Where the key is.
        at: Place,
        /// The key from the root, as written.
        key: String,
        /// The key that was probably meant, from the root.
        nearest: Option<String>,
        /// The names known at this level.
        known: String,
    },
    /// A section stands in `gateway.json` that belongs into `hatchery.json`.
    #[error(
        "{at}: `{key}` does not belong here: this file holds gateway, security and acp. Move it to hatchery.json."
    )]
    WrongFile {
        /// Where the section is.
        at: Place,
        /// The section.
        key: String,
    },
    /// One file sets the same key twice.
    #[error("{at}: `{key}` is set a second time. Remove one of the two.")]
    Duplicate {
        /// Where the second one is.
        at: Place,
        /// The key from the root.
        key: String,
    },
    /// The value is of another type.
    #[error("{at}: `{key}` is {found}, but has to be {expected}. {}", null_remedy(found))]
    WrongType {
        /// Where the value is.
        at: Place,
        /// The key from the root.
        key: String,
        /// What it has to be.
        expected: String,
        /// What it is.
        found: &'static str,
    },
    /// The number is too small or too large.
    #[error("{at}: `{key}` is {found}. Set it to a number from {min} to {max}.")]
    OutOfRange {
        /// Where the value is.
        at: Place,
        /// The key from the root.
        key: String,
        /// The number.
        found: i64,
        /// The least it may be.
        min: i64,
        /// The most it may be.
        max: i64,
    },
    /// The value is of the right type and means nothing.
    #[error("{at}: `{key}`: {reason}.")]
    Invalid {
        /// Where the value is.
        at: Place,
        /// The key from the root.
        key: String,
        /// What is wrong and what to write instead.
        reason: String,
    },
    /// `gateway.bind` is `custom` and no address is set.
    #[error(
        "gateway.bind is custom, but gateway.customBindHost is not set. Set it to an IP address of this machine, or set gateway.bind to loopback."
    )]
    NoCustomHost,
    /// A provider is configured and nobody knows where it is.
    #[error(
        "models.providers.{provider}.baseUrl is not set. Set it to the provider's address, such as https://api.example.com/v1, or remove the provider."
    )]
    NoBaseUrl {
        /// The provider.
        provider: String,
    },
    /// A key is to come from a variable that is not there.
    #[error(
        "{key} is to come from the environment variable {variable}, which is not set. Set it where the gateway is started, or write the key itself."
    )]
    NoSuchVariable {
        /// The key from the root.
        key: String,
        /// The variable.
        variable: String,
    },
    /// The table of keys and the types disagree.
    #[error(
        "the program's own table of keys is inconsistent ({0}). This is a fault in hatchery, not in your file; please report it."
    )]
    Schema(#[from] serde_json::Error),
}

fn remedy(nearest: Option<&str>, known: &str) -> String {
    match nearest {
        Some(nearest) => format!("Did you mean `{nearest}`?"),
        None => format!("Known here: {known}."),
    }
}

fn null_remedy(found: &str) -> &'static str {
    if found == "null" { "Remove the key to get the default." } else { "Change the value." }
}

/// Puts a place and a key to a fault.
pub(crate) fn refused(at: Place, key: &str, fault: Fault) -> ConfigError {
    let key = key.to_owned();
    match fault.problem {
        Problem::WrongType { expected, found } => {
            ConfigError::WrongType { at, key, expected, found }
        }
        Problem::OutOfRange { found, min, max } => {
            ConfigError::OutOfRange { at, key, found, min, max }
        }
        Problem::Invalid(reason) => ConfigError::Invalid { at, key, reason },
    }
}
