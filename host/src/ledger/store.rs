//! The ledger in the database: adds what is new, forgets what is old, and reads it for reports.

use std::sync::Arc;

use sqlx::SqlitePool;

use super::counts::Amounts;
use super::month::MonthCounts;
use super::period::{NamedLine, Period};
use super::report::{Query, Report, read, whole};
use super::{Day, Ledger, LedgerError, Spent};
use crate::db::Db;

/// Lines that are written in one transaction, so that other changes wait no longer than that.
const LINES_AT_ONCE: usize = 1_000;

/// The ledger and its rows. Cheap to clone.
#[derive(Clone)]
pub struct LedgerStore {
    ledger: Ledger,
    pub(super) db: Db,
    /// One writer at a time; what it last did about old rows.
    turn: Arc<tokio::sync::Mutex<Turn>>,
}

#[derive(Default)]
struct Turn {
    /// The day on which old rows were last looked for.
    swept: Option<Day>,
}

impl LedgerStore {
    /// Takes up what the database has of the month that it is.
    ///
    /// # Errors
    ///
    /// When the database fails or holds what cannot be read.
    pub async fn open(ledger: Ledger, db: Db) -> Result<Self, LedgerError> {
        for period in ledger.open_periods() {
            resume(db.pool(), period.month_counts()).await?;
            let known: Vec<(String, String)> =
                sqlx::query_as("SELECT key_id, model FROM usage_ledger WHERE day = ?")
                    .bind(period.day().number())
                    .fetch_all(db.pool())
                    .await?;
            known
                .iter()
                .for_each(|(key, model)| period.know(key, model));
        }
        Ok(Self {
            ledger,
            db,
            turn: Arc::default(),
        })
    }

    /// What is being used.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Adds what was used since the last time to the database. It is on disk when this returns, and
    /// comes to its end also if the caller stops waiting.
    ///
    /// # Errors
    ///
    /// When the database fails; the next time writes what this one could not.
    pub async fn write(&self) -> Result<(), LedgerError> {
        let store = self.clone();
        let task = tokio::spawn(async move {
            let mut turn = store.turn.lock().await;
            store.write_all(&mut turn).await
        });
        task.await.map_err(|_| LedgerError::Interrupted)?
    }

    /// Reads rows. What was used until now is written first, so that everything that is shown is on
    /// disk.
    ///
    /// # Errors
    ///
    /// When the database cannot be read. Where it cannot be written, for want of room, what is
    /// there is shown.
    pub async fn report(&self, query: &Query) -> Result<Report, LedgerError> {
        if let Err(error) = self.write().await {
            tracing::error!("what was used could not be written before it is shown: {error}");
        }
        read(self.db.reader(), query).await
    }

    async fn write_all(&self, turn: &mut Turn) -> Result<(), LedgerError> {
        let pool = self.db.pool();
        for period in self.ledger.open_periods() {
            // Before it is looked at, or what is added in between would be forgotten with it.
            let is_over = self.ledger.is_over(&period);
            resume(pool, period.month_counts()).await?;
            write_period(pool, &period).await?;
            if is_over {
                self.ledger.forget(&period);
            }
        }
        let today = self.ledger.today();
        if turn.swept != Some(today) {
            let days = self.ledger.0.config.retention.as_secs() / super::SECONDS_PER_DAY;
            let days = i64::try_from(days).unwrap_or(i64::MAX);
            sqlx::query("DELETE FROM usage_ledger WHERE day < ?")
                .bind(today.number().saturating_sub(days))
                .execute(pool)
                .await?;
            turn.swept = Some(today);
        }
        Ok(())
    }
}

/// Adds what the database has of a month to its counts, before anything counted there is written.
async fn resume(pool: &SqlitePool, month: &MonthCounts) -> Result<(), LedgerError> {
    if month.is_resumed() {
        return Ok(());
    }
    let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
        "SELECT key_id, sum(fuel), sum(prompt_tokens + completion_tokens), sum(requests) \
         FROM usage_ledger WHERE day BETWEEN ? AND ? GROUP BY key_id",
    )
    .bind(month.month.first_day().number())
    .bind(month.month.last_day().number())
    .fetch_all(pool)
    .await?;
    let rows = rows.into_iter().map(|(key, fuel, tokens, requests)| {
        let spent = Spent {
            fuel: whole(fuel)?,
            tokens: whole(tokens)?,
            requests: whole(requests)?,
        };
        Ok((key, spent))
    });
    let rows: Result<Vec<_>, LedgerError> = rows.collect();
    month.resume(rows?);
    Ok(())
}

async fn write_period(pool: &SqlitePool, period: &Period) -> Result<(), LedgerError> {
    for lines in period.lines().chunks(LINES_AT_ONCE) {
        let taken: Vec<(&NamedLine, Amounts)> = lines
            .iter()
            .map(|line| (line, line.counts.take()))
            .filter(|(_, taken)| *taken != Amounts::default())
            .collect();
        if taken.is_empty() {
            continue;
        }
        add(pool, period.day(), &taken).await.inspect_err(|_| {
            taken
                .iter()
                .for_each(|(line, taken)| line.counts.give_back(taken));
        })?;
    }
    Ok(())
}

/// Adds amounts to the rows of a day, all or none.
async fn add(
    pool: &SqlitePool,
    day: Day,
    lines: &[(&NamedLine, Amounts)],
) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    for (line, amounts) in lines {
        let stored = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
        sqlx::query(
            "INSERT INTO usage_ledger (key_id, day, model, requests, failed_requests, \
             prompt_tokens, completion_tokens, fuel, run_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (key_id, day, model) DO UPDATE SET \
             requests = requests + excluded.requests, \
             failed_requests = failed_requests + excluded.failed_requests, \
             prompt_tokens = prompt_tokens + excluded.prompt_tokens, \
             completion_tokens = completion_tokens + excluded.completion_tokens, \
             fuel = fuel + excluded.fuel, run_us = run_us + excluded.run_us",
        )
        .bind(&*line.key)
        .bind(day.number())
        .bind(&*line.model)
        .bind(stored(amounts.requests))
        .bind(stored(amounts.failed_requests))
        .bind(stored(amounts.prompt_tokens))
        .bind(stored(amounts.completion_tokens))
        .bind(stored(amounts.fuel))
        .bind(stored(amounts.run_us))
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}
