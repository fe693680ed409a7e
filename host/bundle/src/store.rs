//! The content-addressed store: files under their digests, and a place to stage new ones.
//!
//! ```text
//! <root>/blobs/sha256/<first 2 hex digits>/<64 hex digits>   files, and canonical manifests
//! <root>/blobs/apart/<64 hex digits of a bundle>/<64 hex digits>   the files of that bundle alone
//! <root>/staging/<random>/…                                  what is being unpacked
//! ```
//!
//! A bundle is visible when its manifest is, and the manifest is the last thing that a commit
//! moves into place, after everything it names is on disk. So a process that is killed at any
//! instant leaves a whole bundle or none; files that no manifest names are swept by
//! [`Store::remove_unreferenced`].
//!
//! Equal files of bundles are one file, but for those of bundles that are kept
//! [apart](Placement::Apart).

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use crate::digest::Digest;
use crate::error::BundleError;
use crate::manifest::Manifest;
use crate::pack::EXAMPLES_FOLDER;
use crate::path::AssetName;

mod apart;

pub use apart::{Compiled, Placement};

/// Only we read and write what is in the store.
const DIRECTORY_MODE: u32 = 0o700;

/// A manifest came in under a cap of its own; this one only keeps a damaged store from being
/// read into memory whole.
const STORED_MANIFEST_BYTES_MAX: u64 = 64 << 20;

/// A store. Cloning it gives another handle on the same one.
///
/// Use one store (and its clones) for a root in one process. Several are safe to read and to
/// unpack with, but do not know what the others hold open when they
/// [remove](Self::remove_unreferenced).
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    blobs: PathBuf,
    /// The folders of bundles that are kept apart.
    apart: PathBuf,
    staging: PathBuf,
    /// Bundles that somebody holds, with the number of holders.
    held: Mutex<HashMap<Digest, usize>>,
    /// Whether a commit waits for the disk. A store that is gone in a minute need not.
    durable: bool,
    /// Removes a temporary store's directory when the last handle goes.
    _temporary: Option<TempDir>,
}

impl Store {
    /// Opens the store in `root`, creating what is missing, and removes what is left of bundles
    /// whose unpacking was cut short.
    ///
    /// # Errors
    /// [`BundleError::StoreFailed`] or [`BundleError::StoreFull`].
    pub fn open(root: &Path) -> Result<Self, BundleError> {
        Self::open_with(root, true, None)
    }

    /// A store in the system's temporary directory that goes when the last value that refers to
    /// it does: to check or to try a bundle without keeping it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn temporary() -> Result<Self, BundleError> {
        let directory = tempfile::Builder::new()
            .prefix("belljar-")
            .permissions(fs::Permissions::from_mode(DIRECTORY_MODE))
            .tempdir()
            .map_err(BundleError::store("creating a temporary directory"))?;
        let root = directory.path().to_owned();
        Self::open_with(&root, false, Some(directory))
    }

    fn open_with(
        root: &Path,
        durable: bool,
        temporary: Option<TempDir>,
    ) -> Result<Self, BundleError> {
        let blobs = root.join("blobs").join("sha256");
        let apart = root.join("blobs").join("apart");
        let staging = root.join("staging");
        for directory in [&blobs, &apart, &staging] {
            create_directory(directory).map_err(BundleError::store("creating the store"))?;
        }
        let inner = Inner {
            blobs,
            apart,
            staging,
            held: Mutex::default(),
            durable,
            _temporary: temporary,
        };
        let store = Self {
            inner: Arc::new(inner),
        };
        // The first commit must not be lost with the directories that lead to it.
        for directory in [root, &root.join("blobs")] {
            store
                .sync(directory)
                .map_err(BundleError::store("creating the store"))?;
        }
        store
            .remove_stale_staging()
            .map_err(BundleError::store("clearing the staging area"))?;
        Ok(store)
    }

    /// Opens a bundle by its digest. The manifest is verified against the digest, and each file
    /// must be there; their content is not read ([`StoredBundle::verify`] does that).
    ///
    /// # Errors
    /// [`BundleError::BundleUnknown`], [`BundleError::StoreDamaged`], or a failure of the disk.
    pub fn open_bundle(&self, digest: &Digest) -> Result<StoredBundle, BundleError> {
        // Held before it is read, so that a removal that runs now leaves it alone.
        let lease = self.lease(*digest);
        let manifest = self.read_manifest(digest)?;
        StoredBundle::new(manifest, lease)
    }

    /// Removes every file that belongs to none of these bundles and to no bundle that is held
    /// as a [`CheckedBundle`](crate::CheckedBundle) or a [`StoredBundle`], and returns how many
    /// bytes that freed. A digest in `keep` that is not stored keeps nothing.
    ///
    /// # Errors
    /// [`BundleError::StoreDamaged`] if a kept manifest cannot be read; nothing has been removed
    /// then, because nobody can say what belongs to it. Else a failure of the disk.
    pub fn remove_unreferenced(&self, keep: &HashSet<Digest>) -> Result<u64, BundleError> {
        // No commit runs between the listing and the removal: one that found a file in place
        // would rely on it.
        let _exclusive = self.lock_blobs(Exclusive)?;
        let held: Vec<Digest> = self.inner.held().keys().copied().collect();
        let mut needed = HashSet::new();
        for bundle in keep.iter().copied().chain(held) {
            match self.read_manifest(&bundle) {
                Ok(manifest) => {
                    needed.insert(bundle);
                    if self.placement(&bundle)? == Placement::Shared {
                        needed.extend(manifest.files().map(|(_, digest)| digest));
                    }
                }
                Err(BundleError::BundleUnknown { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let swept = || Ok(self.sweep(&needed)? + self.sweep_apart(&needed)?);
        swept().map_err(BundleError::store("removing files"))
    }

    fn sweep(&self, needed: &HashSet<Digest>) -> io::Result<u64> {
        let needed: HashSet<String> = needed.iter().map(Digest::hex).collect();
        let mut freed = 0;
        for shard in fs::read_dir(&self.inner.blobs)? {
            let shard = shard?;
            // Not ours: something that a person or a file system put there.
            if !shard.file_type()?.is_dir() {
                continue;
            }
            for blob in fs::read_dir(shard.path())? {
                let blob = blob?;
                if blob
                    .file_name()
                    .to_str()
                    .is_some_and(|name| needed.contains(name))
                {
                    continue;
                }
                let bytes = blob.metadata()?.len();
                fs::remove_file(blob.path())?;
                freed += bytes;
            }
        }
        Ok(freed)
    }

    fn read_manifest(&self, digest: &Digest) -> Result<Manifest, BundleError> {
        let path = self.blob_path(digest);
        let damaged = |reason: &str| BundleError::StoreDamaged {
            digest: *digest,
            reason: reason.to_owned(),
        };
        let read = || -> io::Result<Option<Vec<u8>>> {
            if fs::metadata(&path)?.len() > STORED_MANIFEST_BYTES_MAX {
                return Ok(None);
            }
            fs::read(&path).map(Some)
        };
        let text = match read() {
            Ok(text) => text.ok_or_else(|| damaged("it is too large to be a manifest"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BundleError::BundleUnknown { digest: *digest });
            }
            Err(error) => return Err(BundleError::store("reading a manifest")(error)),
        };
        if Digest::of(&text) != *digest {
            return Err(damaged("its content has another digest"));
        }
        Manifest::parse_bytes(&text).map_err(|error| damaged(&format!("not a manifest: {error}")))
    }

    /// Where a file of that digest is, or would be.
    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.shard_path(digest).join(digest.hex())
    }

    /// The directory of that file. One of 256, so that none gets too long to list.
    fn shard_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.inner.blobs.join(hex.get(..2).unwrap_or_default())
    }

    /// Keeps [`remove_unreferenced`](Self::remove_unreferenced) away from a bundle.
    pub(crate) fn lease(&self, digest: Digest) -> Lease {
        *self.inner.held().entry(digest).or_insert(0) += 1;
        Lease {
            store: self.clone(),
            digest,
        }
    }

    /// A new directory for the files of one bundle.
    pub(crate) fn stage(&self) -> Result<Staging, BundleError> {
        self.new_staging()
            .map_err(BundleError::store("creating a staging directory"))
    }

    fn new_staging(&self) -> io::Result<Staging> {
        // Shared with others that unpack, exclusive of a sweep: that would otherwise take a
        // directory that is not locked yet for one that was left behind.
        let area = File::open(&self.inner.staging)?;
        area.lock_shared()?;
        let directory = tempfile::Builder::new()
            .prefix("receive-")
            .permissions(fs::Permissions::from_mode(DIRECTORY_MODE))
            .tempdir_in(&self.inner.staging)?;
        let lock = File::open(directory.path())?;
        lock.lock()?;
        Ok(Staging {
            directory,
            _lock: lock,
        })
    }

    fn remove_stale_staging(&self) -> io::Result<()> {
        let area = File::open(&self.inner.staging)?;
        area.lock()?;
        for left in fs::read_dir(&self.inner.staging)? {
            let path = left?.path();
            // A lock that can be had belongs to a process that is gone.
            let free = File::open(&path)?.try_lock().is_ok();
            if free && path.is_dir() {
                fs::remove_dir_all(&path)?;
            } else if free {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn lock_blobs(&self, mode: LockMode) -> Result<File, BundleError> {
        let lock = || -> io::Result<File> {
            let directory = File::open(&self.inner.blobs)?;
            match mode {
                Shared => directory.lock_shared()?,
                Exclusive => directory.lock()?,
            }
            Ok(directory)
        };
        lock().map_err(BundleError::store("locking the store"))
    }

    /// Moves staged files into place, the manifest last, and waits for the disk in between.
    pub(crate) fn commit(
        &self,
        files: &[StagedFile],
        manifest: &StagedFile,
        placement: Placement,
    ) -> Result<(), BundleError> {
        let _shared = self.lock_blobs(Shared)?;
        // A bundle has one placement: what is apart stays so.
        let placement = match self.placement(&manifest.digest)? {
            Placement::Apart => Placement::Apart,
            Placement::Shared => placement,
        };
        let target = |file: &StagedFile| self.file_path(placement, &manifest.digest, &file.digest);
        let shard = self.shard_path(&manifest.digest);
        let place_all = || -> io::Result<()> {
            let mut folders: HashSet<PathBuf> = files
                .iter()
                .filter_map(|file| target(file).parent().map(Path::to_owned))
                .collect();
            folders.insert(shard.clone());
            for folder in &folders {
                create_directory(folder)?;
            }
            for file in files {
                self.place(file, &target(file))?;
            }
            // Also the directories of files that were there before: the commit that put them
            // there may still be waiting for the disk, and what names them must not be first.
            for above in [&self.inner.blobs, &self.inner.apart] {
                self.sync(above)?;
            }
            for folder in &folders {
                self.sync(folder)?;
            }
            self.place(manifest, &self.blob_path(&manifest.digest))?;
            self.sync(&shard)
        };
        place_all().map_err(BundleError::store("moving a bundle into place"))
    }

    /// Moves one file into place, unless it is there.
    fn place(&self, file: &StagedFile, target: &Path) -> io::Result<()> {
        match fs::metadata(target) {
            // A file of that name and another size is damaged, and we hold a verified copy.
            Ok(found) if found.is_file() && found.len() == file.bytes => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.sync(&file.path)?;
        fs::rename(&file.path, target)
    }

    /// Waits until a file or the names in a directory are on disk.
    fn sync(&self, path: &Path) -> io::Result<()> {
        if self.inner.durable {
            File::open(path)?.sync_all()
        } else {
            Ok(())
        }
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, HashMap<Digest, usize>> {
        // Each change of the map is one call, so it is whole even after a panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy)]
enum LockMode {
    Shared,
    Exclusive,
}
use LockMode::{Exclusive, Shared};

/// Creates a directory that only we can enter, with its parents, unless it is there.
fn create_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
}

/// The directory for the files of one bundle. It goes with this value, with everything that was not moved.
#[derive(Debug)]
pub(crate) struct Staging {
    // Before the lock: fields drop in order, and an unlocked directory may be swept.
    directory: TempDir,
    _lock: File,
}

impl Staging {
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// A complete file in the staging area.
#[derive(Debug)]
pub(crate) struct StagedFile {
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
}

/// While this lives, the bundle is not removed.
#[derive(Debug)]
pub(crate) struct Lease {
    store: Store,
    digest: Digest,
}

impl Lease {
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self.store.inner.held();
        if let Some(count) = held.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.digest);
            }
        }
    }
}

/// A bundle in the store, with all its files in place. While it (or a clone) lives, it is not
/// removed: hold it until whatever refers to the bundle is recorded.
#[derive(Clone, Debug)]
pub struct StoredBundle {
    manifest: Arc<Manifest>,
    files: Arc<[StoredFile]>,
    placement: Placement,
    lease: Arc<Lease>,
}

/// A file of a stored bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// Its name in the bundle.
    pub name: AssetName,
    /// Where its content is. Read it; never write it.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The digest of its content.
    pub digest: Digest,
}

impl StoredBundle {
    pub(crate) fn new(manifest: Manifest, lease: Lease) -> Result<Self, BundleError> {
        let store = lease.store();
        let placement = store.placement(&lease.digest())?;
        let file = |(name, digest): (&AssetName, Digest)| {
            let path = store.file_path(placement, &lease.digest(), &digest);
            match fs::metadata(&path) {
                Ok(found) => Ok(StoredFile {
                    name: name.clone(),
                    path,
                    bytes: found.len(),
                    digest,
                }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let reason = format!("\"{name}\" is missing");
                    Err(BundleError::StoreDamaged { digest, reason })
                }
                Err(error) => Err(BundleError::store("looking for a file")(error)),
            }
        };
        let files = manifest.files().map(file).collect::<Result<_, _>>()?;
        Ok(Self {
            manifest: Arc::new(manifest),
            files,
            placement,
            lease: Arc::new(lease),
        })
    }

    /// What the bundle says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The identity of the bundle.
    pub fn digest(&self) -> Digest {
        self.lease.digest()
    }

    /// The files with examples of what the model answers: `tests/*.toml`, in the order of their
    /// names.
    pub fn examples(&self) -> Vec<&StoredFile> {
        let is_example = |name: &str| {
            let inside = name.strip_prefix(EXAMPLES_FOLDER).unwrap_or_default();
            let inside = inside.strip_prefix('/').unwrap_or_default();
            inside.ends_with(".toml") && !inside.contains('/')
        };
        let is_hidden = |name: &AssetName| !self.manifest.assets().contains_key(name);
        let mut found: Vec<&StoredFile> = self
            .files
            .iter()
            .filter(|file| is_example(file.name.as_str()) && is_hidden(&file.name))
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Where the manifest is, in the text whose digest is the identity of the bundle.
    pub fn manifest_path(&self) -> PathBuf {
        self.lease.store().blob_path(&self.digest())
    }

    /// Where the file is that answers requests: the component or the recording.
    pub fn payload_path(&self) -> PathBuf {
        let payload = self.manifest.payload_digest();
        let store = self.lease.store();
        store.file_path(self.placement, &self.digest(), &payload)
    }

    /// Where the bundle's files are kept.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// The identity of what is compiled of the bundle: equal ones may be compiled once.
    pub fn build_digest(&self) -> Digest {
        self.placement.build_digest(&self.manifest, self.digest())
    }

    /// All files but the manifest.
    pub fn files(&self) -> &[StoredFile] {
        &self.files
    }

    /// The files that the model can read, in the byte order of their names.
    pub fn assets(&self) -> impl Iterator<Item = &StoredFile> {
        self.files
            .iter()
            .filter(|file| self.manifest.assets().contains_key(&file.name))
    }

    /// Bytes of all files together. Files that other bundles share are counted too.
    pub fn stored_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Reads every file and compares its digest.
    ///
    /// # Errors
    /// [`BundleError::StoreDamaged`] for the first file that differs, or a failure of the disk.
    pub fn verify(&self) -> Result<(), BundleError> {
        for file in self.files() {
            let found = File::open(&file.path).and_then(Digest::of_reader);
            let (found, _) = found.map_err(BundleError::store("reading a file"))?;
            if found != file.digest {
                let reason = format!("its content has the digest {found}");
                return Err(BundleError::StoreDamaged {
                    digest: file.digest,
                    reason,
                });
            }
        }
        Ok(())
    }
}
