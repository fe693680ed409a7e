//! Makes bundles: from a project folder, or from parts that a program has in hand.
//!
//! The archive is reproducible: the same content gives the same bytes, whoever packs it, when
//! and where. The manifest comes first, so that a server can refuse the rest early.

mod component;
mod folder;
mod recording;
mod sources;
mod within;

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use crate::base::{Base, BaseName};
use crate::digest::{Digest, Hasher};
use crate::error::BundleError;
use crate::manifest::{
    BASE_FILE, BASE_KEY, COMPONENT_KEY, Draft, MANIFEST_PATH, Manifest, RECORDING_KEY,
    RequestedLimits,
};
use crate::names::{ModelId, ModelName, ModelVersion};
use crate::path::AssetName;
use crate::signature::SigningKey;
use component::find_component;
use folder::{folder_assets, folder_examples, listed_assets};
use recording::find_recording;
pub use recording::pack_recording;
pub use sources::SOURCE_ENDINGS;
use sources::sources;

/// The folder of a project, and of its bundle, whose `.toml` files are examples of what the model
/// answers.
pub(crate) const EXAMPLES_FOLDER: &str = "tests";

/// Where the content of a file comes from.
#[derive(Clone, Debug)]
pub enum Content {
    /// A file on disk. It is read twice: for its digest and for the archive.
    File(PathBuf),
    /// Bytes in memory.
    Bytes(Vec<u8>),
}

/// Where the content of a packed file is read from.
enum Origin {
    /// What the caller says, wherever it is.
    Given(Content),
    /// A path in a project folder, which it must not lead out of.
    Project { folder: PathBuf, path: String },
}

/// What a bundle is made of, for [`pack_parts`].
#[derive(Clone, Debug)]
pub struct Parts {
    /// The model's name.
    pub name: ModelName,
    /// The model's version.
    pub version: ModelVersion,
    /// The component; in the archive it is `model.wasm`.
    pub component: Content,
    /// The files that the model can read.
    pub assets: Vec<(AssetName, Content)>,
    /// What the model asks for.
    pub limits: RequestedLimits,
    /// For people.
    pub description: Option<String>,
    /// Usually an SPDX expression.
    pub license: Option<String>,
    /// Whether its files are to be kept apart from equal ones of other bundles.
    pub is_private: bool,
}

impl Parts {
    /// A bundle of a component alone.
    pub fn new(name: ModelName, version: ModelVersion, component: Content) -> Self {
        Self {
            name,
            version,
            component,
            assets: Vec::new(),
            limits: RequestedLimits::default(),
            description: None,
            license: None,
            is_private: false,
        }
    }
}

/// Packs parts into a plain tar and returns the manifest that it has.
///
/// # Errors
/// [`BundleError::ProjectFile`] where a file cannot be read, [`BundleError::ProjectContent`]
/// where it cannot be packed, [`BundleError::OutputFailed`] where `out` fails.
pub fn pack_parts(
    parts: &Parts,
    key: Option<&SigningKey>,
    out: impl Write,
) -> Result<Manifest, BundleError> {
    let component = "model.wasm";
    let draft = Draft {
        id: ModelId {
            name: parts.name.clone(),
            version: parts.version.clone(),
        },
        payload: COMPONENT_KEY,
        payload_file: component.to_owned(),
        description: parts.description.clone(),
        license: parts.license.clone(),
        is_private: parts.is_private,
        base: None,
        is_base: false,
        limits: parts.limits,
        requires_examples: false,
        assets: None,
        digests: BTreeMap::new(),
        signature: None,
    };
    let source = Source::given;
    let files = Files {
        payload: Some((component.parse()?, source(&parts.component))),
        assets: parts
            .assets
            .iter()
            .map(|(name, asset)| (name.clone(), source(asset)))
            .collect(),
        others: Vec::new(),
    };
    write_bundle(draft, files, key, out)
}

/// Makes a component of a core module, or says for a person why that cannot be done.
pub type MakeComponent = fn(&[u8]) -> Result<Vec<u8>, String>;

/// What a component is made into before it is packed; an error is a reason for people.
pub type Remake<'a> = &'a dyn Fn(Vec<u8>) -> Result<Vec<u8>, String>;

/// How a project folder is packed.
#[derive(Clone, Copy, Default)]
pub struct Packing<'a> {
    /// What makes a component of a core module; without it one is refused.
    pub make: Option<MakeComponent>,
    /// What becomes of the component.
    pub remake: Option<Remake<'a>>,
    /// Who signs the bundle.
    pub key: Option<&'a SigningKey>,
    /// The version that the bundle has in place of its project's.
    pub version: Option<&'a ModelVersion>,
    /// The base that a project is packed for which names one.
    pub base: Option<&'a Base>,
}

/// [`pack_folder_with`] nothing that makes components: a core module is refused, and a component
/// stays as it is.
///
/// # Errors
/// As [`pack_folder_with`].
pub fn pack_folder(
    folder: &Path,
    key: Option<&SigningKey>,
    out: impl Write,
) -> Result<Manifest, BundleError> {
    let packing = Packing {
        key,
        ..Packing::default()
    };
    pack_folder_with(folder, &packing, out)
}

/// Packs a project folder into a plain tar and returns the manifest that it has.
///
/// The folder holds a `model.toml` whose digests may be missing. `component` names the wasm file
/// relative to the folder, wherever the build put it; it is packed under its file name. Assets
/// are the files in `assets/`, named relative to it; or, where there is an `[assets]` table,
/// the files it lists, which are looked for in the folder and then in `assets/`. A digest that
/// is written down must fit; an empty text stands for one to compute. Files in `assets/` whose
/// names begin with a dot are passed over. The files `tests/*.toml`, examples of what the model
/// answers, are packed as well. Links are followed as long as they stay in the folder:
/// a project that somebody else wrote must not pack the files of who packs it. A core module
/// becomes the component that `make` makes of it, and a component the one that `remake` does.
///
/// Where the manifest names a `base` in place of a component, the bundle has none: its sources (see
/// [`SOURCE_ENDINGS`]) become assets below `source/`, for the base to run.
///
/// # Errors
/// As [`pack_parts`], and everything that [`Manifest::parse`] reports.
pub fn pack_folder_with(
    folder: &Path,
    packing: &Packing<'_>,
    out: impl Write,
) -> Result<Manifest, BundleError> {
    let text = read_project_manifest(folder)?;
    let mut draft = Draft::parse(&text)?;
    if draft.signature.is_some() {
        return Err(BundleError::ManifestValue {
            key: "signature".to_owned(),
            reason: "remove the table: packing signs the bundle if it is given a key".to_owned(),
        });
    }
    if let Some(version) = packing.version {
        draft.id.version = version.clone();
    }
    let on_base = resolve_base(&mut draft, packing.base)?;
    let payload = match draft.payload {
        RECORDING_KEY => Some(find_recording(folder, &mut draft)?),
        _ if on_base => None,
        _ => {
            let mut component = find_component(folder, &mut draft, packing.make)?;
            if let Some(remake) = packing.remake {
                component.1 = component.1.remade(remake)?;
            }
            Some(component)
        }
    };
    let mut assets = match &draft.assets {
        Some(listed) => listed_assets(folder, listed.keys())?,
        None => folder_assets(folder)?,
    };
    if on_base {
        assets.extend(sources(folder)?);
    }
    let mut others = Vec::new();
    for name in draft
        .digests
        .keys()
        .filter(|name| **name != draft.payload_file)
    {
        let checked: AssetName = name.parse()?;
        let source = Source::file(folder, name);
        others.push((checked, source));
    }
    for (name, source) in folder_examples(folder)? {
        if !others.iter().any(|(other, _)| *other == name) {
            others.push((name, source));
        }
    }
    write_bundle(
        draft,
        Files {
            payload,
            assets,
            others,
        },
        packing.key,
        out,
    )
}

/// Writes the base that a project is packed for into its manifest, and tells whether there is one.
/// A project that has a component of its own is packed with that.
fn resolve_base(draft: &mut Draft, base: Option<&Base>) -> Result<bool, BundleError> {
    let Some(named) = &draft.base else {
        return Ok(false);
    };
    if draft.payload_file != BASE_FILE {
        return Err(BundleError::ManifestValue {
            key: BASE_KEY.to_owned(),
            reason: "a project has a `component` or a `base`, not both".to_owned(),
        });
    }
    let written = draft.digests.get(BASE_FILE).copied().flatten();
    let base = match (base, named.id(), written) {
        (Some(base), ..) => base.clone(),
        // Whoever packs it knows the base.
        (None, Some(id), Some(component)) => Base { id, component },
        (None, ..) => {
            return Err(BundleError::ProjectContent {
                path: MANIFEST_PATH.to_owned(),
                reason: format!(
                    "it is built on the base `{named}` of a server, which has to be asked what that \
                     is: `belljar push` and `belljar dev` do so. To pack it by itself write the \
                     version, `base = \"NAME@VERSION\"`, and the digest of the base's component \
                     as \"{BASE_FILE}\" in [digests]"
                ),
            });
        }
    };
    draft.base = Some(base.id.into());
    draft
        .digests
        .insert(draft.payload_file.clone(), Some(base.component));
    Ok(true)
}

/// The base that a project folder names.
///
/// # Errors
/// As [`Manifest::parse`], and where the file cannot be read.
pub fn project_base(folder: &Path) -> Result<Option<BaseName>, BundleError> {
    Ok(Draft::parse(&read_project_manifest(folder)?)?.base)
}

/// The name and the version that a project folder has.
///
/// # Errors
/// As [`Manifest::parse`], and where the file cannot be read.
pub fn project_id(folder: &Path) -> Result<ModelId, BundleError> {
    Ok(Draft::parse(&read_project_manifest(folder)?)?.id)
}

fn read_project_manifest(folder: &Path) -> Result<String, BundleError> {
    let mut text = String::new();
    let read = within::open(folder, MANIFEST_PATH)
        .and_then(|mut file| file.read_to_string(&mut text))
        .map(|_| text);
    read.map_err(|source| match source.kind() {
        io::ErrorKind::InvalidData => BundleError::ManifestNotUtf8,
        io::ErrorKind::NotFound => BundleError::ProjectFile {
            path: folder.join(MANIFEST_PATH).display().to_string(),
            source,
            hint: "; a project folder has a model.toml with schema, name, version and component",
        },
        _ => BundleError::ProjectFile {
            path: MANIFEST_PATH.to_owned(),
            source,
            hint: "",
        },
    })
}

/// The files of a bundle, with their names in it.
struct Files {
    /// None where it is not in the archive.
    payload: Option<(AssetName, Source)>,
    assets: Vec<(AssetName, Source)>,
    /// Those that the model cannot read.
    others: Vec<(AssetName, Source)>,
}

/// Content, and what to call it in a message.
struct Source {
    shown: String,
    origin: Origin,
}

impl Source {
    fn given(content: &Content) -> Self {
        let shown = match content {
            Content::File(path) => path.display().to_string(),
            Content::Bytes(_) => "a part".to_owned(),
        };
        Self {
            shown,
            origin: Origin::Given(content.clone()),
        }
    }

    fn file(folder: &Path, relative: &str) -> Self {
        Self {
            shown: relative.to_owned(),
            origin: Origin::Project {
                folder: folder.to_owned(),
                path: relative.to_owned(),
            },
        }
    }

    /// A reader, and how many bytes it has.
    fn open(&self) -> io::Result<(Box<dyn Read + '_>, u64)> {
        let file = match &self.origin {
            Origin::Given(Content::Bytes(bytes)) => {
                return Ok((Box::new(Cursor::new(bytes)), bytes.len() as u64));
            }
            Origin::Given(Content::File(path)) => within::open_regular(path)?,
            Origin::Project { folder, path } => within::open(folder, path)?,
        };
        let bytes = file.metadata()?.len();
        Ok((Box::new(file), bytes))
    }

    /// What is made of the content.
    fn remade(&self, remake: Remake<'_>) -> Result<Self, BundleError> {
        let mut bytes = Vec::new();
        self.open()
            .and_then(|(mut reader, _)| reader.read_to_end(&mut bytes))
            .map_err(|source| self.failed(source))?;
        let made = remake(bytes).map_err(|reason| BundleError::ProjectContent {
            path: self.shown.clone(),
            reason,
        })?;
        Ok(Self {
            shown: self.shown.clone(),
            origin: Origin::Given(Content::Bytes(made)),
        })
    }

    fn digest(&self) -> Result<Digest, BundleError> {
        let mut hasher = Hasher::new();
        self.open()
            .and_then(|(mut reader, _)| io::copy(&mut reader, &mut hasher))
            .map_err(|source| self.failed(source))?;
        Ok(hasher.finish())
    }

    fn failed(&self, source: io::Error) -> BundleError {
        BundleError::ProjectFile {
            path: self.shown.clone(),
            source,
            hint: "",
        }
    }
}

/// Computes the digests, completes the manifest, signs it, and writes the archive.
fn write_bundle(
    mut draft: Draft,
    files: Files,
    key: Option<&SigningKey>,
    out: impl Write,
) -> Result<Manifest, BundleError> {
    let mut assets = draft.assets.take().unwrap_or_default();
    for (name, source) in &files.assets {
        let written = assets.get(name).copied().flatten();
        assets.insert(
            name.clone(),
            Some(fitting_digest("assets", name, source, written)?),
        );
    }
    draft.assets = Some(assets);
    for (name, source) in files.others.iter().chain(&files.payload) {
        let written = draft.digests.get(name.as_str()).copied().flatten();
        let digest = fitting_digest("digests", name, source, written)?;
        draft.digests.insert(name.to_string(), Some(digest));
    }
    let mut manifest = draft.complete()?;
    if let Some(key) = key {
        manifest = key.sign(manifest);
    }
    let mut tar = tar::Builder::new(out);
    let text = manifest.to_canonical();
    append(
        &mut tar,
        MANIFEST_PATH,
        text.len() as u64,
        &mut text.as_bytes(),
    )
    .map_err(|source| BundleError::OutputFailed { source })?;
    for (name, source) in files
        .payload
        .iter()
        .chain(&files.others)
        .chain(&files.assets)
    {
        append_source(&mut tar, name, source, &manifest)?;
    }
    tar.into_inner()
        .and_then(|mut out| out.flush())
        .map_err(|source| BundleError::OutputFailed { source })?;
    Ok(manifest)
}

/// The digest of the content, which must be the one that is written down, if one is.
fn fitting_digest(
    table: &str,
    name: &AssetName,
    source: &Source,
    written: Option<Digest>,
) -> Result<Digest, BundleError> {
    let got = source.digest()?;
    match written {
        Some(expected) if expected != got => Err(BundleError::ProjectContent {
            path: source.shown.clone(),
            reason: format!(
                "its digest is {got}, but [{table}] in model.toml says {expected} for \"{name}\": \
                 write \"\" there to have it computed"
            ),
        }),
        _ => Ok(got),
    }
}

fn append_source<W: Write>(
    tar: &mut tar::Builder<W>,
    name: &AssetName,
    source: &Source,
    manifest: &Manifest,
) -> Result<(), BundleError> {
    let (reader, bytes) = source.open().map_err(|error| source.failed(error))?;
    let mut input = Input {
        reader,
        left: bytes,
        hasher: Hasher::new(),
        failed: None,
    };
    let appended = append(tar, name.as_str(), bytes, &mut input);
    if let Some(error) = input.failed {
        return Err(source.failed(error));
    }
    appended.map_err(|source| BundleError::OutputFailed { source })?;
    if manifest.digest_of(name.as_str()) != Some(input.hasher.finish()) {
        return Err(BundleError::ProjectContent {
            path: source.shown.clone(),
            reason: "it changed while it was packed: pack again".to_owned(),
        });
    }
    Ok(())
}

/// A file on its way into the archive: exactly as many bytes as its header says, hashed again
/// because it may have changed since its digest was taken, and with its own failures kept apart
/// from those of the output.
struct Input<'a> {
    reader: Box<dyn Read + 'a>,
    left: u64,
    hasher: Hasher,
    failed: Option<io::Error>,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let buffer = buffer.get_mut(..wanted).unwrap_or_default();
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = match self.reader.read(buffer) {
            Ok(0) => Err(io::Error::other("it became shorter while it was packed")),
            other => other,
        };
        match count {
            Ok(count) => {
                self.left -= count as u64;
                self.hasher.update(buffer.get(..count).unwrap_or_default());
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.failed = Some(error);
                Err(io::Error::other("the input failed"))
            }
        }
    }
}

/// One regular file whose header says nothing about who packed it, when and where.
fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    name: &str,
    bytes: u64,
    content: &mut dyn Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, name, content)
}
