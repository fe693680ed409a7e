//! The last requests of a test and what they were answered, and assertions about them.

use crate::matching::{Facts, Pattern, PatternError, is_like, regex};
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Entries that one answer lists.
pub const LISTED_MAX: usize = 1_000;

/// How much a journal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalLimits {
    /// Requests; none are written down where it is 0.
    pub entries_max: usize,
    /// Bytes of all of them.
    pub bytes_max: usize,
    /// Bytes of one body; more is cut.
    pub body_bytes_max: usize,
}

/// A text of which only so much is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// What is kept.
    pub text: String,
    /// Bytes that it had.
    pub bytes: usize,
}

impl Kept {
    /// A body, as far as it is kept. What is no UTF-8 is replaced.
    #[must_use]
    pub fn of(bytes: &[u8], bytes_max: usize) -> Self {
        let kept = bytes.get(..bytes_max.min(bytes.len())).unwrap_or_default();
        Self {
            text: String::from_utf8_lossy(kept).into_owned(),
            bytes: bytes.len(),
        }
    }
}

/// When what happened, in milliseconds since the request came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Timings {
    /// The head of the answer.
    pub head_ms: f64,
    /// The first byte of its body; none where it has none.
    pub first_byte_ms: Option<f64>,
    /// Its end.
    pub end_ms: f64,
}

/// A request and its answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Its number in the journal, from 1.
    pub number: u64,
    /// The id of the request.
    pub request_id: String,
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The model that was asked for.
    pub model: Option<String>,
    /// The id of the key.
    pub key: Option<String>,
    /// Headers, but for those that let their bearer in (`secrets::is_secret_header`).
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Kept,
    /// The status of the answer; 0 where the connection was ended before there was one.
    pub status: u16,
    /// The body of the answer, as the client was sent it.
    pub answer: Kept,
    /// When what happened.
    pub timings: Timings,
    /// The fault that it had.
    pub fault: Option<String>,
    /// The rule that answered.
    pub rule: Option<String>,
    /// Whether the answer was given to its end.
    pub is_complete: bool,
}

impl Entry {
    /// About how many bytes it takes.
    fn bytes(&self) -> usize {
        const FIXED: usize = 256;
        let headers = self.headers.iter();
        let texts = [&self.model, &self.key, &self.fault, &self.rule];
        let texts = texts.into_iter().flatten();
        FIXED
            + self.request_id.len()
            + self.method.len()
            + self.path.len()
            + self.body.text.len()
            + self.answer.text.len()
            + headers
                .map(|(name, value)| name.len() + value.len())
                .chain(texts.map(String::len))
                .sum::<usize>()
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            path: &self.path,
            method: &self.method,
            model: self.model.as_deref(),
            key: self.key.as_deref(),
            headers: &self.headers,
            body: &self.body.text,
        }
    }
}

/// What entries are looked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Asked {
    /// The method.
    pub method: Option<String>,
    /// The path, with `*` for anything.
    pub path: Option<String>,
    /// The model that was asked for, with `*` for anything.
    pub model: Option<String>,
    /// The id of the key.
    pub key: Option<String>,
    /// A header of the request, `name` or `name: value`.
    pub header: Option<String>,
    /// A regular expression that is found in the request's body.
    pub content: Option<String>,
    /// A regular expression that is found in the answer's body.
    pub answer: Option<String>,
    /// The status, as a number, or its class, as in `4xx`.
    pub status: Option<String>,
    /// The fault that it had, with `*` for anything.
    pub fault: Option<String>,
    /// The rule that answered, with `*` for anything.
    pub rule: Option<String>,
    /// Only entries behind this number.
    pub after: Option<u64>,
    /// At most so many, the newest.
    pub limit: Option<usize>,
}

/// What entries are looked for, checked.
#[derive(Clone, Debug)]
pub struct Filter {
    asked: Asked,
    pattern: Pattern,
    answer: Option<Regex>,
}

impl TryFrom<Asked> for Filter {
    type Error = PatternError;

    fn try_from(asked: Asked) -> Result<Self, PatternError> {
        Ok(Self {
            pattern: Pattern::new(
                asked.model.clone(),
                asked.path.clone(),
                asked.key.clone(),
                asked.header.as_deref(),
                asked.content.as_deref(),
            )?,
            answer: asked.answer.as_deref().map(regex).transpose()?,
            asked,
        })
    }
}

impl Filter {
    /// The members that are said and do not hold of an entry.
    fn misses(&self, entry: &Entry) -> Vec<&'static str> {
        let asked = &self.asked;
        let mut misses = self.pattern.misses(&entry.facts());
        let mut check = |holds: bool, name| {
            if !holds {
                misses.push(name);
            }
        };
        let is = |pattern: &Option<String>, text: Option<&str>| match pattern {
            None => true,
            Some(pattern) => text.is_some_and(|text| is_like(pattern, text)),
        };
        let method = asked.method.as_ref();
        check(
            method.is_none_or(|method| method.eq_ignore_ascii_case(&entry.method)),
            "method",
        );
        let answer = self.answer.as_ref();
        check(
            answer.is_none_or(|answer| answer.is_match(&entry.answer.text)),
            "answer",
        );
        let status = entry.status.to_string();
        let class = format!("{}xx", entry.status / 100);
        check(
            asked
                .status
                .as_ref()
                .is_none_or(|asked| *asked == status || *asked == class),
            "status",
        );
        check(is(&asked.fault, entry.fault.as_deref()), "fault");
        check(is(&asked.rule, entry.rule.as_deref()), "rule");
        check(
            asked.after.is_none_or(|after| entry.number > after),
            "after",
        );
        misses
    }
}

/// How many entries there are to be.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Times {
    /// Just so many.
    pub exactly: Option<usize>,
    /// So many or more.
    pub at_least: Option<usize>,
    /// So many or fewer.
    pub at_most: Option<usize>,
}

impl Times {
    /// Whether a number is one of these. At least one, where nothing is said.
    #[must_use]
    pub fn holds(&self, count: usize) -> bool {
        let Self {
            exactly,
            at_least,
            at_most,
        } = *self;
        let is_said = exactly.is_some() || at_least.is_some() || at_most.is_some();
        exactly.is_none_or(|exactly| count == exactly)
            && at_least.is_none_or(|least| count >= least)
            && at_most.is_none_or(|most| count <= most)
            && (is_said || count > 0)
    }
}

/// What has become of an assertion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether it holds.
    pub holds: bool,
    /// Entries that are like it.
    pub count: usize,
    /// The entry that is most like it and is not.
    pub nearest: Option<Nearest>,
}

/// An entry that is nearly what was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Nearest {
    /// Its number.
    pub number: u64,
    /// The members that do not hold of it.
    pub differs_in: Vec<&'static str>,
}

/// The last requests of a test.
#[derive(Debug)]
pub struct Journal {
    limits: JournalLimits,
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Entries that there have been.
    written: u64,
}

impl Journal {
    /// An empty journal.
    #[must_use]
    pub fn new(limits: JournalLimits) -> Self {
        Self {
            limits,
            entries: VecDeque::new(),
            bytes: 0,
            written: 0,
        }
    }

    /// Writes an entry, whose number it gives; the oldest go where there is no room.
    pub fn write(&mut self, mut entry: Entry) {
        if self.limits.entries_max == 0 {
            return;
        }
        self.written += 1;
        entry.number = self.written;
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        while self.entries.len() > self.limits.entries_max
            || (self.bytes > self.limits.bytes_max && !self.entries.is_empty())
        {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.bytes());
        }
    }

    /// The entries that are like this, the oldest of them first.
    #[must_use]
    pub fn find(&self, filter: &Filter) -> Vec<Entry> {
        let limit = filter.asked.limit.unwrap_or(LISTED_MAX).min(LISTED_MAX);
        let like = self.entries.iter().rev();
        let like = like
            .filter(|entry| filter.misses(entry).is_empty())
            .take(limit);
        let mut found: Vec<Entry> = like.cloned().collect();
        found.reverse();
        found
    }

    /// Whether there are so many entries like this.
    #[must_use]
    pub fn verify(&self, filter: &Filter, times: Times) -> Verdict {
        let mut count = 0;
        let mut nearest: Option<Nearest> = None;
        for entry in &self.entries {
            let differs_in = filter.misses(entry);
            if differs_in.is_empty() {
                count += 1;
            } else if nearest
                .as_ref()
                .is_none_or(|one| differs_in.len() <= one.differs_in.len())
            {
                let number = entry.number;
                nearest = Some(Nearest { number, differs_in });
            }
        }
        let holds = times.holds(count);
        Verdict {
            holds,
            count,
            nearest: nearest.filter(|_| !holds),
        }
    }

    /// Forgets all entries.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// Entries that there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    const LIMITS: JournalLimits = JournalLimits {
        entries_max: 3,
        bytes_max: 2_000,
        body_bytes_max: 100,
    };

    fn entry(path: &str, status: u16, body: &str) -> Entry {
        Entry {
            number: 0,
            request_id: "req_1".to_owned(),
            at_ms: 0,
            method: "POST".to_owned(),
            path: path.to_owned(),
            model: Some("gpt-4o".to_owned()),
            key: None,
            headers: vec![("x-test".to_owned(), "1".to_owned())],
            body: Kept::of(body.as_bytes(), 100),
            status,
            answer: Kept::of(b"answered", 100),
            timings: Timings::default(),
            fault: (status >= 400).then(|| format!("status={status}")),
            rule: None,
            is_complete: true,
        }
    }

    fn filter(asked: serde_json::Value) -> Filter {
        serde_json::from_value::<Asked>(asked)
            .unwrap()
            .try_into()
            .unwrap()
    }

    #[test]
    fn the_oldest_go_where_there_is_no_room() {
        let mut journal = Journal::new(LIMITS);
        for number in 0..5 {
            journal.write(entry("/v1/models", 200, &number.to_string()));
        }
        let numbers = |journal: &Journal| {
            let all = journal.find(&filter(json!({})));
            all.iter().map(|entry| entry.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&journal), [3, 4, 5]);
        journal.write(entry(&"/".repeat(1_500), 200, ""));
        assert_eq!(numbers(&journal), [6], "bytes count, too");
        journal.write(entry(&"/".repeat(5_000), 200, ""));
        assert!(journal.is_empty(), "there is no room for it alone");
        journal.write(entry("/", 200, ""));
        journal.clear();
        assert!(journal.is_empty());
        let mut off = Journal::new(JournalLimits {
            entries_max: 0,
            ..LIMITS
        });
        off.write(entry("/", 200, ""));
        assert_eq!(off.len(), 0);
    }

    #[test]
    fn entries_are_found_by_what_they_are_like() {
        let mut journal = Journal::new(LIMITS);
        journal.write(entry("/v1/chat/completions", 200, "Paris"));
        journal.write(entry("/v1/chat/completions", 429, "London"));
        journal.write(entry("/v1/embeddings", 200, "Paris"));
        for (asked, expected) in [
            (json!({}), vec![1, 2, 3]),
            (json!({"path": "/v1/chat/*"}), vec![1, 2]),
            (json!({"status": "4xx"}), vec![2]),
            (json!({"status": "200"}), vec![1, 3]),
            (json!({"content": "(?i)PARIS", "path": "*embed*"}), vec![3]),
            (json!({"fault": "status=*"}), vec![2]),
            (json!({"rule": "*"}), vec![]),
            (json!({"after": 2}), vec![3]),
            (json!({"limit": 1}), vec![3]),
            (
                json!({"method": "post", "model": "gpt*", "header": "x-test: 1", "answer": "^ans"}),
                vec![1, 2, 3],
            ),
        ] {
            let found = journal.find(&filter(asked.clone()));
            let found: Vec<u64> = found.iter().map(|entry| entry.number).collect();
            assert_eq!(found, expected, "{asked}");
        }
        assert!(serde_json::from_value::<Asked>(json!({"modle": "x"})).is_err());
    }

    #[test]
    fn an_assertion_says_what_is_nearest() {
        let mut journal = Journal::new(LIMITS);
        journal.write(entry("/v1/chat/completions", 200, "Paris"));
        journal.write(entry("/v1/embeddings", 200, "Rome"));
        let times = |times: serde_json::Value| serde_json::from_value::<Times>(times).unwrap();
        let london = filter(json!({"path": "/v1/chat/completions", "content": "London"}));
        let verdict = journal.verify(&london, times(json!({})));
        let nearest = Nearest {
            number: 1,
            differs_in: vec!["content"],
        };
        assert_eq!(
            verdict,
            Verdict {
                holds: false,
                count: 0,
                nearest: Some(nearest)
            }
        );
        let all = filter(json!({"model": "gpt-4o"}));
        for (asked, holds) in [
            (json!({"exactly": 2}), true),
            (json!({"exactly": 1}), false),
            (json!({"at_least": 2}), true),
            (json!({"at_least": 3}), false),
            (json!({"at_most": 2}), true),
            (json!({"at_most": 1, "at_least": 1}), false),
            (json!({}), true),
        ] {
            assert_eq!(
                journal.verify(&all, times(asked.clone())).holds,
                holds,
                "{asked}"
            );
        }
        assert!(journal.verify(&london, times(json!({"exactly": 0}))).holds);
    }
}
