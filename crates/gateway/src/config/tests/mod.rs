//! The rules of configuration, each as a test. Every test has a directory and an environment of
//! its own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod changes;
mod edits;
mod faults;
mod models;
mod sources;
mod suggestions;
mod table;
mod values;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::{Config, ConfigError, Flags, Setting, Sources};

/// A directory with the two files, an environment and flags.
struct World {
    directory: TempDir,
    environment: HashMap<String, String>,
    flags: Flags,
    home: Option<PathBuf>,
}

impl World {
    fn new() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            environment: HashMap::new(),
            flags: Flags::default(),
            home: Some("/home/ada".into()),
        }
    }

    fn hatchery(text: &str) -> Self {
        let world = Self::new();
        world.write("hatchery.json", text);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn env(mut self, variable: &str, value: &str) -> Self {
        self.environment.insert(variable.into(), value.into());
        self
    }

    fn with<T>(&self, act: impl FnOnce(&Sources<'_>) -> T) -> T {
        act(&Sources {
            hatchery_json: self.path("hatchery.json"),
            flags: self.flags.clone(),
            env: &|name| self.environment.get(name).cloned(),
            home: self.home.clone(),
        })
    }

    fn load(&self) -> Result<Config, ConfigError> {
        self.with(Config::load)
    }

    fn config(&self) -> Config {
        self.load().unwrap()
    }

    /// The message of the error, with the directory cut off.
    fn message(&self) -> String {
        let message = self.load().expect_err("loaded").to_string();
        message.replace(&format!("{}/", self.directory.path().display()), "")
    }
}

fn setting(config: &Config, key: &str) -> Setting {
    let found = config.settings().iter().find(|setting| setting.key == key);
    found.unwrap_or_else(|| panic!("no setting {key}")).clone()
}

/// Value and origin in one line, as `config show` would print them.
fn shown(config: &Config, key: &str) -> (Value, String) {
    let setting = setting(config, key);
    (setting.value, setting.origin.to_string())
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
