//! The texts in the head of a request, for the screening.

use crate::guard::{Inspection, Objection, Texts, is_plain};
use belljar_screen::FieldKind;
use http::{HeaderMap, HeaderName, Uri, header};

/// The head of a request: its path, its query and the headers that nobody else checks.
pub(crate) struct HeadTexts<'a> {
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
}

/// Headers whose values are checked against their own grammar, or are secrets, and are never
/// passed on as text.
const CHECKED_HEADERS: [HeaderName; 17] = [
    header::ACCEPT,
    header::ACCEPT_CHARSET,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::EXPECT,
    header::HOST,
    header::ORIGIN,
    header::TRANSFER_ENCODING,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-request-id"),
];

impl Texts for HeadTexts<'_> {
    fn visit(&mut self, see: &mut Inspection<'_>) -> Result<(), Box<Objection>> {
        if let Some(query) = self.uri.query() {
            see.screen(FieldKind::Header, || "query".to_owned(), query)?;
            // A value is also seen alone: what is harmless in the middle of a query can be an
            // attack where it ends up.
            for (name, value) in pairs(query) {
                see.screen(FieldKind::Header, || format!("query.{name}"), value)?;
            }
        }
        let path = self.uri.path();
        if !is_plain(path.as_bytes()) {
            see.screen(FieldKind::Header, || "path".to_owned(), path)?;
        }
        for (name, value) in self.headers {
            if is_plain(value.as_bytes()) || CHECKED_HEADERS.contains(name) {
                continue;
            }
            let text = String::from_utf8_lossy(value.as_bytes());
            // The name is the caller's, too: one that is more than a name is not repeated.
            let place = || {
                if is_plain(name.as_str().as_bytes()) {
                    format!("header {name}")
                } else {
                    "header".to_owned()
                }
            };
            see.screen(FieldKind::Header, place, &text)?;
        }
        Ok(())
    }
}

/// The pairs of a query whose names can be named in an answer.
fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, value)| is_plain(name.as_bytes()) && !value.is_empty())
}
