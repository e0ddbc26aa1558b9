//! A gateway from start to end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hatchery_access::connect::exemptions_refused;
use hatchery_sandbox::ProcessIdentity;
use hatchery_store::{AuditEvent, Store};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

use crate::approvals::Approvals;
use crate::clock::now_ms;
use crate::config::{AuthMode, Bind, Config, Sources};
use crate::device_door::{self, Guesses, door_policy};
use crate::error::StartError;
use crate::gateway_key::GatewayKey;
use crate::hub::Hub;
use crate::invocations::Invocations;
use crate::kept::Kept;
use crate::launcher::Launcher;
use crate::lobby::Lobby;
use crate::lock::{Holder, Lock};
use crate::methods::health::{HealthDepth, LastHealth};
use crate::methods::session_list::ListKey;
use crate::pairing::PairingService;
use crate::settings::Settings;
use crate::state_directory::StateDirectory;
use crate::supervisor::Supervisor;
use crate::tls::Tls;
use crate::{descriptors, door, http, pulse, socket, tick};

/// How long connections may take, when the gateway ends, to read what is still to be said.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long changes of who is connected are gathered before they are told.
const PRESENCE_PAUSE: Duration = Duration::from_millis(100);

/// How a gateway is to be.
pub struct Options {
    /// Where it keeps its things.
    pub state_directory: StateDirectory,
    /// Where its settings come from.
    pub sources: Sources<'static>,
    /// The program that becomes keepers and agents: this one.
    pub program: PathBuf,
    /// Which doors it opens.
    pub doors: Doors,
    /// How often a silent client of the device door is asked for a sign of life:
    /// [`PULSE_INTERVAL`](crate::PULSE_INTERVAL), and less in tests. Not zero.
    pub pulse: Duration,
}

/// Which doors a gateway opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doors {
    /// All: a gateway that stays. It does not start without its TCP port.
    All,
    /// The owner's socket, and TCP if the port is free: a command that hosts a gateway for as
    /// long as its own run goes on.
    Hosted,
    /// None but the one from within: a command that only looks.
    Within,
}

/// A running gateway. It goes on until [`Gateway::stop`]; dropping it kills its runs.
pub struct Gateway {
    shared: Arc<Shared>,
    tasks: Vec<AbortHandle>,
    /// Last, so that everything else is gone before another gateway can start.
    _lock: Lock,
}

/// What all doors share.
pub(crate) struct Shared {
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) pairing: Arc<PairingService>,
    pub(crate) state_directory: StateDirectory,
    pub(crate) hosted: bool,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) started_at_ms: u64,
    /// Room for connections of runs.
    pub(crate) run_connections: Arc<Semaphore>,
    /// Lists of sessions as they were sent last.
    pub(crate) session_lists: Kept<ListKey>,
    /// Signs of life as they were sent last.
    pub(crate) healths: Kept<HealthDepth>,
    pub(crate) last_health: LastHealth,
    pub(crate) key: GatewayKey,
    pub(crate) approvals: Approvals,
    /// What nodes were asked and have not answered.
    pub(crate) invocations: Invocations,
    /// Those who came over the network and have not yet said who they are.
    pub(crate) lobby: Arc<Lobby>,
    /// Who may guess a secret, and how often.
    pub(crate) guesses: Guesses,
    /// TLS, where the TCP port speaks it.
    pub(crate) tls: Option<Tls>,
    tcp_accepted: AtomicU64,
    stop: watch::Sender<bool>,
    closing: watch::Sender<bool>,
}

impl Shared {
    /// Returns once open connections are to end.
    pub(crate) async fn closing(&self) {
        // The sender lives in `self`.
        if self.closing.subscribe().wait_for(|closing| *closing).await.is_err() {
            std::future::pending().await
        }
    }

    /// Keeps in the journal that the gateway has started and which settings take protection away,
    /// and looks at once whether the devices can be read: a person should hear of it early. A
    /// command that hosts a gateway for itself has nothing to say unless there is such a setting.
    fn note_start(&self, config: &Config, doors: Doors) {
        let exemptions = config.exemptions();
        if doors == Doors::All || (doors == Doors::Hosted && !exemptions.is_empty()) {
            self.supervisor.audit(AuditEvent::GatewayStarted {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                address: self.address.map(|address| address.to_string()),
                exemptions,
            });
        }
        if doors == Doors::All {
            let pairing = Arc::clone(&self.pairing);
            tokio::spawn(async move {
                if let Err(refusal) = pairing.with_state(|_| {}).await {
                    tracing::error!("the devices cannot be read: {refusal}");
                }
            });
        }
    }

    /// Whether others than this machine can reach the TCP port.
    pub(crate) fn is_exposed(&self) -> bool {
        self.address.is_some_and(|address| !address.ip().is_loopback())
    }

    pub(crate) fn ask_to_stop(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) fn count_tcp_accept(&self) {
        self.tcp_accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn tcp_accepted(&self) -> u64 {
        self.tcp_accepted.load(Ordering::Relaxed)
    }
}

impl Gateway {
    /// Starts a gateway and returns once its doors are open. Must be called inside a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`StartError`]: each cause has its own case, sentence and exit status.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let state = options.state_directory;
        state
            .prepare()
            .map_err(|source| StartError::Directory { path: state.path().to_owned(), source })?;
        let mut lock =
            Lock::acquire(&state.lock()).map_err(|error| StartError::lock(&state, error))?;
        let settings = Settings::load(options.sources)?;
        let config = settings.config();
        if options.doors == Doors::All {
            descriptors::make_room();
        }
        let listener = match options.doors {
            Doors::All => Some(listen(&config).await?),
            Doors::Hosted => listen(&config).await.ok(),
            Doors::Within => None,
        };
        let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let tls = match &listener {
            Some(listener) => tls(&config, &state, listener)?,
            None => None,
        };
        // Before any run: a process that kills its keeper must not become a stranger to us.
        if let Err(error) = hatchery_sandbox::adopt_orphans() {
            tracing::warn!("orphans of killed keepers cannot be adopted: {error}");
        }
        let store = Store::open(state.path(), now_ms())?;
        let launcher = Launcher::new(options.program, &state);
        let hub = Arc::new(Hub::default());
        let supervisor =
            Supervisor::new(store, settings, launcher, Arc::clone(&hub), options.doors);
        let place = state.path().to_owned();
        let pairing = PairingService::new(place, Arc::clone(&supervisor), Arc::clone(&hub));
        supervisor.recover(&pairing).await?;
        let hosted = options.doors != Doors::All;
        let shared = Arc::new(Shared {
            supervisor,
            hub,
            pairing,
            hosted,
            address,
            started_at_ms: now_ms(),
            run_connections: Arc::new(Semaphore::new(door::MAX_RUN_CONNECTIONS)),
            session_lists: Kept::new(),
            healths: Kept::new(),
            last_health: LastHealth::default(),
            key: GatewayKey::at(state.key()),
            approvals: Approvals::default(),
            invocations: Invocations::default(),
            lobby: Arc::default(),
            guesses: Guesses::new(&config),
            tls,
            tcp_accepted: AtomicU64::new(0),
            stop: watch::Sender::new(false),
            closing: watch::Sender::new(false),
            state_directory: state.clone(),
        });
        let hub = Arc::clone(&shared.hub);
        let mut tasks = vec![
            tokio::spawn(tick::tick(Arc::clone(&hub))).abort_handle(),
            tokio::spawn(pulse::feel(Arc::clone(&hub), options.pulse)).abort_handle(),
            tokio::spawn(async move { hub.tell_presence(PRESENCE_PAUSE).await }).abort_handle(),
            tokio::spawn(device_door::watch(Arc::clone(&shared), Arc::clone(&config)))
                .abort_handle(),
        ];
        if let Some(listener) = listener {
            tasks.push(tokio::spawn(http::accept(Arc::clone(&shared), listener)).abort_handle());
        }
        if options.doors != Doors::Within {
            let path = state.socket();
            let listener =
                socket::listen(&path).map_err(|source| StartError::Directory { path, source })?;
            tasks.push(tokio::spawn(door::accept(Arc::clone(&shared), listener)).abort_handle());
        }
        if options.doors != Doors::Within {
            let supervisor = Arc::clone(&shared.supervisor);
            let flushing = async move { supervisor.flush_audit_regularly().await };
            tasks.push(tokio::spawn(flushing).abort_handle());
            let expiring = Arc::clone(&shared.supervisor).expire_notices_regularly();
            tasks.push(tokio::spawn(expiring).abort_handle());
        }
        if options.doors == Doors::All {
            let supervisor = Arc::clone(&shared.supervisor);
            let own = Arc::clone(&supervisor);
            tasks.push(tokio::spawn(own.give_memory_back()).abort_handle());
            tasks.push(tokio::spawn(supervisor.keep_house()).abort_handle());
        }
        if let Some(process) = ProcessIdentity::current() {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            let port = address.map(|address| address.port());
            lock.describe(&Holder { process, port, hosted, version })
                .map_err(|source| StartError::Directory { path: state.lock(), source })?;
        }
        log_start(&config, &shared);
        shared.note_start(&config, options.doors);
        Ok(Self { shared, tasks, _lock: lock })
    }

    /// The TCP address it listens on, if it does.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.shared.address
    }

    /// A connection to this gateway as its owner, from within.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn connect(&self) -> std::io::Result<UnixStream> {
        door::connect_within(&self.shared)
    }

    /// Returns once somebody has asked for the gateway's end (`gateway.stop`).
    pub async fn asked_to_stop(&self) {
        // The sender lives in `self`.
        if self.shared.stop.subscribe().wait_for(|stop| *stop).await.is_err() {
            std::future::pending().await
        }
    }

    /// Returns once no run is live.
    pub async fn idle(&self) {
        self.shared.supervisor.idle().await;
    }

    /// How many runs are live.
    #[must_use]
    pub fn live_runs(&self) -> usize {
        self.shared.supervisor.load().live
    }

    /// Ends the gateway in order: no new connections, a word to the open ones, every run stopped
    /// and its processes gone.
    pub async fn stop(self) {
        tracing::info!("Gateway stopping");
        self.shared.supervisor.shut_down().await;
        for task in &self.tasks {
            task.abort();
        }
        // What was promised to a connection is still written, as long as it reads.
        self.shared.closing.send_replace(true);
        let supervisor = &self.shared.supervisor;
        if tokio::time::timeout(FAREWELL, supervisor.disconnected()).await.is_err() {
            tracing::warn!("some connections did not read to the end");
        }
        supervisor.flush_audit().await;
        supervisor.write_snapshot().await;
        if !self.tasks.is_empty()
            && let Err(error) = std::fs::remove_file(self.shared.state_directory.socket())
        {
            tracing::debug!("the owner's socket was gone already: {error}");
        }
        tracing::info!("Gateway stopped");
    }
}

/// TLS for the listener, where the settings want it.
fn tls(
    config: &Config,
    state: &StateDirectory,
    listener: &TcpListener,
) -> Result<Option<Tls>, StartError> {
    if !config.gateway.tls.enabled {
        return Ok(None);
    }
    let address = listener.local_addr().map_or(IpAddr::from(Ipv4Addr::LOCALHOST), |a| a.ip());
    Ok(Some(Tls::load(&config.gateway.tls, &state.tls(), address)?))
}

async fn listen(config: &Config) -> Result<TcpListener, StartError> {
    let port = config.gateway.port;
    let address = match config.gateway.bind {
        Bind::Loopback | Bind::Auto => IpAddr::from(Ipv4Addr::LOCALHOST),
        Bind::Lan => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        Bind::Tailnet => http::tailnet_address().ok_or(StartError::NoTailnet)?,
        Bind::Custom(address) => address,
    };
    check_exemptions(config, address)?;
    let listener = TcpListener::bind(SocketAddr::new(address, port)).await;
    listener.map_err(|source| StartError::Port { port, source })
}

/// What lets somebody in without pairing does not go together with an address that others can
/// reach, unless the owner says twice that this is meant.
fn check_exemptions(config: &Config, address: IpAddr) -> Result<(), StartError> {
    let policy = door_policy(config);
    let beyond = config.security.allow_exemptions_beyond_loopback;
    match exemptions_refused(&policy, address.is_loopback(), beyond) {
        Some(refusal) => Err(StartError::Exposed(Box::new(refusal))),
        None => Ok(()),
    }
}

/// The lines people look for in a log when a spawn or a pairing puzzles them.
fn log_start(config: &Config, shared: &Shared) {
    match shared.address {
        Some(address) => {
            tracing::info!("Gateway started on port {} ({})", address.port(), address.ip());
        }
        None => tracing::info!("Gateway started without a port"),
    }
    if let Some(tls) = &shared.tls {
        tracing::info!("TLS certificate fingerprint (SHA-256): {}", tls.fingerprint);
    }
    for setting in config.exemptions() {
        tracing::warn!("A PROTECTION IS TURNED OFF: {setting}");
    }
    let auth = &config.gateway.auth;
    let secret_is_missing = match auth.mode {
        AuthMode::Token => auth.token.is_none(),
        AuthMode::Password => auth.password.is_none(),
        AuthMode::None | AuthMode::TrustedProxy => false,
    };
    if secret_is_missing && shared.address.is_some() {
        tracing::info!(
            "no shared secret is configured: the device door takes paired devices only; \
             set gateway.auth.{0} or HATCHERY_GATEWAY_{1} to have one",
            auth.mode.as_str(),
            auth.mode.as_str().to_uppercase()
        );
    }
    let pairing = &config.gateway.pairing;
    let enabled = |on: bool| if on { "enabled" } else { "disabled" };
    tracing::info!("Loopback pairing exemption: {}", enabled(pairing.loopback_exempt));
    // True whatever the setting says: no code path of a spawn leads to pairing.
    tracing::info!("Internal spawn bypass: enabled");
    if !pairing.internal_spawn_bypass {
        tracing::info!(
            "gateway.pairing.internalSpawnBypass is false and changes nothing: an internal spawn never pairs"
        );
    }
}
