//! Takes out of exchanges what must not be kept: keys and cookies always, then what rules find in
//! paths, headers, bodies and the events of streams. What is taken out leaves a mark such as
//! `[scrubbed:email]`, which stands for any text where a recorded request is looked for.
//!
//! Only what has been through here can be written down: [`Scrubbed`] has no other way to be made.

mod rules;
mod table;

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use serde::de::IgnoredAny;

use crate::json_text::{Leaf, Step, decoded, leaves};
use crate::marks::{Found, bytes_replaced, mark, merged, replaced};
use crate::recording::{Body, Content, Event, Exchange, Headers, RecordingError, Request};
use crate::secrets::{SECRET_BYTES_MIN, is_secret_header, percent_decoded, query};
pub use rules::{RULES_BYTES_MAX, ScrubRuleError, ScrubRules};
use table::{ANSWER_HEADER_PREFIXES, ANSWER_HEADERS, JOINED, REQUEST_HEADERS, SECRET_MEMBERS};

/// An exchange from which everything was taken that must not be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Scrubbed {
    exchange: Exchange,
    places: usize,
}

impl Scrubbed {
    /// The line of a recording, without its end.
    ///
    /// # Errors
    /// When it is beyond the bounds of a recording.
    pub fn to_line(&self) -> Result<String, RecordingError> {
        self.exchange.to_line()
    }

    /// What is left.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// In how many places something was taken out, headers that are never kept aside.
    #[must_use]
    pub fn places(&self) -> usize {
        self.places
    }
}

/// Takes out what its rules say.
#[derive(Clone, Debug)]
pub struct Scrubber {
    rules: ScrubRules,
}

impl Scrubber {
    /// One by these rules.
    #[must_use]
    pub fn new(rules: ScrubRules) -> Self {
        Self { rules }
    }

    /// What may be kept of an exchange. `secrets` are texts that nobody may read, such as the key
    /// by which it was authorized: wherever they stand they are taken out, those of less than
    /// [`SECRET_BYTES_MIN`] bytes aside.
    #[must_use]
    pub fn scrub(&self, exchange: Exchange, secrets: &[&str]) -> Scrubbed {
        let secrets = secrets.iter().copied();
        let mut work = Work {
            rules: &self.rules,
            secrets: secrets
                .filter(|text| text.len() >= SECRET_BYTES_MIN)
                .collect(),
            places: 0,
        };
        let exchange = work.exchange(exchange);
        Scrubbed {
            exchange,
            places: work.places,
        }
    }
}

/// The scrubbing of one exchange.
struct Work<'a> {
    rules: &'a ScrubRules,
    secrets: Vec<&'a str>,
    places: usize,
}

impl<'a> Work<'a> {
    fn exchange(&mut self, exchange: Exchange) -> Exchange {
        let Exchange { request, answer } = exchange;
        let request = Request {
            method: request.method,
            path: self.url_part(request.path),
            query: request
                .query
                .map(|text| self.url_part(query(&text)))
                .filter(|text| !text.is_empty()),
            headers: self.headers(request.headers, &REQUEST_HEADERS, &[]),
            body: self.body(request.body),
        };
        let mut answer = answer;
        answer.headers = self.headers(answer.headers, &ANSWER_HEADERS, &ANSWER_HEADER_PREFIXES);
        answer.content = match answer.content {
            Content::Whole(body) => Content::Whole(self.body(body)),
            Content::Stream(events) => Content::Stream(self.events(events)),
        };
        Exchange { request, answer }
    }

    /// A path or a query. What is written there with `%` is looked at as what it stands for.
    fn url_part(&mut self, text: String) -> String {
        let plain = percent_decoded(&text);
        if self.found(&plain).is_empty() && self.found(&text).is_empty() {
            return text;
        }
        self.places += 1;
        // The parts between the separators are what clients put in; each goes as a whole.
        let mut out = String::with_capacity(text.len());
        for part in text.split_inclusive(['/', '&', '=', '?']) {
            let end = part.trim_end_matches(['/', '&', '=', '?']).len();
            let (inside, separator) = part.split_at(end);
            match self.found(&percent_decoded(inside)).first() {
                Some((_, name)) => out.push_str(&mark(name)),
                None => out.push_str(inside),
            }
            out.push_str(separator);
        }
        // What only shows over a separator takes the whole part with it.
        match self.found(&percent_decoded(&out)).first() {
            None => out,
            Some((_, name)) => format!("/{}", mark(name)),
        }
    }

    fn headers(&mut self, headers: Headers, kept: &[&str], prefixes: &[&str]) -> Headers {
        let rules = self.rules;
        let is_kept = |name: &String| {
            let by_table = kept.contains(&name.as_str())
                || prefixes.iter().any(|prefix| name.starts_with(prefix));
            (by_table || rules.headers().contains(name)) && !is_secret_header(name)
        };
        let kept = headers.into_iter().filter(|(name, _)| is_kept(name));
        kept.map(|(name, value)| (name, self.text(&value).into_owned()))
            .collect()
    }

    fn body(&mut self, body: Body) -> Body {
        let Some(text) = body.text() else {
            return self.binary(body);
        };
        let scrubbed = if is_json(text) {
            self.documents(&[text]).into_iter().next().flatten()
        } else {
            match self.text(text) {
                Cow::Borrowed(_) => None,
                Cow::Owned(text) => Some(text),
            }
        };
        match scrubbed {
            Some(text) => Body::new(text.into_bytes()),
            None => body,
        }
    }

    /// Bytes that are no text, in which secrets stand all the same.
    fn binary(&mut self, body: Body) -> Body {
        let bytes = body.bytes();
        let mut found: Vec<Found<'_>> = Vec::new();
        for secret in &self.secrets {
            let mut from = 0;
            while let Some(rest) = bytes.get(from..)
                && let Some(at) = rest
                    .windows(secret.len())
                    .position(|part| part == secret.as_bytes())
            {
                found.push((from + at..from + at + secret.len(), "secret"));
                from += at + secret.len();
            }
        }
        found.extend(self.rules.found_in_bytes(bytes));
        let found = merged(found);
        if found.is_empty() {
            return body;
        }
        self.places += found.len();
        Body::new(bytes_replaced(bytes, &found))
    }

    /// The events of a stream, whose texts go on from one to the next.
    fn events(&mut self, events: Vec<Event>) -> Vec<Event> {
        let framed: Vec<Option<(Range<usize>, &str)>> = events
            .iter()
            .map(|event| {
                let text = event.body.text()?;
                let range = json_in_event(text)?;
                Some((range.clone(), text.get(range)?))
            })
            .collect();
        let documents: Vec<&str> = framed.iter().flatten().map(|(_, json)| *json).collect();
        let mut scrubbed = self.documents(&documents).into_iter();
        let mut bodies = Vec::with_capacity(events.len());
        for (event, framed) in events.iter().zip(&framed) {
            bodies.push(match framed {
                Some((range, _)) => scrubbed.next().flatten().map(|json| {
                    let text = event.body.text().unwrap_or_default();
                    let before = text.get(..range.start).unwrap_or_default();
                    let after = text.get(range.end..).unwrap_or_default();
                    Body::new(
                        [&self.text(before), json.as_str(), &self.text(after)]
                            .concat()
                            .into_bytes(),
                    )
                }),
                None => Some(self.body(event.body.clone())),
            });
        }
        let scrubbed = events.into_iter().zip(bodies);
        scrubbed
            .map(|(event, body)| Event {
                after: event.after,
                body: body.unwrap_or(event.body),
            })
            .collect()
    }

    /// JSON that belongs together: each with what was taken out, or none where that is nothing.
    fn documents(&mut self, documents: &[&str]) -> Vec<Option<String>> {
        let mut edits: Vec<Vec<(Range<usize>, String)>> = vec![Vec::new(); documents.len()];
        // Texts that go on from one document to the next, by the way to them.
        let mut joined: HashMap<String, Vec<(usize, Range<usize>, String)>> = HashMap::new();
        for (number, document) in documents.iter().enumerate() {
            let places = if documents.len() > 1 {
                numbered(document)
            } else {
                HashMap::new()
            };
            let mut of_this = Vec::new();
            leaves(document, |way, leaf, range| {
                if leaf != Leaf::Name && self.rules.paths().iter().any(|path| path.leads_to(way)) {
                    let value = serde_json::Value::from(mark("path"));
                    of_this.push((range, value.to_string()));
                    return;
                }
                if leaf == Leaf::Other {
                    return;
                }
                let text = decoded(document, range.clone());
                let is_secret = leaf == Leaf::Text && !text.is_empty() && is_secret_member(way);
                if is_secret && self.rules.has_defaults() {
                    let value = serde_json::Value::from(mark("member"));
                    of_this.push((range, value.to_string()));
                } else if documents.len() > 1 && leaf == Leaf::Text && goes_on(way) {
                    let key = spelled(way, &places);
                    joined.entry(key).or_default().push((number, range, text));
                } else {
                    let found = self.found(&text);
                    if !found.is_empty() {
                        let value = serde_json::Value::from(replaced(&[&text], &found).concat());
                        of_this.push((range, value.to_string()));
                    }
                }
            });
            self.places += of_this.len();
            if let Some(edits) = edits.get_mut(number) {
                edits.extend(of_this);
            }
        }
        for pieces in joined.into_values() {
            let texts: Vec<&str> = pieces.iter().map(|(_, _, text)| text.as_str()).collect();
            let found = self.found(&texts.concat());
            if found.is_empty() {
                continue;
            }
            let scrubbed = replaced(&texts, &found);
            let count = found.len();
            for ((number, range, text), scrubbed) in pieces.iter().zip(scrubbed) {
                if *text != scrubbed
                    && let Some(edits) = edits.get_mut(*number)
                {
                    let value = serde_json::Value::from(scrubbed).to_string();
                    edits.push((range.clone(), value));
                }
            }
            self.places += count;
        }
        let edited = documents.iter().zip(edits);
        edited
            .map(|(document, edits)| (!edits.is_empty()).then(|| edit(document, edits)))
            .collect()
    }

    fn text<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        let found = self.found(text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let scrubbed = replaced(&[text], &found).concat();
        self.places += found.len();
        Cow::Owned(scrubbed)
    }

    /// What is to be taken out of a text, in order and apart.
    fn found(&self, text: &str) -> Vec<Found<'a>> {
        let mut found: Vec<Found<'a>> = Vec::new();
        for secret in &self.secrets {
            let places = text.match_indices(secret);
            found.extend(places.map(|(at, part)| (at..at + part.len(), "secret")));
        }
        found.extend(self.rules.found_in(text));
        merged(found)
    }
}

fn is_secret_member(way: &[Step]) -> bool {
    let Some(Step::Member(name)) = way.last() else {
        return false;
    };
    let name = name.to_ascii_lowercase().replace('-', "_");
    SECRET_MEMBERS.contains(&name.as_str())
}

/// Whether the text at the end of a way goes on in the next event.
fn goes_on(way: &[Step]) -> bool {
    matches!(way.last(), Some(Step::Member(name)) if JOINED.contains(&name.as_str()))
}

/// Members by which events say which of several texts they go on with.
const NUMBERS: [&str; 3] = ["index", "output_index", "content_index"];

/// The numbers in a document, by the way to the object that they stand in.
fn numbered(document: &str) -> HashMap<String, String> {
    let mut found: HashMap<String, String> = HashMap::new();
    leaves(document, |way, leaf, range| {
        if leaf == Leaf::Other
            && let Some((Step::Member(name), outside)) = way.split_last()
            && NUMBERS.contains(&name.as_str())
        {
            let number = document.get(range).unwrap_or_default();
            let numbers = found.entry(spelled(outside, &HashMap::new())).or_default();
            numbers.push('#');
            numbers.push_str(number);
        }
    });
    found
}

/// A way as a text, with the numbers of what it leads through.
fn spelled(way: &[Step], numbers: &HashMap<String, String>) -> String {
    let mut plain = String::new();
    let mut out = numbers.get("").cloned().unwrap_or_default();
    for step in way {
        let step = match step {
            Step::Member(name) => format!("/{name}"),
            // Where an element has a number, that says which one it is, and not its place.
            Step::Index(index) => format!("/{index}"),
        };
        plain.push_str(&step);
        out.push_str(&step);
        out.push_str(numbers.get(&plain).map_or("", String::as_str));
    }
    out
}

/// The JSON in an event: behind the one `data:` of a server-sent event, or all of a line.
fn json_in_event(text: &str) -> Option<Range<usize>> {
    let inside = |from: usize, part: &str| {
        let start = from + (part.len() - part.trim_start().len());
        let range = start..start + part.trim().len();
        is_json(part).then_some(range)
    };
    if text.trim_start().starts_with(['{', '[']) {
        return inside(0, text);
    }
    let mut from = 0;
    let mut found = None;
    for line in text.split_inclusive(['\n', '\r']) {
        if let Some(data) = line.strip_prefix("data:") {
            if found.is_some() {
                return None;
            }
            found = Some((from + "data:".len(), data));
        }
        from += line.len();
    }
    found.and_then(|(from, data)| inside(from, data))
}

/// Whether a text is JSON that can be looked into: an object or an array, however deep.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// A text with other literals at some places.
fn edit(document: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(document.len());
    let mut from = 0;
    for (range, text) in edits {
        out.push_str(document.get(from..range.start).unwrap_or_default());
        out.push_str(&text);
        from = range.end;
    }
    out.push_str(document.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests;
