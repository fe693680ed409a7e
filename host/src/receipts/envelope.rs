//! The envelope of a receipt: DSSE, version 1.

use super::{Openings, PublicKeys, ReceiptKey, Statement};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

/// The type of what is in it.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// Bytes of a receipt that are read.
const RECEIPT_BYTES_MAX: usize = 64 << 10;

/// A signed statement, with the salts of its commitments beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<Signature>,
    /// The salts; missing where whoever handed it on has kept them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    openings: Option<Openings>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    keyid: String,
    sig: String,
}

/// Why a receipt is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// It is no receipt.
    #[error("this is no receipt: {0}")]
    Malformed(String),
    /// It has another number of signatures than one.
    #[error("a receipt has one signature, and this one has {0}")]
    Signatures(usize),
    /// Nobody who is believed has signed it.
    #[error("it is signed with the key {0}, which is none of those that are believed")]
    UnknownKey(String),
    /// The signature is not that of its content.
    #[error("it was changed after it was signed")]
    Changed,
    /// What is signed is no statement about a run.
    #[error("what is signed is no statement about a run")]
    OtherStatement,
}

/// What is signed: lengths keep the parts apart (DSSE, "PAE").
fn signed(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

impl Envelope {
    /// Signs a statement.
    #[must_use]
    pub fn seal(statement: &Statement, openings: Openings, key: &ReceiptKey) -> Self {
        // Texts and numbers: there is nothing that could fail.
        let payload = serde_json::to_vec(statement).unwrap_or_default();
        let signature = key.sign(&signed(PAYLOAD_TYPE, &payload));
        Self {
            payload: BASE64_STANDARD.encode(payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![Signature {
                keyid: key.id().to_owned(),
                sig: BASE64_STANDARD.encode(signature),
            }],
            openings: Some(openings),
        }
    }

    /// Reads a receipt, which need not be one.
    ///
    /// # Errors
    ///
    /// When it has not the form of one.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() > RECEIPT_BYTES_MAX {
            return Err(ReceiptError::Malformed("it is too long".to_owned()));
        }
        serde_json::from_slice(bytes).map_err(|error| ReceiptError::Malformed(error.to_string()))
    }

    /// The salts of the commitments.
    #[must_use]
    pub fn openings(&self) -> Option<&Openings> {
        self.openings.as_ref()
    }

    /// The statement, if one of these keys has signed it as it is.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn open(&self, keys: &PublicKeys) -> Result<Statement, ReceiptError> {
        let [signature] = self.signatures.as_slice() else {
            return Err(ReceiptError::Signatures(self.signatures.len()));
        };
        let decode = |text: &str| {
            let bytes = BASE64_STANDARD.decode(text);
            bytes.map_err(|error| ReceiptError::Malformed(error.to_string()))
        };
        let payload = decode(&self.payload)?;
        let message = signed(&self.payload_type, &payload);
        match keys.has_signed(&signature.keyid, &message, &decode(&signature.sig)?) {
            None => Err(ReceiptError::UnknownKey(signature.keyid.clone())),
            Some(false) => Err(ReceiptError::Changed),
            Some(true) => {
                let statement = serde_json::from_slice::<Statement>(&payload);
                statement
                    .ok()
                    .filter(|statement| {
                        self.payload_type == PAYLOAD_TYPE && statement.is_sound(&signature.keyid)
                    })
                    .ok_or(ReceiptError::OtherStatement)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::{Digest256, Engine, Outcome, Run, RunId};
    use belljar_sandbox::{Budget, RunSeed, RunTime};
    use serde_json::{Value, json};

    fn run() -> Run {
        Run {
            id: RunId::new(),
            owner: None,
            request_id: "r".to_owned(),
            created: "2030-01-01T00:00:00Z".parse().unwrap(),
            model: "m@1.0.0".parse().unwrap(),
            digest: belljar_bundle::Digest::from_bytes([1; 32]),
            seed: RunSeed::from([2; 32]),
            time: RunTime::try_from(3).unwrap(),
            fuel: 7,
            outcome: Outcome::DONE,
            resumed: false,
            input_digest: Digest256([4; 32]),
            output_digest: Digest256([5; 32]),
            engine: Engine::new("f", &Budget::default()),
        }
    }

    fn sealed() -> (ReceiptKey, Run, Envelope) {
        let folder = tempfile::tempdir().unwrap();
        let key = ReceiptKey::open(folder.path()).unwrap();
        let run = run();
        let (statement, openings) = Statement::of(&run, &key);
        let envelope = Envelope::seal(&statement, openings, &key);
        (key, run, envelope)
    }

    #[test]
    fn a_receipt_is_what_was_signed_and_holds_no_content() {
        let (key, run, envelope) = sealed();
        let text = serde_json::to_vec(&envelope).unwrap();
        let read = Envelope::parse(&text).unwrap();
        let statement = read.open(&key.public()).unwrap();
        assert_eq!(
            (statement.model(), statement.bundle_digest()),
            ("m@1.0.0", &*"01".repeat(32))
        );
        let openings = read.openings().unwrap();
        assert_eq!(statement.differences(&run, openings), [""; 0]);
        // The digests themselves are not in it: who has no salt can test no guess.
        let payload = BASE64_STANDARD.decode(&read.payload).unwrap();
        let payload = String::from_utf8(payload).unwrap();
        for digest in ["04".repeat(32), "05".repeat(32)] {
            assert!(!payload.contains(&digest), "{payload}");
        }
        let other = Run {
            fuel: 8,
            outcome: Outcome::LEFT,
            input_digest: Digest256([6; 32]),
            output_digest: Digest256([6; 32]),
            ..run
        };
        let differences = statement.differences(&other, openings);
        assert_eq!(differences, ["input", "output", "fuel", "outcome"]);
    }

    /// Whoever changes something after it was signed is found out.
    #[test]
    fn tampering_is_refused() {
        let (key, run, envelope) = sealed();
        let keys = key.public();
        let whole = serde_json::to_value(&envelope).unwrap();
        let payload: Value =
            serde_json::from_slice(&BASE64_STANDARD.decode(&envelope.payload).unwrap()).unwrap();
        let refused = |changed: &Value| {
            let text = serde_json::to_vec(changed).unwrap();
            Envelope::parse(&text)
                .and_then(|envelope| envelope.open(&keys))
                .is_err()
        };
        assert!(!refused(&whole));
        // What is stated.
        for (pointer, value) in [
            ("/subject/0/digest/sha256", json!("02".repeat(32))),
            ("/subject/0/name", json!("m@2.0.0")),
            ("/predicate/seed", json!("03".repeat(32))),
            ("/predicate/time_ms", json!(4)),
            ("/predicate/fuel", json!(6)),
            ("/predicate/outcome", json!("left")),
            ("/predicate/run", json!("run_0")),
            ("/predicate/created", json!("2031-01-01T00:00:00Z")),
            ("/predicate/input/sha256", json!("04".repeat(32))),
            ("/predicate/output/sha256", json!("05".repeat(32))),
            ("/predicate/engine/fingerprint", json!("g")),
            ("/predicate/engine/caps", json!("00")),
            ("/predicate/key", json!("00")),
            ("/predicateType", json!("urn:other")),
            ("/_type", json!("https://in-toto.io/Statement/v0.1")),
        ] {
            let mut stated = payload.clone();
            *stated.pointer_mut(pointer).expect(pointer) = value;
            let mut changed = whole.clone();
            changed["payload"] = json!(BASE64_STANDARD.encode(stated.to_string()));
            assert!(refused(&changed), "{pointer}");
        }
        // The envelope.
        let (other, ..) = sealed();
        let flipped = |text: &str| {
            let mut bytes = BASE64_STANDARD.decode(text).unwrap();
            bytes[10] ^= 1;
            json!(BASE64_STANDARD.encode(bytes))
        };
        let other_id = json!(other.id());
        for (pointer, value) in [
            ("/payloadType", json!("application/json")),
            ("/signatures/0/sig", flipped(&envelope.signatures[0].sig)),
            ("/signatures/0/sig", json!("")),
            ("/signatures/0/keyid", other_id.clone()),
            ("/signatures", json!([])),
            (
                "/signatures",
                json!([whole["signatures"][0], whole["signatures"][0]]),
            ),
            ("/payload", flipped(&envelope.payload)),
            ("/payload", json!("!")),
        ] {
            let mut changed = whole.clone();
            *changed.pointer_mut(pointer).expect(pointer) = value;
            assert!(refused(&changed), "{pointer}");
        }
        let mut more = whole.clone();
        more["more"] = json!(1);
        assert!(refused(&more));
        // A statement of somebody else's, under our key's id and theirs.
        let (statement, openings) = Statement::of(&run, &other);
        let foreign = Envelope::seal(&statement, openings, &other);
        assert!(refused(&serde_json::to_value(&foreign).unwrap()));
        let mut renamed = serde_json::to_value(&foreign).unwrap();
        renamed["signatures"][0]["keyid"] = json!(key.id());
        assert!(refused(&renamed));
        // A list that calls another key by the id of this one is not believed.
        let mut listed = serde_json::to_value(other.public()).unwrap();
        listed["receipt_keys"][0]["keyid"] = json!(key.id());
        let listed: PublicKeys = serde_json::from_value(listed).unwrap();
        assert!(matches!(
            envelope.open(&listed),
            Err(ReceiptError::UnknownKey(_))
        ));
        // The salts of another receipt open nothing.
        let (_, _, another) = sealed();
        let statement = envelope.open(&keys).unwrap();
        let differences = statement.differences(&run, another.openings().unwrap());
        assert_eq!(differences, ["input", "output"]);
    }
}
