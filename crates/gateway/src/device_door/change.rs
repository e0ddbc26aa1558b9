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
    fn now(config: &Config) -> Self {
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
/// holds is put out, with everything it has started.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let mut asked = Asked::now(&shared.supervisor.settings.config());
    let mut clock = tokio::time::interval(LOOK_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let config = shared.supervisor.settings.config();
        shared.guesses.configure(&config).await;
        let now = Asked::now(&config);
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
