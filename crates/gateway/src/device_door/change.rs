//! What a change of the settings does to those who are connected.

use std::sync::Arc;
use std::time::Duration;

use hatchery_access::Caller;
use hatchery_store::AuditEvent;
use tokio::time::MissedTickBehavior;

use super::admission::is_refused;
use crate::config::{AuthMode, Config, Secret};
use crate::gateway::Shared;

/// How often the settings are looked at while nobody asks for anything.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What clients are told whose secret is no longer the right one (OpenClaw protocol §1.5).
const CHANGED: &str = "gateway auth changed";

/// What somebody had to know to be let in by the shared secret.
#[derive(PartialEq, Eq)]
struct Asked {
    mode: AuthMode,
    token: Option<Secret>,
    password: Option<Secret>,
    /// What spares somebody from pairing.
    exemptions: Vec<String>,
}

impl Asked {
    fn by(config: &Config) -> Self {
        let auth = &config.gateway.auth;
        Self {
            mode: auth.mode,
            token: auth.token.clone(),
            password: auth.password.clone(),
            exemptions: config.exemptions(),
        }
    }
}

/// Looks at the settings until the task is ended. Whoever came in by a shared secret that no longer
/// holds is put out, with everything it has started. `opened_with` is what the door was opened with:
/// what stands in the files when this first runs may be a change already.
pub(crate) async fn watch(shared: Arc<Shared>, opened_with: Arc<Config>) {
    let mut asked = Asked::by(&opened_with);
    drop(opened_with);
    let mut clock = tokio::time::interval(LOOK_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let config = shared.supervisor.settings.config();
        shared.guesses.configure(&config).await;
        let now = Asked::by(&config);
        if now == asked {
            continue;
        }
        if now.exemptions != asked.exemptions {
            tell_exemptions(&shared, &config, &now.exemptions);
        }
        asked = now;
        let out = shared.hub.disconnect_by_secret(CHANGED);
        let stopped = shared.supervisor.stop_runs(|caller| was_put_out(caller, &out));
        tracing::warn!(
            connections = out.len(),
            runs = stopped,
            "what strangers are asked for has changed: whoever came in by it is out"
        );
        let what = "what strangers are asked for has changed".to_owned();
        let closed = u64::try_from(out.len()).unwrap_or(u64::MAX);
        shared.supervisor.audit(AuditEvent::DoorChanged { what, closed });
    }
}

/// Says aloud what spares somebody from pairing since just now, or that it does not hold.
fn tell_exemptions(shared: &Shared, config: &Config, exemptions: &[String]) {
    let refused = is_refused(config, shared.is_exposed());
    for setting in exemptions {
        if refused {
            tracing::error!(
                "{setting} does not hold together with an address that others can reach, unless \
                 security.allowExemptionsBeyondLoopback is true"
            );
        } else {
            tracing::warn!("A PROTECTION IS TURNED OFF: {setting}");
        }
    }
    let what = match exemptions {
        [] => "no setting spares anybody from pairing any more".to_owned(),
        all if refused => format!("does not hold beyond loopback: {}", all.join(", ")),
        all => format!("in force now: {}", all.join(", ")),
    };
    shared.supervisor.audit(AuditEvent::DoorChanged { what, closed: 0 });
}

/// Whether the caller is one of those. A caller without a device key cannot be told from others
/// without one, who all came in by the secret.
fn was_put_out(caller: &Caller, out: &[Caller]) -> bool {
    match caller {
        Caller::Owner | Caller::Run(_) => false,
        Caller::Device(device) => match &device.device {
            None => true,
            Some(id) => out.iter().any(|gone| gone.device() == Some(id)),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::fs;
    use std::ops::ControlFlow;
    use std::time::Duration;

    use hatchery_store::{AuditFilter, AuditLog};

    use crate::config::{Flags, Sources};
    use crate::{Doors, Gateway, Options, PULSE_INTERVAL, StateDirectory};

    const CLOSED: &str = "{ gateway: { port: 0, auth: { token: 's3cret' } } }";
    const OPEN: &str =
        "{ gateway: { port: 0, auth: { token: 's3cret' }, pairing: { loopbackExempt: true } } }";

    // One thread: between its start and the next wait nothing of the gateway runs.
    #[tokio::test]
    async fn a_change_right_after_the_start_is_a_change() {
        let home = tempfile::tempdir().unwrap();
        let state = StateDirectory::at(home.path().join("state"));
        let file = home.path().join("gateway.json");
        fs::write(&file, CLOSED).unwrap();
        let gateway = Gateway::start(Options {
            state_directory: state.clone(),
            sources: Sources {
                hatchery_json: home.path().join("hatchery.json"),
                flags: Flags::default(),
                env: &|_| None,
                home: None,
            },
            program: "/proc/self/exe".into(),
            doors: Doors::All,
            pulse: PULSE_INTERVAL,
        });
        let gateway = gateway.await.unwrap();
        fs::write(&file, OPEN).unwrap();
        let told = async {
            while door_changes(&state) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), told).await.expect("it is never told");
        gateway.stop().await;
    }

    fn door_changes(state: &StateDirectory) -> u32 {
        let filter = AuditFilter { kind: Some("door_changed".to_owned()), ..Default::default() };
        let mut count = 0;
        let log = AuditLog::open(state.path()).unwrap();
        let show = |_| {
            count += 1;
            ControlFlow::Continue(())
        };
        log.entries(&filter, show).unwrap();
        count
    }
}
