//! From tokens to what stands for each of them after the last layer.

use std::ops::Range;

use belljar_guest::kernels::{
    PackedInput, add_weighted_rows, dot_rows, gelu, gelu_tanh, layer_norm, softmax,
};

use crate::shape::{Activation, Shape};
use crate::tokenizer::Encoded;
use crate::weights::{Bend, Classifier, Layer, Linear, Norm, Weights};

/// Tokens of short texts that go through the layers together.
const BATCH_TOKENS: usize = 256;
/// Vectors that meet a matrix at a time: with more they no longer fit into the processor's nearer
/// memories, with fewer the matrix comes from the farther ones too often.
const VECTORS_TOGETHER: usize = 64;

/// A model that can be run.
#[derive(Debug)]
pub struct Model {
    /// Its sizes and constants.
    pub shape: Shape,
    /// What it was trained to.
    pub weights: Weights,
}

/// Room for what is computed between layers, for as many tokens as a batch has.
#[derive(Debug, Default)]
struct Room {
    input: PackedInput,
    stream: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attended: Vec<f32>,
    projected: Vec<f32>,
    inner: Vec<f32>,
    /// The keys and the values of one head of one text.
    keys: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<f32>,
}

impl Model {
    /// Computes what stands for each token after the last layer, and hands it on text by text, in
    /// their order. A text's result does not depend on the others.
    pub fn each_text(&self, texts: &[Encoded], mut take: impl FnMut(&[f32])) {
        let mut room = Room::default();
        let mut rest = texts;
        while !rest.is_empty() {
            let mut tokens = 0;
            let fitting = rest.iter().take_while(|text| {
                tokens += text.tokens.len();
                tokens <= BATCH_TOKENS
            });
            // A text that is longer than a batch goes alone.
            let count = fitting.count().max(1);
            let Some((batch, after)) = rest.split_at_checked(count) else {
                return;
            };
            rest = after;
            for range in self.batch(&mut room, batch) {
                let width = self.shape.width;
                let states = room.stream.get(range.start * width..range.end * width);
                take(states.unwrap_or_default());
            }
        }
    }

    /// How well the texts of a pair fit each other, by what stands for its tokens.
    pub(crate) fn score(&self, classifier: &Classifier, states: &[f32]) -> f32 {
        let mut room = Room::default();
        let first = states.get(..self.shape.width).unwrap_or_default();
        apply(
            &classifier.dense,
            first,
            &mut room.input,
            &mut room.projected,
        );
        for x in &mut room.projected {
            *x = match classifier.bend {
                Bend::Tanh => x.tanh(),
                Bend::Relu => x.max(0.0),
            };
        }
        let mut logit = Vec::new();
        apply(
            &classifier.output,
            &room.projected,
            &mut room.input,
            &mut logit,
        );
        logit.first().copied().unwrap_or_default()
    }

    /// Runs the texts through the layers; where the tokens of each are.
    fn batch(&self, room: &mut Room, texts: &[Encoded]) -> Vec<Range<usize>> {
        let Shape {
            width, activation, ..
        } = self.shape;
        let mut ranges = Vec::with_capacity(texts.len());
        let mut end = 0;
        for text in texts {
            ranges.push(end..end + text.tokens.len());
            end += text.tokens.len();
        }
        self.embed(room, texts, end);
        for layer in &self.weights.layers {
            room.ask(layer);
            room.attend(&self.shape, &ranges);
            room.finish(layer, width, activation, self.shape.epsilon);
        }
        ranges
    }

    /// Looks the tokens up, with their positions and types.
    fn embed(&self, room: &mut Room, texts: &[Encoded], tokens: usize) {
        let width = self.shape.width;
        room.stream.clear();
        room.stream.resize(tokens * width, 0.0);
        let mut rows = room.stream.chunks_exact_mut(width);
        for text in texts {
            let each = text.tokens.iter().zip(&text.kinds).enumerate();
            for ((position, (&token, &kind)), row) in each.zip(rows.by_ref()) {
                self.weights.tokens.add_row(token as usize, row);
                self.weights.positions.add_row(position, row);
                if let Some(types) = &self.weights.types {
                    types.add_row(kind as usize, row);
                }
                normalise(row, &self.weights.norm, self.shape.epsilon);
            }
        }
    }
}

impl Room {
    /// Computes queries, keys and values of a layer.
    fn ask(&mut self, layer: &Layer) {
        let of = [&layer.query, &layer.key, &layer.value];
        let to = [&mut self.query, &mut self.key, &mut self.value];
        apply_all(of, &self.stream, &mut self.input, to);
    }

    /// Lets each head of each token look at all tokens of its text.
    fn attend(&mut self, shape: &Shape, texts: &[Range<usize>]) {
        let (width, head) = (shape.width, shape.head_width());
        let scale = 1.0 / (head as f32).sqrt();
        self.attended.clear();
        self.attended.resize(self.query.len(), 0.0);
        for text in texts {
            let tokens = text.start * width..text.end * width;
            let part = |numbers: &'_ [f32], index: usize, to: &mut Vec<f32>| {
                to.clear();
                let rows = numbers.get(tokens.clone()).unwrap_or_default();
                for row in rows.chunks_exact(width) {
                    let part = row.chunks_exact(head).nth(index);
                    to.extend_from_slice(part.unwrap_or_default());
                }
            };
            for index in 0..shape.heads {
                part(&self.key, index, &mut self.keys);
                part(&self.value, index, &mut self.values);
                self.scores.resize(text.len(), 0.0);
                let queries = self.query.get(tokens.clone()).unwrap_or_default();
                let outputs = self.attended.get_mut(tokens.clone()).unwrap_or_default();
                let rows = queries.chunks_exact(width);
                for (query, output) in rows.zip(outputs.chunks_exact_mut(width)) {
                    let query = query.chunks_exact(head).nth(index);
                    let output = output.chunks_exact_mut(head).nth(index);
                    let (Some(query), Some(output)) = (query, output) else {
                        continue;
                    };
                    dot_rows(&self.keys, query, &mut self.scores);
                    for score in &mut self.scores {
                        *score *= scale;
                    }
                    softmax(&mut self.scores);
                    add_weighted_rows(&self.values, &self.scores, output);
                }
            }
        }
    }

    /// What comes after the heads in a layer.
    fn finish(&mut self, layer: &Layer, width: usize, activation: Activation, epsilon: f32) {
        let Self {
            input,
            stream,
            attended,
            projected,
            inner,
            ..
        } = self;
        apply(&layer.output, attended, input, projected);
        add_and_normalise(stream, projected, &layer.attention_norm, width, epsilon);
        apply(&layer.up, stream, input, inner);
        match activation {
            Activation::Gelu => gelu(inner),
            Activation::GeluTanh => gelu_tanh(inner),
            Activation::Relu => inner.iter_mut().for_each(|x| *x = x.max(0.0)),
        }
        apply(&layer.down, inner, input, projected);
        add_and_normalise(stream, projected, &layer.norm, width, epsilon);
    }
}

fn add_and_normalise(stream: &mut [f32], added: &[f32], norm: &Norm, width: usize, epsilon: f32) {
    let rows = stream.chunks_exact_mut(width);
    for (row, added) in rows.zip(added.chunks_exact(width)) {
        row.iter_mut().zip(added).for_each(|(x, more)| *x += more);
        normalise(row, norm, epsilon);
    }
}

fn normalise(row: &mut [f32], norm: &Norm, epsilon: f32) {
    layer_norm(row, &norm.weight, &norm.bias, epsilon);
}

/// Multiplies each vector by a matrix, and adds what is added.
fn apply(linear: &Linear, vectors: &[f32], input: &mut PackedInput, products: &mut Vec<f32>) {
    apply_all([linear], vectors, input, [products]);
}

/// Multiplies each vector by several matrices of the same size.
fn apply_all<const N: usize>(
    linears: [&Linear; N],
    vectors: &[f32],
    input: &mut PackedInput,
    mut products: [&mut Vec<f32>; N],
) {
    let Some(first) = linears.first() else { return };
    let (rows, columns) = (first.matrix.rows(), first.matrix.columns());
    for products in &mut products {
        products.resize(vectors.len() / columns * rows, 0.0);
    }
    for (part, vectors) in vectors.chunks(VECTORS_TOGETHER * columns).enumerate() {
        first.matrix.set_input(input, vectors);
        for (linear, products) in linears.iter().zip(&mut products) {
            let mut parts = products.chunks_mut(VECTORS_TOGETHER * rows);
            let products = parts.nth(part).unwrap_or_default();
            linear.matrix.multiply(input, products);
            for row in products.chunks_exact_mut(rows) {
                let pairs = row.iter_mut().zip(&linear.bias);
                pairs.for_each(|(x, bias)| *x += bias);
            }
        }
    }
}
