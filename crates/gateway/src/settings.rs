//! The settings in force, read again when a file has changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hatchery_spawn::Policy;

use crate::config::{Config, ConfigError, Fingerprint, Sources};
use crate::policy::policy;

/// The settings in force. They follow the files: whoever asks gets what stands there now, or what
/// stood there last while it was still right.
pub(crate) struct Settings {
    sources: Sources<'static>,
    current: Mutex<Current>,
}

struct Current {
    fingerprint: Fingerprint,
    config: Arc<Config>,
    policy: Arc<Policy>,
}

impl Settings {
    /// Reads the settings for the first time.
    ///
    /// # Errors
    /// [`ConfigError`]: a gateway does not start with settings it does not understand.
    pub(crate) fn load(sources: Sources<'static>) -> Result<Self, ConfigError> {
        let current = Current::read(&sources)?;
        Ok(Self { sources, current: Mutex::new(current) })
    }

    /// The file most settings stand in, whether it is there or not.
    pub(crate) fn path(&self) -> &Path {
        &self.sources.hatchery_json
    }

    /// The settings as they are now.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.refreshed(|current| Arc::clone(&current.config))
    }

    /// What decisions need of the settings as they are now.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.refreshed(|current| Arc::clone(&current.policy))
    }

    fn refreshed<T>(&self, take: impl FnOnce(&Current) -> T) -> T {
        let fingerprint = self.sources.fingerprint();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if fingerprint != current.fingerprint {
            match Current::read(&self.sources) {
                Ok(read) => {
                    tracing::info!("the configuration has changed and was read again");
                    *current = read;
                }
                Err(error) => {
                    tracing::error!("the changed configuration is not used: {error}");
                    // Said once for each state of the files, not at every look.
                    current.fingerprint = fingerprint;
                }
            }
        }
        take(&current)
    }
}

impl Current {
    fn read(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        // Taken first: a change while reading is then seen at the next look.
        let fingerprint = sources.fingerprint();
        let config = Config::load(sources)?;
        let mut policy = policy(&config);
        for agent in policy.agents.values_mut() {
            agent.workspace = agent.workspace.as_deref().map(usable);
        }
        let policy = Arc::new(policy);
        Ok(Self { fingerprint, config: Arc::new(config), policy })
    }
}

/// A configured workspace as the kernel sees it, made where it is missing. What cannot be made is
/// left as it stands: a run that wants it says why it cannot start.
fn usable(workspace: &Path) -> PathBuf {
    if let Err(error) = fs::create_dir_all(workspace) {
        tracing::warn!("the workspace {} cannot be made: {error}", workspace.display());
    }
    fs::canonicalize(workspace).unwrap_or_else(|_| workspace.to_owned())
}
