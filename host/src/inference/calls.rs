//! What callers ask of models: requests without a wire format, with every text in them open to the
//! screening.

use super::{CacheUse, PromptPlace};
use crate::generation::OutputLimits;
use crate::guard::{Inspection, Objection, Texts};
use belljar_sandbox::CheckedRequest;
use belljar_sandbox::wit::tensors::MetadataInfo;
use belljar_sandbox::wit::types::Value;
use belljar_sandbox::wit::{embeddings::Input, moderation, text};
use belljar_screen::FieldKind;

/// A request for a text, with what of it never reaches a model and is text all the same.
pub struct TextCall {
    /// The name of the model, as asked for.
    pub model: String,
    /// What the model gets, with the first prompt.
    pub request: text::Request,
    /// The prompts after the first, each of which gets answers of its own.
    pub further_prompts: Vec<text::Prompt>,
    /// What the caller's API calls the places of the texts.
    pub places: Places,
    /// What the host holds each answer to.
    pub limits: OutputLimits,
    /// About how many tokens all prompts have.
    pub prompt_tokens_estimate: u32,
    /// How many answers to each prompt.
    pub choices: u32,
    /// Whether the caller left the number of tokens to the server.
    pub tokens_are_default: bool,
    /// Whether the answer names the stop string that ended it. Only the host knows, so the model
    /// gets none of them.
    pub names_stop: bool,
    /// Whether the oldest messages are left out where there is no room for all.
    pub truncates: bool,
    /// Which part of the prompt is to be found in the cache.
    pub cache: CacheUse,
    /// The prompts, by their place among all, that came as so few tokens that nothing can be said
    /// in them.
    pub few_tokens: Vec<usize>,
    /// Entries of `metadata`, and the caller's own marks such as `user`.
    pub marks: Vec<Mark>,
}

/// What an API calls the places of the texts in a request.
#[derive(Clone, Debug)]
pub struct Places {
    /// The place of each message; `messages[0]` and so on where it is empty.
    pub messages: Vec<String>,
    /// The path from a tool to its name, description and schema.
    pub tool: &'static str,
    /// The path from a tool to its schema.
    pub schema: &'static str,
    /// The path to the form that the answer is to have.
    pub format: &'static str,
    /// The member with the stop strings.
    pub stop: &'static str,
    /// What the prompt is, and in whose words.
    pub prompt: PromptPlace,
    /// The member that says how long an answer may be.
    pub max_tokens: &'static str,
}

impl Default for Places {
    /// The places of a chat completion.
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            tool: "function.",
            schema: "parameters",
            format: "response_format.json_schema",
            stop: "stop",
            prompt: PromptPlace::Messages,
            max_tokens: "max_tokens",
        }
    }
}

impl Places {
    fn message(&self, index: usize) -> String {
        let named = self.messages.get(index).cloned();
        named.unwrap_or_else(|| format!("messages[{index}]"))
    }
}

impl TextCall {
    /// How many answers there are to be to all prompts.
    #[must_use]
    pub fn answers(&self) -> u32 {
        let prompts = u32::try_from(self.further_prompts.len()).unwrap_or(u32::MAX);
        self.choices.saturating_mul(prompts.saturating_add(1))
    }

    /// The most tokens that the request can use: its prompts, and all of its answers.
    #[must_use]
    pub fn tokens_max(&self) -> u32 {
        let answers = self.limits.max_tokens.saturating_mul(self.answers());
        self.prompt_tokens_estimate.saturating_add(answers)
    }

    /// Where the caller did not say how long an answer may be, makes it as long as a request
    /// with `limit` tokens can be: nobody should be refused for a default of the server's.
    pub(super) fn fit_default_tokens(&mut self, limit: u32) {
        if self.tokens_are_default && self.tokens_max() > limit {
            let left = limit.saturating_sub(self.prompt_tokens_estimate);
            let each = (left / self.answers().max(1)).max(1);
            self.limits.max_tokens = each;
        }
    }
}

/// A text that is kept with a request.
#[derive(Debug)]
pub struct Mark {
    /// Where it stands.
    pub field: String,
    /// As what it is screened.
    pub kind: FieldKind,
    /// What it says.
    pub text: String,
}

impl Texts for TextCall {
    fn visit(&mut self, see: &mut Inspection<'_>) -> Result<(), Box<Objection>> {
        see.name(FieldKind::Identifier, || "model".to_owned(), &self.model)?;
        let is_alone = self.further_prompts.is_empty();
        let first = std::iter::once(&mut self.request.prompt);
        for (index, prompt) in first.chain(&mut self.further_prompts).enumerate() {
            if self.few_tokens.contains(&index) {
                continue;
            }
            visit_prompt(see, &self.places, (!is_alone).then_some(index), prompt)?;
        }
        let places = &self.places;
        for (index, tool) in self.request.tools.iter_mut().enumerate() {
            let place = |field: &str| format!("tools[{index}].{}{field}", places.tool);
            see.name(FieldKind::Identifier, || place("name"), &tool.name)?;
            if let Some(description) = &mut tool.description {
                see.text(FieldKind::Schema, || place("description"), description)?;
            }
            if let Some(parameters) = &mut tool.parameters {
                see.json(FieldKind::Schema, || place(places.schema), parameters)?;
            }
        }
        self.visit_options(see)?;
        visit_marks(see, &self.marks)
    }
}

impl TextCall {
    /// What says how the answer is to be.
    fn visit_options(&mut self, see: &mut Inspection<'_>) -> Result<(), Box<Objection>> {
        if let text::ResponseFormat::JsonSchema(format) = &mut self.request.response_format {
            let place = |field: &str| format!("{}.{field}", self.places.format);
            see.name(FieldKind::Identifier, || place("name"), &format.name)?;
            see.json(FieldKind::Schema, || place("schema"), &mut format.schema)?;
        }
        for parameter in &mut self.request.parameters {
            let place = || "parameters".to_owned();
            see.name(FieldKind::Schema, place, &parameter.name)?;
            if let Value::Text(text) = &mut parameter.value {
                // Options that are lists or objects come as their JSON.
                if text.starts_with(['{', '[']) {
                    see.json(FieldKind::Schema, place, text)?;
                } else {
                    see.text(FieldKind::Schema, place, text)?;
                }
            }
        }
        // The model and the host each have these; they stay the same.
        for (index, stop) in self.request.stop.iter_mut().enumerate() {
            let place = || format!("{}[{index}]", self.places.stop);
            see.text(FieldKind::Schema, place, stop)?;
        }
        self.request.stop.retain(|stop| !stop.is_empty());
        self.limits.stop.clone_from(&self.request.stop);
        Ok(())
    }
}

fn visit_marks(see: &mut Inspection<'_>, marks: &[Mark]) -> Result<(), Box<Objection>> {
    marks
        .iter()
        .try_for_each(|mark| see.name(mark.kind, || mark.field.clone(), &mark.text))
}

/// Who says what is in a message: what the caller did not write cannot be written otherwise.
const fn place_of(role: text::Role) -> FieldKind {
    match role {
        text::Role::System | text::Role::Developer | text::Role::User => FieldKind::Prompt,
        text::Role::Assistant => FieldKind::History,
        text::Role::Tool => FieldKind::ToolResult,
    }
}

pub(super) fn visit_prompt(
    see: &mut Inspection<'_>,
    places: &Places,
    index: Option<usize>,
    prompt: &mut text::Prompt,
) -> Result<(), Box<Objection>> {
    match prompt {
        text::Prompt::Messages(messages) => {
            for (index, message) in messages.iter_mut().enumerate() {
                visit_message(see, || places.message(index), message)?;
            }
        }
        text::Prompt::Text(prompt) => {
            let place = || index.map_or("prompt".to_owned(), |index| format!("prompt[{index}]"));
            see.text(FieldKind::Prompt, place, &mut prompt.text)?;
            if let Some(suffix) = &mut prompt.suffix {
                see.text(FieldKind::Prompt, || "suffix".to_owned(), suffix)?;
            }
        }
        text::Prompt::Tokens(_) => {}
    }
    Ok(())
}

/// Places of messages that are a text by themselves and have no member `content`.
const TEXTS: [&str; 2] = ["system", "instructions"];

fn visit_message(
    see: &mut Inspection<'_>,
    own_place: impl Fn() -> String,
    message: &mut text::Message,
) -> Result<(), Box<Objection>> {
    let place = |field: &str| format!("{}.{field}", own_place());
    if let Some(name) = &message.name {
        see.name(FieldKind::Identifier, || place("name"), name)?;
    }
    let kind = place_of(message.role);
    let alone = message.content.len() == 1;
    for (at, part) in message.content.iter_mut().enumerate() {
        let part_place = || {
            let own = own_place();
            if TEXTS.contains(&own.as_str()) {
                if alone { own } else { format!("{own}[{at}]") }
            } else if alone {
                place("content")
            } else {
                place(&format!("content[{at}]"))
            }
        };
        match part {
            text::Part::Text(text) => see.text(kind, part_place, text)?,
            text::Part::Refusal(text) => see.text(FieldKind::History, part_place, text)?,
            text::Part::File(file) => {
                if let Some(name) = &file.name {
                    see.name(FieldKind::Identifier, part_place, name)?;
                }
            }
            text::Part::Image(text::Image { .. }) | text::Part::Audio(_) => {}
        }
    }
    for (at, call) in message.tool_calls.iter_mut().enumerate() {
        let call_place = |field: &str| place(&format!("tool_calls[{at}].{field}"));
        see.name(FieldKind::Identifier, || call_place("id"), &call.id)?;
        let name = || call_place("function.name");
        see.name(FieldKind::Identifier, name, &call.name)?;
        let arguments = || call_place("function.arguments");
        see.json(FieldKind::History, arguments, &mut call.arguments)?;
    }
    if let Some(id) = &message.tool_call_id {
        see.name(FieldKind::Identifier, || place("tool_call_id"), id)?;
    }
    Ok(())
}

/// A request for embeddings.
#[derive(Debug)]
pub struct EmbeddingCall {
    /// The name of the model, as asked for.
    pub model: String,
    /// What is to be embedded.
    pub inputs: Vec<Input>,
    /// Numbers of each vector, where the caller says.
    pub dimensions: Option<u32>,
    /// The most tokens that the inputs can have.
    pub prompt_tokens_max: u32,
    /// What they have most likely.
    pub prompt_tokens_estimate: u32,
    /// The caller's own marks such as `user`.
    pub marks: Vec<Mark>,
}

impl Texts for EmbeddingCall {
    fn visit(&mut self, see: &mut Inspection<'_>) -> Result<(), Box<Objection>> {
        see.name(FieldKind::Identifier, || "model".to_owned(), &self.model)?;
        let alone = self.inputs.len() == 1;
        for (index, input) in self.inputs.iter_mut().enumerate() {
            let place = || {
                if alone {
                    "input".to_owned()
                } else {
                    format!("input[{index}]")
                }
            };
            match input {
                Input::Text(text) => see.text(FieldKind::Document, place, text)?,
                Input::Tokens(_) => {}
            }
        }
        visit_marks(see, &self.marks)
    }
}

/// A request to say whether content is harmful.
#[derive(Debug)]
pub struct ModerationCall {
    /// The name of the model, as asked for.
    pub model: String,
    /// What is to be judged.
    pub inputs: Vec<moderation::Input>,
}

impl ModerationCall {
    /// What its texts have most likely, by the four bytes that a token has on average.
    pub(super) fn tokens_estimate(&self) -> u32 {
        let bytes = self.inputs.iter().map(|input| match input {
            moderation::Input::Text(text) => text.len(),
            moderation::Input::Image(_) => 0,
        });
        let tokens = bytes.fold(0, usize::saturating_add).div_ceil(4);
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }
}

impl Texts for ModerationCall {
    fn visit(&mut self, see: &mut Inspection<'_>) -> Result<(), Box<Objection>> {
        see.name(FieldKind::Identifier, || "model".to_owned(), &self.model)?;
        for (index, input) in self.inputs.iter_mut().enumerate() {
            match input {
                moderation::Input::Text(text) => {
                    let place = || format!("input[{index}]");
                    see.text(FieldKind::Document, place, text)?;
                }
                moderation::Input::Image(_) => {}
            }
        }
        Ok(())
    }
}

/// A request to rank documents.
#[derive(Debug)]
pub struct RankingCall {
    /// The name of the model, as asked for.
    pub model: String,
    /// The queries, each with documents of its own.
    pub queries: Vec<RankingQuery>,
    /// What the caller's API calls the places of the queries and of the documents.
    pub places: [&'static str; 2],
    /// The caller's own marks such as `user`.
    pub marks: Vec<Mark>,
}

/// A query, and what may answer it.
#[derive(Debug)]
pub struct RankingQuery {
    /// What is asked.
    pub query: String,
    /// What may answer it.
    pub documents: Vec<String>,
}

impl RankingCall {
    /// The most tokens that a model can count: one a byte, the query anew with each document, and
    /// marks of its own around both.
    pub(super) fn tokens_max(&self) -> u32 {
        let tokens = self
            .queries
            .iter()
            .flat_map(|RankingQuery { query, documents }| {
                let each = |document: &String| query.len().saturating_add(document.len() + 8);
                documents.iter().map(each)
            });
        u32::try_from(tokens.fold(0, usize::saturating_add)).unwrap_or(u32::MAX)
    }

    /// What they have most likely, by the four bytes that a token has on average.
    pub(super) fn tokens_estimate(&self) -> u32 {
        let bytes = self
            .queries
            .iter()
            .flat_map(|RankingQuery { query, documents }| {
                std::iter::once(query.len()).chain(documents.iter().map(String::len))
            });
        let tokens = bytes.fold(0, usize::saturating_add).div_ceil(4);
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }
}

impl Texts for RankingCall {
    fn visit(&mut self, see: &mut Inspection<'_>) -> Result<(), Box<Objection>> {
        see.name(FieldKind::Identifier, || "model".to_owned(), &self.model)?;
        let [query_place, document_place] = self.places;
        let alone = self.queries.len() == 1;
        let mut before = 0;
        for (index, RankingQuery { query, documents }) in self.queries.iter_mut().enumerate() {
            let place = || {
                if alone {
                    query_place.to_owned()
                } else {
                    format!("{query_place}[{index}]")
                }
            };
            see.text(FieldKind::Document, place, query)?;
            for document in documents {
                let place = || format!("{document_place}[{before}]");
                see.text(FieldKind::Document, place, document)?;
                before += 1;
            }
        }
        visit_marks(see, &self.marks)
    }
}

/// A request for one inference on tensors. Its tensors get their datatypes when the model is
/// known that may declare them.
pub trait TensorCall: Texts {
    /// Why the tensors are none that the model takes.
    type Invalid;

    /// The name of the model, as asked for.
    fn model(&self) -> &str;

    /// The request that the model gets, in the datatypes that it declares.
    ///
    /// # Errors
    ///
    /// When the model takes other tensors than these.
    fn fit(
        self,
        declared: Option<&MetadataInfo>,
    ) -> impl Future<Output = Result<CheckedRequest, Self::Invalid>> + Send;
}
