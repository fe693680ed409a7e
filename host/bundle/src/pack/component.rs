//! The component of a project folder: where it is, what it is called in a bundle, and what is told
//! where there is none.

use std::io::{self, Read as _};
use std::path::Path;

use super::{MakeComponent, Source};
use crate::error::BundleError;
use crate::manifest::Draft;
use crate::path::AssetName;

/// Finds the component's file and gives it the name that it has in the archive.
pub(super) fn find_component(
    folder: &Path,
    draft: &mut Draft,
    make: Option<MakeComponent>,
) -> Result<(AssetName, Source), BundleError> {
    let written = draft.payload_file.clone();
    let mut source = Source::file(folder, &written);
    let content = |reason: &str| BundleError::ProjectContent {
        path: written.clone(),
        reason: reason.to_owned(),
    };
    let mut magic = [0; 8];
    source
        .open()
        .and_then(|(mut reader, _)| reader.read_exact(&mut magic))
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => content("it is too short to be a component"),
            _ => BundleError::ProjectFile {
                path: written.clone(),
                source: error,
                hint: build_hint(folder, &written),
            },
        })?;
    match magic {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0] => {}
        [0, b'a', b's', b'm', 1, 0, 0, 0] => {
            let Some(make) = make else {
                return Err(content(
                    "it is a core WebAssembly module, not a component: build it for \
                     wasm32-wasip2, or make a component of it with: wasm-tools component new",
                ));
            };
            source = source.remade(&|core| {
                make(&core).map_err(|reason| {
                    format!(
                        "it is a core WebAssembly module, and no component can be made of it: \
                         {reason}"
                    )
                })
            })?;
        }
        _ => return Err(content("it is not a WebAssembly component")),
    }
    Ok((packed_name(draft)?, source))
}

/// The name of a project's file without its folders, under which it is packed.
pub(super) fn packed_name(draft: &mut Draft) -> Result<AssetName, BundleError> {
    let written = draft.payload_file.clone();
    let name = Path::new(&written)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let name: AssetName = name.parse()?;
    // The digest may be written under either name.
    if let Some(digest) = draft.digests.remove(&written) {
        draft.digests.insert(name.to_string(), digest);
    }
    draft.payload_file = name.to_string();
    Ok(name)
}

/// What makes a component that is not there, as far as the project shows what it is written in.
fn build_hint(folder: &Path, component: &str) -> &'static str {
    let has = |name: &str| folder.join(name).exists();
    if has("Cargo.toml") || component.contains("wasm32-wasi") {
        "; build the component first, for example with: \
         cargo build --release --target wasm32-wasip2"
    } else if has("Makefile") {
        "; build the component first, for example with: make"
    } else if has("package.json") {
        "; build the component first, for example with: npm run build"
    } else if has("pyproject.toml") || has("app.py") {
        "; build the component first, for example with: componentize-py componentize"
    } else {
        "; build the component first"
    }
}
