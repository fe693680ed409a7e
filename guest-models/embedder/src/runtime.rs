//! What `load` makes, and what requests are answered with.

use belljar_guest::kernels::dot_f32;
use belljar_guest::{Error, embeddings, ranking};

use crate::error::LoadError;
use crate::forward::Model;
use crate::sentence::{Pooling, Settings};
use crate::shape::{Architecture, Head, Shape};
use crate::tokenizer::{Encoded, Tokenizer};
use crate::weights::{Classifier, Weights};

/// A model, its tokenizer and its settings.
#[derive(Debug)]
pub struct Runtime {
    /// From tokens to what stands for them.
    pub model: Model,
    /// From texts to tokens.
    pub tokenizer: Tokenizer,
    /// What becomes of the tokens' vectors.
    pub settings: Settings,
}

impl Runtime {
    /// Reads the model of a bundle. What is small is read first, so that what is wrong there costs
    /// little.
    ///
    /// # Errors
    ///
    /// [`LoadError`], with the name of what is wrong or not supported.
    pub fn read() -> Result<Self, LoadError> {
        let shape = Shape::read()?;
        let settings = Settings::read(&shape)?;
        let types = match shape.architecture {
            Architecture::Bert => shape.types,
            Architecture::DistilBert => 0,
        };
        let tokenizer = Tokenizer::read(shape.vocabulary, types)?;
        let marks = tokenizer.marks(shape.head != Head::Vectors);
        if settings.tokens_max <= marks {
            return Err(LoadError::file(
                crate::shape::FILE,
                format!(
                    "has room for {} tokens, and the marks of a text alone are {marks}",
                    settings.tokens_max
                ),
            ));
        }
        let weights = Weights::read(&shape, settings.precision)?;
        Ok(Self {
            model: Model { shape, weights },
            tokenizer,
            settings,
        })
    }

    /// A vector for each input.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where the model is a cross-encoder, or has vectors of another length;
    /// [`Error::InvalidInput`] for an input that is too long or no tokens of this model.
    pub fn embed(
        &self,
        inputs: &[embeddings::Input],
        dimensions: Option<u32>,
    ) -> Result<embeddings::Response, Error> {
        if self.model.shape.head != Head::Vectors {
            return Err(Error::unsupported(
                "this model ranks documents, and has no vectors for texts",
            ));
        }
        let width = self.model.shape.width;
        if let Some(dimensions) = dimensions.filter(|wanted| *wanted as usize != width) {
            return Err(Error::unsupported(format!(
                "this model has vectors of {width} dimensions only, not of {dimensions}"
            )));
        }
        let texts = inputs
            .iter()
            .enumerate()
            .map(|(index, input)| self.encode_input(input, index))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(embeddings::Response {
            prompt_tokens: count(&texts),
            vectors: self.vectors(&texts)?,
        })
    }

    /// How well each document answers a query, the best first.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] where the query or a document is too long.
    pub fn rank(&self, query: &str, documents: &[String]) -> Result<ranking::Response, Error> {
        let query = self.encode(query);
        let (texts, relevances) = match &self.model.weights.classifier {
            Some(classifier) => self.rank_pairs(classifier, &query, documents)?,
            None => self.rank_vectors(query, documents)?,
        };
        let scores = relevances.into_iter().zip(0..);
        let mut scores: Vec<_> = scores
            .map(|(relevance, index)| ranking::Score { index, relevance })
            .collect();
        // Equal ones stay in the order of the request.
        scores.sort_by(|a, b| b.relevance.total_cmp(&a.relevance));
        if scores.iter().any(|score| !score.relevance.is_finite()) {
            return Err(not_finite());
        }
        Ok(ranking::Response {
            scores,
            prompt_tokens: count(&texts),
        })
    }

    /// The tokens of a text, without marks.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        if self.settings.is_lower_case {
            self.tokenizer.encode(&text.to_lowercase())
        } else {
            self.tokenizer.encode(text)
        }
    }

    fn encode_input(&self, input: &embeddings::Input, index: usize) -> Result<Encoded, Error> {
        let tokens = match input {
            embeddings::Input::Text(text) => self.encode(text),
            embeddings::Input::Tokens(tokens) => {
                let known = |token: &&u32| self.tokenizer.vocabulary.text(**token).is_none();
                if let Some(token) = tokens.iter().find(known) {
                    return Err(Error::invalid_input(format!(
                        "input {index}: {token} is no token of this model"
                    )));
                }
                self.tokenizer.unmark(tokens).to_vec()
            }
        };
        let room = self.room(false);
        let kept = self.fit(&tokens, room, || format!("input {index}"))?;
        Ok(self.tokenizer.mark(kept))
    }

    /// How many tokens of texts there may be, beside the marks.
    fn room(&self, is_pair: bool) -> usize {
        let marks = self.tokenizer.marks(is_pair);
        self.settings.tokens_max.saturating_sub(marks)
    }

    /// The tokens if they fit into the room, or as many as do where the model is told so.
    fn fit<'a>(
        &self,
        tokens: &'a [u32],
        room: usize,
        what: impl Fn() -> String,
    ) -> Result<&'a [u32], Error> {
        match tokens.get(..room) {
            None => Ok(tokens),
            Some(kept) if self.settings.cuts || kept.len() == tokens.len() => Ok(kept),
            Some(_) => Err(Error::invalid_input(format!(
                "{} has {} tokens, and this model sees {room}",
                what(),
                tokens.len()
            ))),
        }
    }

    /// One vector for each text.
    fn vectors(&self, texts: &[Encoded]) -> Result<Vec<Vec<f32>>, Error> {
        let mut vectors = Vec::with_capacity(texts.len());
        self.model.each_text(texts, |states| {
            vectors.push(self.pool(states));
        });
        if vectors.iter().flatten().any(|x: &f32| !x.is_finite()) {
            return Err(not_finite());
        }
        Ok(vectors)
    }

    fn pool(&self, states: &[f32]) -> Vec<f32> {
        let width = self.model.shape.width;
        let mut vector = states.get(..width).unwrap_or_default().to_vec();
        vector.resize(width, 0.0);
        if self.settings.pooling == Pooling::Mean {
            for row in states.chunks_exact(width).skip(1) {
                vector.iter_mut().zip(row).for_each(|(x, more)| *x += more);
            }
            let count = (states.len() / width).max(1) as f32;
            vector.iter_mut().for_each(|x| *x /= count);
        }
        if self.settings.is_unit {
            let length = dot_f32(&vector, &vector).sqrt();
            if length > 0.0 {
                vector.iter_mut().for_each(|x| *x /= length);
            }
        }
        vector
    }

    /// By a number for the query with each document.
    fn rank_pairs(
        &self,
        classifier: &Classifier,
        query: &[u32],
        documents: &[String],
    ) -> Result<(Vec<Encoded>, Vec<f32>), Error> {
        // Something of a document has to fit beside the query.
        let room = self.room(true);
        let query = self.fit(query, room.saturating_sub(1), || "the query".to_owned())?;
        let room = room - query.len();
        let mut texts = Vec::with_capacity(documents.len());
        for (index, document) in documents.iter().enumerate() {
            let tokens = self.encode(document);
            let kept = self.fit(&tokens, room, || {
                format!("document {index}, beside the query,")
            })?;
            texts.push(self.tokenizer.mark_pair(query, kept));
        }
        let mut relevances = Vec::with_capacity(texts.len());
        let head = self.model.shape.head;
        self.model.each_text(&texts, |states| {
            let logit = self.model.score(classifier, states);
            relevances.push(match head {
                Head::Probability => 1.0 / (1.0 + (-logit).exp()),
                Head::Logit | Head::Vectors => logit,
            });
        });
        Ok((texts, relevances))
    }

    /// By the cosine between the vectors of the query and of each document.
    fn rank_vectors(
        &self,
        query: Vec<u32>,
        documents: &[String],
    ) -> Result<(Vec<Encoded>, Vec<f32>), Error> {
        let room = self.room(false);
        let mut texts = Vec::with_capacity(documents.len() + 1);
        let kept = self.fit(&query, room, || "the query".to_owned())?;
        texts.push(self.tokenizer.mark(kept));
        for (index, document) in documents.iter().enumerate() {
            let tokens = self.encode(document);
            let kept = self.fit(&tokens, room, || format!("document {index}"))?;
            texts.push(self.tokenizer.mark(kept));
        }
        let vectors = self.vectors(&texts)?;
        let relevances = match vectors.split_first() {
            Some((query, documents)) => documents.iter().map(|it| cosine(query, it)).collect(),
            None => Vec::new(),
        };
        Ok((texts, relevances))
    }
}

/// The cosine between two vectors; zero where one has no direction.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let lengths = (dot_f32(a, a) * dot_f32(b, b)).sqrt();
    if lengths > 0.0 {
        dot_f32(a, b) / lengths
    } else {
        0.0
    }
}

fn count(texts: &[Encoded]) -> u32 {
    let tokens: usize = texts.iter().map(|text| text.tokens.len()).sum();
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

fn not_finite() -> Error {
    Error::failed("the weights of this model give numbers that are not finite")
}
