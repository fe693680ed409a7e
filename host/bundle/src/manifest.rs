//! `model.toml`: what a bundle says about itself. [`Manifest`] is the checked form; its
//! canonical text is what is stored, signed, and hashed into the identity of the bundle.

mod canonical;
mod draft;
mod fields;
mod keys;

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::error::BundleError;
use crate::names::{ModelId, ModelName, ModelVersion};
use crate::path::{AssetName, PathSet};
use crate::signature::Signature;
pub(crate) use draft::Draft;
pub use keys::{
    ManifestKey, ManifestValue, Presence, RequestedLimits, manifest_example, manifest_keys,
};

/// The manifest's path in the archive.
pub const MANIFEST_PATH: &str = "model.toml";

/// The schema that this version reads and writes.
const MANIFEST_SCHEMA: i64 = 1;
const SCHEMAS_KNOWN: &str = "1";

/// What a bundle says about itself, checked: names and digests are well formed, no name is there
/// twice in any spelling, and what answers has a digest.
///
/// Whether the files are there and have these digests is known once a
/// [`CheckedBundle`](crate::CheckedBundle) exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    id: ModelId,
    payload: Payload,
    description: Option<String>,
    license: Option<String>,
    is_private: bool,
    base: Option<ModelId>,
    is_base: bool,
    limits: RequestedLimits,
    requires_examples: bool,
    assets: BTreeMap<AssetName, Digest>,
    digests: BTreeMap<AssetName, Digest>,
    signature: Option<Signature>,
}

/// What of a bundle answers requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A WebAssembly component, which is run.
    Component(AssetName),
    /// What a service has answered, which is said again.
    Recording(AssetName),
}

impl Payload {
    /// Its file in the archive.
    pub fn file(&self) -> &AssetName {
        match self {
            Self::Component(file) | Self::Recording(file) => file,
        }
    }

    /// The key of `model.toml` that names it.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Component(_) => COMPONENT_KEY,
            Self::Recording(_) => RECORDING_KEY,
        }
    }
}

pub(crate) const COMPONENT_KEY: &str = "component";
pub(crate) const RECORDING_KEY: &str = "recording";
pub(crate) const BASE_KEY: &str = "base";
/// The name that the component of a base has in a bundle that is built on it.
pub(crate) const BASE_FILE: &str = "base.wasm";

impl Manifest {
    /// Reads a complete manifest.
    ///
    /// # Errors
    /// One of the `Manifest…` variants, [`BundleError::SchemaUnknown`],
    /// [`BundleError::ComponentDigestMissing`] or a collision of paths.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        Draft::parse(text)?.complete()
    }

    /// The same for bytes, which have to be UTF-8.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and [`BundleError::ManifestNotUtf8`].
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, BundleError> {
        let text = std::str::from_utf8(bytes).map_err(|_| BundleError::ManifestNotUtf8)?;
        Self::parse(text)
    }

    /// Name and version.
    pub fn id(&self) -> &ModelId {
        &self.id
    }

    /// The model's name.
    pub fn name(&self) -> &ModelName {
        &self.id.name
    }

    /// The model's version.
    pub fn version(&self) -> &ModelVersion {
        &self.id.version
    }

    /// What answers requests.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The digest of what answers requests.
    pub fn payload_digest(&self) -> Digest {
        // Checked when the manifest was made; an empty digest fits no file.
        self.digests
            .get(self.payload.file())
            .copied()
            .unwrap_or(Digest::from_bytes([0; 32]))
    }

    /// For people, at most 4 KiB.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// As the author wrote it, usually an SPDX expression.
    pub fn license(&self) -> Option<&str> {
        self.license.as_deref()
    }

    /// Whether the bundle's files are to be kept apart from equal ones of other bundles.
    pub fn is_private(&self) -> bool {
        self.is_private
    }

    /// The base whose component this is, where the bundle is built on one.
    pub fn base(&self) -> Option<&ModelId> {
        self.base.as_ref()
    }

    /// The digest of the component that several bundles are built on: that of a base, and of whoever
    /// is built on one.
    pub fn base_component(&self) -> Option<Digest> {
        (self.is_base || self.base.is_some()).then(|| self.payload_digest())
    }

    /// Whether others may be built on the bundle's component.
    pub fn is_base(&self) -> bool {
        self.is_base
    }

    /// What the model asks for.
    pub fn limits(&self) -> &RequestedLimits {
        &self.limits
    }

    /// Whether it serves only if the examples in its bundle hold.
    pub fn requires_examples(&self) -> bool {
        self.requires_examples
    }

    /// The files that the model can read through its `assets` import.
    pub fn assets(&self) -> &BTreeMap<AssetName, Digest> {
        &self.assets
    }

    /// What answers, and the files that the model cannot read, such as a licence.
    pub fn digests(&self) -> &BTreeMap<AssetName, Digest> {
        &self.digests
    }

    /// The signature, if there is one. That it is there does not mean that it fits.
    pub fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    /// All files but the manifest itself.
    pub fn files(&self) -> impl Iterator<Item = (&AssetName, Digest)> {
        self.digests
            .iter()
            .chain(&self.assets)
            .map(|(name, digest)| (name, *digest))
    }

    /// The digest of a file, or `None` if the manifest does not name it.
    pub fn digest_of(&self, file: &str) -> Option<Digest> {
        self.digests
            .get(file)
            .or_else(|| self.assets.get(file))
            .copied()
    }

    /// The one text of this manifest: keys in a fixed order, values in their shortest exact form.
    /// Parsing it gives an equal manifest.
    pub fn to_canonical(&self) -> String {
        canonical::write(self, true)
    }

    /// What a signature signs: the canonical text without the signature.
    pub fn to_signable(&self) -> String {
        canonical::write(self, false)
    }

    /// The identity of the bundle: the digest of the canonical text. It covers every byte of
    /// every file, because the text has their digests, and the signature.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_canonical().as_bytes())
    }

    /// The identity of what is compiled: the component, the assets under their names, and the
    /// limits that `load` is held to. Bundles that differ in nothing but name, version,
    /// signature, what is said for people, and what one request may spend have the same.
    pub fn build_digest(&self) -> Digest {
        Digest::of(canonical::write_build(self).as_bytes())
    }

    /// The identity of all but the version and the signature: two states of a project with the same
    /// are the same model.
    pub fn digest_without_version(&self) -> Digest {
        let version = "0.0.0".parse();
        let mut plain = self.clone().with_signature(None);
        if let Ok(version) = version {
            plain.id.version = version;
        }
        Digest::of(plain.to_signable().as_bytes())
    }

    /// The same manifest with another signature.
    pub(crate) fn with_signature(mut self, signature: Option<Signature>) -> Self {
        self.signature = signature;
        self
    }

    /// What has to hold between the parts.
    fn check(self) -> Result<Self, BundleError> {
        if self.is_base && (self.is_private || self.base.is_some()) {
            let other = if self.is_private { "private" } else { BASE_KEY };
            return Err(BundleError::ManifestValue {
                key: "is_base".to_owned(),
                reason: format!("a base has a component that others may use, and no `{other}`"),
            });
        }
        if !self.digests.contains_key(self.payload.file()) {
            let path = self.payload.file().to_string();
            return Err(BundleError::ComponentDigestMissing { path });
        }
        // The names are checked here as well as in the archive, so that a manifest alone (in
        // the store, in a project) can be trusted to name each file once.
        let mut paths = PathSet::default();
        let manifest = paths.add_file(MANIFEST_PATH);
        debug_assert!(manifest.is_ok(), "the set was empty");
        for (name, _) in self.files() {
            paths
                .add_file(name.as_str())
                .map_err(|collision| collision.at(name))?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
