//! What a receipt states.

use super::ReceiptKey;
use crate::runs::{Digest256, Engine, Run};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The type of the statement.
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of what it says of a run.
const PREDICATE_TYPE: &str = "urn:belljar:run-receipt:1";

/// A statement about a run: the bundle that ran, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

/// The bundle that ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    /// `name@version`.
    name: String,
    digest: Sha256Digest,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sha256Digest {
    sha256: String,
}

/// What became of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Predicate {
    run: String,
    created: String,
    seed: String,
    time_ms: u64,
    fuel: u64,
    outcome: String,
    resumed: bool,
    input: Commitment,
    output: Commitment,
    engine: Engine,
    key: String,
}

/// What something is bound to without telling it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commitment {
    sha256: String,
}

impl Commitment {
    /// The commitment to a digest under a salt.
    fn to(digest: Digest256, salt: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"belljar commitment\0");
        hasher.update(salt);
        hasher.update(digest.0);
        Self {
            sha256: hex::encode(hasher.finalize()),
        }
    }
}

/// The salts of a receipt's commitments, in hexadecimal digits: who has them can test what was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Openings {
    input: String,
    output: String,
}

impl Statement {
    /// What is stated of a run, and the salts of its commitments.
    #[must_use]
    pub fn of(run: &Run, key: &ReceiptKey) -> (Self, Openings) {
        let salts = ["input", "output"].map(|of| key.salt(run.id.as_str(), of));
        let [input, output] = salts;
        let statement = Self {
            kind: STATEMENT_TYPE.to_owned(),
            subject: vec![Subject {
                name: run.model.to_string(),
                digest: Sha256Digest {
                    sha256: hex::encode(run.digest.as_bytes()),
                },
            }],
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: Predicate {
                run: run.id.to_string(),
                created: run.created.to_string(),
                seed: run.seed.to_string(),
                time_ms: run.time.unix_ms(),
                fuel: run.fuel,
                outcome: run.outcome.name().to_owned(),
                resumed: run.resumed,
                input: Commitment::to(run.input_digest, &input),
                output: Commitment::to(run.output_digest, &output),
                engine: run.engine.clone(),
                key: key.id().to_owned(),
            },
        };
        let openings = Openings {
            input: hex::encode(input),
            output: hex::encode(output),
        };
        (statement, openings)
    }

    /// Whether it is a statement of this kind, of one bundle, signed by the key that it names.
    pub(super) fn is_sound(&self, key: &str) -> bool {
        self.kind == STATEMENT_TYPE
            && self.predicate_type == PREDICATE_TYPE
            && self.subject.len() == 1
            && self.predicate.key == key
    }

    /// The bundle, as `name@version`.
    #[must_use]
    pub fn model(&self) -> &str {
        self.subject.first().map_or("", |subject| &subject.name)
    }

    /// The SHA-256 of the bundle's whole content, in hexadecimal digits.
    #[must_use]
    pub fn bundle_digest(&self) -> &str {
        let subject = self.subject.first();
        subject.map_or("", |subject| &subject.digest.sha256)
    }

    /// The seed, as it is written.
    #[must_use]
    pub fn seed(&self) -> &str {
        &self.predicate.seed
    }

    /// The moment, in milliseconds since 1970.
    #[must_use]
    pub fn time_ms(&self) -> u64 {
        self.predicate.time_ms
    }

    /// Whether the model went on from what it had kept of earlier requests.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.predicate.resumed
    }

    /// How the run ended.
    #[must_use]
    pub fn outcome(&self) -> &str {
        &self.predicate.outcome
    }

    /// What ran the bundle.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.predicate.engine
    }

    /// What of a run is other than stated; nothing where it is the same.
    #[must_use]
    pub fn differences(&self, run: &Run, openings: &Openings) -> Vec<&'static str> {
        let commits = |commitment: &Commitment, digest, salt: &str| {
            let salt = hex::decode(salt).unwrap_or_default();
            *commitment == Commitment::to(digest, &salt)
        };
        let stated = &self.predicate;
        [
            (
                "input",
                commits(&stated.input, run.input_digest, &openings.input),
            ),
            (
                "output",
                commits(&stated.output, run.output_digest, &openings.output),
            ),
            ("fuel", stated.fuel == run.fuel),
            ("outcome", stated.outcome == run.outcome.name()),
        ]
        .into_iter()
        .filter_map(|(name, is_same)| (!is_same).then_some(name))
        .collect()
    }
}
