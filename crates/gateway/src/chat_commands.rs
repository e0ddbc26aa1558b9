//! The commands a chat message can be, in one place: what is listed is what is understood.

/// A command of a chat: a message that begins with `/` and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChatCommand {
    /// Its name, without the slash.
    pub(crate) name: &'static str,
    /// Other names, without the slash.
    pub(crate) aliases: &'static [&'static str],
    /// What it does, for people.
    pub(crate) description: &'static str,
    /// What kind of command it is, in the wire's words.
    pub(crate) category: &'static str,
    /// What may stand behind it.
    pub(crate) args: &'static [ChatArgument],
}

/// Something that may stand behind a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChatArgument {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) required: bool,
    /// The words it can be; any text where there are none.
    pub(crate) choices: &'static [&'static str],
}

const fn optional(name: &'static str, description: &'static str) -> ChatArgument {
    ChatArgument { name, description, required: false, choices: &[] }
}

/// The table, by name.
pub(crate) const CHAT_COMMANDS: &[ChatCommand] = &[
    ChatCommand {
        name: "agents",
        aliases: &[],
        description: "The agents there are.",
        category: "management",
        args: &[],
    },
    ChatCommand {
        name: "help",
        aliases: &["commands"],
        description: "What can be said to the gateway itself.",
        category: "status",
        args: &[],
    },
    ChatCommand {
        name: "kill",
        aliases: &[],
        description: "Stop sub-agents of this session.",
        category: "management",
        args: &[ChatArgument {
            name: "target",
            description: "Which sub-agent, or `all`.",
            required: true,
            choices: &[],
        }],
    },
    ChatCommand {
        name: "model",
        aliases: &["models"],
        description: "The model of this session, or another one for it.",
        category: "options",
        args: &[optional("model", "provider/model")],
    },
    ChatCommand {
        name: "new",
        aliases: &[],
        description: "Begin this session anew.",
        category: "session",
        args: &[optional("model", "The model to go on with.")],
    },
    ChatCommand {
        name: "reset",
        aliases: &[],
        description: "Forget what was said in this session.",
        category: "session",
        args: &[],
    },
    ChatCommand {
        name: "status",
        aliases: &[],
        description: "How this session and the gateway are doing.",
        category: "status",
        args: &[],
    },
    ChatCommand {
        name: "stop",
        aliases: &["abort"],
        description: "Stop what is going on in this session.",
        category: "session",
        args: &[],
    },
    ChatCommand {
        name: "subagents",
        aliases: &[],
        description: "Start, watch and stop sub-agents.",
        category: "management",
        args: &[
            ChatArgument {
                name: "action",
                description: "What to do.",
                required: false,
                choices: &["list", "info", "log", "kill", "spawn"],
            },
            optional("target", "Which sub-agent, or the agent and the task to start."),
        ],
    },
    ChatCommand {
        name: "whoami",
        aliases: &["id"],
        description: "As whom the gateway knows you, and what you may do.",
        category: "status",
        args: &[],
    },
];

impl ChatCommand {
    /// The command of that name, or of that other name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        CHAT_COMMANDS.iter().find(|command| command.name == name || command.aliases.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{CHAT_COMMANDS, ChatCommand};

    #[test]
    fn the_table_is_sorted_and_no_name_stands_for_two_commands() {
        assert!(CHAT_COMMANDS.is_sorted_by_key(|command| command.name));
        let mut seen = BTreeSet::new();
        for command in CHAT_COMMANDS {
            for name in command.aliases.iter().chain([&command.name]) {
                assert!(seen.insert(*name), "{name}");
                assert_eq!(ChatCommand::find(name), Some(command));
            }
        }
        assert_eq!(ChatCommand::find("bash"), None);
    }
}
