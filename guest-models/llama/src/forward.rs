//! From tokens to how likely each token is to come next.

use belljar_guest::kernels::{Input, add_weighted_rows, dot_rows, rms_norm, softmax, swiglu};

use crate::cache::{Cache, OutOfMemory};
use crate::gguf::{Gguf, GgufError};
use crate::shape::{Pairs, Shape};
use crate::weights::{Layer, Linear, Weights};

/// Tokens that go through the layers together. More would share the work of taking weights apart
/// among more, and no longer fit into the processor's nearest memory.
const BATCH_TOKENS: usize = 32;

/// A model that can be run.
#[derive(Debug)]
pub struct Model<'a> {
    /// Its sizes and constants.
    pub shape: Shape,
    weights: Weights<'a>,
    /// The angle by which each pair of elements is turned from one position to the next.
    frequencies: Vec<f64>,
}

/// A text in the making: what has been computed of it, and room to compute more.
#[derive(Debug)]
pub struct Session {
    cache: Cache,
    room: Room,
    logits: Vec<f32>,
}

/// Room for what is computed between layers, for as many tokens as a batch has.
#[derive(Debug, Default)]
struct Room {
    input: Input,
    stream: Vec<f32>,
    normed: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attended: Vec<f32>,
    projected: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    scores: Vec<f32>,
    /// Sine and cosine of each pair at each position of the batch.
    turns: Vec<(f32, f32)>,
}

impl<'a> Model<'a> {
    /// Reads a model from its file.
    ///
    /// # Errors
    ///
    /// [`GgufError`] where metadata and tensors do not make one.
    pub fn read(file: &Gguf<'a>) -> Result<Self, GgufError> {
        let shape = Shape::read(file)?;
        let weights = Weights::read(file, &shape)?;
        let factor = |pair: usize| {
            let factors = weights.rope_factors.as_deref();
            factors
                .and_then(|factors| factors.get(pair))
                .map_or(1.0, |&factor| f64::from(factor))
        };
        let frequencies = (0..shape.rope / 2)
            .map(|pair| {
                let exponent = -2.0 * pair as f64 / shape.rope as f64;
                shape.rope_base.powf(exponent) / factor(pair) / shape.rope_divisor
            })
            .collect();
        Ok(Self {
            shape,
            weights,
            frequencies,
        })
    }

    /// How many tokens there are.
    pub fn vocabulary(&self) -> usize {
        self.weights.vocabulary()
    }

    /// A text without tokens.
    pub fn session(&self) -> Session {
        Session {
            cache: Cache::new(&self.shape),
            room: Room::default(),
            logits: Vec::new(),
        }
    }

    /// Continues a text by tokens, after which [`Session::logits`] are those of the token that
    /// comes next. The result does not depend on how the tokens were divided among calls. A
    /// number that is no token counts as the first one.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] where there is no room for the tokens; the text then cannot go on.
    pub fn extend(&self, session: &mut Session, tokens: &[u32]) -> Result<(), OutOfMemory> {
        let batches = tokens.chunks(BATCH_TOKENS);
        let count = batches.len();
        for (index, batch) in batches.enumerate() {
            self.batch(session, batch)?;
            if index + 1 == count {
                self.finish(session);
            }
        }
        Ok(())
    }

    fn batch(&self, session: &mut Session, tokens: &[u32]) -> Result<(), OutOfMemory> {
        let shape = &self.shape;
        let Session { cache, room, .. } = session;
        room.begin(self, tokens, cache.tokens());
        for (index, layer) in self.weights.layers.iter().enumerate() {
            room.normalise(&layer.attention_norm, shape);
            room.ask(layer, shape, index);
            // Each token sees those before it and itself, so what it adds comes before it looks.
            for token in 0..tokens.len() {
                let keys = part(&room.key, token, shape.kv_width());
                let values = part(&room.value, token, shape.kv_width());
                cache.push(index, keys, values)?;
            }
            room.attend(cache, index, shape, tokens.len());
            room.add(&layer.attention_output, Source::Attended);
            room.normalise(&layer.inner_norm, shape);
            room.inner(layer);
        }
        cache.advance(tokens.len());
        Ok(())
    }

    /// Computes the logits after the last token of the batch.
    fn finish(&self, session: &mut Session) {
        let width = self.shape.width;
        let room = &mut session.room;
        let last = room.stream.len().saturating_sub(width);
        room.normed.clear();
        room.normed
            .extend_from_slice(room.stream.get(last..).unwrap_or_default());
        rms_norm(&mut room.normed, &self.weights.norm, self.shape.epsilon);
        room.input.set(width, &room.normed);
        session.logits.resize(self.vocabulary(), 0.0);
        self.weights
            .output
            .multiply(&room.input, &mut session.logits);
    }
}

impl Session {
    /// How likely each token is to come next, as logits: their exponentials are in proportion to
    /// the probabilities. Empty before the first token.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// How many tokens the text has.
    pub fn tokens(&self) -> usize {
        self.cache.tokens()
    }
}

/// What a matrix of [`Room::add`] is applied to.
enum Source {
    Attended,
    Gate,
}

impl Room {
    /// Looks the tokens up, and the turns of their positions.
    fn begin(&mut self, model: &Model<'_>, tokens: &[u32], first: usize) {
        let width = model.shape.width;
        resize(&mut self.stream, tokens.len() * width);
        for (token, row) in tokens.iter().zip(self.stream.chunks_exact_mut(width)) {
            let embedding = &model.weights.embedding;
            if !embedding.write_row(*token as usize, row) {
                embedding.write_row(0, row);
            }
        }
        self.turns.clear();
        for position in first..first + tokens.len() {
            self.turns.extend(model.frequencies.iter().map(|frequency| {
                let (sine, cosine) = (position as f64 * frequency).sin_cos();
                (sine as f32, cosine as f32)
            }));
        }
    }

    /// Normalises what is between layers and makes it the input of matrices.
    fn normalise(&mut self, weights: &[f32], shape: &Shape) {
        self.normed.clear();
        self.normed.extend_from_slice(&self.stream);
        for row in self.normed.chunks_exact_mut(shape.width) {
            rms_norm(row, weights, shape.epsilon);
        }
        self.input.set(shape.width, &self.normed);
    }

    /// Computes queries, keys and values of a layer, turned by their positions.
    fn ask(&mut self, layer: &Layer<'_>, shape: &Shape, index: usize) {
        apply(&layer.query, &self.input, &mut self.query);
        apply(&layer.key, &self.input, &mut self.key);
        apply(&layer.value, &self.input, &mut self.value);
        for (norm, heads) in [
            (&layer.query_norm, &mut self.query),
            (&layer.key_norm, &mut self.key),
        ] {
            if let Some(norm) = norm {
                for head in heads.chunks_exact_mut(shape.head) {
                    rms_norm(head, norm, shape.epsilon);
                }
            }
        }
        if shape.turns(index) && shape.rope > 0 {
            let pairs = shape.rope / 2;
            for (heads, width) in [
                (&mut self.query, shape.query_width()),
                (&mut self.key, shape.kv_width()),
            ] {
                let turns = self.turns.chunks_exact(pairs);
                for (row, turns) in heads.chunks_exact_mut(width).zip(turns) {
                    for head in row.chunks_exact_mut(shape.head) {
                        turn(head, turns, shape.pairs);
                    }
                }
            }
        }
    }

    /// Lets each head of each token look at the tokens up to its own.
    fn attend(&mut self, cache: &Cache, layer: usize, shape: &Shape, count: usize) {
        let scale = 1.0 / (shape.head as f32).sqrt();
        let group = shape.heads / shape.kv_heads;
        resize(&mut self.attended, count * shape.query_width());
        let queries = self.query.chunks_exact(shape.query_width());
        let outputs = self.attended.chunks_exact_mut(shape.query_width());
        for (token, (queries, outputs)) in queries.zip(outputs).enumerate() {
            let seen = cache.tokens() + token + 1;
            let queries = queries.chunks_exact(shape.head);
            let outputs = outputs.chunks_exact_mut(shape.head);
            for (head, (query, output)) in queries.zip(outputs).enumerate() {
                let pages = || cache.pages(layer, head / group);
                self.scores.resize(seen, 0.0);
                let mut left = self.scores.as_mut_slice();
                for (keys, _) in pages() {
                    let tokens = (keys.len() / shape.head).min(left.len());
                    let (scores, rest) = left.split_at_mut(tokens);
                    dot_rows(keys, query, scores);
                    left = rest;
                }
                for score in &mut self.scores {
                    *score *= scale;
                }
                softmax(&mut self.scores);
                output.fill(0.0);
                let mut left = self.scores.as_slice();
                for (_, values) in pages() {
                    let tokens = (values.len() / shape.head).min(left.len());
                    let (weights, rest) = left.split_at(tokens);
                    add_weighted_rows(values, weights, output);
                    left = rest;
                }
            }
        }
    }

    /// Adds the products of a matrix to what is between layers.
    fn add(&mut self, linear: &Linear<'_>, source: Source) {
        let numbers = match source {
            Source::Attended => &self.attended,
            Source::Gate => &self.gate,
        };
        self.input.set(linear.matrix.columns(), numbers);
        apply(linear, &self.input, &mut self.projected);
        for (stream, added) in self.stream.iter_mut().zip(&self.projected) {
            *stream += added;
        }
    }

    /// The second half of a layer.
    fn inner(&mut self, layer: &Layer<'_>) {
        apply(&layer.gate, &self.input, &mut self.gate);
        apply(&layer.up, &self.input, &mut self.up);
        swiglu(&mut self.gate, &self.up);
        self.add(&layer.down, Source::Gate);
    }
}

fn resize(numbers: &mut Vec<f32>, length: usize) {
    numbers.resize(length, 0.0);
}

fn part(numbers: &[f32], index: usize, length: usize) -> &[f32] {
    let start = index * length;
    numbers.get(start..start + length).unwrap_or_default()
}

fn apply(linear: &Linear<'_>, input: &Input, products: &mut Vec<f32>) {
    let rows = linear.matrix.rows();
    resize(products, input.count() * rows);
    linear.matrix.multiply(input, products);
    if let Some(bias) = &linear.bias {
        for row in products.chunks_exact_mut(rows) {
            for (product, bias) in row.iter_mut().zip(bias) {
                *product += bias;
            }
        }
    }
}

/// Turns the pairs of a head (Su et al., 2021).
fn turn(head: &mut [f32], turns: &[(f32, f32)], pairs: Pairs) {
    let turned =
        |a: f32, b: f32, (sine, cosine): (f32, f32)| (a * cosine - b * sine, a * sine + b * cosine);
    match pairs {
        Pairs::Interleaved => {
            let (twos, _) = head.as_chunks_mut::<2>();
            for ([a, b], &by) in twos.iter_mut().zip(turns) {
                (*a, *b) = turned(*a, *b, by);
            }
        }
        Pairs::Halves => {
            if let Some((first, second)) = head.split_at_mut_checked(turns.len()) {
                for ((a, b), &by) in first.iter_mut().zip(second).zip(turns) {
                    (*a, *b) = turned(*a, *b, by);
                }
            }
        }
    }
}
