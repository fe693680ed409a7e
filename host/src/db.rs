//! The embedded store: one SQLite file in the data directory, and the lock that keeps a second
//! server out of that directory.
//!
//! Each module keeps in memory what requests need of it and comes here to make a change durable
//! before it acknowledges it; only what callers have stored is read from here when they ask.

mod directory;
mod room;
mod snapshot;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use directory::MARK_FILE;
use directory::Mark;
pub use directory::is_open_to_others;
pub use room::is_out_of_space;
pub use snapshot::{DatabaseDefect, DatabaseFile, StoppedDirectory};
use sqlx::sqlite::SqliteConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, Sqlite, SqlitePool, Transaction};

/// The changes of the tables, in their order.
static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// The file of the database.
pub(crate) const DATABASE_FILE: &str = "belljar.db";

/// The store of one data directory. Cheap to clone; the directory stays locked until the last
/// clone is gone.
#[derive(Clone, Debug)]
pub struct Db {
    pool: SqlitePool,
    reader: SqlitePool,
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
    /// Somebody else owns the directory.
    #[error(
        "the data directory {path} belongs to user {owner} and this is user {user}: its owner could \
         have any code run here. Run as its owner, or name a folder inside it, which is then made \
         for this user alone"
    )]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// The number of its owner.
        owner: u32,
        /// The number of the user that this process runs as.
        user: u32,
    },
    /// Others can write the directory.
    #[error(
        "the data directory {path} can be written by others (mode {mode:04o}), who could have any \
         code run here: `chmod 700` it, or name a folder inside it, which is then made with that \
         mode"
    )]
    WritableByOthers {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The directory was in use and has no database.
    #[error(
        "the data directory {path} holds models and has no database ({DATABASE_FILE}). Nothing was \
         changed. Bring back the whole directory from a backup, or begin with an empty one: move \
         this one aside, or name another with --data-dir"
    )]
    Lost {
        /// The directory.
        path: PathBuf,
    },
    /// The database is that of another directory.
    #[error(
        "the database in {path} belongs to another data directory. Nothing was changed. Bring back \
         the database and the files of one and the same backup. To keep this database all the \
         same, delete {MARK_FILE} there: files of models that it does not name are deleted then"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// The database is from an earlier time than the files beside it.
    #[error(
        "the database in {path} is older than the files beside it. Nothing was changed. Bring back \
         the database and the files of one and the same backup. To keep this database all the \
         same, delete {MARK_FILE} there: files of models that it does not name are deleted then"
    )]
    Older {
        /// The directory.
        path: PathBuf,
    },
    /// The database is damaged, newer than this program, or the disk fails.
    #[error(
        "the database {path} cannot be opened: {source}{}",
        without_room(source)
    )]
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

/// What an operator can do about it, where SQLite speaks of the disk in numbers.
fn without_room(error: &sqlx::Error) -> &'static str {
    if is_out_of_space(error) {
        "; there seems to be no room on its disk"
    } else {
        ""
    }
}

/// Whether a connection may be used again. One whose commit failed may not.
///
/// SQLite ends a transaction by itself when its commit finds no room. The library still counts
/// it, and would make the next transaction a savepoint within one that is never committed: a
/// change would be acknowledged and not be on disk.
async fn has_no_transaction(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // A roll-back that was only sent is over when this is answered.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

impl Db {
    /// Makes the directory if it is not there (mode 0700), locks it, opens the database in it
    /// and brings its tables up to date.
    ///
    /// # Errors
    ///
    /// When the directory is in use, cannot be written, is open to others, has lost its database,
    /// or holds one that is not its own or that this program cannot read.
    pub async fn open(data_dir: &Path) -> Result<Self, DbError> {
        let directory = LockedDirectory::lock_patiently(data_dir).await?;
        let path = data_dir.join(DATABASE_FILE);
        directory::check_not_lost(data_dir)?;
        make_private(&path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // NORMAL would lose the last commits of a WAL at a power cut; what we acknowledge
            // is on disk.
            .synchronous(SqliteSynchronous::Full)
            // What a statement sets aside is small; the folders for temporary files are beyond the
            // wall around the server, and a container's root may not be written.
            .pragma("temp_store", "MEMORY")
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new()
            // One connection: SQLite has one writer anyway, and waiting here is fair, where
            // waiting on its file lock is a lottery with a time-out.
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .after_release(|connection, _| Box::pin(has_no_transaction(connection)))
            .connect_with(options)
            .await
            .map_err(|source| DbError::Open {
                path: path.clone(),
                source,
            })?;
        MIGRATOR
            .run(&pool)
            .await
            .map_err(|source| DbError::Migrate { path, source })?;
        directory::check_agreement(&pool, data_dir).await?;
        Ok(Self {
            pool,
            reader: reader(data_dir),
            directory: Arc::new(directory),
        })
    }

    /// The one connection that writes, as a pool that hands it out in turn. A query that returns
    /// has been committed and is on disk.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Another connection, which cannot write. For what takes its time to read, which would hold
    /// up all changes on the other one. It sees what was committed before.
    #[must_use]
    pub fn reader(&self) -> &SqlitePool {
        &self.reader
    }

    /// The data directory that this store is in.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.directory.path
    }

    /// Ends a transaction that stores an upload. The data directory knows of it from then on: with
    /// a database that does not, its files are not touched.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn commit_upload(
        &self,
        mut transaction: Transaction<'_, Sqlite>,
    ) -> Result<(), sqlx::Error> {
        let mark = Mark::count_upload(&mut transaction).await?;
        transaction.commit().await?;
        let data_dir = self.directory.path.clone();
        let kept = tokio::task::spawn_blocking(move || mark.keep(&data_dir)).await;
        // The upload is on disk all the same, and the next one says it again.
        if let Ok(Err(error)) = kept {
            tracing::warn!("{MARK_FILE} cannot be written: {error}");
        }
        Ok(())
    }

    /// Folds the write-ahead log into the database and closes it.
    pub async fn close(self) {
        // First, because only the last connection folds, and only one that can write.
        self.reader.close().await;
        self.pool.close().await;
    }
}

/// A connection for reading, opened when it is first needed and closed when it has been idle.
fn reader(data_dir: &Path) -> SqlitePool {
    const IDLE: Duration = Duration::from_secs(60);
    let options = SqliteConnectOptions::new()
        .filename(data_dir.join(DATABASE_FILE))
        .read_only(true)
        .pragma("temp_store", "MEMORY")
        .busy_timeout(Duration::from_secs(5));
    SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(IDLE)
        .connect_lazy_with(options)
}

/// Makes a data directory if it is not there, and checks that nobody else owns or writes it. For
/// commands that keep something there and open no store.
///
/// # Errors
///
/// When it cannot be made, or others have a hand in it.
pub fn private_directory(path: &Path) -> Result<(), DbError> {
    make_directory(path)?;
    directory::check_owner_and_mode(path)
}

/// Makes a data directory with mode 0700 if it is not there.
///
/// # Errors
///
/// When it cannot be made.
pub fn make_directory(path: &Path) -> Result<(), DbError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| DbError::Directory {
            path: path.to_owned(),
            source,
        })
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
        make_directory(path)?;
        directory::check_owner_and_mode(path)?;
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

    #[test]
    fn a_start_on_a_full_disk_says_so() {
        let told = |code| {
            let source = sqlx::Error::Io(io::Error::from_raw_os_error(code));
            let path = "belljar.db".into();
            DbError::Open { path, source }.to_string()
        };
        assert!(told(28).ends_with("no room on its disk"), "{}", told(28));
        assert!(!told(5).contains("no room"), "{}", told(5));
    }

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
        let (temporary,): (i64,) = sqlx::query_as("PRAGMA temp_store")
            .fetch_one(db.pool())
            .await
            .unwrap();
        assert_eq!(temporary, 2, "in memory: there may be no folder for it");
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

    /// Opens and closes the store, and gives the words of a refusal.
    async fn refusal(path: &Path) -> String {
        match Db::open(path).await {
            Ok(db) => {
                db.close().await;
                String::new()
            }
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn a_lost_database_is_not_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(refusal(dir.path()).await, "");
        fs::remove_file(dir.path().join(DATABASE_FILE)).unwrap();
        for _ in 0..2 {
            assert!(refusal(dir.path()).await.contains("has no database"));
        }
        assert!(!dir.path().join(DATABASE_FILE).exists());
        // Models alone say it too: a directory of an earlier version has no mark.
        let dir = tempfile::tempdir().unwrap();
        let blobs = dir.path().join("bundles/blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        fs::write(blobs.join("aa"), b"model").unwrap();
        assert!(refusal(dir.path()).await.contains("has no database"));
    }

    #[tokio::test]
    async fn a_database_from_elsewhere_or_from_before_is_refused() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(refusal(here.path()).await, "");
        assert_eq!(refusal(there.path()).await, "");
        let database = |dir: &tempfile::TempDir| dir.path().join(DATABASE_FILE);
        let own = fs::read(database(&here)).unwrap();
        fs::copy(database(&there), database(&here)).unwrap();
        assert!(
            refusal(here.path())
                .await
                .contains("another data directory")
        );
        fs::write(database(&here), &own).unwrap();
        assert_eq!(refusal(here.path()).await, "", "its own, back again");
        fs::write(database(&here), &own).unwrap();
        assert!(refusal(here.path()).await.contains("older than the files"));
        fs::remove_file(here.path().join(MARK_FILE)).unwrap();
        assert_eq!(refusal(here.path()).await, "", "told to go on");
    }

    #[tokio::test]
    async fn a_directory_that_others_can_write_is_refused_and_one_they_can_enter_is_closed() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = tempfile::tempdir().unwrap();
        let with_mode = |mode: u32| {
            let dir = parent.path().join(format!("{mode:o}"));
            fs::create_dir(&dir).unwrap();
            fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
            dir
        };
        for mode in [0o777, 0o1777, 0o770, 0o702] {
            let told = refusal(&with_mode(mode)).await;
            assert!(
                told.contains("can be written by others"),
                "{mode:o}: {told}"
            );
        }
        let mode_of = |dir: &Path| fs::metadata(dir).unwrap().permissions().mode() & 0o777;
        let dir = with_mode(0o755);
        assert_eq!(refusal(&dir).await, "");
        assert_eq!(mode_of(&dir), 0o700);
        // One that has other things in it is somebody else's as well.
        let dir = with_mode(0o711);
        fs::write(dir.join("letters"), b"").unwrap();
        assert_eq!(refusal(&dir).await, "");
        assert_eq!(mode_of(&dir), 0o711);
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("belljar.db"), vec![b'x'; 8192]).unwrap();
        let error = Db::open(dir.path()).await.unwrap_err();
        assert!(error.to_string().contains("belljar.db"), "{error}");
    }
}
