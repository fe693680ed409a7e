//! What has to be so of a request for a rule to match.

use super::path::BodyPath;
use super::pattern::Patterns;
use super::request::{RuleMessage, RuleRequest};
use super::text::{Captured, TextCondition};
use super::unmet::Unmet;
use crate::difference::{VALUE_CHARS_MAX, first_difference, likeness, shown};
use crate::words::quoted;
use serde_json::Value;

/// One condition.
#[derive(Debug)]
pub(super) enum Condition {
    Model(Patterns),
    Path(Patterns),
    Stream(bool),
    Header(String, TextCondition),
    LastUser(TextCondition),
    System(TextCondition),
    Last(MessageCondition),
    Message(MessageCondition),
    ToolResult(MessageCondition),
    OffersTool(Patterns),
    CallsTool(Patterns),
    Body(BodyCondition),
    Not(Vec<Condition>),
}

/// What has to be so of a message.
#[derive(Debug, Default)]
pub(super) struct MessageCondition {
    pub(super) role: Option<&'static str>,
    pub(super) tool: Option<Patterns>,
    pub(super) text: TextCondition,
}

/// What has to be so of values of the body.
#[derive(Debug)]
pub(super) struct BodyCondition {
    pub(super) path: BodyPath,
    pub(super) equals: Option<Value>,
    pub(super) text: TextCondition,
    pub(super) count: Option<u64>,
    pub(super) present: Option<bool>,
}

impl Condition {
    /// Whether it holds of a request. What named groups of expressions find is added.
    pub(super) fn holds(&self, request: &RuleRequest<'_>, captured: &mut Captured) -> bool {
        match self {
            Self::Model(patterns) => patterns.match_one(request.model),
            Self::Path(patterns) => patterns.match_one(request.path),
            Self::Stream(wanted) => request.is_stream == *wanted,
            Self::Header(name, text) => text.holds(request.header(name), captured),
            Self::LastUser(text) => text.holds(request.last_user(), captured),
            Self::System(text) => text.holds(request.system().as_deref(), captured),
            Self::Last(message) => {
                let last = request.messages.last();
                last.is_some_and(|last| message.holds(last, request, captured))
            }
            Self::Message(wanted) => {
                let mut messages = request.messages.iter().rev();
                messages.any(|message| wanted.holds(message, request, captured))
            }
            Self::ToolResult(wanted) => {
                let mut results = request.messages.iter().rev().filter(is_tool_result);
                results.any(|message| wanted.holds(message, request, captured))
            }
            Self::OffersTool(patterns) => request.tools.iter().any(|tool| patterns.match_one(tool)),
            Self::CallsTool(patterns) => called(request).any(|tool| patterns.match_one(tool)),
            Self::Body(body) => body.holds(request.body, captured),
            // What is found by what must not be so is of no use to an answer.
            Self::Not(conditions) => {
                let mut dropped = Captured::new();
                !conditions
                    .iter()
                    .all(|one| one.holds(request, &mut dropped))
            }
        }
    }

    /// What is not so of a request of which it does not hold.
    pub(super) fn unmet(&self, request: &RuleRequest<'_>) -> Unmet {
        let named = |place: &str, patterns: &Patterns, found: &str| {
            let words = format!(
                "expected {}, found {}",
                patterns.words(),
                quoted(found, VALUE_CHARS_MAX)
            );
            Unmet {
                likeness: crate::difference::likeness_of_texts(patterns.first(), found),
                ..Unmet::new(place, words)
            }
        };
        let tools = |place: &str, patterns: &Patterns, found: &[&str]| {
            let found = match found {
                [] => "none".to_owned(),
                [first] => quoted(first, VALUE_CHARS_MAX),
                [first, others @ ..] => {
                    format!(
                        "{} and {} more",
                        quoted(first, VALUE_CHARS_MAX),
                        others.len()
                    )
                }
            };
            Unmet::new(
                place,
                format!("expected {}, found {found}", patterns.words()),
            )
        };
        match self {
            Self::Model(patterns) => named("model", patterns, request.model),
            Self::Path(patterns) => named("path", patterns, request.path),
            Self::Stream(wanted) => Unmet::new(
                "stream",
                format!("expected {wanted}, found {}", request.is_stream),
            ),
            Self::Header(name, text) => text.unmet(format!("header.{name}"), request.header(name)),
            Self::LastUser(text) => text.unmet("last_user".to_owned(), request.last_user()),
            Self::System(text) => text.unmet("system".to_owned(), request.system().as_deref()),
            Self::Last(message) => message.unmet("last", request.messages.last(), request),
            Self::Message(wanted) => {
                nearest_message("message", wanted, request.messages.iter(), request)
            }
            Self::ToolResult(wanted) => {
                let results = request.messages.iter().filter(is_tool_result);
                nearest_message("tool_result", wanted, results, request)
            }
            Self::OffersTool(patterns) => {
                let found: Vec<&str> = request.tools.iter().map(String::as_str).collect();
                tools("offers_tool", patterns, &found)
            }
            Self::CallsTool(patterns) => {
                tools("calls_tool", patterns, &called(request).collect::<Vec<_>>())
            }
            Self::Body(body) => body.unmet(request.body),
            Self::Not(_) => Unmet::new("not", "all of it is so"),
        }
    }
}

fn is_tool_result(message: &&RuleMessage) -> bool {
    message.role == "tool"
}

/// Names of tools that the assistant has called, the last first.
fn called<'r>(request: &RuleRequest<'r>) -> impl Iterator<Item = &'r str> {
    let messages = request.messages.iter().rev();
    let calls = messages.flat_map(|message| message.tool_calls.iter().rev());
    calls.map(|call| call.name.as_str())
}

/// What is not so of the message that is the nearest to what was wanted, the last of those that
/// are equally near.
fn nearest_message<'r>(
    place: &str,
    wanted: &MessageCondition,
    messages: impl Iterator<Item = &'r RuleMessage>,
    request: &RuleRequest<'_>,
) -> Unmet {
    let unmet = messages.map(|message| wanted.unmet(place, Some(message), request));
    let nearest = unmet.max_by_key(|unmet| unmet.likeness);
    nearest.unwrap_or_else(|| wanted.unmet(place, None, request))
}

impl MessageCondition {
    fn holds(
        &self,
        message: &RuleMessage,
        request: &RuleRequest<'_>,
        captured: &mut Captured,
    ) -> bool {
        self.role.is_none_or(|role| role == message.role)
            && self.tool_holds(message, request)
            && (self.text.is_empty() || self.text.holds(Some(&message.text), captured))
    }

    fn tool_holds(&self, message: &RuleMessage, request: &RuleRequest<'_>) -> bool {
        let Some(patterns) = &self.tool else {
            return true;
        };
        // Where an API does not say which tool it was, the call does that it answers.
        let tool = message.name.as_deref().or_else(|| request.tool_of(message));
        message.role == "tool" && tool.is_some_and(|tool| patterns.match_one(tool))
    }

    fn unmet(
        &self,
        place: &str,
        message: Option<&RuleMessage>,
        request: &RuleRequest<'_>,
    ) -> Unmet {
        let Some(message) = message else {
            return Unmet::new(place, "there is none");
        };
        if let Some(role) = self.role.filter(|role| *role != message.role) {
            let words = format!("expected \"{role}\", found \"{}\"", message.role);
            return Unmet::new(format!("{place}.role"), words);
        }
        if !self.tool_holds(message, request) {
            let patterns = self.tool.as_ref().map_or_else(String::new, Patterns::words);
            let tool = message.name.as_deref().or_else(|| request.tool_of(message));
            let tool = tool.map_or_else(|| "none".to_owned(), |it| quoted(it, VALUE_CHARS_MAX));
            return Unmet::new(
                format!("{place}.tool"),
                format!("expected {patterns}, found {tool}"),
            );
        }
        self.text.unmet(place.to_owned(), Some(&message.text))
    }
}

impl BodyCondition {
    fn holds(&self, body: &Value, captured: &mut Captured) -> bool {
        let found = self.path.find(body);
        if self.present == Some(false) {
            return found.is_empty();
        }
        if let Some(count) = self.count
            && found.len() as u64 != count
        {
            return false;
        }
        let asks_nothing_more = self.equals.is_none() && self.text.is_empty();
        match (asks_nothing_more, self.count) {
            // Having none can be what was wanted.
            (true, Some(_)) => true,
            (true, None) => !found.is_empty(),
            (false, _) => found
                .into_iter()
                .any(|value| self.value_holds(value, captured)),
        }
    }

    fn value_holds(&self, value: &Value, captured: &mut Captured) -> bool {
        let is_equal = |equals: &Value| first_difference(equals, value).is_none();
        self.equals.as_ref().is_none_or(is_equal)
            && (self.text.is_empty()
                || value.is_string() && self.text.holds(value.as_str(), captured))
    }

    fn unmet(&self, body: &Value) -> Unmet {
        let place = format!("body {}", self.path.text());
        let found = self.path.find(body);
        if self.present == Some(false) {
            let value = found.first().map_or_else(String::new, |value| shown(value));
            return Unmet::new(place, format!("was not expected; found {value}"));
        }
        if let Some(count) = self.count
            && found.len() as u64 != count
        {
            return Unmet::new(place, format!("expected {count}, found {}", found.len()));
        }
        let unmet = found.into_iter().map(|value| {
            let difference = self
                .equals
                .as_ref()
                .and_then(|it| first_difference(it, value));
            match (difference, &self.equals, value) {
                (Some(difference), Some(equals), value) => {
                    let words = match difference.path() {
                        "$" => difference.words().to_owned(),
                        _ => format!("in it {difference}"),
                    };
                    Unmet {
                        likeness: likeness(equals, value),
                        ..Unmet::new(place.clone(), words)
                    }
                }
                (_, _, Value::String(text)) => self.text.unmet(place.clone(), Some(text)),
                (_, _, value) => {
                    let words = format!("expected {}, found {}", self.text.words(), shown(value));
                    Unmet::new(place.clone(), words)
                }
            }
        });
        let nearest = unmet.max_by_key(|unmet| unmet.likeness);
        nearest.unwrap_or_else(|| Unmet::new(place.clone(), "leads to nothing"))
    }
}
