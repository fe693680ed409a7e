//! Cuts texts into tokens, and puts tokens together.

use super::calls::{Places, visit_prompt};
use super::counting::{CallRefusal, Countable, Counted, Tokens};
use super::prompt_tokens::prompt_ids;
use super::settlement::UsageSettlement;
use super::{Answered, Inference, InferenceError, RequestContext, ended};
use crate::auth::{Authorized, Infer};
use crate::guard::{Inspection, Objection, Texts};
use crate::limits::TokenAdmission;
use belljar_sandbox::wit::text::{Prompt, RawPrompt, Tool};
use belljar_sandbox::{Capability, GuestError, RunError};
use belljar_screen::FieldKind;
use belljar_tokens::Encoding;

/// A request to cut a text, or a conversation, into tokens.
pub struct TokenizeCall {
    /// The name of the model, as asked for.
    pub model: String,
    /// The text or the conversation.
    pub prompt: Prompt,
    /// The tools that go with the conversation.
    pub tools: Vec<Tool>,
    /// Whether the conversation ends with what announces an answer.
    pub announces_answer: bool,
}

/// A request to put tokens together.
pub struct DetokenizeCall {
    /// The name of the model, as asked for.
    pub model: String,
    /// The tokens.
    pub tokens: Vec<u32>,
}

/// The tokens of a text.
pub struct Tokenized {
    /// Their numbers.
    pub tokens: Vec<u32>,
    /// What each stands for, where that is wanted.
    pub texts: Option<Vec<Vec<u8>>>,
    /// The most tokens that the model has room for, where that is known.
    pub context: Option<u32>,
}

/// Why tokens cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum DetokenizeError {
    /// A number that stands for no token.
    #[error(transparent)]
    Refused(#[from] CallRefusal),
    /// There is no such model, or it has failed.
    #[error(transparent)]
    Inference(#[from] InferenceError),
}

impl Texts for TokenizeCall {
    fn visit(&mut self, see: &mut Inspection<'_>) -> Result<(), Box<Objection>> {
        see.name(FieldKind::Identifier, || "model".to_owned(), &self.model)?;
        visit_prompt(see, &Places::default(), None, &mut self.prompt)
    }
}

impl Countable for TokenizeCall {
    /// The numbers of the tokens.
    type Tokens = Vec<u32>;

    fn model(&self) -> &str {
        &self.model
    }

    fn count(&self, encoding: Encoding, _: &[Option<u32>]) -> Vec<u32> {
        prompt_ids(encoding, &self.tools, &self.prompt, self.announces_answer)
    }
}

impl Inference {
    /// Cuts a text or a conversation into tokens, and says what each stands for if `with_texts`.
    ///
    /// # Errors
    ///
    /// When there is no such model for the caller, when it has no tokens of its own and leaves it
    /// to nobody, when the caller's minute holds no further request, and when a run fails.
    pub async fn tokenize(
        &self,
        caller: &Authorized<Infer>,
        call: Counted<TokenizeCall>,
        with_texts: bool,
        admission: TokenAdmission,
        context: &RequestContext,
    ) -> Result<Answered<Tokenized>, InferenceError> {
        let Counted { call, tokens } = call;
        let call = call.into_inner();
        let model = self.find(caller, &call.model, context).await?;
        let admission = admission.reserve(0)?;
        // Nothing is generated, so nothing goes on the bill but fuel.
        let _settlement = UsageSettlement::new(admission, &caller.caller, 0, context);
        if let Some(Tokens { rules, counts }) = tokens {
            if !model.capabilities().has(Capability::Text) {
                return Err(no_tokenizer().into());
            }
            let bytes = |id: &u32| rules.encoding.bytes(*id).unwrap_or_default().to_vec();
            let answer = Tokenized {
                texts: with_texts.then(|| counts.iter().map(bytes).collect()),
                tokens: counts,
                context: rules.context,
            };
            return Ok(Answered { model, answer });
        }
        let Prompt::Text(RawPrompt { text, .. }) = call.prompt else {
            let message = "`messages`: this model cuts texts; send `prompt`".to_owned();
            return Err(RunError::Guest(GuestError::Unsupported(message)).into());
        };
        let (label, budget) = (self.label(context, &model), context.budget(&model));
        let run = model.model.encode(text, budget, label).await;
        let tokens = ended(&model, context, run)?;
        let texts = if with_texts {
            let run = model.model.decode(tokens.clone(), budget, label);
            Some(ended(&model, context, run.await)?)
        } else {
            None
        };
        let answer = Tokenized {
            tokens,
            texts,
            context: None,
        };
        Ok(Answered { model, answer })
    }

    /// Puts tokens together, to bytes that need not be a text.
    ///
    /// # Errors
    ///
    /// When there is no such model for the caller, when a number is no token, when the caller's
    /// minute holds no further request, and when the run fails.
    pub async fn detokenize(
        &self,
        caller: &Authorized<Infer>,
        call: DetokenizeCall,
        admission: TokenAdmission,
        context: &RequestContext,
    ) -> Result<Vec<u8>, DetokenizeError> {
        let DetokenizeCall { model, tokens } = call;
        let rules = self.registry.token_rules(&model);
        let model = self.find(caller, &model, context).await;
        let model = model.map_err(InferenceError::from)?;
        let admission = admission.reserve(0).map_err(InferenceError::from)?;
        let _settlement = UsageSettlement::new(admission, &caller.caller, 0, context);
        if let Some(rules) = rules {
            if !model.capabilities().has(Capability::Text) {
                return Err(InferenceError::from(no_tokenizer()).into());
            }
            let bytes = rules.encoding.decode(&tokens);
            let bytes = bytes.map_err(|unknown| CallRefusal::UnknownToken {
                field: format!("tokens[{}]", unknown.index),
                id: unknown.id,
                encoding: rules.encoding,
            })?;
            return Ok(bytes);
        }
        let (label, budget) = (self.label(context, &model), context.budget(&model));
        let run = model.model.decode(tokens, budget, label).await;
        let bytes = ended(&model, context, run).map_err(InferenceError::from)?;
        Ok(bytes.concat())
    }
}

fn no_tokenizer() -> RunError {
    RunError::NoCapability {
        interface: Capability::Tokenizer.name(),
    }
}
