//! The handlers. Each takes the permit its method needs, so that none can be called without.

pub(crate) mod absent;
pub(crate) mod agents;
pub(crate) mod approvals;
pub(crate) mod chat;
pub(crate) mod chatting;
pub(crate) mod config;
pub(crate) mod conversation;
pub(crate) mod conversations;
pub(crate) mod devices;
pub(crate) mod export;
pub(crate) mod gateway;
pub(crate) mod health;
pub(crate) mod history;
pub(crate) mod logs;
pub(crate) mod models;
pub(crate) mod node_side;
pub(crate) mod nodes;
pub(crate) mod saying;
pub(crate) mod session_list;
pub(crate) mod session_look;
pub(crate) mod session_row;
pub(crate) mod sessions;
pub(crate) mod system;
pub(crate) mod tasks;
pub(crate) mod turns;
pub(crate) mod waiting;
pub(crate) mod watch;

use hatchery_access::{Caller, Refusal, Remedy};

/// Refuses a run what concerns the gateway as a whole: a run sees its own tree and nothing beside.
pub(crate) fn not_for_runs(caller: &Caller, what: &str) -> Result<(), Refusal> {
    match caller {
        Caller::Owner | Caller::Device(_) => Ok(()),
        Caller::Run(_) => Err(Refusal::forbidden(
            "NOT_FOR_RUNS",
            "what a run may see",
            format!("{what} is not for runs: a run sees its own tree"),
            Remedy::Advice("ask from the owner's own terminal, outside any run".to_owned()),
        )),
    }
}
