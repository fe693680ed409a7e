//! Revoked tokens, in the database.

use jiff::Timestamp;
use sqlx::SqlitePool;

use super::KeyError;
use crate::auth::jwt::RevokedToken;

/// The revocations that still mean something. Forgets the others.
pub(super) async fn read(pool: &SqlitePool, now: Timestamp) -> Result<Vec<RevokedToken>, KeyError> {
    sqlx::query("DELETE FROM revoked_tokens WHERE until_ms <= ?")
        .bind(now.as_millisecond())
        .execute(pool)
        .await?;
    let rows: Vec<(String, i64, i64)> =
        sqlx::query_as("SELECT jti, revoked_ms, until_ms FROM revoked_tokens")
            .fetch_all(pool)
            .await?;
    let token = |(jti, revoked_ms, until_ms): (String, i64, i64)| {
        let time = |ms| {
            Timestamp::from_millisecond(ms).map_err(|error| KeyError::Damaged {
                id: jti.clone(),
                reason: error.to_string(),
            })
        };
        let (revoked, until) = (time(revoked_ms)?, time(until_ms)?);
        Ok(RevokedToken {
            jti,
            revoked,
            until,
        })
    };
    rows.into_iter().map(token).collect()
}

/// Stores a revocation, and forgets those that mean nothing any more.
pub(super) async fn insert(pool: &SqlitePool, token: &RevokedToken) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query("DELETE FROM revoked_tokens WHERE until_ms <= ?")
        .bind(token.revoked.as_millisecond())
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "INSERT OR IGNORE INTO revoked_tokens (jti, revoked_ms, until_ms) VALUES (?, ?, ?)",
    )
    .bind(&token.jti)
    .bind(token.revoked.as_millisecond())
    .bind(token.until.as_millisecond())
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}
