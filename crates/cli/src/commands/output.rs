//! What a person sees of a run: our own lines, and what the run says, byte for byte.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hatchery_agent::{SHELL_MODEL, command_line, prompt};
use hatchery_protocol::{
    AgentId, OutputChunk, OutputGap, OutputStream, RunStatus, RuntimeKind, SessionId,
    SpawnAccepted, SpawnResult, Task,
};

/// Writes what a person sees of a run, until nobody reads it any more.
pub(super) struct Output {
    /// Nobody reads our standard output any more.
    pub(super) closed: bool,
    ends_with_line: bool,
}

impl Default for Output {
    fn default() -> Self {
        Self { closed: false, ends_with_line: true }
    }
}

impl Output {
    pub(super) fn spawning(&mut self, agent: &AgentId, runtime: RuntimeKind) {
        self.line(&format!("Spawning agent '{agent}' with runtime '{runtime}'..."));
    }

    /// Where no agent was named, which one it is becomes known with the receipt.
    pub(super) fn accepted(&mut self, receipt: &SpawnAccepted, agent_is_named: bool) {
        if !agent_is_named {
            self.spawning(&receipt.agent_id, receipt.runtime);
        }
        self.line(&format!("Agent spawned successfully in session {}", receipt.session_id));
    }

    pub(super) fn attached(&mut self, session: &SessionId, status: RunStatus) {
        self.line(&format!("Attached to session {session} ({status})"));
    }

    pub(super) fn executing(&mut self, session: &SessionId, model: &str, task: &Task) {
        // A provider's model is told words; everybody else runs them.
        let of_a_provider = model.contains('/') && model != SHELL_MODEL;
        let task = if of_a_provider { prompt(task) } else { command_line(task) };
        self.line(&format!("[{session}] Executing task: {task}"));
    }

    /// Says that output is missing here.
    pub(super) fn gap(&mut self, gap: OutputGap) {
        if !self.ends_with_line {
            self.write(b"\n");
        }
        let OutputGap { from_seq, to_seq } = gap;
        match to_seq {
            Some(last) => eprintln!(
                "hatchery: output is missing here, more than is kept (pieces {from_seq} to {last})"
            ),
            None => eprintln!(
                "hatchery: output may be missing here: no more is kept (from piece {from_seq} on)"
            ),
        }
    }

    pub(super) fn chunk(&mut self, chunk: OutputChunk) {
        let exact = chunk.base64.and_then(|exact| STANDARD.decode(exact).ok());
        let bytes = exact.unwrap_or_else(|| chunk.text.into_bytes());
        match chunk.stream {
            OutputStream::Stdout => self.write(&bytes),
            OutputStream::Stderr => {
                if io::stderr().lock().write_all(&bytes).is_err() {
                    tracing::debug!("nobody reads standard error");
                }
            }
        }
    }

    pub(super) fn ended(&mut self, runtime: Option<RuntimeKind>, result: &SpawnResult) {
        if !self.ends_with_line {
            self.write(b"\n");
        }
        let session = &result.session_id;
        match (result.status, result.exit_code) {
            (RunStatus::Ok | RunStatus::Failed, Some(code)) => {
                self.line(&format!("[{session}] Task completed. Exit code: {code}"));
                if code != 0 && runtime == Some(RuntimeKind::Isolated) {
                    eprintln!(
                        "hatchery: an isolated run has no network, and its directory for a home; --runtime local has yours"
                    );
                }
            }
            (RunStatus::Ok, None) => self.line(&format!("[{session}] Task completed.")),
            (status, _) => {
                let cause = result.error.as_deref().unwrap_or("no cause was given");
                eprintln!("hatchery: [{session}] Task {status}: {cause}");
            }
        }
    }

    fn line(&mut self, text: &str) {
        self.write(text.as_bytes());
        self.write(b"\n");
    }

    fn write(&mut self, bytes: &[u8]) {
        let Some(&last) = bytes.last() else { return };
        self.ends_with_line = last == b'\n';
        let mut stdout = io::stdout().lock();
        if !self.closed && stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
            self.closed = true;
        }
    }
}
