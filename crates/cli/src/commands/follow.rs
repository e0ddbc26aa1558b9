//! Following a run: showing what it says until it is over, also across a broken connection.

use std::process::ExitCode;

use hatchery_protocol::{
    EventFrame, Frame, Method, OutputChunk, OutputGap, Response, RunStatus, RuntimeKind, SessionId,
    SpawnAccepted, SpawnResult, Task, WatchAccepted, WatchParams, event,
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::comeback;
use super::output::Output;
use crate::attach::{Attached, host_told_to_end};
use crate::client::outcome;
use crate::environment;
use crate::exit;
use crate::failure::Failure;
use crate::render;

/// What ends a command from outside.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// Whose run it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// This command has started it, so it ends with the command.
    Ours {
        /// What it was asked to do.
        task: Task,
        /// Whether the command line named the agent.
        agent_is_named: bool,
    },
    /// It was there before, and goes on without the command.
    Anybodys,
}

/// How following a run came to its end.
#[derive(Debug)]
pub(super) enum Followed {
    /// The run is over.
    Ended(SpawnResult),
    /// The person has stopped looking.
    Left,
    /// Nobody reads what the run says; if it is ours, it was stopped.
    OutputClosed,
}

/// A run that is being followed.
pub(super) struct Follow<'a> {
    attached: &'a mut Attached,
    whose: Whose,
    json: bool,
    output: Output,
    signals: Signals,
    /// The request whose second answer is the run's end.
    request: String,
    /// Whether its first answer is still to come.
    is_asked: bool,
    run: Option<Known>,
    /// The last piece of output that was shown.
    seen: u64,
    /// Pieces that will be missing, until that was said.
    gap: Option<OutputGap>,
    /// Whether the run is to be stopped.
    stopping: bool,
    /// Since when the connection is broken.
    broken: Option<Instant>,
}

/// What is known of the run once its receipt has come.
#[derive(Clone, Debug)]
struct Known {
    session: SessionId,
    runtime: RuntimeKind,
}

impl Signals {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(Failure::system("signals"))?,
            terminate: signal(SignalKind::terminate()).map_err(Failure::system("signals"))?,
        })
    }

    /// Returns once the command is told to end.
    pub(super) async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

impl<'a> Follow<'a> {
    /// Asks for a run by this method, whose first answer is a receipt and whose second is its end.
    pub(super) async fn ask(
        attached: &'a mut Attached,
        method: Method,
        params: &impl Serialize,
        whose: Whose,
        (output, json, signals): (Output, bool, Signals),
    ) -> Result<Self, Failure> {
        let request = attached.client.send(method.name(), params).await?;
        Ok(Self {
            attached,
            whose,
            json,
            output,
            signals,
            request,
            is_asked: true,
            run: None,
            seen: 0,
            gap: None,
            stopping: false,
            broken: None,
        })
    }

    /// What came before this piece was seen already.
    pub(super) fn after(mut self, seq: u64) -> Self {
        self.seen = seq;
        self
    }

    /// Shows what the run says until it is over.
    pub(super) async fn until_over(mut self) -> Result<Followed, Failure> {
        let is_ours = self.whose != Whose::Anybodys;
        loop {
            let frame = tokio::select! {
                frame = self.attached.client.next() => frame,
                () = host_told_to_end(self.attached.host.as_ref()), if is_ours && !self.stopping => {
                    self.stop().await?;
                    continue;
                }
                _ = self.signals.interrupt.recv() => {
                    if self.stopping || !is_ours {
                        return Ok(self.leave());
                    }
                    self.stop().await?;
                    continue;
                }
                _ = self.signals.terminate.recv() => {
                    if !is_ours {
                        return Ok(self.leave());
                    }
                    self.stop().await?;
                    continue;
                }
            };
            let followed = match frame {
                Ok(Frame::Res(response)) if response.id == self.request => {
                    self.answered(response).await?
                }
                Ok(Frame::Event(EventFrame { event, payload: Some(payload), .. }))
                    if event == event::RUN_OUTPUT =>
                {
                    self.said(serde_json::from_value(payload)?).await?
                }
                Ok(_) => None,
                Err(Failure::Disconnected) => self.come_back().await?,
                Err(failure) => return Err(failure),
            };
            if let Some(followed) = followed {
                return Ok(followed);
            }
        }
    }

    async fn answered(&mut self, response: Response) -> Result<Option<Followed>, Failure> {
        let payload = outcome(response)?;
        if !self.is_asked {
            return self.ended(payload).map(Some);
        }
        self.is_asked = false;
        self.broken = None;
        match (&self.run, self.whose.clone()) {
            (None, Whose::Ours { task, agent_is_named }) => {
                let receipt: SpawnAccepted = serde_json::from_value(payload)?;
                if !self.json {
                    self.output.accepted(&receipt, agent_is_named);
                    self.output.executing(&receipt.session_id, &receipt.model, &task);
                }
                let session = receipt.session_id;
                self.run = Some(Known { session, runtime: receipt.runtime });
            }
            (known, _) => {
                let is_new = known.is_none();
                let receipt: WatchAccepted = serde_json::from_value(payload)?;
                if is_new && !self.json {
                    self.output.attached(&receipt.session_id, receipt.status);
                    self.output.executing(&receipt.session_id, &receipt.model, &receipt.task);
                }
                self.gap = receipt.gap;
                let session = receipt.session_id;
                self.run = Some(Known { session, runtime: receipt.runtime });
            }
        }
        if self.stopping || self.output.closed {
            return self.not_wanted().await;
        }
        Ok(None)
    }

    async fn said(&mut self, chunk: OutputChunk) -> Result<Option<Followed>, Failure> {
        if self.gap.is_some_and(|gap| gap.to_seq.is_some_and(|last| chunk.seq > last)) {
            self.tell_gap();
        }
        self.seen = self.seen.max(chunk.seq);
        if self.json {
            return Ok(None);
        }
        self.output.chunk(chunk);
        if self.output.closed && !self.stopping {
            return self.not_wanted().await;
        }
        Ok(None)
    }

    /// Nobody wants to see more: a run of ours is stopped, any other is left.
    async fn not_wanted(&mut self) -> Result<Option<Followed>, Failure> {
        if self.whose == Whose::Anybodys {
            return Ok(Some(Followed::OutputClosed));
        }
        self.stop().await?;
        Ok(None)
    }

    fn ended(&mut self, payload: Value) -> Result<Followed, Failure> {
        self.tell_gap();
        let result: SpawnResult = serde_json::from_value(payload.clone())?;
        if self.json {
            render::json(&payload);
        } else {
            self.output.ended(self.run.as_ref().map(|run| run.runtime), &result);
        }
        Ok(match self.output.closed {
            true => Followed::OutputClosed,
            false => Followed::Ended(result),
        })
    }

    fn tell_gap(&mut self) {
        let Some(gap) = self.gap.take() else { return };
        if !self.json {
            self.output.gap(gap);
        }
    }

    /// Asks for the run's end; the run's own answer comes when its processes are gone.
    async fn stop(&mut self) -> Result<(), Failure> {
        self.stopping = true;
        // Before the receipt there is nothing to name.
        let Some(run) = self.run.as_ref().filter(|_| !self.is_asked) else { return Ok(()) };
        eprintln!("hatchery: stopping {}; once more to leave it alone", run.session);
        let params = json!({"session": run.session});
        self.attached.client.send(Method::SessionsKill.name(), &params).await.map(drop)
    }

    fn leave(&self) -> Followed {
        match &self.run {
            Some(run) if self.whose == Whose::Anybodys => {
                eprintln!(
                    "hatchery: left; it is not stopped. The rest: {}",
                    comeback::later(&run.session, self.seen)
                );
            }
            Some(run) if !self.attached.is_host() => {
                eprintln!("hatchery: left; see `hatchery sessions show {}`", run.session);
            }
            None if self.whose == Whose::Anybodys => eprintln!("hatchery: left"),
            _ => eprintln!("hatchery: left; what still runs is killed"),
        }
        Followed::Left
    }

    /// Finds the gateway again and goes on where the connection broke.
    async fn come_back(&mut self) -> Result<Option<Followed>, Failure> {
        let inside = environment::inside_run().is_some();
        let Some(run) = self.run.clone().filter(|_| !inside && !self.attached.is_host()) else {
            return Err(Failure::Disconnected);
        };
        let since = *self.broken.get_or_insert_with(|| {
            eprintln!("hatchery: the connection to the gateway broke; coming back");
            Instant::now()
        });
        let found = tokio::select! {
            found = comeback::find_again(since) => found,
            () = self.signals.any() => return Ok(Some(self.leave())),
        };
        let Some(attached) = found else {
            return Err(Failure::NotBack { later: comeback::later(&run.session, self.seen) });
        };
        *self.attached = attached;
        let session = run.session.to_string();
        let params = WatchParams { session, after_seq: self.seen };
        let sent = self.attached.client.send(Method::SessionsWatch.name(), &params).await;
        self.request = sent?;
        self.is_asked = true;
        Ok(None)
    }
}

/// The status of a command that has followed a run to its end.
pub(super) fn exit_code(result: &SpawnResult) -> ExitCode {
    match (result.status, result.exit_code) {
        (RunStatus::Ok, code) => exit::status(code.unwrap_or(0)),
        (RunStatus::Failed, Some(code)) if code != 0 => exit::status(code),
        (RunStatus::Cancelled, _) => ExitCode::from(130),
        _ => exit::FAILED,
    }
}
