//! What a message that begins with `/` asks for (OpenClaw protocol §7).

use hatchery_protocol::AgentId;

use crate::chat_commands;

/// A command said in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ChatCommand {
    Help,
    Whoami,
    Status,
    Agents,
    Stop,
    /// Begin the session anew, with another model where one is named.
    New(Option<String>),
    Reset,
    /// Show the model, or set it.
    Model(Option<String>),
    Subagents(Subagents),
    /// Not a command there is.
    Unknown(String),
    /// A command, used in a way there is not.
    Wrong(&'static str),
}

/// What is asked about sub-agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subagents {
    List,
    Info(String),
    Log(String, usize),
    Spawn(SpawnWords),
    Kill(String),
    /// Write to one that is at work.
    Write,
}

/// A sub-agent that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SpawnWords {
    pub(super) agent: Option<AgentId>,
    pub(super) task: String,
    pub(super) model: Option<String>,
    pub(super) label: Option<String>,
}

/// How many lines of a log are shown where no number is given, and at most.
const DEFAULT_LINES: usize = 20;
const MAX_LINES: usize = 200;

/// Whether a message is a command. A path is none: `/bin/date` is something to run.
pub(crate) fn is_command(text: &str) -> bool {
    let Some((name, _)) = split(text) else { return false };
    !name.is_empty() && !name.contains('/')
}

/// The name behind the slash, and the rest.
fn split(text: &str) -> Option<(String, &str)> {
    let text = text.trim().strip_prefix('/')?;
    let end = text.find(|c: char| c.is_whitespace() || c == ':').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    Some((name.to_lowercase(), rest.trim_start_matches(':').trim()))
}

/// Reads a command.
pub(super) fn parse(text: &str) -> ChatCommand {
    let Some((name, rest)) = split(text) else { return ChatCommand::Unknown(String::new()) };
    let known = chat_commands::ChatCommand::find(&name).map(|command| command.name);
    match known.unwrap_or_default() {
        "help" => ChatCommand::Help,
        "whoami" => ChatCommand::Whoami,
        "status" => ChatCommand::Status,
        "agents" => ChatCommand::Agents,
        "stop" => ChatCommand::Stop,
        "new" => ChatCommand::New((!rest.is_empty()).then(|| rest.to_owned())),
        "reset" => ChatCommand::Reset,
        "model" => ChatCommand::Model((!rest.is_empty()).then(|| rest.to_owned())),
        "subagents" => subagents(rest),
        "kill" => match rest {
            "" => ChatCommand::Wrong("/kill <id|#|all>"),
            target => ChatCommand::Subagents(Subagents::Kill(target.to_owned())),
        },
        _ => ChatCommand::Unknown(name.chars().take(32).collect()),
    }
}

fn subagents(rest: &str) -> ChatCommand {
    let (action, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = rest.trim();
    let first = rest.split_whitespace().next().map(str::to_owned);
    let asked = match (action.to_lowercase().as_str(), first) {
        ("" | "list", _) => Subagents::List,
        ("info", Some(target)) => Subagents::Info(target),
        ("info", None) => return ChatCommand::Wrong("/subagents info <id|#>"),
        ("log", Some(target)) => {
            let lines = rest.split_whitespace().nth(1).and_then(|lines| lines.parse().ok());
            Subagents::Log(target, lines.unwrap_or(DEFAULT_LINES).clamp(1, MAX_LINES))
        }
        ("log", None) => return ChatCommand::Wrong("/subagents log <id|#> [lines]"),
        ("kill" | "stop", Some(target)) => Subagents::Kill(target),
        ("kill" | "stop", None) => return ChatCommand::Wrong("/subagents kill <id|#|all>"),
        ("send" | "steer", _) => Subagents::Write,
        ("spawn", _) => match spawn(rest) {
            Some(words) => Subagents::Spawn(words),
            None => {
                return ChatCommand::Wrong(
                    "/subagents spawn <agentId> <task> [--model provider/model] [--label name]",
                );
            }
        },
        _ => return ChatCommand::Wrong("/subagents list|info|log|spawn|kill"),
    };
    ChatCommand::Subagents(asked)
}

/// Options may stand before the agent or behind the task, not within it: what a task says is the
/// task's own.
fn spawn(rest: &str) -> Option<SpawnWords> {
    let mut words = SpawnWords::default();
    let mut rest = rest.trim();
    while let Some((option, value, behind)) = option_in_front(rest) {
        set(&mut words, option, value);
        rest = behind;
    }
    while let Some((before, option, value)) = option_behind(rest) {
        set(&mut words, option, value);
        rest = before;
    }
    let (agent, task) = rest.split_once(char::is_whitespace)?;
    words.agent = Some(AgentId::new(agent).ok()?);
    words.task = task.trim().to_owned();
    (!words.task.is_empty()).then_some(words)
}

fn set(words: &mut SpawnWords, option: &str, value: &str) {
    match option {
        "--model" => words.model = Some(value.to_owned()),
        "--label" => words.label = Some(value.to_owned()),
        // How hard it thinks is not ours to say yet; it is taken and changes nothing.
        _ => {}
    }
}

fn is_option(word: &str) -> bool {
    matches!(word, "--model" | "--label" | "--thinking")
}

fn option_in_front(text: &str) -> Option<(&str, &str, &str)> {
    let (option, rest) = text.split_once(char::is_whitespace)?;
    if !is_option(option) {
        return None;
    }
    let rest = rest.trim_start();
    let (value, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    Some((option, value, rest.trim_start()))
}

fn option_behind(text: &str) -> Option<(&str, &str, &str)> {
    let (before, value) = text.rsplit_once(char::is_whitespace)?;
    let before = before.trim_end();
    let (before, option) = before.rsplit_once(char::is_whitespace)?;
    is_option(option).then_some((before.trim_end(), option, value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hatchery_protocol::AgentId;

    use super::{ChatCommand, SpawnWords, Subagents, is_command, parse};

    fn spawn(agent: &str, task: &str, model: Option<&str>, label: Option<&str>) -> ChatCommand {
        ChatCommand::Subagents(Subagents::Spawn(SpawnWords {
            agent: Some(AgentId::new(agent).unwrap()),
            task: task.to_owned(),
            model: model.map(str::to_owned),
            label: label.map(str::to_owned),
        }))
    }

    #[test]
    fn what_begins_with_a_slash_is_a_command_unless_it_is_a_path() {
        for (text, expected) in [
            ("/help", true),
            ("  /Status: now", true),
            ("/nonsense", true),
            ("/bin/date", false),
            ("/", false),
            ("say /help", false),
            ("", false),
        ] {
            assert_eq!(is_command(text), expected, "{text:?}");
        }
    }

    #[test]
    fn commands_are_read_with_their_words() {
        let sub = ChatCommand::Subagents;
        let cases = [
            ("/HELP", ChatCommand::Help),
            ("/model", ChatCommand::Model(None)),
            ("/models", ChatCommand::Model(None)),
            ("/abort", ChatCommand::Stop),
            ("/new", ChatCommand::New(None)),
            ("/new p/m", ChatCommand::New(Some("p/m".to_owned()))),
            ("/model: a/b", ChatCommand::Model(Some("a/b".to_owned()))),
            ("/subagents", sub(Subagents::List)),
            ("/subagents info #1", sub(Subagents::Info("#1".to_owned()))),
            ("/subagents log last", sub(Subagents::Log("last".to_owned(), 20))),
            ("/subagents log last 9999", sub(Subagents::Log("last".to_owned(), 200))),
            ("/subagents kill all", sub(Subagents::Kill("all".to_owned()))),
            ("/kill 2", sub(Subagents::Kill("2".to_owned()))),
            ("/subagents steer 1 left", sub(Subagents::Write)),
            ("/pair approve x", ChatCommand::Unknown("pair".to_owned())),
            ("/approve x allow-once", ChatCommand::Unknown("approve".to_owned())),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
        for text in [
            "/subagents info",
            "/subagents kill",
            "/kill",
            "/subagents dance",
            "/subagents spawn",
            "/subagents spawn main",
            "/subagents spawn ../x y",
            "/subagents spawn main --model x",
        ] {
            assert!(matches!(parse(text), ChatCommand::Wrong(_)), "{text}");
        }
    }

    #[test]
    fn every_command_that_is_listed_is_understood() {
        for command in crate::chat_commands::CHAT_COMMANDS {
            for name in command.aliases.iter().chain([&command.name]) {
                let read = parse(&format!("/{name}"));
                assert!(!matches!(read, ChatCommand::Unknown(_)), "{name}");
            }
        }
    }

    #[test]
    fn options_of_a_spawn_stand_in_front_or_behind_and_never_in_the_task() {
        for (text, expected) in [
            ("main echo hi", spawn("main", "echo hi", None, None)),
            ("main echo hi --model a/b", spawn("main", "echo hi", Some("a/b"), None)),
            ("--label x main echo hi", spawn("main", "echo hi", None, Some("x"))),
            ("main t --thinking low --label x", spawn("main", "t", None, Some("x"))),
            ("main echo --model a/b hi", spawn("main", "echo --model a/b hi", None, None)),
            ("main two\nlines", spawn("main", "two\nlines", None, None)),
        ] {
            assert_eq!(parse(&format!("/subagents spawn {text}")), expected, "{text}");
        }
    }
}
