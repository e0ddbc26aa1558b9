//! The command line.

mod budget;
mod devices;
mod nodes;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use hatchery_protocol::{AgentId, RuntimeKind};
use hatchery_store::Head;
use jiff::Timestamp;

pub(crate) use self::budget::{BudgetLimit, budget_of};
pub(crate) use self::devices::{DevicesCommand, PairArgs, TokenArgs};
pub(crate) use self::nodes::{InvokeArgs, NodesCommand};

/// Agents that hand work to sub-agents, and get the results back.
#[derive(Debug, Parser)]
#[command(name = "hatchery", version, after_help = EXAMPLES, disable_help_subcommand = true)]
#[command(max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  hatchery spawn -- echo \"hello from a sub-agent\"     run a command as a sub-agent
  hatchery spawn -- 'ls *.md | wc -l'                 one word after -- is a shell line
  hatchery spawn --runtime local --timeout 30s -- make test
  hatchery sessions list --tree                       what runs, what ran, and under what
  hatchery gateway start                              a gateway that stays

Exit codes of a spawn: the task's own, or 1 failed, 2 usage, 7 agent not allowed,
65 too many sessions, 130 cancelled.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a sub-agent and show what it says
    #[command(alias = "sessions_spawn")]
    Spawn(SpawnArgs),
    /// Look at sessions, start and stop them
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Look at agents, and allow them
    #[command(subcommand)]
    Agents(AgentsCommand),
    /// Run the gateway, in front or in the background
    #[command(subcommand)]
    Gateway(GatewayCommand),
    /// Look at the settings in force
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at devices, let them in and put them out
    #[command(subcommand)]
    Devices(DevicesCommand),
    /// Look at nodes, let others use what they offer, and ask it of them
    #[command(subcommand)]
    Nodes(NodesCommand),
    /// Show a code that lets one telephone or browser in, good for ten minutes
    Pair(PairArgs),
    /// See who came in and what was changed, and check that nobody has touched the record
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The built-in agent, speaking ACP on standard input and output, for any ACP client
    Agent,
    /// Print a script that completes these commands in a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SpawnArgs {
    /// Which agent runs
    #[arg(long, value_name = "ID", value_parser = AgentId::new)]
    pub(crate) agent: Option<AgentId>,
    /// Where it runs: local (in the gateway), isolated (own process, no network), acp (own process)
    #[arg(long, value_name = "RUNTIME", default_value = "isolated")]
    pub(crate) runtime: RuntimeKind,
    /// Which model it asks, as PROVIDER/MODEL; builtin/shell runs the task as a command
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// The directory it works in [default: the agent's workspace, or this directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<OsString>,
    /// End it after this long: 90s, 15m, 2h, or seconds; 0 is never
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// End it when no slot falls free for this long
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) queue_timeout: Option<Duration>,
    /// End it when it has not got to work after this long
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) start_timeout: Option<Duration>,
    /// End it when it gives no sign of life for this long
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) idle_timeout: Option<Duration>,
    /// What it and all below it may use up: tokens=N, cost=USD, wall=DURATION, descendants=N,
    /// concurrency=N; may be given several times
    #[arg(long, value_name = "PART=LIMIT")]
    pub(crate) budget: Vec<BudgetLimit>,
    /// Send its result to this address too, as a POST with a JSON body
    #[arg(long, value_name = "URL")]
    pub(crate) announce_to: Option<String>,
    /// A name for it
    #[arg(long, value_name = "NAME")]
    pub(crate) label: Option<String>,
    /// Return as soon as it is accepted
    #[arg(long)]
    pub(crate) detach: bool,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
    /// What it is to do: one word is a shell line, several are a command and its arguments; a
    /// provider's model is told the words
    #[arg(last = true, required = true, value_name = "TASK")]
    pub(crate) task: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// Start a sub-agent and show what it says
    Spawn(SpawnArgs),
    /// The sessions there are, the newest first
    List {
        /// Show who started whom
        #[arg(long)]
        tree: bool,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Those too that left the list some time after their end
        #[arg(long)]
        archived: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// One session in detail
    Show(SessionArgs),
    /// What was said in a session
    History(SessionArgs),
    /// Follow a session's run: what it has said, what it says, and how it ends
    Attach(AttachArgs),
    /// Stop a session and everything it started
    Kill(SessionArgs),
    /// Bring an archived session back into the list
    Reopen(SessionArgs),
    /// Delete a session and what was said in it
    Delete(SessionArgs),
    /// Everything that is kept of a session, as lines of JSON
    Export {
        /// The session: its id, its key, or the beginning of its id
        session: String,
        /// Write to this file instead of standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SessionArgs {
    /// The session: its id, its key, or the beginning of its id
    pub(crate) session: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// The session: its id, its key, or the beginning of its id
    pub(crate) session: String,
    /// Leave out what was said up to this piece of output
    #[arg(long, value_name = "SEQ", default_value_t = 0, hide_default_value = true)]
    pub(crate) after: u64,
    /// Print one JSON object once it is over
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentsCommand {
    /// The agents there are
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put an agent on the list of those that may be spawned
    Allow {
        /// The agent
        #[arg(value_parser = AgentId::new)]
        agent: AgentId,
        /// Which list: acp (acp.allowedAgents) or subagents (agents.defaults.subagents.allowAgents)
        #[arg(long = "for", value_name = "LIST", default_value = "acp", value_parser = ["acp", "subagents"])]
        list: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GatewayCommand {
    /// Run the gateway in front, until Ctrl-C
    Run {
        #[command(flatten)]
        listen: ListenArgs,
        /// Say on standard output when ready, and log to the file alone
        #[arg(long, hide = true)]
        background: bool,
        /// How often a silent client is asked for a sign of life; for tests
        #[arg(long, hide = true, value_parser = duration)]
        pulse: Option<Duration>,
    },
    /// Start the gateway in the background
    Start {
        #[command(flatten)]
        listen: ListenArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End the gateway and everything that runs in it
    Stop {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End the gateway and start it again
    Restart {
        #[command(flatten)]
        listen: ListenArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Whether a gateway runs, and what it is doing
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// What the gateway has logged
    Logs {
        /// The last so many lines
        #[arg(long, value_name = "N", default_value_t = 100)]
        tail: usize,
        /// Go on with new lines as they come
        #[arg(long)]
        follow: bool,
    },
    /// Look at the settings in force
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// What is set and where; with --merged also every default
    Show {
        /// Every setting, defaults included
        #[arg(long)]
        merged: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// What happened, the newest last
    List {
        #[command(flatten)]
        which: WhichEntries,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check that no entry was changed, removed, inserted or moved; needs no gateway
    Verify {
        /// A head noted earlier: the journal must go through it
        #[arg(long, value_name = "HEAD")]
        head: Option<Head>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Every entry as a line of JSON
    Export {
        #[command(flatten)]
        which: WhichEntries,
    },
}

/// Which entries of the journal are wanted.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct WhichEntries {
    /// Since then: 2h, 3d (ago), a date, or a date and time
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub(crate) since: Option<Timestamp>,
    /// Of this kind alone, such as refused, connected, pairing_changed
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
}

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ListenArgs {
    /// The TCP port [default: gateway.port, 18789]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// The address: loopback, lan, or an IP address [default: gateway.bind, loopback]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bind: Option<String>,
}

impl Arguments {
    /// Whether failures are to be told as JSON.
    pub(crate) fn wants_json(&self) -> bool {
        match &self.command {
            Command::Spawn(args) | Command::Sessions(SessionsCommand::Spawn(args)) => args.json,
            Command::Sessions(
                SessionsCommand::Show(args)
                | SessionsCommand::History(args)
                | SessionsCommand::Kill(args)
                | SessionsCommand::Reopen(args)
                | SessionsCommand::Delete(args),
            ) => args.json,
            Command::Sessions(SessionsCommand::Attach(args)) => args.json,
            Command::Sessions(SessionsCommand::List { json, .. })
            | Command::Agents(AgentsCommand::List { json } | AgentsCommand::Allow { json, .. })
            | Command::Gateway(
                GatewayCommand::Start { json, .. }
                | GatewayCommand::Stop { json }
                | GatewayCommand::Restart { json, .. }
                | GatewayCommand::Status { json }
                | GatewayCommand::Config(ConfigCommand::Show { json, .. }),
            )
            | Command::Config(ConfigCommand::Show { json, .. })
            | Command::Audit(AuditCommand::List { json, .. } | AuditCommand::Verify { json, .. }) => {
                *json
            }
            Command::Audit(AuditCommand::Export { .. }) => true,
            Command::Devices(command) => command.wants_json(),
            Command::Nodes(command) => command.wants_json(),
            Command::Pair(args) => args.json,
            // A failure is no line of an export.
            Command::Sessions(SessionsCommand::Export { .. })
            | Command::Gateway(GatewayCommand::Run { .. } | GatewayCommand::Logs { .. })
            | Command::Agent
            | Command::Completions { .. } => false,
        }
    }
}

/// A length of time as people write it; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, InvalidDuration> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| InvalidDuration)?;
    parsed.try_into().map_err(|_| InvalidDuration)
}

/// A moment as people write it: so long ago, or a date with or without a time.
fn since(text: &str) -> Result<Timestamp, InvalidMoment> {
    if let Ok(ago) = text.parse::<jiff::Span>() {
        let now = jiff::Zoned::now();
        return now.checked_sub(ago.abs()).map(|then| then.timestamp()).map_err(|_| InvalidMoment);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let local: jiff::civil::DateTime = text.parse().map_err(|_| InvalidMoment)?;
    let zone = crate::render::time_zone().clone();
    local.to_zoned(zone).map(|then| then.timestamp()).map_err(|_| InvalidMoment)
}

/// A text that is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write it like 2h, 3d, 2026-01-31 or 2026-01-31T18:00")]
struct InvalidMoment;

/// A text that is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write it like 90s, 15m, 2h, 1h30m, or as a number of seconds")]
struct InvalidDuration;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use clap::{CommandFactory, Parser};

    use super::{Arguments, duration, since};

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("2h", 7200), ("30", 30), ("0", 0)] {
            assert_eq!(duration(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        for text in ["", "soon", "-5s", "1x"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn moments_read_as_people_write_them() {
        let now = jiff::Timestamp::now();
        for (text, hours) in [("2h", 2), ("3d", 72), ("90m", 1)] {
            let ago = now.duration_since(since(text).unwrap());
            assert!((hours - 2..=hours + 2).contains(&ago.as_hours()), "{text}: {ago}");
        }
        for text in ["2026-01-31", "2026-01-31T18:00", "2026-01-31T18:00:00Z"] {
            assert!(since(text).unwrap() < now, "{text}");
        }
        for text in ["", "soon", "2026-13-01"] {
            assert!(since(text).is_err(), "{text:?}");
        }
    }

    /// The commands in the fenced blocks of the documents, as a shell would take them.
    fn commands_in_documents() -> Vec<String> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut documents = vec![root.join("README.md")];
        for entry in std::fs::read_dir(root.join("docs")).unwrap() {
            documents.push(entry.unwrap().path());
        }
        let mut commands = Vec::new();
        for document in documents {
            let mut within = false;
            for line in std::fs::read_to_string(document).unwrap().lines() {
                if line.starts_with("```") {
                    within = !within;
                } else if let Some(line) = line.strip_prefix("$ ").or(within.then_some(line))
                    && line.starts_with("hatchery ")
                    && !line.contains("[OPTIONS]")
                {
                    commands.push(line.to_owned());
                }
            }
        }
        commands
    }

    /// Words of a command line: by spaces, but for what stands in single or double quotes.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for character in line.chars() {
            match (quote, character) {
                (Some(open), close) if open == close => quote = None,
                (None, '\'' | '"') => {
                    quote = Some(character);
                    word.get_or_insert_default();
                }
                (None, ' ') => words.extend(word.take()),
                (None, '#') if word.is_none() => break,
                (None, '>' | '|' | '&') if word.is_none() => break,
                _ => word.get_or_insert_default().push(character),
            }
        }
        words.extend(word);
        words
    }

    #[test]
    fn every_command_in_the_documents_is_one() {
        let commands = commands_in_documents();
        assert!(commands.len() > 20, "{commands:?}");
        for command in commands {
            let parsed = Arguments::try_parse_from(words(&command));
            assert!(parsed.is_ok(), "{command}\n{}", parsed.unwrap_err());
        }
    }
}
