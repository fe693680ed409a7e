//! The record of security events: who did what to keys, models, bans, and what was refused.
//!
//! Whoever makes something happen records an [`Event`] on the [`AuditLog`]. The table of kinds
//! says which events there are and which fields they have; no event ever holds a secret, a
//! prompt or a body. Recording never waits for a disk: a thread of its own chains
//! the events by hash, writes them in batches and syncs each batch. What an administrator does
//! is written at once; what strangers can cause in any number is gathered for a moment, and of
//! many alike only the first are written, the others counted.

mod chain;
mod cut;
mod event;
mod file;
mod kinds;
mod listener;
mod self_check;
mod sinks;
mod storms;
mod throttle;
mod verify;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::telemetry::metrics;
pub use cut::{AuditCut, CutFile};
pub use event::{Actor, Event};
pub use kinds::{EventField, EventKind, EventRow, reference};
pub use listener::{EventListener, Told, WantedEvents};
pub use self_check::SelfCheck;
pub use sinks::SyslogTarget;
use storms::CapStorms;
use throttle::EventThrottle;
pub use verify::{ChainDefect, Verified, VerifyError, verify};
use writer::{Message, Writer};

/// The settings of the audit log.
#[derive(Clone, Debug)]
pub struct AuditConfig {
    /// The sinks that events go to; none for no audit log.
    pub sinks: Sinks,
    /// The file; none for `audit.log` in the data directory.
    pub path: Option<PathBuf>,
    /// Bytes after which a new file is begun.
    pub file_bytes_max: u64,
    /// Files kept beside the current one. Older ones are removed.
    pub files_max: usize,
    /// The address at which syslog listens.
    pub syslog: SyslogTarget,
    /// The fate of requests while the log cannot be written.
    pub on_failure: OnFailure,
    /// The time between two looks of the server at its own log; zero for none.
    pub verify_period: Duration,
    /// Runs of one model that one cap ends within a minute and that are a storm.
    pub cap_storm_runs: u32,
    /// Whether each run is recorded, with its seed and digests and without content.
    pub runs: bool,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            sinks: Sinks {
                file: true,
                ..Sinks::default()
            },
            path: None,
            file_bytes_max: 64 << 20,
            files_max: 10,
            syslog: SyslogTarget::default(),
            on_failure: OnFailure::Continue,
            verify_period: Duration::from_hours(24),
            cap_storm_runs: 100,
            runs: false,
        }
    }
}

impl AuditConfig {
    /// The file of the server with that data directory.
    #[must_use]
    pub fn file(&self, data_dir: &Path) -> PathBuf {
        let file = self.path.clone();
        file.unwrap_or_else(|| data_dir.join("audit.log"))
    }

    /// The file that says how far the log has come. In the data directory also where the log is
    /// not: whoever cuts the log short must reach both.
    #[must_use]
    pub fn checkpoint(data_dir: &Path) -> PathBuf {
        data_dir.join("audit.head")
    }
}

/// The sinks of the audit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sinks {
    /// The chained file with rotation.
    pub file: bool,
    /// Standard output, a line an event.
    pub stdout: bool,
    /// A syslog daemon (RFC 5424).
    pub syslog: bool,
}

impl Sinks {
    /// Their names.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        [
            (self.file, "file"),
            (self.stdout, "stdout"),
            (self.syslog, "syslog"),
        ]
        .into_iter()
        .filter_map(|(is_on, name)| is_on.then_some(name))
        .collect()
    }
}

/// The fate of requests while the audit log cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Requests are served: a full disk takes down the record and not the service. The metric
    /// counts what is lost, and the log says how much once it can be written again.
    Continue,
    /// Requests are refused with 503, health excepted: nothing happens unrecorded.
    Refuse,
}

impl OnFailure {
    /// The name in the settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Refuse => "refuse",
        }
    }
}

/// The audit log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("the audit log {path} cannot be opened: {source}")]
pub struct AuditError {
    /// The file.
    pub path: PathBuf,
    /// The system's error.
    pub source: io::Error,
}

/// Events that wait to be written. Beyond it they are lost, and counted.
const QUEUE_MAX: usize = 8_192;

/// The audit log, which takes events and brings them to the sinks. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct AuditLog(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
    clock: Clock,
    config: AuditConfig,
    /// The log, and how far it has come.
    files: (PathBuf, PathBuf),
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The state that recorders and the writing thread share.
#[derive(Debug, Default)]
struct Shared {
    throttle: Mutex<EventThrottle>,
    storms: Mutex<CapStorms>,
    /// Whether the last attempt to write failed, or the queue is full.
    is_failing: AtomicBool,
    /// Events that were not written since the log last said so.
    lost: AtomicU64,
}

impl Shared {
    fn lose(&self, events: u64, sink: &'static str) {
        self.is_failing.store(true, Ordering::Release);
        self.lost.fetch_add(events, Ordering::AcqRel);
        metrics::AUDIT_FAILURES
            .with([("sink", sink.into())])
            .increment(events);
    }
}

impl AuditLog {
    /// Opens the sinks, takes up the chain where it was left, and starts the thread.
    ///
    /// # Errors
    ///
    /// When a sink cannot be opened.
    pub fn open(config: &AuditConfig, data_dir: &Path, clock: Clock) -> Result<Self, AuditError> {
        Self::open_told(config, data_dir, clock, None)
    }

    /// The same, with somebody who hears of events as they are recorded.
    ///
    /// # Errors
    ///
    /// When a sink cannot be opened.
    pub fn open_told(
        config: &AuditConfig,
        data_dir: &Path,
        clock: Clock,
        listener: Option<EventListener>,
    ) -> Result<Self, AuditError> {
        if config.sinks == Sinks::default() {
            return Ok(Self(None));
        }
        let shared = Arc::new(Shared::default());
        let failed = |source| AuditError {
            path: config.file(data_dir),
            source,
        };
        let writer = Writer::open(
            config,
            data_dir,
            clock.clone(),
            Arc::clone(&shared),
            listener,
        );
        let writer = writer.map_err(failed)?;
        let (queue, messages) = sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || writer.run(&messages))
            .map_err(failed)?;
        Ok(Self(Some(Arc::new(Inner {
            queue,
            shared,
            clock,
            config: config.clone(),
            files: (config.file(data_dir), AuditConfig::checkpoint(data_dir)),
            thread: Mutex::new(Some(thread)),
        }))))
    }

    /// The sinks that are open.
    #[must_use]
    pub fn sinks(&self) -> Sinks {
        self.0
            .as_ref()
            .map_or_else(Sinks::default, |inner| inner.config.sinks)
    }

    /// Whether requests must be refused, because they could not be recorded.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| {
            inner.config.on_failure == OnFailure::Refuse
                && inner.shared.is_failing.load(Ordering::Acquire)
        })
    }

    /// Whether the last attempt to write failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        let inner = self.0.as_ref();
        inner.is_some_and(|inner| inner.shared.is_failing.load(Ordering::Acquire))
    }

    /// Records one event. Never blocks on a disk: a thread of its own writes.
    pub fn record(&self, event: &Event) {
        let Some(inner) = &self.0 else { return };
        let now = inner.clock.elapsed();
        let (passes, summaries) = {
            let mut throttle = inner.shared.throttle.lock();
            let summaries = throttle.summaries(now);
            (
                !event.kind.is_from_strangers() || throttle.admit(event, now),
                summaries,
            )
        };
        let storm = (event.kind == EventKind::CapHit)
            .then(|| {
                let runs_min = inner.config.cap_storm_runs;
                inner.shared.storms.lock().note(event, runs_min, now)
            })
            .flatten();
        let events = summaries.into_iter().chain(passes.then(|| event.clone()));
        let events = events.chain(storm);
        for event in events {
            inner.send(event);
        }
    }

    /// Waits until everything recorded so far is written and synced, or has failed.
    pub async fn flush(&self) {
        let Some(inner) = &self.0 else { return };
        let queue = inner.queue.clone();
        let (done, is_done) = oneshot::channel();
        // The queue may be full, and that is the time to wait.
        let sent = tokio::task::spawn_blocking(move || queue.send(Message::Flush(done)));
        if matches!(sent.await, Ok(Ok(()))) {
            let _ = is_done.await;
        }
    }

    /// The log as it is when all that was recorded so far is in it; none where there is no log.
    ///
    /// # Errors
    ///
    /// When its files cannot be read.
    pub async fn cut(&self) -> io::Result<Option<AuditCut>> {
        let Some(inner) = &self.0 else {
            return Ok(None);
        };
        let queue = inner.queue.clone();
        let (made, cut) = oneshot::channel();
        let sent = tokio::task::spawn_blocking(move || queue.send(Message::Cut(made)));
        let is_over = || io::Error::other("the log is closed");
        match sent.await {
            Ok(Ok(())) => cut.await.map_err(|_| is_over())?.map(Some),
            Ok(Err(_)) | Err(_) => Err(is_over()),
        }
    }

    /// Writes what is left and ends the thread.
    pub async fn close(&self) {
        self.flush().await;
        let Some(inner) = &self.0 else { return };
        let _ = inner.queue.try_send(Message::Close);
        let thread = inner.thread.lock().take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// The log of a server that does not run, as [`AuditLog::cut`] gives it of one that does.
///
/// # Errors
///
/// When its files cannot be read.
pub fn cut_of_stopped(config: &AuditConfig, data_dir: &Path) -> io::Result<AuditCut> {
    cut::cut(&config.file(data_dir), &AuditConfig::checkpoint(data_dir))
}

impl Inner {
    fn send(&self, event: Event) {
        let message = Message::Event(self.clock.now(), Box::new(event));
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.queue.try_send(message)
        {
            self.shared.lose(1, "queue");
        }
    }
}
