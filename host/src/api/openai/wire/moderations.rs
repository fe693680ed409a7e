//! `POST /v1/moderations`: the request and the answer.

use crate::api::check::{StringOrList, StringOrObject, at_most, not_empty};
use crate::api::prompt::source;
use crate::http::error::ApiError;
use crate::ids::sorted_uuid;
use crate::inference::ModerationCall;
use belljar_sandbox::wit::moderation::{Input, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Inputs of one request.
const INPUTS_MAX: usize = 2_048;

/// The model where none is named: an alias, unless a model has the name.
const MODEL: &str = "omni-moderation-latest";

/// The categories that OpenAI documents, and whether pictures are looked at for them.
const CATEGORIES: [(&str, bool); 13] = [
    ("harassment", false),
    ("harassment/threatening", false),
    ("hate", false),
    ("hate/threatening", false),
    ("illicit", false),
    ("illicit/violent", false),
    ("self-harm", true),
    ("self-harm/instructions", true),
    ("self-harm/intent", true),
    ("sexual", true),
    ("sexual/minors", false),
    ("violence", true),
    ("violence/graphic", true),
];

/// A request to classify content.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModerationRequest {
    /// A string, a list of strings, each of which gets a result of its own, or a list of parts,
    /// which get one together.
    #[schema(value_type = ModerationInput)]
    input: StringOrList<StringOrObject<ModerationPart>>,
    /// `name`, or `name@version`; `omni-moderation-latest` where it is left out.
    model: Option<String>,
}

/// What is to be classified, as it is described.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
enum ModerationInput {
    Text(String),
    Texts(Vec<String>),
    Parts(Vec<ModerationPart>),
}

#[derive(Debug, Deserialize, ToSchema)]
struct ModerationPart {
    /// `text` or `image_url`; the member of that name goes with it.
    r#type: String,
    text: Option<String>,
    image_url: Option<ModerationImage>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ModerationImage {
    /// An `https`, `http` or `data` URL.
    url: String,
}

/// How verdicts are to be written.
#[derive(Debug)]
pub(crate) struct ModerationStyle {
    model: String,
    /// Whether all inputs get one result together.
    is_one: bool,
    /// The kind of each input.
    kinds: Vec<InputKind>,
}

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum InputKind {
    Text,
    Image,
}

/// The results of a request, in the order of its inputs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Moderation {
    id: String,
    model: String,
    results: Vec<ModerationResult>,
}

/// Each category that OpenAI documents, and those that the model has besides.
#[derive(Default, Serialize, ToSchema)]
struct ModerationResult {
    flagged: bool,
    categories: BTreeMap<String, bool>,
    /// From 0 to 1.
    category_scores: BTreeMap<String, f32>,
    category_applied_input_types: BTreeMap<String, Vec<InputKind>>,
}

impl ModerationRequest {
    /// Checks every field.
    pub(crate) fn read(self) -> Result<(ModerationCall, ModerationStyle), ApiError> {
        let model = self.model.unwrap_or_else(|| MODEL.to_owned());
        let mut is_one = false;
        let inputs = match self.input {
            StringOrList::Text(text) => vec![Input::Text(text)],
            StringOrList::List(list) => {
                not_empty("input", Some(&list))?;
                at_most("input", list.len(), INPUTS_MAX, "inputs")?;
                is_one = matches!(list.first(), Some(StringOrObject::Object(_)));
                let each = |(index, item)| read(item, is_one, &format!("input[{index}]"));
                let inputs = list.into_iter().enumerate().map(each);
                inputs.collect::<Result<_, _>>()?
            }
        };
        let kind = |input: &Input| match input {
            Input::Text(_) => InputKind::Text,
            Input::Image(_) => InputKind::Image,
        };
        let style = ModerationStyle {
            model: model.clone(),
            is_one,
            kinds: inputs.iter().map(kind).collect(),
        };
        Ok((ModerationCall { model, inputs }, style))
    }
}

fn read(
    item: StringOrObject<ModerationPart>,
    is_part: bool,
    place: &str,
) -> Result<Input, ApiError> {
    let part = match item {
        StringOrObject::Text(text) if !is_part => return Ok(Input::Text(text)),
        StringOrObject::Object(part) if is_part => part,
        _ => {
            let message = "expected strings, or parts, and not both";
            return Err(ApiError::invalid_argument(place, message));
        }
    };
    let missing = |name: &str| ApiError::missing_argument(format!("{place}.{name}"));
    match part.r#type.as_str() {
        "text" => part.text.map(Input::Text).ok_or_else(|| missing("text")),
        "image_url" => {
            let ModerationImage { url } = part.image_url.ok_or_else(|| missing("image_url"))?;
            source(url, &format!("{place}.image_url.url")).map(Input::Image)
        }
        _ => Err(ApiError::invalid_argument(
            format!("{place}.type"),
            "expected `text` or `image_url`",
        )),
    }
}

impl Moderation {
    /// The answer to a request whose inputs have been judged.
    pub(crate) fn new(verdicts: Vec<Verdict>, style: ModerationStyle) -> Self {
        let ModerationStyle {
            model,
            is_one,
            kinds,
        } = style;
        let judged = kinds.into_iter().zip(verdicts);
        let results = if is_one {
            vec![ModerationResult::of(judged)]
        } else {
            let each = judged.map(|one| ModerationResult::of(std::iter::once(one)));
            each.collect()
        };
        Self {
            id: format!("modr-{}", sorted_uuid().simple()),
            model,
            results,
        }
    }
}

impl ModerationResult {
    /// What is said of several inputs together: of each category the worst.
    fn of(judged: impl Iterator<Item = (InputKind, Verdict)>) -> Self {
        let mut result = Self::default();
        for (name, _) in CATEGORIES {
            result.categories.insert(name.to_owned(), false);
            result.category_scores.insert(name.to_owned(), 0.0);
        }
        let mut kinds = Vec::new();
        for (kind, verdict) in judged {
            kinds.push(kind);
            result.flagged |= verdict.flagged;
            for category in verdict.categories {
                result.flagged |= category.flagged;
                let score = result.category_scores.entry(category.name.clone());
                let score = score.or_default();
                *score = score.max(category.score);
                *result.categories.entry(category.name).or_default() |= category.flagged;
            }
        }
        kinds.sort_unstable();
        kinds.dedup();
        for name in result.categories.keys() {
            let is_of_texts = CATEGORIES.contains(&(name.as_str(), false));
            let kinds = kinds.iter().copied();
            let kinds = kinds.filter(|kind| *kind == InputKind::Text || !is_of_texts);
            let types = &mut result.category_applied_input_types;
            types.insert(name.clone(), kinds.collect());
        }
        result
    }
}
