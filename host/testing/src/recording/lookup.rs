//! Finds the recorded request that one is like, and of others the nearest.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::BuildHasher as _;

use serde_json::{Value, json};

use super::Request;
use super::cutter::media_type;
use crate::difference::nearest;
use crate::json_path::JsonPath;
use crate::marks::{could_be, filled, is_scrubbed};
use crate::secrets;

/// Bytes of JSON up to which requests are equal by their values; larger ones are by their bytes,
/// because values take up to sixteen times as much memory.
const JSON_BYTES_MAX: usize = 4 << 20;
/// Paths that are named to who asks for another one.
const PATHS_NAMED_MAX: usize = 8;
/// Recorded requests that are looked through, one by one, for one with something scrubbed out of
/// it that this one could be.
const SCRUBBED_TRIED_MAX: usize = 10_000;

/// Where in its answers each recorded request is, for who asks them one after another. A fresh one
/// begins with the first answers.
#[derive(Clone, Debug, Default)]
pub struct Cursors(HashMap<usize, usize>);

impl Cursors {
    /// The place in `answers` that comes next.
    fn advance(&mut self, group: usize, answers: &[usize]) -> Option<usize> {
        let next = self.0.entry(group).or_default();
        let number = answers.get(*next).or(answers.last()).copied();
        *next = next.saturating_add(1).min(answers.len());
        number
    }
}

/// Why there is no answer: nothing like the request was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Miss {
    /// What was asked, as in `POST /v1/embeddings`.
    asked: String,
    nearest: Nearest,
}

/// What was recorded that comes nearest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Nearest {
    /// Nothing at all was recorded.
    #[default]
    Nothing,
    /// Other paths.
    Paths(Vec<String>),
    /// The exchange of that number, counted from 1, and the first difference to it.
    Exchange(usize, String),
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = &self.asked;
        match &self.nearest {
            Nearest::Nothing => f.write_str("the recording has no exchanges"),
            Nearest::Paths(paths) => write!(
                f,
                "{asked} is not in the recording, which has {}",
                paths.join(", ")
            ),
            Nearest::Exchange(number, difference) => write!(
                f,
                "this {asked} is not in the recording: exchange {number} is the nearest, and \
                 differs in {difference}"
            ),
        }
    }
}

impl std::error::Error for Miss {}

/// The recorded requests, equal ones as one.
#[derive(Debug)]
pub(super) struct Index {
    ignored: Vec<JsonPath>,
    groups: Vec<Group>,
    /// Groups by the hash of what is compared, by a secret of this process.
    by_hash: HashMap<u64, Vec<usize>>,
    hasher: RandomState,
}

/// Requests that are equal, and the numbers of their exchanges.
#[derive(Debug)]
struct Group {
    asked: Asked,
    answers: Vec<usize>,
    is_scrubbed: bool,
}

/// What of a request is compared.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    method: String,
    path: String,
    query: String,
    body: AskedBody,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum AskedBody {
    /// As text with the members of objects in order, which takes a tenth of what values may take.
    Json(String),
    Bytes(Vec<u8>),
}

impl Index {
    pub(super) fn new<'a>(
        ignored: Vec<JsonPath>,
        requests: impl Iterator<Item = &'a Request>,
    ) -> Self {
        let mut index = Self {
            ignored,
            groups: Vec::new(),
            by_hash: HashMap::new(),
            hasher: RandomState::new(),
        };
        for (number, request) in requests.enumerate() {
            let asked = Asked::of(request, &index.ignored);
            let same = index.equal(&asked);
            match same.and_then(|at| index.groups.get_mut(at)) {
                Some(group) => group.answers.push(number),
                None => {
                    let hash = index.hasher.hash_one(&asked);
                    let at = index.groups.len();
                    index.by_hash.entry(hash).or_default().push(at);
                    index.groups.push(Group {
                        is_scrubbed: asked.is_scrubbed(),
                        asked,
                        answers: vec![number],
                    });
                }
            }
        }
        index
    }

    /// The recorded request that is equal.
    fn equal(&self, asked: &Asked) -> Option<usize> {
        let same = self.by_hash.get(&self.hasher.hash_one(asked))?;
        let is_equal = |at: &usize| {
            let group = self.groups.get(*at);
            group.is_some_and(|group| group.asked == *asked)
        };
        same.iter().copied().find(is_equal)
    }

    /// The number of the exchange that answers.
    pub(super) fn find(
        &self,
        request: &Request,
        cursors: &mut Cursors,
    ) -> Result<usize, Box<Miss>> {
        let asked = Asked::of(request, &self.ignored);
        let found = self.equal(&asked).or_else(|| self.could_be(&asked));
        let group = found.and_then(|at| Some((at, self.groups.get(at)?)));
        group
            .and_then(|(at, group)| cursors.advance(at, &group.answers))
            .ok_or_else(|| Box::new(self.miss(&asked)))
    }

    /// The first recorded request that this one could have been before it was scrubbed.
    fn could_be(&self, asked: &Asked) -> Option<usize> {
        let scrubbed = self.groups.iter().enumerate();
        let mut scrubbed = scrubbed
            .filter(|(_, group)| group.is_scrubbed && group.asked.method == asked.method)
            .take(SCRUBBED_TRIED_MAX);
        scrubbed
            .find(|(_, group)| asked.could_be(&group.asked))
            .map(|(at, _)| at)
    }

    fn miss(&self, asked: &Asked) -> Miss {
        let name = |asked: &Asked| format!("{} {}", asked.method, asked.path);
        let groups = self.groups.iter();
        let of_path = groups.filter(|group| {
            let recorded = &group.asked;
            recorded.method == asked.method && could_be(&recorded.path, &asked.path)
        });
        let of_path: Vec<&Group> = of_path.collect();
        let nearest = if self.groups.is_empty() {
            Nearest::Nothing
        } else if of_path.is_empty() {
            let mut paths = BTreeMap::<String, usize>::new();
            for group in &self.groups {
                *paths.entry(name(&group.asked)).or_default() += group.answers.len();
            }
            let more = paths.len().saturating_sub(PATHS_NAMED_MAX);
            let mut named: Vec<String> = paths
                .into_iter()
                .take(PATHS_NAMED_MAX)
                .map(|(name, count)| format!("{name} ({count})"))
                .collect();
            if more > 0 {
                named.push(format!("and {more} more"));
            }
            Nearest::Paths(named)
        } else {
            Self::nearest(&of_path, asked)
        };
        Miss {
            asked: name(asked),
            nearest,
        }
    }

    /// The nearest of the requests to the same path, of which there is one.
    fn nearest(of_path: &[&Group], asked: &Asked) -> Nearest {
        let has_query = |group: &&&Group| could_be(&group.asked.query, &asked.query);
        let of_query: Vec<&Group> = of_path.iter().filter(has_query).copied().collect();
        // Where none has its query, that is part of what is compared.
        let candidates = if of_query.is_empty() {
            of_path
        } else {
            &of_query
        };
        let shown = |of: &Asked| {
            let body = of.body.shown();
            if of_query.is_empty() {
                json!({ "query": of.query, "body": body })
            } else {
                body
            }
        };
        let found = shown(asked);
        let recorded = candidates.iter().map(|group| shown(&group.asked));
        // What was scrubbed out of a recorded request is no difference to this one.
        let recorded = recorded.map(|recorded| filled(&recorded, &found));
        let recorded: Vec<Value> = recorded.collect();
        let nearest = nearest(&found, &recorded);
        let index = nearest.as_ref().map_or(0, |nearest| nearest.index);
        let number = candidates
            .get(index)
            .and_then(|group| group.answers.first());
        let difference = nearest.and_then(|nearest| nearest.difference);
        let difference = difference.map_or_else(
            || "bytes that are no text".to_owned(),
            |difference| difference.to_string(),
        );
        Nearest::Exchange(number.copied().unwrap_or_default() + 1, difference)
    }
}

impl AskedBody {
    /// As far as it can be shown.
    fn shown(&self) -> Value {
        match self {
            Self::Json(text) => serde_json::from_str(text).unwrap_or_default(),
            Self::Bytes(bytes) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
        }
    }
}

impl Asked {
    fn of(request: &Request, ignored: &[JsonPath]) -> Self {
        let is_compared = request.body.bytes().len() <= JSON_BYTES_MAX;
        let json = if is_compared {
            request.body.json()
        } else {
            None
        };
        let body = match json {
            Some(mut value) => {
                ignored.iter().for_each(|path| path.take_out(&mut value));
                even_numbers(&mut value);
                AskedBody::Json(value.to_string())
            }
            None => AskedBody::Bytes(steady(request)),
        };
        Self {
            method: request.method.clone(),
            path: request.path.clone(),
            query: secrets::query(request.query.as_deref().unwrap_or_default()),
            body,
        }
    }

    /// Whether something was taken out of it.
    fn is_scrubbed(&self) -> bool {
        let body = match &self.body {
            AskedBody::Json(text) => is_scrubbed(text),
            AskedBody::Bytes(bytes) => is_scrubbed(&String::from_utf8_lossy(bytes)),
        };
        body || is_scrubbed(&self.path) || is_scrubbed(&self.query)
    }

    /// Whether it could have been the recorded one before that was scrubbed.
    fn could_be(&self, recorded: &Self) -> bool {
        let body = match (&recorded.body, &self.body) {
            (AskedBody::Json(_), AskedBody::Json(_)) => {
                let asked = self.body.shown();
                filled(&recorded.body.shown(), &asked) == asked
            }
            (AskedBody::Bytes(recorded), AskedBody::Bytes(asked)) => {
                recorded == asked
                    || match (str::from_utf8(recorded), str::from_utf8(asked)) {
                        (Ok(recorded), Ok(asked)) => could_be(recorded, asked),
                        _ => false,
                    }
            }
            _ => false,
        };
        body && could_be(&recorded.path, &self.path) && could_be(&recorded.query, &self.query)
    }
}

/// `1.0` and `1` are one number in JSON.
fn even_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|_| number.is_f64());
            // Below 2^53 every whole float is that integer and no other.
            if let Some(float) = float.filter(|float| float.fract() == 0.0 && float.abs() < 9e15) {
                *value = Value::from(float as i64);
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(even_numbers),
        Value::Object(members) => members.values_mut().for_each(even_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The bytes of a body, with a fixed text between its parts where it has parts: clients make up
/// another one for each request.
fn steady(request: &Request) -> Vec<u8> {
    let bytes = request.body.bytes();
    let kind = request.headers.get("content-type").map(String::as_str);
    let kind = kind.unwrap_or_default();
    let between = kind
        .split(';')
        .find_map(|part| part.trim().strip_prefix("boundary="))
        .map(|text| text.trim_matches('"'))
        .filter(|text| !text.is_empty() && media_type(kind).starts_with("multipart/"));
    let Some(between) = between else {
        return bytes.to_vec();
    };
    let mut steady = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest
        .windows(between.len())
        .position(|found| found == between.as_bytes())
    {
        steady.extend_from_slice(rest.get(..at).unwrap_or_default());
        steady.extend_from_slice(b"boundary");
        rest = rest.get(at + between.len()..).unwrap_or_default();
    }
    steady.extend_from_slice(rest);
    steady
}
