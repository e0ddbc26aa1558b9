//! What a tree may use up: limits that are handed down and never widened, and what was used.

use serde::{Deserialize, Serialize};

/// What a run and everything below it may use up. `None` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Budget {
    /// Tokens, read and written, of all model calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Money, in millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_micros: Option<u64>,
    /// Time from the start of the run at the top, in milliseconds; also when that run is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// Runs that were ever accepted below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descendants: Option<u32>,
    /// Runs at work at a time, itself included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}

/// Tokens and money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spend {
    /// Tokens, read and written.
    pub tokens: u64,
    /// Money, in millionths of a US dollar.
    #[serde(default)]
    pub cost_micros: u64,
}

/// Which part of a budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetPart {
    /// The tokens.
    Tokens,
    /// The money.
    Cost,
    /// The number of runs below.
    Descendants,
}

/// A run's budget and what was used of it, by itself and everything below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What may be used.
    pub budget: Budget,
    /// What calls that are over took.
    pub spent: Spend,
    /// What calls under way may take.
    pub reserved: Spend,
    /// How many runs were accepted below.
    pub descendants: u32,
    /// How many runs of the tree are live, itself included. Without any the account is closed.
    pub(crate) live: u32,
    /// How many of those are at work.
    pub(crate) at_work: u32,
    /// How many of those have lent their slot.
    pub(crate) lent: u32,
    /// When the run at the top was started, in milliseconds since 1970.
    pub(crate) started_at_ms: Option<u64>,
}

impl Budget {
    /// Of each part the narrower.
    #[must_use]
    pub fn narrowed_by(self, other: Self) -> Self {
        Self {
            tokens: narrower(self.tokens, other.tokens),
            cost_micros: narrower(self.cost_micros, other.cost_micros),
            wall_ms: narrower(self.wall_ms, other.wall_ms),
            descendants: narrower(self.descendants, other.descendants),
            concurrency: narrower(self.concurrency, other.concurrency),
        }
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

fn narrower<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Spend {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            cost_micros: self.cost_micros.saturating_add(other.cost_micros),
        }
    }

    /// What is left without `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(other.tokens),
            cost_micros: self.cost_micros.saturating_sub(other.cost_micros),
        }
    }
}

impl Account {
    /// Which part would be overdrawn if `more` were taken on top of all that is spent and
    /// reserved.
    #[must_use]
    pub fn lacks(&self, more: Spend) -> Option<BudgetPart> {
        let all = self.spent.plus(self.reserved).plus(more);
        if self.budget.tokens.is_some_and(|limit| all.tokens > limit) {
            return Some(BudgetPart::Tokens);
        }
        let costs_more = self.budget.cost_micros.is_some_and(|limit| all.cost_micros > limit);
        costs_more.then_some(BudgetPart::Cost)
    }

    /// Whether no model call can be afforded any more.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        let over = |limit: Option<u64>, spent: u64| limit.is_some_and(|limit| spent >= limit);
        over(self.budget.tokens, self.spent.tokens)
            || over(self.budget.cost_micros, self.spent.cost_micros)
    }

    /// How many slots the tree takes: its runs at work that have not lent theirs.
    #[must_use]
    pub fn slots_taken(&self) -> u32 {
        self.at_work.saturating_sub(self.lent)
    }
}

impl BudgetPart {
    /// Its name, as a setting and on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Cost => "costUsd",
            Self::Descendants => "descendants",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Account, Budget, BudgetPart, Spend};

    #[test]
    fn a_budget_is_only_ever_narrowed() {
        let wide = Budget { tokens: Some(100), descendants: Some(3), ..Budget::default() };
        let asked = Budget { tokens: Some(500), concurrency: Some(2), ..Budget::default() };
        let granted = asked.narrowed_by(wide);
        assert_eq!(
            granted,
            Budget {
                tokens: Some(100),
                descendants: Some(3),
                concurrency: Some(2),
                ..Budget::default()
            }
        );
        assert!(Budget::default().narrowed_by(Budget::default()).is_unlimited());
    }

    #[test]
    fn what_is_reserved_counts_as_spent_until_it_is_settled() {
        let spend = |tokens, cost_micros| Spend { tokens, cost_micros };
        let budget = Budget { tokens: Some(10), cost_micros: Some(5), ..Budget::default() };
        let account =
            Account { budget, spent: spend(4, 1), reserved: spend(5, 1), ..Account::default() };
        assert_eq!(account.lacks(spend(1, 3)), None);
        assert_eq!(account.lacks(spend(2, 0)), Some(BudgetPart::Tokens));
        assert_eq!(account.lacks(spend(1, 4)), Some(BudgetPart::Cost));
        assert!(!account.is_used_up());
        assert!(Account { spent: spend(10, 0), ..account }.is_used_up());
    }
}
