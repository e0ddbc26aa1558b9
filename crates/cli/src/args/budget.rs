//! Parts of a budget, as people write them.

use std::str::FromStr;

use hatchery_protocol::SpawnBudget;

use super::duration;

/// One part of a budget and its limit: `tokens=100000`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum BudgetLimit {
    Tokens(u64),
    Cost(f64),
    WallSeconds(u64),
    Descendants(u32),
    Concurrency(u32),
}

/// A text that is no part of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write it as tokens=100000, cost=1.50 (US dollars), wall=2h, descendants=20 or concurrency=4; each limit is more than 0"
)]
pub(crate) struct InvalidBudget;

impl FromStr for BudgetLimit {
    type Err = InvalidBudget;

    fn from_str(text: &str) -> Result<Self, InvalidBudget> {
        let (part, limit) = text.split_once('=').ok_or(InvalidBudget)?;
        let whole = || limit.parse::<u64>().ok().filter(|limit| *limit > 0);
        let small = || limit.parse::<u32>().ok().filter(|limit| *limit > 0);
        let read = match part {
            "tokens" => whole().map(Self::Tokens),
            "cost" => {
                let dollars = limit.parse::<f64>().ok();
                dollars.filter(|dollars| dollars.is_finite() && *dollars > 0.0).map(Self::Cost)
            }
            "wall" => {
                let seconds = duration(limit).ok().map(|limit| limit.as_secs());
                seconds.filter(|seconds| *seconds > 0).map(Self::WallSeconds)
            }
            "descendants" => small().map(Self::Descendants),
            "concurrency" => small().map(Self::Concurrency),
            _ => None,
        };
        read.ok_or(InvalidBudget)
    }
}

/// The budget that the parts make up; of a part that is named twice the last counts.
pub(crate) fn budget_of(limits: &[BudgetLimit]) -> Option<SpawnBudget> {
    if limits.is_empty() {
        return None;
    }
    let mut budget = SpawnBudget::default();
    for limit in limits {
        match *limit {
            BudgetLimit::Tokens(tokens) => budget.tokens = Some(tokens),
            BudgetLimit::Cost(dollars) => budget.cost_usd = Some(dollars),
            BudgetLimit::WallSeconds(seconds) => budget.wall_seconds = Some(seconds),
            BudgetLimit::Descendants(runs) => budget.descendants = Some(runs),
            BudgetLimit::Concurrency(runs) => budget.concurrency = Some(runs),
        }
    }
    Some(budget)
}

#[cfg(test)]
mod tests {
    use hatchery_protocol::SpawnBudget;

    use super::{BudgetLimit, budget_of};

    #[test]
    fn parts_of_a_budget_read_as_people_write_them() {
        for (text, limit) in [
            ("tokens=100000", Some(BudgetLimit::Tokens(100_000))),
            ("cost=1.50", Some(BudgetLimit::Cost(1.5))),
            ("wall=2h", Some(BudgetLimit::WallSeconds(7_200))),
            ("descendants=20", Some(BudgetLimit::Descendants(20))),
            ("concurrency=4", Some(BudgetLimit::Concurrency(4))),
            ("tokens=0", None),
            ("tokens=-1", None),
            ("cost=NaN", None),
            ("cost=inf", None),
            ("wall=0", None),
            ("money=3", None),
            ("tokens", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), limit, "{text:?}");
        }
    }

    #[test]
    fn parts_make_up_a_budget() {
        assert_eq!(budget_of(&[]), None);
        let parts = [BudgetLimit::Tokens(5), BudgetLimit::Tokens(7), BudgetLimit::Concurrency(2)];
        let budget =
            SpawnBudget { tokens: Some(7), concurrency: Some(2), ..SpawnBudget::default() };
        assert_eq!(budget_of(&parts), Some(budget));
    }
}
