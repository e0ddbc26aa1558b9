//! A home of its own, and the gateway that runs in it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hatchery_protocol::Method;
use serde::Serialize;
use serde_json::json;
use tempfile::TempDir;

use crate::client::Client;
use crate::failure::Failure;

/// How long a gateway may take to be ready before it counts as broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether it is.
const LOOK_EVERY: Duration = Duration::from_micros(100);

/// The program to measure: it lies beside this one.
pub(crate) fn program() -> Result<PathBuf, Failure> {
    let ours = std::env::current_exe().map_err(Failure::io("finding this program"))?;
    let path = ours.with_file_name(format!("hatchery{}", std::env::consts::EXE_SUFFIX));
    if path.is_file() { Ok(path) } else { Err(Failure::NoProgram { path }) }
}

/// Limits of a gateway, as its settings name them.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Limits {
    /// Runs at work at a time.
    pub(crate) max_concurrent: usize,
    /// Live children of one run.
    pub(crate) max_children_per_agent: usize,
    /// How deep runs may stand.
    pub(crate) max_spawn_depth: usize,
}

impl Limits {
    /// So many runs at work, and nothing else unusual.
    pub(crate) fn at_work(max_concurrent: usize) -> Self {
        Self { max_concurrent, max_children_per_agent: 5, max_spawn_depth: 1 }
    }
}

/// An empty home. It lies beside the measured program and not in the directory for temporary
/// files, which may be in memory, where nothing that is made durable costs anything.
pub(crate) struct Home {
    directory: TempDir,
    program: PathBuf,
}

impl Home {
    pub(crate) fn new(program: PathBuf) -> Result<Self, Failure> {
        let beside = program.parent().unwrap_or(Path::new("."));
        let directory = tempfile::Builder::new().prefix("bench-home-").tempdir_in(beside);
        Ok(Self { directory: directory.map_err(Failure::io("making a home"))?, program })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The shared token of the gateways in this home. It is as secret as the home is lasting.
    pub(crate) fn token(&self) -> &'static str {
        "a token that only benches use"
    }

    /// Where its gateways keep their things.
    pub(crate) fn state(&self) -> PathBuf {
        self.path().join(".local/state/hatchery")
    }

    /// The owner's socket of its gateways.
    pub(crate) fn socket(&self) -> PathBuf {
        self.state().join("gateway.sock")
    }

    /// Gives its gateways these limits instead of the defaults.
    pub(crate) fn set_limits(&self, limits: &Limits) -> Result<(), Failure> {
        let directory = self.path().join(".config/hatchery");
        let settings = json!({"agents": {"defaults": {"subagents": limits}}});
        std::fs::create_dir_all(&directory)
            .and_then(|()| std::fs::write(directory.join("hatchery.json"), settings.to_string()))
            .map_err(Failure::io("writing settings"))
    }

    /// `hatchery` with these words, in this home and nothing else of our environment.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("TZ", "UTC")
            .env("HATCHERY_GATEWAY_TOKEN", self.token())
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Starts a gateway on a port of the system's choice and returns once it has greeted us.
    pub(crate) async fn start_gateway(&self) -> Result<Gateway, Failure> {
        let words = ["gateway", "run", "--port", "0"];
        let child = self.command(&words).spawn().map_err(Failure::io("starting the gateway"))?;
        let mut process = Process(child);
        let deadline = Instant::now() + PATIENCE;
        let socket = self.socket();
        loop {
            if let Some(client) = Client::connect(&socket).await? {
                let work_in = self.path().to_string_lossy().into_owned();
                return Ok(Gateway { process, client, work_in });
            }
            if process.has_ended()? || Instant::now() > deadline {
                return Err(Failure::NotReady(PATIENCE.as_secs()));
            }
            // Nothing else runs in this process meanwhile, so its one thread may wait.
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// A gateway at work, with a connection to it. Dropping it kills it, and so everything under it.
pub(crate) struct Gateway {
    process: Process,
    pub(crate) client: Client,
    /// Where its runs work.
    pub(crate) work_in: String,
}

impl Gateway {
    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Where it listens for devices.
    pub(crate) async fn address(&mut self) -> Result<SocketAddr, Failure> {
        let status = self.client.call(Method::GatewayStatus).await?;
        let address = status["address"].as_str().and_then(|address| address.parse().ok());
        address.ok_or_else(|| Failure::Wrong {
            what: "opening the TCP port".to_owned(),
            how: "the gateway has none".to_owned(),
        })
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        self.client.call(Method::GatewayStop).await?;
        let status = self.process.0.wait().map_err(Failure::io("waiting for the gateway"))?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::Wrong { what: "the gateway's end".to_owned(), how: status.to_string() })
    }
}

/// A child that does not outlive us.
struct Process(Child);

impl Process {
    fn has_ended(&mut self) -> Result<bool, Failure> {
        let status = self.0.try_wait().map_err(Failure::io("looking after the gateway"))?;
        Ok(status.is_some())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended in order before.
        if self.0.kill().is_ok() && self.0.wait().is_err() {
            eprintln!("hatchery-bench: a gateway may be left behind");
        }
    }
}
