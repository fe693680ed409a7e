//! What has to be done from time to time while a server runs: fold histograms, let bans end,
//! notice when slots can no longer be cleaned the fast way, end what was let in with keys that
//! or tokens that have expired, read anew what vouches for tokens, judge the conduct of callers, and
//! write down what keys have used.

use std::time::Duration;

use belljar_sandbox::{Sandbox, SandboxConfig, SlotResetChoice};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::audit::{AuditLog, SelfCheck};
use crate::auth::{KeyError, KeyStore};
use crate::guard::{Anomalies, Bans};
use crate::ledger::LedgerStore;
use crate::models::Registry;
use crate::runs::Runs;
use crate::stored::StoredObjects;
use crate::telemetry::metrics::WORLDS;
use crate::testing::Testing;

/// The time between two rounds. A histogram keeps each of its samples until then: at 100 000
/// requests a second a second's worth is under a megabyte.
const PERIOD: Duration = Duration::from_secs(1);

/// The parts that the maintenance works on.
pub(super) struct Maintenance {
    pub(super) registry: Registry,
    pub(super) keys: KeyStore,
    pub(super) audit: AuditLog,
    /// The time between two looks at the audit log; zero for none.
    pub(super) verify_period: Duration,
    /// The one that all models are known to be in. Not asked from the registry: a move that has
    /// failed half-way must be tried again.
    pub(super) sandbox: Sandbox,
    pub(super) bans: Bans,
    pub(super) anomalies: Anomalies,
    pub(super) stored: StoredObjects,
    pub(super) runs: Runs,
    pub(super) ledger: LedgerStore,
    pub(super) testing: Option<Testing>,
    pub(super) stop: CancellationToken,
}

/// The time between two looks for keys that have expired. With the time that it takes to end a
/// stream, well under the second in which that is promised.
const KEYS_PERIOD: Duration = Duration::from_millis(250);

/// The time between two writings of what keys have used, and of the ledger: as much of it a kill
/// can lose.
const USAGE_PERIOD: Duration = Duration::from_secs(5);

/// Starts the maintenance; it ends with `stop`.
pub(super) fn spawn(maintenance: Maintenance) -> JoinHandle<()> {
    let (keys, stored) = (maintenance.keys.clone(), maintenance.stored.clone());
    let (ledger, runs) = (maintenance.ledger.clone(), maintenance.runs.clone());
    let (tokens, audit) = (maintenance.keys.clone(), maintenance.audit.clone());
    let (verify_period, stop) = (maintenance.verify_period, maintenance.stop.clone());
    tokio::spawn(async move {
        tokio::join!(
            run(maintenance),
            keep_keys(keys, stop.clone()),
            tokens.keep_tokens(stop.clone()),
            keep_ledger(ledger, stop.clone()),
            keep_stored(stored, stop.clone()),
            keep_runs(runs, stop.clone()),
            keep_record(audit, verify_period, stop)
        );
    })
}

async fn keep_keys(keys: KeyStore, stop: CancellationToken) {
    let mut look = interval(KEYS_PERIOD);
    let mut write = interval(USAGE_PERIOD);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    write.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let done = tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => look_at(&keys).await,
            _ = write.tick() => keys.write_usage().await,
        };
        // What was not written is tried again at the next tick.
        if let Err(error) = done {
            tracing::error!("the upkeep of the keys failed: {error}");
        }
    }
}

async fn look_at(keys: &KeyStore) -> Result<(), KeyError> {
    keys.end_what_is_over().await?;
    keys.keep_signatures().await
}

async fn keep_ledger(ledger: LedgerStore, stop: CancellationToken) {
    let mut write = interval(USAGE_PERIOD);
    write.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = write.tick() => {}
        }
        if let Err(error) = ledger.write().await {
            tracing::error!("the ledger could not be written: {error}");
        }
    }
}

/// The time between two writings of runs that are to be kept, where there are few: as much of them a
/// kill can lose.
const RUNS_PERIOD: Duration = Duration::from_secs(1);

async fn keep_runs(runs: Runs, stop: CancellationToken) {
    let mut write = interval(RUNS_PERIOD);
    let mut look = interval(STORED_PERIOD);
    write.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let done = tokio::select! {
            () = stop.cancelled() => return,
            _ = write.tick() => runs.write().await,
            () = runs.due() => runs.write().await,
            _ = look.tick() => runs.remove_expired().await,
        };
        if let Err(error) = done {
            tracing::error!("runs could not be kept: {error}");
        }
    }
}

/// The time between two looks for stored things that are over.
const STORED_PERIOD: Duration = Duration::from_secs(60);

async fn keep_stored(stored: StoredObjects, stop: CancellationToken) {
    let mut look = interval(STORED_PERIOD);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        if let Err(error) = stored.remove_expired().await {
            tracing::error!("what is over could not be removed from what is stored: {error}");
        }
    }
}

async fn keep_record(audit: AuditLog, period: Duration, stop: CancellationToken) {
    if period.is_zero() {
        return;
    }
    let mut check = SelfCheck::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(period) => check.run(&audit).await,
        }
    }
}

async fn run(mut maintenance: Maintenance) {
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = maintenance.stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = maintenance.registry.remove_old_failures().await {
            tracing::error!("versions that failed could not be removed: {error}");
        }
        maintenance.registry.sample_runs();
        maintenance.registry.keep_to_memory_budget();
        maintenance.registry.expire_prefixes();
        maintenance.expire_worlds();
        maintenance.bans.upkeep().await;
        maintenance.anomalies.upkeep().await;
        if maintenance.sandbox.slot_reset_has_become_unsafe() {
            maintenance.replace_sandbox().await;
        }
    }
}

impl Maintenance {
    /// Frees the worlds of testers that nobody has used for a while, and counts the others.
    fn expire_worlds(&self) {
        if let Some(testing) = &self.testing {
            testing.expire();
            let worlds = u32::try_from(testing.worlds().count()).unwrap_or(u32::MAX);
            WORLDS.handle().set(worlds);
        }
    }

    /// Moves all models into a sandbox that cleans its slots without the page-map scan: with
    /// swap, the scan could leave one tenant's bytes to the next.
    async fn replace_sandbox(&mut self) {
        let config = SandboxConfig {
            slot_reset: SlotResetChoice::KeepResident,
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
                tracing::info!(cleaning = %sandbox.slot_reset(), "all models have moved");
                self.sandbox = sandbox;
            }
            // Tried again at the next tick.
            Err(error) => tracing::error!(error, "the models could not be moved"),
        }
    }
}
