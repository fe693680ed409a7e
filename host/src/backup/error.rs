//! Why a backup cannot be made, is not taken for one, or does not become a data directory.

use std::io;
use std::path::PathBuf;

use belljar_bundle::{BundleError, ModelId};

use crate::audit::VerifyError;
use crate::auth::KeyError;
use crate::db::{DatabaseDefect, DbError, is_out_of_space};
use crate::models::ModelError;

/// A failure of a backup or a restore.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Another one is being made.
    #[error("another backup is being made: one at a time")]
    Busy,
    /// A version cannot be backed up.
    #[error(
        "the files of {id} are not whole: {source}. Upload it again or remove it, so that the rest \
         can be backed up"
    )]
    ModelDamaged {
        /// The version.
        id: Box<ModelId>,
        /// What is wrong with it.
        source: Box<BundleError>,
    },
    /// The database cannot be put aside.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The audit log cannot be read.
    #[error("the audit log cannot be read: {0}")]
    AuditLog(io::Error),
    /// A file cannot be read or written.
    #[error("{path} cannot be used: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// More files than a backup can have.
    #[error("there are {files} files; a backup holds at most {limit}")]
    TooManyFiles {
        /// How many there are.
        files: usize,
        /// How many there may be.
        limit: usize,
    },

    // What is wrong with an archive.
    /// It cannot be read to its end.
    #[error("the backup cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is no tar as it is written here, or is cut off.
    #[error("the backup is damaged or cut off: {0}")]
    Archive(BundleError),
    /// It does not begin as a backup does.
    #[error("this is no backup: {0}")]
    NotABackup(String),
    /// A newer program has written it.
    #[error(
        "the backup has the form {found}, of a newer belljar ({by}); this program reads up to \
         {known}"
    )]
    Newer {
        /// Its form.
        found: u64,
        /// The newest form that is known here.
        known: u64,
        /// The version of the program that wrote it.
        by: String,
    },
    /// A file is there that its list does not have, or in another place or size.
    #[error("the backup is not as its list says: {found} stands where {expected} belongs")]
    OutOfPlace {
        /// What is there.
        found: String,
        /// What the list says.
        expected: String,
    },
    /// A file is not the one that was backed up.
    #[error("the backup is damaged: the content of {path} does not have its digest")]
    Altered {
        /// The file.
        path: String,
    },
    /// The last record does not belong to it.
    #[error("the backup is damaged: its last record is not that of its list")]
    Trailer,

    // What is wrong with what was in it.
    /// The place is taken.
    #[error(
        "{path} is not empty: a backup is restored into a folder that is empty or not there. Move \
         it aside, or name another with --data-dir"
    )]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// Another restore works on it.
    #[error("{path} is in use: another restore into this place is running")]
    BeingRestored {
        /// The folder in which it works.
        path: PathBuf,
    },
    /// The folder cannot be replaced, as the root of a volume cannot.
    #[error(
        "{path} cannot be put in place: {source}. Where that is the root of a volume, name a folder \
         in it with --data-dir, and start the server on that folder"
    )]
    NotReplaceable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is not enough room.
    #[error("the backup needs {needed} bytes, and the disk of {path} has {free}")]
    NoRoom {
        /// Bytes that it needs.
        needed: u64,
        /// Bytes there are.
        free: u64,
        /// The folder.
        path: PathBuf,
    },
    /// The database.
    #[error("the backup is not sound: {0}")]
    DatabaseDefect(#[from] DatabaseDefect),
    /// The mark is of another database.
    #[error("the backup is not sound: its directory.json is not that of its database")]
    Mark,
    /// The keys.
    #[error("the backup is not sound: {0}")]
    Keys(#[from] KeyError),
    /// The rows of models.
    #[error("the backup is not sound: {0}")]
    Models(#[from] ModelError),
    /// A file of a version is missing or another one.
    #[error("the backup is not sound: the files of {id} are not whole: {source}")]
    ModelMissing {
        /// The version.
        id: Box<ModelId>,
        /// What is wrong with it.
        source: Box<BundleError>,
    },
    /// The audit log.
    #[error("the backup is not sound: {0}")]
    Audit(#[from] VerifyError),
    /// The bundles.
    #[error("the bundles cannot be opened: {0}")]
    Store(BundleError),
    /// The work was given up.
    #[error("it was broken off: {0}")]
    BrokenOff(String),
}

impl BackupError {
    /// A failure of a file, for `map_err`.
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// Whether whoever was to take it has gone.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::File { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Whether there was no room to write.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        match self {
            Self::NoRoom { .. } => true,
            Self::Models(error) => error.is_out_of_space(),
            _ => is_out_of_space(self),
        }
    }
}

impl From<BundleError> for BackupError {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::SenderBroke { source } => Self::Unreadable(source),
            BundleError::At { error, place } => match *error {
                BundleError::SenderBroke { source } => Self::Unreadable(source),
                error => Self::Archive(BundleError::At {
                    error: Box::new(error),
                    place,
                }),
            },
            error => Self::Archive(error),
        }
    }
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::DatabaseDefect(error.into())
    }
}
