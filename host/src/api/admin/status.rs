//! `GET /admin/status`: how the server is, on one page.

use super::Failures;
use crate::auth::{Administer, Authorized, Scope};
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::http::{HttpState, Listening, ReloadOutcome, SettingChange};
use crate::limits::Counts;
use crate::models::{ModelLoad, Readiness, RunCounts};
use crate::telemetry::metrics::{OPEN_CONNECTIONS, OPEN_STREAMS};
use crate::telemetry::{disk_room, resident_bytes};
use crate::tls::FileEnd;
use axum::extract::State;
use belljar_sandbox::SandboxStats;
use belljar_screen::{FieldKind, Mode};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Admin).counting(Counts::Nothing);
    Routes::default().add(policy, routes!(status))
}

/// How the server is.
#[derive(Serialize, ToSchema)]
struct StatusView {
    /// `server.status`.
    object: &'static str,
    version: &'static str,
    /// `ready`; `starting` while models are loaded, `failed` while an active one could not be,
    /// `draining` before the server stops.
    state: &'static str,
    #[schema(format = DateTime)]
    started: String,
    uptime_s: u64,
    listeners: Vec<ListenerView>,
    /// Null where TLS is not spoken.
    tls: Option<TlsView>,
    data: DataView,
    load: LoadView,
    memory: MemoryView,
    guards: GuardsView,
    /// The last time that the settings were read again; null where they are those of the start.
    reload: Option<LastReloadView>,
    audit: AuditView,
    /// By name.
    models: Vec<ModelLoadView>,
}

/// Something that is listened on.
#[derive(Serialize, ToSchema)]
struct ListenerView {
    /// `api`, `metrics`, `redirect`, or `commands` for those of this machine.
    r#for: &'static str,
    /// An address with its port, or the path of a socket.
    address: String,
    tls: bool,
}

/// How TLS is spoken.
#[derive(Serialize, ToSchema)]
struct TlsView {
    /// The oldest version.
    min_version: String,
    /// `off`, `optional` or `required`: whether clients show certificates.
    client_auth: String,
    files: Vec<FileEndView>,
}

/// When what is in a file ends.
#[derive(Serialize, ToSchema)]
struct FileEndView {
    file: String,
    /// `certificate`, `authority` or `revocations`.
    kind: &'static str,
    /// Null where it never does.
    #[schema(format = DateTime)]
    ends: Option<String>,
    /// Whether that is within `tls.expiry_warning`, or is past.
    soon: bool,
}

/// The data directory.
#[derive(Serialize, ToSchema)]
struct DataView {
    directory: String,
    /// Null where the disk does not say.
    free_bytes: Option<u64>,
    total_bytes: Option<u64>,
}

/// What the server has to do right now.
#[derive(Serialize, ToSchema)]
struct LoadView {
    connections: u64,
    /// Texts that are being streamed.
    streams: u64,
    /// Runs going on.
    running: u32,
    /// Runs that wait for a slot: in the host's queue and in those of the models.
    waiting: u32,
    /// Runs that there may be at once.
    slots: u32,
    last_minute: CountsView,
}

/// Runs that have ended. A request that is to have several answers has as many.
#[derive(Serialize, ToSchema)]
struct CountsView {
    runs: u64,
    /// Of those, runs that failed.
    errors: u64,
    fuel: u64,
}

#[derive(Serialize, ToSchema)]
struct MemoryView {
    /// Memory of the process; null where the system does not say.
    resident_bytes: Option<u64>,
    /// Linear memory of all runs.
    guest_bytes: u64,
    guest_bytes_max: u64,
    /// Compiled models that are mapped.
    models_bytes: u64,
    /// What they may come to; null where nothing bounds them.
    models_bytes_max: Option<u64>,
    /// Versions in memory.
    models_resident: usize,
    /// Versions that are out of it until somebody asks for them.
    models_away: usize,
}

/// What guards the server.
#[derive(Serialize, ToSchema)]
struct GuardsView {
    /// Whether every request needs a key.
    keys_required: bool,
    /// Whether requests and tokens a minute are limited.
    rate_limits: bool,
    /// Whether addresses are banned.
    bans: bool,
    /// Bans that are in force.
    bans_in_force: usize,
    /// `block`, `report` or `off`, by place.
    #[schema(value_type = Object)]
    screening: BTreeMap<&'static str, String>,
    /// Whether only some networks are served, or some are not.
    networks: bool,
    /// Whether JSON is held to the limits `input.*`.
    input_validation: bool,
}

/// What became of the settings that were read again.
#[derive(Serialize, ToSchema)]
struct LastReloadView {
    #[schema(format = DateTime)]
    time: String,
    /// The key that has asked for it; null for a signal, and for secrets that changed where they
    /// stand.
    by: Option<String>,
    /// `ok` or `refused`.
    outcome: &'static str,
    /// The settings that hold another value since.
    changed: Vec<&'static str>,
    /// The settings that take another value at the next start.
    waiting: Vec<&'static str>,
    /// What was wrong with the settings.
    problems: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct AuditView {
    /// `file`, `stdout` and `syslog`, as far as they are on.
    sinks: Vec<&'static str>,
    /// Whether the last attempt to write failed.
    failing: bool,
}

/// What one model has to do right now.
#[derive(Serialize, ToSchema)]
struct ModelLoadView {
    name: String,
    /// The version that requests for the bare name get.
    active: Option<String>,
    /// The state of that version, or of the one that is to be; null where there is neither.
    state: Option<&'static str>,
    /// Versions that there are.
    versions: usize,
    running: u32,
    waiting: u32,
    last_minute: CountsView,
}

impl From<&Listening> for ListenerView {
    fn from(listening: &Listening) -> Self {
        Self {
            r#for: listening.purpose,
            address: listening.address.clone(),
            tls: listening.is_encrypted,
        }
    }
}

impl From<FileEnd> for FileEndView {
    fn from(end: FileEnd) -> Self {
        let time = end.at_s.and_then(|at| Timestamp::from_second(at).ok());
        Self {
            kind: end.kind.name(),
            ends: time.map(|time| time.to_string()),
            soon: end.is_soon,
            file: end.file,
        }
    }
}

impl From<RunCounts> for CountsView {
    fn from(RunCounts { runs, errors, fuel }: RunCounts) -> Self {
        Self { runs, errors, fuel }
    }
}

impl From<ModelLoad> for ModelLoadView {
    fn from(load: ModelLoad) -> Self {
        Self {
            name: load.name.to_string(),
            active: load.active.map(|version| version.to_string()),
            state: load.state.map(|state| state.as_str()),
            versions: load.versions,
            running: load.running,
            waiting: load.waiting,
            last_minute: load.last_minute.into(),
        }
    }
}

impl From<&ReloadOutcome> for LastReloadView {
    fn from(outcome: &ReloadOutcome) -> Self {
        let keys = |changes: &[SettingChange]| changes.iter().map(|change| change.key).collect();
        Self {
            time: outcome.time.to_string(),
            by: outcome.actor.key_id.as_ref().map(ToString::to_string),
            outcome: outcome.name(),
            changed: keys(&outcome.changed),
            waiting: keys(&outcome.waiting),
            problems: outcome.problems.clone(),
        }
    }
}

/// How the server is: what it listens on, its models and what they have to do, its memory and disk,
/// what guards it, and what became of the settings that were read last.
#[utoipa::path(
    get,
    path = "/admin/status",
    tag = "Administration",
    responses((status = 200, body = StatusView), Failures)
)]
async fn status(_: Authorized<Administer>, State(state): State<HttpState>) -> Json<StatusView> {
    let models = state.registry().load();
    let stats = state.registry().sandbox().stats();
    let (models_resident, models_away) = state.registry().residents();
    let now = state.clock().now();
    Json(StatusView {
        object: "server.status",
        version: env!("CARGO_PKG_VERSION"),
        state: match state.readiness() {
            Some(Readiness::Ready) => "ready",
            Some(Readiness::Starting) => "starting",
            Some(Readiness::Failed) => "failed",
            None => "draining",
        },
        started: state.started().to_string(),
        uptime_s: u64::try_from(now.duration_since(state.started()).as_secs()).unwrap_or(0),
        listeners: state.listening().iter().map(ListenerView::from).collect(),
        tls: state.tls().map(|tls| {
            let config = tls.config();
            TlsView {
                min_version: config.min_version.to_string(),
                client_auth: config.client_auth.to_string(),
                files: tls.ends().into_iter().map(FileEndView::from).collect(),
            }
        }),
        data: data(&state).await,
        load: load(&models, &stats),
        memory: MemoryView {
            resident_bytes: resident_bytes(),
            guest_bytes: stats.memory_bytes,
            guest_bytes_max: stats.memory_bytes_max,
            models_bytes: stats.mapped_bytes,
            models_bytes_max: state.registry().memory_budget(),
            models_resident,
            models_away,
        },
        guards: guards(&state),
        reload: state.reloads().last().map(|last| (&*last).into()),
        audit: AuditView {
            sinks: state.audit().sinks().names(),
            failing: state.audit().is_failing(),
        },
        models: models.into_iter().map(ModelLoadView::from).collect(),
    })
}

async fn data(state: &HttpState) -> DataView {
    let folder = state.data_dir().to_owned();
    let directory = folder.display().to_string();
    // A disk in the network may let one wait.
    let room = tokio::task::spawn_blocking(move || disk_room(&folder)).await;
    let room = room.ok().and_then(Result::ok);
    DataView {
        directory,
        free_bytes: room.map(|room| room.free),
        total_bytes: room.map(|room| room.total),
    }
}

fn load(models: &[ModelLoad], stats: &SandboxStats) -> LoadView {
    let in_queues = models.iter().map(|model| model.waiting);
    let ended = models.iter().map(|model| model.last_minute);
    LoadView {
        connections: OPEN_CONNECTIONS.now(),
        streams: OPEN_STREAMS.now(),
        running: stats.running,
        waiting: in_queues.fold(stats.waiting, u32::saturating_add),
        slots: stats.slots,
        last_minute: ended.fold(RunCounts::default(), RunCounts::plus).into(),
    }
}

fn guards(state: &HttpState) -> GuardsView {
    let screening = state.screening();
    let mode = |kind: FieldKind| -> Mode { screening.mode(kind) };
    let acl = state.acl().load_full();
    GuardsView {
        keys_required: state.keys().key_required(),
        rate_limits: state.limiter().rates().is_enabled(),
        bans: state.bans().config().enabled,
        bans_in_force: state.bans().sizes().0,
        screening: FieldKind::ALL
            .into_iter()
            .map(|kind| (kind.name(), mode(kind).to_string()))
            .collect(),
        networks: !acl.allow.is_empty() || !acl.deny.is_empty(),
        input_validation: state.config().input.validation,
    }
}
