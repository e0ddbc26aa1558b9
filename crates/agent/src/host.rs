//! Whoever runs the agent, as the agent sees it.

use std::future::Future;

use bytes::Bytes;
use hatchery_protocol::OutputStream;
use hatchery_sandbox::ProcessIdentity;

use crate::Usage;

/// A command that is about to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartingCommand {
    /// The command as a person would type it.
    pub line: String,
    /// The program and its arguments, exactly as they were started.
    pub argv: Vec<String>,
    /// The keeper above the command's process tree. It is there already, and nothing else of the
    /// tree.
    pub process: ProcessIdentity,
}

/// Whoever runs the agent. The agent awaits every call, so a slow host slows the command down
/// instead of filling memory.
pub trait Host: Send + Sync {
    /// A command is about to begin. It does once this returns, unless its turn is cancelled by
    /// then: whoever has to know of a process before it does anything takes note of it here.
    fn command_starting(&self, command: &StartingCommand) -> impl Future<Output = ()> + Send;

    /// A piece of output, at most 64 KiB, in order within its stream.
    fn output(&self, stream: OutputStream, bytes: Bytes) -> impl Future<Output = ()> + Send;

    /// A model is at work and says nothing that is part of its answer: it has begun to answer, it
    /// thinks, or it just keeps the connection open. May come as often as a stream has pieces.
    fn alive(&self) -> impl Future<Output = ()> + Send;

    /// What a model has used up for the turn so far. Whatever is told later replaces this.
    fn used(&self, tokens: Usage) -> impl Future<Output = ()> + Send;
}
