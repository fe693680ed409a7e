//! Why a signature cannot be used.

use std::borrow::Cow;

use http::HeaderName;

/// Why a signature cannot be used, whoever has made it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureFault {
    #[error("Signature-Input and Signature are not dictionaries of structured fields (RFC 9651)")]
    Malformed,
    #[error(
        "there are more than {SIGNATURES_MAX} signatures, or more than {COMPONENTS_MAX} components in one"
    )]
    TooMany,
    #[error("two signatures are said to be of keys of this server")]
    Several,
    #[error("Signature has nothing under the label that Signature-Input has")]
    Unsigned,
    #[error("its parameter `{name}` is missing, or is not {expected}")]
    Parameter {
        name: &'static str,
        expected: &'static str,
    },
    #[error("it does not cover {0}")]
    Uncovered(Cow<'static, str>),
    #[error("it covers a component twice, with parameters, or one that requests do not have here")]
    Component,
    #[error("it covers the header {0}, which the request does not have")]
    Absent(HeaderName),
    #[error("Content-Digest has neither `sha-256` nor `sha-512` as RFC 9530 has them")]
    ContentDigest,
}

/// Signatures of one request that are looked at, those of other layers included.
pub(super) const SIGNATURES_MAX: usize = 8;
/// Components that one signature may cover.
pub(super) const COMPONENTS_MAX: usize = 64;
