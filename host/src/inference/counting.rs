//! The count of a call's tokens, where its model leaves that to the server: made once, after the texts
//! are as the model will read them, and where large calls are read, which is no thread that
//! serves HTTP.

use super::prompt_tokens::{PromptTokens, prompt_tokens, text_tokens};
use super::{
    EmbeddingCall, Inference, ModerationCall, RankingCall, RankingQuery, RequestContext,
    ScreenRefusal, TextCall,
};
use crate::guard::{Screened, Texts};
use crate::models::TokenRules;
use belljar_sandbox::wit::embeddings::Input;
use belljar_sandbox::wit::moderation;
use belljar_sandbox::wit::text::{Prompt, RawPrompt};
use belljar_tokens::{Cuts, Cutter, Encoding};

/// Tokens of a list that is not screened. Whoever tries out a list of tokens sends numbers such as
/// 1, 2 and 3, which are signs that an attack could end with.
const FEW_TOKENS: u32 = 3;

/// Why a call is refused before it is known whether its model runs.
#[derive(Debug, thiserror::Error)]
pub enum CallRefusal {
    /// For a text in it.
    #[error(transparent)]
    Screen(#[from] ScreenRefusal),
    /// A number in it stands for no token.
    #[error("{field} holds {id}, which is no token of `{}`", encoding.name())]
    UnknownToken {
        /// The place in the request.
        field: String,
        /// The number.
        id: u32,
        /// What has no such token.
        encoding: Encoding,
    },
}

/// A call that has been screened and whose tokens have been counted.
pub struct Counted<T: Countable> {
    pub(super) call: Screened<T>,
    /// None where the model counts for itself.
    pub(super) tokens: Option<Tokens<T::Tokens>>,
}

impl Counted<TextCall> {
    /// A text in the tokens that the call is counted by, each with its number; none where the
    /// model counts for itself.
    #[must_use]
    pub fn cut(&self, text: &str) -> Option<Vec<(String, u32)>> {
        let encoding = self.tokens.as_ref()?.rules.encoding;
        let (mut cutter, mut cuts) = (Cutter::new(encoding), Cuts::default());
        cutter.push(text, &mut cuts);
        cutter.finish(&mut cuts);
        let cuts = cuts.iter().map(|(text, ids)| {
            let id = ids.first().copied().unwrap_or_default();
            (text.to_owned(), id)
        });
        Some(cuts.collect())
    }

    /// Each of its prompts, where that is a bare text.
    pub fn bare_prompts(&self) -> impl Iterator<Item = Option<&str>> {
        let TextCall {
            request,
            further_prompts,
            ..
        } = self.call.get();
        let all = std::iter::once(&request.prompt).chain(further_prompts);
        all.map(|prompt| match prompt {
            Prompt::Text(raw) => Some(raw.text.as_str()),
            Prompt::Messages(_) | Prompt::Tokens(_) => None,
        })
    }
}

/// How many tokens there are, and how many there may be.
pub(super) struct Tokens<C> {
    pub(super) rules: TokenRules,
    pub(super) counts: C,
}

/// A call whose tokens the server can count.
pub trait Countable: Texts {
    /// What is counted.
    type Tokens;

    /// The name of the model, as asked for.
    fn model(&self) -> &str;

    /// Puts texts in the place of lists of tokens, and says how many tokens each of them had; none
    /// for what was a text.
    ///
    /// # Errors
    ///
    /// The first number that stands for no token.
    fn decode(&mut self, _encoding: Encoding) -> Result<Vec<Option<u32>>, CallRefusal> {
        Ok(Vec::new())
    }

    /// The count. `given` is what [`Countable::decode`] gave.
    fn count(&self, encoding: Encoding, given: &[Option<u32>]) -> Self::Tokens;
}

impl Inference {
    /// Shows every text of a call to the screening, and counts its tokens where its model leaves
    /// that to the server. What is only to be reported is noted in the context.
    ///
    /// # Errors
    ///
    /// The first finding that blocks, and the first number that stands for no token.
    pub fn prepare<T: Countable>(
        &self,
        context: &RequestContext,
        mut call: T,
    ) -> Result<Counted<T>, CallRefusal> {
        let Some(rules) = self.registry.token_rules(call.model()) else {
            let call = self.screen(context, call)?;
            return Ok(Counted { call, tokens: None });
        };
        let given = call.decode(rules.encoding)?;
        let call = self.screen(context, call)?;
        let counts = call.get().count(rules.encoding, &given);
        let tokens = Some(Tokens { rules, counts });
        Ok(Counted { call, tokens })
    }
}

/// The text of a list of tokens, and how long the list was.
fn decoded(
    ids: &[u32],
    encoding: Encoding,
    field: impl FnOnce() -> String,
) -> Result<(String, u32), CallRefusal> {
    let bytes = encoding.decode(ids);
    let bytes = bytes.map_err(|unknown| CallRefusal::UnknownToken {
        field: field(),
        id: unknown.id,
        encoding,
    })?;
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Ok((text, u32::try_from(ids.len()).unwrap_or(u32::MAX)))
}

impl Countable for TextCall {
    type Tokens = Vec<PromptTokens>;

    fn model(&self) -> &str {
        &self.model
    }

    fn decode(&mut self, encoding: Encoding) -> Result<Vec<Option<u32>>, CallRefusal> {
        let is_alone = self.further_prompts.is_empty();
        let prompts = std::iter::once(&mut self.request.prompt).chain(&mut self.further_prompts);
        let few_tokens = &mut self.few_tokens;
        let given = prompts.enumerate().map(|(index, prompt)| {
            let Prompt::Tokens(ids) = prompt else {
                return Ok(None);
            };
            let field = || {
                if is_alone {
                    "prompt".to_owned()
                } else {
                    format!("prompt[{index}]")
                }
            };
            let (text, count) = decoded(ids, encoding, field)?;
            *prompt = Prompt::Text(RawPrompt { text, suffix: None });
            if count <= FEW_TOKENS {
                few_tokens.push(index);
            }
            Ok(Some(count))
        });
        given.collect()
    }

    fn count(&self, encoding: Encoding, given: &[Option<u32>]) -> Vec<PromptTokens> {
        let prompts = std::iter::once(&self.request.prompt).chain(&self.further_prompts);
        let given = given.iter().copied().chain(std::iter::repeat(None));
        let counts = prompts.zip(given).map(|(prompt, given)| {
            let mut tokens = prompt_tokens(encoding, &self.request, prompt, self.places.prompt);
            tokens.count = given.unwrap_or(tokens.count);
            tokens
        });
        counts.collect()
    }
}

impl Countable for EmbeddingCall {
    /// The tokens of each input.
    type Tokens = Vec<u32>;

    fn model(&self) -> &str {
        &self.model
    }

    fn decode(&mut self, encoding: Encoding) -> Result<Vec<Option<u32>>, CallRefusal> {
        let is_alone = self.inputs.len() == 1;
        let given = self.inputs.iter_mut().enumerate().map(|(index, input)| {
            let Input::Tokens(ids) = input else {
                return Ok(None);
            };
            let (text, count) = decoded(ids, encoding, || input_place(is_alone, index))?;
            *input = Input::Text(text);
            Ok(Some(count))
        });
        given.collect()
    }

    fn count(&self, encoding: Encoding, given: &[Option<u32>]) -> Vec<u32> {
        let given = given.iter().copied().chain(std::iter::repeat(None));
        let counts = self.inputs.iter().zip(given).map(|(input, given)| {
            given.unwrap_or_else(|| match input {
                Input::Text(text) => text_tokens(encoding, text),
                Input::Tokens(ids) => u32::try_from(ids.len()).unwrap_or(u32::MAX),
            })
        });
        counts.collect()
    }
}

/// The place of an input of a request for embeddings.
pub(super) fn input_place(is_alone: bool, index: usize) -> String {
    if is_alone {
        "input".to_owned()
    } else {
        format!("input[{index}]")
    }
}

impl Countable for RankingCall {
    /// The tokens of each query with its documents: the query anew with each of them.
    type Tokens = Vec<u32>;

    fn model(&self) -> &str {
        &self.model
    }

    fn count(&self, encoding: Encoding, _: &[Option<u32>]) -> Vec<u32> {
        let counts = self
            .queries
            .iter()
            .map(|RankingQuery { query, documents }| {
                let query = text_tokens(encoding, query);
                let each = documents
                    .iter()
                    .map(|document| text_tokens(encoding, document).saturating_add(query));
                each.fold(0, u32::saturating_add)
            });
        counts.collect()
    }
}

impl Countable for ModerationCall {
    /// The tokens of all texts.
    type Tokens = u32;

    fn model(&self) -> &str {
        &self.model
    }

    fn count(&self, encoding: Encoding, _: &[Option<u32>]) -> u32 {
        let counts = self.inputs.iter().map(|input| match input {
            moderation::Input::Text(text) => text_tokens(encoding, text),
            moderation::Input::Image(_) => 0,
        });
        counts.fold(0, u32::saturating_add)
    }
}
