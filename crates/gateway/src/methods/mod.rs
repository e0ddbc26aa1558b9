//! The handlers. Each takes the permit its method needs, so that none can be called without.

pub(crate) mod agents;
pub(crate) mod devices;
pub(crate) mod gateway;
pub(crate) mod sessions;
