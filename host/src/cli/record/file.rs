//! Recordings as files: bundles like any other, whose content is what was recorded.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use belljar_bundle::pack::{Content, pack_recording};
use belljar_bundle::{ArchiveLimits, Manifest, ModelId, Payload, SignaturePolicy, Store};
use belljar_testing::recording::{EXCHANGES_FILE, FILE_BYTES_MAX, ModelNames, Recording};

use super::part::{Part, sync_folder};
use super::{Failure, exchanges};

/// Reads a recording, with every check that a server makes of a bundle.
///
/// # Errors
/// Of the arguments: a file that is no recording is the wrong file.
pub(in crate::cli) fn open(path: &Path) -> Result<(ModelId, Recording), Failure> {
    let read = || -> Result<(ModelId, Recording)> {
        let file = File::open(path)?;
        let limits = ArchiveLimits {
            component_bytes_max: FILE_BYTES_MAX,
            ..ArchiveLimits::default()
        };
        let policy = SignaturePolicy::default();
        let checked = Store::temporary()?.unpack(BufReader::new(file), &limits, &policy)?;
        let stored = checked.commit()?;
        let manifest = stored.manifest();
        let Payload::Recording(_) = manifest.payload() else {
            return Err(anyhow!("{} is a model, and no recording", manifest.id()));
        };
        let exchanges = BufReader::new(File::open(stored.payload_path())?);
        let recording = Recording::read(exchanges, ModelNames::Recorded)?;
        Ok((manifest.id().clone(), recording))
    };
    let read = read().with_context(|| format!("{} cannot be used", path.display()));
    read.map_err(Failure::usage)
}

/// Makes the recording of what was recorded, which appears under its name when it is whole, and says
/// for people what it is.
pub(super) fn finish(part: Part, id: ModelId, path: &Path) -> Result<String> {
    if part.exchanges() == 0 {
        part.remove()?;
        return Err(anyhow!("nothing was recorded"));
    }
    let count = exchanges(part.exchanges());
    let manifest = write(&part, id, path, &count).with_context(|| {
        format!(
            "{} cannot be written; what was recorded is in {}, and --resume goes on with it",
            path.display(),
            part.path().display()
        )
    })?;
    let places = match part.places() {
        0 => String::new(),
        1 => ", 1 place scrubbed".to_owned(),
        places => format!(", {places} places scrubbed"),
    };
    part.remove()?;
    Ok(format!(
        "{} recorded into {} ({count}{places})\ndigest  {}",
        manifest.id(),
        path.display(),
        manifest.digest()
    ))
}

fn write(part: &Part, id: ModelId, path: &Path, count: &str) -> Result<Manifest> {
    let folder = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let staging = tempfile::Builder::new()
        .prefix(".belljar-record-")
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    let mut out = BufWriter::new(staging.as_file());
    let content = Content::File(part.path().to_owned());
    let description = Some(format!("A recording of {count}."));
    let file = (EXCHANGES_FILE, &content);
    let manifest = pack_recording(id, file, description, None, &mut out)?;
    out.flush()?;
    drop(out);
    // Temporary files are private; a recording is made to be given away.
    let file = staging.as_file();
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    file.sync_all()?;
    staging
        .persist_noclobber(path)
        .map_err(|error| error.error)?;
    sync_folder(path)?;
    Ok(manifest)
}
