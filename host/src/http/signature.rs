//! Signed requests as they are on the wire: HTTP Message Signatures (RFC 9421) and the digests of
//! bodies that go with them (RFC 9530).
//!
//! Reads what a request says of its signature, insists that all is signed which decides what the
//! request does, and puts together the bytes that were signed. Whether the signature is real is
//! for `auth` to say.

mod base;
mod content_digest;
mod fault;
mod input;

use http::{HeaderName, Uri};

pub(crate) use base::Message;
pub(crate) use content_digest::{BodyCheck, ContentDigest, altered_body, is_altered};
pub(crate) use fault::SignatureFault;
pub(crate) use input::SignedHead;

pub(crate) const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
pub(crate) const SIGNATURE: HeaderName = HeaderName::from_static("signature");
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// What a server wants signed (RFC 9421, section 5.1).
pub(crate) const ACCEPT_SIGNATURE: HeaderName = HeaderName::from_static("accept-signature");

/// The target that a request was sent to, where another spelling of it was taken since.
#[derive(Clone, Debug)]
pub(crate) struct AskedUri(pub(crate) Uri);

/// A request that came over TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encrypted;
