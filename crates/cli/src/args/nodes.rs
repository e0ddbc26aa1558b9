//! The words of `hatchery nodes`.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub(crate) enum NodesCommand {
    /// The nodes there are, and what they offer that nobody has approved
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let others use what a node offers
    Approve(NodeRequestArgs),
    /// Do not
    Reject(NodeRequestArgs),
    /// Take back what was approved of a node; the device stays paired
    Remove {
        /// The node: its id, the beginning of it, or its name
        #[arg(value_name = "NODE")]
        node: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a node another name
    Rename {
        /// The node: its id, the beginning of it, or its name
        #[arg(value_name = "NODE")]
        node: String,
        /// The name; none gives back its own
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask a node for something that was approved, and show its answer
    Invoke(InvokeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct NodeRequestArgs {
    /// The request: its id, or the beginning of it
    #[arg(value_name = "REQUEST")]
    pub(crate) request: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InvokeArgs {
    /// The node: its id, the beginning of it, or its name
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
    /// What is asked, such as camera.snap
    #[arg(value_name = "COMMAND")]
    pub(crate) command: String,
    /// What belongs to it, as JSON
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub(crate) params: Option<Value>,
    /// How long to wait for the answer [default: 30s, at most 10m]
    #[arg(long, value_name = "DURATION", value_parser = super::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Print the whole answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl NodesCommand {
    /// Whether failures are to be told as JSON.
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::Approve(args) | Self::Reject(args) => args.json,
            Self::Invoke(args) => args.json,
            Self::List { json } | Self::Remove { json, .. } | Self::Rename { json, .. } => *json,
        }
    }
}

fn json(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}
