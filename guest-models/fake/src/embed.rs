//! Vectors: texts that share words and parts of words point in similar directions.

use alloc::format;
use alloc::vec::Vec;

use belljar_guest::Error;
use belljar_guest::embeddings::{Input, Response};
use belljar_guest::kernels::dot_f32;

use crate::random::{Fingerprint, Random};
use crate::tokens;

/// The length of a vector where none is asked for.
const DIMENSIONS: u32 = 1536;
const DIMENSIONS_MAX: u32 = 3072;
/// In how many places a feature shows.
const PLACES: u32 = 4;
/// What a whole word weighs beside a group of three letters.
const WORD_WEIGHT: f32 = 2.0;
/// How strong the noise is that gives each text a value in each place, as real vectors have.
const NOISE: f32 = 0.02;

/// One vector of length 1 for each input.
pub(crate) fn embed(inputs: &[Input], dimensions: Option<u32>) -> Result<Response, Error> {
    let dimensions = dimensions.unwrap_or(DIMENSIONS);
    if !(1..=DIMENSIONS_MAX).contains(&dimensions) {
        return Err(Error::invalid_input(format!(
            "`dimensions` must be from 1 to {DIMENSIONS_MAX}"
        )));
    }
    let mut vectors = Vec::with_capacity(inputs.len());
    let mut prompt_tokens = 0u32;
    for input in inputs {
        vectors.push(vector(input, dimensions as usize));
        let count = match input {
            Input::Text(text) => tokens::count(text),
            Input::Tokens(ids) => u32::try_from(ids.len()).unwrap_or(u32::MAX),
        };
        prompt_tokens = prompt_tokens.saturating_add(count);
    }
    Ok(Response {
        vectors,
        prompt_tokens,
    })
}

fn vector(input: &Input, dimensions: usize) -> Vec<f32> {
    let mut vector = alloc::vec![0.0f32; dimensions];
    let seed = match input {
        Input::Text(text) => {
            add_text(&mut vector, text);
            let mut hash = Fingerprint::new();
            hash.bytes(text.as_bytes());
            hash.finish()
        }
        Input::Tokens(ids) => {
            let mut hash = Fingerprint::new();
            for &id in ids {
                add(&mut vector, u64::from(id), WORD_WEIGHT);
                hash.number(u64::from(id));
            }
            hash.finish()
        }
    };
    let norm = libm::sqrtf(dot_f32(&vector, &vector)).max(1.0);
    add_noise(&mut vector, seed, norm * NOISE);
    let norm = libm::sqrtf(dot_f32(&vector, &vector));
    if norm > 0.0 {
        vector.iter_mut().for_each(|value| *value /= norm);
    } else if let Some(first) = vector.first_mut() {
        *first = 1.0;
    }
    vector
}

/// Adds each word, and each group of three letters of it with its edges.
fn add_text(vector: &mut [f32], text: &str) {
    let mut word = Vec::new();
    let ends = |byte: u8| byte.is_ascii() && !byte.is_ascii_alphanumeric();
    for part in text
        .as_bytes()
        .split(|&byte| ends(byte))
        .filter(|part| !part.is_empty())
    {
        word.clear();
        word.push(b' ');
        word.extend(part.iter().map(u8::to_ascii_lowercase));
        word.push(b' ');
        let mut hash = Fingerprint::new();
        hash.bytes(&word);
        add(vector, hash.finish(), WORD_WEIGHT);
        for group in word.windows(3) {
            let [a, b, c] = group else { continue };
            add(vector, u64::from(u32::from_le_bytes([*a, *b, *c, 1])), 1.0);
        }
    }
}

/// Adds a feature: a few places of the vector, up or down.
fn add(vector: &mut [f32], feature: u64, weight: f32) {
    let mut random = Random::new(feature);
    for _ in 0..PLACES {
        let place = random.below(vector.len());
        let sign = if random.bits() & 1 == 0 {
            weight
        } else {
            -weight
        };
        if let Some(value) = vector.get_mut(place) {
            *value += sign;
        }
    }
}

/// Adds noise of that length, two values from each draw.
fn add_noise(vector: &mut [f32], seed: u64, length: f32) {
    // A uniform value from -1 to 1 is 1/sqrt(3) long on average.
    let scale = length * libm::sqrtf(3.0 / vector.len().max(1) as f32) / (1u32 << 31) as f32;
    let mut random = Random::new(seed);
    for pair in vector.chunks_mut(2) {
        let mut bits = random.bits();
        for value in pair {
            *value += bits as u32 as i32 as f32 * scale;
            bits >>= 32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, dimensions: Option<u32>) -> Vec<f32> {
        let response = embed(&[Input::Text(text.into())], dimensions).unwrap();
        response.vectors.into_iter().next().unwrap()
    }

    fn similarity(a: &str, b: &str) -> f32 {
        dot_f32(&of(a, None), &of(b, None))
    }

    #[test]
    fn vectors_have_the_length_asked_for_and_are_one_long() {
        for dimensions in [1, 2, 3, 256, 1536, 3072] {
            for text in ["", "a", "The quick brown fox", "漢字 🙂"] {
                let vector = of(text, Some(dimensions));
                assert_eq!(vector.len(), dimensions as usize);
                assert!(
                    (dot_f32(&vector, &vector) - 1.0).abs() < 1e-4,
                    "{text:?} {dimensions}"
                );
            }
        }
        assert_eq!(of("x", None).len(), 1536);
        for wrong in [0, 3073, u32::MAX] {
            assert!(matches!(
                embed(&[], Some(wrong)),
                Err(Error::InvalidInput(_))
            ));
        }
    }

    #[test]
    fn similar_texts_are_closer_than_unrelated_ones() {
        let cat = "The cat sat on the mat in the sun.";
        let near = similarity(cat, "A cat sits on a mat in the sunshine");
        let far = similarity(cat, "Quarterly revenue exceeded analyst forecasts");
        assert!(
            near > 0.3 && far < 0.2 && near > far + 0.2,
            "{near} and {far}"
        );
        assert!(similarity(cat, cat) > 0.999);
        assert!(similarity(cat, &cat.to_uppercase()) > 0.99);
    }

    #[test]
    fn tokens_are_embedded_and_counted() {
        let inputs = [
            Input::Tokens(vec![1, 2, 3]),
            Input::Text("two words".into()),
        ];
        let response = embed(&inputs, Some(8)).unwrap();
        assert_eq!((response.vectors.len(), response.prompt_tokens), (2, 5));
    }

    #[test]
    fn real_vectors_have_no_exact_zeros() {
        assert!(of("word", None).iter().all(|&value| value != 0.0));
    }
}
