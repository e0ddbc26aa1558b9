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
    AgentsList "agents.list" Read "The agents there are.";
    ConfigGet "config.get" Read "The settings in force, each with its origin.";
    DevicePairApprove "device.pair.approve" Pairing "Let a device in.";
    DevicePairClear "device.pair.clear" Pairing "Forget requests, or everything about devices.";
    DevicePairExplain "device.pair.explain" Pairing "Why a device is let in or not.";
    DevicePairList "device.pair.list" Pairing "The devices, and the requests that wait.";
    DevicePairReject "device.pair.reject" Pairing "Do not let a device in.";
    DevicePairRemove "device.pair.remove" Pairing "Forget a device.";
    DevicePairRename "device.pair.rename" Pairing "Give a device another name.";
    DevicePairSetupCode "device.pair.setupCode" Admin "A code that lets one device in.";
    DevicePairSetupStatus "device.pair.setupStatus" Admin "What has become of such a code.";
    DeviceScopesRequestUpgrade "device.scopes.requestUpgrade" Nothing "Ask for more.";
    DeviceScopesWaitUpgrade "device.scopes.waitUpgrade" Nothing "Wait for what was asked for.";
    DeviceTokenRevoke "device.token.revoke" Pairing "Revoke a device's token.";
    DeviceTokenRotate "device.token.rotate" Pairing "Exchange a device's token for another.";
    GatewayStatus "gateway.status" Read "The gateway's own condition.";
    GatewayStop "gateway.stop" Admin "End the gateway.";
    Health "health" Nothing "A sign of life.";
    SessionsHistory "sessions.history" Read "What was said in a session.";
    SessionsKill "sessions.kill" Write "Stop a session's run and everything below it.";
    SessionsList "sessions.list" Read "The sessions there are.";
    SessionsShow "sessions.show" Read "One session.";
    SessionsSpawn "sessions.spawn" Write "Start a sub-agent.";
}

/// Names of events.
pub mod event {
    /// A device asks to be let in.
    pub const DEVICE_PAIR_REQUESTED: &str = "device.pair.requested";
    /// That was decided.
    pub const DEVICE_PAIR_RESOLVED: &str = "device.pair.resolved";
    /// A node offers commands.
    pub const NODE_PAIR_REQUESTED: &str = "node.pair.requested";
    /// That was decided.
    pub const NODE_PAIR_RESOLVED: &str = "node.pair.resolved";
    /// A run's state changed.
    pub const RUN_STATE: &str = "run.state";
    /// A run printed something.
    pub const RUN_OUTPUT: &str = "run.output";
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
        CONNECT_CHALLENGE,
        DEVICE_PAIR_REQUESTED,
        DEVICE_PAIR_RESOLVED,
        NODE_PAIR_REQUESTED,
        NODE_PAIR_RESOLVED,
        PRESENCE,
        RUN_OUTPUT,
        RUN_STATE,
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
