//! Where configuration comes from.

use std::fmt;
use std::path::PathBuf;

use super::files::Fingerprint;

/// Looks up a variable of the environment. A set but empty variable counts as not set.
pub type Lookup<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// What the command line sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--port`.
    pub port: Option<u16>,
    /// `--bind`: the words and addresses `gateway.bind` takes.
    pub bind: Option<String>,
}

/// Where configuration comes from. The files are read anew by each
/// [`Config::load`](super::Config::load), so one `Sources` serves start and reload.
#[derive(Clone)]
pub struct Sources<'a> {
    /// The path of `hatchery.json`; `gateway.json` is looked for beside it.
    pub hatchery_json: PathBuf,
    /// What the command line sets.
    pub flags: Flags,
    /// The environment, handed in so that tests bring their own.
    pub env: Lookup<'a>,
    /// What `~` stands for. Without it a path with `~` is an error.
    pub home: Option<PathBuf>,
}

impl Sources<'_> {
    /// The path of `gateway.json`.
    #[must_use]
    pub fn gateway_json(&self) -> PathBuf {
        self.hatchery_json.with_file_name("gateway.json")
    }

    /// What the two files look like now. Two equal fingerprints mean that nobody wrote to them
    /// in between. Blocks on the disk.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.hatchery_json, &self.gateway_json())
    }
}

/// The environment can hold secrets, so it stays out.
impl fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("hatchery_json", &self.hatchery_json)
            .field("flags", &self.flags)
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}
