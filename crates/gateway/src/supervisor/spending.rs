//! What runs pay for model calls out of their tree's budget.

use std::sync::Arc;

use hatchery_access::Refusal;
use hatchery_agent::{Conversation, Model, Usage};
use hatchery_protocol::RunId;
use hatchery_runtime::Spent;
use hatchery_spawn::{Command, Run, Spend};

use super::{Supervisor, unavailable};

/// The number of the one model call that a run of ours makes.
const ONLY_CALL: u32 = 1;

/// What an answer is taken to need until it is there, in tokens.
const EXPECTED_ANSWER_TOKENS: u64 = 4_096;

/// How many bytes of text are taken for a token, so that rather too much is set aside.
const BYTES_PER_TOKEN: u64 = 3;

impl Supervisor {
    /// Whether a run pays out of a budget that has an end.
    pub(super) fn is_limited(&self, run: &Run) -> bool {
        let core = self.core();
        run.path()
            .filter_map(|above| core.state.account(above))
            .any(|account| account.budget.tokens.is_some() || account.budget.cost_micros.is_some())
    }

    /// Sets aside what a question to a model may take, where a run asks one and there is a limit.
    /// Returns once that is durable: a question that a crash makes unpaid is not asked.
    pub(super) async fn afford(
        self: &Arc<Self>,
        run: &Run,
        model: Option<&Model>,
        earlier: &Conversation,
    ) -> Result<(), Refusal> {
        if !matches!(model, Some(Model::Chat(_))) || !self.is_limited(run) {
            return Ok(());
        }
        let said: usize = earlier.messages.iter().map(|message| message.text.len()).sum();
        let asked = said + run.task.bytes() + earlier.system.as_ref().map_or(0, String::len);
        let tokens = asked as u64 / BYTES_PER_TOKEN + EXPECTED_ANSWER_TOKENS;
        let spend = Spend { tokens, cost_micros: 0 };
        self.command(&Command::Reserve { run: run.id.clone(), call: ONLY_CALL, spend })?;
        self.settled().await;
        match self.core().journal_error.clone() {
            Some(error) => Err(unavailable("JOURNAL_UNAVAILABLE", error)),
            None => Ok(()),
        }
    }

    /// What a run has paid so far, in this life of the gateway and in those before.
    pub(super) fn paid(&self, run: &RunId) -> Spend {
        self.core().state.get(run).map_or_else(Spend::default, |live| live.spent)
    }

    /// A run is over: what it took is paid. `before` is what it had paid when it was started.
    /// Where an answer had begun and nobody says what it took, its end pays all that was set aside.
    pub(super) fn settle_up(
        self: &Arc<Self>,
        run: &Run,
        before: Spend,
        took: Spent,
        had_begun: bool,
    ) {
        if !self.is_limited(run) {
            return;
        }
        let call = {
            let core = self.core();
            let Some(live) = core.state.get(&run.id) else { return };
            live.calls.keys().next().copied()
        };
        if call.is_some() && took.tokens.is_none() && had_begun {
            return;
        }
        let spend = spend(took).minus(self.paid(&run.id).minus(before));
        if call.is_some() || spend != Spend::default() {
            self.note(&Command::Settle { run: run.id.clone(), call, spend });
        }
    }

    /// An agent that asks models itself says what it has used since it was started.
    pub(super) fn spent(self: &Arc<Self>, run: &RunId, before: Spend, took: Spent) {
        let spend = spend(took).minus(self.paid(run).minus(before));
        if spend != Spend::default() {
            self.note(&Command::Settle { run: run.clone(), call: None, spend });
        }
    }
}

/// What was used, as budgets count it.
fn spend(took: Spent) -> Spend {
    let tokens = |usage: Usage| usage.input_tokens.saturating_add(usage.output_tokens);
    Spend {
        tokens: took.tokens.map_or(0, tokens),
        cost_micros: took.micro_dollars.unwrap_or_default(),
    }
}
