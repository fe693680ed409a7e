//! Receipts of runs: a signed statement of which version was asked, with which seed at which moment,
//! and for how much fuel, with commitments to what was said, which is not in it.
//!
//! A receipt is a DSSE envelope (<https://github.com/secure-systems-lab/dsse>) around an in-toto
//! statement, version 1 (<https://in-toto.io/Statement/v1>). A commitment is a SHA-256 over a salt
//! and the digest of what it is about; the salts stand beside the envelope, so that whoever hands
//! a receipt on decides who can test a guess of the content.

mod envelope;
mod key;
mod statement;

pub use envelope::{Envelope, ReceiptError};
pub use key::{PublicKeys, ReceiptKey, ReceiptKeyError};
pub use statement::{Commitment, Openings, Statement};

/// The file in the data directory with the key that receipts are signed with.
pub const RECEIPT_KEY_FILE: &str = "receipts.key";
