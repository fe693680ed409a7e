//! Compiled components on disk, and the proof that the host itself wrote them.
//!
//! Mapping a compiled component runs whatever machine code is in the file. So each one is kept
//! in a folder that only the host writes, with a MAC under a key of the data directory, and
//! nothing is mapped before its MAC has been checked. A client can never send one: what it
//! uploads is always compiled anew.

use crate::{AssetFile, Inspection, LoadError};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};
use wasmtime::{Engine, component::Component};

/// Raised when the form of the files or what goes into a snapshot changes.
const FORMAT: u32 = 4;
/// Bytes of the key.
const KEY_BYTES: usize = 32;

/// The key of the MACs. Never leaves the host's process.
#[derive(Clone)]
pub struct MacKey([u8; KEY_BYTES]);

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(…)")
    }
}

impl MacKey {
    /// Reads the key, or makes one, readable by its owner alone.
    ///
    /// # Errors
    /// When the file can be neither read nor made, or holds something else.
    pub fn open(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => <[u8; KEY_BYTES]>::try_from(bytes)
                .map(Self)
                .map_err(|bytes| {
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!(
                            "{} has {} bytes, not {KEY_BYTES}",
                            path.display(),
                            bytes.len()
                        ),
                    )
                }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key: [u8; KEY_BYTES] = rand::random();
                let folder = path.parent().unwrap_or(Path::new("."));
                let mut file = tempfile::Builder::new()
                    .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
                    .tempfile_in(folder)?;
                file.write_all(&key)?;
                file.as_file().sync_all()?;
                file.persist(path).map_err(|error| error.error)?;
                File::open(folder)?.sync_all()?;
                Ok(Self(key))
            }
            Err(error) => Err(error),
        }
    }

    /// The key that follows from a secret of the operator's.
    #[must_use]
    pub fn derived(secret: &str) -> Self {
        Self(blake3::derive_key(
            "belljar 2026-11 MAC of compiled models",
            secret.as_bytes(),
        ))
    }

    fn mac(
        &self,
        label: &[u8],
        inspection: &[u8],
        compiled: &mut File,
    ) -> io::Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in [label, inspection] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update_reader(compiled)?;
        Ok(hasher.finalize())
    }
}

/// Whether a compiled file has a seal beside it that is right under that key, whichever engine it
/// is for.
#[must_use]
pub fn is_sealed(path: &Path, key: &MacKey) -> bool {
    let checked = || -> Option<bool> {
        // The content and the engine, as the label has them.
        let (content, engine) = path.file_stem()?.to_str()?.split_once('.')?;
        let label = format!("{content} {engine}");
        let seal: Seal =
            serde_json::from_slice(&fs::read(path.with_extension("seal")).ok()?).ok()?;
        let mut file = File::open(path).ok()?;
        let mac = key.mac(label.as_bytes(), seal.inspection.as_bytes(), &mut file);
        Some(mac.ok()? == blake3::Hash::from_hex(&seal.mac).ok()?)
    };
    checked().unwrap_or(false)
}

/// A compiled model whose MAC has been checked.
#[derive(Clone, Debug)]
pub struct Artefact {
    path: PathBuf,
    inspection: Inspection,
    assets: Vec<AssetFile>,
}

impl Artefact {
    /// What was found out about it.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn assets(&self) -> &[AssetFile] {
        &self.assets
    }

    /// One that the child process has just written, not yet sealed.
    pub(crate) fn unsealed(path: PathBuf, inspection: Inspection, assets: Vec<AssetFile>) -> Self {
        Self {
            path,
            inspection,
            assets,
        }
    }
}

/// Maps an artefact into an engine.
pub(crate) fn map(engine: &Engine, artefact: &Artefact) -> Result<Component, LoadError> {
    map_file(engine, &artefact.path).map_err(|error| LoadError::Engine(format!("{error:#}")))
}

/// Maps a compiled component whose seal the host has checked, or which it has just had written.
pub(crate) fn map_file(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    #[expect(unsafe_code, reason = "the one place where compiled code is mapped")]
    // SAFETY: the file was written by this host's own compiler and nobody else. The path of an
    // `Artefact` comes from `Cache::open`, which has checked the MAC under the data directory's
    // key, or from `Compiler::compile`, for a file that the child process has just written under a
    // random name. That of a base's file comes from `Cache::open_file`, which has checked it in the
    // same way. All lie in a folder of mode 0700 that no request can name a path in.
    unsafe {
        Component::deserialize_file(engine, path)
    }
}

/// The folder of sealed artefacts.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    key: MacKey,
    /// Artefacts of another engine are as good as absent.
    engine_id: String,
}

/// What stands beside a compiled file.
#[derive(Serialize, Deserialize)]
struct Seal {
    /// JSON text of the [`Inspection`], or of what is known of a base, kept as text because the MAC
    /// is over its bytes.
    inspection: String,
    mac: String,
}

impl Cache {
    pub(crate) fn new(folder: PathBuf, key: MacKey, engine: &Engine) -> io::Result<Self> {
        let cache = Self {
            folder,
            key,
            engine_id: engine_id(engine),
        };
        fs::create_dir_all(&cache.folder)?;
        fs::set_permissions(
            &cache.folder,
            std::os::unix::fs::PermissionsExt::from_mode(0o700),
        )?;
        // What an earlier process left half done.
        for entry in fs::read_dir(&cache.folder)? {
            let entry = entry?;
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(STAGING_PREFIX)
            {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(cache)
    }

    /// The folder of artefacts that several processes write, made when there is something to put
    /// in.
    pub(crate) fn of_others(folder: PathBuf, key: MacKey, engine: &Engine) -> Self {
        Self {
            folder,
            key,
            engine_id: engine_id(engine),
        }
    }

    /// Takes in an artefact that lies elsewhere and whose MAC was checked.
    pub(crate) fn copy_in(&self, content: &[u8; 32], artefact: &Artefact) -> io::Result<Artefact> {
        let staging = self.staging_path();
        fs::copy(&artefact.path, &staging)?;
        let path = staging.clone();
        let sealed = self.seal(
            content,
            Artefact {
                path,
                ..artefact.clone()
            },
        );
        if sealed.is_err() {
            let _ = fs::remove_file(&staging);
        }
        sealed
    }

    /// Takes in an artefact for other processes, and removes the oldest of those there are too
    /// many of.
    pub(crate) fn share(&self, content: &[u8; 32], artefact: &Artefact) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        self.copy_in(content, artefact)?;
        self.prune(SHARED_BYTES_MAX)
    }

    fn prune(&self, bytes_max: u64) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let facts = entry.metadata()?;
            files.push((facts.modified()?, facts.len(), entry.path()));
        }
        files.sort_unstable();
        let mut bytes: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in files {
            if bytes <= bytes_max {
                break;
            }
            // Another process may have removed it.
            let _ = fs::remove_file(path);
            bytes = bytes.saturating_sub(length);
        }
        Ok(())
    }

    fn compiled_path(&self, content: &[u8; 32]) -> PathBuf {
        self.folder
            .join(format!("{}.{}.cwasm", hex::encode(content), self.engine_id))
    }

    fn seal_path(&self, content: &[u8; 32]) -> PathBuf {
        self.compiled_path(content).with_extension("seal")
    }

    /// A name that nothing has yet.
    pub(crate) fn staging_path(&self) -> PathBuf {
        self.folder
            .join(format!("{STAGING_PREFIX}{:032x}", rand::random::<u128>()))
    }

    /// The artefact of a content, if there is one whose MAC is right.
    pub(crate) fn open(&self, content: &[u8; 32], assets: &[AssetFile]) -> Option<Artefact> {
        let (path, inspection) = self.open_file(content)?;
        let inspection = serde_json::from_str(&inspection).ok()?;
        Some(Artefact {
            path,
            inspection,
            assets: assets.to_vec(),
        })
    }

    /// The compiled file of a content and what was sealed with it, if its MAC is right.
    pub(crate) fn open_file(&self, content: &[u8; 32]) -> Option<(PathBuf, String)> {
        let path = self.compiled_path(content);
        let seal: Seal = serde_json::from_slice(&fs::read(self.seal_path(content)).ok()?).ok()?;
        let mut file = File::open(&path).ok()?;
        let mac = self
            .key
            .mac(
                self.label(content).as_bytes(),
                seal.inspection.as_bytes(),
                &mut file,
            )
            .ok()?;
        let written = blake3::Hash::from_hex(&seal.mac).ok()?;
        // `blake3::Hash` compares in constant time.
        if mac != written {
            tracing::error!(path = %path.display(), "a compiled model was changed on disk; it is not used");
            return None;
        }
        Some((path, seal.inspection))
    }

    fn label(&self, content: &[u8; 32]) -> String {
        format!("{} {}", hex::encode(content), self.engine_id)
    }

    /// Gives an artefact that was just written its seal and its name.
    pub(crate) fn seal(&self, content: &[u8; 32], artefact: Artefact) -> io::Result<Artefact> {
        let inspection = serde_json::to_string(&artefact.inspection)?;
        let path = self.seal_file(content, &artefact.path, inspection)?;
        Ok(Artefact { path, ..artefact })
    }

    /// Gives a compiled file that was just written its seal and its name. The seal comes last: a
    /// compiled file without one is never looked at.
    pub(crate) fn seal_file(
        &self,
        content: &[u8; 32],
        written: &Path,
        inspection: String,
    ) -> io::Result<PathBuf> {
        let mut file = File::open(written)?;
        let mac = self.key.mac(
            self.label(content).as_bytes(),
            inspection.as_bytes(),
            &mut file,
        )?;
        file.sync_all()?;
        let path = self.compiled_path(content);
        fs::rename(written, &path)?;
        let staging = self.staging_path();
        let mut seal = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&staging)?;
        seal.write_all(&serde_json::to_vec(&Seal {
            inspection,
            mac: mac.to_hex().to_string(),
        })?)?;
        seal.sync_all()?;
        fs::rename(&staging, self.seal_path(content))?;
        File::open(&self.folder)?.sync_all()?;
        Ok(path)
    }

    /// Deletes what `keep` refuses, whatever engine it is for; returns the bytes freed.
    pub(crate) fn retain(&self, keep: impl Fn(&[u8; 32]) -> bool) -> io::Result<u64> {
        let mut freed = 0;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let mut content = [0; 32];
            let is_kept = name
                .to_str()
                .and_then(|name| name.split('.').next())
                .is_some_and(|digits| {
                    hex::decode_to_slice(digits, &mut content).is_ok() && keep(&content)
                });
            if !is_kept && !name.to_string_lossy().starts_with(STAGING_PREFIX) {
                freed += entry.metadata()?.len();
                fs::remove_file(entry.path())?;
            }
        }
        Ok(freed)
    }
}

const STAGING_PREFIX: &str = "staging-";

/// Bytes of the artefacts that processes keep for one another.
const SHARED_BYTES_MAX: u64 = 2 << 30;

/// What tells the artefacts of one engine from those of another.
pub(crate) fn engine_id(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    FORMAT.hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capability, wit::tensors};

    fn inspection() -> Inspection {
        Inspection {
            capabilities: [Capability::Tensors].into_iter().collect(),
            determinism: crate::Determinism::default(),
            tensors: Some(tensors::MetadataInfo {
                inputs: vec![tensors::TensorInfo {
                    name: "x".into(),
                    datatype: tensors::Datatype::Bf16,
                    shape: vec![-1, 3],
                }],
                outputs: vec![],
            }),
            memories: 1,
            memory_bytes_initial: 65536,
            tables: 1,
            table_elements_initial: 4,
            snapshot: false,
            snapshot_digest: None,
            load: None,
            artefact_bytes: 8,
        }
    }

    fn sealed() -> (tempfile::TempDir, Cache, [u8; 32]) {
        let folder = tempfile::tempdir().unwrap();
        let key = MacKey::open(&folder.path().join("key")).unwrap();
        let cache = Cache::new(folder.path().join("compiled"), key, &Engine::default()).unwrap();
        let content = [7; 32];
        let path = cache.staging_path();
        fs::write(&path, b"compiled").unwrap();
        cache
            .seal(&content, Artefact::unsealed(path, inspection(), vec![]))
            .unwrap();
        (folder, cache, content)
    }

    #[test]
    fn what_was_sealed_is_found_as_it_was() {
        let (_folder, cache, content) = sealed();
        let found = cache.open(&content, &[]).unwrap();
        assert_eq!(found.inspection(), &inspection());
        assert!(cache.open(&[8; 32], &[]).is_none());
    }

    #[test]
    fn a_changed_file_seal_or_name_is_not_opened() {
        let (_folder, cache, content) = sealed();
        let compiled = cache.compiled_path(&content);
        fs::write(&compiled, b"Compiled").unwrap();
        assert!(cache.open(&content, &[]).is_none());
        fs::write(&compiled, b"compiled").unwrap();
        assert!(cache.open(&content, &[]).is_some());

        let seal = fs::read_to_string(cache.seal_path(&content)).unwrap();
        fs::write(cache.seal_path(&content), seal.replace("65536", "65537")).unwrap();
        assert!(cache.open(&content, &[]).is_none());

        // Another content's files under this name.
        let other = [8; 32];
        fs::write(cache.seal_path(&content), &seal).unwrap();
        fs::copy(cache.seal_path(&content), cache.seal_path(&other)).unwrap();
        fs::copy(&compiled, cache.compiled_path(&other)).unwrap();
        assert!(cache.open(&other, &[]).is_none());
    }

    #[test]
    fn another_key_opens_nothing() {
        let (folder, cache, content) = sealed();
        let key = MacKey::open(&folder.path().join("other")).unwrap();
        let stranger = Cache { key, ..cache };
        assert!(stranger.open(&content, &[]).is_none());
    }

    #[test]
    fn the_key_is_kept_and_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let first = MacKey::open(&path).unwrap();
        assert_eq!(first.0, MacKey::open(&path).unwrap().0);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(format!("{first:?}"), "MacKey(…)");
        fs::write(&path, b"short").unwrap();
        assert!(MacKey::open(&path).is_err());
    }

    #[test]
    fn artefacts_of_others_are_taken_in_whole_and_the_oldest_go_first() {
        let (folder, cache, content) = sealed();
        let key = MacKey::open(&folder.path().join("key")).unwrap();
        let shared = Cache::of_others(folder.path().join("shared"), key, &Engine::default());
        let other = [9; 32];
        assert!(shared.open(&other, &[]).is_none());
        let artefact = cache.open(&content, &[]).unwrap();
        shared.share(&other, &artefact).unwrap();
        let theirs = shared.open(&other, &[]).unwrap();
        let taken = cache.copy_in(&[10; 32], &theirs).unwrap();
        assert_eq!(taken.inspection(), &inspection());
        assert!(cache.open(&[10; 32], &[]).is_some());
        shared.prune(0).unwrap();
        assert!(shared.open(&other, &[]).is_none());
    }

    #[test]
    fn retain_deletes_the_others_and_counts_their_bytes() {
        let (_folder, cache, content) = sealed();
        assert_eq!(cache.retain(|kept| *kept == content).unwrap(), 0);
        assert!(cache.retain(|_| false).unwrap() > 8);
        assert!(cache.open(&content, &[]).is_none());
    }
}
