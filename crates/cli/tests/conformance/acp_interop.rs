//! Our ACP against the protocol's official Rust library, in both roles. It shares no code with
//! ours and knows only typed messages, so whatever it does not understand fails here.

/// Its client drives `hatchery agent`.
mod as_agent;
/// Its agent runs as a child of a gateway.
mod as_client;
