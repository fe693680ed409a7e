//! Builds the parts of a server from its settings, in order, and owns their end.
//!
//! [`build`] makes everything that can fail before anybody is served; [`App::serve`] takes
//! listeners and a future that ends it, so that a test picks its port and its own end.

mod asker;
mod beside;
mod discovery_file;
mod listeners;
mod local_socket;
mod maintenance;
mod pages;
mod pulse;
mod reload;

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use belljar_bundle::{BundleError, Store};
use belljar_sandbox::{
    Compiler, CompilerConfig, MacKey, Sandbox, SharedCache, SlotReset, StartError,
};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use beside::Beside;
pub use discovery_file::DiscoveryFile;
use listeners::hint;
pub use listeners::{Listeners, bind, bind_passed};
pub use local_socket::LocalSocket;
pub use pulse::Pulse;
pub use reload::{ReloadError, Reloader};

use crate::api;
use crate::audit::{Actor, AuditError, AuditLog, Event, EventKind};
pub use crate::auth::ADMIN_KEY_FILE;
use crate::auth::{AdminKey, KeyError, KeyStore};
use crate::backup::{Backups, Source, remove_aside};
use crate::clock::Clock;
use crate::config::{Effective, Resolved, Settings};
use crate::db::{Db, DbError};
use crate::guard::{Anomalies, BanError, Bans, Screening};
use crate::http::{self, HttpState, Parts, ReloadRequest, Reloads};
use crate::inference::{Inference, Recorder};
use crate::ledger::{Ledger, LedgerError, LedgerStore};
use crate::limits::{Limiter, Quotas, RateLimiter};
use crate::models::{Examiner, ModelError, Registry};
use crate::outgoing::OutgoingError;
use crate::receipts::{ReceiptKey, ReceiptKeyError};
use crate::runs::{Runs, RunsError};
use crate::stored::{StoredError, StoredObjects};
use crate::telemetry::Metrics;
use crate::testing::{LatencyConfigError, RuleFileError, Testing};
use crate::tls::{Tls, TlsError};
use crate::traces::{self, Exporter, Traces};
use crate::webhook::{Webhook, WebhookError, WebhookSettings};

/// A server that is ready to serve.
pub struct App {
    resolved: Resolved,
    db: Db,
    registry: Registry,
    keys: KeyStore,
    admin_key: AdminKey,
    bans: Bans,
    audit: AuditLog,
    sandbox: Sandbox,
    rates: RateLimiter,
    screening: Screening,
    tls: Option<Tls>,
    webhook: Option<Webhook>,
    webhook_settings: WebhookSettings,
    exporter: Option<Exporter>,
    /// Wishes that the settings are read again, until somebody sees to them.
    reload_requests: Option<mpsc::Receiver<ReloadRequest>>,
    pulse: (Pulse, mpsc::Receiver<UnixStream>),
    state: HttpState,
    /// Registries hold it weakly: it runs what they have.
    _examiner: Arc<dyn Examiner>,
}

/// Why a server could not be built or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}{}", hint(source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A socket was passed on that no setting names.
    #[error(
        "the service manager passes on a socket for {given}, and no setting names it: `listen`, \
         `metrics.listen`, `tls.redirect_listen` or `unix.path` must say the same, because what \
         guards the server follows from its settings"
    )]
    Passed {
        /// What it is for.
        given: String,
    },
    /// A file or folder of the data directory.
    #[error("cannot use {path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The embedded store.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The record of security events.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The bans.
    #[error(transparent)]
    Bans(#[from] BanError),
    /// The webhook.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// The sender of traces.
    #[error("the client of the collector of traces cannot be set up: {0}")]
    Traces(#[from] OutgoingError),
    /// The baselines of callers.
    #[error("the baselines of callers cannot be read: {0}")]
    Anomalies(sqlx::Error),
    /// The stored bundles.
    #[error("the stored bundles cannot be opened: {0}")]
    Bundles(#[from] BundleError),
    /// The sandbox.
    #[error(transparent)]
    Sandbox(#[from] StartError),
    /// The key of receipts.
    #[error(transparent)]
    ReceiptKey(#[from] ReceiptKeyError),
    /// Runs on record.
    #[error("the runs on record cannot be opened: {0}")]
    Runs(#[from] RunsError),
    /// What callers have stored.
    #[error("what is stored cannot be opened: {0}")]
    Stored(#[from] StoredError),
    /// The rules of testers.
    #[error(transparent)]
    Rules(#[from] RuleFileError),
    /// What was used.
    #[error("what was used cannot be opened: {0}")]
    Ledger(#[from] LedgerError),
    /// The registry.
    #[error("the models cannot be opened: {0}")]
    Models(#[from] ModelError),
    /// What testers have set.
    #[error("what is set for tests means nothing: {0}")]
    Testing(#[from] LatencyConfigError),
    /// The recorder of metrics.
    #[error("the metrics cannot be recorded: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

/// Builds all parts. `program` is this executable, which compiles uploads in processes of its
/// own; it differs in tests, whose own executable is another.
///
/// # Errors
///
/// When a part cannot be made; nothing is left running then.
pub async fn build(resolved: Resolved, program: PathBuf) -> Result<App, AppError> {
    pages::keep_small();
    build_at(resolved, program, Clock::system()).await
}

/// [`build`] with a clock of the caller's, for tests that move the time.
///
/// # Errors
///
/// As [`build`].
pub async fn build_at(resolved: Resolved, program: PathBuf, clock: Clock) -> Result<App, AppError> {
    let effective = resolved.effective();
    let settings = &resolved.settings;
    let data_dir = settings.data_dir.as_path();
    let metrics = Metrics::install()?;
    let tls = match settings.tls.is_on() {
        true => Some(Tls::load(&settings.tls)?),
        false => None,
    };
    let (traces, exporter) = Traces::open(&settings.traces)?;
    let db = Db::open(data_dir).await?;
    if let Err(error) = remove_aside(data_dir) {
        tracing::warn!("what a backup has left behind stays: {error}");
    }
    let (listener, webhook) = Webhook::open(&settings.webhook, clock.clone())?;
    let webhook_settings = webhook.settings();
    let audit = AuditLog::open_told(&settings.audit, data_dir, clock.clone(), Some(listener))?;
    audit.record(&configuration(&effective));
    let keys = KeyStore::open(db.clone(), &settings.auth, clock.clone()).await?;
    let admin_key = keys
        .ensure_admin_key(&data_dir.join(ADMIN_KEY_FILE))
        .await?;
    let bans = Bans::open(
        db.clone(),
        clock.clone(),
        audit.clone(),
        settings.abuse.clone(),
        settings.http.origin.ipv6_prefix,
    )
    .await?;
    let anomalies = Anomalies::open(
        settings.anomaly.clone(),
        db.clone(),
        clock.clone(),
        audit.clone(),
        bans.clone(),
    )
    .await
    .map_err(AppError::Anomalies)?;
    record_admin_key(&audit, &admin_key);
    let sandbox = Sandbox::start(settings.sandbox.clone())?;
    let compiler = compiler(settings, program, &sandbox)?;
    let store = Store::open(&data_dir.join("bundles"))?;
    let registry = Registry::open(
        db.clone(),
        store,
        sandbox.clone(),
        compiler,
        settings.models.clone(),
        clock.clone(),
    )
    .await?;
    let screening = Screening::new(&settings.injection, settings.http.input.text_controls());
    let stored = StoredObjects::open(db.clone(), clock.clone(), settings.stored).await?;
    let runs = Runs::open(db.clone(), clock.clone(), settings.runs).await?;
    let testing = Testing::new(&settings.testing)?;
    let inference = Inference::new(
        registry.clone(),
        screening.clone(),
        Recorder {
            runs: runs.clone(),
            audits: settings.audit.runs,
            clock: clock.clone(),
        },
    )
    .paced_by(testing.as_ref());
    let examiner = asker::examiner(settings, &inference, &audit, &clock);
    registry.examine_with(&examiner);
    if let Some(testing) = &testing {
        testing.set_rules(testing.read_rule_file(settings.testing.rules.as_deref())?);
    }
    let (reloads, reload_requests) = Reloads::new();
    let rates = RateLimiter::new(settings.limits.clone(), clock.clone());
    let ledger = Ledger::new(settings.ledger, clock.clone());
    let ledger_store = LedgerStore::open(ledger.clone(), db.clone()).await?;
    let state = HttpState::new(Parts {
        registry: registry.clone(),
        keys: keys.clone(),
        metrics,
        audit: audit.clone(),
        bans: bans.clone(),
        anomalies,
        screening: screening.clone(),
        stored,
        inference,
        runs,
        receipt_key: ReceiptKey::open(data_dir)?,
        limiter: Limiter::new(
            rates.clone(),
            Quotas::new(settings.limits.quota),
            ledger.clone(),
            clock.clone(),
        ),
        backups: Backups::new(
            Source::Running {
                db: db.clone(),
                registry: registry.clone(),
                audit: audit.clone(),
                keys: keys.clone(),
                ledger: ledger_store.clone(),
            },
            audit.clone(),
            clock.clone(),
            settings.backup,
        ),
        testing,
        traces,
        tls: tls.clone(),
        data_dir: settings.data_dir.clone(),
        reloads,
        ledger: ledger_store.clone(),
        clock,
        config: settings.http.clone(),
        effective_config: serde_json::json!(effective),
    });
    Ok(App {
        resolved,
        db,
        registry,
        keys,
        admin_key,
        bans,
        audit,
        sandbox,
        rates,
        screening,
        tls,
        webhook: Some(webhook),
        webhook_settings,
        exporter,
        reload_requests: Some(reload_requests),
        pulse: Pulse::new(),
        _examiner: examiner,
        state,
    })
}

/// A key that the start has made or renewed is one more change of the keys.
fn record_admin_key(audit: &AuditLog, admin_key: &AdminKey) {
    let (kind, id) = match admin_key {
        AdminKey::Made(id) | AdminKey::Taken(id) => (EventKind::KeyCreated, id),
        AdminKey::Renewed(id) => (EventKind::KeyRotated, id),
        AdminKey::Kept | AdminKey::Elsewhere => return,
    };
    let about = [
        ("key_id", serde_json::json!(id)),
        ("by", serde_json::json!("the start")),
    ];
    audit.record(&Event::new(kind, Actor::default(), &about));
}

/// The event of a start, with what the server was started with: every setting that somebody has
/// set, secrets redacted.
fn configuration(effective: &[Effective]) -> Event {
    let set = effective.iter().filter(|value| value.source != "default");
    let set: serde_json::Map<_, _> = set
        .map(|value| (value.key.to_owned(), serde_json::json!(value.value)))
        .collect();
    let about = [
        ("version", serde_json::json!(env!("CARGO_PKG_VERSION"))),
        ("settings", serde_json::json!(set)),
    ];
    Event::new(EventKind::Configuration, Actor::default(), &about)
}

fn compiler(
    settings: &Settings,
    program: PathBuf,
    sandbox: &Sandbox,
) -> Result<Compiler, AppError> {
    let data_dir = settings.data_dir.as_path();
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| AppError::File { path, source }
    };
    let cache_of = settings.compiler.cache_of.as_deref();
    let key = data_dir.join(CompilerConfig::KEY_FILE);
    let shared = SharedCache {
        folder: cache_of.unwrap_or(data_dir).join("compiled"),
        is_filled: cache_of.is_some(),
    };
    let own = CompilerConfig::in_folder(program, data_dir).map_err(failed(&key))?;
    let secret = settings.compiler.mac_secret.as_ref();
    let mac_key = match (secret, cache_of) {
        (Some(secret), _) => MacKey::derived(secret.expose()),
        (None, Some(folder)) => {
            let key = folder.join(CompilerConfig::KEY_FILE);
            MacKey::open(&key).map_err(failed(&key))?
        }
        (None, None) => own.mac_key.clone(),
    };
    let config = CompilerConfig {
        concurrency: settings.compiler.concurrency,
        wall_time: settings.compiler.wall_time,
        cpu_time: settings.compiler.cpu_time,
        address_space_bytes_max: settings.compiler.address_space_bytes_max,
        component_bytes_max: settings.models.archive.component_bytes_max,
        hardening: settings.hardening,
        mac_key,
        shared: Some(shared),
        ..own
    };
    let artefacts = config.artefacts.clone();
    Compiler::new(config, sandbox).map_err(failed(&artefacts))
}

impl App {
    /// The models.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &KeyStore {
        &self.keys
    }

    /// The bans.
    #[must_use]
    pub fn bans(&self) -> &Bans {
        &self.bans
    }

    /// The settings of HTTP, with everything that follows from other settings.
    #[must_use]
    pub fn http_config(&self) -> &http::Config {
        self.state.config()
    }

    /// The record of security events.
    #[must_use]
    pub fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// The state in which the start has found the admin key.
    #[must_use]
    pub fn admin_key(&self) -> &AdminKey {
        &self.admin_key
    }

    /// All routes with their layers, to be asked without a socket.
    pub fn router(&self) -> Router {
        http::router(api::routes(), self.state.clone())
    }

    /// Whether testers may do something.
    #[must_use]
    pub fn is_for_tests(&self) -> bool {
        self.state.testing().is_some()
    }

    /// The limits of requests and tokens a minute.
    #[must_use]
    pub fn rates(&self) -> &RateLimiter {
        &self.rates
    }

    /// The screening of texts.
    #[must_use]
    pub fn screening(&self) -> &Screening {
        &self.screening
    }

    /// The service that runs models for callers.
    #[must_use]
    pub fn inference(&self) -> &Inference {
        self.state.inference()
    }

    /// The limiter, which admits requests.
    #[must_use]
    pub fn limiter(&self) -> &Limiter {
        self.state.limiter()
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        self.state.clock()
    }

    /// A way to ask whether the server answers, once it serves.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.pulse.0.clone()
    }

    /// What takes up other settings while the server serves, and hears who wants that. There is
    /// one; without it nobody is heard.
    #[must_use]
    pub fn reloader(&mut self) -> Option<Reloader> {
        Some(Reloader {
            state: self.state.clone(),
            tls: self.tls.clone(),
            webhook: self.webhook_settings.clone(),
            ports: None,
            resolved: self.resolved.clone(),
            requests: self.reload_requests.take()?,
        })
    }

    /// Runs on record.
    #[must_use]
    pub fn runs(&self) -> &Runs {
        self.state.runs()
    }

    /// How slots are cleaned.
    #[must_use]
    pub fn slot_reset(&self) -> SlotReset {
        self.sandbox.slot_reset()
    }

    /// Serves until `shutdown` is over. Then says that it is not ready, serves on for the delay that
    /// balancers need to hear of it, takes no more connections, lets requests and streams in flight
    /// end for up to the grace period, and closes everything.
    pub async fn serve(mut self, listeners: Listeners, shutdown: impl Future<Output = ()>) {
        self.state
            .set_listening(listeners.described(self.tls.is_some()));
        // Who asks for what nobody sees to is told so at once.
        self.reload_requests = None;
        let stop = CancellationToken::new();
        let maintenance = maintenance::spawn(maintenance::Maintenance {
            registry: self.registry.clone(),
            keys: self.keys.clone(),
            audit: self.audit.clone(),
            verify_period: self.resolved.settings.audit.verify_period,
            sandbox: self.sandbox.clone(),
            bans: self.bans.clone(),
            anomalies: self.state.anomalies().clone(),
            stored: self.state.stored().clone(),
            runs: self.state.runs().clone(),
            ledger: self.state.ledger().clone(),
            testing: self.state.testing().cloned(),
            stop: stop.clone(),
        });
        let untold = CancellationToken::new();
        let webhook = self.webhook.take();
        let webhook = webhook.map(|webhook| tokio::spawn(webhook.run(untold.clone())));
        let exporter = self.exporter.take();
        let exporter = exporter.map(|exporter| tokio::spawn(traces::run(exporter, untold.clone())));
        let bans = self.bans.clone();
        let ban_writer = tokio::spawn({
            let stop = stop.clone();
            async move { bans.write_until(stop).await }
        });
        let Listeners {
            main,
            metrics,
            redirect,
            unix,
            local,
        } = listeners;
        let (_, connections) = std::mem::replace(&mut self.pulse, Pulse::new());
        let beside = Beside {
            metrics,
            redirect,
            unix,
            local,
            pulse: connections,
            main_port: main.local_addr().map_or(0, |address| address.port()),
        };
        let mut beside = self.serve_beside(beside, &stop);
        let config = self.resolved.settings.http.clone();
        let (state, delay) = (self.state.clone(), config.shutdown_delay);
        let drained = async move {
            shutdown.await;
            state.drain();
            tokio::time::sleep(delay).await;
            state.stop();
        };
        http::serve(main, self.tls.clone(), self.router(), config, drained).await;
        stop.cancel();
        // What the last requests have earned outlives the server.
        let _ = ban_writer.await;
        self.close().await;
        // The last event has been recorded.
        untold.cancel();
        for told in [webhook, exporter].into_iter().flatten() {
            let _ = told.await;
        }
        let _ = maintenance.await;
        while beside.join_next().await.is_some() {}
    }

    /// Ends what runs in the background and closes the store. For an app that was never served.
    pub async fn close(self) {
        self.registry.close().await;
        if let Err(error) = self.keys.write_usage().await {
            tracing::error!("what keys have used could not be written: {error}");
        }
        if let Err(error) = self.state.runs().write().await {
            tracing::error!("runs could not be kept: {error}");
        }
        if let Err(error) = self.state.ledger().write().await {
            tracing::error!("the ledger could not be written: {error}");
        }
        self.state.anomalies().close().await;
        if let Err(error) = self.keys.close_signatures().await {
            tracing::error!("when signed requests came last could not be written: {error}");
        }
        self.audit.close().await;
        self.db.close().await;
    }
}
