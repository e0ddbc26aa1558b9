//! The broker: takes requests, tells those who may decide, and carries their decision back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hatchery_access::{Approvals as ApprovalScope, Caller, Permit, Refusal, Remedy};
use hatchery_protocol::Scope;
use serde_json::{Value, json};

use super::board::{Ask, Board, Item, State, unknown};
use super::request::check_id;
use super::{Decision, ExecParams, Kind, PluginParams};
use crate::clock::now_ms;
use crate::hub::{Audience, ConnectionId, Hub};

/// The requests for approval of a gateway.
#[derive(Debug, Default)]
pub(crate) struct Approvals {
    board: Mutex<Board>,
}

/// What has become of a request at once.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It is settled already, with this answer.
    Settled(Value),
    /// It waits. The answer that may come first, and the id to wait by.
    Waits { accepted: Value, id: String },
}

impl Approvals {
    fn board(&self) -> MutexGuard<'_, Board> {
        // Every change is complete before anything can panic.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request to run a command.
    pub(crate) fn request_exec(
        &self,
        hub: &Hub,
        permit: &Permit<ApprovalScope>,
        connection: ConnectionId,
        params: ExecParams,
    ) -> Result<Taken, Refusal> {
        let id = match params.id.clone() {
            Some(id) => {
                check_id(&id)?;
                id
            }
            None => fresh_id()?,
        };
        let ask = params.into_ask(permit.caller(), connection)?;
        self.request(hub, connection, id, ask)
    }

    /// Takes a request to use a tool.
    pub(crate) fn request_plugin(
        &self,
        hub: &Hub,
        permit: &Permit<ApprovalScope>,
        connection: ConnectionId,
        params: PluginParams,
    ) -> Result<Taken, Refusal> {
        let ask = params.into_ask(permit.caller(), connection)?;
        self.request(hub, connection, format!("plugin:{}", fresh_id()?), ask)
    }

    fn request(
        &self,
        hub: &Hub,
        connection: ConnectionId,
        id: String,
        ask: Ask,
    ) -> Result<Taken, Refusal> {
        let now = now_ms();
        let at_once = |decision: Option<Decision>| {
            Ok(Taken::Settled(json!({"id": id, "decision": decision, "createdAtMs": now,
                "expiresAtMs": now})))
        };
        if self.board().is_always_allowed(&ask) {
            return at_once(Some(Decision::AllowAlways));
        }
        // A question nobody can hear is answered at once, and not with yes.
        if !hub.somebody_approves(connection) {
            return at_once(None);
        }
        let item = self.board().add(id.clone(), ask, now)?;
        tracing::info!(
            id,
            kind = item.ask.kind.name(),
            from = item.ask.from.name,
            "approval requested"
        );
        if let Some(event) = item.ask.kind.requested() {
            hub.tell(&Audience::Holding(Scope::Approvals), event, item.listed());
        }
        Ok(Taken::Waits { accepted: item.accepted(), id })
    }

    /// Waits for the decision on a request, at most until its time is up.
    pub(crate) async fn decision(&self, id: &str) -> Value {
        let waiting = self.board().get(id).map(|item| (item.settled(), item.expires_at_ms));
        if let Some((mut settled, expires_at_ms)) = waiting {
            let left = Duration::from_millis(expires_at_ms.saturating_sub(now_ms()));
            let decided = settled.wait_for(|settled| *settled);
            if tokio::time::timeout(left, decided).await.is_err() {
                // The board's clock counts whole milliseconds and may be a moment behind.
                self.board().expire(expires_at_ms.max(now_ms()));
            }
        }
        match self.board().get(id) {
            Some(item) => item.verdict(),
            // So long ago that it is forgotten.
            None => json!({"id": id, "decision": null}),
        }
    }

    /// The request a caller names, if it may see it.
    fn visible(&self, caller: &Caller, id: &str) -> Result<Item, Refusal> {
        let mut board = self.board();
        board.expire(now_ms());
        board.get(id).filter(|item| may_see(caller, item)).cloned().ok_or_else(unknown)
    }

    /// Whether a caller may wait for a request's decision.
    pub(crate) fn may_wait(&self, permit: &Permit<ApprovalScope>, id: &str) -> Result<(), Refusal> {
        self.visible(permit.caller(), id).map(drop)
    }

    /// The requests of one kind that wait.
    pub(crate) fn list(&self, permit: &Permit<ApprovalScope>, kind: Kind) -> Value {
        let mut board = self.board();
        board.expire(now_ms());
        let items = board.waiting().filter(|item| item.ask.kind == kind);
        items.filter(|item| may_see(permit.caller(), item)).map(Item::listed).collect()
    }

    /// A request to run a command that waits.
    pub(crate) fn command(
        &self,
        permit: &Permit<ApprovalScope>,
        id: &str,
    ) -> Result<Value, Refusal> {
        let item = self.visible(permit.caller(), id)?;
        if item.ask.kind != Kind::Exec || item.state != State::Waiting {
            return Err(unknown());
        }
        Ok(item.command())
    }

    /// A request of whatever kind, settled or not.
    pub(crate) fn snapshot(
        &self,
        permit: &Permit<ApprovalScope>,
        id: &str,
    ) -> Result<Value, Refusal> {
        Ok(self.visible(permit.caller(), id)?.snapshot())
    }

    /// Decides a request, once, and tells everybody who may decide.
    pub(crate) fn resolve(
        &self,
        hub: &Hub,
        permit: &Permit<ApprovalScope>,
        id: &str,
        kind: Kind,
        decision: Decision,
    ) -> Result<Value, Refusal> {
        let caller = permit.caller();
        if let Caller::Run(_) = caller {
            return Err(Refusal::forbidden(
                "APPROVAL_BY_RUN",
                "who decides",
                "a run cannot decide a request for approval",
                Remedy::Advice("decide from the owner's own terminal, outside any run".to_owned()),
            )
            .with_log(caller.describe()));
        }
        let now = now_ms();
        let item = self.board().decide(id, kind, decision, caller.describe(), now)?;
        tracing::info!(
            id,
            kind = kind.name(),
            decision = decision.as_str(),
            by = caller.describe(),
            "approval decided"
        );
        let payload = json!({"id": id, "decision": decision, "resolvedBy": caller.describe(),
            "ts": now, "request": item.ask.request});
        if let Some(event) = kind.resolved() {
            hub.tell(&Audience::Holding(Scope::Approvals), event, payload);
        }
        Ok(item.snapshot())
    }
}

/// People see every request, a run its own.
fn may_see(caller: &Caller, item: &Item) -> bool {
    caller.grant().is_none_or(|grant| item.ask.from.run.as_ref() == Some(grant.run()))
}

fn fresh_id() -> Result<String, Refusal> {
    let (id, _) = crate::ids::draw()
        .map_err(|error| crate::supervisor::unavailable("NO_RANDOMNESS", error))?;
    Ok(id.to_string())
}
