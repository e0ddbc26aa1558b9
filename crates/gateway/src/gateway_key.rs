//! The gateway's own key: by it others can tell that it is the same gateway as before.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha256};

/// The gateway's key, drawn when it is first asked for and kept in a file only the owner can read.
#[derive(Debug)]
pub(crate) struct GatewayKey {
    path: PathBuf,
    identity: Mutex<Option<Identity>>,
}

/// What everybody may know of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The SHA-256 of the public key, in lower-case hexadecimal.
    pub(crate) device_id: String,
    /// The raw public key, in base64url.
    pub(crate) public_key: String,
}

/// The key cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// The file refuses.
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    /// The file holds something else.
    #[error("{path} does not hold a key; move it away and a new one is made")]
    NoKey { path: PathBuf },
    /// The system's source of randomness failed.
    #[error("the system gives no random numbers: {0}")]
    NoRandomness(#[from] getrandom::Error),
}

impl GatewayKey {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, identity: Mutex::new(None) }
    }

    /// The gateway's identity; the first time it is read from the disk, or made and written there.
    pub(crate) fn identity(&self) -> Result<Identity, KeyError> {
        let mut known = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(identity) = &*known {
            return Ok(identity.clone());
        }
        let key = read_or_make(&self.path)?;
        let public = key.verifying_key().to_bytes();
        let digest = Sha256::digest(public);
        let identity = Identity {
            device_id: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            public_key: URL_SAFE_NO_PAD.encode(public),
        };
        Ok(known.insert(identity).clone())
    }
}

fn read_or_make(path: &Path) -> Result<SigningKey, KeyError> {
    let file = |source| KeyError::File { path: path.to_owned(), source };
    match fs::read(path) {
        Ok(bytes) => {
            let bytes = bytes.try_into().map_err(|_| KeyError::NoKey { path: path.to_owned() })?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(file)?;
            Ok(SigningKey::from_bytes(&bytes))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed)?;
            // Written beside and moved: a half-written key would be another key.
            let fresh = path.with_extension("key.new");
            write_private(&fresh, &seed).map_err(file)?;
            fs::rename(&fresh, path).map_err(file)?;
            Ok(SigningKey::from_bytes(&seed))
        }
        Err(error) => Err(file(error)),
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::{GatewayKey, KeyError};

    #[test]
    fn the_key_is_the_same_each_time_and_nobody_else_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.key");
        let first = GatewayKey::at(path.clone()).identity().unwrap();
        assert_eq!(GatewayKey::at(path.clone()).identity().unwrap(), first);
        assert_eq!(first.device_id.len(), 64);
        assert_eq!(first.public_key.len(), 43);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);

        let other = GatewayKey::at(directory.path().join("other.key")).identity().unwrap();
        assert_ne!(other, first);

        std::fs::write(&path, "short").unwrap();
        let error = GatewayKey::at(path).identity().unwrap_err();
        assert!(matches!(error, KeyError::NoKey { .. }));
    }
}
