//! Makes a data directory of a backup: beside its place, checked as a whole, and then put there by
//! one change of a name. Whatever ends it before leaves the place as it was, and what is left beside
//! it is removed by the next attempt.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use belljar_bundle::Store;
use rustix::fs::{Gid, Uid};
use serde_json::json;

use super::BackupError;
use super::files::{AUDIT_LOG, BUNDLES, SETTINGS_FILE};
use super::manifest::{Manifest, Member};
use super::read::{Receiver, read};
use crate::audit::{Actor, AuditConfig, AuditLog, Event, EventKind, Verified, verify};
use crate::auth::{KnownSecrets, forget_clean_stop};
use crate::clock::Clock;
use crate::db::{DATABASE_FILE, DatabaseFile, MARK_FILE};
use crate::models::version_rows;

/// A data directory that was made of a backup.
#[derive(Debug)]
pub struct Restored {
    /// The list of the backup.
    pub manifest: Manifest,
    /// The audit log in it, if there is one.
    pub audit: Option<Verified>,
    /// Whether the settings were in it.
    pub has_settings: bool,
}

/// Reads a backup and puts what is in it into `data_dir`, which must be empty or not there.
///
/// # Errors
///
/// When the place is taken, when the backup is not whole and sound, and when there is no room. The
/// place is as it was then.
pub async fn restore(
    body: impl Read + Send + 'static,
    data_dir: &Path,
    clock: &Clock,
) -> Result<Restored, BackupError> {
    let (data_dir, owner) = target(data_dir)?;
    let workplace = Workplace::begin(&data_dir)?;
    let (workplace, manifest) = tokio::task::spawn_blocking(move || {
        let manifest = workplace.unpack(body)?;
        Ok::<_, BackupError>((workplace, manifest))
    })
    .await
    .map_err(|error| BackupError::BrokenOff(error.to_string()))??;
    let root = workplace.path.clone();
    check_database(&root).await?;
    check_models(&root).await?;
    KnownSecrets::read(&root).await?;
    let audit = check_audit(&root)?;
    if audit.is_some() {
        record(&root, &manifest, clock).await?;
    }
    let has_settings = root.join(SETTINGS_FILE).exists();
    workplace.put(&data_dir, owner)?;
    Ok(Restored {
        manifest,
        audit,
        has_settings,
    })
}

/// The place itself, which is empty or not there, and who is to own what comes there, if that is
/// somebody else.
fn target(data_dir: &Path) -> Result<(PathBuf, Option<(u32, u32)>), BackupError> {
    let failed = || BackupError::file(data_dir);
    match fs::metadata(data_dir) {
        Ok(facts) => {
            let is_empty =
                facts.is_dir() && fs::read_dir(data_dir).map_err(failed())?.next().is_none();
            if !is_empty {
                return Err(BackupError::NotEmpty {
                    path: data_dir.to_owned(),
                });
            }
            let owner = (facts.uid(), facts.gid());
            let is_others = rustix::process::geteuid().is_root() && owner != (0, 0);
            // A link leads somewhere: what is replaced is there.
            let real = fs::canonicalize(data_dir).map_err(failed())?;
            Ok((real, is_others.then_some(owner)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let absolute = std::path::absolute(data_dir).map_err(failed())?;
            if let Some(parent) = absolute.parent() {
                fs::create_dir_all(parent).map_err(BackupError::file(parent))?;
            }
            Ok((absolute, None))
        }
        Err(error) => Err(failed()(error)),
    }
}

/// The folder beside the place in which the work is done. Removed with what is in it, unless it was
/// put in place.
#[derive(Debug)]
struct Workplace {
    path: PathBuf,
    is_placed: bool,
    // The kernel lets go of it when the process ends, however that is.
    _lock: File,
}

impl Workplace {
    fn begin(data_dir: &Path) -> Result<Self, BackupError> {
        let mut name = data_dir
            .file_name()
            .map_or_else(OsString::new, OsString::from);
        name.push(".restoring");
        let path = data_dir.with_file_name(name);
        let failed = || BackupError::file(&path);
        let folder = || fs::DirBuilder::new().mode(0o700).create(&path);
        match folder() {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed()(error));
            }
            _ => {}
        }
        let lock = File::open(&path).map_err(failed())?;
        let is_ours = lock.try_lock().is_ok()
            // Whoever had it may have put it in place meanwhile.
            && fs::symlink_metadata(&path)
                .and_then(|there| Ok((there, lock.metadata()?)))
                .is_ok_and(|(there, ours)| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
        if !is_ours {
            return Err(BackupError::BeingRestored { path });
        }
        // What one that was killed has left.
        for left in fs::read_dir(&path).map_err(failed())? {
            let left = left.map_err(failed())?;
            let removed = match left.file_type().map_err(failed())?.is_dir() {
                true => fs::remove_dir_all(left.path()),
                false => fs::remove_file(left.path()),
            };
            removed.map_err(failed())?;
        }
        Ok(Self {
            path,
            is_placed: false,
            _lock: lock,
        })
    }

    fn unpack(&self, body: impl Read) -> Result<Manifest, BackupError> {
        let mut files = Files {
            root: &self.path,
            current: None,
        };
        read(body, &mut files)
    }

    /// Puts the folder in place, with all that is in it on disk.
    fn put(mut self, data_dir: &Path, owner: Option<(u32, u32)>) -> Result<(), BackupError> {
        if let Some((user, group)) = owner {
            give(&self.path, user, group).map_err(BackupError::file(&self.path))?;
        }
        let failed = || BackupError::file(&self.path);
        // All files and names at once; one by one would be a wait for each.
        rustix::fs::syncfs(&self._lock).map_err(|error| failed()(error.into()))?;
        fs::rename(&self.path, data_dir).map_err(|source| BackupError::NotReplaceable {
            path: data_dir.to_owned(),
            source,
        })?;
        self.is_placed = true;
        let parent = data_dir.parent().unwrap_or(Path::new("/"));
        let synced = File::open(parent).and_then(|folder| folder.sync_all());
        synced.map_err(BackupError::file(parent))
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if !self.is_placed {
            // What stays is removed by the next attempt.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Gives a folder, and all that is in it, to a user.
fn give(path: &Path, user: u32, group: u32) -> io::Result<()> {
    let owner = (Uid::from_raw(user), Gid::from_raw(group));
    rustix::fs::chown(path, Some(owner.0), Some(owner.1))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), user, group)?;
        }
    }
    Ok(())
}

/// Writes files below a folder.
struct Files<'a> {
    root: &'a Path,
    current: Option<File>,
}

impl Receiver for Files<'_> {
    fn begin(&mut self, manifest: &Manifest, _: &[Member]) -> Result<(), BackupError> {
        let disk = rustix::fs::statvfs(self.root);
        let disk = disk.map_err(|error| BackupError::file(self.root)(error.into()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if manifest.bytes() > free {
            return Err(BackupError::NoRoom {
                needed: manifest.bytes(),
                free,
                path: self.root.to_owned(),
            });
        }
        Ok(())
    }

    fn open(&mut self, member: &Member) -> Result<(), BackupError> {
        let path = member.place.below(self.root);
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(BackupError::file(folder))?;
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        self.current = Some(file.map_err(BackupError::file(path))?);
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.current {
            Some(file) => file.write_all(bytes),
            None => Ok(()),
        }
    }
}

/// Looks at all of the database, and readies it for a start after the original may have gone on.
async fn check_database(root: &Path) -> Result<(), BackupError> {
    let path = root.join(DATABASE_FILE);
    let file = DatabaseFile::open(&path, false).await?;
    let checked = file.check().await;
    let mark = fs::read(root.join(MARK_FILE)).map_err(BackupError::file(root.join(MARK_FILE)))?;
    checked?;
    if !file.agrees_with(&mark).await? {
        return Err(BackupError::Mark);
    }
    file.close().await;
    let file = DatabaseFile::open(&path, true).await?;
    forget_clean_stop(file.pool()).await?;
    file.close().await;
    Ok(())
}

/// Looks whether the files of all versions are there. Their digests were compared as they came.
async fn check_models(root: &Path) -> Result<(), BackupError> {
    let file = DatabaseFile::open(&root.join(DATABASE_FILE), false).await?;
    let versions = version_rows(file.pool()).await?;
    file.close().await;
    let store = Store::open(&root.join(BUNDLES)).map_err(BackupError::Store)?;
    for version in versions {
        match store.open_bundle(&version.digest) {
            Err(source) if !version.has_failed => {
                return Err(BackupError::ModelMissing {
                    id: Box::new(version.id),
                    source: Box::new(source),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_audit(root: &Path) -> Result<Option<Verified>, BackupError> {
    let log = root.join(AUDIT_LOG);
    if !log.exists() {
        return Ok(None);
    }
    Ok(Some(verify(&log, &AuditConfig::checkpoint(root))?))
}

/// The log itself says that it goes on after a restore.
async fn record(root: &Path, manifest: &Manifest, clock: &Clock) -> Result<(), BackupError> {
    // It is nobody's to say here when a file is put aside or removed.
    let config = AuditConfig {
        file_bytes_max: u64::MAX,
        files_max: usize::MAX,
        ..AuditConfig::default()
    };
    let opened = AuditLog::open(&config, root, clock.clone());
    let log = opened.map_err(|error| BackupError::AuditLog(error.source))?;
    let about = [
        ("created", json!(manifest.created)),
        ("version", json!(manifest.server_version)),
    ];
    log.record(&Event::new(EventKind::Restored, Actor::default(), &about));
    log.flush().await;
    let is_failing = log.is_failing();
    log.close().await;
    if is_failing {
        let error = io::Error::other("that it was restored could not be written");
        return Err(BackupError::AuditLog(error));
    }
    Ok(())
}
