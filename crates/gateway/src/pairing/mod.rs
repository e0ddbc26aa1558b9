//! Devices: the one place where what `access` decides about them becomes fact.
//!
//! A decision is made and applied under one lock; then it is written, told to whoever may hear of
//! it, and kept as evidence; then the answer goes out. Nothing here decides who may do what, and
//! nothing of it is on the path of a spawn. A store that is damaged, read-only or out of reach
//! changes one thing: what is decided lasts as long as the gateway, and every answer says so.

mod address;
mod files;
mod follow;
mod setup;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hatchery_access::connect::{Admission, Arrival, Denial, DoorPolicy, admit_device};
use hatchery_access::pairing::{
    Command, Disconnect, FreshToken, PairingEvent, PairingState, Reply,
};
use hatchery_access::{Caller, Refusal};
use serde_json::{Value, json};
use tokio::sync::{OnceCell, watch};

pub(crate) use self::address::reachable;
use self::files::Files;
use self::setup::Setups;
use crate::clock::now_ms;
use crate::hub::{ConnectionId, Hub};
use crate::supervisor::{Guest, Supervisor, unavailable};

/// What is known of devices, and what follows when that changes.
pub(crate) struct PairingService {
    directory: PathBuf,
    supervisor: Arc<Supervisor>,
    hub: Arc<Hub>,
    /// Opened when first needed: a command that only spawns never looks.
    opened: OnceCell<Opened>,
    setups: Mutex<Setups>,
    /// Counts what has changed, so that whoever waits for something looks again.
    changes: watch::Sender<u64>,
}

struct Opened {
    state: Arc<Mutex<PairingState>>,
    files: Arc<Files>,
}

/// A command that was carried out.
pub(crate) struct Carried {
    /// What the caller is told.
    pub(crate) reply: Reply,
    /// Whether it outlasts the gateway.
    pub(crate) durable: bool,
    /// The connections it ends. All but the caller's own are closed already.
    disconnects: Vec<Disconnect>,
}

impl PairingService {
    pub(crate) fn new(directory: PathBuf, supervisor: Arc<Supervisor>, hub: Arc<Hub>) -> Arc<Self> {
        Arc::new(Self {
            directory,
            supervisor,
            hub,
            opened: OnceCell::new(),
            setups: Mutex::default(),
            changes: watch::Sender::new(0),
        })
    }

    /// Decides about somebody who connects. The answer may go out once this returns. A device
    /// that is known and asks for what it has does not touch the disk.
    pub(crate) async fn connect(
        self: &Arc<Self>,
        arrival: &Arrival<'_>,
        policy: &DoorPolicy,
    ) -> Admission {
        let (opened, fresh) = match self.opened().await.and_then(|opened| Ok((opened, fresh()?))) {
            Ok(ready) => ready,
            Err(refusal) => return Admission::Refused(Box::new(Denial::new(refusal))),
        };
        let now = now_ms();
        let admission = {
            let mut state = lock(&opened.state);
            let admission = admit_device(&state, arrival, policy, fresh, now);
            events(&admission).iter().for_each(|event| state.apply(event));
            admission
        };
        self.finish(opened, events(&admission).to_vec(), None).await;
        let source = arrival.address;
        match &admission {
            Admission::Admitted(admitted) => {
                let guest = Guest {
                    device: admitted.caller.device(),
                    client: &arrival.params.client.to_string(),
                    source,
                    method: admitted.exempt.unwrap_or(admitted.method.as_str()),
                    role: admitted.caller.role(),
                };
                self.supervisor.note_connect(guest, admitted.caller.scopes());
            }
            Admission::Pending(pending) => {
                self.supervisor.note_stranger(source, &pending.denial.refusal, "connect");
            }
            Admission::Refused(denial) => {
                self.supervisor.note_stranger(source, &denial.refusal, "connect");
            }
        }
        admission
    }

    /// Carries out a command of a caller that was let in by any door. `own` is the connection it
    /// came on: where the command ends that too, its answer has to go out first.
    pub(crate) async fn command(
        self: &Arc<Self>,
        caller: &Caller,
        command: Command,
        own: Option<ConnectionId>,
    ) -> Result<Carried, Refusal> {
        let opened = self.opened().await?;
        let decision = {
            let mut state = lock(&opened.state);
            let decision = state.decide(caller, command, now_ms());
            if let Ok(decision) = &decision {
                decision.events.iter().for_each(|event| state.apply(event));
            }
            decision
        };
        let decision = decision.inspect_err(|refusal| {
            self.supervisor.note_refusal(&caller.describe(), refusal, "devices");
        })?;
        let disconnects = decision.events.iter().filter_map(PairingEvent::disconnects).collect();
        let durable = self.finish(opened, decision.events, own).await;
        // Whoever reads the evidence next finds this in it.
        self.supervisor.settled().await;
        Ok(Carried { reply: decision.reply, durable, disconnects })
    }

    /// Closes what a command left open: the caller's own connection, where the command ended it.
    pub(crate) fn disconnect_own(&self, carried: &Carried) {
        for Disconnect { device, role, reason } in &carried.disconnects {
            self.hub.disconnect(device, *role, reason, None);
        }
    }

    /// Looks at what is known.
    pub(crate) async fn with_state<T>(
        &self,
        look: impl FnOnce(&PairingState) -> T,
    ) -> Result<T, Refusal> {
        let opened = self.opened().await?;
        Ok(look(&lock(&opened.state)))
    }

    /// How things stand with the store, for whoever lists devices.
    pub(crate) async fn store_view(&self) -> Result<Value, Refusal> {
        Ok(self.opened().await?.files.view())
    }

    /// Where changes are told. To be asked for before the state is looked at.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Writes what was decided, and lets follow what follows from it. Says whether it is on disk.
    /// It goes on also if whoever waits for it is gone.
    async fn finish(
        self: &Arc<Self>,
        opened: &Opened,
        events: Vec<PairingEvent>,
        own: Option<ConnectionId>,
    ) -> bool {
        self.follow_at_once(&events, own);
        let devices: Vec<_> =
            events.iter().filter_map(PairingEvent::record_to_keep).cloned().collect();
        let (service, state) = (Arc::clone(self), Arc::clone(&opened.state));
        let files = Arc::clone(&opened.files);
        if devices.is_empty() {
            let durable = files.is_durable();
            service.follow(&events, durable);
            return durable;
        }
        let finishing = tokio::task::spawn_blocking(move || {
            let durable = files.keep(&state, &devices);
            service.follow(&events, durable);
            durable
        });
        finishing.await.unwrap_or(false)
    }

    async fn opened(&self) -> Result<&Opened, Refusal> {
        let open = || async {
            let directory = self.directory.clone();
            let opening = tokio::task::spawn_blocking(move || Files::open(&directory)).await;
            match opening {
                Ok(Ok((files, state))) => {
                    Ok(Opened { state: Arc::new(Mutex::new(state)), files: Arc::new(files) })
                }
                Ok(Err(error)) => Err(unavailable("NO_RANDOMNESS", error)),
                Err(error) => Err(unavailable("DEVICES_UNAVAILABLE", error)),
            }
        };
        self.opened.get_or_try_init(open).await
    }
}

fn lock(state: &Mutex<PairingState>) -> MutexGuard<'_, PairingState> {
    // Events are applied whole before anything can panic.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an admission changes.
fn events(admission: &Admission) -> &[PairingEvent] {
    match admission {
        Admission::Admitted(admitted) => &admitted.events,
        Admission::Pending(pending) => &pending.events,
        Admission::Refused(_) => &[],
    }
}

/// A token nobody has seen yet.
pub(crate) fn fresh() -> Result<FreshToken, Refusal> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| unavailable("NO_RANDOMNESS", error))?;
    Ok(FreshToken::from_random(bytes))
}

/// What an answer says of the store where there is something to say.
pub(crate) fn with_durability(mut payload: Value, durable: bool) -> Value {
    if !durable {
        payload["durable"] = json!(false);
    }
    payload
}
