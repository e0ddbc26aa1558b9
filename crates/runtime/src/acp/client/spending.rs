//! What an agent says it has used up: tokens, and money where it says so.
//!
//! Agents tell it in several places, and few in all of them: with the end of the turn, beside the
//! words of each model call, or as a running total.

use hatchery_agent::Usage;
use serde_json::Value;

use crate::Spent;

/// The most an agent may claim to have cost, in US dollars. Beyond it the number is a mistake.
const DOLLARS: f64 = 1e6;

/// What an agent has used up so far, in its own words.
#[derive(Debug, Default)]
pub(crate) struct Spending {
    spent: Spent,
}

impl Spending {
    /// What has been used up by now, where an update tells more of it.
    pub(crate) fn update(&mut self, update: &Value) -> Option<Spent> {
        let before = self.spent;
        // One model call each: they add up.
        if let Some(call) = update.pointer("/_meta/usage").and_then(tokens) {
            let sum = self.spent.tokens.unwrap_or_default();
            self.spent.tokens = Some(Usage {
                input_tokens: sum.input_tokens.saturating_add(call.input_tokens),
                output_tokens: sum.output_tokens.saturating_add(call.output_tokens),
                cached_tokens: sum.cached_tokens.saturating_add(call.cached_tokens),
            });
        }
        if update.get("sessionUpdate").is_some_and(|kind| kind == "usage_update") {
            let cost = update.get("cost").and_then(micro_dollars);
            self.spent.micro_dollars = cost.or(self.spent.micro_dollars);
        }
        (self.spent != before).then_some(self.spent)
    }

    /// The same for the answer at the end of the turn, which tells the whole turn's.
    pub(crate) fn end(&mut self, answer: &Value) -> Option<Spent> {
        let places = ["/usage", "/_meta/usage", "/_meta/quota/token_count"];
        let told = places.iter().find_map(|place| tokens(answer.pointer(place)?))?;
        // Some tell only the last model call there.
        let all = |usage: &Usage| usage.input_tokens.saturating_add(usage.output_tokens);
        if self.spent.tokens.as_ref().is_some_and(|sum| all(sum) >= all(&told)) {
            return None;
        }
        self.spent.tokens = Some(told);
        Some(self.spent)
    }
}

/// The tokens in `usage`; none where it tells no number.
fn tokens(usage: &Value) -> Option<Usage> {
    let number = |names: &[&str]| names.iter().find_map(|name| usage.get(*name)?.as_u64());
    let input = number(&["inputTokens", "input_tokens"]);
    let output = number(&["outputTokens", "output_tokens"]);
    if input.is_none() && output.is_none() {
        return None;
    }
    let (mut input, mut output) = (input.unwrap_or(0), output.unwrap_or(0));
    let cached = number(&["cachedReadTokens", "cachedInputTokens"]).unwrap_or(0);
    // Some count what was cached and what was thought apart from the rest: their total tells.
    let total = number(&["totalTokens"]).unwrap_or(0);
    if total > input.saturating_add(output) {
        let written = number(&["cachedWriteTokens"]).unwrap_or(0);
        let thought = number(&["thoughtTokens", "reasoningOutputTokens"]).unwrap_or(0);
        let all_input = input.saturating_add(cached).saturating_add(written);
        if all_input.saturating_add(output) <= total {
            input = all_input;
        }
        if input.saturating_add(output).saturating_add(thought) <= total {
            output = output.saturating_add(thought);
        }
    }
    Some(Usage { input_tokens: input, output_tokens: output, cached_tokens: cached })
}

/// A cost in millionths of a US dollar; none in any other currency.
fn micro_dollars(cost: &Value) -> Option<u64> {
    let amount = cost.get("amount")?.as_f64()?;
    let is_dollars = cost.get("currency")?.as_str()?.eq_ignore_ascii_case("USD");
    if !is_dollars || !(0.0..=DOLLARS).contains(&amount) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Some((amount * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use hatchery_agent::Usage;
    use serde_json::{Value, json};

    use super::{Spending, tokens};
    use crate::Spent;

    fn usage(input_tokens: u64, output_tokens: u64, cached_tokens: u64) -> Usage {
        Usage { input_tokens, output_tokens, cached_tokens }
    }

    #[test]
    fn tokens_are_read_however_an_agent_counts_them() {
        for (told, read) in [
            (json!({ "inputTokens": 5, "outputTokens": 2, "totalTokens": 7 }), usage(5, 2, 0)),
            // Cached and thought are part of the rest.
            (
                json!({ "inputTokens": 50, "outputTokens": 30, "totalTokens": 80, "cachedReadTokens": 20, "thoughtTokens": 10 }),
                usage(50, 30, 20),
            ),
            // They are not.
            (
                json!({ "inputTokens": 60, "outputTokens": 15, "totalTokens": 120, "cachedReadTokens": 40, "thoughtTokens": 5 }),
                usage(100, 20, 40),
            ),
            (
                json!({ "inputTokens": 1, "outputTokens": 2, "totalTokens": 33, "cachedReadTokens": 10, "cachedWriteTokens": 20 }),
                usage(31, 2, 10),
            ),
            (json!({ "input_tokens": 90, "output_tokens": 35 }), usage(90, 35, 0)),
            (json!({ "outputTokens": 2, "thoughtTokens": null }), usage(0, 2, 0)),
        ] {
            assert_eq!(tokens(&told), Some(read), "{told}");
        }
        for told in [Value::Null, json!({}), json!(7), json!({ "inputTokens": "7" })] {
            assert_eq!(tokens(&told), None, "{told}");
        }
    }

    #[test]
    fn model_calls_add_up_and_the_end_tells_them_all() {
        let mut spending = Spending::default();
        let call = json!({ "_meta": { "usage": { "inputTokens": 10, "outputTokens": 1 } } });
        let spent = |tokens| Some(Spent { tokens: Some(tokens), micro_dollars: None });
        assert_eq!(spending.update(&call), spent(usage(10, 1, 0)));
        assert_eq!(spending.update(&call), spent(usage(20, 2, 0)));
        assert_eq!(spending.update(&json!({ "sessionUpdate": "plan" })), None);
        let only_the_last = json!({ "usage": { "inputTokens": 10, "outputTokens": 1 } });
        assert_eq!(spending.end(&only_the_last), None);
        let all = json!({ "_meta": { "quota": { "token_count": { "input_tokens": 30, "output_tokens": 3 } } } });
        assert_eq!(spending.end(&all), spent(usage(30, 3, 0)));
        assert_eq!(spending.end(&json!({ "usage": null, "stopReason": "end_turn" })), None);
    }

    #[test]
    fn a_cost_is_told_in_dollars_or_not_at_all() {
        let cost = |amount: Value, currency: &str| {
            let cost = json!({ "amount": amount, "currency": currency });
            let update = json!({ "sessionUpdate": "usage_update", "used": 5, "cost": cost });
            Spending::default().update(&update).and_then(|spent| spent.micro_dollars)
        };
        assert_eq!(cost(json!(0.0123456), "USD"), Some(12_346));
        assert_eq!(cost(json!(2), "usd"), Some(2_000_000));
        for (amount, currency) in
            [(json!(1), "EUR"), (json!(-1), "USD"), (json!(1e300), "USD"), (Value::Null, "USD")]
        {
            assert_eq!(cost(amount, currency), None);
        }
    }
}
