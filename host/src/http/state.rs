//! What handlers work with. Each takes the part it needs.

use super::body::Limits;
use super::json::InputConfig;
use super::layers::BrowserConfig;
use super::proxy_protocol::ProxyProtocol;
use super::reloads::Reloads;
use crate::audit::AuditLog;
use crate::auth::KeyStore;
use crate::backup::Backups;
use crate::clock::Clock;
use crate::guard::{Anomalies, Bans, Screening};
use crate::inference::Inference;
use crate::ledger::LedgerStore;
use crate::limits::Limiter;
use crate::models::{Readiness, Registry};
use crate::net::{NetworkAcl, OriginRule};
use crate::receipts::ReceiptKey;
use crate::runs::Runs;
use crate::stored::StoredObjects;
use crate::telemetry::Metrics;
use crate::testing::Testing;
use crate::tls::Tls;
use crate::traces::Traces;
use arc_swap::ArcSwap;
use axum::extract::FromRef;
use jiff::Timestamp;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How the server speaks HTTP.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes of a body that is read whole: every body but a bundle's.
    pub body_bytes_max: u64,
    /// Bytes of an uploaded bundle as sent.
    pub upload_bytes_max: u64,
    /// Tokens that one answer may have.
    pub tokens_max: u32,
    /// Tokens of an answer where the caller does not say.
    pub tokens_default: u32,
    /// Answers to one request (`n`).
    pub choices_max: u32,
    /// From the first byte of a request to the end of its head. Also how long a fresh
    /// connection may say nothing, and how often an HTTP/2 peer is asked whether it is there.
    pub header_read_timeout: Duration,
    /// How long a connection is kept without a request.
    pub idle_timeout: Duration,
    /// From the head of a request to the head of its answer; not for uploads, which have a
    /// time of their own.
    pub request_timeout: Duration,
    /// How long a peer may take nothing of what it is sent.
    pub write_stall_timeout: Duration,
    /// Whether a peer of HTTP/1 that has ended its sending side is taken to wait for its answer.
    pub half_close: bool,
    /// Connections at once.
    pub connections_max: usize,
    /// Connections at once from one address; 0 is no limit.
    pub connections_per_address_max: usize,
    /// Headers of a request over HTTP/1.
    pub headers_max: usize,
    /// Bytes of a request's head.
    pub header_bytes_max: usize,
    /// From the first byte of a body to its last, where it is read whole.
    pub body_read_timeout: Duration,
    /// How long the server says that it is not ready before it stops taking connections.
    pub shutdown_delay: Duration,
    /// How long open requests and streams may go on when the server stops.
    pub shutdown_grace: Duration,
    /// Streams of one HTTP/2 connection.
    pub http2_streams_max: u32,
    /// Streams that an HTTP/2 peer may open and reset before they were looked at.
    pub http2_pending_resets_max: usize,
    /// Streams of one HTTP/2 connection that may end by the peer's errors.
    pub http2_error_resets_max: usize,
    /// What browsers may do.
    pub browser: BrowserConfig,
    /// How the address of a caller is found out.
    pub origin: OriginRule,
    /// Whether connections begin with a header of the PROXY protocol.
    pub proxy_protocol: ProxyProtocol,
    /// Whose requests are served, as the start has it.
    pub acl: NetworkAcl,
    /// Who may read the metrics where they have a listener of their own.
    pub metrics_acl: NetworkAcl,
    /// What JSON may be like.
    pub input: InputConfig,
    /// Whether requests of testers may have their connection ended.
    pub severs: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            body_bytes_max: 10 << 20,
            upload_bytes_max: 1 << 30,
            tokens_max: 131_072,
            tokens_default: 4_096,
            choices_max: 128,
            header_read_timeout: Duration::from_secs(30),
            body_read_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(90),
            request_timeout: Duration::from_secs(600),
            write_stall_timeout: Duration::from_secs(30),
            half_close: true,
            connections_max: 4_096,
            connections_per_address_max: 512,
            headers_max: 100,
            header_bytes_max: 64 << 10,
            shutdown_delay: Duration::ZERO,
            shutdown_grace: Duration::from_secs(30),
            http2_streams_max: 256,
            http2_pending_resets_max: 20,
            http2_error_resets_max: 256,
            browser: BrowserConfig::default(),
            origin: OriginRule::default(),
            proxy_protocol: ProxyProtocol::Off,
            acl: NetworkAcl::EVERYWHERE,
            metrics_acl: NetworkAcl::EVERYWHERE,
            input: InputConfig::default(),
            severs: false,
        }
    }
}

/// Everything that requests are served with. Cheap to clone.
#[derive(Clone)]
pub struct HttpState(Arc<Shared>);

struct Shared {
    parts: Parts,
    /// Cancelled when the server is about to stop.
    draining: CancellationToken,
    started: Timestamp,
    /// What is listened on, once the server serves.
    listening: OnceLock<Vec<Listening>>,
    /// Cancelled when it takes nothing more.
    stopping: CancellationToken,
    /// Whose requests are served now.
    acl: Arc<ArcSwap<NetworkAcl>>,
    /// The settings that hold now.
    effective_config: ArcSwap<serde_json::Value>,
}

impl Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// Something that the server listens on.
#[derive(Clone, Debug)]
pub struct Listening {
    /// What is served there: `api`, `metrics`, `redirect`, or `commands` for those of this machine.
    pub purpose: &'static str,
    /// An address with its port, or the path of a socket.
    pub address: String,
    /// Whether TLS is spoken there.
    pub is_encrypted: bool,
}

/// The parts of a server that routes use.
pub struct Parts {
    /// The models.
    pub registry: Registry,
    /// The keys.
    pub keys: KeyStore,
    /// The screening of texts.
    pub screening: Screening,
    /// The bans.
    pub bans: Bans,
    /// The watch over the conduct of callers.
    pub anomalies: Anomalies,
    /// The recorder of all metrics.
    pub metrics: Metrics,
    /// What runs the models.
    pub inference: Inference,
    /// What callers have stored.
    pub stored: StoredObjects,
    /// Runs on record.
    pub runs: Runs,
    /// What receipts of them are signed with.
    pub receipt_key: ReceiptKey,
    /// What makes backups.
    pub backups: Backups,
    /// Rates and quotas.
    pub limiter: Limiter,
    /// What was used.
    pub ledger: LedgerStore,
    /// The record of security events.
    pub audit: AuditLog,
    /// What testers may do; none where they may do nothing.
    pub testing: Option<Testing>,
    /// What begins the traces of requests.
    pub traces: Traces,
    /// The certificates, where TLS is spoken.
    pub tls: Option<Tls>,
    /// Where everything is kept that outlives the process.
    pub data_dir: PathBuf,
    /// The way to have the settings read again.
    pub reloads: Reloads,
    /// The time.
    pub clock: Clock,
    /// How to speak.
    pub config: Config,
    /// The settings that hold at the start with their secrets taken out, as `GET /admin/config`
    /// shows them.
    pub effective_config: serde_json::Value,
}

impl Config {
    /// The same for the listener of the metrics, which no balancer stands before.
    pub(crate) fn for_operators(&self) -> Self {
        Self {
            proxy_protocol: ProxyProtocol::Off,
            ..self.clone()
        }
    }
}

impl HttpState {
    /// The state of a server made of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Shared {
            draining: CancellationToken::new(),
            started: parts.clock.now(),
            listening: OnceLock::new(),
            stopping: CancellationToken::new(),
            acl: Arc::new(ArcSwap::from_pointee(parts.config.acl.clone())),
            effective_config: ArcSwap::from_pointee(parts.effective_config.clone()),
            parts,
        }))
    }

    /// Serves the requests of other networks from now on.
    pub(crate) fn set_acl(&self, acl: NetworkAcl) {
        self.0.acl.store(Arc::new(acl));
    }

    /// The networks whose requests are served, as they are at any time.
    pub(crate) fn acl(&self) -> Arc<ArcSwap<NetworkAcl>> {
        Arc::clone(&self.0.acl)
    }

    /// Shows other settings from now on.
    pub(crate) fn set_effective_config(&self, config: serde_json::Value) {
        self.0.effective_config.store(Arc::new(config));
    }

    /// Says from now on that the server is not ready, because it is about to stop.
    pub(crate) fn drain(&self) {
        self.0.draining.cancel();
    }

    /// Done when the server is about to stop: what waits for something to come waits no more.
    pub(crate) async fn drained(&self) {
        self.0.draining.cancelled().await;
    }

    /// When the server was started.
    pub(crate) fn started(&self) -> Timestamp {
        self.0.started
    }

    /// Notes what is listened on.
    pub(crate) fn set_listening(&self, listening: Vec<Listening>) {
        // A server serves once.
        let _ = self.0.listening.set(listening);
    }

    /// What is listened on; nothing before the server serves.
    pub(crate) fn listening(&self) -> &[Listening] {
        self.0.listening.get().map_or(&[], Vec::as_slice)
    }

    /// Ends what would go on for as long as its callers like.
    pub(crate) fn stop(&self) {
        self.0.stopping.cancel();
    }

    /// The end of the server, for what goes on until then.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// What begins the traces of requests.
    pub(crate) fn traces(&self) -> &Traces {
        &self.0.traces
    }

    /// Whether a balancer may send requests here; none while the server is about to stop.
    pub(crate) fn readiness(&self) -> Option<Readiness> {
        let is_draining = self.0.draining.is_cancelled();
        (!is_draining).then(|| self.0.registry.readiness())
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub(crate) fn keys(&self) -> &KeyStore {
        &self.0.keys
    }

    pub(crate) fn bans(&self) -> &Bans {
        &self.0.bans
    }

    pub(crate) fn anomalies(&self) -> &Anomalies {
        &self.0.anomalies
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn screening(&self) -> &Screening {
        &self.0.screening
    }

    pub(crate) fn inference(&self) -> &Inference {
        &self.0.inference
    }

    pub(crate) fn receipt_key(&self) -> &ReceiptKey {
        &self.0.receipt_key
    }

    pub(crate) fn runs(&self) -> &Runs {
        &self.0.runs
    }

    pub(crate) fn testing(&self) -> Option<&Testing> {
        self.0.testing.as_ref()
    }

    pub(crate) fn stored(&self) -> &StoredObjects {
        &self.0.stored
    }

    pub(crate) fn backups(&self) -> &Backups {
        &self.0.backups
    }

    pub(crate) fn limiter(&self) -> &Limiter {
        &self.0.limiter
    }

    pub(crate) fn ledger(&self) -> &LedgerStore {
        &self.0.ledger
    }

    pub(crate) fn audit(&self) -> &AuditLog {
        &self.0.audit
    }

    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.0.tls.as_ref()
    }

    pub(crate) fn data_dir(&self) -> &std::path::Path {
        &self.0.data_dir
    }

    pub(crate) fn reloads(&self) -> &Reloads {
        &self.0.reloads
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn effective_config(&self) -> Arc<serde_json::Value> {
        self.0.effective_config.load_full()
    }
}

impl FromRef<HttpState> for Limits {
    fn from_ref(state: &HttpState) -> Self {
        Self {
            bytes_max: state.0.config.body_bytes_max,
            read_timeout: state.0.config.body_read_timeout,
            json: state.0.config.input,
        }
    }
}
