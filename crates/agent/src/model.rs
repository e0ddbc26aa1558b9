//! Which model a turn asks.

use std::fmt;
use std::str::FromStr;

/// A model the built-in agent can ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Model {
    /// `builtin/shell`: no language model at all. The task is the command, and what the command
    /// prints is the answer. For the owner's own trees only; whoever starts a turn sees to that.
    #[default]
    Shell,
}

/// A model nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown model `{0}`: the one model there is is `builtin/shell`")]
pub struct UnknownModel(String);

impl Model {
    /// The model's name, as it is configured.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shell => "builtin/shell",
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Model {
    type Err = UnknownModel;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "builtin/shell" => Ok(Self::Shell),
            other => Err(UnknownModel(other.chars().take(64).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Model;

    #[test]
    fn a_model_is_read_by_the_name_it_prints() {
        assert_eq!("builtin/shell".parse(), Ok(Model::Shell));
        assert_eq!(Model::Shell.to_string().parse(), Ok(Model::Shell));
    }

    #[test]
    fn an_unknown_model_is_refused_with_the_names_there_are() {
        for name in ["", "shell", "Builtin/Shell", "other/model"] {
            let refusal = name.parse::<Model>().unwrap_err().to_string();
            assert!(refusal.contains("`builtin/shell`"), "{refusal}");
        }
    }
}
