//! Every file of the data directory: against its digest, its seal, the rows and its mode.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use belljar_bundle::{Digest, Manifest, Placement};
use belljar_sandbox::{MacKey, base_contents, is_sealed};

use super::rows::SIGNING_ROOT;
use super::{Action, Check, Examined, Expected, Finding, FsckError};
use crate::auth::SIGNING_ROOT_SIZES;
use crate::db::is_open_to_others;

/// Where stored files are.
const BLOBS: &str = "bundles/blobs/sha256";
/// Where those of bundles are that are kept apart, in a folder each.
const APART: &str = "bundles/blobs/apart";
/// Where uploads are unpacked.
const STAGING: &str = "bundles/staging";
/// Where compiled models are.
const ARTEFACTS: &str = "artefacts";
/// Files and folders that only the server's user has a use for.
const PRIVATE: [&str; 13] = [
    "belljar.db",
    "belljar.db-wal",
    "belljar.db-shm",
    "directory.json",
    "admin.key",
    "signing.key",
    "receipts.key",
    "artefacts.key",
    "audit.head",
    "audit.log",
    "lock",
    "bundles",
    ARTEFACTS,
];
/// What is written under another name first, or put aside for a moment.
const HALF_DONE: [&str; 8] = [
    "admin.key.new",
    "signing.key.new",
    "receipts.key.new",
    "backup.db.new",
    "backup.db.new-journal",
    "directory.json.new",
    "audit.head.new",
    "server.json.new",
];
/// Bytes of a manifest that is read whole.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;

/// Looks at all files. What no row names is only told of where all rows could be read.
pub(super) fn examine(
    root: &Path,
    expected: Option<&Expected>,
    mac_key: Option<&MacKey>,
    examined: &mut Examined,
) -> Result<(), FsckError> {
    let mut files = Files {
        root,
        examined,
        blobs: BTreeMap::new(),
        apart: BTreeMap::new(),
        builds: BTreeSet::new(),
        is_known: false,
    };
    files.half_done()?;
    files.blobs()?;
    files.apart()?;
    if let Some(expected) = expected {
        files.versions(expected)?;
        files.signing_root(expected);
    }
    files.artefacts(mac_key)?;
    for name in PRIVATE {
        files.modes(&root.join(name))?;
    }
    files.modes_of_one(root)
}

struct Files<'a> {
    root: &'a Path,
    examined: &'a mut Examined,
    /// The stored files that are what they are called.
    blobs: BTreeMap<Digest, PathBuf>,
    /// The same of each bundle that is kept apart.
    apart: BTreeMap<Digest, BTreeMap<Digest, PathBuf>>,
    /// The identities of what is compiled of the versions that there are, and of their bases.
    builds: BTreeSet<Digest>,
    /// Whether these and the stored files are all that versions have.
    is_known: bool,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> FsckError {
    let path = path.to_owned();
    move |source| FsckError::File { path, source }
}

/// What is in a folder, by name; nothing where it is not there.
fn entries(folder: &Path) -> Result<Vec<DirEntry>, FsckError> {
    let read = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(failed(folder))?,
    };
    let mut entries = read
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed(folder))?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

impl Files<'_> {
    /// The name below the data directory.
    fn named(&self, path: &Path) -> String {
        let below = path.strip_prefix(self.root).unwrap_or(path);
        below.display().to_string()
    }

    fn add(&mut self, check: Check, path: &Path, detail: impl Into<String>, action: Action) {
        let finding = Finding::new(check, self.named(path), detail);
        self.examined.add(finding.to(action));
    }

    fn half_done(&mut self) -> Result<(), FsckError> {
        for name in HALF_DONE {
            let path = self.root.join(name);
            if path.symlink_metadata().is_ok() {
                self.leftover(&path);
            }
        }
        for entry in entries(&self.root.join(STAGING))? {
            self.leftover(&entry.path());
        }
        Ok(())
    }

    fn leftover(&mut self, path: &Path) {
        let action = Action::Delete(path.to_owned());
        self.add(
            Check::Leftover,
            path,
            "a process that ended has left it half done",
            action,
        );
    }

    /// Reads every stored file.
    fn blobs(&mut self) -> Result<(), FsckError> {
        for shard in entries(&self.root.join(BLOBS))? {
            let name = shard.file_name();
            let name = name
                .to_str()
                .filter(|name| is_hex(name, 2))
                .map(str::to_owned);
            let is_folder = shard.file_type().map_err(failed(&shard.path()))?.is_dir();
            let Some(prefix) = name.filter(|_| is_folder) else {
                self.strange(&shard.path());
                continue;
            };
            for blob in entries(&shard.path())? {
                self.blob(&prefix, &blob)?;
            }
        }
        Ok(())
    }

    /// Reads every stored file of bundles that are kept apart.
    fn apart(&mut self) -> Result<(), FsckError> {
        for folder in entries(&self.root.join(APART))? {
            let path = folder.path();
            let is_folder = folder.file_type().map_err(failed(&path))?.is_dir();
            let Some(bundle) = digest_of_name(&folder).filter(|_| is_folder) else {
                self.strange(&path);
                continue;
            };
            let mut files = BTreeMap::new();
            for blob in entries(&path)? {
                files.extend(self.sound("", &blob)?);
            }
            self.apart.insert(bundle, files);
        }
        Ok(())
    }

    fn blob(&mut self, shard: &str, blob: &DirEntry) -> Result<(), FsckError> {
        let sound = self.sound(shard, blob)?;
        self.blobs.extend(sound);
        Ok(())
    }

    /// A stored file whose name begins as it should, if its content is what it is called.
    fn sound(
        &mut self,
        shard: &str,
        blob: &DirEntry,
    ) -> Result<Option<(Digest, PathBuf)>, FsckError> {
        let path = blob.path();
        let digest = digest_of_name(blob).filter(|digest| digest.hex().starts_with(shard));
        let is_file = blob.file_type().map_err(failed(&path))?.is_file();
        let Some(digest) = digest.filter(|_| is_file) else {
            self.strange(&path);
            return Ok(None);
        };
        let found = File::open(&path).and_then(Digest::of_reader);
        let (found, bytes) = found.map_err(failed(&path))?;
        self.examined.files = self.examined.files.saturating_add(1);
        self.examined.bytes = self.examined.bytes.saturating_add(bytes);
        if found == digest {
            return Ok(Some((digest, path)));
        }
        let told = format!("its content has the digest {found}");
        self.add(Check::BlobDamaged, &path, told, Action::Set(path.clone()));
        Ok(None)
    }

    fn strange(&mut self, path: &Path) {
        let action = Action::Set(path.to_owned());
        self.add(Check::FileStrange, path, "no server makes it", action);
    }

    /// Holds versions and stored files against each other.
    fn versions(&mut self, expected: &Expected) -> Result<(), FsckError> {
        let mut unnamed = self.blobs.clone();
        let mut unnamed_folders = self.apart.clone();
        // Where a manifest cannot be read, nobody can say what belongs to it.
        let mut is_known = expected.is_complete;
        for version in &expected.versions {
            let manifest = match self.blobs.get(&version.digest) {
                Some(path) => manifest(path).map_err(failed(path))?,
                None => None,
            };
            unnamed.remove(&version.digest);
            unnamed_folders.remove(&version.digest);
            let missing = match &manifest {
                Some(manifest) => {
                    let files: Vec<_> = manifest.files().collect();
                    let (placement, stored) = match self.apart.get(&version.digest) {
                        Some(apart) => (Placement::Apart, apart),
                        None => (Placement::Shared, &self.blobs),
                    };
                    if placement == Placement::Shared {
                        for (_, digest) in &files {
                            unnamed.remove(digest);
                        }
                    }
                    let build = placement.build_digest(manifest, version.digest);
                    self.builds.insert(build);
                    if let Some(component) = manifest.base_component() {
                        let of_base = base_contents(component.as_bytes());
                        self.builds.extend(of_base.map(Digest::from_bytes));
                    }
                    let missing = files.iter().find(|(_, it)| !stored.contains_key(it));
                    missing.map(|(name, digest)| format!("\"{name}\" ({digest})"))
                }
                None => Some(format!("its manifest ({})", version.digest)),
            };
            is_known &= manifest.is_some() || version.has_failed;
            if let Some(missing) = missing.filter(|_| !version.has_failed) {
                let told = format!("{missing} is missing or damaged");
                let change = fail(&version.id.name, &version.id.version.to_string());
                let finding = Finding::new(Check::BundleMissing, version.id.to_string(), told);
                self.examined.add(finding.to(Action::Change(change)));
            }
        }
        if is_known {
            let folders = unnamed_folders.values().flat_map(BTreeMap::values);
            for path in unnamed.values().chain(folders) {
                let action = Action::Set(path.clone());
                self.add(Check::BlobUnreferenced, path, "no version names it", action);
            }
        }
        self.is_known = is_known;
        Ok(())
    }

    fn signing_root(&mut self, expected: &Expected) {
        let path = self.root.join(SIGNING_ROOT);
        let bytes = fs::metadata(&path).map_or(0, |facts| facts.len());
        if expected.has_signers && !SIGNING_ROOT_SIZES.contains(&bytes) {
            let told = format!("keys sign, and it has {bytes} bytes");
            let finding = Finding::new(Check::KeyFileWrong, SIGNING_ROOT, told);
            self.examined.add(finding);
        }
    }

    /// Looks at compiled models. All of them can be made anew.
    fn artefacts(&mut self, mac_key: Option<&MacKey>) -> Result<(), FsckError> {
        for entry in entries(&self.root.join(ARTEFACTS))? {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            self.examined.files = self.examined.files.saturating_add(1);
            if name.starts_with("staging-") {
                self.leftover(&path);
                continue;
            }
            let hex = name.split('.').next().unwrap_or_default();
            let content = format!("sha256:{hex}").parse::<Digest>().ok();
            let delete = Action::Delete(path.clone());
            let is_of_none = match &content {
                None => true,
                Some(content) => self.is_known && !self.builds.contains(content),
            };
            if is_of_none {
                self.add(
                    Check::ArtefactUnreferenced,
                    &path,
                    "it is of no version",
                    delete,
                );
            } else if path.extension().is_some_and(|it| it == "cwasm")
                && mac_key.is_some_and(|key| !is_sealed(&path, key))
            {
                let told = "it has no seal, or another content than the seal says";
                self.add(Check::ArtefactDamaged, &path, told, delete);
            }
        }
        Ok(())
    }

    /// Looks whether others can get at a file, or at a folder and all that is in it.
    fn modes(&mut self, path: &Path) -> Result<(), FsckError> {
        let Ok(facts) = path.symlink_metadata() else {
            return Ok(());
        };
        if facts.is_symlink() {
            return Ok(());
        }
        self.modes_of_one(path)?;
        if facts.is_dir() {
            for entry in entries(path)? {
                self.modes(&entry.path())?;
            }
        }
        Ok(())
    }

    fn modes_of_one(&mut self, path: &Path) -> Result<(), FsckError> {
        let facts = path.symlink_metadata().map_err(failed(path))?;
        let mode = facts.permissions().mode() & 0o7777;
        // A folder that nobody else may enter keeps all that is in it.
        let is_inside = path != self.root && !facts.is_dir();
        if is_open_to_others(mode) && !(is_inside && is_kept(path)) {
            let wanted = if facts.is_dir() { 0o700 } else { 0o600 };
            let action = Action::Close(path.to_owned(), wanted);
            self.add(
                Check::OpenToOthers,
                path,
                format!("its mode is {mode:04o}"),
                action,
            );
        }
        Ok(())
    }
}

/// Whether the folder that a file is in lets nobody else in. Compilers and unpackers make files with
/// the modes of the process there.
fn is_kept(path: &Path) -> bool {
    let folder = path.parent().and_then(|folder| folder.metadata().ok());
    folder.is_some_and(|folder| !is_open_to_others(folder.permissions().mode()))
}

/// The digest that a file or folder is named after.
fn digest_of_name(entry: &DirEntry) -> Option<Digest> {
    let name = entry.file_name();
    format!("sha256:{}", name.to_str()?).parse().ok()
}

/// A manifest, where a stored file is one.
fn manifest(path: &Path) -> io::Result<Option<Manifest>> {
    let mut text = Vec::new();
    File::open(path)?
        .take(MANIFEST_BYTES_MAX)
        .read_to_end(&mut text)?;
    Ok(Manifest::parse_bytes(&text).ok())
}

fn is_hex(text: &str, digits: usize) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == digits && text.bytes().all(is_hex)
}

/// The change that marks a version as failed, as a server does that finds its files damaged. Names
/// and versions hold no quotes.
fn fail(name: &belljar_bundle::ModelName, version: &str) -> String {
    format!(
        "UPDATE model_versions SET state = 'failed', failure_code = 'files_damaged', \
         failure_message = 'files of this version are missing or damaged: upload it again' \
         WHERE name = '{name}' AND version = '{version}'"
    )
}
