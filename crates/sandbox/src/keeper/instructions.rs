//! What a keeper is told on its command line.

use std::ffi::OsString;

use crate::command::Network;

const NO_NETWORK: &str = "--no-network";
const TICKET: &str = "--ticket";

/// The program to start and what it may and may not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instructions {
    pub(crate) network: Network,
    /// Whether the descriptor for tickets is there to be passed on.
    pub(crate) ticket: bool,
    /// Never empty in instructions that were read.
    pub(crate) argv: Vec<OsString>,
}

impl Instructions {
    /// The words for [`Instructions::from_args`]:
    /// `[--no-network] [--ticket] -- PROGRAM [ARGUMENT…]`.
    pub(crate) fn to_args(&self) -> impl Iterator<Item = OsString> {
        let network = (self.network == Network::Denied).then_some(NO_NETWORK);
        let ticket = self.ticket.then_some(TICKET);
        let options = network.into_iter().chain(ticket).chain(["--"]);
        options.map(OsString::from).chain(self.argv.iter().cloned())
    }

    /// None unless all words are ours: one not understood could be a limit not set.
    pub(crate) fn from_args(mut args: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut read = Instructions { network: Network::Host, ticket: false, argv: Vec::new() };
        loop {
            match args.next()?.to_str()? {
                NO_NETWORK => read.network = Network::Denied,
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
            (Network::Host, false),
            (Network::Host, true),
            (Network::Denied, false),
            (Network::Denied, true),
        ];
        for (network, ticket) in table {
            let argv = words(&["--no-network", "--", "", "-x"]).collect();
            let instructions = Instructions { network, ticket, argv };
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
