//! Project folders on their way into bundles.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result};
use belljar_bundle::pack::{Remake, pack_folder_with};
use belljar_bundle::{Manifest, SigningKey};

use super::component::make_component;

/// Packs a project folder; a core module in it becomes a component on the way, and then what
/// `remake` makes of it.
pub(super) fn pack_project(
    folder: &Path,
    remake: Option<Remake<'_>>,
    key: Option<&SigningKey>,
    out: impl Write,
) -> Result<Manifest> {
    pack_folder_with(folder, Some(make_component), remake, key, out)
        .with_context(|| format!("{} cannot be packed", folder.display()))
}
