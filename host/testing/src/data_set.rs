//! A data set: requests and their answers, one pair a line, found by what the request says.

use crate::difference::{
    Likeness, first_lack, likeness_of_texts, likeness_within, text_difference, work_for_each,
};
use crate::rules::{RuleMessage, RuleRequest, Unmet};
use serde_json::Value;
use std::collections::HashMap;

/// Lines of one data set.
pub const DATA_SET_LINES_MAX: usize = 20_000;

/// The longest data set, in bytes.
pub const DATA_SET_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A data set, with answers of a kind.
#[derive(Clone, Debug)]
pub(crate) struct DataSet<A> {
    lines: Vec<Line<A>>,
    /// The first line of each text that the user can have said last.
    by_text: HashMap<String, usize>,
    /// The lines that are found in no other way than by looking at each.
    others: Vec<usize>,
}

/// One line.
#[derive(Clone, Debug)]
struct Line<A> {
    /// Its number in the file.
    number: usize,
    request: LineRequest,
    answer: A,
}

/// What a request has to be for a line to answer it.
#[derive(Clone, Debug)]
pub(crate) enum LineRequest {
    /// The user has said this last.
    Text(String),
    /// The body has these members.
    Body(Value),
    /// The conversation is this: roles and texts.
    Messages(Vec<(String, String)>),
}

impl<A> DataSet<A> {
    pub(crate) fn new() -> Self {
        Self {
            lines: Vec::new(),
            by_text: HashMap::new(),
            others: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, number: usize, request: LineRequest, answer: A) {
        let place = self.lines.len();
        match &request {
            LineRequest::Text(text) => drop(self.by_text.entry(text.clone()).or_insert(place)),
            LineRequest::Body(_) | LineRequest::Messages(_) => self.others.push(place),
        }
        self.lines.push(Line {
            number,
            request,
            answer,
        });
    }

    /// The answer of the first line that a request fits.
    pub(crate) fn answer(&self, request: &RuleRequest<'_>) -> Option<&A> {
        let by_text = request.last_user().and_then(|text| self.by_text.get(text));
        let by_text = by_text.copied();
        let mut others = self.others.iter().copied();
        let before = |place: &usize| by_text.is_none_or(|by_text| *place < by_text);
        let other = others.by_ref().take_while(before).find(|place| {
            self.line(*place)
                .is_some_and(|line| line.request.fits(request))
        });
        let place = other.or(by_text)?;
        self.line(place).map(|line| &line.answer)
    }

    fn line(&self, place: usize) -> Option<&Line<A>> {
        self.lines.get(place)
    }

    /// How a request differs from the line that is the nearest to it.
    pub(crate) fn unmet(&self, request: &RuleRequest<'_>) -> Unmet {
        let mut best: Option<(Likeness, &Line<A>)> = None;
        let work = work_for_each(self.lines.len());
        for line in &self.lines {
            let likeness = line.request.likeness(request, work);
            if best.is_none_or(|(most, _)| likeness > most) {
                best = Some((likeness, line));
            }
        }
        let Some((likeness, line)) = best else {
            return Unmet::of("data_set", "has no lines", Likeness::NONE);
        };
        let place = format!("line {} of the data set", line.number);
        Unmet::of(place, line.request.difference(request), likeness)
    }
}

impl LineRequest {
    fn fits(&self, request: &RuleRequest<'_>) -> bool {
        match self {
            Self::Text(text) => request.last_user() == Some(text),
            Self::Body(body) => first_lack(body, request.body).is_none(),
            Self::Messages(messages) => {
                let are_equal = |(one, other): (&(String, String), &RuleMessage)| {
                    one.0 == other.role && one.1 == other.text
                };
                messages.len() == request.messages.len()
                    && messages.iter().zip(request.messages).all(are_equal)
            }
        }
    }

    fn likeness(&self, request: &RuleRequest<'_>, work: usize) -> Likeness {
        match self {
            Self::Text(text) => request
                .last_user()
                .map_or(Likeness::NONE, |found| likeness_of_texts(text, found)),
            Self::Body(body) => likeness_within(body, request.body, work),
            Self::Messages(messages) => {
                let said = messages.iter().rev().find(|(role, _)| role == "user");
                match (said, request.last_user()) {
                    (Some((_, text)), Some(found)) => likeness_of_texts(text, found),
                    _ => Likeness::NONE,
                }
            }
        }
    }

    /// The first difference, in words.
    fn difference(&self, request: &RuleRequest<'_>) -> String {
        let nothing = || "nothing is different".to_owned();
        match self {
            Self::Text(text) => match request.last_user() {
                Some(found) => text_difference(text, found).unwrap_or_else(nothing),
                None => "the user says nothing".to_owned(),
            },
            Self::Body(body) => {
                first_lack(body, request.body).map_or_else(nothing, |it| it.to_string())
            }
            Self::Messages(messages) => {
                for (index, (expected, found)) in messages.iter().zip(request.messages).enumerate()
                {
                    let number = index + 1;
                    if expected.0 != found.role {
                        let (expected, found) = (&expected.0, found.role);
                        return format!(
                            "message {number}: expected \"{expected}\", found \"{found}\""
                        );
                    }
                    if let Some(words) = text_difference(&expected.1, &found.text) {
                        return format!("message {number}: {words}");
                    }
                }
                let (expected, found) = (messages.len(), request.messages.len());
                format!("expected {expected} messages, found {found}")
            }
        }
    }
}
