//! Baselines in the database. One that is lost is learnt again, so what cannot be read is passed
//! over.

use jiff::Timestamp;

use super::profile::Profile;
use super::table::WatchedCaller;
use crate::db::Db;

/// Rows of one transaction: the connection is everybody's.
const BATCH: usize = 200;

/// The baselines of the callers heard of last, the latest last.
pub(super) async fn load(
    db: &Db,
    rows_max: usize,
) -> Result<Vec<(WatchedCaller, Profile)>, sqlx::Error> {
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT caller, profile FROM anomaly_baselines ORDER BY seen_ms DESC LIMIT ?",
    )
    .bind(i64::try_from(rows_max).unwrap_or(i64::MAX))
    .fetch_all(db.pool())
    .await?;
    let mut read = Vec::with_capacity(rows.len());
    for (caller, profile) in rows.into_iter().rev() {
        let decoded = rmp_serde::from_slice::<Profile>(&profile).ok();
        match (caller.parse(), decoded.and_then(Profile::restored)) {
            (Ok(caller), Some(profile)) => read.push((caller, profile)),
            _ => tracing::warn!("a baseline of a caller cannot be read and is learnt again"),
        }
    }
    Ok(read)
}

/// Writes baselines.
pub(super) async fn save(
    db: &Db,
    baselines: &[(WatchedCaller, Profile)],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    for batch in baselines.chunks(BATCH) {
        let mut transaction = db.pool().begin().await?;
        for (caller, profile) in batch {
            // Numbers and lists of them can always be written.
            let Ok(profile) = rmp_serde::to_vec(profile) else {
                continue;
            };
            sqlx::query(
                "INSERT OR REPLACE INTO anomaly_baselines (caller, profile, seen_ms) \
                 VALUES (?, ?, ?)",
            )
            .bind(caller.to_string())
            .bind(profile)
            .bind(now.as_millisecond())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
    }
    Ok(())
}

/// Removes the baseline of one caller.
pub(super) async fn delete(db: &Db, caller: &WatchedCaller) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM anomaly_baselines WHERE caller = ?")
        .bind(caller.to_string())
        .execute(db.pool())
        .await
        .map(drop)
}

/// Keeps the baselines that were written last.
pub(super) async fn shorten(db: &Db, rows_max: usize) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM anomaly_baselines WHERE caller NOT IN \
         (SELECT caller FROM anomaly_baselines ORDER BY seen_ms DESC LIMIT ?)",
    )
    .bind(i64::try_from(rows_max).unwrap_or(i64::MAX))
    .execute(db.pool())
    .await
    .map(drop)
}
