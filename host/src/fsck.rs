//! Looks at everything in the data directory of a stopped server, and puts right what can be.
//!
//! [`examine`] reads every row and every byte and changes nothing; each [`Finding`] is of one
//! [`Check`], which says what it means and what a repair does. [`repair`] does that for the checks
//! that are named. What might be somebody's data is moved to `lost+found` and never deleted. Knows no
//! HTTP.

mod checks;
mod files;
mod repair;
mod rows;
#[cfg(test)]
mod tests;

pub use checks::{Check, CheckRow, UnknownCheck, reference};
pub use repair::{LOST_AND_FOUND, Repaired, repair};

use std::path::{Path, PathBuf};

use belljar_sandbox::MacKey;

use crate::audit::{AuditConfig, VerifyError, verify};
use crate::db::{DATABASE_FILE, DatabaseDefect, DatabaseFile, MARK_FILE, StoppedDirectory};
use crate::models::VersionRow;

/// Findings of one examination. What is beyond them shows when these are repaired.
const FINDINGS_MAX: usize = 10_000;

/// Something that is not as it should be.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was checked.
    pub check: Check,
    /// The row or the file.
    pub subject: String,
    /// What is wrong with it.
    pub detail: String,
    action: Option<Action>,
}

/// What a repair does.
#[derive(Clone, Debug)]
enum Action {
    /// Moves a file or folder to `lost+found`.
    Set(PathBuf),
    /// Deletes a file or folder that nobody was told of, or that is made anew.
    Delete(PathBuf),
    /// Takes the rights of others.
    Close(PathBuf, u32),
    /// Writes a row to `lost+found` and deletes it.
    SetRow(rows::RowText),
    /// Changes rows.
    Change(String),
    /// Writes the mark of the database.
    WriteMark,
}

/// What an examination has seen.
#[derive(Clone, Debug, Default)]
pub struct Examined {
    /// What is not as it should be, in the order in which it was found.
    pub findings: Vec<Finding>,
    /// Rows that were read.
    pub rows: u64,
    /// Files that were looked at.
    pub files: u64,
    /// Bytes whose digest was computed.
    pub bytes: u64,
    /// Whether there was more wrong than one examination tells.
    pub is_cut: bool,
}

/// Why a data directory cannot be examined or repaired.
#[derive(Debug, thiserror::Error)]
pub enum FsckError {
    /// A file cannot be read or written.
    #[error("{path} cannot be used: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database cannot be written.
    #[error("the database cannot be changed: {0}")]
    Database(#[from] sqlx::Error),
    /// The work was given up.
    #[error("it was broken off: {0}")]
    BrokenOff(String),
}

impl Finding {
    fn new(check: Check, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            check,
            subject: subject.into(),
            detail: detail.into(),
            action: None,
        }
    }

    fn to(self, action: Action) -> Self {
        Self {
            action: Some(action),
            ..self
        }
    }

    /// Whether a repair can put it right.
    #[must_use]
    pub fn is_repairable(&self) -> bool {
        self.action.is_some()
    }
}

impl Examined {
    fn add(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.is_cut = true;
        }
    }
}

/// What the rows say that there is.
#[derive(Clone, Debug, Default)]
struct Expected {
    versions: Vec<VersionRow>,
    /// Whether all rows of versions could be read. Where not, no file is known to be nobody's.
    is_complete: bool,
    /// Whether there are keys that sign, or have.
    has_signers: bool,
}

/// Reads all of a data directory and changes nothing. `mac_key` is that of its compiled models,
/// where it is known.
///
/// # Errors
///
/// When a file cannot be read for another reason than that it is damaged.
pub async fn examine(
    directory: &StoppedDirectory,
    audit: &AuditConfig,
    mac_key: Option<MacKey>,
) -> Result<Examined, FsckError> {
    let root = directory.path().to_owned();
    let mut examined = Examined::default();
    let expected = examine_database(&root, &mut examined).await;
    let (audit, work) = (audit.clone(), root.clone());
    let examined = tokio::task::spawn_blocking(move || {
        examine_audit(&work, &audit, &mut examined);
        files::examine(&work, expected.as_ref(), mac_key.as_ref(), &mut examined)?;
        Ok::<_, FsckError>(examined)
    });
    examined
        .await
        .map_err(|error| FsckError::BrokenOff(error.to_string()))?
}

/// What the rows say, where they can be relied on.
async fn examine_database(root: &Path, examined: &mut Examined) -> Option<Expected> {
    let path = root.join(DATABASE_FILE);
    let damaged = |error: String| Finding::new(Check::DatabaseDamaged, DATABASE_FILE, error);
    let file = match DatabaseFile::open(&path, false).await {
        Ok(file) => file,
        Err(error) => {
            examined.add(damaged(error.to_string()));
            return None;
        }
    };
    match file.check().await {
        // Row by row, below.
        Ok(()) | Err(DatabaseDefect::Dangling { .. }) => {}
        Err(defect @ (DatabaseDefect::Newer { .. } | DatabaseDefect::Tables(_))) => {
            let told = defect.to_string();
            examined.add(Finding::new(Check::TablesStrange, DATABASE_FILE, told));
            return None;
        }
        Err(defect) => {
            examined.add(damaged(defect.to_string()));
            return None;
        }
    }
    if let Ok(false) = file.is_current().await {
        let told =
            "they are of an earlier version: start the server once, which brings them up to date";
        examined.add(Finding::new(Check::TablesStrange, DATABASE_FILE, told));
        return None;
    }
    let read = rows::examine(&file, examined).await;
    let mark = match std::fs::read(root.join(MARK_FILE)) {
        Ok(mark) => file.agrees_with(&mark).await,
        Err(_) => Ok(false),
    };
    if let Ok(false) = mark {
        let told = "it is missing, of another database, or of a newer state of this one";
        let finding = Finding::new(Check::MarkDisagrees, MARK_FILE, told);
        examined.add(finding.to(Action::WriteMark));
    }
    let expected = match read {
        Ok(expected) => Some(expected),
        Err(error) => {
            examined.add(damaged(error.to_string()));
            None
        }
    };
    file.close().await;
    expected
}

fn examine_audit(root: &Path, audit: &AuditConfig, examined: &mut Examined) {
    let log = audit.file(root);
    if !log.exists() {
        return;
    }
    match verify(&log, &AuditConfig::checkpoint(root)) {
        Ok(verified) => examined.rows = examined.rows.saturating_add(verified.lines),
        Err(VerifyError::Broken(defect)) => {
            examined.add(Finding::new(
                Check::AuditBroken,
                "audit.log",
                defect.to_string(),
            ));
        }
        Err(error) => {
            examined.add(Finding::new(
                Check::AuditBroken,
                "audit.log",
                error.to_string(),
            ));
        }
    }
}
