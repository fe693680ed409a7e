//! What JSON is like, whatever stands in it: which members there are, of which kinds, and the words
//! of an API's own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Drift;

/// Members whose texts are words of an API: another one there is another answer.
const WORDS: [&str; 12] = [
    "code",
    "encoding_format",
    "finish_reason",
    "model",
    "object",
    "param",
    "phase",
    "role",
    "service_tier",
    "status",
    "stop_reason",
    "type",
];
/// Members whose texts are made up anew each time, in a form that is always the same.
const IDS: [&str; 6] = [
    "id",
    "item_id",
    "message_id",
    "response_id",
    "system_fingerprint",
    "tool_call_id",
];
/// Words of one member that are told apart.
const WORDS_MAX: usize = 64;
/// Bytes of a word as it is told.
const WORD_BYTES_MAX: usize = 80;

/// What values at one place are like, all of them together.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    has_null: bool,
    has_bool: bool,
    has_number: bool,
    has_text: bool,
    words: BTreeSet<String>,
    elements: Option<Elements>,
    members: Option<Members>,
}

#[derive(Clone, Debug, Default)]
struct Elements {
    shape: Box<Shape>,
    /// How long arrays of numbers are, such as vectors: nothing else about them is always the
    /// same, and that is.
    numbers: BTreeSet<usize>,
}

#[derive(Clone, Debug, Default)]
struct Members {
    /// Each with how many of the objects have it.
    by_name: BTreeMap<String, (usize, Shape)>,
    objects: usize,
}

impl Shape {
    /// Takes a value in. `name` is that of the member that it is.
    pub(super) fn add(&mut self, name: &str, value: &Value) {
        match value {
            Value::Null => self.has_null = true,
            Value::Bool(_) => self.has_bool = true,
            Value::Number(_) => self.has_number = true,
            Value::String(text) => {
                self.has_text = true;
                let word = if WORDS.contains(&name) {
                    Some(text.clone())
                } else if IDS.contains(&name) {
                    Some(id_form(text))
                } else {
                    None
                };
                self.words
                    .extend(word.filter(|_| self.words.len() < WORDS_MAX));
            }
            Value::Array(elements) => {
                let known = self.elements.get_or_insert_default();
                if !elements.is_empty() && elements.iter().all(Value::is_number) {
                    known.numbers.insert(elements.len());
                }
                elements
                    .iter()
                    .for_each(|element| known.shape.add("", element));
            }
            Value::Object(members) => {
                let known = self.members.get_or_insert_default();
                known.objects += 1;
                for (name, value) in members {
                    let (count, shape) = known.by_name.entry(name.clone()).or_default();
                    *count += 1;
                    shape.add(name, value);
                }
            }
        }
    }

    /// The kinds that there are, as people call them.
    fn kinds(&self) -> Vec<&'static str> {
        [
            (self.has_null, "null"),
            (self.has_bool, "a boolean"),
            (self.has_number, "a number"),
            (self.has_text, "a text"),
            (self.elements.is_some(), "an array"),
            (self.members.is_some(), "an object"),
        ]
        .into_iter()
        .filter_map(|(is_there, name)| is_there.then_some(name))
        .collect()
    }

    /// Says what is otherwise in `live`.
    pub(super) fn compare(&self, live: &Self, path: &str, drifts: &mut Vec<Drift>) {
        let (known, found) = (self.kinds(), live.kinds());
        let new: Vec<&str> = found
            .iter()
            .filter(|kind| !known.contains(kind))
            .copied()
            .collect();
        if !known.is_empty() && !new.is_empty() {
            let words = format!("was {}, is {}", known.join(" or "), new.join(" or "));
            drifts.push(Drift::new(path, words));
        }
        let new: Vec<String> = live
            .words
            .difference(&self.words)
            .map(|word| told(word))
            .collect();
        if !self.words.is_empty() && !new.is_empty() {
            let known: Vec<String> = self.words.iter().map(|word| told(word)).collect();
            let words = format!("was {}, is {}", known.join(" or "), new.join(" or "));
            drifts.push(Drift::new(path, words));
        }
        if let (Some(known), Some(found)) = (&self.elements, &live.elements) {
            if !known.numbers.is_empty() && !found.numbers.is_subset(&known.numbers) {
                let lengths = |numbers: &BTreeSet<usize>| {
                    let lengths: Vec<String> = numbers.iter().map(usize::to_string).collect();
                    lengths.join(" or ")
                };
                let words = format!(
                    "was {} numbers, is {}",
                    lengths(&known.numbers),
                    lengths(&found.numbers)
                );
                drifts.push(Drift::new(path, words));
            }
            known
                .shape
                .compare(&found.shape, &format!("{path}[*]"), drifts);
        }
        if let (Some(known), Some(found)) = (&self.members, &live.members) {
            known.compare(found, path, drifts);
        }
    }
}

impl Members {
    fn compare(&self, live: &Self, path: &str, drifts: &mut Vec<Drift>) {
        for (name, (count, shape)) in &self.by_name {
            let place = format!("{path}.{}", name_told(name));
            match live.by_name.get(name) {
                Some((_, found)) => shape.compare(found, &place, drifts),
                None if *count == self.objects => {
                    drifts.push(Drift::new(&place, "is missing".to_owned()));
                }
                None => {}
            }
            // One of several lacks what every recorded one has.
            if let Some((found, _)) = live.by_name.get(name)
                && *count == self.objects
                && *found < live.objects
            {
                let words = format!("is missing in {} of {}", live.objects - found, live.objects);
                drifts.push(Drift::new(&place, words));
            }
        }
        for (name, (_, shape)) in &live.by_name {
            if !self.by_name.contains_key(name) {
                let words = format!("is new: {}", shape.kinds().join(" or "));
                drifts.push(Drift::new(&format!("{path}.{}", name_told(name)), words));
            }
        }
    }
}

/// The part of an id that is always the same: `chatcmpl-…` of `chatcmpl-8dj2`.
fn id_form(text: &str) -> String {
    match text.rfind(['-', '_']) {
        Some(_) => {
            let end = text.find(['-', '_']).unwrap_or_default();
            let (form, _) = text.split_at(end + 1);
            // What has digits in it may be a part of the id itself, as of a UUID.
            if form.chars().any(|c| c.is_ascii_digit()) || is_hexadecimal(form) {
                "…".to_owned()
            } else {
                format!("{form}…")
            }
        }
        None => "…".to_owned(),
    }
}

/// Whether the first part of an id may be one of a number, without digits by chance.
fn is_hexadecimal(form: &str) -> bool {
    form.len() == 9
        && form
            .trim_end_matches(['-', '_'])
            .chars()
            .all(|c| c.is_ascii_hexdigit())
}

fn told(word: &str) -> String {
    crate::words::quoted(word, WORD_BYTES_MAX)
}

fn name_told(name: &str) -> String {
    crate::words::cut_name(name, WORD_BYTES_MAX)
}
