//! The requests there are and what became of them. No clock, no waiting: time comes in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hatchery_access::{Refusal, Remedy};
use hatchery_protocol::{ErrorCode, RunId};
use serde_json::Value;
use tokio::sync::watch;

use super::{Decision, Kind};

/// How many requests wait at a time, and how many of one requester.
pub(super) const MAX_WAITING: usize = 256;
pub(super) const MAX_WAITING_OF_ONE: usize = 32;

/// How many requests are remembered after they were settled.
const MAX_SETTLED: usize = 256;

/// How many things are allowed for good. One more, and the oldest has to be asked for again.
const MAX_ALWAYS: usize = 1_024;

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) kind: Kind,
    /// As whoever decides gets to see it.
    pub(super) request: Value,
    /// Exactly what is to be allowed: an `allow-always` holds for this and nothing else.
    pub(super) exactly: String,
    pub(super) allowed: Vec<Decision>,
    pub(super) from: Requester,
    pub(super) timeout_ms: u64,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Requester {
    /// The run, where it is one.
    pub(super) run: Option<RunId>,
    /// By whose number of open requests it counts.
    pub(super) name: String,
}

/// A request and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) ask: Ask,
    pub(super) created_at_ms: u64,
    pub(super) expires_at_ms: u64,
    pub(super) state: State,
    /// Tells whoever waits that the state is final.
    settled: watch::Sender<bool>,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing yet.
    Waiting,
    /// Somebody has decided.
    Decided { decision: Decision, by: String, at_ms: u64 },
    /// Nobody did in time.
    Expired,
}

/// The requests there are.
#[derive(Debug, Default)]
pub(super) struct Board {
    items: BTreeMap<String, Item>,
    /// The settled ones, the oldest first.
    settled: VecDeque<String>,
    always: BTreeSet<(Kind, String)>,
    always_in_order: VecDeque<(Kind, String)>,
}

impl Board {
    /// Takes a request on.
    pub(super) fn add(&mut self, id: String, ask: Ask, now_ms: u64) -> Result<Item, Refusal> {
        self.expire(now_ms);
        if self.items.contains_key(&id) {
            return Err(invalid("APPROVAL_ID_TAKEN", "approval id already in use"));
        }
        let waiting = self.waiting().count();
        let of_one = self.waiting().filter(|item| item.ask.from == ask.from).count();
        if waiting >= MAX_WAITING || of_one >= MAX_WAITING_OF_ONE {
            return Err(Refusal::forbidden(
                "TOO_MANY_APPROVALS",
                "requests for approval",
                "too many requests wait for a decision",
                Remedy::Advice("decide or wait for those that are open".to_owned()),
            )
            .in_class(ErrorCode::Unavailable));
        }
        let expires_at_ms = now_ms.saturating_add(ask.timeout_ms);
        let item = Item {
            id: id.clone(),
            ask,
            created_at_ms: now_ms,
            expires_at_ms,
            state: State::Waiting,
            settled: watch::Sender::new(false),
        };
        self.items.insert(id, item.clone());
        Ok(item)
    }

    /// Whether exactly this was allowed for good.
    pub(super) fn is_always_allowed(&self, ask: &Ask) -> bool {
        ask.allowed.contains(&Decision::AllowAlways)
            && self.always.contains(&(ask.kind, ask.exactly.clone()))
    }

    /// Decides a request, once.
    pub(super) fn decide(
        &mut self,
        id: &str,
        kind: Kind,
        decision: Decision,
        by: String,
        now_ms: u64,
    ) -> Result<Item, Refusal> {
        self.expire(now_ms);
        let item = self
            .items
            .get_mut(id)
            .filter(|item| item.ask.kind == kind && item.state != State::Expired)
            .ok_or_else(unknown)?;
        if item.state != State::Waiting {
            return Err(invalid("APPROVAL_ALREADY_RESOLVED", "approval already resolved"));
        }
        if !item.ask.allowed.contains(&decision) {
            return Err(invalid("INVALID_DECISION", "invalid decision"));
        }
        item.state = State::Decided { decision, by, at_ms: now_ms };
        item.settled.send_replace(true);
        let item = item.clone();
        self.settle(id.to_owned());
        if decision == Decision::AllowAlways {
            self.allow_always((item.ask.kind, item.ask.exactly.clone()));
        }
        Ok(item)
    }

    /// Settles the requests whose time is up.
    pub(super) fn expire(&mut self, now_ms: u64) {
        let due: Vec<String> = self
            .waiting()
            .filter(|item| item.expires_at_ms <= now_ms)
            .map(|item| item.id.clone())
            .collect();
        for id in due {
            if let Some(item) = self.items.get_mut(&id) {
                item.state = State::Expired;
                item.settled.send_replace(true);
            }
            self.settle(id);
        }
    }

    /// A request, settled or not.
    pub(super) fn get(&self, id: &str) -> Option<&Item> {
        self.items.get(id)
    }

    /// The requests that wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Item> {
        self.items.values().filter(|item| item.state == State::Waiting)
    }

    fn settle(&mut self, id: String) {
        self.settled.push_back(id);
        if self.settled.len() > MAX_SETTLED
            && let Some(oldest) = self.settled.pop_front()
        {
            self.items.remove(&oldest);
        }
    }

    fn allow_always(&mut self, what: (Kind, String)) {
        if !self.always.insert(what.clone()) {
            return;
        }
        self.always_in_order.push_back(what);
        if self.always_in_order.len() > MAX_ALWAYS
            && let Some(oldest) = self.always_in_order.pop_front()
        {
            self.always.remove(&oldest);
        }
    }
}

impl Item {
    /// Tells when the state is final.
    pub(super) fn settled(&self) -> watch::Receiver<bool> {
        self.settled.subscribe()
    }

    /// The decision, once there is one.
    pub(super) fn decision(&self) -> Option<Decision> {
        match &self.state {
            State::Decided { decision, .. } => Some(*decision),
            State::Waiting | State::Expired => None,
        }
    }
}

/// The refusal of an id that nobody knows, or whose time is up.
pub(super) fn unknown() -> Refusal {
    invalid("APPROVAL_NOT_FOUND", "unknown or expired approval id")
}

/// A refusal with the reason where clients look for it.
pub(super) fn invalid(reason: &'static str, message: &str) -> Refusal {
    let remedy = Remedy::Advice("list the requests that wait for a decision".to_owned());
    Refusal::forbidden(reason, "requests for approval", message, remedy)
        .in_class(ErrorCode::InvalidRequest)
        .with_detail("reason", reason)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn ask(from: &str, exactly: &str) -> Ask {
        Ask {
            kind: Kind::Exec,
            request: json!({"command": exactly}),
            exactly: exactly.to_owned(),
            allowed: Decision::ALL.to_vec(),
            from: Requester { run: None, name: from.to_owned() },
            timeout_ms: 100,
        }
    }

    fn decide(
        board: &mut Board,
        id: &str,
        decision: Decision,
        now: u64,
    ) -> Result<(), &'static str> {
        let decided = board.decide(id, Kind::Exec, decision, "somebody".to_owned(), now);
        decided.map(drop).map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_request_is_decided_once_and_in_time() {
        let mut board = Board::default();
        let item = board.add("a".into(), ask("x", "ls"), 10).unwrap();
        assert_eq!((item.created_at_ms, item.expires_at_ms), (10, 110));
        assert_eq!(decide(&mut board, "b", Decision::Deny, 20), Err("APPROVAL_NOT_FOUND"));
        assert_eq!(decide(&mut board, "a", Decision::Deny, 109), Ok(()));
        assert_eq!(
            decide(&mut board, "a", Decision::AllowOnce, 109),
            Err("APPROVAL_ALREADY_RESOLVED")
        );
        assert_eq!(board.get("a").unwrap().decision(), Some(Decision::Deny));
        assert!(*item.settled().borrow());

        board.add("c".into(), ask("x", "ls"), 10).unwrap();
        assert_eq!(decide(&mut board, "c", Decision::Deny, 110), Err("APPROVAL_NOT_FOUND"));
        assert_eq!(board.get("c").unwrap().state, State::Expired);
        assert_eq!(board.waiting().count(), 0);
    }

    #[test]
    fn one_kind_of_request_is_not_decided_as_another() {
        let mut board = Board::default();
        board.add("a".into(), ask("x", "ls"), 0).unwrap();
        let decided = board.decide("a", Kind::Plugin, Decision::AllowOnce, "s".into(), 1);
        assert_eq!(decided.unwrap_err().code, "APPROVAL_NOT_FOUND");
    }

    #[test]
    fn what_is_not_offered_cannot_be_chosen() {
        let mut board = Board::default();
        let mut ask = ask("x", "ls");
        ask.allowed = vec![Decision::AllowOnce, Decision::Deny];
        board.add("a".into(), ask.clone(), 0).unwrap();
        assert_eq!(decide(&mut board, "a", Decision::AllowAlways, 1), Err("INVALID_DECISION"));
        assert_eq!(decide(&mut board, "a", Decision::AllowOnce, 1), Ok(()));
    }

    #[test]
    fn always_holds_for_the_very_same_and_nothing_else() {
        let mut board = Board::default();
        board.add("a".into(), ask("x", "ls -l"), 0).unwrap();
        assert!(!board.is_always_allowed(&ask("x", "ls -l")));
        decide(&mut board, "a", Decision::AllowAlways, 1).unwrap();
        assert!(board.is_always_allowed(&ask("x", "ls -l")));
        for other in ["ls", "ls -l ", "ls -l; rm", "LS -l"] {
            assert!(!board.is_always_allowed(&ask("x", other)), "{other}");
        }
        let plugin = Ask { kind: Kind::Plugin, ..ask("x", "ls -l") };
        assert!(!board.is_always_allowed(&plugin));
        let once = Ask { allowed: vec![Decision::AllowOnce], ..ask("x", "ls -l") };
        assert!(!board.is_always_allowed(&once));
    }

    #[test]
    fn the_number_of_requests_is_bounded_and_one_cannot_crowd_out_the_others() {
        let mut board = Board::default();
        for number in 0..MAX_WAITING_OF_ONE {
            board.add(format!("a{number}"), ask("a", "ls"), 0).unwrap();
        }
        let refused = board.add("a-more".into(), ask("a", "ls"), 0).unwrap_err();
        assert_eq!(refused.code, "TOO_MANY_APPROVALS");
        for number in MAX_WAITING_OF_ONE..MAX_WAITING {
            board.add(format!("b{number}"), ask(&number.to_string(), "ls"), 0).unwrap();
        }
        assert!(board.add("more".into(), ask("new", "ls"), 0).is_err());
        // With time there is room again.
        board.add("later".into(), ask("a", "ls"), 100).unwrap();
    }

    #[test]
    fn an_id_is_used_once() {
        let mut board = Board::default();
        board.add("a".into(), ask("x", "ls"), 0).unwrap();
        assert_eq!(board.add("a".into(), ask("x", "ls"), 0).unwrap_err().code, "APPROVAL_ID_TAKEN");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut board = Board::default();
        for number in 0..(MAX_SETTLED + MAX_ALWAYS) {
            let (id, what) = (format!("a{number}"), format!("ls {number}"));
            board.add(id.clone(), ask("x", &what), 0).unwrap();
            decide(&mut board, &id, Decision::AllowAlways, 1).unwrap();
        }
        assert_eq!(board.items.len(), MAX_SETTLED);
        assert_eq!((board.always.len(), board.always_in_order.len()), (MAX_ALWAYS, MAX_ALWAYS));
        assert_eq!(decide(&mut board, "a0", Decision::Deny, 2), Err("APPROVAL_NOT_FOUND"));
    }
}
