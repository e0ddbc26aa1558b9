//! The handlers. Each takes the permit its method needs, so that none can be called without.

pub(crate) mod agents;
pub(crate) mod chatting;
pub(crate) mod conversation;
pub(crate) mod conversations;
pub(crate) mod gateway;
pub(crate) mod history;
pub(crate) mod saying;
pub(crate) mod sessions;
pub(crate) mod turns;
