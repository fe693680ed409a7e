//! Reads `model.toml` key by key. A [`Draft`] may leave digests open, as the file in a project
//! folder does before packing; [`Draft::complete`] makes a [`Manifest`] of one that leaves none.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::fields::{
    in_value, parse_text, refuse_unknown, require, subtable, text_of, under, wrong_type,
};
use super::keys::{DESCRIPTION_BYTES_MAX, LICENSE_BYTES_MAX, known_in};
use super::{
    BASE_FILE, BASE_KEY, COMPONENT_KEY, MANIFEST_SCHEMA, Manifest, Payload, RECORDING_KEY,
    RequestedLimits, SCHEMAS_KNOWN,
};
use crate::base::BaseName;
use crate::digest::Digest;
use crate::error::BundleError;
use crate::names::{ModelId, ModelName, ModelVersion};
use crate::path::AssetName;
use crate::signature::Signature;
use crate::text::quotable;

/// A manifest on its way in.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) id: ModelId,
    /// The key of what answers: `component` or `recording`.
    pub(crate) payload: &'static str,
    /// A path in the archive, or, in a project, any path relative to the project's folder.
    pub(crate) payload_file: String,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) is_private: bool,
    pub(crate) base: Option<BaseName>,
    pub(crate) is_base: bool,
    pub(crate) limits: RequestedLimits,
    pub(crate) requires_examples: bool,
    /// `None` where there is no such table; a file without a digest has an empty text.
    pub(crate) assets: Option<BTreeMap<AssetName, Option<Digest>>>,
    /// The same. The name of what answers in a project need not be one of an archive, so these
    /// are checked by `complete`.
    pub(crate) digests: BTreeMap<String, Option<Digest>>,
    pub(crate) signature: Option<Signature>,
}

impl Draft {
    pub(crate) fn parse(text: &str) -> Result<Self, BundleError> {
        let table: Table = text.parse().map_err(|error| syntax(text, &error))?;
        // The schema first: a file of another time has other keys, and "unknown key" would
        // send its author looking in the wrong place.
        let schema = require(&table, "schema")?;
        let schema = schema
            .as_integer()
            .ok_or_else(|| wrong_type("schema", "an integer", schema))?;
        if schema != MANIFEST_SCHEMA {
            return Err(BundleError::SchemaUnknown {
                got: schema,
                known: SCHEMAS_KNOWN,
            });
        }
        refuse_unknown(&table, "", &known_in(""))?;
        let name: ModelName = parse_text("name", require(&table, "name")?)?;
        let version: ModelVersion = parse_text("version", require(&table, "version")?)?;
        let payload = match table.get(RECORDING_KEY) {
            None => COMPONENT_KEY,
            Some(_) if table.contains_key(COMPONENT_KEY) => {
                return Err(BundleError::ManifestValue {
                    key: RECORDING_KEY.to_owned(),
                    reason: "a bundle has a `component` or a `recording`, not both".to_owned(),
                });
            }
            Some(_) => RECORDING_KEY,
        };
        let base: Option<BaseName> = match table.get(BASE_KEY) {
            Some(_) if payload == RECORDING_KEY => {
                return Err(BundleError::ManifestValue {
                    key: BASE_KEY.to_owned(),
                    reason: "a recording is not run, and has none".to_owned(),
                });
            }
            Some(base) => Some(parse_text(BASE_KEY, base)?),
            None => None,
        };
        let payload_file = match table.get(payload) {
            None if base.is_some() => BASE_FILE.to_owned(),
            None => {
                return Err(BundleError::ManifestMissingKey {
                    key: payload.to_owned(),
                    instead: "; `recording` or `base` can stand in its place",
                });
            }
            Some(file) => text_of(payload, file)?.to_owned(),
        };
        let draft = Self {
            id: ModelId { name, version },
            payload,
            payload_file,
            description: prose(&table, "description", DESCRIPTION_BYTES_MAX)?,
            license: prose(&table, "license", LICENSE_BYTES_MAX)?,
            is_private: switch("private", table.get("private"))?,
            base,
            is_base: switch("is_base", table.get("is_base"))?,
            limits: match subtable(&table, "limits")? {
                Some(limits) => RequestedLimits::read(limits)?,
                None => RequestedLimits::default(),
            },
            requires_examples: match subtable(&table, "examples")? {
                Some(examples) => {
                    refuse_unknown(examples, "examples", &known_in("examples"))?;
                    switch("examples.required", examples.get("required"))?
                }
                None => false,
            },
            assets: match subtable(&table, "assets")? {
                Some(assets) => Some(
                    assets
                        .iter()
                        .map(asset)
                        .collect::<Result<_, BundleError>>()?,
                ),
                None => None,
            },
            digests: match subtable(&table, "digests")? {
                Some(digests) => digests
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), digest("digests", name, value)?)))
                    .collect::<Result<_, BundleError>>()?,
                None => BTreeMap::new(),
            },
            signature: match subtable(&table, "signature")? {
                Some(signature) => Some(read_signature(signature)?),
                None => None,
            },
        };
        draft.check_payload()?;
        Ok(draft)
    }

    /// A recording is not run: nothing limits it, and nothing reads files beside it.
    fn check_payload(&self) -> Result<(), BundleError> {
        let has_assets = self
            .assets
            .as_ref()
            .is_some_and(|assets| !assets.is_empty());
        let key = if has_assets {
            "assets"
        } else if self.limits != RequestedLimits::default() {
            "limits"
        } else {
            return Ok(());
        };
        if self.payload == COMPONENT_KEY {
            return Ok(());
        }
        Err(BundleError::ManifestValue {
            key: key.to_owned(),
            reason: "a recording is not run, and has none".to_owned(),
        })
    }

    /// A manifest, if every digest is there.
    pub(crate) fn complete(self) -> Result<Manifest, BundleError> {
        let file: AssetName = in_value(self.payload, self.payload_file.parse())?;
        let payload = match self.payload {
            RECORDING_KEY => Payload::Recording(file),
            _ => Payload::Component(file),
        };
        let base = match &self.base {
            None => None,
            Some(base) => Some(base.id().ok_or_else(|| {
                BundleError::ManifestValue {
                    key: BASE_KEY.to_owned(),
                    reason: "a bundle says which version of its base it is built on: NAME@VERSION"
                        .to_owned(),
                }
            })?),
        };
        let mut assets = BTreeMap::new();
        for (name, digest) in self.assets.unwrap_or_default() {
            let digest = digest.ok_or_else(|| open_digest("assets", name.as_str()))?;
            assets.insert(name, digest);
        }
        let mut digests = BTreeMap::new();
        for (name, digest) in self.digests {
            let digest = digest.ok_or_else(|| open_digest("digests", &name))?;
            digests.insert(in_value(&under("digests", &name), name.parse())?, digest);
        }
        Manifest {
            id: self.id,
            payload,
            description: self.description,
            license: self.license,
            is_private: self.is_private,
            base,
            is_base: self.is_base,
            limits: self.limits,
            requires_examples: self.requires_examples,
            assets,
            digests,
            signature: self.signature,
        }
        .check()
    }
}

fn asset((name, value): (&String, &Value)) -> Result<(AssetName, Option<Digest>), BundleError> {
    let checked = in_value(&under("assets", name), name.parse())?;
    Ok((checked, digest("assets", name, value)?))
}

/// A digest, or `None` for an empty text.
fn digest(table: &str, name: &str, value: &Value) -> Result<Option<Digest>, BundleError> {
    let key = under(table, name);
    match text_of(&key, value)? {
        "" => Ok(None),
        text => in_value(&key, text.parse()).map(Some),
    }
}

fn open_digest(table: &str, name: &str) -> BundleError {
    BundleError::ManifestValue {
        key: under(table, name),
        reason: "the digest is empty: pack the project folder to compute it".to_owned(),
    }
}

fn read_signature(table: &Table) -> Result<Signature, BundleError> {
    refuse_unknown(table, "signature", &known_in("signature"))?;
    let field = |key: &str| {
        let full = under("signature", key);
        let value = table
            .get(key)
            .ok_or_else(|| BundleError::ManifestMissingKey {
                key: full.clone(),
                instead: "",
            })?;
        text_of(&full, value).map(|text| (full.clone(), text))
    };
    let (key_name, key) = field("key")?;
    let (value_name, value) = field("value")?;
    Ok(Signature {
        key: in_value(&key_name, key.parse())?,
        value: in_value(&value_name, value.parse())?,
    })
}

/// A switch, which is off where there is none.
fn switch(key: &str, value: Option<&Value>) -> Result<bool, BundleError> {
    match value {
        None => Ok(false),
        Some(Value::Boolean(is_on)) => Ok(*is_on),
        Some(other) => Err(wrong_type(key, "`true` or `false`", other)),
    }
}

/// Text for people: bounded, and without characters that could forge a line of a log.
fn prose(table: &Table, key: &str, bytes_max: usize) -> Result<Option<String>, BundleError> {
    let Some(value) = table.get(key) else {
        return Ok(None);
    };
    let text = text_of(key, value)?;
    let refuse = |reason: String| BundleError::ManifestValue {
        key: key.to_owned(),
        reason,
    };
    if text.len() > bytes_max {
        return Err(refuse(format!(
            "{} bytes: at most {bytes_max} are allowed",
            text.len()
        )));
    }
    if text
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        return Err(refuse("control characters are not allowed".to_owned()));
    }
    Ok(Some(text.to_owned()))
}

fn syntax(text: &str, error: &toml::de::Error) -> BundleError {
    let before = error
        .span()
        .and_then(|span| text.get(..span.start))
        .unwrap_or_default();
    let line = 1 + before.matches('\n').count();
    // The parser has no other mark for it than its words; a test holds it to them.
    if error.message().contains("duplicate key") {
        return BundleError::ManifestDuplicateKey { line };
    }
    let column = 1 + before.chars().rev().take_while(|c| *c != '\n').count();
    BundleError::ManifestSyntax {
        line,
        column,
        reason: quotable(error.message()),
    }
}
