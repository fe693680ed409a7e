//! A run as it is kept: what it was made of, how it ended, and what was said.

use super::RunsError;
use crate::ids::{KeyId, sorted_uuid};
use belljar_bundle::{Digest, ModelId};
use belljar_sandbox::{Asked, Budget, Given, RunSeed, RunTime};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::fmt;

/// The id of a run: `run_` and 32 hex digits, which sort by time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunId(String);

impl RunId {
    /// A fresh id.
    #[must_use]
    pub fn new() -> Self {
        Self(format!("run_{}", sorted_uuid().simple()))
    }

    /// The id that a text is, if it is one.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("run_")?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (digits.len() == 32 && digits.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for RunId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SHA-256, written as `sha256:` and hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest256(pub [u8; 32]);

impl fmt::Display for Digest256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Digest256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a run has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome(Cow<'static, str>);

impl Outcome {
    /// It has given its result.
    pub const DONE: Self = Self(Cow::Borrowed("done"));
    /// Nobody waited for it any more.
    pub const LEFT: Self = Self(Cow::Borrowed("left"));

    /// It failed with an error of this code.
    #[must_use]
    pub const fn failed(code: &'static str) -> Self {
        Self(Cow::Borrowed(code))
    }

    /// The outcome of that name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(Cow::Owned(name.to_owned()))
    }

    /// `done`, `left`, or the code of the error.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Whether the run ended as it did because of the time, the load or its caller, and not because
    /// of what it was asked.
    #[must_use]
    pub fn is_of_circumstances(&self) -> bool {
        matches!(
            self.name(),
            "left" | "deadline_exceeded" | "overloaded" | "internal_error"
        )
    }
}

/// What ran a bundle, and under which caps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// The version of the server.
    pub version: String,
    /// What compiled code depends on: the engine with its settings, and the processor.
    pub fingerprint: String,
    /// SHA-256 over the caps of a run, in hexadecimal digits.
    pub caps: String,
}

impl Engine {
    /// The engine of this server with that fingerprint, for runs inside a budget.
    #[must_use]
    pub fn new(fingerprint: &str, budget: &Budget) -> Self {
        // Plain numbers: there is nothing that could fail.
        let caps = serde_json::to_vec(budget).unwrap_or_default();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            fingerprint: fingerprint.to_owned(),
            caps: hex::encode(Sha256::digest(caps)),
        }
    }
}

/// What is known of a run without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The key that it belongs to; none for callers without one, who share theirs.
    pub owner: Option<KeyId>,
    /// The id of the request.
    pub request_id: String,
    /// When it was over.
    pub created: Timestamp,
    /// The version that ran.
    pub model: ModelId,
    /// What stands for the whole content of its bundle.
    pub digest: Digest,
    /// The seed.
    pub seed: RunSeed,
    /// The moment.
    pub time: RunTime,
    /// Units of fuel, over all calls.
    pub fuel: u64,
    /// How it ended: as the first call that did not give its result, if any did not.
    pub outcome: Outcome,
    /// Whether the model went on from what it had kept of earlier requests of the same key.
    pub resumed: bool,
    /// What stands for all that was asked.
    pub input_digest: Digest256,
    /// What stands for all that was given.
    pub output_digest: Digest256,
    /// What ran it.
    pub engine: Engine,
}

/// One call of a run: a request for several answers makes several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptCall {
    /// Its place among the calls of its request, which its random numbers follow from.
    pub place: u64,
    /// What was asked, encoded. Empty where it was turned away before.
    asked: Bytes,
    /// What was given, one part after the other, encoded.
    given: Bytes,
    /// How many chunks each call of the guest's `next` was asked for.
    pub pulls: Vec<u32>,
    /// Units of fuel.
    pub fuel: u64,
    /// How it ended.
    pub outcome: Outcome,
}

impl KeptCall {
    /// A call that was only begun.
    #[must_use]
    pub const fn begun(place: u64) -> Self {
        Self {
            place,
            asked: Bytes::new(),
            given: Bytes::new(),
            pulls: Vec::new(),
            fuel: 0,
            outcome: Outcome::LEFT,
        }
    }

    /// Takes down what was asked, and what was given as encoded parts one after the other.
    pub fn set_content(&mut self, asked: Vec<u8>, given: Vec<u8>) {
        self.asked = asked.into();
        self.given = given.into();
    }

    /// What was asked; none where the call was turned away before.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn asked(&self) -> Result<Option<Asked>, RunsError> {
        if self.asked.is_empty() {
            return Ok(None);
        }
        rmp_serde::from_slice(&self.asked)
            .map(Some)
            .map_err(|error| RunsError::Damaged(error.to_string()))
    }

    /// What was given, part by part.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn given(&self) -> Result<Vec<Given>, RunsError> {
        let mut rest = &self.given[..];
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let part = rmp_serde::from_read(&mut rest);
            parts.push(part.map_err(|error| RunsError::Damaged(error.to_string()))?);
        }
        Ok(parts)
    }
}

/// The calls of a run, in their order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transcript(Vec<KeptCall>);

impl Transcript {
    /// The transcript of these calls.
    #[must_use]
    pub fn new(mut calls: Vec<KeptCall>) -> Self {
        calls.sort_by_key(|call| call.place);
        Self(calls)
    }

    /// The calls.
    #[must_use]
    pub fn calls(&self) -> &[KeptCall] {
        &self.0
    }

    /// Units of fuel.
    #[must_use]
    pub fn fuel(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, call| sum.saturating_add(call.fuel))
    }

    /// How the whole ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let mut outcomes = self.0.iter().map(|call| &call.outcome);
        let other = outcomes.find(|outcome| **outcome != Outcome::DONE);
        other.cloned().unwrap_or(Outcome::DONE)
    }

    /// What stands for all that was asked.
    #[must_use]
    pub fn input_digest(&self) -> Digest256 {
        digest(self.0.iter().map(|call| &call.asked))
    }

    /// What stands for all that was given.
    #[must_use]
    pub fn output_digest(&self) -> Digest256 {
        digest(self.0.iter().map(|call| &call.given))
    }

    pub(super) fn bytes(&self) -> u64 {
        let bytes = self
            .0
            .iter()
            .map(|call| call.asked.len() + call.given.len());
        u64::try_from(bytes.sum::<usize>()).unwrap_or(u64::MAX)
    }

    pub(super) fn encoded(&self) -> Result<Vec<u8>, RunsError> {
        rmp_serde::to_vec_named(self).map_err(|error| RunsError::Damaged(error.to_string()))
    }

    pub(crate) fn decoded(bytes: &[u8]) -> Result<Self, RunsError> {
        rmp_serde::from_slice(bytes).map_err(|error| RunsError::Damaged(error.to_string()))
    }
}

/// A digest of parts, in which it also counts where each of them ends.
fn digest<'p>(parts: impl Iterator<Item = &'p Bytes>) -> Digest256 {
    let mut hasher = Sha256::new();
    for part in parts {
        let bytes = u64::try_from(part.len()).unwrap_or(u64::MAX);
        hasher.update(bytes.to_le_bytes());
        hasher.update(part);
    }
    Digest256(hasher.finalize().into())
}
