//! Other names of models. Clients come with the names of well-known models written into them; an
//! alias answers to such a name with a model that is there.

use super::well_known::{TokenRules, well_known};
use belljar_tokens::Encoding;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// Bytes of an alias, and of the reference that it stands for.
const ALIAS_BYTES_MAX: usize = 256;

/// The model that every well-known name stands for, unless the settings say otherwise.
const WELL_KNOWN_TARGET: &str = "fake";

/// One alias as the settings write it: `ALIAS=MODEL`, for example `gpt-4o=my-model@1.2.0`. What
/// else holds of its tokens comes after the model, for example
/// `mine=fake;encoding=cl100k_base;context=8192;output=4096`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelAlias {
    alias: String,
    target: String,
    rules: Option<TokenRules>,
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
    #[error("an alias is made of visible ASCII characters without `=`, `,` and `;`")]
    Character,
    /// What stands after the model is none of the three.
    #[error(
        "after the model there can be `;encoding=` with `o200k_base` or `cl100k_base`, \
         `;context=` and `;output=` with a number of tokens"
    )]
    Rule,
}

impl FromStr for ModelAlias {
    type Err = AliasError;

    fn from_str(text: &str) -> Result<Self, AliasError> {
        let (alias, rest) = text.split_once('=').ok_or(AliasError::Form)?;
        let (target, rules) = match rest.split_once(';') {
            Some((target, rules)) => (target, Some(read_rules(rules)?)),
            None => (rest, None),
        };
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
                .all(|c| c.is_ascii_graphic() && !matches!(c, '=' | ',' | ';'))
            {
                return Err(AliasError::Character);
            }
        }
        Ok(Self {
            alias: alias.to_owned(),
            target: target.to_owned(),
            rules,
        })
    }
}

fn read_rules(text: &str) -> Result<TokenRules, AliasError> {
    let mut rules = TokenRules::default();
    for rule in text.split(';') {
        let (name, value) = rule.split_once('=').ok_or(AliasError::Rule)?;
        let tokens = || value.trim().parse().ok().filter(|tokens| *tokens > 0);
        match name.trim() {
            "encoding" => {
                rules.encoding = Encoding::named(value.trim()).ok_or(AliasError::Rule)?;
            }
            "context" => rules.context = Some(tokens().ok_or(AliasError::Rule)?),
            "output" => rules.output = Some(tokens().ok_or(AliasError::Rule)?),
            _ => return Err(AliasError::Rule),
        }
    }
    Ok(rules)
}

impl fmt::Display for ModelAlias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.alias, self.target)?;
        let Some(rules) = self.rules else {
            return Ok(());
        };
        write!(f, ";encoding={}", rules.encoding.name())?;
        if let Some(context) = rules.context {
            write!(f, ";context={context}")?;
        }
        if let Some(output) = rules.output {
            write!(f, ";output={output}")?;
        }
        Ok(())
    }
}

/// The aliases of a server, asked where no model has the name itself.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelAliases {
    aliases: HashMap<Box<str>, Alias>,
    /// The model that every other name stands for.
    others: Option<Box<str>>,
}

/// What an alias stands for.
#[derive(Clone, Debug)]
struct Alias {
    target: Box<str>,
    /// The rules that the settings give it.
    own: Option<TokenRules>,
    /// The rules that clients know of the name.
    known: Option<TokenRules>,
}

impl ModelAliases {
    /// The aliases of the settings over the well-known ones, where those are wanted. With
    /// `any_model` every name stands for something.
    pub(super) fn new(own: &[ModelAlias], are_known: bool, any_model: bool) -> Self {
        let mut aliases: HashMap<Box<str>, Alias> = HashMap::new();
        if are_known {
            aliases.extend(well_known().map(|(name, rules)| {
                let alias = Alias {
                    target: WELL_KNOWN_TARGET.into(),
                    own: None,
                    known: Some(rules),
                };
                (name.into(), alias)
            }));
        }
        for ModelAlias {
            alias,
            target,
            rules,
        } in own
        {
            let known = aliases.get(alias.as_str()).and_then(|alias| alias.known);
            let target = target.as_str().into();
            let new = Alias {
                target,
                own: *rules,
                known,
            };
            aliases.insert(alias.as_str().into(), new);
        }
        Self {
            aliases,
            others: any_model.then(|| WELL_KNOWN_TARGET.into()),
        }
    }

    /// The reference that a name stands for. Dated names are those of their model: `gpt-4o`
    /// answers to `gpt-4o-2024-08-06`, too.
    pub(super) fn target(&self, name: &str) -> Option<&str> {
        self.find(name)
            .map(|alias| &alias.target)
            .or(self.others.as_ref())
            .map(AsRef::as_ref)
    }

    /// How the tokens of a name are counted. `is_counted_here` says whether its model leaves that
    /// to the server; another model is held to nothing but what the settings say of the alias.
    pub(super) fn rules(&self, name: &str, is_counted_here: bool) -> Option<TokenRules> {
        let alias = self.find(name);
        alias.and_then(|alias| alias.own).or_else(|| {
            is_counted_here.then(|| alias.and_then(|alias| alias.known).unwrap_or_default())
        })
    }

    fn find(&self, name: &str) -> Option<&Alias> {
        self.aliases
            .get(name)
            .or_else(|| self.aliases.get(without_date(name)?))
    }

    /// Whether a name stands for the built-in model.
    pub(super) fn is_stood_in_for(&self, name: &str) -> bool {
        self.target(name) == Some(WELL_KNOWN_TARGET)
    }

    /// Each alias and what it stands for.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.aliases
            .iter()
            .map(|(alias, to)| (alias.as_ref(), to.target.as_ref()))
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
            ("a=b;", AliasError::Rule),
            ("a=b;context=0", AliasError::Rule),
            ("a=b;context=-1", AliasError::Rule),
            ("a=b;encoding=gpt2", AliasError::Rule),
            ("a=b;window=7", AliasError::Rule),
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
    fn an_alias_says_how_its_tokens_are_counted() {
        let text = "a=fake;encoding=cl100k_base;context=100;output=10";
        let own: ModelAlias = text.parse().unwrap();
        assert_eq!(own.to_string(), text);
        let plain = ["gpt-4=mine".parse().unwrap(), own];
        let aliases = ModelAliases::new(&plain, true, false);
        let rules = TokenRules {
            encoding: Encoding::Cl100kBase,
            context: Some(100),
            output: Some(10),
        };
        assert_eq!(aliases.rules("a", true), Some(rules));
        assert_eq!(aliases.rules("a", false), Some(rules));
        let known = |name| aliases.rules(name, true).unwrap();
        assert_eq!(known("gpt-4o-2024-08-06").context, Some(128_000));
        assert_eq!(known("gpt-4o").encoding, Encoding::O200kBase);
        assert_eq!(known("gpt-4").encoding, Encoding::Cl100kBase);
        assert_eq!(known("fake"), TokenRules::default());
        assert_eq!(aliases.rules("gpt-4", false), None, "the model's own");
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
