//! How far two answers to one request differ in more than what is made up anew each time.
//!
//! Ids, times, counts and generated text are compared by their kind; words of an API's own, such as
//! `finish_reason`, by their value; events by the order in which kinds of them come.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::cutter::media_type;
use super::shape::Shape;
use super::{Answer, Body, Content, Event};

/// Kinds of events whose shapes are compared; what comes beyond counts as of one kind.
const KINDS_MAX: usize = 64;
/// Steps of the sequence of events that are told.
const STEPS_TOLD_MAX: usize = 16;

/// One thing in which an answer is no longer what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    path: String,
    words: String,
}

impl Drift {
    pub(super) fn new(path: &str, words: String) -> Self {
        Self {
            path: path.to_owned(),
            words,
        }
    }

    /// Where: `status`, `content-type`, `events`, or a path into JSON such as `$.usage.total_tokens`,
    /// for events with their kind before it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was, and what is.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.words)
    }
}

/// What has changed from a recorded answer to one of today.
#[must_use]
pub fn drift(recorded: &Answer, live: &Answer) -> Vec<Drift> {
    let mut drifts = Vec::new();
    if recorded.status != live.status {
        let words = format!("was {}, is {}", recorded.status, live.status);
        drifts.push(Drift::new("status", words));
    }
    let kind = |answer: &Answer| media_type(answer.headers.get("content-type").map_or("", |v| v));
    let (was, is) = (kind(recorded), kind(live));
    if was != is {
        let told = |kind: &str| match kind {
            "" => "none".to_owned(),
            kind => format!("`{kind}`"),
        };
        let words = format!("was {}, is {}", told(&was), told(&is));
        drifts.push(Drift::new("content-type", words));
    }
    match (&recorded.content, &live.content) {
        (Content::Whole(recorded), Content::Whole(live)) => bodies(recorded, live, &mut drifts),
        (Content::Stream(recorded), Content::Stream(live)) => streams(recorded, live, &mut drifts),
        (was, is) => {
            let told = |content: &Content| match content {
                Content::Whole(_) => "in one piece",
                Content::Stream(_) => "a stream",
            };
            let words = format!("was {}, is {}", told(was), told(is));
            drifts.push(Drift::new("body", words));
        }
    }
    drifts
}

fn bodies(recorded: &Body, live: &Body, drifts: &mut Vec<Drift>) {
    match (recorded.json(), live.json()) {
        (Some(recorded), Some(live)) => {
            let shape = |value: &Value| {
                let mut shape = Shape::default();
                shape.add("", value);
                shape
            };
            shape(&recorded).compare(&shape(&live), "$", drifts);
        }
        (recorded_json, live_json) => {
            let told = |is_json: bool, body: &Body| match (is_json, body.is_empty()) {
                (true, _) => "JSON",
                (false, true) => "empty",
                (false, false) if body.text().is_some() => "text",
                (false, false) => "bytes",
            };
            let was = told(recorded_json.is_some(), recorded);
            let is = told(live_json.is_some(), live);
            if was != is {
                drifts.push(Drift::new("body", format!("was {was}, is {is}")));
            }
        }
    }
}

fn streams(recorded: &[Event], live: &[Event], drifts: &mut Vec<Drift>) {
    let (was, is) = (Sequence::of(recorded), Sequence::of(live));
    if was.steps != is.steps {
        let words = format!("were {}, are {}", was.told(), is.told());
        drifts.push(Drift::new("events", words));
    }
    for (kind, recorded) in &was.shapes {
        if let Some(live) = is.shapes.get(kind) {
            recorded.compare(live, &format!("{kind} $"), drifts);
        }
    }
}

/// A stream by the kinds of its events.
struct Sequence {
    /// In their order, several of one kind as one.
    steps: Vec<String>,
    shapes: BTreeMap<String, Shape>,
}

impl Sequence {
    fn of(events: &[Event]) -> Self {
        let mut steps: Vec<String> = Vec::new();
        let mut shapes: BTreeMap<String, Shape> = BTreeMap::new();
        for event in events {
            let (kind, value) = kind(&event.body);
            // What keeps a connection open comes as it comes.
            if kind == "ping" || kind == "comment" {
                continue;
            }
            if let Some(value) = value {
                let kind = match shapes.contains_key(&kind) || shapes.len() < KINDS_MAX {
                    true => kind.clone(),
                    false => "others".to_owned(),
                };
                shapes.entry(kind).or_default().add("", &value);
            }
            if steps.last() != Some(&kind) {
                steps.push(kind);
            }
        }
        Self { steps, shapes }
    }

    fn told(&self) -> String {
        let told: Vec<&str> = self
            .steps
            .iter()
            .take(STEPS_TOLD_MAX)
            .map(|kind| kind.as_str())
            .collect();
        let more = self.steps.len().saturating_sub(told.len());
        match (told.is_empty(), more) {
            (true, _) => "none".to_owned(),
            (false, 0) => told.join(", "),
            (false, more) => format!("{} and {more} more", told.join(", ")),
        }
    }
}

/// What an event is called, and the JSON in it.
fn kind(body: &Body) -> (String, Option<Value>) {
    let Some(text) = body.text() else {
        return ("bytes".to_owned(), None);
    };
    let mut name = None;
    let mut data = String::new();
    let mut is_commented = false;
    for line in text.split(['\n', '\r']) {
        if let Some(rest) = line.strip_prefix("event:") {
            name = Some(rest.trim());
        } else if let Some(rest) = line.strip_prefix("data:") {
            data.push_str(rest.trim_start());
        } else if line.starts_with(':') {
            is_commented = true;
        } else if line.trim_start().starts_with(['{', '[']) {
            data.push_str(line);
        }
    }
    let value = Body::new(data.clone().into_bytes()).json();
    let says = |member: &str| {
        let value = value.as_ref()?.get(member)?.as_str()?;
        Some(crate::words::cut_name(value, 64))
    };
    let kind = match (name, says("type").or_else(|| says("object"))) {
        (Some(name), _) => crate::words::cut_name(name, 64),
        (None, Some(kind)) => kind,
        (None, None) => match data.trim() {
            "" if is_commented => "comment".to_owned(),
            "[DONE]" => "[DONE]".to_owned(),
            "" => "empty".to_owned(),
            _ if value.is_some() => "data".to_owned(),
            _ => "text".to_owned(),
        },
    };
    (kind, value)
}

#[cfg(test)]
mod tests;
