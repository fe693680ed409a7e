//! One answer: thoughts where they are asked for, then tool calls, JSON or prose, then the
//! reason for its end.

use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::text::{Chunk, FinishReason, Generate, ReasoningEffort, Request, Usage};
use belljar_guest::{Error, Value};

use crate::body::{self, Body, Text};
use crate::logprobs;
use crate::random::{self, Random};
use crate::reading::Reading;
use crate::stops::Stops;
use crate::tokens;
use crate::usage;

/// An answer in the making.
pub(crate) struct Answer {
    usage: Usage,
    tokens_left: u32,
    thoughts_left: u32,
    thoughts: Option<Text>,
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
    /// Whether the host counts the tokens, and cuts the text anew.
    is_counted: bool,
}

impl Answer {
    pub(crate) fn new(request: &Request) -> Result<Self, Error> {
        let order = random::order_of(request);
        let mut random = Random::new(random::seed_of(request, order));
        let mut reading = Reading::new(request);
        let thoughts_left = thoughts(request, &mut random);
        let thoughts =
            (thoughts_left > 0).then(|| body::thoughts(request, &reading, order, &mut random));
        let is_counted = is_counted_by_host(request);
        let body = body::body(request, &mut reading, order, &mut random)?;
        Ok(Self {
            usage: Usage {
                prompt_tokens: if is_counted {
                    0
                } else {
                    usage::prompt_tokens(request)
                },
                completion_tokens: 0,
                reasoning_tokens: 0,
                cached_tokens: 0,
            },
            tokens_left: if is_counted {
                request.max_tokens.saturating_mul(PIECES_A_TOKEN)
            } else {
                request.max_tokens
            },
            thoughts_left,
            thoughts,
            body,
            stops: Stops::new(&request.stop),
            ready: Vec::new(),
            finished: false,
            alternatives: request.sampling.logprobs,
            greedy: request.sampling.temperature == Some(0.0),
            random,
            is_counted,
        })
    }

    /// Makes plain text as far as it goes: what most answers are, and load tests measure. How many
    /// pieces it made.
    fn text(&mut self, wanted: usize, chunks: &mut Vec<Chunk>) -> usize {
        let Body::Text(text) = &mut self.body else {
            return 0;
        };
        if self.thoughts_left > 0 || self.alternatives.is_some() || !self.stops.are_none() {
            return 0;
        }
        let most = wanted.min(self.tokens_left as usize);
        let made = if self.is_counted {
            // The host cuts it anew: finding where each piece ends would be for nothing, and a chunk
            // of each would cost more than the piece.
            let mut joined = String::with_capacity(most * USUAL_PIECE_BYTES);
            let made = text.take_about(most, &mut joined);
            if !joined.is_empty() {
                chunks.push(Chunk::text(joined));
            }
            made
        } else {
            text.take(most, |piece| chunks.push(Chunk::text(piece)))
        };
        self.tokens_left -= made;
        self.usage.completion_tokens += made;
        made as usize
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
                .and_then(Text::next)
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
                Body::Text(text) => text.has_more(),
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
            Body::Text(text) => match text.next() {
                Some(piece) => Piece::Text(piece),
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
        if !self.is_counted {
            chunks.reserve_exact(max_chunks.clamp(1, USUAL_CHUNKS) as usize);
        }
        let mut made = chunks.len();
        while made < wanted && !self.finished {
            match self.text(wanted - made, &mut chunks) {
                0 => {
                    let before = chunks.len();
                    self.step(&mut chunks);
                    made += chunks.len() - before;
                }
                pieces => made += pieces,
            }
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

/// Bytes that a piece of text has, with the space before it.
const USUAL_PIECE_BYTES: usize = 6;

/// How many pieces an answer may have for each token of a host that counts real ones.
const PIECES_A_TOKEN: u32 = 8;

/// Whether the host counts real tokens: then nothing is counted here, and it cuts the answer
/// itself, for which it needs at least as many pieces.
fn is_counted_by_host(request: &Request) -> bool {
    let counted = request.parameter("tokens_counted_by_host");
    matches!(counted, Some(Value::Boolean(true)))
}

/// How many pieces of thought come first: none unless asked for, and at most a quarter of the answer.
fn thoughts(request: &Request, random: &mut Random) -> u32 {
    let usual = match request.reasoning_effort {
        None | Some(ReasoningEffort::None) => return 0,
        Some(ReasoningEffort::Minimal) => 8,
        Some(ReasoningEffort::Low) => 24,
        Some(ReasoningEffort::Medium) => 64,
        Some(ReasoningEffort::High) => 192,
    };
    (usual + random.below(usual as usize / 4) as u32).min(request.max_tokens / 4)
}

#[cfg(test)]
mod tests;
