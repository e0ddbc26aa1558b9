//! A home of its own for each test: nothing of the person who runs the tests is seen or touched.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// An empty home directory. Dropping it ends the gateway that runs in it.
pub(crate) struct Home {
    directory: TempDir,
    user: Option<u32>,
    without_privileges: bool,
    variables: Vec<(&'static str, PathBuf)>,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            user: None,
            without_privileges: false,
            variables: Vec::new(),
        }
    }

    /// A home with settings: the texts of `hatchery.json` and `gateway.json`, empty for none.
    pub(crate) fn with_config(hatchery_json: &str, gateway_json: &str) -> Self {
        let home = Self::new();
        home.configure(hatchery_json, gateway_json);
        home
    }

    /// The settings most tests of the lists and limits start from.
    pub(crate) fn with_seed_config() -> Self {
        Self::with_config(
            r#"{ acp: { enabled: true, allowedAgents: ["my-agent", "analysis-agent"] } }"#,
            r#"{ gateway: { pairing: { loopbackExempt: true, internalSpawnBypass: true } },
                 security: { enforcePairing: true } }"#,
        )
    }

    /// The same home for a user without privileges. Only root can make one; for anybody else the
    /// tests run without privileges anyway.
    pub(crate) fn for_ordinary_user(mut self) -> Self {
        if nix::unistd::geteuid().is_root() {
            const NOBODY: u32 = 65_534;
            let path = self.directory.path();
            let owner = Some(NOBODY);
            for entry in [path.to_owned(), path.join(".config"), path.join(".config/hatchery")] {
                if entry.exists() {
                    std::os::unix::fs::chown(&entry, owner, owner).unwrap();
                }
            }
            for name in ["hatchery.json", "gateway.json"] {
                let file = self.config_directory().join(name);
                if file.exists() {
                    std::os::unix::fs::chown(&file, owner, owner).unwrap();
                }
            }
            self.user = Some(NOBODY);
        }
        self
    }

    /// The same home, in which even root has no privileges.
    pub(crate) fn without_privileges(mut self) -> Self {
        self.without_privileges = true;
        self
    }

    /// The same home with its state in another place.
    pub(crate) fn with_state_in(mut self, directory: PathBuf) -> Self {
        self.variables.push(("HATCHERY_STATE_DIR", directory));
        self
    }

    pub(crate) fn configure(&self, hatchery_json: &str, gateway_json: &str) {
        std::fs::create_dir_all(self.config_directory()).unwrap();
        for (name, text) in [("hatchery.json", hatchery_json), ("gateway.json", gateway_json)] {
            if !text.is_empty() {
                std::fs::write(self.config_directory().join(name), text).unwrap();
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn config_directory(&self) -> PathBuf {
        self.path().join(".config/hatchery")
    }

    pub(crate) fn state_directory(&self) -> PathBuf {
        self.path().join(".local/state/hatchery")
    }

    /// `hatchery` with these words, in this home and nothing else of our environment.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = match self.user {
            // The build directory may be closed to others, so they get a copy.
            Some(user) => {
                use std::os::unix::process::CommandExt as _;
                let copy = self.path().join("hatchery");
                if !copy.exists() {
                    // Another process copies: a file this one has open for writing could not be
                    // executed while any other test is just forking.
                    let mut copying = Command::new("cp");
                    copying.arg(env!("CARGO_BIN_EXE_hatchery")).arg(&copy);
                    assert!(copying.status().unwrap().success());
                }
                let mut command = Command::new(copy);
                command.uid(user).gid(user);
                command
            }
            None if self.without_privileges => {
                let mut command = Command::new("setpriv");
                command.args(["--bounding-set=-all", "--inh-caps=-all", "--"]);
                command.arg(env!("CARGO_BIN_EXE_hatchery"));
                command
            }
            None => Command::new(env!("CARGO_BIN_EXE_hatchery")),
        };
        command
            .args(words)
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("TZ", "UTC")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs `hatchery` to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        Said::from(self.command(words).output().unwrap())
    }

    /// Starts `hatchery` and returns at once; its output is captured.
    pub(crate) fn begin(&self, words: &[&str]) -> Child {
        self.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Starts a gateway in the background on a port of the system's choice; gives its process id.
    pub(crate) fn start_gateway(&self) -> i32 {
        let said = self.run(&["gateway", "start", "--port", "0", "--json"]);
        assert_eq!(said.status, 0, "{said:?}");
        i32::try_from(said.json()["pid"].as_i64().unwrap()).unwrap()
    }

    /// The answer of a command with `--json`.
    pub(crate) fn ask(&self, words: &[&str]) -> Value {
        let mut words = words.to_vec();
        words.push("--json");
        self.run(&words).json()
    }

    /// The sessions there are, the newest first, as (id, status).
    pub(crate) fn sessions(&self) -> Vec<(String, String)> {
        let answer = self.ask(&["sessions", "list"]);
        let text = |value: &Value| value.as_str().unwrap_or("idle").to_owned();
        let sessions = answer["sessions"].as_array().unwrap().iter();
        sessions.map(|s| (text(&s["sessionId"]), text(&s["run"]["status"]))).collect()
    }

    /// Waits until a command has named itself in a file by [`ITSELF`], and gives its number here.
    pub(crate) fn process_in(&self, name: &str) -> i32 {
        named(&self.wait_for_file(name))
    }

    /// Waits until a file of this home holds something, and gives it.
    pub(crate) fn wait_for_file(&self, name: &str) -> String {
        let path = self.path().join(name);
        let mut text = String::new();
        wait_until(&format!("{name} is written"), || {
            text = std::fs::read_to_string(&path).unwrap_or_default();
            text.ends_with('\n')
        });
        text.trim_end().to_owned()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.run(&["gateway", "stop"]);
    }
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Standard output with session ids replaced, since they differ each time.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.stdout.lines().map(without_ids).collect()
    }
}

fn without_ids(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("sess_") {
        let (before, after) = rest.split_at(at);
        let id: String =
            after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        text.push_str(before);
        text.push_str(if id == "sess_main" { "sess_main" } else { "sess_*" });
        rest = &after[id.len()..];
    }
    text + rest
}

/// Looks at `condition` until it holds; fails the test when it never does.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it never came about that {what}");
        // Leaves the processor to what is waited for; the deadline above bounds it all.
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// The words with which a shell command names itself. Its own number alone says little: it may be
/// in a namespace where it has another than here.
pub(crate) const ITSELF: &str = "$$ $(readlink /proc/self/ns/pid)";

/// The number that a process has here which names itself by [`ITSELF`]; 0, which is nobody's, if
/// it is gone.
pub(crate) fn named(words: &str) -> i32 {
    let (number, namespace) = words.split_once(' ').unwrap();
    let is_it = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        numbers.and_then(|numbers| numbers.split_whitespace().last()) == Some(number)
            && std::fs::read_link(format!("/proc/{pid}/ns/pid"))
                .is_ok_and(|link| link.as_os_str() == namespace)
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    let mut pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.find(is_it).unwrap_or(0)
}

/// Whether a process is there and no zombie. What cannot be read for another reason than that
/// nobody is there, such as too many open files, says nothing of the process.
pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(error) => {
            let gone = [nix::libc::ENOENT, nix::libc::ESRCH];
            return !error.raw_os_error().is_some_and(|code| gone.contains(&code));
        }
    };
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // Where the first thread has ended, others may still hold what the process has open.
    match fields[..] {
        [] => false,
        ["Z" | "X", ..] => {
            fields.get(17).and_then(|threads| threads.parse().ok()).is_some_and(|it: u32| it > 1)
        }
        _ => true,
    }
}

/// An IPv4 address of this machine that is not loopback, where it has one.
pub(crate) fn lan_address() -> Option<String> {
    let addresses = nix::ifaddrs::getifaddrs().ok()?;
    let mut ipv4 =
        addresses.filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()));
    ipv4.find(|address| !address.is_loopback()).map(|address| address.to_string())
}
