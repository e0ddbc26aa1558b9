//! Starting a run and hearing of its end.

use std::sync::Arc;

use hatchery_access::TicketDraft;
use hatchery_agent::{Cancel, Conversation, Model, Usage as ModelUsage};
use hatchery_failpoints::{Point, reach};
use hatchery_protocol::RunId;
use hatchery_runtime::{RunEnd, Spent, run as run_to_its_end};
use hatchery_sandbox::{TicketSource, ticket_channel};
use hatchery_spawn::{Command, Ending, Run, Usage};

use super::doing::Doing;
use super::observer::{RunObserver, Said};
use super::{RunTasks, Supervisor};
use crate::clock::now_ms;
use crate::models::model_of;
use crate::talk::conversation;

impl Supervisor {
    /// Starts a run that has its slot, or starts it again to go on from where it was.
    pub(super) fn start(self: &Arc<Self>, id: &RunId) {
        let cancel = Cancel::new();
        let (run, resume) = {
            let mut core = self.core();
            let Some(live) = core.state.get(id) else { return };
            let run = live.run.clone();
            let resume = (live.restarts > 0).then(|| live.resumable.clone());
            // A run that was stopped before it began still goes its way to the end, but without
            // the authority to start anything.
            if live.stopping.is_some() {
                cancel.cancel();
            } else if let Some(caller) = core.callers.get(id) {
                // Derived only now: the time its tickets are good for begins with its start.
                let grant = run.grant(caller, &self.settings.policy(), now_ms());
                core.tickets.open(grant);
            }
            let tasks = RunTasks { cancel: cancel.clone(), helpers: Vec::new() };
            core.tasks.insert(id.clone(), tasks);
            (run, resume)
        };
        let supervisor = Arc::clone(self);
        // Entered here because this may run on the journal's thread.
        let _runtime = self.tasks.enter();
        self.tasks.spawn(async move { supervisor.attend(run, resume, cancel).await });
    }

    /// Stays with a run until its processes are gone.
    ///
    /// `resume` is there for a run that goes on, and in it the name under which its agent keeps
    /// its session, where an agent has one.
    async fn attend(
        self: Arc<Self>,
        run: Arc<Run>,
        resume: Option<Option<String>>,
        cancel: Cancel,
    ) {
        let before = match &resume {
            Some(session) => self.said_before(&run.id, session.is_some()).await,
            None => Said::default(),
        };
        let observer = RunObserver::new(&self, &run, before);
        let (said, doings) = (observer.said(), observer.doings());
        let paid_before = observer.paid_before();
        self.set_clocks(&run, observer.pulse());
        let end = match ticket_channel() {
            Ok((source, ticket)) => {
                self.help(&run.id, self.clone().hand_out_tickets(run.id.clone(), source));
                match model_of(&self.settings.config(), &run) {
                    Ok(model) => {
                        let earlier = self.earlier(&run, model.as_ref()).await;
                        match self.afford(&run, model.as_ref(), &earlier).await {
                            Ok(()) => {
                                let mut spec = self.launcher.spec(&run, ticket, model, earlier);
                                spec.resume = resume.flatten();
                                let keeper = self.launcher.keeper();
                                reach(Point::BeforeProcess);
                                Ok(run_to_its_end(spec, keeper, observer, cancel).await)
                            }
                            Err(refusal) => Err(refusal.to_string()),
                        }
                    }
                    Err(gone) => Err(gone.to_string()),
                }
            }
            Err(error) => Err(format!("no ticket could be handed to the run: {error}")),
        };
        let mut usage = None;
        let (exit_code, failure) = match end {
            Ok(RunEnd::Answered { exit_code, report }) => {
                usage = report.and_then(|report| report.usage);
                (exit_code, None)
            }
            Ok(RunEnd::Cancelled) => (None, Some("it was cancelled".to_owned())),
            Ok(RunEnd::Failed(failure)) => (None, Some(failure.to_string())),
            Err(failure) => (None, Some(failure)),
        };
        reach(Point::Returned);
        let Doing { last_step, files_touched, spent } = doings.so_far();
        let usage = usage.or(spent.tokens);
        let took = Spent { tokens: usage, ..spent };
        self.settle_up(&run, paid_before, took, said.last_words().1 > 0);
        if let Some(seq) = said.count_beyond_kept() {
            self.count_pieces(&run.id, seq);
        }
        let (tail, output_bytes) = said.last_words();
        let ending = Ending {
            exit_code,
            failure,
            tail,
            output_bytes,
            usage: usage.map(tokens),
            cost_micros: spent.micro_dollars,
            last_step,
            files_touched,
        };
        let heard = self.is_heard(&run.id);
        self.note(&Command::Ended { run: run.id.clone(), ending, heard });
    }

    /// What an earlier life of the run had said. A question that is asked anew gets a whole answer,
    /// so the half of one is not put before it.
    async fn said_before(self: &Arc<Self>, run: &RunId, goes_on: bool) -> Said {
        let (supervisor, id) = (Arc::clone(self), run.clone());
        let read = tokio::task::spawn_blocking(move || supervisor.store.last_words(&id)).await;
        let mut words = match read {
            Ok(Ok(words)) => words,
            Ok(Err(error)) => {
                tracing::error!(%run, "what the run had said cannot be read: {error}");
                return Said::default();
            }
            Err(_) => return Said::default(),
        };
        if !goes_on {
            words.tail.clear();
        }
        Said::before(&words)
    }

    /// Whether the run above is told the end on a connection of its own.
    fn is_heard(&self, run: &RunId) -> bool {
        let core = self.core();
        core.attached.get(run).is_some_and(|connection| core.watchers.is_open(*connection))
    }

    /// What was said in a turn's conversation before it, for a model that can use it.
    async fn earlier(self: &Arc<Self>, run: &Run, model: Option<&Model>) -> Conversation {
        if !run.is_turn() || !matches!(model, Some(Model::Chat(_))) {
            return Conversation::default();
        }
        let (supervisor, session) = (Arc::clone(self), run.session.clone());
        let read = tokio::task::spawn_blocking(move || conversation(&supervisor.store, &session));
        match read.await {
            Ok(Ok(conversation)) => conversation,
            Ok(Err(error)) => {
                tracing::error!(run = %run.id, "the conversation cannot be read: {error}");
                Conversation::default()
            }
            Err(_) => Conversation::default(),
        }
    }

    /// Runs a task that ends with the run at the latest.
    pub(super) fn help(&self, run: &RunId, task: impl Future<Output = ()> + Send + 'static) {
        let helper = self.tasks.spawn(task).abort_handle();
        match self.core().tasks.get_mut(run) {
            Some(tasks) => tasks.helpers.push(helper),
            None => helper.abort(),
        }
    }

    /// Keeps a ticket ready on the run's descriptor, a new one for each that is taken.
    async fn hand_out_tickets(self: Arc<Self>, run: RunId, source: TicketSource) {
        loop {
            let drafted = self.core().tickets.draft(&run);
            let ticket = match drafted.and_then(TicketDraft::sign) {
                Ok(ticket) => ticket,
                Err(error) => return tracing::debug!(%run, "no more tickets: {error}"),
            };
            if let Err(error) = source.send(ticket.as_bytes()).await {
                return tracing::debug!(%run, "nobody takes tickets any more: {error}");
            }
        }
    }
}

fn tokens(usage: ModelUsage) -> Usage {
    Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cached_tokens: usage.cached_tokens,
    }
}
