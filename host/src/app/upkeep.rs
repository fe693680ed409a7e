//! What has to be done from time to time while a server runs: fold histograms, let bans end, and notice when
//! slots can no longer be cleaned the fast way.

use std::time::Duration;

use belljar_sandbox::{CleaningChoice, Sandbox, SandboxConfig};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::guard::Bans;
use crate::models::Registry;
use crate::telemetry::Metrics;

/// How often. A histogram keeps each of its samples until then: at 100 000 requests a second a
/// second's worth is under a megabyte.
const PERIOD: Duration = Duration::from_secs(1);

/// What the upkeep works on.
pub(super) struct Upkeep {
    pub(super) registry: Registry,
    /// The one that all models are known to be in. Not asked from the registry: a move that has
    /// failed half-way must be tried again.
    pub(super) sandbox: Sandbox,
    pub(super) metrics: Metrics,
    pub(super) bans: Bans,
    pub(super) stop: CancellationToken,
}

/// Starts the upkeep; it ends with `stop`.
pub(super) fn spawn(upkeep: Upkeep) -> JoinHandle<()> {
    tokio::spawn(run(upkeep))
}

async fn run(mut upkeep: Upkeep) {
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = upkeep.stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        upkeep.metrics.upkeep();
        upkeep.bans.upkeep().await;
        if upkeep.sandbox.cleaning_has_become_unsafe() {
            upkeep.replace_sandbox().await;
        }
    }
}

impl Upkeep {
    /// Moves all models into a sandbox that cleans its slots without the page-map scan: with
    /// swap, the scan could leave one tenant's bytes to the next.
    async fn replace_sandbox(&mut self) {
        let config = SandboxConfig {
            cleaning: CleaningChoice::KeepResident,
            ..self.sandbox.config().clone()
        };
        tracing::warn!(
            "swap has appeared: moving all models to a sandbox that cleans its slots without \
             the page-map scan"
        );
        let moved = match Sandbox::start(config) {
            Ok(sandbox) => match self.registry.reload_all(sandbox.clone()).await {
                Ok(()) => Ok(sandbox),
                Err(error) => Err(error.to_string()),
            },
            Err(error) => Err(error.to_string()),
        };
        match moved {
            Ok(sandbox) => {
                tracing::info!(cleaning = %sandbox.cleaning(), "all models have moved");
                self.sandbox = sandbox;
            }
            // Tried again at the next tick.
            Err(error) => tracing::error!(error, "the models could not be moved"),
        }
    }
}
