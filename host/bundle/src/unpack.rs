//! From a sender's stream to a [`CheckedBundle`]: every file is hashed while it is written to
//! the staging area, held against the manifest, and nothing is visible until a commit.
//!
//! Memory stays bounded whatever is sent: a buffer, the manifest, and the names of the files.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use crate::archive::{Archive, Entry, is_companion};
use crate::base::BaseError;
use crate::digest::{Digest, Hasher};
use crate::error::BundleError;
use crate::limits::ArchiveLimits;
use crate::manifest::{MANIFEST_PATH, Manifest};
use crate::names::ModelId;
use crate::path::{AssetName, shown};
use crate::signature::SignaturePolicy;
use crate::store::{Lease, Placement, StagedFile, Staging, Store, StoredBundle};

/// Content goes from the stream to the disk in pieces of this size.
const COPY_BUFFER_BYTES: usize = 128 << 10;

/// Proof that a bundle has passed every check. It is on disk but not visible; dropping it
/// removes it, [`commit`](Self::commit) keeps it.
#[derive(Debug)]
pub struct CheckedBundle {
    manifest: Manifest,
    signed_by: Option<String>,
    compressed_bytes: u64,
    unpacked_bytes: u64,
    passed_over: Vec<String>,
    files: Vec<StagedFile>,
    staged_manifest: StagedFile,
    // Before the lease: the staged files go while the store is still there.
    staging: Staging,
    lease: Lease,
}

impl CheckedBundle {
    /// What the bundle says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The identity of the bundle: see [`Manifest::digest`].
    pub fn digest(&self) -> Digest {
        self.lease.digest()
    }

    /// The name of the trusted key that signed it, if one did.
    pub fn signed_by(&self) -> Option<&str> {
        self.signed_by.as_deref()
    }

    /// Bytes of the archive as it was sent.
    pub fn compressed_bytes(&self) -> u64 {
        self.compressed_bytes
    }

    /// Bytes of the tar that it unpacks to.
    pub fn unpacked_bytes(&self) -> u64 {
        self.unpacked_bytes
    }

    /// The files of the archive that are no part of the bundle and were passed over, since no
    /// sender means to send them: what macOS puts beside files. Their names are safe to print.
    pub fn passed_over(&self) -> &[String] {
        &self.passed_over
    }

    /// Makes the bundle visible in its store. When this returns, it is on disk: a power cut
    /// cannot take it away. Committing content that is there already changes nothing.
    ///
    /// # Errors
    /// A failure of the disk. The bundle is not visible then.
    pub fn commit(self) -> Result<StoredBundle, BundleError> {
        let placement = if self.manifest.is_private() {
            Placement::Apart
        } else {
            Placement::Shared
        };
        self.commit_to(placement)
    }

    /// [`commit`](Self::commit), with the files in a folder of the bundle's own, whatever its
    /// manifest says.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn commit_apart(self) -> Result<StoredBundle, BundleError> {
        self.commit_to(Placement::Apart)
    }

    fn commit_to(self, placement: Placement) -> Result<StoredBundle, BundleError> {
        self.lease
            .store()
            .commit(&self.files, &self.staged_manifest, placement)?;
        drop(self.staging);
        StoredBundle::new(self.manifest, self.lease)
    }
}

/// Runs every check on an archive without keeping it: the same code as [`Store::unpack`], with
/// a store in the temporary directory that goes with the value returned.
///
/// # Errors
/// As [`Store::unpack`].
pub fn check(
    body: impl Read,
    limits: &ArchiveLimits,
    policy: &SignaturePolicy,
) -> Result<CheckedBundle, BundleError> {
    Store::temporary()?.unpack(body, limits, policy)
}

/// Looks for a base among the bundles of a server.
pub type FindBase<'a> = &'a dyn Fn(&ModelId) -> Option<StoredBundle>;

impl Store {
    /// Reads an archive to its end, checking everything about it on the way, into the staging
    /// area. It blocks on `body` and on the disk; a body that stalls is the caller's to cut off.
    ///
    /// # Errors
    /// The first thing that is wrong. [`BundleError::is_host_fault`] says whether it is ours,
    /// [`BundleError::SenderBroke`] is what `body` itself reported. Nothing is left behind.
    pub fn unpack(
        &self,
        body: impl Read,
        limits: &ArchiveLimits,
        policy: &SignaturePolicy,
    ) -> Result<CheckedBundle, BundleError> {
        self.unpack_on(body, limits, policy, &|_| None)
    }

    /// [`unpack`](Self::unpack), where a bundle may be built on a base that `find_base` finds. The
    /// base's component is taken for that of the bundle.
    ///
    /// # Errors
    /// As [`unpack`](Self::unpack).
    pub fn unpack_on(
        &self,
        body: impl Read,
        limits: &ArchiveLimits,
        policy: &SignaturePolicy,
        find_base: FindBase<'_>,
    ) -> Result<CheckedBundle, BundleError> {
        let mut unpacker = Unpacker {
            archive: Archive::new(body, limits)?,
            limits,
            policy,
            staging: self.stage()?,
            buffer: vec![0; COPY_BUFFER_BYTES].into_boxed_slice(),
            files: BTreeMap::new(),
            staged: 0,
            manifest: None,
            misplaced_manifest: None,
            passed_over: Vec::new(),
        };
        unpacker
            .take_all()
            .map_err(|error| error.at(unpacker.archive.place()))?;
        unpacker.take_base(find_base)?;
        unpacker.finish(self)
    }
}

struct Unpacker<'a, R: Read> {
    archive: Archive<'a, R>,
    limits: &'a ArchiveLimits,
    policy: &'a SignaturePolicy,
    staging: Staging,
    buffer: Box<[u8]>,
    files: BTreeMap<AssetName, StagedFile>,
    /// Files written to the staging area, those passed over later included.
    staged: u64,
    /// With the name of the trusted key that signed it.
    manifest: Option<(Manifest, Option<String>)>,
    misplaced_manifest: Option<String>,
    passed_over: Vec<String>,
}

impl<R: Read> Unpacker<'_, R> {
    fn take_all(&mut self) -> Result<(), BundleError> {
        while let Some(entry) = self.archive.next_file()? {
            self.take(entry)?;
        }
        Ok(())
    }

    fn take(&mut self, entry: Entry) -> Result<(), BundleError> {
        if entry.name.as_str() == MANIFEST_PATH {
            return self.take_manifest(entry.size);
        }
        if entry
            .name
            .as_str()
            .rsplit_once('/')
            .is_some_and(|(_, file)| file == MANIFEST_PATH)
        {
            self.misplaced_manifest
                .get_or_insert_with(|| shown(&entry.name));
        }
        // Where the manifest came first, as it does from our own packer, a file that nobody
        // asked for is refused before it is written.
        if let Some((manifest, _)) = &self.manifest {
            if is_foreign(manifest, &entry.name) {
                self.passed_over.push(shown(&entry.name));
                return Ok(());
            }
            check_named(manifest, &entry.name)?;
            check_component_size(manifest, &entry.name, entry.size, self.limits)?;
        }
        let staged = self.write(&entry)?;
        if let Some((manifest, _)) = &self.manifest {
            check_digest(manifest, &entry.name, staged.digest)?;
        }
        self.files.insert(entry.name, staged);
        Ok(())
    }

    fn take_manifest(&mut self, size: u64) -> Result<(), BundleError> {
        let limit = self.limits.manifest_bytes_max;
        if size > limit {
            return Err(BundleError::ManifestTooLarge { bytes: size, limit });
        }
        let mut text = Vec::new();
        loop {
            let count = self.archive.read(&mut self.buffer)?;
            if count == 0 {
                break;
            }
            text.extend_from_slice(self.buffer.get(..count).unwrap_or_default());
        }
        let manifest = Manifest::parse_bytes(&text)?;
        let signed_by = self.policy.check(&manifest)?.map(str::to_owned);
        for (name, _) in self
            .files
            .extract_if(.., |name, _| is_foreign(&manifest, name))
        {
            self.passed_over.push(shown(&name));
        }
        for (name, staged) in &self.files {
            check_named(&manifest, name)?;
            check_component_size(&manifest, name, staged.bytes, self.limits)?;
            check_digest(&manifest, name, staged.digest)?;
        }
        self.manifest = Some((manifest, signed_by));
        Ok(())
    }

    /// Writes a file to the staging area under a number: its own name never reaches the disk.
    fn write(&mut self, entry: &Entry) -> Result<StagedFile, BundleError> {
        let path = self.staging.path().join(self.staged.to_string());
        self.staged += 1;
        let mut file = create(&path)?;
        let mut hasher = Hasher::new();
        loop {
            let count = self.archive.read(&mut self.buffer)?;
            let piece = self.buffer.get(..count).unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            hasher.update(piece);
            file.write_all(piece)
                .map_err(BundleError::store("writing a staged file"))?;
        }
        Ok(StagedFile {
            path,
            digest: hasher.finish(),
            bytes: entry.size,
        })
    }

    /// Holds a bundle against the base that it names, and takes the component from there if the
    /// archive has none.
    fn take_base(&mut self, find_base: FindBase<'_>) -> Result<(), BundleError> {
        let Some((manifest, _)) = &self.manifest else {
            return Ok(());
        };
        let Some(id) = manifest.base() else {
            return Ok(());
        };
        let base = find_base(id).ok_or_else(|| BaseError::Unknown { base: id.clone() })?;
        let (expected, got) = (manifest.payload_digest(), base.manifest().payload_digest());
        if !base.manifest().is_base() {
            return Err(BaseError::NotOffered { base: id.clone() }.into());
        }
        if expected != got {
            let base = id.clone();
            return Err(BaseError::Differs {
                base,
                expected,
                got,
            }
            .into());
        }
        let name = manifest.payload().file();
        if self.files.contains_key(name) {
            return Ok(());
        }
        let path = self.staging.path().join(self.staged.to_string());
        self.staged += 1;
        // One file under two names, unless the store lies on several file systems.
        let from = base.payload_path();
        let linked = fs::hard_link(&from, &path);
        linked
            .or_else(|_| fs::copy(&from, &path).map(|_| ()))
            .map_err(BundleError::store("taking the component of a base"))?;
        let bytes = fs::metadata(&path)
            .map_err(BundleError::store("taking the component of a base"))?
            .len();
        let staged = StagedFile {
            path,
            digest: got,
            bytes,
        };
        self.files.insert(name.clone(), staged);
        Ok(())
    }

    fn finish(self, store: &Store) -> Result<CheckedBundle, BundleError> {
        let Some((manifest, signed_by)) = self.manifest else {
            return Err(BundleError::ManifestMissing {
                found: self.misplaced_manifest,
            });
        };
        if let Some((name, _)) = manifest
            .files()
            .find(|(name, _)| !self.files.contains_key(*name))
        {
            return Err(BundleError::FileMissing { path: shown(name) });
        }
        // Readers that know no extension see these names, and must not take one for another file.
        for stand_in in self.archive.stand_ins() {
            let name = stand_in.name.as_str();
            if name == MANIFEST_PATH || manifest.digest_of(name).is_some() {
                let error = BundleError::HeadersDisagree {
                    path: shown(&stand_in.file),
                    field: "path",
                    header: shown(&stand_in.name),
                };
                return Err(error.at(&stand_in.place));
            }
        }
        let text = manifest.to_canonical();
        let digest = Digest::of(text.as_bytes());
        let path = self.staging.path().join(MANIFEST_PATH);
        create(&path)?
            .write_all(text.as_bytes())
            .map_err(BundleError::store("writing the manifest"))?;
        Ok(CheckedBundle {
            signed_by,
            compressed_bytes: self.archive.compressed_bytes(),
            unpacked_bytes: self.archive.unpacked_bytes(),
            passed_over: self.passed_over,
            files: self.files.into_values().collect(),
            staged_manifest: StagedFile {
                path,
                digest,
                bytes: text.len() as u64,
            },
            staging: self.staging,
            lease: store.lease(digest),
            manifest,
        })
    }
}

/// A new file that only we can read.
fn create(path: &std::path::Path) -> Result<File, BundleError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(BundleError::store("creating a staged file"))
}

/// Whether the file is what macOS adds by itself, and the manifest does not ask for it.
fn is_foreign(manifest: &Manifest, name: &AssetName) -> bool {
    is_companion(name.as_str()) && manifest.digest_of(name.as_str()).is_none()
}

fn check_named(manifest: &Manifest, name: &AssetName) -> Result<(), BundleError> {
    match manifest.digest_of(name.as_str()) {
        Some(_) => Ok(()),
        None => Err(BundleError::FileUnnamed { path: shown(name) }),
    }
}

fn check_component_size(
    manifest: &Manifest,
    name: &AssetName,
    bytes: u64,
    limits: &ArchiveLimits,
) -> Result<(), BundleError> {
    let limit = limits.component_bytes_max;
    if name == manifest.payload().file() && bytes > limit {
        return Err(BundleError::ComponentTooLarge {
            payload: manifest.payload().key(),
            path: shown(name),
            bytes,
            limit,
        });
    }
    Ok(())
}

fn check_digest(manifest: &Manifest, name: &AssetName, got: Digest) -> Result<(), BundleError> {
    match manifest.digest_of(name.as_str()) {
        Some(expected) if expected == got => Ok(()),
        Some(expected) => Err(BundleError::DigestMismatch {
            path: shown(name),
            expected,
            got,
        }),
        None => Err(BundleError::FileUnnamed { path: shown(name) }),
    }
}
