//! The methods and events of the gateway.

use crate::Scope;

/// Declares the methods: variant, name on the wire, what a caller needs, meaning.
macro_rules! methods {
    ($($variant:ident $name:literal $needs:ident $meaning:literal;)*) => {
        /// A method the gateway answers. What is not here is `unknown method`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Method {
            $(#[doc = $meaning] $variant,)*
        }

        impl Method {
            /// Every method there is, by name.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The method's name on the wire.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What a caller needs for it.
            #[must_use]
            pub fn needs(self) -> Needs {
                match self {
                    $(Self::$variant => Needs::$needs,)*
                }
            }

            /// The method of that name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

/// What a caller needs for a method (OpenClaw protocol §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing but to be connected.
    Nothing,
    /// [`Scope::Read`].
    Read,
    /// [`Scope::Write`].
    Write,
    /// [`Scope::Pairing`].
    Pairing,
    /// [`Scope::Approvals`].
    Approvals,
    /// [`Scope::Admin`].
    Admin,
    /// The role of a node.
    Node,
}

impl Needs {
    /// The scope, where one is needed.
    #[must_use]
    pub fn scope(self) -> Option<Scope> {
        match self {
            Self::Nothing | Self::Node => None,
            Self::Read => Some(Scope::Read),
            Self::Write => Some(Scope::Write),
            Self::Pairing => Some(Scope::Pairing),
            Self::Approvals => Some(Scope::Approvals),
            Self::Admin => Some(Scope::Admin),
        }
    }
}

// Sorted by name, so that lists of methods are too.
methods! {
    Agent "agent" Write "Run a turn and answer twice: when it is taken on, and when it is over.";
    AgentWait "agent.wait" Write "Wait for the end of a turn.";
    AgentsList "agents.list" Read "The agents there are.";
    ChatAbort "chat.abort" Write "Stop the turn of a session.";
    ChatHistory "chat.history" Read "The transcript of a session.";
    ChatInject "chat.inject" Admin "Put a message into a transcript.";
    ChatSend "chat.send" Write "Say something in a session.";
    ChatStartup "chat.startup" Read "The transcript of a session, and what a client starts with.";
    ConfigGet "config.get" Read "The settings in force, each with its origin.";
    GatewayStatus "gateway.status" Read "The gateway's own condition.";
    GatewayStop "gateway.stop" Admin "End the gateway.";
    Health "health" Nothing "A sign of life.";
    Send "send" Write "Send a message over a channel.";
    SessionsAbort "sessions.abort" Write "Stop the turn of a session.";
    SessionsCompact "sessions.compact" Admin "Leave out the older part of a transcript.";
    SessionsCreate "sessions.create" Write "Open a session.";
    SessionsDelete "sessions.delete" Admin "Delete a session.";
    SessionsGet "sessions.get" Read "The messages of a session.";
    SessionsHistory "sessions.history" Read "What was said in a session.";
    SessionsKill "sessions.kill" Write "Stop a session's run and everything below it.";
    SessionsList "sessions.list" Read "The sessions there are.";
    SessionsMessagesSubscribe "sessions.messages.subscribe" Read "Hear the messages of a session.";
    SessionsMessagesUnsubscribe "sessions.messages.unsubscribe" Read "Hear them no longer.";
    SessionsPatch "sessions.patch" Admin "Change the settings of a session.";
    SessionsReset "sessions.reset" Admin "Begin a session's transcript anew.";
    SessionsSend "sessions.send" Write "Say something in a session.";
    SessionsShow "sessions.show" Read "One session.";
    SessionsSpawn "sessions.spawn" Write "Start a sub-agent.";
    SessionsSubscribe "sessions.subscribe" Read "Hear of changed sessions.";
    SessionsUnsubscribe "sessions.unsubscribe" Read "Hear of them no longer.";
}

/// Names of events.
pub mod event {
    /// A run's state changed.
    pub const RUN_STATE: &str = "run.state";
    /// A run printed something.
    pub const RUN_OUTPUT: &str = "run.output";
    /// What a turn says to people: its answer as it grows, and how it ends.
    pub const CHAT: &str = "chat";
    /// What a turn does: its beginning, its steps, its end.
    pub const AGENT: &str = "agent";
    /// A transcript has a new message.
    pub const SESSION_MESSAGE: &str = "session.message";
    /// A session is not what it was.
    pub const SESSIONS_CHANGED: &str = "sessions.changed";
    /// What the client's signature has to cover; the first thing a client hears.
    pub const CONNECT_CHALLENGE: &str = "connect.challenge";
    /// Who is connected has changed.
    pub const PRESENCE: &str = "presence";
    /// The gateway is about to end.
    pub const SHUTDOWN: &str = "shutdown";
    /// A sign of life.
    pub const TICK: &str = "tick";

    /// Every event there is, by name.
    pub const ALL: &[&str] = &[
        AGENT,
        CHAT,
        CONNECT_CHALLENGE,
        PRESENCE,
        RUN_OUTPUT,
        RUN_STATE,
        SESSION_MESSAGE,
        SESSIONS_CHANGED,
        SHUTDOWN,
        TICK,
    ];
}

#[cfg(test)]
mod tests {
    use super::{Method, event};

    #[test]
    fn every_method_is_found_by_its_name_and_they_are_sorted() {
        for method in Method::ALL {
            assert_eq!(Method::parse(method.name()), Some(*method));
        }
        assert!(Method::ALL.is_sorted_by_key(|method| method.name()));
        assert!(event::ALL.is_sorted());
        assert_eq!(Method::parse("sessions"), None);
    }
}
