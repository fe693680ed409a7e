//! Project folders on their way into bundles.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use belljar_bundle::pack::{Packing, Remake, pack_folder_with};
use belljar_bundle::{Base, BundleError, Manifest, ModelVersion, SigningKey};

use super::component::make_component;

/// Packs a project folder; a core module in it becomes a component on the way, and then what
/// `remake` makes of it.
pub(super) fn pack_project(
    folder: &Path,
    remake: Option<Remake<'_>>,
    key: Option<&SigningKey>,
    out: impl Write,
) -> Result<Manifest> {
    let packing = Packing {
        remake,
        key,
        ..Packing::default()
    };
    packed(folder, packing, out)
}

/// Packs a project folder for a server that has its base, if it names one, and as another version
/// than it says where one is given.
pub(super) fn pack_project_for(
    folder: &Path,
    base: Option<&Base>,
    version: Option<&ModelVersion>,
    out: impl Write,
) -> Result<Manifest> {
    let packing = Packing {
        base,
        version,
        ..Packing::default()
    };
    packed(folder, packing, out)
}

fn packed(folder: &Path, packing: Packing<'_>, out: impl Write) -> Result<Manifest> {
    let packing = Packing {
        make: Some(make_component),
        ..packing
    };
    pack_folder_with(folder, &packing, out).map_err(|error| match error {
        // It says so itself.
        BundleError::ProjectContent { .. } | BundleError::ProjectFile { .. } => error.into(),
        error => {
            anyhow::Error::new(error).context(format!("{} cannot be packed", folder.display()))
        }
    })
}
