//! One answer: thoughts where they are asked for, then tool calls, JSON or prose, then the
//! reason for its end.

use alloc::string::String;
use alloc::vec::{self, Vec};

use belljar_guest::text::{
    Chunk, FinishReason, Generate, Part, Prompt, ReasoningEffort, Request, ResponseFormat, Usage,
};
use belljar_guest::{Error, Value};

use crate::entities::Entities;
use crate::fields;
use crate::fill::Filler;
use crate::json::Json;
use crate::logprobs;
use crate::prose::Prose;
use crate::random::{self, Random};
use crate::results;
use crate::schema::{self, Purpose, Sources};
use crate::stops::Stops;
use crate::tokens;
use crate::tools::{self, Call};
use crate::topics;

/// Where prose ends by itself: with the first sentence after a number of pieces in this range.
const NATURAL_LENGTH: (u32, u32) = (24, 160);
/// What each message costs beside its content, and each answer's beginning, as documented for
/// the chat models that clients expect.
const MESSAGE_TOKENS: u32 = 3;
const ANSWER_TOKENS: u32 = 3;
const IMAGE_TOKENS_LOW: u32 = 85;
const IMAGE_TOKENS: u32 = 255;
/// What media costs, in bytes a token.
const MEDIA_BYTES: usize = 1024;

/// An answer in the making.
pub(crate) struct Answer {
    usage: Usage,
    tokens_left: u32,
    thoughts_left: u32,
    thoughts: Option<Prose>,
    body: Body,
    stops: Stops,
    /// What is made beyond what was asked for: where a stop string turned out to be none, all
    /// that it held back comes at once.
    ready: Vec<Chunk>,
    finished: bool,
    /// How many alternatives a token, where log-probabilities are wanted.
    alternatives: Option<u8>,
    greedy: bool,
    random: Random,
}

enum Body {
    Prose {
        prose: Prose,
        made: u32,
        natural_length: u32,
    },
    /// What is known to its end.
    Written { rest: String, at: usize },
    Calls {
        calls: vec::IntoIter<Call>,
        current: Option<(u32, Call, usize)>,
        begun: u32,
    },
}

impl Answer {
    pub(crate) fn new(request: &Request) -> Result<Self, Error> {
        let mut random = Random::new(random::seed_of(request));
        let topics = topics::of_request(request);
        let thoughts_left = thoughts(request, &mut random);
        let thoughts =
            (thoughts_left > 0).then(|| Prose::new(Random::new(random.bits()), topics.clone()));
        let calls = tools::calls(request, &topics, &mut random)?;
        let body = if calls.is_empty() {
            match &request.response_format {
                ResponseFormat::Text => match results::of_request(request) {
                    findings if findings.is_empty() => text(request, topics, &mut random),
                    findings => written(results::in_english(&findings)),
                },
                ResponseFormat::JsonObject => json(&structured(
                    request,
                    &fields::schema(request),
                    "",
                    &topics,
                    &mut random,
                )?),
                ResponseFormat::JsonSchema(format) => {
                    let schema = Json::parse(&format.schema).ok_or_else(|| {
                        Error::invalid_input("`response_format`: the schema is not JSON")
                    })?;
                    json(&structured(
                        request,
                        &schema,
                        &format.name,
                        &topics,
                        &mut random,
                    )?)
                }
            }
        } else {
            Body::Calls {
                calls: calls.into_iter(),
                current: None,
                begun: 0,
            }
        };
        Ok(Self {
            usage: Usage {
                prompt_tokens: prompt_tokens(request),
                completion_tokens: 0,
                reasoning_tokens: 0,
                cached_tokens: 0,
            },
            tokens_left: request.max_tokens,
            thoughts_left,
            thoughts,
            body,
            stops: Stops::new(&request.stop),
            ready: Vec::new(),
            finished: false,
            alternatives: request.sampling.logprobs,
            greedy: request.sampling.temperature == Some(0.0),
            random,
        })
    }

    /// Makes the next chunks, none where they are held back, or finds that there are no more.
    fn step(&mut self, chunks: &mut Vec<Chunk>) {
        if self.tokens_left == 0 && self.has_more() {
            return self.finish(FinishReason::Length, chunks);
        }
        if self.thoughts_left > 0 {
            self.thoughts_left -= 1;
            let piece = self
                .thoughts
                .as_mut()
                .map(|prose| prose.next().0)
                .unwrap_or_default();
            self.spend();
            self.usage.completion_tokens += 1;
            self.usage.reasoning_tokens += 1;
            return chunks.push(Chunk::reasoning(piece));
        }
        match self.next_of_body() {
            Piece::Text(text) => {
                self.spend();
                self.say(text, chunks);
            }
            Piece::Call(chunk) => {
                self.spend();
                self.usage.completion_tokens += 1;
                chunks.push(chunk);
            }
            Piece::End(reason) => self.finish(reason, chunks),
        }
    }

    /// Whether there would be another chunk with more tokens to spend.
    fn has_more(&self) -> bool {
        self.thoughts_left > 0
            || match &self.body {
                Body::Prose {
                    made,
                    natural_length,
                    prose,
                } => !(made >= natural_length && prose.at_sentence_end()),
                Body::Written { rest, at } => *at < rest.len(),
                Body::Calls { calls, current, .. } => {
                    calls.len() > 0
                        || current
                            .as_ref()
                            .is_some_and(|(_, call, at)| *at < call.arguments.len())
                }
            }
    }

    fn next_of_body(&mut self) -> Piece {
        match &mut self.body {
            Body::Prose {
                prose,
                made,
                natural_length,
            } => {
                if *made >= *natural_length && prose.at_sentence_end() {
                    return Piece::End(FinishReason::Stop);
                }
                *made = made.saturating_add(1);
                Piece::Text(prose.next().0)
            }
            Body::Written { rest, at } => match rest.get(*at..).and_then(tokens::split_first) {
                Some((piece, _)) => {
                    *at += piece.len();
                    Piece::Text(piece.into())
                }
                None => Piece::End(FinishReason::Stop),
            },
            Body::Calls {
                calls,
                current,
                begun,
            } => {
                if let Some((index, call, at)) = current
                    && let Some((piece, _)) =
                        call.arguments.get(*at..).and_then(tokens::split_first)
                {
                    *at += piece.len();
                    return Piece::Call(Chunk::tool_arguments(*index, piece));
                }
                let Some(call) = calls.next() else {
                    return Piece::End(FinishReason::ToolCalls);
                };
                let chunk = Chunk::tool_call(*begun, call.id.as_str(), call.name.as_str());
                *current = Some((*begun, call, 0));
                *begun += 1;
                Piece::Call(chunk)
            }
        }
    }

    /// Passes a piece of text on, as far as no stop string begins in it.
    fn say(&mut self, piece: String, chunks: &mut Vec<Chunk>) {
        let Self {
            stops,
            usage,
            random,
            alternatives,
            greedy,
            ..
        } = self;
        let stopped = stops.take(piece, |piece| {
            usage.completion_tokens += 1;
            chunks.push(text_chunk(piece, *alternatives, *greedy, random));
        });
        if stopped {
            self.finish(FinishReason::Stop, chunks);
        }
    }

    fn finish(&mut self, reason: FinishReason, chunks: &mut Vec<Chunk>) {
        let Self {
            stops,
            usage,
            random,
            alternatives,
            greedy,
            ..
        } = self;
        stops.finish(|piece| {
            usage.completion_tokens += 1;
            chunks.push(text_chunk(piece, *alternatives, *greedy, random));
        });
        chunks.push(Chunk::finish(reason));
        self.finished = true;
    }

    fn spend(&mut self) {
        self.tokens_left = self.tokens_left.saturating_sub(1);
    }
}

impl Generate for Answer {
    fn next(&mut self, max_chunks: u32) -> Result<Vec<Chunk>, Error> {
        // Most hosts ask for more than there is; the list then is as long as a short answer.
        const USUAL_CHUNKS: u32 = 64;
        let wanted = max_chunks.max(1) as usize;
        let mut chunks = core::mem::take(&mut self.ready);
        chunks.reserve_exact(max_chunks.clamp(1, USUAL_CHUNKS) as usize);
        while chunks.len() < wanted && !self.finished {
            self.step(&mut chunks);
        }
        if chunks.len() > wanted {
            self.ready = chunks.split_off(wanted);
        }
        Ok(chunks)
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

enum Piece {
    Text(String),
    Call(Chunk),
    End(FinishReason),
}

fn text_chunk(piece: String, alternatives: Option<u8>, greedy: bool, random: &mut Random) -> Chunk {
    match alternatives {
        // Tokens nobody asked for would double what crosses to the host.
        None => Chunk::text(piece),
        Some(count) => {
            let token = logprobs::token(&piece, count, greedy, random);
            Chunk::tokens_of_text(piece, Vec::from([token]))
        }
    }
}

fn text(request: &Request, topics: Vec<String>, random: &mut Random) -> Body {
    let (least, most) = NATURAL_LENGTH;
    let natural_length = least + random.below((most - least) as usize) as u32;
    // Options of other servers, by which load tests ask for answers of an exact length.
    let natural_length = match (
        request.parameter("ignore_eos"),
        request.parameter("min_tokens"),
    ) {
        (Some(Value::Boolean(true)), _) => u32::MAX,
        (_, Some(&Value::Integer(least))) => {
            natural_length.max(u32::try_from(least.max(0)).unwrap_or(u32::MAX))
        }
        _ => natural_length,
    };
    Body::Prose {
        prose: Prose::new(Random::new(random.bits()), topics),
        made: 0,
        natural_length,
    }
}

fn json(value: &Json) -> Body {
    let mut rest = String::new();
    value.write(&mut rest);
    written(rest)
}

fn written(rest: String) -> Body {
    Body::Written { rest, at: 0 }
}

/// A value that follows a schema.
fn structured(
    request: &Request,
    schema: &Json,
    name: &str,
    topics: &[String],
    random: &mut Random,
) -> Result<Json, Error> {
    let entities = Entities::of_request(request);
    let sources = Sources {
        name,
        filler: Filler::new(&entities),
        topics,
        purpose: Purpose::Answer,
        random,
    };
    schema::value(schema, sources).map_err(|error| schema::within(error, "`response_format`"))
}

/// How many pieces of thought come first: none unless asked for, and at most half of the answer.
fn thoughts(request: &Request, random: &mut Random) -> u32 {
    let usual = match request.reasoning_effort {
        None | Some(ReasoningEffort::None) => return 0,
        Some(ReasoningEffort::Minimal) => 8,
        Some(ReasoningEffort::Low) => 24,
        Some(ReasoningEffort::Medium) => 64,
        Some(ReasoningEffort::High) => 192,
    };
    (usual + random.below(usual as usize / 4) as u32).min(request.max_tokens / 2)
}

/// The prompt's tokens, by the same rule as the answer's.
fn prompt_tokens(request: &Request) -> u32 {
    let prompt = match &request.prompt {
        Prompt::Messages(messages) => messages.iter().fold(ANSWER_TOKENS, |sum, message| {
            let content = message
                .content
                .iter()
                .map(part_tokens)
                .fold(0, u32::saturating_add);
            let name = message
                .name
                .as_deref()
                .map_or(0, |name| tokens::count(name) + 1);
            let calls = message.tool_calls.iter().fold(0u32, |sum, call| {
                sum.saturating_add(tokens::count(&call.name))
                    .saturating_add(tokens::count(&call.arguments))
            });
            [MESSAGE_TOKENS, content, name, calls]
                .into_iter()
                .fold(sum, u32::saturating_add)
        }),
        Prompt::Text(raw) => {
            let suffix = raw.suffix.as_deref().map_or(0, tokens::count);
            tokens::count(&raw.text).saturating_add(suffix)
        }
        Prompt::Tokens(ids) => u32::try_from(ids.len()).unwrap_or(u32::MAX),
    };
    request.tools.iter().fold(prompt, |sum, tool| {
        let texts = [
            Some(tool.name.as_str()),
            tool.description.as_deref(),
            tool.parameters.as_deref(),
        ];
        texts
            .into_iter()
            .flatten()
            .map(tokens::count)
            .fold(sum, u32::saturating_add)
    })
}

fn part_tokens(part: &Part) -> u32 {
    use belljar_guest::Source;
    let media = |source: &Source| match source {
        Source::Inline(media) => {
            u32::try_from(media.data.len() / MEDIA_BYTES + 1).unwrap_or(u32::MAX)
        }
        Source::Url(_) => IMAGE_TOKENS,
    };
    match part {
        Part::Text(text) | Part::Refusal(text) => tokens::count(text),
        Part::Image(image) if image.detail.as_deref() == Some("low") => IMAGE_TOKENS_LOW,
        Part::Image(_) => IMAGE_TOKENS,
        Part::Audio(source) => media(source),
        Part::File(file) => media(&file.source),
    }
}

#[cfg(test)]
mod tests;
