//! The words of `hatchery tasks` and of `hatchery sessions yield`.

use std::time::Duration;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum TasksCommand {
    /// The runs of sub-agents, the newest first
    List {
        /// Only those whose result could not be told on its route
        #[arg(long)]
        blocked: bool,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// One run in detail, and what became of its result
    Show(TaskArgs),
    /// Tell a result again that could not be told
    Retry(TaskChoice),
    /// Tell it no more; the result itself stays where it is
    Dismiss(TaskChoice),
}

#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// The run: its id, the beginning of it, or its session
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// One task, or all whose result is blocked.
#[derive(Debug, Args)]
pub(crate) struct TaskChoice {
    /// The run: its id, the beginning of it, or its session
    #[arg(value_name = "RUN", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) run: Option<String>,
    /// All whose result could not be told
    #[arg(long)]
    pub(crate) all: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct YieldArgs {
    /// Go on once there are so many, those included that have come already [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: Option<u32>,
    /// Go on with what there is after this long: 90s, 15m, 2h, or seconds [default: never]
    #[arg(long, value_name = "DURATION", value_parser = super::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl TasksCommand {
    /// Whether failures are to be told as JSON.
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::List { json, .. } => *json,
            Self::Show(args) => args.json,
            Self::Retry(choice) | Self::Dismiss(choice) => choice.json,
        }
    }
}
