//! What runs pay for model calls out of their tree's budget.

use std::sync::Arc;

use hatchery_access::Refusal;
use hatchery_agent::{Conversation, Model, Usage};
use hatchery_protocol::RunId;
use hatchery_runtime::Spent;
use hatchery_spawn::{Command, Run, Spend};

use super::Supervisor;

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
    pub(super) fn afford(
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
        self.command(&Command::Reserve { run: run.id.clone(), call: ONLY_CALL, spend })
    }

    /// A run is over: what it took is paid, and what was set aside for more is free again.
    pub(super) fn settle_up(self: &Arc<Self>, run: &Run, usage: Option<Usage>, spent: Spent) {
        if !self.is_limited(run) {
            return;
        }
        let (call, paid) = {
            let core = self.core();
            let Some(live) = core.state.get(&run.id) else { return };
            (live.calls.keys().next().copied(), live.spent)
        };
        let took = Spend {
            tokens: usage.map_or(0, tokens),
            cost_micros: spent.micro_dollars.unwrap_or_default(),
        };
        let spend = took.minus(paid);
        if call.is_some() || spend != Spend::default() {
            self.note(&Command::Settle { run: run.id.clone(), call, spend });
        }
    }

    /// An agent that asks models itself says what it has used since it began.
    pub(super) fn spent(self: &Arc<Self>, run: &RunId, spent: Spent) {
        let paid = match self.core().state.get(run) {
            Some(live) => live.spent,
            None => return,
        };
        let took = Spend {
            tokens: spent.tokens.map_or(0, tokens),
            cost_micros: spent.micro_dollars.unwrap_or_default(),
        };
        let spend = took.minus(paid);
        if spend != Spend::default() {
            self.note(&Command::Settle { run: run.clone(), call: None, spend });
        }
    }
}

/// Tokens as budgets count them.
fn tokens(usage: Usage) -> u64 {
    usage.input_tokens.saturating_add(usage.output_tokens)
}
