//! WebSocket as a transport (RFC 6455): the upgrade of a request, messages in, frames out.
//!
//! The protocol itself is tungstenite's; what is here feeds it from a socket and keeps an idle
//! connection small. Nothing here knows who is at the other end, and nothing is compressed.

pub(crate) mod frame;
mod reader;
pub(crate) mod upgrade;

pub(crate) use reader::{Messages, Unreadable};
