//! What a keeper is told on its command line.

use std::ffi::OsString;

use crate::command::Network;
use crate::containment::Containment;

const NO_NETWORK: &str = "--no-network";
const STDIN: &str = "--stdin";
const TICKET: &str = "--ticket";
const NAMESPACE: &str = "--namespace";
const NO_NAMESPACE: &str = "--no-namespace";

/// The program to start and what it may and may not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instructions {
    pub(crate) network: Network,
    pub(crate) containment: Containment,
    /// Whether a descriptor comes for the program to read from.
    pub(crate) stdin: bool,
    /// Whether one comes for tickets, to be passed on.
    pub(crate) ticket: bool,
    /// Never empty in instructions that were read.
    pub(crate) argv: Vec<OsString>,
}

impl Instructions {
    /// The words for [`Instructions::from_args`]:
    /// `[--no-network] [--namespace | --no-namespace] [--stdin] [--ticket] -- PROGRAM [ARGUMENT…]`.
    pub(crate) fn to_args(&self) -> impl Iterator<Item = OsString> {
        let network = (self.network == Network::Denied).then_some(NO_NETWORK);
        let stdin = self.stdin.then_some(STDIN);
        let ticket = self.ticket.then_some(TICKET);
        let containment = match self.containment {
            Containment::Auto => None,
            Containment::Namespace => Some(NAMESPACE),
            Containment::NoNamespace => Some(NO_NAMESPACE),
        };
        let options = network.into_iter().chain(containment).chain(stdin).chain(ticket);
        let options = options.chain(["--"]);
        options.map(OsString::from).chain(self.argv.iter().cloned())
    }

    /// None unless all words are ours: one not understood could be a limit not set.
    pub(crate) fn from_args(mut args: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut read = Instructions {
            network: Network::Host,
            containment: Containment::Auto,
            stdin: false,
            ticket: false,
            argv: Vec::new(),
        };
        loop {
            match args.next()?.to_str()? {
                NO_NETWORK => read.network = Network::Denied,
                NAMESPACE => read.containment = Containment::Namespace,
                NO_NAMESPACE => read.containment = Containment::NoNamespace,
                STDIN => read.stdin = true,
                TICKET => read.ticket = true,
                "--" => break,
                _ => return None,
            }
        }
        read.argv.extend(args);
        (!read.argv.is_empty()).then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> impl Iterator<Item = OsString> {
        words.iter().map(OsString::from).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn instructions_survive_the_command_line() {
        let table = [
            (Network::Host, Containment::Auto, false, true),
            (Network::Host, Containment::Namespace, true, true),
            (Network::Denied, Containment::NoNamespace, false, false),
            (Network::Denied, Containment::Auto, true, false),
        ];
        for (network, containment, stdin, ticket) in table {
            let argv = words(&["--no-network", "--", "", "-x"]).collect();
            let instructions = Instructions { network, containment, stdin, ticket, argv };
            assert_eq!(Instructions::from_args(instructions.to_args()), Some(instructions));
        }
    }

    #[test]
    fn words_not_understood_start_nothing() {
        let table: [&[&str]; 6] = [
            &[],
            &["--"],
            &["sh"],
            &["--no-network"],
            &["--no-network", "sh"],
            &["--x", "--", "sh"],
        ];
        for args in table {
            assert_eq!(Instructions::from_args(words(args)), None, "{args:?}");
        }
    }
}
