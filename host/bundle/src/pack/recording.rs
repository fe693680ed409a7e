//! Bundles of recordings: of what a program has in hand, and of a project folder.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use super::component::packed_name;
use super::{Content, Files, Source, write_bundle};
use crate::error::BundleError;
use crate::manifest::{Draft, Manifest, RECORDING_KEY, RequestedLimits};
use crate::names::ModelId;
use crate::path::AssetName;
use crate::signature::SigningKey;

/// Packs what a service has answered into a plain tar and returns the manifest that it has. `file`
/// is the name that the content has in the archive.
///
/// # Errors
/// As [`pack_parts`](super::pack_parts).
pub fn pack_recording(
    id: ModelId,
    (file, content): (&str, &Content),
    description: Option<String>,
    key: Option<&SigningKey>,
    out: impl Write,
) -> Result<Manifest, BundleError> {
    let draft = Draft {
        id,
        payload: RECORDING_KEY,
        payload_file: file.to_owned(),
        description,
        license: None,
        is_private: false,
        base: None,
        is_base: false,
        limits: RequestedLimits::default(),
        requires_examples: false,
        assets: None,
        digests: BTreeMap::new(),
        signature: None,
    };
    let files = Files {
        payload: Some((file.parse()?, Source::given(content))),
        assets: Vec::new(),
        others: Vec::new(),
    };
    write_bundle(draft, files, key, out)
}

/// Finds the file of a recording and gives it the name that it has in the archive. What is in it
/// is read by who answers from it.
pub(super) fn find_recording(
    folder: &Path,
    draft: &mut Draft,
) -> Result<(AssetName, Source), BundleError> {
    let source = Source::file(folder, &draft.payload_file);
    Ok((packed_name(draft)?, source))
}
