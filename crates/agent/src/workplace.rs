//! Where a turn works and what its commands are given.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use hatchery_sandbox::{CommandSpec, Containment, KeeperCommand, Network, Stdin, TICKET_FD};

/// The environment variable that tells a command which descriptor its tickets come from.
pub const TICKET_FD_VARIABLE: &str = "HATCHERY_TICKET_FD";

/// Where a turn works and what its commands are given.
#[derive(Clone, Debug)]
pub struct Workplace {
    /// How process trees are started.
    pub keeper: KeeperCommand,
    /// The directory commands start in: absolute, and existing.
    pub cwd: PathBuf,
    /// The whole environment of a command. [`TICKET_FD_VARIABLE`] in it is replaced: it is set
    /// exactly where there is a ticket.
    pub env: Vec<(OsString, OsString)>,
    /// The descriptor a command reads tickets from; none where it may not call the gateway.
    pub ticket: Option<Arc<OwnedFd>>,
    /// Whether commands may open network connections.
    pub network: Network,
}

impl Workplace {
    /// What the keeper is told to run `argv` here.
    pub(crate) fn command(&self, argv: &[String]) -> CommandSpec {
        let variable = OsString::from(TICKET_FD_VARIABLE);
        let mut env = self.env.clone();
        // A value from further up would name a descriptor this command does not have.
        env.retain(|(name, _)| *name != variable);
        if self.ticket.is_some() {
            env.push((variable, TICKET_FD.to_string().into()));
        }
        CommandSpec {
            argv: argv.iter().map(OsString::from).collect(),
            cwd: self.cwd.clone(),
            env,
            stdin: Stdin::Null,
            ticket: self.ticket.clone(),
            network: self.network,
            containment: Containment::Auto,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use hatchery_sandbox::{KeeperCommand, Network};

    use super::Workplace;

    fn workplace() -> Workplace {
        Workplace {
            keeper: KeeperCommand { program: "/bin/false".into(), args: Vec::new() },
            cwd: "/".into(),
            env: vec![("HATCHERY_TICKET_FD".into(), "9".into()), ("A".into(), "b".into())],
            ticket: None,
            network: Network::Host,
        }
    }

    #[test]
    fn without_a_ticket_no_descriptor_is_named() {
        let spec = workplace().command(&["true".to_owned()]);
        assert_eq!(spec.env, [("A".into(), "b".into())]);
        assert!(spec.ticket.is_none());
    }

    #[test]
    fn with_a_ticket_its_descriptor_is_named_once() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let place = Workplace { ticket: Some(Arc::new(null.into())), ..workplace() };
        let spec = place.command(&["true".to_owned()]);
        let ticket = ("HATCHERY_TICKET_FD".into(), "3".into());
        assert_eq!(spec.env, [("A".into(), "b".into()), ticket]);
    }
}
