//! The one list of the keys of `model.toml`: [`manifest_keys`]. The reader refuses by it what it
//! does not know, and the reference page is written from it; [`RequestedLimits`] and everything
//! about a single limit follow from the list of limits.

use std::fmt;

use toml::{Table, Value};

use super::fields::{in_value, refuse_unknown, under, wrong_type};
use super::{BASE_KEY, MANIFEST_SCHEMA};
use crate::error::BundleError;
use crate::names::{ModelName, ModelVersion};
use crate::units::{ByteSize, DurationText, Fuel};

/// One key of `model.toml`.
#[derive(Clone, Copy, Debug)]
pub struct ManifestKey {
    /// The table that the key stands in; empty for the top level.
    pub table: &'static str,
    /// The key. [`ManifestKey::ANY_FILE`] where it is the name of a file.
    pub name: &'static str,
    /// What stands behind it.
    pub value: ManifestValue,
    /// Whether it has to be there.
    pub presence: Presence,
    /// The meaning, in a sentence or two.
    pub doc: &'static str,
    /// A value in TOML, as a project folder could have it; empty where it has none.
    pub example: &'static str,
    /// The setting of a server that decides where the manifest is silent, if there is one.
    pub default_setting: Option<&'static str>,
    /// The settings of a server that bound the value.
    pub bound_settings: &'static [&'static str],
}

/// Who has to write a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Every manifest has it.
    Needed,
    /// A manifest may have it.
    Optional,
    /// `belljar pack` writes it, and no project has it.
    Packed,
    /// A manifest may have it in place of the key before it.
    Instead,
}

/// What may stand behind a key. `Display` says it to an author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of what they hold")]
pub enum ManifestValue {
    Schema,
    Name,
    Version,
    File,
    Prose { bytes_max: usize },
    Switch,
    Amount(&'static str),
    Digest,
    PublicKey,
    Signature,
    Base,
}

impl ManifestKey {
    /// The name of a key that is itself the name of a file.
    pub const ANY_FILE: &'static str = "PATH";

    /// The key with its table: `limits.memory`.
    #[must_use]
    pub fn full_name(&self) -> String {
        match (self.table, self.name) {
            ("", name) => name.to_owned(),
            (table, Self::ANY_FILE) => format!("{table}.\"{}\"", Self::ANY_FILE),
            (table, name) => format!("{table}.{name}"),
        }
    }

    const fn top(name: &'static str, value: ManifestValue, doc: &'static str) -> Self {
        Self {
            table: "",
            name,
            value,
            presence: Presence::Needed,
            doc,
            example: "",
            default_setting: None,
            bound_settings: &[],
        }
    }

    const fn in_table(self, table: &'static str) -> Self {
        Self { table, ..self }
    }

    const fn presence(self, presence: Presence) -> Self {
        Self { presence, ..self }
    }

    const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    const fn bound_by(self, bound_settings: &'static [&'static str]) -> Self {
        Self {
            bound_settings,
            ..self
        }
    }
}

impl fmt::Display for ManifestValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema => write!(f, "the number {MANIFEST_SCHEMA}"),
            Self::Name => write!(
                f,
                "1 to {} of `a-z`, `0-9`, `.`, `_` and `-`, a letter or a digit first",
                ModelName::BYTES_MAX
            ),
            Self::Version => write!(
                f,
                "a semantic version such as `1.0.0` or `2.1.0-rc.1`, up to {} bytes",
                ModelVersion::BYTES_MAX
            ),
            Self::File => f.write_str("a relative path, with `/` between its parts"),
            Self::Prose { bytes_max } => write!(f, "a text of up to {bytes_max} bytes"),
            Self::Switch => f.write_str("`true` or `false`"),
            Self::Amount(expected) => f.write_str(&expected.replace('"', "`")),
            Self::Digest => f.write_str("`sha256:` and 64 hexadecimal digits in lower case"),
            Self::PublicKey => f.write_str("`ed25519:` and 32 bytes in base64"),
            Self::Signature => f.write_str("64 bytes in base64"),
            Self::Base => {
                f.write_str("a name, or a name and a version such as `python-text@1.0.0`")
            }
        }
    }
}

/// All keys, in the order of the reference page.
pub fn manifest_keys() -> impl Iterator<Item = &'static ManifestKey> {
    TOP.iter().chain(RequestedLimits::KEYS).chain(TABLES)
}

/// The keys of a table, or those at the top, its tables among them.
pub(super) fn known_in(table: &str) -> Vec<&'static str> {
    let mut known = Vec::new();
    for key in manifest_keys() {
        let name = match (table, key.table) {
            ("", "") => key.name,
            ("", inner) => inner,
            (table, inner) if table == inner => key.name,
            _ => continue,
        };
        if !known.contains(&name) {
            known.push(name);
        }
    }
    known
}

pub(super) const DESCRIPTION_BYTES_MAX: usize = 4096;
pub(super) const LICENSE_BYTES_MAX: usize = 256;

const PATH_SETTINGS: &[&str] = &["archive.path_max", "archive.depth_max"];

const TOP: &[ManifestKey] = &[
    ManifestKey::top(
        "schema",
        ManifestValue::Schema,
        "The form of this file. A server that knows another one says so.",
    )
    .example("1"),
    ManifestKey::top("name", ManifestValue::Name, "What requests call the model.")
        .example("\"smollm2\""),
    ManifestKey::top(
        "version",
        ManifestValue::Version,
        "With the name it stands for this content for ever: other content needs another version, \
         unless this one failed and never ran.",
    )
    .example("\"1.0.0\""),
    ManifestKey::top(
        "component",
        ManifestValue::File,
        "The WebAssembly component. In a project folder it may lie anywhere below the folder, and \
         is packed under its file name. A bundle with a `recording` or a `base` has none.",
    )
    .example("\"target/wasm32-wasip2/release/smollm2.wasm\"")
    .bound_by(&["archive.component_max"]),
    ManifestKey::top(
        "recording",
        ManifestValue::File,
        "What a service has answered, as `belljar record` writes it. It stands in place of \
         `component`, which is not there then: such a bundle is not run, and answers what was \
         recorded.",
    )
    .bound_by(&["archive.component_max"])
    .presence(Presence::Instead),
    ManifestKey::top(
        BASE_KEY,
        ManifestValue::Base,
        "The base on the server that the model is built on: its component runs, and what it runs are \
         the files of this bundle. In a project folder it stands in place of `component`, and the \
         sources in the folder are packed as assets below `source/`.",
    )
    .presence(Presence::Instead),
    ManifestKey::top(
        "is_base",
        ManifestValue::Switch,
        "Whether bundles of others may have this one as their `base`, which may not be `private` \
         then. `false` unless it is there.",
    )
    .presence(Presence::Optional),
    ManifestKey::top(
        "description",
        ManifestValue::Prose {
            bytes_max: DESCRIPTION_BYTES_MAX,
        },
        "For people; shown by `belljar models show` and the API.",
    )
    .presence(Presence::Optional)
    .example("\"A small language model.\""),
    ManifestKey::top(
        "license",
        ManifestValue::Prose {
            bytes_max: LICENSE_BYTES_MAX,
        },
        "For people; usually an SPDX expression.",
    )
    .presence(Presence::Optional)
    .example("\"Apache-2.0\""),
    ManifestKey::top(
        "private",
        ManifestValue::Switch,
        "Whether the bundle's files, and what is compiled of them, are kept apart from those of \
         all other bundles, equal ones too, so that no uploader can tell by the time or the room \
         that something takes that this server has the same file. `false` unless it is there.",
    )
    .presence(Presence::Optional)
    .example("true"),
];

const TABLES: &[ManifestKey] = &[
    ManifestKey::top(
        "required",
        ManifestValue::Switch,
        "Whether the version serves only if all examples in its bundle hold. `false` unless it is \
         there.",
    )
    .in_table("examples")
    .presence(Presence::Optional)
    .example("true"),
    ManifestKey::top(
        ManifestKey::ANY_FILE,
        ManifestValue::Digest,
        "A file that the model can read through its `assets` import, under this name.",
    )
    .in_table("assets")
    .presence(Presence::Optional)
    .example("\"\"")
    .bound_by(PATH_SETTINGS),
    ManifestKey::top(
        ManifestKey::ANY_FILE,
        ManifestValue::Digest,
        "The component or recording, and each file that the model cannot read, such as a licence.",
    )
    .in_table("digests")
    .presence(Presence::Optional)
    .example("\"\"")
    .bound_by(PATH_SETTINGS),
    ManifestKey::top(
        "key",
        ManifestValue::PublicKey,
        "Whose signature it is. `belljar pack --sign` writes it.",
    )
    .in_table("signature")
    .presence(Presence::Packed),
    ManifestKey::top(
        "value",
        ManifestValue::Signature,
        "The signature of everything else in this file, and so of each file's digest.",
    )
    .in_table("signature")
    .presence(Presence::Packed),
];

/// Writes the limits: the type that holds them, their rows, and how they are read and written.
/// The settings that decide about a limit are called after it.
macro_rules! limits {
    ($($name:ident: $amount:ident = $example:literal, $doc:literal;)*) => {
        /// What a model asks for. The host's policy caps each; what is not asked for has the
        /// host's default.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct RequestedLimits {
            $(
                #[doc = $doc]
                pub $name: Option<$amount>,
            )*
        }

        impl RequestedLimits {
                pub(super) const KEYS: &'static [ManifestKey] = &[$(ManifestKey {
                table: LIMITS,
                name: stringify!($name),
                value: ManifestValue::Amount(<$amount as Amount>::EXPECTED),
                presence: Presence::Optional,
                doc: $doc,
                example: $example,
                default_setting: Some(concat!("policy.default_", stringify!($name))),
                bound_settings: &[concat!("policy.", stringify!($name), "_max")],
            },)*];

            pub(super) fn read(table: &Table) -> Result<Self, BundleError> {
                refuse_unknown(table, LIMITS, &known_in(LIMITS))?;
                Ok(Self { $($name: amount(table, stringify!($name))?,)* })
            }

            /// The limits that are there, each with its value in TOML, in the order of the
            /// canonical text.
            pub(super) fn written(&self) -> Vec<(&'static str, String)> {
                let mut written = Vec::new();
                $(if let Some(amount) = &self.$name {
                    written.push((stringify!($name), amount.to_toml()));
                })*
                written
            }
        }
    };
}

const LIMITS: &str = "limits";

// Their order is that of the canonical text, on which the identity of stored bundles hangs: a
// new one goes to the end.
limits! {
    memory: ByteSize = "\"512 MiB\"",
        "Linear memory of a request, over all memories of the component. `load` has the same, and \
         what it leaves counts.";
    fuel: Fuel = "50_000_000_000",
        "Fuel of one request, about one unit an instruction.";
    load_fuel: Fuel = "200_000_000_000",
        "Fuel of `load`, which runs once before the first request.";
    deadline: DurationText = "\"30 s\"",
        "Time of one request on the wall clock, once it runs.";
    output: ByteSize = "\"16 MiB\"",
        "The largest answer: text, tensors, vectors.";
}

/// An amount that a limit can be.
trait Amount: serde::de::DeserializeOwned + Default + PartialEq {
    /// What its author is told to write.
    const EXPECTED: &'static str;

    fn to_toml(&self) -> String;
}

impl Amount for ByteSize {
    const EXPECTED: &'static str = "a size such as \"256 MiB\", or a number of bytes";

    fn to_toml(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Amount for Fuel {
    const EXPECTED: &'static str = "a whole number of fuel units";

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl Amount for DurationText {
    const EXPECTED: &'static str = "a time such as \"10 s\", or a number of seconds";

    fn to_toml(&self) -> String {
        format!("\"{self}\"")
    }
}

/// An amount above zero: a model that asks for none of something can do nothing.
fn amount<T: Amount>(table: &Table, key: &str) -> Result<Option<T>, BundleError> {
    let Some(value) = table.get(key) else {
        return Ok(None);
    };
    let key = under(LIMITS, key);
    if !matches!(value, Value::String(_) | Value::Integer(_)) {
        return Err(wrong_type(&key, T::EXPECTED, value));
    }
    let read = value.clone().try_into().map_err(|error: toml::de::Error| {
        // One line: the long form would quote the value as a document of its own.
        error.message().to_owned()
    });
    let amount: T = in_value(&key, read)?;
    if amount == T::default() {
        return Err(BundleError::ManifestValue {
            key,
            reason: "must be above zero".to_owned(),
        });
    }
    Ok(Some(amount))
}

/// A manifest of a project folder that has every key which such a manifest may have.
#[must_use]
pub fn manifest_example() -> String {
    let mut text = String::new();
    let mut table = "";
    for key in manifest_keys().filter(|key| !key.example.is_empty()) {
        if key.table != table {
            table = key.table;
            text.push_str(&format!("\n[{table}]\n"));
        }
        let name = match (key.table, key.name) {
            ("assets", ManifestKey::ANY_FILE) => "\"weights.safetensors\"",
            (_, ManifestKey::ANY_FILE) => "\"LICENSE\"",
            (_, name) => name,
        };
        text.push_str(&format!("{name} = {}\n", key.example));
    }
    text
}
