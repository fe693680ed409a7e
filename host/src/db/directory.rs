//! The data directory itself: whose it is, and whether the database in it is the one that its
//! files belong to.
//!
//! A server deletes files that no row names and makes an admin key where none works. Both are
//! right for its own database and ruin for one that was lost, or brought back by half from a
//! backup. So directory and database carry the same mark, and where they disagree nothing is
//! touched.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, SqlitePool, Transaction};

use super::{DATABASE_FILE, DbError};

/// The mark of a data directory, in its file and in the row of its database.
///
/// The database is written first, so the file never has more of what is counted: where it does, the
/// database is that of an earlier time.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Mark {
    /// Random, of the first start.
    id: String,
    /// Starts so far.
    starts: i64,
    /// Uploads so far. A database may have been copied while the server ran.
    #[serde(default)]
    uploads: i64,
}

impl Mark {
    /// The mark in a database; none where no server has started on it.
    pub(super) async fn of_database(pool: &SqlitePool) -> Result<Option<Self>, sqlx::Error> {
        let row = sqlx::query("SELECT id, starts, uploads FROM directory")
            .fetch_optional(pool)
            .await?;
        row.as_ref().map(Self::of_row).transpose()
    }

    fn of_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            starts: row.try_get("starts")?,
            uploads: row.try_get("uploads")?,
        })
    }

    /// Counts one more upload, in the transaction that stores it.
    pub(super) async fn count_upload(
        transaction: &mut Transaction<'_, Sqlite>,
    ) -> Result<Self, sqlx::Error> {
        let sql = "UPDATE directory SET uploads = uploads + 1 RETURNING id, starts, uploads";
        Self::of_row(&sqlx::query(sql).fetch_one(&mut **transaction).await?)
    }

    /// The content of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // A text and two numbers: there is nothing in it that JSON could not say.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether a database with this mark may be started on with a file that says that.
    pub(super) fn agrees_with(&self, file: &[u8]) -> bool {
        serde_json::from_slice::<Self>(file).is_ok_and(|file| {
            file.id == self.id && file.starts <= self.starts && file.uploads <= self.uploads
        })
    }

    /// Writes the file of a data directory.
    pub(super) fn keep(&self, data_dir: &Path) -> io::Result<()> {
        write(&data_dir.join(MARK_FILE), self)
    }
}

/// The file of the mark.
pub(crate) const MARK_FILE: &str = "directory.json";

/// Where bundles are kept.
const BUNDLES: &str = "bundles/blobs";

/// Bits of a mode that let others write, and those that let them in at all.
const OTHERS_WRITE: u32 = 0o022;
const OTHERS: u32 = 0o077;

/// Whether a mode lets anybody but the owner do anything.
#[must_use]
pub fn is_open_to_others(mode: u32) -> bool {
    mode & OTHERS != 0
}

/// Refuses a directory that others own or write: who can write it can have any machine code run
/// by the server. One that others can merely enter is closed to them, where it holds nothing but
/// a server's files.
pub(super) fn check_owner_and_mode(path: &Path) -> Result<(), DbError> {
    let failed = |source| DbError::Directory {
        path: path.to_owned(),
        source,
    };
    let facts = fs::metadata(path).map_err(failed)?;
    let (owner, user) = (facts.uid(), rustix::process::geteuid().as_raw());
    if owner != user && owner != ROOT {
        return Err(DbError::NotOurs {
            path: path.to_owned(),
            owner,
            user,
        });
    }
    let mode = facts.mode() & 0o7777;
    if mode & OTHERS_WRITE != 0 {
        return Err(DbError::WritableByOthers {
            path: path.to_owned(),
            mode,
        });
    }
    if mode & OTHERS == 0 {
        return Ok(());
    }
    if owner == user && holds_nothing_else(path, &facts).map_err(failed)? {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        tracing::info!(path = %path.display(), "the data directory had mode {mode:04o} and has 0700 now");
    } else {
        tracing::warn!(
            path = %path.display(),
            "others can look into the data directory (mode {mode:04o}): `chmod 700` keeps them out"
        );
    }
    Ok(())
}

const ROOT: u32 = 0;

/// Whether the directory is empty or a server's already. `/var/lib` as a data directory must not
/// be closed to everybody else.
fn holds_nothing_else(path: &Path, facts: &Metadata) -> io::Result<bool> {
    Ok(facts.is_dir()
        && (path.join(DATABASE_FILE).exists() || fs::read_dir(path)?.next().is_none()))
}

/// Refuses a directory that has been in use and has no database any more, before one is made.
pub(super) fn check_not_lost(path: &Path) -> Result<(), DbError> {
    let database = fs::metadata(path.join(DATABASE_FILE));
    let is_there = database.is_ok_and(|facts| facts.len() > 0);
    let has_bundles = || {
        fs::read_dir(path.join(BUNDLES)).is_ok_and(|folders| {
            folders
                .flatten()
                .any(|folder| fs::read_dir(folder.path()).is_ok_and(|mut it| it.next().is_some()))
        })
    };
    if !is_there && (path.join(MARK_FILE).exists() || has_bundles()) {
        return Err(DbError::Lost {
            path: path.to_owned(),
        });
    }
    Ok(())
}

/// Refuses a database that is not the directory's own or is older than its files, and notes one
/// more start in both.
pub(super) async fn check_agreement(pool: &SqlitePool, path: &Path) -> Result<(), DbError> {
    let file = path.join(MARK_FILE);
    let failed = |source| DbError::Directory {
        path: file.clone(),
        source,
    };
    let database_failed = |source| DbError::Open {
        path: path.join(DATABASE_FILE),
        source,
    };
    let of_directory = read(&file).map_err(failed)?;
    let of_database = Mark::of_database(pool).await.map_err(database_failed)?;
    let foreign = || DbError::Foreign {
        path: path.to_owned(),
    };
    let mark = match (of_directory, of_database) {
        (Some(directory), Some(database)) if directory.id != database.id => return Err(foreign()),
        (Some(directory), Some(database))
            if directory.starts > database.starts || directory.uploads > database.uploads =>
        {
            return Err(DbError::Older {
                path: path.to_owned(),
            });
        }
        // The mark is younger than some directories: those of an earlier version have neither.
        (Some(_), None) => return Err(foreign()),
        (_, Some(database)) => database,
        (None, None) => Mark {
            id: format!("{:032x}", rand::random::<u128>()),
            starts: 0,
            uploads: 0,
        },
    };
    let mark = Mark {
        starts: mark.starts.saturating_add(1),
        ..mark
    };
    sqlx::query("INSERT OR REPLACE INTO directory (one, id, starts, uploads) VALUES (1, ?, ?, ?)")
        .bind(&mark.id)
        .bind(mark.starts)
        .bind(mark.uploads)
        .execute(pool)
        .await
        .map_err(database_failed)?;
    write(&file, &mark).map_err(failed)
}

fn read(file: &Path) -> io::Result<Option<Mark>> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the mark whole or not at all.
fn write(file: &Path, mark: &Mark) -> io::Result<()> {
    let staging = file.with_extension("json.new");
    let mut out = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&staging)?;
    out.write_all(&mark.to_bytes())?;
    out.sync_data()?;
    fs::rename(&staging, file)
}
