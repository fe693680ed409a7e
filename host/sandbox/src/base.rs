//! What is compiled of a base: once, for all models that are built on it. Such models have one
//! component and differ in the files that its `load` reads, so that what runs `load` is the same,
//! and what runs afterwards differs in its memory alone.

use crate::{
    CompileError, Inspection,
    artefact::Cache,
    mould::{Parted, replace_filling},
    staged::Staged,
};
use serde::{Deserialize, Serialize};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Address space that `load` of a model on a base has behind its memory. One for all of them,
/// because compiled code fits one alone.
pub(crate) const RESERVATION_BYTES: u64 = 4 << 30;
/// Address space of a compiling process that has room for such a memory, and for what is compiled.
const ADDRESS_SPACE_BYTES_MIN: u64 = 2 * RESERVATION_BYTES;

/// The names under which what is compiled of a base is kept, as
/// [`Compiler::retain`](crate::Compiler::retain) asks for them. A base is known by the digest of its
/// component.
#[must_use]
pub fn base_contents(component: &[u8; 32]) -> [[u8; 32]; 2] {
    [
        blake3::derive_key("belljar 2026-11 base as it runs load", component),
        blake3::derive_key(
            "belljar 2026-11 base with a filling for its memory",
            component,
        ),
    ]
}

/// The task of a compiling process where there is a base.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BaseWork {
    /// To compile the base and no model: the component as it runs `load` into this file, and with a
    /// filling for its memory into that of the result.
    Make(PathBuf),
    /// To compile nothing that is in these files.
    Use(BaseFiles, Box<BaseFacts>),
}

/// The files of a base.
#[derive(Serialize, Deserialize)]
pub(crate) struct BaseFiles {
    /// The component as it runs `load`, compiled.
    pub(crate) loading: PathBuf,
    /// The component as it runs afterwards, compiled, with a filling for its memory.
    pub(crate) mould: PathBuf,
}

impl BaseFiles {
    /// The files for a process that works in another folder.
    fn new(loading: &Path, mould: &Path) -> io::Result<Self> {
        Ok(Self {
            loading: std::path::absolute(loading)?,
            mould: std::path::absolute(mould)?,
        })
    }
}

/// What is known of a base, beside its files.
#[derive(Serialize, Deserialize)]
pub(crate) struct BaseFacts {
    /// That of the base by itself; what of it is a model's own is asked anew.
    pub(crate) inspection: Inspection,
    /// What a component after `load` has to be but for its memory: see [`Parted::skeleton`].
    pub(crate) skeleton: String,
    /// Where the filling begins in the second file.
    pub(crate) filling_at: u64,
}

/// A component after `load`, compiled without compiling it: the mould with the component's memory in
/// the place of the filling. `None` where it differs from the base in more than that.
pub(crate) fn cast(mut mould: Vec<u8>, facts: &BaseFacts, component: &[u8]) -> Option<Vec<u8>> {
    let parted = Parted::of(component)?;
    let fits = parted.skeleton().to_hex().as_str() == facts.skeleton;
    let at = usize::try_from(facts.filling_at).ok()?;
    // It is looked at, whatever the facts say: in any other place there would be code.
    (fits && replace_filling(&mut mould, at, parted.memory())).then_some(mould)
}

/// What is compiled of bases.
pub(crate) struct Bases {
    cache: Arc<Cache>,
    /// One makes what others use: it would cost each of them the whole price.
    making: Arc<Mutex<()>>,
}

/// What is there of a base.
pub(crate) enum Found {
    /// All of it.
    There(BaseWork),
    /// Nothing: these files are to be written, and whoever else wants it waits.
    Missing(MadeBase),
}

/// The files of a base while they are written.
pub(crate) struct MadeBase {
    pub(crate) loading: Staged,
    pub(crate) mould: Staged,
    _turn: OwnedMutexGuard<()>,
}

impl Bases {
    pub(crate) fn new(cache: Arc<Cache>) -> Self {
        Self {
            cache,
            making: Arc::default(),
        }
    }

    /// What is there of a base, waiting for whoever makes it. `None` where a compiling process has
    /// no room for it.
    pub(crate) async fn find(
        &self,
        component: &[u8; 32],
        address_space_bytes: u64,
    ) -> Result<Option<Found>, CompileError> {
        if address_space_bytes < ADDRESS_SPACE_BYTES_MIN {
            return Ok(None);
        }
        if let Some(work) = self.opened(component).await? {
            return Ok(Some(Found::There(work)));
        }
        let turn = Arc::clone(&self.making).lock_owned().await;
        if let Some(work) = self.opened(component).await? {
            return Ok(Some(Found::There(work)));
        }
        let staged = || Staged::new(self.cache.staging_path());
        let made = || -> io::Result<MadeBase> {
            Ok(MadeBase {
                loading: staged()?,
                mould: staged()?,
                _turn: turn,
            })
        };
        let made = made().map_err(|error| CompileError::host("the files of a base", error))?;
        Ok(Some(Found::Missing(made)))
    }

    async fn opened(&self, component: &[u8; 32]) -> Result<Option<BaseWork>, CompileError> {
        let (cache, component) = (Arc::clone(&self.cache), *component);
        tokio::task::spawn_blocking(move || open(&cache, &component))
            .await
            .map_err(|error| CompileError::host("opening a base", error))
    }

    /// Seals what was made of a base, and gives it to be used.
    pub(crate) async fn keep(
        &self,
        component: &[u8; 32],
        made: MadeBase,
        facts: Box<BaseFacts>,
    ) -> Result<BaseWork, CompileError> {
        let (cache, component) = (Arc::clone(&self.cache), *component);
        let kept = tokio::task::spawn_blocking(move || -> io::Result<_> {
            let [loading, mould] = base_contents(&component);
            // The second comes with what is known of both, and is looked for first.
            let loading = cache.seal_file(&loading, made.loading.path(), String::new())?;
            let told = serde_json::to_string(&facts)?;
            let mould = cache.seal_file(&mould, made.mould.path(), told)?;
            Ok(BaseWork::Use(BaseFiles::new(&loading, &mould)?, facts))
        });
        kept.await
            .map_err(|error| CompileError::host("sealing a base", error))?
            .map_err(|error| CompileError::host("sealing a base", error))
    }
}

fn open(cache: &Cache, component: &[u8; 32]) -> Option<BaseWork> {
    let [loading, mould] = base_contents(component);
    let (mould, facts) = cache.open_file(&mould)?;
    let facts = serde_json::from_str(&facts).ok()?;
    let (loading, _) = cache.open_file(&loading)?;
    let files = BaseFiles::new(&loading, &mould).ok()?;
    Some(BaseWork::Use(files, Box::new(facts)))
}
