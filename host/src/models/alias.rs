//! Other names of models. Clients come with the names of well-known models written into them; an
//! alias answers to such a name with a model that is there.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// Bytes of an alias, and of the reference that it stands for.
const ALIAS_BYTES_MAX: usize = 256;

/// The model that every well-known name stands for, unless the settings say otherwise.
const WELL_KNOWN_TARGET: &str = "fake";

/// Names that clients of public APIs ask for, without the date that some of them end with.
const WELL_KNOWN: &[&str] = &[
    "chatgpt-4o-latest",
    "claude-3-5-haiku",
    "claude-3-5-sonnet",
    "claude-3-7-sonnet",
    "claude-3-haiku",
    "claude-fable-5",
    "claude-fable-5-1",
    "claude-fable-5-2",
    "claude-haiku-4-5",
    "claude-haiku-5-5",
    "claude-mythos-5",
    "claude-mythos-5-1",
    "claude-mythos-5-2",
    "claude-mythos-preview",
    "claude-opus-4",
    "claude-opus-4-1",
    "claude-opus-4-5",
    "claude-opus-4-6",
    "claude-opus-4-7",
    "claude-opus-4-8",
    "claude-opus-5",
    "claude-opus-5-5",
    "claude-sonnet-4",
    "claude-sonnet-4-5",
    "claude-sonnet-4-6",
    "claude-sonnet-5",
    "claude-sonnet-5-5",
    "codex-mini",
    "gpt-3.5-turbo",
    "gpt-3.5-turbo-0125",
    "gpt-3.5-turbo-0301",
    "gpt-3.5-turbo-0613",
    "gpt-3.5-turbo-1106",
    "gpt-3.5-turbo-16k",
    "gpt-3.5-turbo-16k-0613",
    "gpt-3.5-turbo-instruct",
    "gpt-4",
    "gpt-4-0125-preview",
    "gpt-4-0314",
    "gpt-4-0613",
    "gpt-4-1106-preview",
    "gpt-4-32k",
    "gpt-4-32k-0314",
    "gpt-4-32k-0613",
    "gpt-4-turbo",
    "gpt-4-turbo-preview",
    "gpt-4-vision-preview",
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-4.1-nano",
    "gpt-4o",
    "gpt-4o-audio-preview",
    "gpt-4o-mini",
    "gpt-4o-mini-audio-preview",
    "gpt-4o-mini-search-preview",
    "gpt-4o-search-preview",
    "gpt-5",
    "gpt-5-chat",
    "gpt-5-codex",
    "gpt-5-mini",
    "gpt-5-nano",
    "gpt-5-pro",
    "gpt-5.1",
    "gpt-5.1-chat",
    "gpt-5.1-codex",
    "gpt-5.1-codex-max",
    "gpt-5.1-mini",
    "gpt-5.2",
    "gpt-5.2-chat",
    "gpt-5.2-pro",
    "gpt-5.3-chat",
    "gpt-5.4",
    "gpt-5.4-mini",
    "gpt-5.4-nano",
    "gpt-5.5",
    "gpt-5.5-pro",
    "gpt-5.6-cyber",
    "gpt-5.6-luna",
    "gpt-5.6-sol",
    "gpt-5.6-terra",
    "gpt-6-astra",
    "gpt-6-cyber",
    "gpt-6-luna",
    "gpt-6-rosalind",
    "gpt-6-sol",
    "gpt-6.1-sol",
    "gpt-6.1-terra",
    "gpt-6.2-astra",
    "gpt-6.2-astra-law",
    "gpt-6.2-sol",
    "gpt-audio-mini",
    "gpt-daybreak-blue",
    "gpt-daybreak-red",
    "gpt-rosalind-research",
    "jina-reranker-v2-base-multilingual",
    "o1",
    "o1-mini",
    "o1-preview",
    "o1-pro",
    "o3",
    "o3-deep-research",
    "o3-mini",
    "o3-pro",
    "o4-mini",
    "o4-mini-deep-research",
    "omni-moderation",
    "openai/gpt-oss-120b",
    "openai/gpt-oss-20b",
    "rerank-english-v3.0",
    "rerank-multilingual-v3.0",
    "rerank-v3.5",
    "text-embedding-3-large",
    "text-embedding-3-small",
    "text-embedding-ada-002",
    "text-moderation",
    "text-moderation-stable",
];

/// One alias as the settings write it: `ALIAS=MODEL`, for example `gpt-4o=my-model@1.2.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelAlias {
    alias: String,
    target: String,
}

/// A text that is no alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    /// There is no `=`, or nothing on one side of it.
    #[error("expected `ALIAS=MODEL`, for example `gpt-4o=my-model`")]
    Form,
    /// One side is too long.
    #[error("an alias and its model have up to {ALIAS_BYTES_MAX} bytes each")]
    TooLong,
    /// A character that no name of a model has.
    #[error("an alias is made of visible ASCII characters without `=` and `,`")]
    Character,
}

impl FromStr for ModelAlias {
    type Err = AliasError;

    fn from_str(text: &str) -> Result<Self, AliasError> {
        let (alias, target) = text.split_once('=').ok_or(AliasError::Form)?;
        let (alias, target) = (alias.trim(), target.trim());
        for side in [alias, target] {
            if side.is_empty() {
                return Err(AliasError::Form);
            }
            if side.len() > ALIAS_BYTES_MAX {
                return Err(AliasError::TooLong);
            }
            if !side
                .chars()
                .all(|c| c.is_ascii_graphic() && c != '=' && c != ',')
            {
                return Err(AliasError::Character);
            }
        }
        Ok(Self {
            alias: alias.to_owned(),
            target: target.to_owned(),
        })
    }
}

impl fmt::Display for ModelAlias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.alias, self.target)
    }
}

/// The aliases of a server, asked where no model has the name itself.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelAliases {
    targets: HashMap<Box<str>, Box<str>>,
    /// The model that every other name stands for.
    others: Option<Box<str>>,
}

impl ModelAliases {
    /// The aliases of the settings over the well-known ones, where those are wanted. With
    /// `any_model` every name stands for something.
    pub(super) fn new(own: &[ModelAlias], well_known: bool, any_model: bool) -> Self {
        let well_known = if well_known { WELL_KNOWN } else { &[] };
        let mut targets: HashMap<Box<str>, Box<str>> = well_known
            .iter()
            .map(|alias| ((*alias).into(), WELL_KNOWN_TARGET.into()))
            .collect();
        targets.extend(
            own.iter()
                .map(|own| (own.alias.as_str().into(), own.target.as_str().into())),
        );
        Self {
            targets,
            others: any_model.then(|| WELL_KNOWN_TARGET.into()),
        }
    }

    /// The reference that a name stands for. Dated names are those of their model: `gpt-4o`
    /// answers to `gpt-4o-2024-08-06`, too.
    pub(super) fn target(&self, name: &str) -> Option<&str> {
        self.targets
            .get(name)
            .or_else(|| self.targets.get(without_date(name)?))
            .or(self.others.as_ref())
            .map(AsRef::as_ref)
    }

    /// Each alias and what it stands for.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.targets
            .iter()
            .map(|(alias, target)| (alias.as_ref(), target.as_ref()))
    }
}

/// A name without the `-2024-08-06`, `-20250929` or `-latest` at its end.
fn without_date(name: &str) -> Option<&str> {
    if let Some(name) = name.strip_suffix("-latest") {
        return Some(name);
    }
    let name_end = name
        .trim_end_matches(|c: char| c.is_ascii_digit() || c == '-')
        .len();
    // The digits at the end may be those of the name, as in `gpt-5-2025-08-07`.
    name.match_indices('-')
        .filter(|(at, _)| *at >= name_end)
        .find(|(at, _)| name.get(at + 1..).is_some_and(is_date))
        .and_then(|(at, _)| name.get(..at))
}

fn is_date(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits == 8
        && match text.len() {
            8 => true,
            10 => text.as_bytes().get(4) == Some(&b'-') && text.as_bytes().get(7) == Some(&b'-'),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_has_two_sides() {
        let alias: ModelAlias = "gpt-4o = mine@1.0.0".parse().unwrap();
        assert_eq!(alias.to_string(), "gpt-4o=mine@1.0.0");
        for (text, why) in [
            ("gpt-4o", AliasError::Form),
            ("=mine", AliasError::Form),
            ("gpt-4o=", AliasError::Form),
            ("a=b=c", AliasError::Character),
            ("a b=c", AliasError::Character),
            ("ä=c", AliasError::Character),
        ] {
            assert_eq!(text.parse::<ModelAlias>(), Err(why), "{text}");
        }
        let long = "a".repeat(ALIAS_BYTES_MAX + 1);
        assert_eq!(
            format!("{long}=b").parse::<ModelAlias>(),
            Err(AliasError::TooLong)
        );
    }

    #[test]
    fn dated_names_are_those_of_their_model() {
        let aliases = ModelAliases::new(&[], true, false);
        for name in [
            "gpt-4o",
            "gpt-4o-2024-08-06",
            "gpt-4o-mini-2024-07-18",
            "gpt-5-2025-08-07",
            "claude-sonnet-4-5-20250929",
            "claude-3-5-sonnet-latest",
            "omni-moderation-latest",
            "chatgpt-4o-latest",
            "openai/gpt-oss-20b",
        ] {
            assert_eq!(aliases.target(name), Some("fake"), "{name}");
        }
        for name in [
            "gpt-4o-2024-08",
            "gpt-4o-",
            "gpt-4o-2024-08-06-x",
            "",
            "-latest",
        ] {
            assert_eq!(aliases.target(name), None, "{name}");
        }
    }

    #[test]
    fn the_settings_come_before_the_well_known_names() {
        let own = ["gpt-4o=mine".parse().unwrap(), "x=y".parse().unwrap()];
        let aliases = ModelAliases::new(&own, true, false);
        assert_eq!(aliases.target("gpt-4o-2024-08-06"), Some("mine"));
        assert_eq!(aliases.target("x"), Some("y"));
        assert_eq!(aliases.target("o3"), Some("fake"));
        let aliases = ModelAliases::new(&own, false, true);
        assert_eq!(aliases.target("gpt-4o"), Some("mine"));
        assert_eq!(aliases.target("o3"), Some("fake"), "any name");
        assert_eq!(ModelAliases::new(&[], false, false).target("o3"), None);
    }
}
