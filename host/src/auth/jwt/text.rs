//! The text of a token (RFC 7515, compact form): taken apart, and compared with its signature.
//!
//! The library's own reading of tokens is not used: it goes by the time of the machine, takes
//! what it does not know, and chooses the way to check a signature by what the token says. Here
//! the key is found first, and says by itself what it can be used for.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::bounds::ID_BYTES_MAX;
use super::config::JwtAlgorithm;
use super::error::TokenError;
use super::key_set::VerifyingKey;

/// The types (`typ`) of tokens that speak for a caller: those of any kind (RFC 7519) and those
/// for access (RFC 9068). Others, such as proofs of possession, logouts and events, are signed by
/// the same keys and mean something else (RFC 8725, section 3.11).
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// A token that nobody has looked into yet. Wiped when it is dropped, and never printed.
pub(in crate::auth) struct TokenText(SecretString);

impl TokenText {
    /// A copy of the text of a token.
    pub(in crate::auth) fn copy(text: &str) -> Self {
        Self(text.to_owned().into())
    }

    /// Takes it apart, and insists on what holds whatever it is signed with.
    pub(super) fn parts(&self) -> Result<Parts<'_>, TokenError> {
        let text = self.0.expose_secret();
        let (message, signature) = text.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenError::Malformed)?;
        let header = decoded(header)?;
        // A list in the order of the members would be read as well.
        if !header.trim_ascii_start().starts_with(b"{") {
            return Err(TokenError::Malformed);
        }
        let header: Header = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
        // What has to be understood and is not (RFC 7515, section 4.1.11): nothing is here, an
        // unencoded payload (RFC 7797) included.
        if header.crit.is_some() || header.b64.is_some() || header.zip.is_some() {
            return Err(TokenError::Critical);
        }
        let plain = header.typ.as_deref().map(|typ| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/")
                .map(str::to_owned)
                .unwrap_or(typ)
        });
        if !plain.is_none_or(|typ| TYPES.contains(&typ.as_str())) {
            return Err(TokenError::Type);
        }
        let algorithm = header.alg.parse().map_err(|_| TokenError::Algorithm)?;
        if header
            .kid
            .as_ref()
            .is_some_and(|kid| kid.len() > ID_BYTES_MAX)
        {
            return Err(TokenError::Malformed);
        }
        Ok(Parts {
            algorithm,
            kid: header.kid,
            message,
            claims,
            signature,
        })
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// What is read of a token's header. Keys and addresses of keys that a token brings along (`jwk`,
/// `jku`, `x5c`, `x5u`) are not: whoever signs could name anything.
#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
    b64: Option<serde_json::Value>,
    zip: Option<serde_json::Value>,
}

/// The parts of a token whose signature nobody has looked at yet.
pub(super) struct Parts<'a> {
    pub(super) algorithm: JwtAlgorithm,
    /// The id of the key that is said to have signed it.
    pub(super) kid: Option<String>,
    message: &'a str,
    claims: &'a str,
    signature: &'a str,
}

impl Parts<'_> {
    /// The claims as JSON, if the key has signed them. The key was found for the algorithm.
    pub(super) fn signed_by(&self, key: &VerifyingKey) -> Result<Vec<u8>, TokenError> {
        if !key.is_for(self.algorithm) {
            return Err(TokenError::Algorithm);
        }
        let holds = jsonwebtoken::crypto::verify(
            self.signature,
            self.message.as_bytes(),
            key.material(),
            self.algorithm.algorithm,
        );
        match holds {
            Ok(true) => decoded(self.claims),
            Ok(false) | Err(_) => Err(TokenError::Signature),
        }
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn token(header: &str) -> TokenText {
        let header = URL_SAFE_NO_PAD.encode(header);
        TokenText::copy(&format!("{header}.e30.c2ln"))
    }

    #[track_caller]
    fn refused(header: &str) -> TokenError {
        token(header).parts().err().unwrap()
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (header, why) in [
            ("", TokenError::Malformed),
            ("[]", TokenError::Malformed),
            (
                r#"["RS256","JWT","a",null,null,null]"#,
                TokenError::Malformed,
            ),
            ("{}", TokenError::Malformed),
            (r#"{"alg":5}"#, TokenError::Malformed),
            (r#"{"alg":"RS256","alg":"none"}"#, TokenError::Malformed),
            (r#"{"alg":"none"}"#, TokenError::Algorithm),
            (r#"{"alg":"HS256"}"#, TokenError::Algorithm),
            (r#"{"alg":"rs256"}"#, TokenError::Algorithm),
            (r#"{"alg":"RS256","crit":[]}"#, TokenError::Critical),
            (r#"{"alg":"RS256","crit":["exp"]}"#, TokenError::Critical),
            (
                r#"{"alg":"RS256","b64":false,"crit":["b64"]}"#,
                TokenError::Critical,
            ),
            (r#"{"alg":"RS256","zip":"DEF"}"#, TokenError::Critical),
            (r#"{"alg":"RS256","typ":"dpop+jwt"}"#, TokenError::Type),
            (r#"{"alg":"RS256","typ":"logout+jwt"}"#, TokenError::Type),
        ] {
            assert_eq!(refused(header), why, "{header}");
        }
        for header in [
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"RS256","typ":"JWT","kid":"a","jku":"https://evil.example"}"#,
            r#"{"alg":"EdDSA","typ":"application/at+JWT","crit":null}"#,
        ] {
            assert!(token(header).parts().is_ok(), "{header}");
        }
        let long = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "a".repeat(257));
        assert_eq!(refused(&long), TokenError::Malformed);
    }

    #[test]
    fn no_token_is_printed() {
        assert_eq!(format!("{:?}", TokenText::copy("a.b.c")), "****");
    }
}
