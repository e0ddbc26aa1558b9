//! Secrets at rest and their comparison: hashed, and in a time that tells nothing.
//!
//! SHA-256 is right for the random tokens the gateway hands out. The owner's own password goes the
//! same way only because it is compared in memory; nothing here writes it anywhere.

use std::fmt;

use hatchery_protocol::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The longest secret that is looked at, in bytes.
pub const MAX_SECRET_BYTES: usize = 4096;

/// The SHA-256 of a secret: all that is kept of it. Two of them are compared in constant time.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SecretHash([u8; 32]);

/// A text that is no hash of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no hash of a secret: 64 hexadecimal digits are")]
pub struct InvalidSecretHash;

/// The token or password the owner has configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedSecret(SecretHash);

/// A text that cannot be the shared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableSecret {
    /// Everybody would know it.
    #[error("the shared secret is empty")]
    Empty,
    /// Nobody could show it.
    #[error("the shared secret is longer than {MAX_SECRET_BYTES} bytes")]
    TooLong,
}

impl SecretHash {
    /// The hash of a secret.
    #[must_use]
    pub fn of(secret: &Secret) -> Self {
        Self(Sha256::digest(secret.reveal()).into())
    }

    /// Takes a hash that a store has kept.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this is the hash of what was shown. The time it takes depends on the length of what
    /// was shown and on nothing that is kept.
    #[must_use]
    pub fn matches(&self, shown: &Secret) -> bool {
        shown.reveal().len() <= MAX_SECRET_BYTES && *self == Self::of(shown)
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretHash {}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

impl From<SecretHash> for String {
    fn from(hash: SecretHash) -> Self {
        hash.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<String> for SecretHash {
    type Error = InvalidSecretHash;

    fn try_from(text: String) -> Result<Self, InvalidSecretHash> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidSecretHash);
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| InvalidSecretHash)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| InvalidSecretHash)?;
        }
        Ok(Self(bytes))
    }
}

impl SharedSecret {
    /// Takes the configured secret. Only its hash is kept.
    ///
    /// # Errors
    /// [`UnusableSecret`] for one that is empty, blank or too long.
    pub fn new(configured: &str) -> Result<Self, UnusableSecret> {
        if configured.trim().is_empty() {
            return Err(UnusableSecret::Empty);
        }
        if configured.len() > MAX_SECRET_BYTES {
            return Err(UnusableSecret::TooLong);
        }
        Ok(Self(SecretHash::of(&Secret::new(configured.to_owned()))))
    }

    /// Whether what was shown is the shared secret.
    #[must_use]
    pub fn matches(&self, shown: &Secret) -> bool {
        self.0.matches(shown)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hatchery_protocol::Secret;

    use super::{InvalidSecretHash, MAX_SECRET_BYTES, SecretHash, SharedSecret, UnusableSecret};

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn only_the_very_secret_matches() {
        let shared = SharedSecret::new("correct horse").unwrap();
        assert!(shared.matches(&secret("correct horse")));
        for wrong in ["", "correct hors", "correct horse ", "correct horsf", "Correct horse", "\0"]
        {
            assert!(!shared.matches(&secret(wrong)), "{wrong:?}");
        }
    }

    #[test]
    fn a_secret_everybody_knows_or_nobody_can_show_is_none() {
        for blank in ["", " ", "\n\t"] {
            assert_eq!(SharedSecret::new(blank), Err(UnusableSecret::Empty));
        }
        let longest = "x".repeat(MAX_SECRET_BYTES);
        assert!(SharedSecret::new(&longest).unwrap().matches(&secret(&longest)));
        let longer = format!("{longest}x");
        assert_eq!(SharedSecret::new(&longer), Err(UnusableSecret::TooLong));
        assert!(!SecretHash::of(&secret(&longer)).matches(&secret(&longer)));
    }

    #[test]
    fn a_hash_is_the_known_one_and_survives_being_written() {
        let hash = SecretHash::of(&secret("abc"));
        let text = String::from(hash);
        // FIPS 180-2, appendix B.1.
        assert_eq!(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(SecretHash::try_from(text.clone()), Ok(hash));
        assert_eq!(SecretHash::from_bytes(*hash.as_bytes()), hash);
        for bad in ["", "zz", &text[1..], &format!("+{}", &text[1..]), &"é".repeat(32)] {
            assert_eq!(SecretHash::try_from(bad.to_owned()), Err(InvalidSecretHash), "{bad}");
        }
    }

    #[test]
    fn neither_secret_nor_hash_shows_in_debug_output() {
        let shared = SharedSecret::new("abc").unwrap();
        let shown = format!("{shared:?}");
        assert!(!shown.contains("abc") && !shown.contains("ba78"), "{shown}");
    }
}
