//! The words of `hatchery devices` and `hatchery pair`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum DevicesCommand {
    /// The devices there are, and the requests that wait
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a device in as it asks
    Approve {
        /// The request: its id, or the beginning of it
        #[arg(value_name = "REQUEST", required_unless_present = "latest")]
        request: Option<String>,
        /// The request that came last
        #[arg(long, conflicts_with = "request")]
        latest: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Do not let a device in
    Reject {
        /// The request: its id, or the beginning of it
        #[arg(value_name = "REQUEST")]
        request: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget a device: its connections end, and it has to ask anew
    Remove(DeviceArgs),
    /// Give a device another name
    Rename {
        /// The device: its id, the beginning of it, or its name
        #[arg(value_name = "DEVICE")]
        device: String,
        /// The name; none gives back its own
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Exchange a device's token for another
    Rotate {
        #[command(flatten)]
        token: TokenArgs,
        /// What the new token is good for, such as read or operator.read [default: as before]
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Show the new token; else the device fetches it when it connects with the shared secret
        #[arg(long)]
        show: bool,
    },
    /// Revoke a device's token: the role is closed until you approve it anew
    Revoke(TokenArgs),
    /// Forget every device and every request
    Clear {
        /// The requests alone
        #[arg(long)]
        pending: bool,
        /// Yes, forget them
        #[arg(long)]
        yes: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Why a device is let in or not, rule by rule
    Explain {
        /// The request or the device: its id, or the beginning of it
        #[arg(value_name = "ID")]
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// The device: its id, the beginning of it, or its name
    #[arg(value_name = "DEVICE")]
    pub(crate) device: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// The device: its id, the beginning of it, or its name
    #[arg(value_name = "DEVICE", required_unless_present = "named")]
    pub(crate) device: Option<String>,
    /// The same, as an option
    #[arg(long = "device", value_name = "DEVICE", conflicts_with = "device", hide = true)]
    pub(crate) named: Option<String>,
    /// The role: operator or node
    #[arg(long, default_value = "operator", value_parser = ["operator", "node"])]
    pub(crate) role: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl TokenArgs {
    /// The device that is meant.
    pub(crate) fn device(&self) -> &str {
        self.device.as_deref().or(self.named.as_deref()).unwrap_or_default()
    }
}

#[derive(Debug, Args)]
pub(crate) struct PairArgs {
    /// Where the device finds the gateway [default: where it listens]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// As what it connects: operator or node
    #[arg(long, default_value = "operator", value_parser = ["operator", "node"])]
    pub(crate) role: String,
    /// What it may do at most, such as read or operator.read [default: talk with agents]
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// Return at once instead of waiting for the device
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Print JSON, and return at once
    #[arg(long)]
    pub(crate) json: bool,
}

impl DevicesCommand {
    /// Whether failures are to be told as JSON.
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::Remove(args) => args.json,
            Self::Revoke(args) | Self::Rotate { token: args, .. } => args.json,
            Self::List { json }
            | Self::Approve { json, .. }
            | Self::Reject { json, .. }
            | Self::Rename { json, .. }
            | Self::Clear { json, .. }
            | Self::Explain { json, .. } => *json,
        }
    }
}
