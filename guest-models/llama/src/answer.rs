//! One answer, token by token.

use std::collections::VecDeque;

use belljar_guest::Error;
use belljar_guest::text::{
    Alternative, Chunk, FinishReason, Generate, Request, ResponseFormat, Token, ToolChoice, Usage,
};

use crate::cache::OutOfMemory;
use crate::constraint::Constraint;
use crate::forward::Session;
use crate::held::{Held, Released, beginning};
use crate::kept::KeptText;
use crate::options::{self, Options};
use crate::prompt::{self, THOUGHTS};
use crate::runtime::Runtime;
use crate::sampler::{Sampler, logprobs};
use crate::tools::{self, CallReader, Dialect, Event};

/// An answer in the making.
pub struct Answer {
    runtime: &'static Runtime,
    session: Session,
    kept: KeptText,
    sampler: Sampler,
    options: Options,
    constraint: Option<Constraint>,
    /// What is being written.
    part: Part,
    held: Held,
    stops: Vec<String>,
    /// The grammar of calls, where the model decides whether to make any.
    offered: Option<Offer>,
    ready: VecDeque<Chunk>,
    finished: bool,
    tokens_left: u32,
    /// How many alternatives a token, where log-probabilities are wanted.
    alternatives: Option<u8>,
    calls: u32,
    seed: u64,
    usage: Usage,
}

/// What is being written.
#[derive(Debug)]
enum Part {
    /// Nothing yet: thoughts or text.
    Beginning,
    Thoughts,
    Text,
    Calls(CallReader),
}

/// Calls that the model may make.
struct Offer {
    dialect: Dialect,
    grammar: String,
}

impl Answer {
    /// Reads a request, and computes its prompt.
    ///
    /// # Errors
    ///
    /// What is wrong with the request, or not done by this model.
    pub fn new(runtime: &'static Runtime, request: &Request) -> Result<Self, Error> {
        let options = Options::read(request)?;
        let choice = options::choice(request)?;
        let prompt = prompt::tokens(runtime, request, &options)?;
        let context = runtime.model.shape.context;
        let count = prompt.tokens.len();
        if count >= context {
            return Err(Error::invalid_input(format!(
                "the prompt has {count} tokens, and this model sees {context} with the answer"
            )));
        }
        if count == 0 {
            return Err(Error::invalid_input("the prompt has no tokens"));
        }
        let room = u32::try_from(context - count).unwrap_or(u32::MAX);

        let strict = match &request.response_format {
            ResponseFormat::JsonSchema(schema) => schema.strict,
            _ => true,
        };
        let mut constraint = runtime.constraints.of_form(&options.form, strict)?;
        let mut offered = None;
        let mut part = if prompt.in_thoughts {
            Part::Thoughts
        } else if constraint.is_some() {
            Part::Text
        } else {
            Part::Beginning
        };
        let callable = tools::callable(request)?;
        if !callable.is_empty()
            && let Some(template) = &runtime.template
        {
            let dialect = Dialect::of(template);
            let several = request.parallel_tool_calls;
            let is_offer = request.tool_choice == ToolChoice::Automatic;
            let grammar = tools::grammar(&callable, dialect, several, is_offer)?;
            if is_offer {
                // A form for the answer leaves no room for anything else in it.
                if constraint.is_none() {
                    // What cannot be held to its schema is told before anything is computed.
                    runtime.constraints.of_lark(grammar.clone())?;
                    offered = Some(Offer { dialect, grammar });
                }
            } else {
                constraint = Some(runtime.constraints.of_lark(grammar)?);
                part = Part::Calls(CallReader::from_start(dialect));
            }
        }

        let mut session = runtime.model.session();
        let full = |_: OutOfMemory| out_of_memory(count);
        let mut kept = KeptText::begin(session.cache_mut(), &prompt.tokens).map_err(full)?;
        let cached = session.tokens();
        let rest = prompt.tokens.get(cached..).unwrap_or_default();
        runtime.model.extend(&mut session, rest).map_err(full)?;
        kept.keep(session.cache());
        Ok(Self {
            runtime,
            session,
            kept,
            seed: choice.seed,
            sampler: Sampler::new(choice, &prompt.tokens),
            options,
            constraint,
            part,
            held: Held::default(),
            stops: request.stop.clone(),
            offered,
            ready: VecDeque::new(),
            finished: false,
            tokens_left: request.max_tokens.min(room),
            alternatives: request.sampling.logprobs,
            calls: 0,
            usage: Usage {
                prompt_tokens: u32::try_from(count).unwrap_or(u32::MAX),
                completion_tokens: 0,
                reasoning_tokens: 0,
                cached_tokens: u32::try_from(cached).unwrap_or(u32::MAX),
            },
        })
    }

    /// Makes the next token, and what follows from it.
    fn step(&mut self) -> Result<(), Error> {
        if self.constraint.as_ref().is_some_and(Constraint::is_over) {
            self.finish(FinishReason::Stop);
            return Ok(());
        }
        if self.tokens_left == 0 {
            self.finish(FinishReason::Length);
            return Ok(());
        }
        let Some(token) = self.choose()? else {
            self.finish(FinishReason::Stop);
            return Ok(());
        };
        if self.is_end(token) {
            self.finish(FinishReason::Stop);
            return Ok(());
        }
        self.tokens_left -= 1;
        self.usage.completion_tokens += 1;
        if let Some(constraint) = &mut self.constraint {
            constraint.take(token)?;
        }
        self.write(token)?;
        // The last token is never looked at again.
        if !self.finished && self.tokens_left > 0 {
            let count = self.session.tokens();
            self.runtime
                .model
                .extend(&mut self.session, &[token])
                .map_err(|_| out_of_memory(count))?;
            self.kept.push(token);
        }
        Ok(())
    }

    fn is_end(&self, token: u32) -> bool {
        self.runtime.tokenizer.vocabulary.ends_text(token)
            || self.options.stop_tokens.contains(&token)
    }

    fn choose(&mut self) -> Result<Option<u32>, Error> {
        let mask = match &mut self.constraint {
            Some(constraint) => Some(constraint.mask()?),
            None => None,
        };
        let vocabulary = &self.runtime.tokenizer.vocabulary;
        let usual_end = vocabulary.ends_of_text.first().copied();
        let may_end = mask
            .as_ref()
            .is_none_or(|mask| usual_end.is_some_and(|end| mask.is_allowed(end)));
        // Where nothing but the end is left, the text ends whatever else was asked for.
        let is_held_open =
            self.options.ignores_end || self.usage.completion_tokens < self.options.min_tokens;
        let must_end = mask
            .as_ref()
            .is_some_and(|mask| may_end && mask.iter().all(|token| vocabulary.ends_text(token)));
        if must_end {
            return Ok(usual_end);
        }
        let trigger = self.offered.as_ref().map(|offer| offer.dialect.trigger());
        let open = trigger.map_or(0, |trigger| {
            beginning(self.held.bytes(), trigger.as_bytes())
        });
        let allows = |token: u32| {
            if vocabulary.ends_text(token) {
                return may_end && !is_held_open;
            }
            let is_in_form = mask.as_ref().is_none_or(|mask| mask.is_allowed(token));
            is_in_form
                && trigger.is_none_or(|trigger| {
                    stops_at_trigger(vocabulary.text(token), trigger.as_bytes(), open)
                })
        };
        Ok(self.sampler.choose(self.session.logits(), allows))
    }

    /// Passes a token on, as far as it is known what it is part of.
    fn write(&mut self, token: u32) -> Result<(), Error> {
        let bytes = self.runtime.tokenizer.vocabulary.text(token);
        if let Part::Calls(reader) = &mut self.part {
            let events = reader.read(bytes);
            for event in events {
                self.tell(event);
            }
            return Ok(());
        }
        if matches!(self.part, Part::Thoughts) {
            self.usage.reasoning_tokens += 1;
        }
        let described = self.alternatives.map(|count| {
            let (logprob, others) = logprobs(self.session.logits(), token, count.into());
            let vocabulary = &self.runtime.tokenizer.vocabulary;
            let bytes = |token: u32| vocabulary.bytes(token).unwrap_or_default().to_vec();
            Token {
                id: token,
                bytes: bytes(token),
                logprob: Some(logprob),
                alternatives: others
                    .into_iter()
                    .map(|(id, logprob)| Alternative {
                        id,
                        bytes: bytes(id),
                        logprob,
                    })
                    .collect(),
            }
        });
        let described = described.or_else(|| {
            // So that a chunk of several tokens counts as many.
            Some(Token {
                id: token,
                bytes: bytes.to_vec(),
                logprob: None,
                alternatives: Vec::new(),
            })
        });
        self.held.push(bytes, described);
        self.sort()
    }

    /// Finds what the held text is, and hands on what is known.
    fn sort(&mut self) -> Result<(), Error> {
        let [think, thought] = THOUGHTS;
        if matches!(self.part, Part::Beginning) {
            let text = self.held.bytes().trim_ascii_start();
            if text.starts_with(think.as_bytes()) {
                let end = self.held.bytes().len() - text.len() + think.len();
                self.held.skip(end);
                self.usage.reasoning_tokens = self.usage.completion_tokens;
                self.part = Part::Thoughts;
            } else if think.as_bytes().starts_with(text) {
                return Ok(());
            } else {
                self.part = Part::Text;
            }
        }
        if matches!(self.part, Part::Thoughts) {
            let ends = [thought.to_owned()];
            let Some((at, _)) = self.held.find(&ends) else {
                let kept = self.held.open([thought].into_iter());
                let released = self.held.release(kept);
                self.think(released);
                return Ok(());
            };
            let released = self.held.take_before(at);
            self.think(released);
            self.held.skip(thought.len());
            self.part = Part::Text;
        }
        if let Some((at, _)) = self.held.find(&self.stops) {
            let released = self.held.take_before(at);
            self.say(released);
            self.held = Held::default();
            self.finish(FinishReason::Stop);
            return Ok(());
        }
        let trigger = self.offered.as_ref().map(|offer| offer.dialect.trigger());
        if let Some(trigger) = trigger {
            let is_called = self.held.find(&[trigger.to_owned()]).map(|(at, _)| at);
            if let Some(at) = is_called {
                return self.call(at);
            }
        }
        let marks = self.stops.iter().map(String::as_str).chain(trigger);
        let kept = self.held.open(marks);
        let released = self.held.release(kept);
        self.say(released);
        Ok(())
    }

    /// Turns from text to calls, at the place of their trigger.
    fn call(&mut self, at: usize) -> Result<(), Error> {
        let Some(offer) = self.offered.take() else {
            return Ok(());
        };
        let mut before = self.held.take_before(at);
        before.text.truncate(before.text.trim_end().len());
        self.say(before);
        self.held = Held::default();
        self.constraint = Some(self.runtime.constraints.of_lark(offer.grammar)?);
        self.part = Part::Calls(CallReader::new(offer.dialect));
        Ok(())
    }

    fn tell(&mut self, event: Event) {
        match event {
            Event::Call(name) => {
                let number = self.seed ^ u64::from(self.calls).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let id = format!("call_{number:016x}");
                self.ready.push_back(Chunk::tool_call(self.calls, id, name));
                self.calls += 1;
            }
            Event::Arguments(piece) => {
                let index = self.calls.saturating_sub(1);
                self.ready.push_back(Chunk::tool_arguments(index, piece));
            }
        }
    }

    fn say(&mut self, released: Released) {
        if released.text.is_empty() && released.tokens.is_empty() {
            return;
        }
        // Said once text is there, nothing at the beginning of an answer is a call any more.
        if self
            .offered
            .as_ref()
            .is_some_and(|offer| offer.dialect.begins_answer())
            && !released.text.trim().is_empty()
        {
            self.offered = None;
        }
        let wants_tokens = self.alternatives.is_some() || released.count != 1;
        let tokens = if wants_tokens {
            released.tokens
        } else {
            Vec::new()
        };
        self.ready
            .push_back(Chunk::tokens_of_text(released.text, tokens));
    }

    fn think(&mut self, released: Released) {
        if !released.text.is_empty() {
            self.ready.push_back(Chunk::reasoning(released.text));
        }
    }

    fn finish(&mut self, reason: FinishReason) {
        if !self.finished {
            self.finished = true;
            self.kept.keep(self.session.cache());
            let rest = self.held.take_all();
            match self.part {
                Part::Thoughts => self.think(rest),
                _ => self.say(rest),
            }
            let reason = match reason {
                FinishReason::Stop if self.calls > 0 => FinishReason::ToolCalls,
                other => other,
            };
            self.ready.push_back(Chunk::finish(reason));
        }
    }
}

impl Generate for Answer {
    fn next(&mut self, max_chunks: u32) -> Result<Vec<Chunk>, Error> {
        while self.ready.is_empty() && !self.finished {
            self.step()?;
        }
        let count = self.ready.len().min(max_chunks.max(1) as usize);
        Ok(self.ready.drain(..count).collect())
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

/// Whether a token does not go past the end of a trigger of which so many bytes are written: what
/// follows it belongs to the grammar of calls.
fn stops_at_trigger(text: &[u8], trigger: &[u8], open: usize) -> bool {
    let left = trigger.get(open..).unwrap_or_default();
    if open > 0 && text.starts_with(left) {
        return text.len() == left.len();
    }
    if text.len() <= trigger.len() {
        return true;
    }
    let found = text.windows(trigger.len()).position(|part| part == trigger);
    found.is_none_or(|at| at + trigger.len() == text.len())
}

fn out_of_memory(count: usize) -> Error {
    Error::unsupported(format!(
        "there is no memory for more than {count} tokens of prompt and answer"
    ))
}
