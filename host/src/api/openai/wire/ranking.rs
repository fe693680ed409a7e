//! `POST /v1/rerank` and `POST /v1/score`: the requests and the answers.

use super::chat::marks;
use crate::api::check::{StringOrList, StringOrStrings, at_most, not_empty};
use crate::http::error::ApiError;
use crate::ids::sorted_uuid;
use crate::inference::{Ranked, RankingCall, RankingQuery};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Documents of one request.
const DOCUMENTS_MAX: usize = 10_000;
/// Different texts on the left of one request for scores: each is a run of its own.
const QUERIES_MAX: usize = 128;
/// Members of a document that are ranked.
const RANK_FIELDS_MAX: usize = 64;
/// Documents of one search unit, in which Cohere's clients count.
const SEARCH_UNIT_DOCUMENTS: usize = 100;

/// A request for a ranking, as Cohere, Jina and vLLM take it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RerankRequest {
    /// `name`, or `name@version`.
    model: String,
    query: String,
    /// Strings, or objects with a `text`.
    #[schema(value_type = Vec<RankDocument>, min_items = 1, max_items = 10000)]
    documents: Vec<Box<RawValue>>,
    /// How many results are wanted; all where it is left out.
    #[schema(minimum = 1)]
    top_n: Option<u32>,
    /// Whether results have their documents in them; true where it is left out.
    return_documents: Option<bool>,
    /// The members of documents that are ranked; `text` where it is left out.
    rank_fields: Option<Vec<String>>,
    // What follows is taken and changes nothing here: models see whole documents.
    #[expect(dead_code, reason = "only its type is checked")]
    max_chunks_per_doc: Option<u32>,
    #[expect(dead_code, reason = "only its type is checked")]
    max_tokens_per_doc: Option<u32>,
    #[expect(dead_code, reason = "only its type is checked")]
    overlap_tokens: Option<u32>,
    user: Option<String>,
}

/// A document, as it is described.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
enum RankDocument {
    Text(String),
    Object(BTreeMap<String, serde_json::Value>),
}

/// How a ranking is to be written.
#[derive(Debug)]
pub(crate) struct RerankStyle {
    model: String,
    top_n: usize,
    /// The documents as they came, where they are wanted.
    documents: Option<Vec<Box<RawValue>>>,
    /// How many there are.
    count: usize,
}

/// Documents, those that answer the query best first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Reranking {
    id: String,
    /// `list`.
    object: &'static str,
    model: String,
    results: Vec<RankedDocument>,
    usage: RankingUsage,
    meta: RerankMeta,
}

#[derive(Serialize, ToSchema)]
struct RankedDocument {
    /// Its place among the documents of the request.
    index: u32,
    /// Higher is better.
    relevance_score: f32,
    /// The document as it was sent; a string as an object with a `text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    document: Option<Box<RawValue>>,
}

#[derive(Serialize, ToSchema)]
struct RankingUsage {
    prompt_tokens: u32,
    total_tokens: u32,
}

/// What Cohere's clients read.
#[derive(Serialize, ToSchema)]
struct RerankMeta {
    api_version: RerankVersion,
    billed_units: RerankUnits,
    tokens: RerankTokens,
}

#[derive(Serialize, ToSchema)]
struct RerankVersion {
    /// `1`.
    version: &'static str,
}

#[derive(Serialize, ToSchema)]
struct RerankUnits {
    /// One for each hundred documents.
    search_units: usize,
}

#[derive(Serialize, ToSchema)]
struct RerankTokens {
    input_tokens: u32,
    output_tokens: u32,
}

impl RerankRequest {
    /// Checks every field.
    pub(crate) fn read(self) -> Result<(RankingCall, RerankStyle), ApiError> {
        if self.query.trim().is_empty() {
            return Err(ApiError::invalid_argument("query", "is empty"));
        }
        not_empty("documents", Some(&self.documents))?;
        let count = self.documents.len();
        at_most("documents", count, DOCUMENTS_MAX, "documents")?;
        if self.top_n == Some(0) {
            let message = "expected a number from 1 on";
            return Err(ApiError::invalid_argument("top_n", message));
        }
        let fields = self.rank_fields.unwrap_or_else(|| vec!["text".to_owned()]);
        not_empty("rank_fields", Some(&fields))?;
        at_most("rank_fields", fields.len(), RANK_FIELDS_MAX, "names")?;
        let documents = self.documents.iter().enumerate();
        let documents = documents
            .map(|(index, document)| text_of(document, &fields, index))
            .collect::<Result<_, _>>()?;
        let call = RankingCall {
            model: self.model.clone(),
            queries: vec![RankingQuery {
                query: self.query,
                documents,
            }],
            places: ["query", "documents"],
            marks: marks(None, [("user", self.user)]),
        };
        let top_n = self
            .top_n
            .map_or(count, |top_n| usize::try_from(top_n).unwrap_or(usize::MAX));
        let style = RerankStyle {
            model: self.model,
            top_n,
            documents: self
                .return_documents
                .unwrap_or(true)
                .then_some(self.documents),
            count,
        };
        Ok((call, style))
    }
}

/// What is ranked of a document.
fn text_of(document: &RawValue, fields: &[String], index: usize) -> Result<String, ApiError> {
    let place = format!("documents[{index}]");
    let wrong = || ApiError::invalid_argument(place.clone(), "expected a string or an object");
    match document.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(document.get()).map_err(|_| wrong()),
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> =
                serde_json::from_str(document.get()).map_err(|_| wrong())?;
            let texts = fields.iter().filter_map(|field| members.get(field));
            let texts = texts.filter_map(|value| serde_json::from_str::<String>(value.get()).ok());
            let texts: Vec<String> = texts.collect();
            if texts.is_empty() {
                let first = fields.first().map_or("text", String::as_str);
                let message = format!("expected a string in `{first}`");
                return Err(ApiError::invalid_argument(place, message));
            }
            Ok(texts.join("\n"))
        }
        _ => Err(wrong()),
    }
}

impl Reranking {
    /// The answer to a request whose one query has been ranked.
    pub(crate) fn new(ranked: Ranked, style: RerankStyle) -> Self {
        let Ranked {
            rankings,
            prompt_tokens,
        } = ranked;
        let best = rankings.into_iter().flatten().take(style.top_n);
        let document = |index: u32| {
            let documents = style.documents.as_ref()?;
            let document = documents.get(usize::try_from(index).ok()?);
            document.map(|document| as_object(document))
        };
        let results = best.map(|score| RankedDocument {
            index: score.index,
            relevance_score: score.relevance,
            document: document(score.index),
        });
        Self {
            id: format!("rerank-{}", sorted_uuid().simple()),
            object: "list",
            results: results.collect(),
            usage: RankingUsage {
                prompt_tokens,
                total_tokens: prompt_tokens,
            },
            meta: RerankMeta {
                api_version: RerankVersion { version: "1" },
                billed_units: RerankUnits {
                    search_units: style.count.div_ceil(SEARCH_UNIT_DOCUMENTS),
                },
                tokens: RerankTokens {
                    input_tokens: prompt_tokens,
                    output_tokens: 0,
                },
            },
            model: style.model,
        }
    }
}

/// A document as an object, which a string is not yet.
fn as_object(document: &RawValue) -> Box<RawValue> {
    if document.get().starts_with('{') {
        return document.to_owned();
    }
    let object = format!("{{\"text\":{}}}", document.get());
    RawValue::from_string(object).unwrap_or_default()
}

/// A request for scores of pairs of texts, as vLLM takes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScoreRequest {
    /// `name`, or `name@version`.
    pub(crate) model: String,
    /// One text that is paired with each on the right, or as many as there.
    #[serde(alias = "queries", alias = "data_1")]
    #[schema(value_type = StringOrStrings)]
    text_1: StringOrList<String>,
    #[serde(alias = "documents", alias = "items", alias = "data_2")]
    #[schema(value_type = StringOrStrings)]
    text_2: StringOrList<String>,
    /// Taken, and changes nothing here.
    #[expect(dead_code, reason = "only its type is checked")]
    encoding_format: Option<String>,
    user: Option<String>,
}

/// A score for each pair, in the order of the pairs.
#[derive(Serialize, ToSchema)]
pub(crate) struct ScoreList {
    id: String,
    /// `list`.
    object: &'static str,
    created: i64,
    model: String,
    data: Vec<PairScore>,
    usage: RankingUsage,
}

#[derive(Serialize, ToSchema)]
struct PairScore {
    index: usize,
    /// `score`.
    object: &'static str,
    score: f32,
}

impl ScoreRequest {
    /// Checks every field.
    pub(crate) fn read(self) -> Result<RankingCall, ApiError> {
        let left = listed(self.text_1, "text_1")?;
        let right = listed(self.text_2, "text_2")?;
        if left.len() != 1 && left.len() != right.len() {
            let message = format!(
                "expected one text, or as many as in `text_2`: {}",
                right.len()
            );
            return Err(ApiError::invalid_argument("text_1", message));
        }
        at_most("text_1", left.len(), QUERIES_MAX, "texts")?;
        let queries = if left.len() == 1 {
            let query = |query| RankingQuery {
                query,
                documents: right,
            };
            left.into_iter().next().map(query).into_iter().collect()
        } else {
            let pairs = left.into_iter().zip(right);
            let query = |(query, document)| RankingQuery {
                query,
                documents: vec![document],
            };
            pairs.map(query).collect()
        };
        Ok(RankingCall {
            model: self.model,
            queries,
            places: ["text_1", "text_2"],
            marks: marks(None, [("user", self.user)]),
        })
    }
}

fn listed(texts: StringOrList<String>, place: &str) -> Result<Vec<String>, ApiError> {
    let texts = match texts {
        StringOrList::Text(text) => vec![text],
        StringOrList::List(list) => list,
    };
    not_empty(place, Some(&texts))?;
    at_most(place, texts.len(), DOCUMENTS_MAX, "texts")?;
    match texts.iter().position(String::is_empty) {
        None => Ok(texts),
        Some(empty) => Err(ApiError::invalid_argument(
            format!("{place}[{empty}]"),
            "is empty",
        )),
    }
}

impl ScoreList {
    /// The answer to a request whose pairs have been scored.
    pub(crate) fn new(model: String, created: Timestamp, ranked: Ranked) -> Self {
        let Ranked {
            rankings,
            prompt_tokens,
        } = ranked;
        let in_order = rankings.into_iter().flat_map(|mut scores| {
            scores.sort_by_key(|score| score.index);
            scores
        });
        let data = in_order.enumerate().map(|(index, score)| PairScore {
            index,
            object: "score",
            score: score.relevance,
        });
        Self {
            id: format!("score-{}", sorted_uuid().simple()),
            object: "list",
            created: created.as_second(),
            model,
            data: data.collect(),
            usage: RankingUsage {
                prompt_tokens,
                total_tokens: prompt_tokens,
            },
        }
    }
}
