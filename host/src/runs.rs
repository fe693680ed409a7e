//! Runs on record: what models were asked and what they gave, with the seed and the moment that
//! make the same run again.
//!
//! Off unless a number to keep is set, since it is content. A run belongs to the key that asked
//! for it (callers without a key share theirs); it goes when its time is over, when its key has
//! newer ones in its place, when there is too much of all, and with its key and its version. It is
//! written a moment after its answer, and before anybody reads any.

mod compare;
mod error;
mod kept;

use crate::clock::Clock;
use crate::db::Db;
use crate::ids::KeyId;
use crate::telemetry::metrics;
use belljar_bundle::{Digest, ModelId};
use belljar_sandbox::RunTime;
pub use compare::{Difference, Verdict, differences};
pub use error::RunsError;
use jiff::{SignedDuration, Timestamp};
pub use kept::{Digest256, Engine, KeptCall, Outcome, Run, RunId, Transcript};
use parking_lot::Mutex;
use sqlx::{QueryBuilder, Row as _, Sqlite, sqlite::SqliteRow};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Runs that wait to be written before it is time to.
const PENDING_DUE: usize = 64;
/// Bytes of runs that wait to be written; what comes beyond them is not kept.
const PENDING_BYTES_MAX: u64 = 64 << 20;

/// Runs that one statement writes. Each number of them is a statement of its own for the database,
/// which keeps those that it has seen.
const RUNS_OF_STATEMENT: usize = 16;

/// How many runs, how much of them, and how long they are kept.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The newest runs of each key that are kept; zero keeps none.
    pub keep: u32,
    /// Bytes of all runs of all keys.
    pub bytes_max: u64,
    /// How long a run is kept.
    pub retention: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keep: 0,
            bytes_max: 256 << 20,
            retention: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// Which runs are wanted.
#[derive(Clone, Debug)]
pub struct Page {
    /// Runs that are older than this one.
    pub after: Option<String>,
    /// How many there are at most.
    pub limit: u32,
}

/// Runs on record. Cheap to clone.
#[derive(Clone)]
pub struct Runs(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    config: Config,
    pending: Mutex<Pending>,
    due: Notify,
    /// Bytes of each owner, known to who has the turn. Changes are made one after the other.
    turn: tokio::sync::Mutex<HashMap<String, u64>>,
}

#[derive(Default)]
struct Pending {
    runs: Vec<(Run, Transcript)>,
    bytes: u64,
}

/// The text that stands for an owner.
fn owner_text(owner: Option<&KeyId>) -> &str {
    owner.map_or("", KeyId::as_str)
}

impl Runs {
    /// What is on record and not over.
    ///
    /// # Errors
    ///
    /// When the database cannot be read or written.
    pub async fn open(db: Db, clock: Clock, config: Config) -> Result<Self, RunsError> {
        let runs = Self(Arc::new(Inner {
            db,
            clock,
            config,
            pending: Mutex::default(),
            due: Notify::new(),
            turn: tokio::sync::Mutex::default(),
        }));
        runs.remove_expired().await?;
        Ok(runs)
    }

    /// Whether runs are kept.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.config.keep > 0
    }

    /// Keeps a run that is over. It is on disk a moment later, and before any is read.
    pub fn keep(&self, run: Run, transcript: Transcript) {
        let bytes = transcript.bytes();
        let mut pending = self.0.pending.lock();
        if pending.bytes.saturating_add(bytes) > PENDING_BYTES_MAX.min(self.0.config.bytes_max) {
            drop(pending);
            metrics::RUNS_NOT_KEPT.handle().increment(1);
            return;
        }
        pending.bytes += bytes;
        pending.runs.push((run, transcript));
        if pending.runs.len() >= PENDING_DUE {
            self.0.due.notify_one();
        }
    }

    /// Waits until so many runs wait to be written that it is time to.
    pub async fn due(&self) {
        self.0.due.notified().await;
    }

    /// Writes what is to be kept. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// When it cannot be written: it is lost then.
    pub async fn write(&self) -> Result<(), RunsError> {
        let mut counts = self.0.turn.lock().await;
        let pending = std::mem::take(&mut *self.0.pending.lock());
        if pending.runs.is_empty() {
            return Ok(());
        }
        let lost = u64::try_from(pending.runs.len()).unwrap_or(u64::MAX);
        let written = self.write_all(&mut counts, pending.runs).await;
        if written.is_err() {
            metrics::RUNS_NOT_KEPT.handle().increment(lost);
        }
        written
    }

    async fn write_all(
        &self,
        counts: &mut HashMap<String, u64>,
        runs: Vec<(Run, Transcript)>,
    ) -> Result<(), RunsError> {
        let retention = SignedDuration::try_from(self.0.config.retention);
        let retention = retention.unwrap_or(SignedDuration::MAX);
        let mut owners = BTreeSet::new();
        let mut transaction = self.0.db.pool().begin().await?;
        for runs in runs.chunks(RUNS_OF_STATEMENT) {
            let rows: Result<Vec<_>, _> =
                runs.iter().map(|run| RunRow::of(run, retention)).collect();
            let mut insert = insertion(rows?);
            let kept = insert.build_query_as::<(String, i64)>();
            for (owner, bytes) in kept.fetch_all(&mut *transaction).await? {
                let count = counts.entry(owner.clone()).or_default();
                *count = count.saturating_add(u64::try_from(bytes).unwrap_or(0));
                owners.insert(owner);
            }
        }
        for owner in owners {
            // By a range of the index: a list of those that stay would be made anew each time.
            let gone = sqlx::query_as::<_, (i64,)>(
                "DELETE FROM runs WHERE owner = ?1 AND id <= (SELECT id FROM runs \
                 WHERE owner = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2) RETURNING bytes",
            )
            .bind(&owner)
            .bind(i64::from(self.0.config.keep))
            .fetch_all(&mut *transaction)
            .await?;
            forget(counts, &owner, &gone);
        }
        transaction.commit().await?;
        self.make_room(counts).await
    }

    /// Deletes the oldest runs of whoever has the most, while there is too much of all.
    async fn make_room(&self, counts: &mut HashMap<String, u64>) -> Result<(), RunsError> {
        loop {
            let all: u64 = counts.values().sum();
            let Some(excess) = all
                .checked_sub(self.0.config.bytes_max)
                .filter(|it| *it > 0)
            else {
                return Ok(());
            };
            let most = counts.iter().max_by_key(|(_, bytes)| **bytes);
            let Some(owner) = most.map(|(owner, _)| owner.clone()) else {
                return Ok(());
            };
            let gone = sqlx::query_as::<_, (i64,)>(
                "DELETE FROM runs WHERE id IN (SELECT id FROM (SELECT id, SUM(bytes) OVER (ORDER BY id) \
                 - bytes AS older FROM runs WHERE owner = ?1) WHERE older < ?2) RETURNING bytes",
            )
            .bind(&owner)
            .bind(i64::try_from(excess).unwrap_or(i64::MAX))
            .fetch_all(self.0.db.pool())
            .await?;
            if gone.is_empty() {
                // They went with their key.
                counts.remove(&owner);
            } else {
                forget(counts, &owner, &gone);
            }
        }
    }

    /// A run of an owner's, with its transcript.
    ///
    /// # Errors
    ///
    /// When there is no such run of this owner's, and when the database fails.
    pub async fn get(
        &self,
        owner: Option<&KeyId>,
        id: &str,
    ) -> Result<(Run, Transcript), RunsError> {
        self.write().await?;
        let row = sqlx::query("SELECT * FROM runs WHERE id = ? AND owner = ? AND expires_ms > ?")
            .bind(id)
            .bind(owner_text(owner))
            .bind(self.0.clock.now().as_millisecond())
            .fetch_optional(self.0.db.pool())
            .await?;
        let row = row.ok_or(RunsError::NotFound)?;
        let calls: Vec<u8> = row.try_get("calls")?;
        Ok((run(&row)?, Transcript::decoded(&calls)?))
    }

    /// The runs of an owner, the newest first: a page of them, and whether there are more.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn list(
        &self,
        owner: Option<&KeyId>,
        page: &Page,
    ) -> Result<(Vec<Run>, bool), RunsError> {
        self.write().await?;
        let rows = sqlx::query(
            "SELECT id, owner, request_id, created_ms, model, version, digest, seed, time_ms, fuel, \
             outcome, resumed, input_digest, output_digest, engine FROM runs WHERE owner = ?1 \
             AND expires_ms > ?2 AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4",
        )
        .bind(owner_text(owner))
        .bind(self.0.clock.now().as_millisecond())
        .bind(&page.after)
        .bind(i64::from(page.limit) + 1)
        .fetch_all(self.0.db.pool())
        .await?;
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        let runs: Result<Vec<_>, _> = rows.iter().take(limit).map(run).collect();
        Ok((runs?, has_more))
    }

    /// Deletes a run of an owner's. It is gone from the database when this returns.
    ///
    /// # Errors
    ///
    /// When there is no such run of this owner's, and when the database fails.
    pub async fn delete(&self, owner: Option<&KeyId>, id: &str) -> Result<(), RunsError> {
        self.write().await?;
        let mut counts = self.0.turn.lock().await;
        let gone = sqlx::query_as::<_, (i64,)>(
            "DELETE FROM runs WHERE id = ? AND owner = ? RETURNING bytes",
        )
        .bind(id)
        .bind(owner_text(owner))
        .fetch_all(self.0.db.pool())
        .await?;
        if gone.is_empty() {
            return Err(RunsError::NotFound);
        }
        forget(&mut counts, owner_text(owner), &gone);
        Ok(())
    }

    /// Deletes what is over, all of it where nothing is kept any more, and counts what is left.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn remove_expired(&self) -> Result<(), RunsError> {
        let mut counts = self.0.turn.lock().await;
        sqlx::query("DELETE FROM runs WHERE expires_ms <= ? OR ?")
            .bind(self.0.clock.now().as_millisecond())
            .bind(!self.is_on())
            .execute(self.0.db.pool())
            .await?;
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT owner, SUM(bytes) FROM runs GROUP BY owner")
                .fetch_all(self.0.db.pool())
                .await?;
        let rows = rows.into_iter();
        *counts = rows
            .map(|(owner, bytes)| (owner, bytes.try_into().unwrap_or(0)))
            .collect();
        self.make_room(&mut counts).await
    }
}

/// A run as its row has it, where the row differs from the run.
struct RunRow<'r> {
    run: &'r Run,
    expires_ms: i64,
    engine: String,
    calls: Vec<u8>,
}

impl<'r> RunRow<'r> {
    fn of(
        (run, transcript): &'r (Run, Transcript),
        retention: SignedDuration,
    ) -> Result<Self, RunsError> {
        let expires = run.created.saturating_add(retention);
        let engine = serde_json::to_string(&run.engine);
        Ok(Self {
            run,
            expires_ms: expires.unwrap_or(Timestamp::MAX).as_millisecond(),
            engine: engine.map_err(|error| RunsError::Damaged(error.to_string()))?,
            calls: transcript.encoded()?,
        })
    }
}

/// The statement that writes runs, but for those whose key or version has gone meanwhile, and tells
/// the owner and the bytes of each that it has written.
fn insertion(rows: Vec<RunRow<'_>>) -> QueryBuilder<Sqlite> {
    const COLUMNS: &str = "id, owner, request_id, created_ms, expires_ms, model, version, digest, \
                           seed, time_ms, fuel, outcome, resumed, input_digest, output_digest, \
                           engine, calls, bytes";
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut sql = QueryBuilder::new(format!("WITH new ({COLUMNS}) AS ("));
    sql.push_values(rows, |mut row, of| {
        let RunRow {
            run,
            expires_ms,
            engine,
            calls,
        } = of;
        let bytes = number(calls.len() as u64);
        row.push_bind(run.id.as_str())
            .push_bind(owner_text(run.owner.as_ref()))
            .push_bind(run.request_id.as_str())
            .push_bind(run.created.as_millisecond())
            .push_bind(expires_ms)
            .push_bind(run.model.name.as_str())
            .push_bind(run.model.version.to_string())
            .push_bind(&run.digest.as_bytes()[..])
            .push_bind(&run.seed.as_bytes()[..])
            .push_bind(number(run.time.unix_ms()))
            .push_bind(number(run.fuel))
            .push_bind(run.outcome.name())
            .push_bind(run.resumed)
            .push_bind(&run.input_digest.0[..])
            .push_bind(&run.output_digest.0[..])
            .push_bind(engine)
            .push_bind(calls)
            .push_bind(bytes);
    });
    sql.push(format!(
        ") INSERT INTO runs ({COLUMNS}) SELECT * FROM new WHERE \
         (owner NOT GLOB 'key_*' OR EXISTS (SELECT 1 FROM keys WHERE keys.id = new.owner)) AND EXISTS \
         (SELECT 1 FROM model_versions WHERE model_versions.name = new.model \
         AND model_versions.version = new.version) \
         RETURNING owner, bytes"
    ));
    sql
}

/// Takes rows that are gone off the count of their owner.
fn forget(counts: &mut HashMap<String, u64>, owner: &str, gone: &[(i64,)]) {
    let gone: u64 = gone
        .iter()
        .map(|(bytes,)| u64::try_from(*bytes).unwrap_or(0))
        .sum();
    if let Some(count) = counts.get_mut(owner) {
        *count = count.saturating_sub(gone);
    }
}

/// The run of a row.
pub(crate) fn run(row: &SqliteRow) -> Result<Run, RunsError> {
    let bytes = |column: &'static str| -> Result<[u8; 32], RunsError> {
        let bytes: &[u8] = row.try_get(column)?;
        bytes
            .try_into()
            .map_err(|_| RunsError::Damaged(format!("{column}: not 32 bytes")))
    };
    let text = |column: &'static str| -> Result<String, RunsError> { Ok(row.try_get(column)?) };
    let number = |column: &'static str| -> Result<u64, RunsError> {
        let number: i64 = row.try_get(column)?;
        u64::try_from(number).map_err(|_| RunsError::Damaged(format!("{column}: negative")))
    };
    let damaged =
        |column: &str, why: &dyn std::fmt::Display| RunsError::Damaged(format!("{column}: {why}"));
    let owner = text("owner")?;
    let owner = (!owner.is_empty())
        .then(|| owner.parse::<KeyId>())
        .transpose();
    let model = format!("{}@{}", text("model")?, text("version")?);
    let created: i64 = row.try_get("created_ms")?;
    let outcome = text("outcome")?;
    Ok(Run {
        id: RunId::of_text(&text("id")?).ok_or_else(|| damaged("id", &"no id of a run"))?,
        owner: owner.map_err(|error| damaged("owner", &error))?,
        request_id: text("request_id")?,
        created: Timestamp::from_millisecond(created)
            .map_err(|error| damaged("created_ms", &error))?,
        model: model
            .parse::<ModelId>()
            .map_err(|error| damaged("model", &error))?,
        digest: Digest::from_bytes(bytes("digest")?),
        seed: bytes("seed")?.into(),
        time: RunTime::try_from(number("time_ms")?).map_err(|error| damaged("time_ms", &error))?,
        fuel: number("fuel")?,
        outcome: Outcome::named(&outcome),
        resumed: row.try_get("resumed")?,
        input_digest: Digest256(bytes("input_digest")?),
        output_digest: Digest256(bytes("output_digest")?),
        engine: serde_json::from_str(&text("engine")?)
            .map_err(|error| damaged("engine", &error))?,
    })
}

#[cfg(test)]
mod tests;
