//! Everybody who is connected, and what they are told.

mod arriving;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hatchery_access::{Caller, DeviceId};
use hatchery_protocol::{ProtocolVersion, Role, Scope, SessionKey, event};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::Notify;

use self::arriving::{Arriving, PutOut, Whose};
use crate::event::{Reach, StateVersion, encode};
use crate::outbox::{Closing, EncodedEvent, Outbox, Share};
use crate::presence::{Presence, Seen};
use crate::session_names::SessionNames;

/// A connection's number, good for as long as the gateway lives.
pub(crate) type ConnectionId = u64;

/// How long somebody who is put out may still be answered: the answer to the request by which it
/// put itself out.
const LAST_ANSWER: Duration = Duration::from_millis(50);

/// The close code of a connection whose authority is gone (OpenClaw protocol §1.6).
const REVOKED: u16 = 4001;

/// Everybody who is connected.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    inner: Mutex<Inner>,
    presence_changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    members: BTreeMap<ConnectionId, Member>,
    /// Those of whom it is being decided, with what was taken away meanwhile.
    arriving: BTreeMap<ConnectionId, Arriving>,
    presence: Presence,
}

/// Somebody who is connected.
#[derive(Debug)]
struct Member {
    caller: Caller,
    outbox: Outbox,
    /// For how many intervals nothing was heard of it; `None` where the system says when the
    /// other end is gone.
    silence: Option<u32>,
    /// Whether it was known by the shared secret or by what stood in its place.
    by_secret: bool,
    /// Whether it showed its device's own token.
    by_own_token: bool,
    /// What the client said it can do, such as `tool-events`.
    caps: BTreeSet<String>,
    /// What a node lets others ask of it.
    commands: BTreeSet<String>,
    /// Whether it wants to hear of changed sessions.
    all_sessions: bool,
    /// The sessions whose messages it wants to hear.
    sessions: BTreeSet<SessionKey>,
    /// What it calls the sessions it speaks in.
    names: SessionNames,
    /// The name of its entry in the list of who is connected.
    presence: Option<String>,
}

/// Somebody who joins.
#[derive(Clone, Debug)]
pub(crate) struct Joining<'a> {
    pub(crate) caller: Caller,
    pub(crate) by_secret: bool,
    pub(crate) by_own_token: bool,
    pub(crate) caps: BTreeSet<String>,
    pub(crate) commands: BTreeSet<String>,
    pub(crate) outbox: Outbox,
    /// Whether it is asked for signs of life.
    pub(crate) is_pinged: bool,
    pub(crate) seen: Seen<'a>,
}

/// A node that is connected.
#[derive(Clone, Debug)]
pub(crate) struct ConnectedNode {
    pub(crate) connection: ConnectionId,
    pub(crate) caps: BTreeSet<String>,
    /// What it lets others ask of it, whether or not that was approved.
    pub(crate) commands: BTreeSet<String>,
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
    /// The same for any session.
    Messages,
    /// One connection.
    Only(ConnectionId),
}

impl Hub {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every change is complete before anything can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the connection is told things.
    pub(crate) fn join(&self, connection: ConnectionId, joining: Joining<'_>) {
        let mut inner = self.inner();
        let arriving = inner.arriving.remove(&connection);
        let presence = inner.presence.come(connection, &joining.caller, &joining.seen);
        let silence = joining.is_pinged.then_some(0);
        if presence.is_some() {
            self.presence_changed.notify_one();
        }
        let Joining { caller, by_secret, by_own_token, caps, commands, outbox, .. } = joining;
        let member = Member {
            caller,
            outbox,
            silence,
            by_secret,
            by_own_token,
            caps,
            commands,
            all_sessions: false,
            sessions: BTreeSet::new(),
            names: SessionNames::default(),
            presence,
        };
        let late = arriving.and_then(|arriving| arriving.late(&member));
        inner.members.insert(connection, member);
        drop(inner);
        if let Some(late) = late {
            self.put_out(|number, _| number == connection, late);
        }
    }

    /// From now on the connection misses nothing that is taken away from that device, until it
    /// joins or leaves. To be called before anything is decided about it.
    pub(crate) fn arrive(&self, connection: ConnectionId, device: Option<&str>) {
        self.inner().arriving.insert(connection, Arriving::new(device));
    }

    /// From now on the connection is told nothing.
    pub(crate) fn leave(&self, connection: ConnectionId) {
        let mut inner = self.inner();
        inner.arriving.remove(&connection);
        let Some(member) = inner.members.remove(&connection) else { return };
        if let Some(key) = member.presence {
            inner.presence.go(&key);
            self.presence_changed.notify_one();
        }
    }

    /// Puts out every connection of a device but one, or those of one role: from here on they are
    /// told nothing and ask for nothing, and they are closed at once. Says how many there were.
    pub(crate) fn disconnect(
        &self,
        device: &DeviceId,
        role: Option<Role>,
        reason: &'static str,
        except: Option<ConnectionId>,
    ) -> usize {
        let whose = Whose::Device(device.clone(), role);
        let put_out = PutOut { whose: whose.clone(), reason };
        self.inner().arriving.values_mut().for_each(|arriving| arriving.miss(&put_out));
        let affected = |connection: ConnectionId, member: &Member| {
            whose.concerns(member) && Some(connection) != except
        };
        self.put_out(affected, reason).len()
    }

    /// Puts out every connection that was let in by the shared secret; says who they were.
    pub(crate) fn disconnect_by_secret(&self, reason: &'static str) -> Vec<Caller> {
        let whose = Whose::KnownBySecret;
        let put_out = PutOut { whose: whose.clone(), reason };
        self.inner().arriving.values_mut().for_each(|arriving| arriving.miss(&put_out));
        self.put_out(|_, member| whose.concerns(member), reason)
    }

    fn put_out(
        &self,
        affected: impl Fn(ConnectionId, &Member) -> bool,
        reason: &'static str,
    ) -> Vec<Caller> {
        let mut inner = self.inner();
        let out = inner
            .members
            .extract_if(.., |connection, member| affected(*connection, member))
            .collect::<Vec<_>>();
        for key in out.iter().filter_map(|(_, member)| member.presence.as_deref()) {
            inner.presence.go(key);
            self.presence_changed.notify_one();
        }
        drop(inner);
        let mut callers = Vec::new();
        for (connection, member) in out {
            tracing::info!(connection, reason, "a connection is put out");
            member.outbox.revoke();
            callers.push(member.caller);
            tokio::spawn(async move {
                tokio::time::sleep(LAST_ANSWER).await;
                member.outbox.cut(Closing::new(REVOKED, reason));
            });
        }
        callers
    }

    /// From now on the connection hears of changed sessions, or no longer.
    pub(crate) fn hear_sessions(&self, connection: ConnectionId, hear: bool) {
        if let Some(member) = self.inner().members.get_mut(&connection) {
            member.all_sessions = hear;
        }
    }

    /// From now on the connection hears the messages of a session, or no longer.
    pub(crate) fn hear_messages(&self, connection: ConnectionId, session: SessionKey, hear: bool) {
        if let Some(member) = self.inner().members.get_mut(&connection) {
            if hear {
                member.sessions.insert(session);
            } else {
                member.sessions.remove(&session);
            }
        }
    }

    /// Whether a connection showed its device's own token.
    pub(crate) fn came_by_own_token(&self, connection: ConnectionId) -> bool {
        self.inner().members.get(&connection).is_some_and(|member| member.by_own_token)
    }

    /// The nodes that are connected, each by its newest connection.
    pub(crate) fn nodes(&self) -> BTreeMap<DeviceId, ConnectedNode> {
        let inner = self.inner();
        let nodes = inner.members.iter().filter(|(_, member)| member.caller.role() == Role::Node);
        let known = nodes.filter_map(|(connection, member)| {
            let node = ConnectedNode {
                connection: *connection,
                caps: member.caps.clone(),
                commands: member.commands.clone(),
            };
            Some((member.caller.device()?.clone(), node))
        });
        known.collect()
    }

    /// Whether somebody besides this connection may decide requests for approval. Runs may not.
    pub(crate) fn somebody_approves(&self, besides: ConnectionId) -> bool {
        self.inner().members.iter().any(|(connection, member)| {
            *connection != besides
                && member.caller.grant().is_none()
                && member.caller.role() == Role::Operator
                && member.caller.scopes().any(|held| held.covers(Scope::Approvals))
        })
    }

    /// The devices that are connected.
    pub(crate) fn connected_devices(&self) -> BTreeSet<DeviceId> {
        self.inner().members.values().filter_map(|member| member.caller.device().cloned()).collect()
    }

    /// Whether anybody belongs to the audience.
    pub(crate) fn has(&self, audience: &Audience<'_>) -> bool {
        let inner = self.inner();
        inner.members.iter().any(|(number, member)| member.belongs_to(*number, audience))
    }

    /// From now on this connection is told of turns in the session by the name it has used, if it
    /// speaks protocol 3.
    pub(crate) fn name_session(&self, connection: ConnectionId, key: &SessionKey, name: &str) {
        if let Some(member) = self.inner().members.get_mut(&connection)
            && member.outbox.version() == ProtocolVersion::V3
        {
            member.names.keep(key, name);
        }
    }

    /// Tells whoever belongs to the audience.
    pub(crate) fn tell(&self, audience: &Audience<'_>, event: &str, payload: Value) {
        let encoded = encode(event, &payload, None, audience.reach());
        let session = match event {
            event::CHAT | event::AGENT => payload["sessionKey"].as_str(),
            _ => None,
        };
        self.send_each(audience, |member| {
            let Some(name) = session.and_then(|key| member.names.of(key)) else {
                return encoded.clone();
            };
            let mut payload = payload.clone();
            payload["sessionKey"] = name.into();
            encode(event, &payload, None, audience.reach())
        });
    }

    fn send(&self, audience: &Audience<'_>, event: &EncodedEvent) {
        self.send_each(audience, |_| event.clone());
    }

    fn send_each(&self, audience: &Audience<'_>, event: impl Fn(&Member) -> EncodedEvent) {
        for (connection, member) in &self.inner().members {
            if member.belongs_to(*connection, audience)
                && member.outbox.put_event(event(member), Share::None).is_err()
            {
                tracing::debug!(connection, "a connection was gone before the event");
            }
        }
    }

    /// Tells whoever may read who is connected, each time that has changed. What changes within
    /// `pause` is told together.
    pub(crate) async fn tell_presence(&self, pause: Duration) {
        loop {
            self.presence_changed.notified().await;
            tokio::time::sleep(pause).await;
            #[derive(serde::Serialize)]
            struct Payload {
                presence: Box<RawValue>,
            }
            let payload = Payload { presence: self.presence() };
            let state = Some(self.state_version());
            let event = encode(event::PRESENCE, &payload, state, Reach::All);
            self.send(&Audience::Holding(Scope::Read), &event);
        }
    }

    /// Asks whoever was silent since this was last called for a sign of life, and gives up those
    /// who have given none as often as `patience` says.
    pub(crate) fn feel_pulse(&self, ping: &Bytes, patience: u32, last_word: &Closing) {
        for (connection, member) in &mut self.inner().members {
            let Some(silence) = &mut member.silence else { continue };
            if member.outbox.take_sign_of_life() {
                *silence = 0;
            } else if *silence >= patience {
                // It was told to end already.
                continue;
            } else {
                *silence += 1;
            }
            if *silence >= patience {
                tracing::info!(connection, "nothing is heard of a connection any more");
                member.outbox.close(last_word.clone());
            } else {
                member.outbox.put_control(ping.clone());
            }
        }
    }

    /// How often presence and health have changed.
    pub(crate) fn state_version(&self) -> StateVersion {
        StateVersion { presence: self.inner().presence.version(), health: 1 }
    }

    /// Who is connected, as clients show it: a list in JSON.
    pub(crate) fn presence(&self) -> Box<RawValue> {
        let list = self.inner().presence.list();
        RawValue::from_string(list).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }
}

impl Audience<'_> {
    fn reach(&self) -> Reach {
        match self {
            Self::Everyone | Self::Holding(_) | Self::Readers => Reach::All,
            Self::SessionChanges | Self::MessagesOf(_) | Self::Messages | Self::Only(_) => {
                Reach::Some
            }
        }
    }
}

impl Member {
    fn belongs_to(&self, connection: ConnectionId, audience: &Audience<'_>) -> bool {
        // What operators see is not for a node, whatever scopes it holds.
        let operator = self.caller.role() == Role::Operator;
        let holds = |scope: Scope| operator && self.caller.scopes().any(|held| held.covers(scope));
        match audience {
            Audience::Everyone => true,
            Audience::Holding(scope) => holds(*scope),
            Audience::Readers => self.caller.grant().is_none() && holds(Scope::Read),
            Audience::SessionChanges => self.all_sessions && holds(Scope::Read),
            Audience::MessagesOf(session) => self.sessions.contains(session) && holds(Scope::Read),
            Audience::Messages => !self.sessions.is_empty() && holds(Scope::Read),
            Audience::Only(number) => connection == *number,
        }
    }
}

#[cfg(test)]
mod tests;
