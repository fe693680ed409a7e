//! Components that are mapped. Models of one artefact share one mapping: its code, its tables and
//! the image of its memory are in the process once, however many versions run on it.

use crate::{Artefact, LoadError, artefact};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};
use wasmtime::{Engine, component::Component};

/// The mapped components of a sandbox.
#[derive(Default)]
pub(crate) struct Mappings {
    mapped: Mutex<HashMap<MappedFile, Weak<Mapping>>>,
    bytes: Arc<AtomicU64>,
}

/// The file that a component is mapped from: a path, and the file that is there. One that was damaged
/// and made anew is another.
#[derive(PartialEq, Eq, Hash)]
struct MappedFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// A mapped component. It leaves memory with the last model, or run of one, that holds it.
pub(crate) struct Mapping {
    component: Component,
    bytes: u64,
    total: Arc<AtomicU64>,
}

impl Mappings {
    /// The component of an artefact, mapped now or before.
    pub(crate) fn map(
        &self,
        engine: &Engine,
        artefact: &Artefact,
    ) -> Result<Arc<Mapping>, LoadError> {
        let facts = fs::metadata(artefact.path()).map_err(LoadError::Io)?;
        let file = MappedFile {
            path: artefact.path().to_owned(),
            device: facts.dev(),
            inode: facts.ino(),
        };
        let there = self.mapped.lock().get(&file).and_then(Weak::upgrade);
        if let Some(mapping) = there {
            return Ok(mapping);
        }
        let component = artefact::map(engine, artefact)?;
        let mut mapped = self.mapped.lock();
        // Somebody may have been as quick. One of the two is enough.
        if let Some(mapping) = mapped.get(&file).and_then(Weak::upgrade) {
            return Ok(mapping);
        }
        let bytes = artefact.inspection().artefact_bytes;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mapping = Arc::new(Mapping {
            component,
            bytes,
            total: Arc::clone(&self.bytes),
        });
        mapped.retain(|_, mapping| mapping.strong_count() > 0);
        mapped.insert(file, Arc::downgrade(&mapping));
        Ok(mapping)
    }

    /// Bytes of all files that are mapped now.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Mapping {
    pub(crate) fn component(&self) -> &Component {
        &self.component
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
