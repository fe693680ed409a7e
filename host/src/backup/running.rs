//! Backups of a server that goes on: one at a time, on a thread of their own that gives way to
//! everything else, each in the audit log.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::paced::Paced;
use super::{BackupError, Config, Plan, Source};
use crate::audit::{Actor, AuditLog, Event, EventKind};
use crate::clock::Clock;
use crate::telemetry::metrics;

/// Pieces that wait to be taken.
const WAITING_MAX: usize = 4;
/// How much the thread yields to those that serve, as a Unix nice value.
const NICE: i32 = 10;

/// What makes backups of this server. Cheap to clone.
#[derive(Clone)]
pub struct Backups(Arc<Inner>);

struct Inner {
    source: Source,
    audit: AuditLog,
    clock: Clock,
    config: Config,
    turn: Arc<Semaphore>,
}

/// A backup that is being handed out. It ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// The moment that it is of.
    pub created: Timestamp,
    /// Its size.
    pub bytes: u64,
    /// Its pieces. What ends in an error, or before its size, is no backup.
    pub pieces: mpsc::Receiver<io::Result<Bytes>>,
}

impl Backups {
    /// Backups of that server.
    #[must_use]
    pub fn new(source: Source, audit: AuditLog, clock: Clock, config: Config) -> Self {
        Self(Arc::new(Inner {
            source,
            audit,
            clock,
            config,
            turn: Arc::new(Semaphore::new(1)),
        }))
    }

    /// Puts the moment aside and begins to hand it out. That it began is on record before the first
    /// byte.
    ///
    /// # Errors
    ///
    /// When another one is being made, and when this one cannot be.
    pub async fn begin(&self, actor: Actor) -> Result<Running, BackupError> {
        let inner = &self.0;
        let turn = Arc::clone(&inner.turn).try_acquire_owned();
        let turn = turn.map_err(|_| BackupError::Busy)?;
        let plan = match inner.source.plan(&inner.clock).await {
            Ok(plan) => plan,
            Err(error) => {
                count("failed");
                return Err(error);
            }
        };
        let (created, bytes) = (plan.manifest().created, plan.archive_bytes());
        let files = plan.manifest().files();
        let about = [("files", json!(files)), ("bytes", json!(bytes))];
        let begun = Event::new(EventKind::BackupBegun, actor.clone(), &about);
        inner.audit.record(&begun);
        inner.audit.flush().await;
        let (out, pieces) = mpsc::channel(WAITING_MAX);
        let paced = Paced::new(out, inner.config);
        let inner = Arc::clone(inner);
        std::thread::Builder::new()
            .name("backup".into())
            .spawn(move || inner.hand_out(plan, paced, actor, turn))
            .map_err(BackupError::file("a thread"))?;
        Ok(Running {
            created,
            bytes,
            pieces,
        })
    }
}

impl Inner {
    fn hand_out(&self, plan: Plan, mut paced: Paced, actor: Actor, turn: OwnedSemaphorePermit) {
        // Where it is refused, it works as well.
        let _ = rustix::process::nice(NICE);
        let written = plan.write(&mut paced);
        let outcome = match (&written, paced.ending()) {
            (Ok(()), _) => "ok",
            (Err(_), Some(ending)) => ending.name(),
            (Err(error), None) => {
                tracing::error!("a backup was broken off: {error}");
                "failed"
            }
        };
        if written.is_err() {
            paced.fail(outcome);
        }
        let bytes = paced.sent();
        count(outcome);
        tracing::info!(outcome, bytes, "a backup is over");
        let about = [("outcome", json!(outcome)), ("bytes", json!(bytes))];
        let ended = Event::new(EventKind::BackupEnded, actor, &about);
        self.audit.record(&ended);
        // Whoever reads its end may begin the next one.
        drop(turn);
        drop(paced);
    }
}

fn count(outcome: &'static str) {
    metrics::BACKUPS
        .with([("outcome", outcome.into())])
        .increment(1);
}
