//! Databases that no server changes: the state of one moment that is put aside while the server goes
//! on, the database of a server that does not run, and one that comes from elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use sqlx::migrate::Migrate as _;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Row as _, SqlitePool};

use super::directory::Mark;
use super::{DATABASE_FILE, Db, DbError, LockedDirectory, MIGRATOR, make_private, reader};

impl Db {
    /// Writes the database as it is at one moment into a file that is not there or empty. Neither
    /// reads nor changes wait for it.
    ///
    /// # Errors
    ///
    /// When the database cannot be read or the file not be written.
    pub async fn put_aside(&self, file: &Path) -> Result<(), DbError> {
        put_aside(self.reader(), file).await
    }
}

async fn put_aside(pool: &SqlitePool, file: &Path) -> Result<(), DbError> {
    make_private(file)?;
    let failed = |source| DbError::Open {
        path: file.to_owned(),
        source,
    };
    let Some(name) = file.to_str() else {
        let error = std::io::Error::other("its name is not UTF-8");
        return Err(failed(sqlx::Error::Io(error)));
    };
    let copied = sqlx::query("VACUUM INTO ?").bind(name).execute(pool).await;
    copied.map(drop).map_err(failed)
}

/// A data directory on which no server runs, and none can start while this lives.
#[derive(Debug)]
pub struct StoppedDirectory {
    locked: LockedDirectory,
    pool: SqlitePool,
}

impl StoppedDirectory {
    /// Takes a directory that a server has used.
    ///
    /// # Errors
    ///
    /// When a server runs on it, when it has no database, or belongs to others.
    pub async fn lock(data_dir: &Path) -> Result<Self, DbError> {
        let database = data_dir.join(DATABASE_FILE);
        fs::metadata(&database).map_err(|source| DbError::Directory {
            path: database,
            source,
        })?;
        let locked = LockedDirectory::lock_patiently(data_dir).await?;
        let pool = reader(data_dir);
        Ok(Self { locked, pool })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.locked.path
    }

    /// Writes the database into another file, as [`Db::put_aside`] does.
    ///
    /// # Errors
    ///
    /// When the database cannot be read or the file not be written.
    pub async fn put_aside(&self, file: &Path) -> Result<(), DbError> {
        let done = put_aside(&self.pool, file).await;
        self.pool.close().await;
        done
    }
}

/// A database in a file of its own, which no server has open.
#[derive(Debug)]
pub struct DatabaseFile {
    path: PathBuf,
    pool: SqlitePool,
}

/// What is wrong with a database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseDefect {
    /// It cannot be read.
    #[error("the database cannot be read: {0}")]
    Unreadable(#[from] sqlx::Error),
    /// SQLite finds its pages or indices damaged.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// A newer program has written it.
    #[error(
        "the database is of a newer belljar (its tables are at {found}, this program knows \
         {known}): use that version or a newer one"
    )]
    Newer {
        /// The newest change of its tables.
        found: i64,
        /// The newest change that this program knows.
        known: i64,
    },
    /// Its tables are not those of a server.
    #[error("the tables of the database are not those of this program: {0}")]
    Tables(String),
    /// A row refers to one that is not there.
    #[error("a row of the table `{table}` refers to one that is not there")]
    Dangling {
        /// The table.
        table: String,
    },
}

impl DatabaseFile {
    /// Opens a database to read it, and to write it where `writes`.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be read.
    pub async fn open(path: &Path, writes: bool) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(!writes)
            .foreign_keys(true)
            // Nothing that a schema brings along is run.
            .pragma("trusted_schema", "OFF")
            .pragma("cell_size_check", "ON")
            .pragma("temp_store", "MEMORY");
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await?;
        let path = path.to_owned();
        Ok(Self { path, pool })
    }

    /// The connection.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// The newest change of its tables that was made.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn schema(&self) -> Result<i64, sqlx::Error> {
        let newest = "SELECT max(version) FROM _sqlx_migrations WHERE success";
        let newest: Option<i64> = sqlx::query_scalar(newest).fetch_one(&self.pool).await?;
        Ok(newest.unwrap_or(0))
    }

    /// Whether its tables are those of this program, and not of an earlier one.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn is_current(&self) -> Result<bool, sqlx::Error> {
        let known = MIGRATOR.iter().map(|change| change.version).max();
        Ok(Some(self.schema().await?) == known)
    }

    /// The content of the file that belongs to it in its data directory; none where no server has
    /// started on it.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn mark_file(&self) -> Result<Option<Vec<u8>>, sqlx::Error> {
        let mark = Mark::of_database(&self.pool).await?;
        Ok(mark.map(|mark| mark.to_bytes()))
    }

    /// Whether a server would start on it with that content of the file beside it.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn agrees_with(&self, mark_file: &[u8]) -> Result<bool, sqlx::Error> {
        let mark = Mark::of_database(&self.pool).await?;
        Ok(mark.is_some_and(|mark| mark.agrees_with(mark_file)))
    }

    /// Reads all of it: whether its pages hold together, its tables are those of a server of this
    /// version or an earlier one, with nothing beside them, and its rows refer to rows that are
    /// there.
    ///
    /// # Errors
    ///
    /// With the first defect.
    pub async fn check(&self) -> Result<(), DatabaseDefect> {
        // Before anything of its content is read as if it were in order.
        let found: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(1)")
            .fetch_all(&self.pool)
            .await?;
        match found.as_slice() {
            [ok] if ok == "ok" => {}
            other => return Err(DatabaseDefect::Damaged(other.join("; "))),
        }
        self.check_tables().await?;
        let dangling = sqlx::query("PRAGMA foreign_key_check")
            .fetch_optional(&self.pool)
            .await?;
        match dangling {
            Some(row) => Err(DatabaseDefect::Dangling {
                table: row.try_get("table")?,
            }),
            None => Ok(()),
        }
    }

    /// A table, an index or a trigger more could do something when a server changes a row.
    async fn check_tables(&self) -> Result<(), DatabaseDefect> {
        let schema = self
            .schema()
            .await
            .map_err(|error| DatabaseDefect::Tables(error.to_string()))?;
        let known = MIGRATOR.iter().map(|change| change.version).max();
        let known = known.unwrap_or(0);
        if schema > known {
            let found = schema;
            return Err(DatabaseDefect::Newer { found, known });
        }
        let tables = |error: &dyn std::fmt::Display| DatabaseDefect::Tables(error.to_string());
        let applied = self
            .pool
            .acquire()
            .await?
            .list_applied_migrations(MIGRATOR_TABLE)
            .await
            .map_err(|error| tables(&error))?;
        let differs = applied.iter().any(|applied| {
            let same = |known: &&sqlx::migrate::Migration| known.version == applied.version;
            let known = MIGRATOR.iter().find(same);
            known.is_none_or(|known| known.checksum != applied.checksum)
        });
        if differs {
            return Err(tables(&"they were changed in another way"));
        }
        let fresh = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(SqliteConnectOptions::new().in_memory(true))
            .await?;
        MIGRATOR
            .run_to(schema, &fresh)
            .await
            .map_err(|error| tables(&error))?;
        let (expected, found) = (objects(&fresh).await?, objects(&self.pool).await?);
        fresh.close().await;
        let strange = found.iter().find(|object| !expected.contains(object));
        let missing = expected.iter().find(|object| !found.contains(object));
        match (strange, missing) {
            (Some((name, _)), _) => Err(tables(&format!("`{name}` is not one of its own"))),
            (None, Some((name, _))) => Err(tables(&format!("`{name}` is missing"))),
            (None, None) => Ok(()),
        }
    }

    /// Closes it, with all that was written on disk.
    pub async fn close(self) {
        self.pool.close().await;
        tracing::debug!(path = %self.path.display(), "closed");
    }
}

/// The table in which the changes are noted.
const MIGRATOR_TABLE: &str = "_sqlx_migrations";

/// All that a schema names, with the text that made it.
async fn objects(pool: &SqlitePool) -> Result<Vec<(String, String)>, sqlx::Error> {
    let all = "SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema ORDER BY 1";
    sqlx::query_as(all).fetch_all(pool).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn made(folder: &Path) -> Db {
        Db::open(&folder.join("data")).await.unwrap()
    }

    async fn copy_of(folder: &Path, change: &'static str) -> DatabaseFile {
        let db = made(folder).await;
        if !change.is_empty() {
            sqlx::raw_sql(change).execute(db.pool()).await.unwrap();
        }
        let copy = folder.join("copy.db");
        db.put_aside(&copy).await.unwrap();
        DatabaseFile::open(&copy, false).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_put_aside_is_of_one_moment_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let db = made(folder.path()).await;
        let insert = "INSERT INTO models (name) VALUES ('a')";
        sqlx::query(insert).execute(db.pool()).await.unwrap();
        let copy = folder.path().join("copy.db");
        db.put_aside(&copy).await.unwrap();
        let later = "INSERT INTO models (name) VALUES ('b')";
        sqlx::query(later).execute(db.pool()).await.unwrap();
        let copy = DatabaseFile::open(&copy, false).await.unwrap();
        copy.check().await.unwrap();
        let names: Vec<String> = sqlx::query_scalar("SELECT name FROM models")
            .fetch_all(copy.pool())
            .await
            .unwrap();
        assert_eq!(names, ["a"]);
        let mark = copy.mark_file().await.unwrap().unwrap();
        assert!(copy.agrees_with(&mark).await.unwrap());
        assert!(!copy.agrees_with(b"{}").await.unwrap());
    }

    #[tokio::test]
    async fn a_stopped_directory_is_locked_and_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        assert!(StoppedDirectory::lock(&data).await.is_err());
        assert!(!data.exists(), "nothing was made");
        let db = made(folder.path()).await;
        assert!(matches!(
            StoppedDirectory::lock(&data).await,
            Err(DbError::InUse { .. })
        ));
        db.close().await;
        let before = fs::read(data.join(DATABASE_FILE)).unwrap();
        let stopped = StoppedDirectory::lock(&data).await.unwrap();
        let copy = folder.path().join("copy.db");
        stopped.put_aside(&copy).await.unwrap();
        assert_eq!(fs::read(data.join(DATABASE_FILE)).unwrap(), before);
        let copy = DatabaseFile::open(&copy, false).await.unwrap();
        copy.check().await.unwrap();
    }

    #[tokio::test]
    async fn a_database_that_is_not_a_servers_is_refused() {
        for (change, expected) in [
            ("", ""),
            (
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9000, 'x', 1, x'00', 0)",
                "of a newer belljar",
            ),
            (
                "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 3",
                "changed in another way",
            ),
            (
                "CREATE TRIGGER t AFTER INSERT ON keys BEGIN DELETE FROM bans; END",
                "`trigger t` is not one of its own",
            ),
            ("DROP TABLE bans", "`table bans` is missing"),
            (
                "PRAGMA foreign_keys = OFF; INSERT INTO key_old_secrets VALUES (zeroblob(32), 'k', 0)",
                "`key_old_secrets` refers to one",
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = copy_of(folder.path(), change).await;
            let told = file
                .check()
                .await
                .map_or_else(|it| it.to_string(), |()| String::new());
            assert!(told.contains(expected), "{change}: {told}");
            assert_eq!(told.is_empty(), expected.is_empty(), "{change}: {told}");
        }
    }
}
