//! Secrets on the wire, and lists that may be missing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A secret a client showed. It has no words of its own in logs, errors and debug output.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret's own words, for the one who compares or sends them.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A list of words that may be missing or `null`, which both mean an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<Vec<String>>", into = "Vec<String>")]
pub struct OptionalList(Vec<String>);

impl OptionalList {
    /// The words.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a word is in it.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.0.iter().any(|own| own == word)
    }
}

impl From<Option<Vec<String>>> for OptionalList {
    fn from(list: Option<Vec<String>>) -> Self {
        Self(list.unwrap_or_default())
    }
}

impl From<OptionalList> for Vec<String> {
    fn from(list: OptionalList) -> Self {
        list.0
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_never_prints_itself() {
        let secret = Secret::new("abc".to_owned());
        assert!(!format!("{secret:?}").contains("abc"));
        assert_eq!(serde_json::to_value(&secret).ok(), Some("abc".into()));
    }
}
