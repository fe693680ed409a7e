//! The rows of models and versions in the embedded store. Each function is one transaction: it
//! has happened on disk as a whole when it returns, and not at all when it fails.

use std::str::FromStr;

use belljar_bundle::{Digest, ModelId, ModelName, ModelVersion};
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, SqlitePool, Transaction};

use super::ModelError;
use super::status::Failure;
use crate::db::Db;
use crate::ids::KeyId;

/// The rows of models and versions.
#[derive(Clone)]
pub(super) struct Records(Db);

/// The stored facts of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) id: ModelId,
    pub(super) digest: Digest,
    pub(super) bytes: u64,
    pub(super) state: StoredState,
    pub(super) attempts: u32,
    pub(super) was_ready: bool,
    pub(super) created: Timestamp,
    pub(super) uploaded_by: Option<KeyId>,
    /// The digest of the component, where the version came with the server.
    pub(super) embedded: Option<Digest>,
}

/// The states that outlive the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StoredState {
    Received,
    Ready,
    Failed(Failure),
}

/// The version of a model that is active, and the one that is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pointers {
    pub(super) active: Option<ModelVersion>,
    pub(super) pending: Option<ModelVersion>,
}

const VERSIONS: &str = "SELECT name, version, digest, bytes, state, attempts, was_ready, \
     created_us, uploaded_by, embedded, failure_code, failure_message FROM model_versions";

impl Records {
    pub(super) fn new(db: Db) -> Self {
        Self(db)
    }

    fn pool(&self) -> &SqlitePool {
        self.0.pool()
    }

    /// All models and versions.
    pub(super) async fn all(
        &self,
    ) -> Result<(Vec<(ModelName, Pointers)>, Vec<Record>), ModelError> {
        let models = sqlx::query("SELECT name, active_version, wanted_version FROM models")
            .fetch_all(self.pool())
            .await?;
        let models = models.iter().map(read_model).collect::<Result<_, _>>()?;
        let versions = sqlx::query(VERSIONS).fetch_all(self.pool()).await?;
        let versions = versions
            .iter()
            .map(read_version)
            .collect::<Result<_, _>>()?;
        Ok((models, versions))
    }

    /// Stores a version that was uploaded, as [`Records::put`] does.
    pub(super) async fn put_upload(
        &self,
        record: &Record,
        pointers: &Pointers,
    ) -> Result<(), ModelError> {
        let mut transaction = self.pool().begin().await?;
        write_pointers(&mut transaction, &record.id.name, pointers).await?;
        write_version(&mut transaction, record).await?;
        Ok(self.0.commit_upload(transaction).await?)
    }

    /// Stores a version, in place of one of the same id if there is one, and its model's
    /// pointers.
    pub(super) async fn put(&self, record: &Record, pointers: &Pointers) -> Result<(), ModelError> {
        let mut transaction = self.pool().begin().await?;
        write_pointers(&mut transaction, &record.id.name, pointers).await?;
        write_version(&mut transaction, record).await?;
        Ok(transaction.commit().await?)
    }

    /// Stores which version of a model is active, and which is to be.
    pub(super) async fn point(
        &self,
        name: &ModelName,
        pointers: &Pointers,
    ) -> Result<(), ModelError> {
        let mut transaction = self.pool().begin().await?;
        write_pointers(&mut transaction, name, pointers).await?;
        Ok(transaction.commit().await?)
    }

    /// Forgets versions of one model. `left` are the pointers of what is left of it; none when
    /// nothing is.
    pub(super) async fn remove(
        &self,
        name: &ModelName,
        versions: &[ModelVersion],
        left: Option<&Pointers>,
    ) -> Result<(), ModelError> {
        let mut transaction = self.pool().begin().await?;
        for version in versions {
            sqlx::query("DELETE FROM model_versions WHERE name = ? AND version = ?")
                .bind(name.as_str())
                .bind(version.to_string())
                .execute(&mut *transaction)
                .await?;
        }
        match left {
            Some(pointers) => write_pointers(&mut transaction, name, pointers).await?,
            None => {
                sqlx::query("DELETE FROM models WHERE name = ?")
                    .bind(name.as_str())
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        Ok(transaction.commit().await?)
    }
}

/// What the row of a version says of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// The version.
    pub id: ModelId,
    /// The digest of its bundle.
    pub digest: Digest,
    /// Whether it has failed. Its files may be damaged or gone then.
    pub has_failed: bool,
}

/// The versions of a database that no server has open.
///
/// # Errors
///
/// When the database cannot be read, or a row makes no sense.
pub async fn version_rows(pool: &SqlitePool) -> Result<Vec<VersionRow>, ModelError> {
    let rows = sqlx::query(VERSIONS).fetch_all(pool).await?;
    rows.iter().map(version_row).collect()
}

/// One of these rows, with all of its columns.
///
/// # Errors
///
/// When it makes no sense.
pub fn version_row(row: &SqliteRow) -> Result<VersionRow, ModelError> {
    let record = read_version(row)?;
    Ok(VersionRow {
        id: record.id,
        digest: record.digest,
        has_failed: matches!(record.state, StoredState::Failed(_)),
    })
}

async fn write_pointers(
    transaction: &mut Transaction<'_, Sqlite>,
    name: &ModelName,
    pointers: &Pointers,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO models (name, active_version, wanted_version) VALUES (?, ?, ?) \
         ON CONFLICT (name) DO UPDATE SET active_version = excluded.active_version, \
         wanted_version = excluded.wanted_version",
    )
    .bind(name.as_str())
    .bind(pointers.active.as_ref().map(ToString::to_string))
    .bind(pointers.pending.as_ref().map(ToString::to_string))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn write_version(
    transaction: &mut Transaction<'_, Sqlite>,
    record: &Record,
) -> Result<(), sqlx::Error> {
    let (state, failure) = match &record.state {
        StoredState::Received => ("received", None),
        StoredState::Ready => ("ready", None),
        StoredState::Failed(failure) => ("failed", Some(failure)),
    };
    sqlx::query(
        "INSERT OR REPLACE INTO model_versions (name, version, digest, bytes, state, attempts, \
         was_ready, created_us, uploaded_by, embedded, failure_code, failure_message) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(record.id.name.as_str())
    .bind(record.id.version.to_string())
    .bind(record.digest.as_bytes().as_slice())
    .bind(i64::try_from(record.bytes).unwrap_or(i64::MAX))
    .bind(state)
    .bind(i64::from(record.attempts))
    .bind(record.was_ready)
    .bind(record.created.as_microsecond())
    .bind(
        record
            .uploaded_by
            .as_ref()
            .map(|key| key.as_str().to_owned()),
    )
    .bind(
        record
            .embedded
            .as_ref()
            .map(|digest| digest.as_bytes().to_vec()),
    )
    .bind(failure.map(|failure| failure.code.clone()))
    .bind(failure.map(|failure| failure.message.clone()))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn read_model(row: &SqliteRow) -> Result<(ModelName, Pointers), ModelError> {
    let active: Option<String> = row.try_get("active_version")?;
    let pending: Option<String> = row.try_get("wanted_version")?;
    let pointers = Pointers {
        active: active.as_deref().map(parsed).transpose()?,
        pending: pending.as_deref().map(parsed).transpose()?,
    };
    Ok((parsed(row.try_get("name")?)?, pointers))
}

fn read_version(row: &SqliteRow) -> Result<Record, ModelError> {
    let name = parsed(row.try_get("name")?)?;
    let version = parsed(row.try_get("version")?)?;
    let state = match row.try_get::<&str, _>("state")? {
        "received" => StoredState::Received,
        "ready" => StoredState::Ready,
        "failed" => StoredState::Failed(Failure {
            code: row.try_get("failure_code")?,
            message: row.try_get("failure_message")?,
        }),
        other => return Err(damaged(format_args!("the state `{other}`"))),
    };
    let uploaded_by: Option<&str> = row.try_get("uploaded_by")?;
    let embedded: Option<&[u8]> = row.try_get("embedded")?;
    Ok(Record {
        id: ModelId { name, version },
        digest: digest(row.try_get("digest")?)?,
        bytes: u64::try_from(row.try_get::<i64, _>("bytes")?).map_err(damaged)?,
        state,
        attempts: u32::try_from(row.try_get::<i64, _>("attempts")?).map_err(damaged)?,
        was_ready: row.try_get("was_ready")?,
        created: Timestamp::from_microsecond(row.try_get("created_us")?).map_err(damaged)?,
        uploaded_by: uploaded_by.map(parsed).transpose()?,
        embedded: embedded.map(digest).transpose()?,
    })
}

fn digest(bytes: &[u8]) -> Result<Digest, ModelError> {
    bytes.try_into().map(Digest::from_bytes).map_err(damaged)
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, ModelError> {
    text.parse().map_err(damaged)
}

/// The error for a row that makes no sense. Only the server writes these rows, so a value that
/// does not parse is damage.
fn damaged(what: impl std::fmt::Display) -> ModelError {
    ModelError::host(format_args!("the table of versions is damaged: {what}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn record(id: &str, state: StoredState) -> Record {
        Record {
            id: id.parse().unwrap(),
            digest: Digest::of(id.as_bytes()),
            bytes: 7,
            state,
            attempts: 2,
            was_ready: true,
            created: Timestamp::from_microsecond(1_700_000_000_123_456).unwrap(),
            uploaded_by: Some(KeyId::random()),
            embedded: Some(Digest::of(b"component")),
        }
    }

    fn pointers(active: &str, pending: &str) -> Pointers {
        Pointers {
            active: active.parse().ok(),
            pending: pending.parse().ok(),
        }
    }

    /// What a server that opens the same directory later reads.
    async fn reopened(db: Db) -> (Vec<(ModelName, Pointers)>, Vec<Record>) {
        let directory = db.data_dir().to_owned();
        db.close().await;
        Records::new(Db::open(&directory).await.unwrap())
            .all()
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn what_is_put_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(directory.path()).await.unwrap();
        let records = Records::new(db.clone());
        let failure = Failure {
            code: "c".to_owned(),
            message: "m".to_owned(),
        };
        let mut anonymous = record("b@2.0.0-rc.1+x", StoredState::Failed(failure));
        anonymous.uploaded_by = None;
        anonymous.embedded = None;
        let written = [
            record("a@1.0.0", StoredState::Received),
            record("a@1.1.0", StoredState::Ready),
            anonymous,
        ];
        for record in &written {
            records
                .put(record, &pointers("1.1.0", "1.0.0"))
                .await
                .unwrap();
        }
        records
            .point(&"b".parse().unwrap(), &Pointers::default())
            .await
            .unwrap();
        drop(records);
        let (models, versions) = reopened(db).await;
        assert_eq!(versions, written);
        let expected = [
            ("a".parse().unwrap(), pointers("1.1.0", "1.0.0")),
            ("b".parse().unwrap(), Pointers::default()),
        ];
        assert_eq!(models, expected);
    }

    #[tokio::test]
    async fn putting_replaces_and_removing_leaves_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(directory.path()).await.unwrap();
        let records = Records::new(db.clone());
        for id in ["a@1.0.0", "a@2.0.0", "b@1.0.0"] {
            records
                .put(&record(id, StoredState::Received), &Pointers::default())
                .await
                .unwrap();
        }
        let replaced = record("a@2.0.0", StoredState::Ready);
        records
            .put(&replaced, &pointers("2.0.0", ""))
            .await
            .unwrap();
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        let first = "1.0.0".parse().unwrap();
        records
            .remove(
                &a,
                std::slice::from_ref(&first),
                Some(&pointers("2.0.0", "")),
            )
            .await
            .unwrap();
        records
            .remove(&b, std::slice::from_ref(&first), None)
            .await
            .unwrap();
        drop(records);
        let (models, versions) = reopened(db).await;
        assert_eq!(versions, [replaced]);
        assert_eq!(models, [(a, pointers("2.0.0", ""))]);
    }

    #[tokio::test]
    async fn rows_that_make_no_sense_are_refused_by_the_database() {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(directory.path()).await.unwrap();
        let insert = |state: &'static str, digest: Vec<u8>, code: Option<&'static str>| {
            let pool = db.pool().clone();
            async move {
                sqlx::query(
                    "INSERT INTO model_versions (name, version, digest, bytes, state, created_us, \
                     failure_code) VALUES ('a', '1.0.0', ?, 1, ?, 0, ?)",
                )
                .bind(digest)
                .bind(state)
                .bind(code)
                .execute(&pool)
                .await
            }
        };
        Records::new(db.clone())
            .point(&"a".parse().unwrap(), &Pointers::default())
            .await
            .unwrap();
        assert!(
            insert("loading", vec![0; 32], None).await.is_err(),
            "an unknown state"
        );
        assert!(
            insert("ready", vec![0; 31], None).await.is_err(),
            "half a digest"
        );
        assert!(
            insert("failed", vec![0; 32], None).await.is_err(),
            "a failure without a reason"
        );
        assert!(
            insert("ready", vec![0; 32], Some("x")).await.is_err(),
            "a reason without a failure"
        );
        assert!(insert("ready", vec![0; 32], None).await.is_ok());
    }
}
