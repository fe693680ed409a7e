//! What OpenAI's stored objects have in common: ids, items with a type, lists in pages.

use crate::http::error::ApiError;
use crate::http::json::describe;
use crate::ids::sorted_uuid;
use crate::stored::StoredError;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use utoipa::ToSchema;

/// Items of a page, at most and where the caller does not say.
const PAGE_MAX: u32 = 100;
const PAGE_DEFAULT: u32 = 20;

/// Which part of a list is wanted.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ListOptions {
    pub(super) after: Option<String>,
    pub(super) limit: Option<u32>,
    /// `asc` or `desc`.
    pub(super) order: Option<String>,
}

impl ListOptions {
    /// How many items are wanted.
    pub(super) fn limit(&self) -> Result<u32, ApiError> {
        let limit = self.limit.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            let message = format!("expected a number from 1 to {PAGE_MAX}");
            return Err(ApiError::invalid_argument("limit", message));
        }
        Ok(limit)
    }

    /// Whether the newest come first, where the caller does not say: `default`.
    pub(super) fn is_newest_first(&self, default: bool) -> Result<bool, ApiError> {
        match self.order.as_deref() {
            None => Ok(default),
            Some("asc") => Ok(false),
            Some("desc") => Ok(true),
            Some(_) => Err(ApiError::invalid_argument(
                "order",
                "expected `asc` or `desc`",
            )),
        }
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ObjectPage {
    /// `list`.
    object: &'static str,
    #[schema(value_type = Vec<Object>)]
    data: Vec<Box<RawValue>>,
    first_id: Option<String>,
    last_id: Option<String>,
    has_more: bool,
}

impl ObjectPage {
    /// A page of these objects, each with its id.
    pub(super) fn new(objects: Vec<(String, Box<RawValue>)>, has_more: bool) -> Self {
        Self {
            object: "list",
            first_id: objects.first().map(|(id, _)| id.clone()),
            last_id: objects.last().map(|(id, _)| id.clone()),
            data: objects.into_iter().map(|(_, object)| object).collect(),
            has_more,
        }
    }

    /// The page that is wanted of a whole list with the oldest first.
    pub(super) fn of_list(
        mut objects: Vec<(String, Box<RawValue>)>,
        options: &ListOptions,
    ) -> Result<Self, ApiError> {
        if options.is_newest_first(true)? {
            objects.reverse();
        }
        let limit = usize::try_from(options.limit()?).unwrap_or(usize::MAX);
        let start = match &options.after {
            None => 0,
            Some(after) => {
                let at = objects.iter().position(|(id, _)| id == after);
                let missing = || ApiError::invalid_argument("after", "there is no item of this id");
                at.ok_or_else(missing)? + 1
            }
        };
        let has_more = objects.len().saturating_sub(start) > limit;
        let objects = objects.into_iter().skip(start).take(limit);
        Ok(Self::new(objects.collect(), has_more))
    }
}

/// What is left of something that was deleted.
#[derive(Serialize, ToSchema)]
pub(super) struct Deleted {
    pub(super) id: String,
    pub(super) object: &'static str,
    /// True.
    pub(super) deleted: bool,
}

/// The members of an item that say what it is.
#[derive(Deserialize)]
struct Label<'i> {
    #[serde(borrow)]
    id: Option<Cow<'i, str>>,
    r#type: Option<Cow<'i, str>>,
    role: Option<Cow<'i, str>>,
    status: Option<&'i RawValue>,
    content: Option<&'i RawValue>,
}

/// An item with an id and a type, and a message with its content as a list.
pub(super) fn identified(item: Box<RawValue>, place: &str) -> Result<Box<RawValue>, ApiError> {
    let not_an_object = || ApiError::invalid_argument(place, "expected an object");
    let text = item.get().trim();
    let inner = text
        .strip_prefix('{')
        .ok_or_else(not_an_object)?
        .trim_start();
    let label: Label<'_> = serde_json::from_str(text)
        .map_err(|error| ApiError::invalid_argument(place, describe(&error)))?;
    let kind = label.r#type.as_deref().unwrap_or("message");
    if kind == "message"
        && let Some(content) = label.content
        && let Ok(content) = serde_json::from_str::<Cow<'_, str>>(content.get())
        && let Some(role) = label.role.as_deref()
    {
        return Ok(message_of(role, &content, label.id.as_deref()));
    }
    let mut head = String::from("{");
    if label.id.is_none() {
        head.push_str(&format!("\"id\":\"{}\",", new_id(kind)));
    }
    if label.r#type.is_none() {
        head.push_str("\"type\":\"message\",");
    }
    if kind == "message" && label.status.is_none() {
        head.push_str("\"status\":\"completed\",");
    }
    if head.len() == 1 {
        return Ok(item);
    }
    if inner == "}" {
        head.pop();
    }
    RawValue::from_string(head + inner).map_err(|_| not_an_object())
}

/// A message that says one text.
pub(super) fn message_of(role: &str, text: &str, id: Option<&str>) -> Box<RawValue> {
    let id = id.map_or_else(|| new_id("message"), str::to_owned);
    let kind = if role == "assistant" {
        "output_text"
    } else {
        "input_text"
    };
    let message = serde_json::json!({"id": id, "type": "message", "status": "completed",
        "role": role, "content": [{"type": kind, "text": text}]});
    raw(&message)
}

/// A value as the text that it is written as.
pub(super) fn raw<T: Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_default()
}

/// A new id for an item of a kind.
pub(super) fn new_id(kind: &str) -> String {
    format!("{}_{}", prefix(kind), sorted_uuid().simple())
}

/// The id of an item.
pub(super) fn id_of(item: &RawValue) -> Option<String> {
    let label: Label<'_> = serde_json::from_str(item.get()).ok()?;
    label.id.map(Cow::into_owned)
}

/// What the ids of one kind of item begin with.
fn prefix(kind: &str) -> &'static str {
    match kind {
        "message" => "msg",
        "reasoning" => "rs",
        "function_call" => "fc",
        "function_call_output" => "fco",
        "custom_tool_call" => "ctc",
        "custom_tool_call_output" => "ctco",
        "call" => "call",
        "compaction" => "cmp",
        _ => "item",
    }
}

/// The items of a list in JSON, as they are stored.
pub(super) fn stored_items(list: &str) -> Vec<Box<RawValue>> {
    serde_json::from_str(list).unwrap_or_default()
}

/// Items with their ids.
pub(super) fn labelled(items: Vec<Box<RawValue>>) -> Vec<(String, Box<RawValue>)> {
    let items = items.into_iter();
    items
        .map(|item| (id_of(&item).unwrap_or_default(), item))
        .collect()
}

/// As much of an id as an answer repeats.
pub(super) fn shown(id: &str) -> &str {
    id.get(..id.floor_char_boundary(128)).unwrap_or_default()
}

/// The error of something that is not there, by its name and id.
pub(super) fn not_found(error: StoredError, what: &str, id: &str) -> ApiError {
    match error {
        StoredError::NotFound => {
            let message = format!("{what} with id '{}' not found.", shown(id));
            ApiError::not_found("not_found", message)
        }
        error => error.into(),
    }
}
