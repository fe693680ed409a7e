//! What is done about findings. Whatever ends it in between, running it again goes on: files are moved
//! by one change of a name, and a row is in `lost+found` before it is gone.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::rows::RowText;
use super::{Action, Check, Finding, FsckError};
use crate::db::{DATABASE_FILE, DatabaseFile, MARK_FILE, StoppedDirectory};

/// Where in the data directory things are put that might be somebody's.
pub const LOST_AND_FOUND: &str = "lost+found";
/// The file there of rows.
const ROWS_FILE: &str = "rows.sql";

/// Something that was put right.
#[derive(Clone, Debug)]
pub struct Repaired {
    /// What was checked.
    pub check: Check,
    /// The row or the file.
    pub subject: String,
    /// What was done.
    pub done: String,
}

/// Puts right what was found by these checks, as far as it can be.
///
/// # Errors
///
/// When a file or the database cannot be written. What was done until then stays done.
pub async fn repair(
    directory: &StoppedDirectory,
    findings: &[Finding],
    checks: &[Check],
) -> Result<Vec<Repaired>, FsckError> {
    let root = directory.path();
    let wanted = |finding: &&Finding| {
        // A start on the database would delete what it does not name.
        checks.contains(&finding.check)
            || (finding.check == Check::BlobUnreferenced && checks.contains(&Check::MarkDisagrees))
    };
    let mut repaired = Vec::new();
    let mut rows = Vec::new();
    let mut marks = Vec::new();
    for finding in findings.iter().filter(wanted) {
        let done = match &finding.action {
            None => continue,
            Some(Action::SetRow(_) | Action::Change(_)) => {
                rows.push(finding);
                continue;
            }
            Some(Action::WriteMark) => {
                marks.push(finding);
                continue;
            }
            Some(Action::Set(path)) => match set(root, path)? {
                Some(place) => format!("moved to {place}"),
                None => continue,
            },
            Some(Action::Delete(path)) => {
                delete(path)?;
                "deleted".to_owned()
            }
            Some(Action::Close(path, mode)) => {
                let closed = fs::set_permissions(path, fs::Permissions::from_mode(*mode));
                closed.map_err(failed(path))?;
                format!("has mode {mode:04o} now")
            }
        };
        repaired.push(told(finding, done));
    }
    if rows.is_empty() && marks.is_empty() {
        return Ok(repaired);
    }
    let file = DatabaseFile::open(&root.join(DATABASE_FILE), true).await?;
    let changed = change(root, &file, &rows, &mut repaired).await;
    if changed.is_ok()
        && let [finding, ..] = marks.as_slice()
    {
        write_mark(root, &file).await?;
        repaired.push(told(finding, "written anew from the database".to_owned()));
    }
    file.close().await;
    changed.map(|()| repaired)
}

fn told(finding: &Finding, done: String) -> Repaired {
    Repaired {
        check: finding.check,
        subject: finding.subject.clone(),
        done,
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> FsckError {
    let path = path.to_owned();
    move |source| FsckError::File { path, source }
}

/// Moves a file or folder to where it does no harm, under its own path. None where it has gone.
fn set(root: &Path, path: &Path) -> Result<Option<String>, FsckError> {
    let below = path.strip_prefix(root).unwrap_or(path);
    let place = root.join(LOST_AND_FOUND).join(below);
    if let Some(folder) = place.parent() {
        private(folder)?;
    }
    let place = free(place);
    match fs::rename(path, &place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        moved => moved.map_err(failed(path))?,
    }
    for folder in [path.parent(), place.parent()].into_iter().flatten() {
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(failed(folder))?;
    }
    let place = place.strip_prefix(root).unwrap_or(&place);
    Ok(Some(place.display().to_string()))
}

fn private(folder: &Path) -> Result<(), FsckError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed(folder))
}

/// The path, or one with a number behind it where there is something already. The lock of the
/// directory is held, so nothing comes in between.
fn free(path: PathBuf) -> PathBuf {
    let mut place = path.clone();
    let mut number = 0_u32;
    while place.symlink_metadata().is_ok() {
        number = number.saturating_add(1);
        let mut name = OsString::from(path.as_os_str());
        name.push(format!(".{number}"));
        place = name.into();
    }
    place
}

fn delete(path: &Path) -> Result<(), FsckError> {
    let deleted = match path.symlink_metadata() {
        Ok(facts) if facts.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match deleted {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        deleted => deleted.map_err(failed(path)),
    }
}

/// Changes rows in one transaction. Those that go are on disk elsewhere first.
async fn change(
    root: &Path,
    file: &DatabaseFile,
    findings: &[&Finding],
    repaired: &mut Vec<Repaired>,
) -> Result<(), FsckError> {
    let mut transaction = file.pool().begin().await?;
    let mut done = Vec::new();
    let mut texts = String::new();
    for finding in findings {
        match &finding.action {
            Some(Action::SetRow(row)) => {
                for text in texts_of(&mut transaction, row).await? {
                    texts.push_str(&text);
                    texts.push('\n');
                }
                let sql = format!("DELETE FROM {} WHERE {}", row.table, row.condition);
                sqlx::query(AssertSqlSafe(sql))
                    .execute(&mut *transaction)
                    .await?;
                let place = format!("moved to {LOST_AND_FOUND}/{ROWS_FILE}");
                done.push(told(finding, place));
            }
            Some(Action::Change(sql)) => {
                sqlx::query(AssertSqlSafe(sql.clone()))
                    .execute(&mut *transaction)
                    .await?;
                done.push(told(finding, "changed in the database".to_owned()));
            }
            _ => {}
        }
    }
    if !texts.is_empty() {
        let folder = root.join(LOST_AND_FOUND);
        private(&folder)?;
        let path = folder.join(ROWS_FILE);
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| {
                file.write_all(texts.as_bytes())?;
                file.sync_all()
            });
        written.map_err(failed(&path))?;
        let synced = File::open(&folder).and_then(|folder| folder.sync_all());
        synced.map_err(failed(&folder))?;
    }
    transaction.commit().await?;
    repaired.extend(done);
    Ok(())
}

/// The statements that bring rows back.
async fn texts_of(
    connection: &mut SqliteConnection,
    row: &RowText,
) -> Result<Vec<String>, sqlx::Error> {
    let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?)")
        .bind(row.table)
        .fetch_all(&mut *connection)
        .await?;
    let values: Vec<String> = columns
        .iter()
        .map(|column| format!("quote({column})"))
        .collect();
    let sql = format!(
        "SELECT 'INSERT INTO {table} ({columns}) VALUES (' || {values} || ');' FROM {table} WHERE \
         {condition}",
        table = row.table,
        columns = columns.join(", "),
        values = values.join(" || ', ' || "),
        condition = row.condition,
    );
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_all(connection)
        .await
}

/// Writes the file of the mark, whole or not at all.
async fn write_mark(root: &Path, database: &DatabaseFile) -> Result<(), FsckError> {
    let Some(mark) = database.mark_file().await? else {
        return Ok(());
    };
    let path = root.join(MARK_FILE);
    let staging = path.with_extension("json.new");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&staging)
        .and_then(|mut file| {
            file.write_all(&mark)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&staging, &path))
        .and_then(|()| File::open(root)?.sync_all());
    written.map_err(failed(&path))
}
