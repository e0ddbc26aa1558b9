//! How a run's processes are started, and what they are given.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hatchery_agent::{Conversation, Model};
use hatchery_protocol::{AgentId, RuntimeKind};
use hatchery_runtime::{AcpDeadlines, Launch, RunSpec};
use hatchery_sandbox::{KeeperCommand, Network};
use hatchery_spawn::{Policy, Run};
use nix::unistd::{AccessFlags, access};

use crate::state_directory::StateDirectory;

/// The word that makes our program a keeper of processes.
const KEEPER_WORD: &str = "keeper";

/// The word that makes our program an agent.
const AGENT_WORD: &str = "agent";

/// Variables of the gateway's own environment that a run's processes may see. Everything else
/// may hold a secret and stays out.
const PASSED_ON: [&str; 11] = [
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ",
    "USER",
];

/// What an isolated run sees of those: nothing that tells of the person.
const PASSED_ON_ISOLATED: [&str; 6] = ["LANG", "LC_ALL", "LC_CTYPE", "PATH", "TMPDIR", "TZ"];

/// How a run's processes are started.
pub(crate) struct Launcher {
    program: PathBuf,
    /// The directory of our own program, where a run finds `hatchery`.
    program_directory: Option<PathBuf>,
    socket: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Launcher {
    /// A launcher that starts `program` (this program itself) as keeper and as agent.
    pub(crate) fn new(program: PathBuf, state: &StateDirectory) -> Self {
        let executable = std::env::current_exe().ok();
        Self {
            program,
            program_directory: executable.and_then(|path| path.parent().map(Into::into)),
            socket: state.socket(),
            environment: std::env::vars_os().collect(),
        }
    }

    /// The agents whose program cannot be started now, as far as that can be known without trying.
    pub(crate) fn missing(&self, policy: &Policy) -> BTreeSet<AgentId> {
        let programs = policy.agents.iter().filter_map(|(agent, settings)| {
            Some((agent, settings.harness.as_ref()?.first()?.as_str()))
        });
        let missing = programs.filter(|(_, program)| !self.finds(program));
        missing.map(|(agent, _)| agent.clone()).collect()
    }

    /// Whether a run would find a program. One below the directory of the run is told by that.
    fn finds(&self, program: &str) -> bool {
        let can_run = |path: &Path| path.is_file() && access(path, AccessFlags::X_OK).is_ok();
        if program.contains('/') {
            let path = Path::new(program);
            return path.is_relative() || can_run(path);
        }
        let mut environment = self.environment.clone();
        self.make_findable(&mut environment);
        let path = environment.iter().find(|(name, _)| name == "PATH");
        path.is_some_and(|(_, path)| {
            std::env::split_paths(path).any(|directory| can_run(&directory.join(program)))
        })
    }

    /// How keepers are started.
    pub(crate) fn keeper(&self) -> KeeperCommand {
        KeeperCommand { program: self.program.clone(), args: vec![KEEPER_WORD.into()] }
    }

    /// What the runtime needs to run a run. `model` is what the run's model is now, `earlier` what
    /// was said in its session before.
    pub(crate) fn spec(
        &self,
        run: &Run,
        ticket: OwnedFd,
        model: Option<Model>,
        earlier: Conversation,
    ) -> RunSpec {
        let built_in = || vec![self.program.clone().into_os_string(), AGENT_WORD.into()];
        let launch = match (run.runtime, &run.harness) {
            (RuntimeKind::Local, _) => Launch::Local,
            (RuntimeKind::Isolated, _) => {
                Launch::Acp { argv: built_in(), network: Network::Denied }
            }
            (RuntimeKind::Acp, None) => Launch::Acp { argv: built_in(), network: Network::Host },
            (RuntimeKind::Acp, Some(command)) => Launch::Acp {
                argv: command.iter().map(OsString::from).collect(),
                network: Network::Host,
            },
        };
        RunSpec {
            agent: run.agent.clone(),
            task: run.task.clone(),
            conversation: earlier,
            model,
            cwd: run.workspace.clone(),
            env: self.environment_of(run),
            ticket: Some(Arc::new(ticket)),
            launch,
            deadlines: AcpDeadlines::default(),
            resume: None,
        }
    }

    fn environment_of(&self, run: &Run) -> Vec<(OsString, OsString)> {
        let isolated = run.runtime == RuntimeKind::Isolated;
        let names: &[&str] = if isolated { &PASSED_ON_ISOLATED } else { &PASSED_ON };
        let mut environment: Vec<(OsString, OsString)> = self
            .environment
            .iter()
            .filter(|(name, _)| names.iter().any(|passed| name == passed))
            .cloned()
            .collect();
        if isolated {
            environment.push(("HOME".into(), run.workspace.clone().into()));
        }
        self.make_findable(&mut environment);
        environment.push(("HATCHERY_SOCKET".into(), self.socket.clone().into()));
        environment.push(("HATCHERY_SESSION".into(), run.session.as_str().into()));
        environment
    }

    /// Lets a run find `hatchery` where its own `PATH` has none.
    fn make_findable(&self, environment: &mut Vec<(OsString, OsString)>) {
        let Some(directory) = &self.program_directory else { return };
        match environment.iter_mut().find(|(name, _)| name == "PATH") {
            Some((_, path)) => {
                path.push(":");
                path.push(directory);
            }
            None => {
                let mut path = OsString::from("/usr/local/bin:/usr/bin:/bin:");
                path.push(directory);
                environment.push(("PATH".into(), path));
            }
        }
    }
}
