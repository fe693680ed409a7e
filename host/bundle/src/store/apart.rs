//! Bundles whose files are kept apart from equal ones of all others.
//!
//! Where a file is shared, its second upload need not be waited for, its second reader finds it
//! in memory, and what is compiled of it is there already: whoever sends a file can tell by the
//! time that takes whether somebody else has it. Nothing of a bundle that is kept apart is found by
//! another, so nothing about it can be told.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::PathBuf;

use super::Store;
use crate::digest::Digest;
use crate::error::BundleError;
use crate::manifest::Manifest;

/// Where the files of a bundle are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// With those of all bundles: equal files are one.
    Shared,
    /// In a folder of the bundle's own.
    Apart,
}

impl Placement {
    /// The identity of what is compiled of a bundle that is kept so.
    pub fn build_digest(self, manifest: &Manifest, bundle: Digest) -> Digest {
        match self {
            Self::Shared => manifest.build_digest(),
            Self::Apart => bundle,
        }
    }
}

/// What is compiled of some bundles.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    /// The identities of what is compiled of each.
    pub builds: BTreeSet<Digest>,
    /// The components of bases among them, and of those that they are built on.
    pub base_components: BTreeSet<Digest>,
}

impl Store {
    /// Where the files of a bundle are kept, or would be if it were committed without a word about
    /// it.
    pub(super) fn placement(&self, bundle: &Digest) -> Result<Placement, BundleError> {
        match fs::metadata(self.apart_path(bundle)) {
            Ok(_) => Ok(Placement::Apart),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Placement::Shared),
            Err(error) => Err(BundleError::store("looking for a bundle")(error)),
        }
    }

    /// The folder of a bundle that is kept apart.
    fn apart_path(&self, bundle: &Digest) -> PathBuf {
        self.inner.apart.join(bundle.hex())
    }

    /// Where a file of a bundle is, or would be.
    pub(super) fn file_path(
        &self,
        placement: Placement,
        bundle: &Digest,
        file: &Digest,
    ) -> PathBuf {
        match placement {
            Placement::Shared => self.blob_path(file),
            Placement::Apart => self.apart_path(bundle).join(file.hex()),
        }
    }

    /// What is compiled of these bundles. Of a digest that is not stored nothing is.
    ///
    /// # Errors
    /// [`BundleError::StoreDamaged`] if a manifest cannot be read, or a failure of the disk.
    pub fn compiled_of<'a>(
        &self,
        bundles: impl IntoIterator<Item = &'a Digest>,
    ) -> Result<Compiled, BundleError> {
        let mut compiled = Compiled::default();
        for bundle in bundles {
            match self.read_manifest(bundle) {
                Ok(manifest) => {
                    let placement = self.placement(bundle)?;
                    let build = placement.build_digest(&manifest, *bundle);
                    compiled.builds.insert(build);
                    compiled.base_components.extend(manifest.base_component());
                }
                Err(BundleError::BundleUnknown { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(compiled)
    }

    /// Removes the folders of bundles that are not needed, and returns how many bytes they had.
    pub(super) fn sweep_apart(&self, needed: &HashSet<Digest>) -> io::Result<u64> {
        let mut freed = 0;
        for folder in fs::read_dir(&self.inner.apart)? {
            let folder = folder?;
            let name = folder.file_name();
            let bundle = name
                .to_str()
                .and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok());
            // Not ours: something that a person or a file system put there.
            let Some(bundle) = bundle.filter(|_| folder.path().is_dir()) else {
                continue;
            };
            if needed.contains(&bundle) {
                continue;
            }
            for file in fs::read_dir(folder.path())? {
                freed += file?.metadata()?.len();
            }
            fs::remove_dir_all(folder.path())?;
        }
        Ok(freed)
    }
}
