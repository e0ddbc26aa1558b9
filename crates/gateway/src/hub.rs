//! Everybody who is connected, and what they are told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hatchery_access::Caller;
use hatchery_protocol::{EventFrame, Frame, Scope, SessionKey};
use serde_json::Value;

use crate::outbox::{Outbox, Share, encode};

/// A connection's number, good for as long as the gateway lives.
pub(crate) type ConnectionId = u64;

/// Everybody who is connected.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    members: Mutex<BTreeMap<ConnectionId, Member>>,
}

/// Somebody who is connected.
#[derive(Debug)]
struct Member {
    caller: Caller,
    outbox: Outbox,
    /// What the client said it can do, such as `tool-events`.
    caps: BTreeSet<String>,
    /// Whether it wants to hear of changed sessions.
    all_sessions: bool,
    /// The sessions whose messages it wants to hear.
    sessions: BTreeSet<SessionKey>,
}

/// Who is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience<'a> {
    /// Everybody.
    Everyone,
    /// Whoever holds what covers this scope.
    Holding(Scope),
    /// Of the people and programs who may read, all. A run never hears what is said elsewhere.
    Readers,
    /// Of those who may read, whoever asked to hear of changed sessions.
    SessionChanges,
    /// Of those who may read, whoever asked for this session's messages.
    MessagesOf(&'a SessionKey),
    /// Of those who may read, whoever can show tools at work or asked for this session's messages.
    ToolsOf(&'a SessionKey),
    /// One connection.
    Only(ConnectionId),
}

impl Hub {
    fn members(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, Member>> {
        // Every change is complete before anything can panic.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the connection is told things.
    pub(crate) fn join(
        &self,
        connection: ConnectionId,
        caller: Caller,
        caps: BTreeSet<String>,
        outbox: Outbox,
    ) {
        let member =
            Member { caller, outbox, caps, all_sessions: false, sessions: BTreeSet::new() };
        self.members().insert(connection, member);
    }

    /// From now on the connection is told nothing.
    pub(crate) fn leave(&self, connection: ConnectionId) {
        self.members().remove(&connection);
    }

    /// From now on the connection hears of changed sessions, or no longer.
    pub(crate) fn hear_sessions(&self, connection: ConnectionId, hear: bool) {
        if let Some(member) = self.members().get_mut(&connection) {
            member.all_sessions = hear;
        }
    }

    /// From now on the connection hears the messages of a session, or no longer.
    pub(crate) fn hear_messages(&self, connection: ConnectionId, session: SessionKey, hear: bool) {
        if let Some(member) = self.members().get_mut(&connection) {
            if hear {
                member.sessions.insert(session);
            } else {
                member.sessions.remove(&session);
            }
        }
    }

    /// Whether anybody belongs to the audience.
    pub(crate) fn has(&self, audience: &Audience<'_>) -> bool {
        self.members().iter().any(|(number, member)| member.belongs_to(*number, audience))
    }

    /// Tells whoever belongs to the audience.
    pub(crate) fn tell(&self, audience: &Audience<'_>, event: &str, payload: Value) {
        let frame =
            Frame::Event(EventFrame { event: event.to_owned(), payload: Some(payload), seq: None });
        let line = encode(&frame);
        for (connection, member) in &*self.members() {
            if member.belongs_to(*connection, audience)
                && member.outbox.put_line(line.clone(), Share::None).is_err()
            {
                tracing::debug!(connection, event, "a connection was gone before the event");
            }
        }
    }
}

impl Member {
    fn belongs_to(&self, connection: ConnectionId, audience: &Audience<'_>) -> bool {
        let holds = |scope: Scope| self.caller.scopes().any(|held| held.covers(scope));
        match audience {
            Audience::Everyone => true,
            Audience::Holding(scope) => holds(*scope),
            Audience::Readers => self.caller.grant().is_none() && holds(Scope::Read),
            Audience::SessionChanges => self.all_sessions && holds(Scope::Read),
            Audience::MessagesOf(session) => self.sessions.contains(session) && holds(Scope::Read),
            Audience::ToolsOf(session) => {
                (self.caps.contains("tool-events") || self.sessions.contains(session))
                    && holds(Scope::Read)
            }
            Audience::Only(number) => connection == *number,
        }
    }
}
