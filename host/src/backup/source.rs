//! Puts one moment of a server aside. The order is the proof that it is one: files of models are kept
//! from being deleted before the database is put aside, so each file that it names is there, and
//! held until the archive is written; the audit log is cut after it, so that it tells of all that the
//! database has.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use belljar_bundle::{BundleError, Digest, Placement, Store, StoredBundle};
use jiff::Timestamp;

use super::BackupError;
use super::files::{AUDIT_HEAD, AUDIT_LOG, BUNDLES, FILES, Place};
use super::manifest::{Manifest, Member};
use super::plan::{Content, Plan, digest_of};
use crate::audit::{AuditConfig, AuditCut, AuditLog, cut_of_stopped};
use crate::auth::KeyStore;
use crate::clock::Clock;
use crate::db::{DATABASE_FILE, DatabaseFile, Db, MARK_FILE, StoppedDirectory};
use crate::ledger::LedgerStore;
use crate::models::{Registry, VersionRow, version_rows};

/// Where a backup comes from.
pub enum Source {
    /// A server that goes on meanwhile.
    Running {
        /// Its database.
        db: Db,
        /// Its models.
        registry: Registry,
        /// Its audit log.
        audit: AuditLog,
        /// Its keys.
        keys: KeyStore,
        /// What was used.
        ledger: LedgerStore,
    },
    /// A data directory on which none runs.
    Stopped {
        /// The directory.
        directory: StoppedDirectory,
        /// Where its audit log is.
        audit: AuditConfig,
    },
}

/// The database that is put aside, in the data directory, until it has been opened.
const ASIDE: &str = "backup.db.new";

/// The database of one moment, and what its rows name.
struct Moment {
    database: File,
    schema: i64,
    mark: Vec<u8>,
    versions: Vec<VersionRow>,
    created: Timestamp,
}

impl Source {
    /// The moment that it is now, and what an archive of it will have.
    ///
    /// # Errors
    ///
    /// When something cannot be read, or the database has no room beside itself.
    pub async fn plan(&self, clock: &Clock) -> Result<Plan, BackupError> {
        let pause = match self {
            Self::Running {
                registry,
                keys,
                ledger,
                ..
            } => {
                write_counts(keys, ledger).await;
                Some(registry.pause_removals().await)
            }
            Self::Stopped { .. } => None,
        };
        let data_dir = self.data_dir().to_owned();
        let moment = self.moment(&data_dir, clock).await?;
        let store = match self {
            Self::Running { registry, .. } => registry.store().clone(),
            Self::Stopped { .. } => {
                Store::open(&data_dir.join(BUNDLES)).map_err(BackupError::Store)?
            }
        };
        let versions = moment.versions.clone();
        let bundles = blocking(move || held(&store, &versions)).await??;
        drop(pause);
        let log = self.audit_log().await.map_err(BackupError::AuditLog)?;
        blocking(move || planned(&data_dir, moment, bundles, log)).await?
    }

    fn data_dir(&self) -> &Path {
        match self {
            Self::Running { db, .. } => db.data_dir(),
            Self::Stopped { directory, .. } => directory.path(),
        }
    }

    async fn moment(&self, data_dir: &Path, clock: &Clock) -> Result<Moment, BackupError> {
        let path = data_dir.join(ASIDE);
        // One that was left by a kill. There is one backup at a time.
        remove_aside(data_dir)?;
        let created = clock.now();
        let aside = match self {
            Self::Running { db, .. } => db.put_aside(&path).await,
            Self::Stopped { directory, .. } => directory.put_aside(&path).await,
        };
        let read = async {
            aside?;
            let file = DatabaseFile::open(&path, false).await?;
            let read = (
                file.schema().await?,
                file.mark_file().await?,
                version_rows(file.pool()).await?,
            );
            file.close().await;
            Ok::<_, BackupError>(read)
        };
        let read = read.await;
        let database = File::open(&path).map_err(BackupError::file(&path));
        // It lives on as long as it is open.
        remove_aside(data_dir)?;
        let (schema, mark, versions) = read?;
        Ok(Moment {
            database: database?,
            schema,
            mark: mark.ok_or(BackupError::Mark)?,
            versions,
            created,
        })
    }

    async fn audit_log(&self) -> io::Result<Option<AuditCut>> {
        match self {
            Self::Running { audit, .. } => audit.cut().await,
            Self::Stopped { directory, audit } => cut_of_stopped(audit, directory.path()).map(Some),
        }
    }
}

/// Has what was used up to now in the database. It is counts: a backup without the last of them is
/// one, too.
async fn write_counts(keys: &KeyStore, ledger: &LedgerStore) {
    if let Err(error) = keys.write_usage().await {
        tracing::warn!("a backup lacks what keys have used of late: {error}");
    }
    if let Err(error) = ledger.write().await {
        tracing::warn!("a backup lacks the last lines of the ledger: {error}");
    }
}

/// Removes what a backup that was killed has left of its database.
///
/// # Errors
///
/// When it is there and cannot be removed.
pub fn remove_aside(data_dir: &Path) -> Result<(), BackupError> {
    for name in [ASIDE.to_owned(), format!("{ASIDE}-journal")] {
        let path = data_dir.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(BackupError::file(path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BackupError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| BackupError::BrokenOff(error.to_string()))
}

/// The bundles of all versions, kept from removal while they are held.
fn held(store: &Store, versions: &[VersionRow]) -> Result<Vec<StoredBundle>, BackupError> {
    let mut bundles = Vec::new();
    for version in versions {
        match store.open_bundle(&version.digest) {
            Ok(bundle) => bundles.push(bundle),
            // It is of no use to anybody, and its row says so.
            Err(BundleError::BundleUnknown { .. } | BundleError::StoreDamaged { .. })
                if version.has_failed => {}
            Err(source) => {
                return Err(BackupError::ModelDamaged {
                    id: Box::new(version.id.clone()),
                    source: Box::new(source),
                });
            }
        }
    }
    Ok(bundles)
}

/// All files of the moment, each with its size and digest.
fn planned(
    data_dir: &Path,
    moment: Moment,
    bundles: Vec<StoredBundle>,
    log: Option<AuditCut>,
) -> Result<Plan, BackupError> {
    let Moment {
        database,
        schema,
        mark,
        versions,
        created,
    } = moment;
    let (mut database, mut mark) = (Some(database), Some(mark));
    let mut log = log;
    let mut members = Vec::new();
    for (name, _) in FILES {
        let place = Place::Own(name);
        let path = data_dir.join(name);
        let member = match name {
            DATABASE_FILE => database.take().map(|file| of_file(place, file, &path)),
            MARK_FILE => mark.take().map(|bytes| Ok(of_bytes(place, bytes))),
            AUDIT_HEAD => {
                let head = log.as_mut().and_then(|log| log.head.take());
                head.map(|bytes| Ok(of_bytes(place, bytes)))
            }
            // With those put aside, below.
            AUDIT_LOG => None,
            _ => match File::open(&path) {
                Ok(file) => Some(of_file(place, file, &path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(BackupError::file(path)(error)),
            },
        };
        members.extend(member.transpose()?);
    }
    for cut in log.map(|log| log.files).unwrap_or_default() {
        let place = match cut.number {
            Some(number) => Place::AuditAside(number),
            None => Place::Own(AUDIT_LOG),
        };
        let sha256 = digest_of(&cut.file, cut.bytes).map_err(BackupError::AuditLog)?;
        let member = Member {
            place,
            bytes: cut.bytes,
            sha256,
        };
        members.push((member, Content::Open(cut.file)));
    }
    for (place, (path, bytes, sha256)) in blobs(&bundles)? {
        let member = Member {
            place,
            bytes,
            sha256,
        };
        members.push((member, Content::Path(path)));
    }
    let manifest = |members: &[Member]| Manifest::new(schema, created, versions.len(), members);
    Plan::new(manifest, members, bundles)
}

/// The files of all bundles, each once.
fn blobs(bundles: &[StoredBundle]) -> Result<BTreeMap<Place, (PathBuf, u64, Digest)>, BackupError> {
    let mut blobs = BTreeMap::new();
    for bundle in bundles {
        let manifest = bundle.manifest_path();
        let facts = fs::metadata(&manifest).map_err(BackupError::file(&manifest))?;
        let digest = bundle.digest();
        blobs.insert(Place::Blob(digest), (manifest, facts.len(), digest));
        for file in bundle.files() {
            let place = match bundle.placement() {
                Placement::Shared => Place::Blob(file.digest),
                Placement::Apart => Place::Apart {
                    bundle: digest,
                    file: file.digest,
                },
            };
            blobs.insert(place, (file.path.clone(), file.bytes, file.digest));
        }
    }
    Ok(blobs)
}

fn of_bytes(place: Place, bytes: Vec<u8>) -> (Member, Content) {
    let member = Member {
        place,
        bytes: bytes.len() as u64,
        sha256: Digest::of(&bytes),
    };
    (member, Content::Bytes(bytes))
}

fn of_file(place: Place, file: File, path: &Path) -> Result<(Member, Content), BackupError> {
    let bytes = file.metadata().map_err(BackupError::file(path))?.len();
    let sha256 = digest_of(&file, bytes).map_err(BackupError::file(path))?;
    let member = Member {
        place,
        bytes,
        sha256,
    };
    Ok((member, Content::Open(file)))
}
