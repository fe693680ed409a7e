//! Which tokens keep an answer in its form.

use std::collections::HashSet;
use std::sync::Arc;

use belljar_guest::Error;
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{SimpleVob, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value as Json, json};

use crate::options::Form;
use crate::vocabulary::{Kind, Vocabulary};

/// Makes constraints over the tokens of a model.
pub struct Constraints {
    factory: ParserFactory,
}

impl std::fmt::Debug for Constraints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Constraints").finish_non_exhaustive()
    }
}

/// The tokens as the library wants them.
struct Tokens(TokTrie);

impl TokenizerEnv for Tokens {
    fn tok_trie(&self) -> &TokTrie {
        &self.0
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        self.0.greedy_tokenize(bytes)
    }

    fn tokenize_is_canonical(&self) -> bool {
        false
    }
}

impl Constraints {
    /// Prepares a vocabulary.
    ///
    /// # Errors
    ///
    /// What the library says is wrong with it.
    pub fn new(vocabulary: &Vocabulary) -> Result<Self, String> {
        let mut seen = HashSet::new();
        let words: Vec<Vec<u8>> = (0..vocabulary.len() as u32)
            .map(|token| {
                let bytes = vocabulary.text(token);
                // Its marker of marks is a byte that no text has; and a second token for the
                // same text adds nothing.
                let is_text = !bytes.starts_with(&[TokTrie::SPECIAL_TOKEN_MARKER]);
                if is_text && !bytes.is_empty() && seen.insert(bytes) {
                    return bytes.to_vec();
                }
                if vocabulary.kind(token) == Some(Kind::Control)
                    && let Some(name) = vocabulary.bytes(token)
                    && seen.insert(name)
                {
                    return [&[TokTrie::SPECIAL_TOKEN_MARKER], name].concat();
                }
                Vec::new()
            })
            .collect();
        let end = vocabulary.ends_of_text.first().copied().unwrap_or(0);
        let trie = TokTrie::from(&TokRxInfo::new(vocabulary.len() as u32, end), &words);
        let environment: TokEnv = Arc::new(Tokens(trie));
        let mut factory =
            ParserFactory::new_simple(&environment).map_err(|error| error.to_string())?;
        factory.quiet();
        factory.limits_mut().verbose_errors = false;
        Ok(Self { factory })
    }

    /// A constraint to a form; none where it is free.
    pub(crate) fn of_form(&self, form: &Form, strict: bool) -> Result<Option<Constraint>, Error> {
        match form {
            Form::Free => Ok(None),
            Form::Schema(schema) => {
                let schema = with_fixed_spaces(schema.clone(), strict);
                self.of_lark(format!("start: %json {schema}")).map(Some)
            }
            Form::Expression(expression) => self
                .compile(TopLevelGrammar::from_regex(expression))
                .map(Some),
            Form::Grammar(grammar) => self.of_lark(grammar.clone()).map(Some),
        }
    }

    /// A constraint to a grammar.
    pub(crate) fn of_lark(&self, grammar: String) -> Result<Constraint, Error> {
        self.compile(TopLevelGrammar::from_lark(grammar))
    }

    fn compile(&self, grammar: TopLevelGrammar) -> Result<Constraint, Error> {
        let parser = self.factory.create_parser(grammar);
        let parser = parser.map_err(|error| {
            Error::invalid_input(format!("no answer can be held to this form: {error}"))
        })?;
        Ok(Constraint {
            matcher: Matcher::new(Ok(parser)),
        })
    }
}

/// What an answer has to be, from where it is now.
pub(crate) struct Constraint {
    matcher: Matcher,
}

impl Constraint {
    /// The tokens that may come next. The end of the text is among them where it may end.
    pub(crate) fn mask(&mut self) -> Result<SimpleVob, Error> {
        self.matcher
            .compute_mask_or_eos()
            .map_err(|error| Error::unsupported(format!("the form is too intricate: {error}")))
    }

    /// Goes on by a token.
    pub(crate) fn take(&mut self, token: u32) -> Result<(), Error> {
        self.matcher.consume_token(token).map_err(|error| {
            Error::failed(format!("the constraint refuses its own token: {error}"))
        })
    }

    /// Whether nothing can follow.
    pub(crate) fn is_over(&self) -> bool {
        self.matcher.is_stopped()
    }
}

/// A text in a grammar.
pub(crate) fn literal(text: &str) -> String {
    Json::from(text).to_string()
}

/// A schema whose JSON has the spaces that models know best, and no others: free space is an
/// invitation to write nothing else. Where it need not be followed exactly, what is not known of
/// it is passed over.
pub(crate) fn with_fixed_spaces(schema: Json, strict: bool) -> Json {
    let mut map = match schema {
        Json::Object(map) => map,
        Json::Bool(false) => serde_json::Map::from_iter([("not".to_owned(), json!({}))]),
        _ => serde_json::Map::new(),
    };
    map.insert(
        "x-guidance".to_owned(),
        json!({
            "whitespace_flexible": false,
            "item_separator": ", ",
            "key_separator": ": ",
            "lenient": !strict,
        }),
    );
    Json::Object(map)
}
