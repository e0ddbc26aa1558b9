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
    /// [`Scope::Questions`].
    Questions,
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
            Self::Questions => Some(Scope::Questions),
            Self::Admin => Some(Scope::Admin),
        }
    }
}

// Sorted by name, so that lists of methods are too.
methods! {
    Agent "agent" Write "Run a turn and answer twice: when it is taken on, and when it is over.";
    AgentIdentityGet "agent.identity.get" Read "How an agent presents itself.";
    AgentWait "agent.wait" Write "Wait for the end of a turn.";
    AgentsList "agents.list" Read "The agents there are.";
    AgentsSetup "agents.setup" Read "The agents there are, and how each is set up.";
    ApprovalGet "approval.get" Approvals "One request for approval, of whatever kind.";
    ApprovalResolve "approval.resolve" Approvals "Decide a request for approval, of whatever kind.";
    ChannelsStatus "channels.status" Read "The chat channels and how they are doing.";
    ChatAbort "chat.abort" Write "Stop the turn of a session.";
    ChatHistory "chat.history" Read "The transcript of a session.";
    ChatInject "chat.inject" Admin "Put a message into a transcript.";
    ChatMetadata "chat.metadata" Read "What a chat window offers: models and commands.";
    ChatSend "chat.send" Write "Say something in a session.";
    ChatStartup "chat.startup" Read "The transcript of a session, and what a client starts with.";
    CommandsList "commands.list" Read "The commands a chat message can be.";
    ConfigGet "config.get" Read "The settings in force, each with its origin.";
    CronList "cron.list" Read "The scheduled jobs there are.";
    CronStatus "cron.status" Read "Whether jobs are scheduled.";
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
    ExecApprovalGet "exec.approval.get" Approvals "One request to run a command.";
    ExecApprovalList "exec.approval.list" Approvals "The requests to run commands that wait for a decision.";
    ExecApprovalRequest "exec.approval.request" Approvals "Ask for leave to run a command.";
    ExecApprovalResolve "exec.approval.resolve" Approvals "Decide a request to run a command.";
    ExecApprovalWaitDecision "exec.approval.waitDecision" Approvals "Wait for the decision on a request to run a command.";
    GatewayIdentityGet "gateway.identity.get" Read "The gateway's own key.";
    GatewayStatus "gateway.status" Read "The gateway's own condition.";
    GatewayStop "gateway.stop" Admin "End the gateway.";
    Health "health" Nothing "A sign of life.";
    LastHeartbeat "last-heartbeat" Read "The last heartbeat of an agent; there are none.";
    LogsTail "logs.tail" Read "The end of the log, and what has been added to it since.";
    ModelsAuthStatus "models.authStatus" Read "Which model providers have their credentials.";
    ModelsList "models.list" Read "The models agents can use.";
    NodeDescribe "node.describe" Read "One node.";
    NodeEvent "node.event" Node "A node tells of something.";
    NodeInvoke "node.invoke" Write "Ask something of a node.";
    NodeInvokeResult "node.invoke.result" Node "A node's answer to what it was asked.";
    NodeList "node.list" Read "The nodes there are.";
    NodePairApprove "node.pair.approve" Pairing "Let others ask of a node what it offers.";
    NodePairList "node.pair.list" Pairing "The nodes, and what they offer that nobody has approved.";
    NodePairReject "node.pair.reject" Pairing "Do not let others ask of a node what it offers.";
    NodePairRemove "node.pair.remove" Pairing "Let nobody ask anything of a node any more.";
    NodePendingAck "node.pending.ack" Node "A node has done what was kept for it.";
    NodePendingDrain "node.pending.drain" Node "What was kept for a node while it was away; nothing is.";
    NodePendingPull "node.pending.pull" Node "What was kept for a node while it was away; nothing is.";
    NodeRename "node.rename" Pairing "Give a node another name.";
    OpenclawApprovalList "openclaw.approval.list" Approvals "The requests of the system agent that wait for a decision; there are none.";
    PluginApprovalList "plugin.approval.list" Approvals "The requests of tools that wait for a decision.";
    PluginApprovalRequest "plugin.approval.request" Approvals "Ask for leave to use a tool.";
    PluginApprovalResolve "plugin.approval.resolve" Approvals "Decide a request of a tool.";
    PluginApprovalWaitDecision "plugin.approval.waitDecision" Approvals "Wait for the decision on a request of a tool.";
    QuestionList "question.list" Questions "The questions of agents that wait for an answer; there are none.";
    Send "send" Write "Send a message over a channel.";
    SessionsAbort "sessions.abort" Write "Stop the turn of a session.";
    SessionsCompact "sessions.compact" Admin "Leave out the older part of a transcript.";
    SessionsCreate "sessions.create" Write "Open a session.";
    SessionsDelete "sessions.delete" Admin "Delete a session.";
    SessionsDescribe "sessions.describe" Read "One session as lists show it.";
    SessionsExport "sessions.export" Read "Everything that is kept of a session, page by page.";
    SessionsGet "sessions.get" Read "The messages of a session.";
    SessionsGroupsDefaults "sessions.groups.defaults" Write "What new sessions of a group start with; there are no groups.";
    SessionsGroupsList "sessions.groups.list" Read "The groups sessions are sorted into; there are none.";
    SessionsHistory "sessions.history" Read "What was said in a session.";
    SessionsKill "sessions.kill" Write "Stop a session's run and everything below it.";
    SessionsList "sessions.list" Read "The sessions there are.";
    SessionsMessagesSubscribe "sessions.messages.subscribe" Read "Hear the messages of a session.";
    SessionsMessagesUnsubscribe "sessions.messages.unsubscribe" Read "Hear them no longer.";
    SessionsPatch "sessions.patch" Admin "Change the settings of a session.";
    SessionsPreview "sessions.preview" Read "The last of what was said in some sessions.";
    SessionsReset "sessions.reset" Admin "Begin a session's transcript anew.";
    SessionsResolve "sessions.resolve" Read "Which session is meant.";
    SessionsSend "sessions.send" Write "Say something in a session.";
    SessionsShow "sessions.show" Read "One session.";
    SessionsSpawn "sessions.spawn" Write "Start a sub-agent.";
    SessionsSubscribe "sessions.subscribe" Read "Hear of changed sessions.";
    SessionsUnsubscribe "sessions.unsubscribe" Read "Hear of them no longer.";
    SessionsWatch "sessions.watch" Read "See what a session's run says, from any piece on, and its end.";
    SessionsYield "sessions.yield" Write "Wait, as a run, for results of its sub-agents.";
    Status "status" Read "How the gateway and its sessions are doing.";
    SystemPresence "system-presence" Read "Who is connected.";
    SystemInfo "system.info" Read "The machine the gateway runs on.";
    TaskSuggestionsList "taskSuggestions.list" Read "Suggested tasks; there are none.";
    TasksDismiss "tasks.dismiss" Write "Give up a result that could not be told on its route.";
    TasksGet "tasks.get" Read "One run of a sub-agent, as a task.";
    TasksList "tasks.list" Read "The runs of sub-agents, as tasks.";
    TasksRetry "tasks.retry" Write "Tell a result again that could not be told on its route.";
    UpdateStatus "update.status" Admin "Whether there is a newer version; nobody looks for one.";
}

/// Names of events.
pub mod event {
    /// A device asks to be let in.
    pub const DEVICE_PAIR_REQUESTED: &str = "device.pair.requested";
    /// That was decided.
    pub const DEVICE_PAIR_RESOLVED: &str = "device.pair.resolved";
    /// Something is asked of a node.
    pub const NODE_INVOKE_REQUEST: &str = "node.invoke.request";
    /// A node offers commands.
    pub const NODE_PAIR_REQUESTED: &str = "node.pair.requested";
    /// That was decided.
    pub const NODE_PAIR_RESOLVED: &str = "node.pair.resolved";
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
    /// Somebody wants leave to run a command.
    pub const EXEC_APPROVAL_REQUESTED: &str = "exec.approval.requested";
    /// A request to run a command was decided.
    pub const EXEC_APPROVAL_RESOLVED: &str = "exec.approval.resolved";
    /// A tool wants leave.
    pub const PLUGIN_APPROVAL_REQUESTED: &str = "plugin.approval.requested";
    /// A tool's request was decided.
    pub const PLUGIN_APPROVAL_RESOLVED: &str = "plugin.approval.resolved";
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
        DEVICE_PAIR_REQUESTED,
        DEVICE_PAIR_RESOLVED,
        EXEC_APPROVAL_REQUESTED,
        EXEC_APPROVAL_RESOLVED,
        NODE_INVOKE_REQUEST,
        NODE_PAIR_REQUESTED,
        NODE_PAIR_RESOLVED,
        PLUGIN_APPROVAL_REQUESTED,
        PLUGIN_APPROVAL_RESOLVED,
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
    #![allow(clippy::unwrap_used)]

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

    #[test]
    fn every_method_and_event_is_documented() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md");
        let document = std::fs::read_to_string(path).unwrap();
        for method in Method::ALL {
            let needs = method.needs();
            let needs = match (needs, needs.scope()) {
                (_, Some(scope)) => format!("`{}`", scope.as_str().replace("operator.", "")),
                (super::Needs::Node, None) => "role `node`".to_owned(),
                (_, None) => "connected".to_owned(),
            };
            let row = format!("| `{}` | {needs} |", method.name());
            assert!(document.contains(&row), "{row}");
        }
        for event in event::ALL {
            // Pairs of events share a row.
            let name = event.replace(".resolved", ".requested");
            assert!(document.contains(&format!("`{name}`")), "{name}");
        }
    }
}
