//! Tokens and public keys: what is kept of them, and how they are compared.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hatchery_protocol::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

/// What is kept of a token: its SHA-256. That is enough because a token is 32 random bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenHash(String);

/// A token that was just drawn. Its words leave only in the answer to the one it is for.
#[derive(Clone, Debug)]
pub struct FreshToken {
    secret: Secret,
    hash: TokenHash,
}

/// A device's raw Ed25519 public key, in base64url without padding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicKey(String);

impl TokenHash {
    /// The hash of a token as it was shown.
    #[must_use]
    pub fn of(token: &Secret) -> Self {
        Self(URL_SAFE_NO_PAD.encode(Sha256::digest(token.reveal().as_bytes())))
    }

    /// Whether a token as it was shown is the one this is the hash of. How long it takes says
    /// nothing of how near it came.
    #[must_use]
    pub fn matches(&self, token: &Secret) -> bool {
        self.0.as_bytes().ct_eq(Self::of(token).0.as_bytes()).into()
    }
}

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

impl FreshToken {
    /// Makes a token of 32 random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        let secret = Secret::new(URL_SAFE_NO_PAD.encode(bytes));
        let hash = TokenHash::of(&secret);
        Self { secret, hash }
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> &TokenHash {
        &self.hash
    }

    /// The token itself, for the one it is for.
    #[must_use]
    pub fn into_secret(self) -> Secret {
        self.secret
    }
}

impl PublicKey {
    /// Takes the raw bytes of a key.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use hatchery_protocol::Secret;

    use super::{FreshToken, TokenHash};

    #[test]
    fn a_token_is_known_by_its_hash_and_never_printed() {
        let fresh = FreshToken::from_random([7; 32]);
        let hash = fresh.hash().clone();
        let secret = fresh.clone().into_secret();
        assert_eq!(secret.reveal().len(), 43);
        assert!(hash.matches(&secret));
        assert!(!hash.matches(&Secret::new(format!("{}x", secret.reveal()))));
        assert!(!hash.matches(&Secret::new(String::new())));
        assert!(!format!("{fresh:?}{hash:?}").contains(secret.reveal()));
        assert_eq!(hash, TokenHash::of(&secret));
    }
}
