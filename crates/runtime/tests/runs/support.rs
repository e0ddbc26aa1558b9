//! Starting runs and watching them.

use std::ffi::OsString;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hatchery_agent::{Cancel, ChatModel, Conversation, Model, ModelDeadlines};
use hatchery_protocol::{AgentId, OutputStream, Task};
use hatchery_runtime::{AcpDeadlines, Launch, Observer, Progress, RunEnd, RunSpec, Spent, run};
use hatchery_sandbox::{KeeperCommand, Network, ProcessIdentity};

/// Runs one test. The limit is there to fail rather than hang; nothing is expected to take long.
pub(crate) fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test hangs");
    });
}

pub(crate) fn keeper() -> KeeperCommand {
    KeeperCommand { program: "/proc/self/exe".into(), args: vec!["keeper".into()] }
}

/// The built-in agent, in this process and in one of its own.
pub(crate) fn both() -> [Launch; 2] {
    let binary = std::env::current_exe().unwrap().into_os_string();
    [Launch::Local, acp(vec![binary, "agent".into()])]
}

pub(crate) fn acp(argv: Vec<OsString>) -> Launch {
    Launch::Acp { argv, network: Network::Host }
}

/// An agent that is a shell script.
pub(crate) fn script(script: &str) -> Launch {
    acp(vec!["/bin/sh".into(), "-c".into(), script.into()])
}

pub(crate) fn text(line: &str) -> Task {
    Task::Text(line.to_owned())
}

pub(crate) fn spec(launch: Launch, task: Task) -> RunSpec {
    RunSpec {
        agent: AgentId::main(),
        task,
        conversation: Conversation::default(),
        model: Some(Model::Shell),
        cwd: "/".into(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        ticket: None,
        launch,
        deadlines: AcpDeadlines::default(),
        resume: None,
    }
}

/// The model `mock/echo`, at this address.
pub(crate) fn chat_model(base_url: String) -> ChatModel {
    ChatModel {
        provider: "mock".to_owned(),
        id: "echo".to_owned(),
        base_url,
        api_key: None,
        headers: Vec::new(),
        context_window: None,
        max_tokens: None,
        deadlines: ModelDeadlines::default(),
    }
}

/// What an observer saw.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    started: Option<ProcessIdentity>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    progress: Vec<Progress>,
    resumable: Vec<String>,
    /// Cancels the run once this has been printed.
    cancel_at: Option<(Vec<u8>, Cancel)>,
}

impl Observer for Seen {
    async fn starting(&self, process: Option<ProcessIdentity>) {
        let process = process.expect("every run here has processes");
        let earlier = self.0.lock().unwrap().started.replace(process);
        assert_eq!(earlier, None, "a run starts once");
    }

    async fn output(&self, stream: OutputStream, bytes: Bytes) {
        let mut state = self.0.lock().unwrap();
        assert!(state.started.is_some(), "output comes after the start");
        match stream {
            OutputStream::Stdout => state.stdout.extend_from_slice(&bytes),
            OutputStream::Stderr => state.stderr.extend_from_slice(&bytes),
        }
        let state = &*state;
        if let Some((words, cancel)) = &state.cancel_at
            && state.stdout.windows(words.len()).any(|window| window == words)
        {
            cancel.cancel();
        }
    }

    async fn progress(&self, progress: Progress) {
        let mut state = self.0.lock().unwrap();
        assert!(state.started.is_some(), "progress comes after the start");
        state.progress.push(progress);
    }

    async fn resumable(&self, session: &str) {
        self.0.lock().unwrap().resumable.push(session.to_owned());
    }
}

impl Seen {
    pub(crate) fn stdout(&self) -> Vec<u8> {
        self.0.lock().unwrap().stdout.clone()
    }

    pub(crate) fn stderr(&self) -> Vec<u8> {
        self.0.lock().unwrap().stderr.clone()
    }

    /// What was told beside output, without what is a sign of life and nothing else, and without
    /// the beginning of an agent's work.
    pub(crate) fn progress(&self) -> Vec<Progress> {
        let progress = self.0.lock().unwrap().progress.clone();
        let beside = |one: &Progress| !matches!(one, Progress::Alive | Progress::AtWork);
        progress.into_iter().filter(beside).collect()
    }

    /// How often it showed that it lives and nothing else.
    pub(crate) fn life(&self) -> usize {
        let state = self.0.lock().unwrap();
        state.progress.iter().filter(|progress| **progress == Progress::Alive).count()
    }

    /// The sessions that can be taken up again.
    pub(crate) fn resumable(&self) -> Vec<String> {
        self.0.lock().unwrap().resumable.clone()
    }

    /// Whether the keeper, and with it everything below it, is gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.lock().unwrap().started.as_ref().is_none_or(|process| !process.is_running())
    }
}

/// How the run ended, in words, and what was seen of it. No process of it may be left.
pub(crate) async fn outcome(spec: RunSpec) -> (String, Seen) {
    outcome_of(spec, Seen::default(), Cancel::new()).await
}

/// The same for a run that is cancelled once it has printed `words`.
pub(crate) async fn outcome_cancelled_at(spec: RunSpec, words: &str) -> (String, Seen) {
    let (seen, cancel) = (Seen::default(), Cancel::new());
    seen.0.lock().unwrap().cancel_at = Some((words.as_bytes().to_vec(), cancel.clone()));
    outcome_of(spec, seen, cancel).await
}

/// The same for a run that is cancelled once the file `ready` is in its directory.
pub(crate) async fn outcome_cancelled_when_ready(spec: RunSpec) -> (String, Seen) {
    let (cancel, ready) = (Cancel::new(), spec.cwd.join("ready"));
    let run = outcome_of(spec, Seen::default(), cancel.clone());
    let watch = async {
        appears(&ready).await;
        cancel.cancel();
    };
    tokio::join!(run, watch).0
}

/// Returns once there is such a file.
pub(crate) async fn appears(file: &Path) {
    while !file.exists() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn outcome_of(spec: RunSpec, seen: Seen, cancel: Cancel) -> (String, Seen) {
    let end = run(spec, keeper(), seen.clone(), cancel).await;
    assert!(seen.is_gone(), "a process is left after {end:?}");
    let words = match end {
        RunEnd::Answered { exit_code: Some(code), .. } => format!("answered {code}"),
        RunEnd::Answered { exit_code: None, .. } => "answered".to_owned(),
        RunEnd::Cancelled => "cancelled".to_owned(),
        RunEnd::Failed(failure) => failure.to_string(),
    };
    (words, seen)
}

/// How many processes have these words in their command line. In a namespace of its own a
/// process cannot tell the number it has here.
pub(crate) fn at_work(words: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let lines = entries.filter_map(|path| std::fs::read(path.join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(words)).count()
}

/// What a run says that has no process of its own, and how it ended.
pub(crate) async fn said_by_a_model(spec: RunSpec) -> (String, Vec<u8>) {
    let heard = Heard::default();
    let words = match run(spec, keeper(), heard.clone(), Cancel::new()).await {
        RunEnd::Answered { exit_code: None, report: Some(report) } => {
            let usage = report.usage.unwrap();
            let told = heard.0.lock().unwrap().spent;
            assert_eq!(told.and_then(|told| told.tokens), Some(usage));
            format!("answered with {} tokens", usage.input_tokens + usage.output_tokens)
        }
        RunEnd::Failed(failure) => failure.to_string(),
        other => panic!("{other:?}"),
    };
    let printed = heard.0.lock().unwrap().printed.clone();
    (words, printed)
}

/// What is heard of a run without a process.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Question>>);

#[derive(Default)]
struct Question {
    starts: u32,
    printed: Vec<u8>,
    spent: Option<Spent>,
}

impl Observer for Heard {
    async fn starting(&self, process: Option<ProcessIdentity>) {
        assert_eq!(process, None, "a question has no process");
        self.0.lock().unwrap().starts += 1;
    }

    async fn output(&self, _: OutputStream, bytes: Bytes) {
        let mut heard = self.0.lock().unwrap();
        assert_eq!(heard.starts, 1, "output comes after the one start");
        heard.printed.extend_from_slice(&bytes);
    }

    async fn progress(&self, progress: Progress) {
        if let Progress::Spent(spent) = progress {
            self.0.lock().unwrap().spent = Some(spent);
        }
    }

    async fn resumable(&self, session: &str) {
        panic!("a question has no session: {session}");
    }
}
