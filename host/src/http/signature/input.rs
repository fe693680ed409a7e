//! What a request says of its signature: the headers `Signature-Input` and `Signature`.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, header};
use sfv::{BareItem, Dictionary, FieldType as _, InnerList, KeyRef, ListEntry, Parser};

use super::base::Message;
use super::fault::{COMPONENTS_MAX, SIGNATURES_MAX, SignatureFault};
use super::{CONTENT_DIGEST, SIGNATURE, SIGNATURE_INPUT};
use crate::auth::{NONCE_BYTES, PresentedSignature};
use crate::http::own_headers::X_BELLJAR_MODEL;
use crate::ids::KeyId;

/// The one algorithm (RFC 9421, section 3.3.3).
const ALGORITHM: &str = "hmac-sha256";

/// Headers that say what is done with the body, or by which model: each must be signed where it is
/// there, or whoever is in between could put in another.
const DECISIVE_HEADERS: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    HeaderName::from_static("inference-header-content-length"),
    X_BELLJAR_MODEL,
];

/// The signature of a request, as its head has it. Nothing of it is believed yet.
#[derive(Debug)]
pub(crate) struct SignedHead {
    key_id: String,
    created: i64,
    expires: Option<i64>,
    nonce: String,
    signature: Vec<u8>,
    components: Vec<String>,
    /// The value of `@signature-params`.
    params: String,
}

impl SignedHead {
    /// The signature of a request that is said to be of a key of this server. None where there is
    /// none: other layers sign, too.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, SignatureFault> {
        let mut input = dictionary(headers, &SIGNATURE_INPUT)?;
        if input.len() > SIGNATURES_MAX {
            return Err(SignatureFault::TooMany);
        }
        let mut ours = input.iter().filter_map(|(label, entry)| match entry {
            ListEntry::InnerList(list) if is_ours(list) => Some(label),
            _ => None,
        });
        let Some(label) = ours.next().cloned() else {
            return Ok(None);
        };
        if ours.next().is_some() {
            return Err(SignatureFault::Several);
        }
        let Some(ListEntry::InnerList(list)) = input.swap_remove(&label) else {
            return Ok(None);
        };
        let mut signatures = dictionary(headers, &SIGNATURE)?;
        let Some(ListEntry::Item(signature)) = signatures.swap_remove(&label) else {
            return Err(SignatureFault::Unsigned);
        };
        let BareItem::ByteSequence(signature) = signature.bare_item else {
            return Err(SignatureFault::Malformed);
        };
        Self::read(list, signature).map(Some)
    }

    fn read(list: InnerList, signature: Vec<u8>) -> Result<Self, SignatureFault> {
        let parameter = |name, expected| SignatureFault::Parameter { name, expected };
        if let Some(named) = list.params.get(key("alg"))
            && text(named) != Some(ALGORITHM)
        {
            return Err(parameter("alg", "\"hmac-sha256\""));
        }
        let created = list.params.get(key("created")).and_then(integer);
        let nonce = list.params.get(key("nonce")).and_then(text);
        let nonce = nonce.filter(|nonce| NONCE_BYTES.contains(&nonce.len()));
        let expires = match list.params.get(key("expires")) {
            None => None,
            Some(time) => Some(integer(time).ok_or_else(|| parameter("expires", SECONDS))?),
        };
        if list.items.len() > COMPONENTS_MAX {
            return Err(SignatureFault::TooMany);
        }
        let mut components: Vec<String> = Vec::with_capacity(list.items.len());
        for item in &list.items {
            let name = text(&item.bare_item).ok_or(SignatureFault::Component)?;
            if !item.params.is_empty() || components.iter().any(|other| other == name) {
                return Err(SignatureFault::Component);
            }
            components.push(name.to_owned());
        }
        Ok(Self {
            key_id: list
                .params
                .get(key("keyid"))
                .and_then(text)
                .unwrap_or_default()
                .to_owned(),
            created: created.ok_or_else(|| parameter("created", SECONDS))?,
            expires,
            nonce: nonce
                .ok_or_else(|| parameter("nonce", "8 to 128 characters in quotes"))?
                .to_owned(),
            signature,
            components,
            params: vec![ListEntry::InnerList(list)]
                .serialize()
                .ok_or(SignatureFault::Malformed)?,
        })
    }

    /// Insists that all is signed that decides what the request does. The digest of the body is a
    /// part of that where there is one.
    pub(crate) fn check_coverage(
        &self,
        message: &Message<'_>,
        has_body: bool,
    ) -> Result<(), SignatureFault> {
        let uncovered = |name: &'static str| Err(SignatureFault::Uncovered(name.into()));
        if !self.covers("@method") {
            return uncovered("`@method`");
        }
        if !self.covers("@target-uri") {
            if !self.covers("@authority") {
                return uncovered("`@authority` (or `@target-uri`)");
            }
            let has_query = message.target.query().is_some();
            let is_whole = self.covers("@request-target")
                || self.covers("@path") && (self.covers("@query") || !has_query);
            if !is_whole {
                return uncovered("`@path` and `@query` (or `@target-uri`)");
            }
        }
        if has_body && !self.covers(CONTENT_DIGEST.as_str()) {
            return uncovered("`content-digest`, and there is a body");
        }
        let is_open =
            |name: &HeaderName| message.headers.contains_key(name) && !self.covers(name.as_str());
        let open = DECISIVE_HEADERS.into_iter().find(is_open);
        match open {
            Some(name) => Err(SignatureFault::Uncovered(
                format!("the header `{name}`").into(),
            )),
            None => Ok(()),
        }
    }

    /// Whether a component is signed.
    pub(crate) fn covers(&self, component: &str) -> bool {
        self.components.iter().any(|covered| covered == component)
    }

    /// The bytes that were signed (RFC 9421, section 2.5), by what the request is.
    pub(crate) fn base(&self, message: &Message<'_>) -> Result<Vec<u8>, SignatureFault> {
        message.base(&self.components, &self.params)
    }

    /// The signature, for whoever knows the secret.
    pub(crate) fn presented<'a>(&'a self, base: &'a [u8]) -> PresentedSignature<'a> {
        PresentedSignature {
            key_id: &self.key_id,
            base,
            signature: &self.signature,
            created: self.created,
            expires: self.expires,
            nonce: &self.nonce,
        }
    }
}

const SECONDS: &str = "a time in seconds since 1970";

/// Whether a signature is said to be of a key that this server could have made.
fn is_ours(list: &InnerList) -> bool {
    let id = list.params.get(key("keyid")).and_then(text);
    id.is_some_and(KeyId::is_stored)
}

/// A header that holds a dictionary, in one line or in several.
fn dictionary(headers: &HeaderMap, name: &HeaderName) -> Result<Dictionary, SignatureFault> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next().ok_or(SignatureFault::Unsigned)?;
    let mut joined = Cow::Borrowed(first.as_bytes());
    for line in lines {
        let joined = joined.to_mut();
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(line.as_bytes());
    }
    let parsed = Parser::new(&*joined).parse();
    parsed.map_err(|_| SignatureFault::Malformed)
}

/// A key of a dictionary or of parameters.
const fn key(name: &'static str) -> &'static KeyRef {
    KeyRef::constant(name)
}

fn text(item: &BareItem) -> Option<&str> {
    match item {
        BareItem::String(text) => Some(text.as_str()),
        _ => None,
    }
}

fn integer(item: &BareItem) -> Option<i64> {
    match item {
        BareItem::Integer(number) => Some(i64::from(*number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
