//! Keys that sign and the horizon of their requests, as the database has them.

use jiff::Timestamp;
use sqlx::{SqliteConnection, SqlitePool};

use super::KeyError;
use crate::auth::signing::{InvalidSigning, Mark, Signing};
use crate::ids::{InvalidKeyId, KeyId};

/// One row of the table `key_signing`.
#[derive(Clone, Debug)]
pub(super) struct SignerRow {
    pub(super) id: KeyId,
    pub(super) requirement: Signing,
    pub(super) generation: u32,
    /// How long the secret of the generation before works on.
    pub(super) old_until: Option<Timestamp>,
}

impl SignerRow {
    /// The row of a key that has never signed.
    pub(super) fn first(id: &KeyId, requirement: Signing) -> Self {
        Self {
            id: id.clone(),
            requirement,
            generation: 1,
            old_until: None,
        }
    }
}

/// All keys that sign, or have.
pub(super) async fn all(pool: &SqlitePool) -> Result<Vec<SignerRow>, KeyError> {
    let rows: Vec<(String, String, u32, Option<i64>)> =
        sqlx::query_as("SELECT key_id, requirement, generation, old_until_ms FROM key_signing")
            .fetch_all(pool)
            .await?;
    let read = |(id, requirement, generation, old_until_ms): (String, String, u32, Option<i64>)| {
        let damaged = |reason: String| KeyError::Damaged {
            id: id.clone(),
            reason,
        };
        let until = old_until_ms.map(Timestamp::from_millisecond).transpose();
        Ok(SignerRow {
            id: id
                .parse()
                .map_err(|error: InvalidKeyId| damaged(error.to_string()))?,
            requirement: requirement
                .parse()
                .map_err(|error: InvalidSigning| damaged(error.to_string()))?,
            generation,
            old_until: until.map_err(|error| damaged(error.to_string()))?,
        })
    };
    rows.into_iter().map(read).collect()
}

/// Stores that a key signs, and that there is a horizon from now on.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    row: &SignerRow,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT OR REPLACE INTO key_signing (key_id, requirement, generation, old_until_ms) \
         VALUES (?, ?, ?, ?)",
    )
    .bind(row.id.as_str())
    .bind(row.requirement.name())
    .bind(row.generation)
    .bind(row.old_until.map(Timestamp::as_millisecond))
    .execute(&mut *connection)
    .await?;
    sqlx::query("INSERT OR IGNORE INTO signing_horizon (one, through_s, is_exact) VALUES (1, 0, 0)")
        .execute(connection)
        .await
        .map(drop)
}

/// The mark; none where no key has ever signed.
pub(super) async fn mark(pool: &SqlitePool) -> Result<Option<Mark>, sqlx::Error> {
    let row: Option<(i64, bool)> =
        sqlx::query_as("SELECT through_s, is_exact FROM signing_horizon")
            .fetch_optional(pool)
            .await?;
    Ok(row.map(|(through, is_exact)| Mark { through, is_exact }))
}

/// Puts a mark in the place of the one there is.
pub(super) async fn put_mark(pool: &SqlitePool, mark: Mark) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE signing_horizon SET through_s = ?, is_exact = ?")
        .bind(mark.through)
        .bind(mark.is_exact)
        .execute(pool)
        .await
        .map(drop)
}

/// Makes the next start on a database take it that requests were accepted after the moment it is of:
/// nothing that was signed before that start is accepted. For a copy, whose original may have gone
/// on.
///
/// # Errors
///
/// When the database cannot be written.
pub async fn forget_clean_stop(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE signing_horizon SET is_exact = 0")
        .execute(pool)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::db::Db;

    #[tokio::test]
    async fn a_copy_does_not_rely_on_the_clean_stop_of_its_original() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(folder.path()).await.unwrap();
        forget_clean_stop(db.pool()).await.unwrap();
        assert_eq!(mark(db.pool()).await.unwrap(), None, "no key has signed");
        let insert = "INSERT INTO signing_horizon (one, through_s, is_exact) VALUES (1, 7, 1)";
        sqlx::query(insert).execute(db.pool()).await.unwrap();
        forget_clean_stop(db.pool()).await.unwrap();
        let expected = Mark {
            through: 7,
            is_exact: false,
        };
        assert_eq!(mark(db.pool()).await.unwrap(), Some(expected));
    }
}
