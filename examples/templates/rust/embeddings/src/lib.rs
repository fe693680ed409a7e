//! Makes a vector of a text: the mean of its words' vectors, which are in assets/words.vec.

use std::collections::HashMap;
use std::sync::OnceLock;

use belljar_guest::embeddings::{Input, Response};
use belljar_guest::{Embeddings, Error, Lifecycle, assets};

struct Model;

/// What `load` leaves here is where each request starts.
static VECTORS: OnceLock<Vectors> = OnceLock::new();

struct Vectors {
    length: usize,
    of_words: HashMap<String, Vec<f32>>,
}

impl Vectors {
    fn read(text: &str) -> Result<Self, Error> {
        let mut of_words = HashMap::new();
        for line in text.lines() {
            let mut pieces = line.split_whitespace();
            let Some(word) = pieces.next() else { continue };
            let numbers: Result<Vec<f32>, _> = pieces.map(str::parse).collect();
            let numbers = numbers
                .map_err(|error| Error::failed(format!("the vector of `{word}`: {error}")))?;
            of_words.insert(word.to_owned(), numbers);
        }
        let length = of_words.values().next().map_or(0, Vec::len);
        if length == 0 || of_words.values().any(|vector| vector.len() != length) {
            return Err(Error::failed(
                "`words.vec` has vectors of different lengths",
            ));
        }
        Ok(Self { length, of_words })
    }

    /// The mean of the words' vectors, of length 1; words that are not known count for nothing.
    fn mean(&self, text: &str) -> Vec<f32> {
        let mut total = vec![0.0; self.length];
        for word in text.to_lowercase().split_whitespace() {
            for (sum, number) in total
                .iter_mut()
                .zip(self.of_words.get(word).into_iter().flatten())
            {
                *sum += number;
            }
        }
        let norm = total
            .iter()
            .map(|number| number * number)
            .sum::<f32>()
            .sqrt();
        if norm > 0.0 {
            total.iter_mut().for_each(|number| *number /= norm);
        }
        total
    }
}

impl Lifecycle for Model {
    fn load() -> Result<(), Error> {
        let _ = VECTORS.set(Vectors::read(&assets::read_text("words.vec")?)?);
        Ok(())
    }
}

impl Embeddings for Model {
    fn embed(inputs: Vec<Input>, dimensions: Option<u32>) -> Result<Response, Error> {
        let vectors = VECTORS
            .get()
            .ok_or_else(|| Error::failed("`load` did not run"))?;
        if dimensions.is_some_and(|wanted| wanted as usize != vectors.length) {
            return Err(Error::unsupported(format!(
                "vectors of this model have {} numbers",
                vectors.length
            )));
        }
        let mut response = Response {
            vectors: Vec::new(),
            prompt_tokens: 0,
        };
        for input in inputs {
            let Input::Text(text) = input else {
                return Err(Error::unsupported("this model takes texts, not token ids"));
            };
            response.prompt_tokens += text.split_whitespace().count() as u32;
            response.vectors.push(vectors.mean(&text));
        }
        Ok(response)
    }
}

belljar_guest::export!(Model: lifecycle, embeddings);

#[cfg(test)]
mod tests {
    use super::*;

    fn likeness(one: &str, other: &str) -> f32 {
        assets::provide("words.vec", include_bytes!("../assets/words.vec"));
        Model::load().unwrap();
        let texts = [one, other].map(|text| Input::Text(text.to_owned()));
        let vectors = Model::embed(texts.to_vec(), None).unwrap().vectors;
        vectors[0].iter().zip(&vectors[1]).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn vectors_have_length_1() {
        assert!((likeness("the bell rings", "the bell rings") - 1.0).abs() < 1e-6);
    }

    #[test]
    fn what_is_alike_is_near() {
        assert!(likeness("bell", "sound") > 0.9);
        assert!(likeness("bell", "table") < 0.3);
    }
}
