//! Where `hatchery.json` is.

use std::path::PathBuf;

use etcetera::BaseStrategy as _;

use super::Lookup;

/// The variable that names `hatchery.json`.
const PATH_VARIABLE: &str = "HATCHERY_CONFIG_PATH";

/// There is no directory to look for configuration in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no home directory is known: set HOME, or name the file with {PATH_VARIABLE}")]
pub struct NoConfigDirectory;

/// The path of `hatchery.json`: `HATCHERY_CONFIG_PATH`, else `hatchery/hatchery.json` in the
/// platform's configuration directory (on Linux `XDG_CONFIG_HOME`, else `~/.config`). The file
/// need not exist.
///
/// # Errors
/// [`NoConfigDirectory`] when neither is known.
pub fn hatchery_json(env: Lookup<'_>) -> Result<PathBuf, NoConfigDirectory> {
    if let Some(path) = env(PATH_VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    let platform = etcetera::base_strategy::choose_native_strategy();
    let directory = platform.map_err(|_| NoConfigDirectory)?.config_dir();
    Ok(directory.join("hatchery").join("hatchery.json"))
}
