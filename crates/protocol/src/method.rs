//! The methods and events of the gateway.

/// A method the gateway answers. What is not here is `unknown method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// The agents there are.
    AgentsList,
    /// The settings in force, each with its origin.
    ConfigGet,
    /// The gateway's own condition.
    GatewayStatus,
    /// End the gateway.
    GatewayStop,
    /// A sign of life.
    Health,
    /// What was said in a session.
    SessionsHistory,
    /// Stop a session's run and everything below it.
    SessionsKill,
    /// The sessions there are.
    SessionsList,
    /// One session.
    SessionsShow,
    /// Start a sub-agent.
    SessionsSpawn,
}

impl Method {
    /// Every method there is.
    pub const ALL: [Self; 10] = [
        Self::AgentsList,
        Self::ConfigGet,
        Self::GatewayStatus,
        Self::GatewayStop,
        Self::Health,
        Self::SessionsHistory,
        Self::SessionsKill,
        Self::SessionsList,
        Self::SessionsShow,
        Self::SessionsSpawn,
    ];

    /// The method's name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AgentsList => "agents.list",
            Self::ConfigGet => "config.get",
            Self::GatewayStatus => "gateway.status",
            Self::GatewayStop => "gateway.stop",
            Self::Health => "health",
            Self::SessionsHistory => "sessions.history",
            Self::SessionsKill => "sessions.kill",
            Self::SessionsList => "sessions.list",
            Self::SessionsShow => "sessions.show",
            Self::SessionsSpawn => "sessions.spawn",
        }
    }

    /// The method of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

/// Names of events.
pub mod event {
    /// A run's state changed.
    pub const RUN_STATE: &str = "run.state";
    /// A run printed something.
    pub const RUN_OUTPUT: &str = "run.output";
    /// The gateway is about to end.
    pub const SHUTDOWN: &str = "shutdown";
}

#[cfg(test)]
mod tests {
    use super::Method;

    #[test]
    fn every_method_is_found_by_its_name() {
        for method in Method::ALL {
            assert_eq!(Method::parse(method.name()), Some(method));
        }
        assert_eq!(Method::parse("sessions"), None);
    }
}
