//! The embedded store: one SQLite file in the data directory, and the lock that keeps a second
//! server out of that directory.
//!
//! Nothing on the path of a request reads from here: each module keeps in memory what it needs
//! and comes here to make a change durable before it acknowledges it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

/// The store of one data directory. Cheap to clone; the directory stays locked until the last
/// clone is gone.
#[derive(Clone, Debug)]
pub struct Db {
    pool: SqlitePool,
    directory: Arc<LockedDirectory>,
}

#[derive(Debug)]
struct LockedDirectory {
    path: PathBuf,
    // Held, never read: the kernel lets go of the lock when the file closes, also after SIGKILL.
    _lock: File,
}

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The directory cannot be made, read or written.
    #[error("the data directory {path} cannot be used: {source}")]
    Directory {
        /// The directory or the file in it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process serves from this directory.
    #[error(
        "the data directory {path} is in use by another belljar server: stop that one, or give \
         this one another --data-dir"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The database is damaged, newer than this program, or the disk fails.
    #[error("the database {path} cannot be opened: {source}")]
    Open {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// A migration failed, for example because a newer version has written the database.
    #[error("the database {path} cannot be brought up to date, was a newer belljar here? {source}")]
    Migrate {
        /// The database file.
        path: PathBuf,
        /// The failure of the migration.
        source: sqlx::migrate::MigrateError,
    },
}

impl Db {
    /// Makes the directory if it is not there (mode 0700), locks it, opens the database in it
    /// and brings its tables up to date.
    ///
    /// # Errors
    ///
    /// When the directory is in use, cannot be written, or holds a database that this program
    /// cannot read.
    pub async fn open(data_dir: &Path) -> Result<Self, DbError> {
        let directory = LockedDirectory::lock_patiently(data_dir).await?;
        let path = data_dir.join("belljar.db");
        make_private(&path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // NORMAL would lose the last commits of a WAL at a power cut; what we acknowledge
            // is on disk.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new()
            // One connection: SQLite has one writer anyway, and waiting here is fair, where
            // waiting on its file lock is a lottery with a time-out.
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options)
            .await
            .map_err(|source| DbError::Open {
                path: path.clone(),
                source,
            })?;
        sqlx::migrate!("./migrations")
            .run(&pool)
            .await
            .map_err(|source| DbError::Migrate { path, source })?;
        Ok(Self {
            pool,
            directory: Arc::new(directory),
        })
    }

    /// The one connection, as a pool that hands it out in turn. A query that returns has been
    /// committed and is on disk.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// The data directory that this store is in.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.directory.path
    }

    /// Folds the write-ahead log into the database and closes it.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

/// The longest wait for another process to let go of the directory. One that was killed may have
/// been starting a child at that moment, which has a copy of the lock until it has become another
/// program.
const IN_USE_PATIENCE: Duration = Duration::from_secs(1);
/// The time between two looks meanwhile.
const IN_USE_PAUSE: Duration = Duration::from_millis(10);

impl LockedDirectory {
    async fn lock_patiently(path: &Path) -> Result<Self, DbError> {
        let deadline = Instant::now() + IN_USE_PATIENCE;
        loop {
            match Self::lock(path) {
                Err(DbError::InUse { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(IN_USE_PAUSE).await;
                }
                locked => return locked,
            }
        }
    }

    fn lock(path: &Path) -> Result<Self, DbError> {
        let failed = |source| DbError::Directory {
            path: path.to_owned(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(failed)?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: file,
            }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(DbError::InUse {
                path: path.to_owned(),
            }),
            Err(error) => Err(failed(error.into())),
        }
    }
}

/// Makes the database with mode 0600 before SQLite does with the mode of the process; its log
/// takes the same. The directory is private already, unless somebody has opened it.
fn make_private(path: &Path) -> Result<(), DbError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|source| DbError::Directory {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn two_servers_cannot_share_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = Db::open(dir.path()).await.unwrap();
        assert!(matches!(
            Db::open(dir.path()).await,
            Err(DbError::InUse { .. })
        ));
        // One that lets go soon is waited for.
        let (second, ()) = tokio::join!(Db::open(dir.path()), first.close());
        second.unwrap();
    }

    #[tokio::test]
    async fn writes_are_synced_before_they_are_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path()).await.unwrap();
        let (synchronous,): (i64,) = sqlx::query_as("PRAGMA synchronous")
            .fetch_one(db.pool())
            .await
            .unwrap();
        let (mode,): (String,) = sqlx::query_as("PRAGMA journal_mode")
            .fetch_one(db.pool())
            .await
            .unwrap();
        let (foreign_keys,): (i64,) = sqlx::query_as("PRAGMA foreign_keys")
            .fetch_one(db.pool())
            .await
            .unwrap();
        assert_eq!((synchronous, mode.as_str(), foreign_keys), (2, "wal", 1));
    }

    #[tokio::test]
    async fn nobody_else_can_read_the_store() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let _db = Db::open(dir.path()).await.unwrap();
        for file in fs::read_dir(dir.path()).unwrap() {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{:?}", file.file_name());
        }
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("belljar.db"), vec![b'x'; 8192]).unwrap();
        let error = Db::open(dir.path()).await.unwrap_err();
        assert!(error.to_string().contains("belljar.db"), "{error}");
    }
}
