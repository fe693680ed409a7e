//! `/v1/chat/completions` beside its creation: those that were stored because their requests said
//! `store`, listed, read, labelled, deleted.

use super::Failures;
use super::conversations::checked;
use super::objects::{Deleted, ListOptions, ObjectPage, not_found, raw, stored_items};
use super::wire::Completion;
use crate::auth::{Authorized, Infer, Scope};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::stored::{Kind, Owner, Page, Record};
use axum::extract::State;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::routes;

/// Stored completions that are looked at together while those are sought that are wanted.
const LOOKED_AT: u32 = 100;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Infer);
    Routes::default()
        .add(policy, routes!(list))
        .add(policy, routes!(show, change, delete))
        .add(policy, routes!(messages))
}

/// What is to be changed of a stored completion.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StoredCompletionChange {
    /// All of it; null and nothing take what there is.
    metadata: Option<BTreeMap<String, String>>,
}

/// What completions are sought by.
#[derive(Deserialize)]
struct Labels {
    model: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// Which stored completions are wanted.
#[derive(Default)]
struct Wanted {
    page: ListOptions,
    model: Option<String>,
    metadata: Vec<(String, String)>,
}

impl Wanted {
    fn read(query: Vec<(String, String)>) -> Result<Self, ApiError> {
        let mut wanted = Self::default();
        for (name, value) in query {
            let key = name.strip_prefix("metadata[");
            match (name.as_str(), key.and_then(|key| key.strip_suffix(']'))) {
                (_, Some(key)) => wanted.metadata.push((key.to_owned(), value)),
                ("model", _) => wanted.model = Some(value),
                ("after", _) => wanted.page.after = Some(value),
                ("order", _) => wanted.page.order = Some(value),
                ("limit", _) => {
                    let limit = value.parse();
                    let wrong = |_| ApiError::invalid_argument("limit", "expected a number");
                    wanted.page.limit = Some(limit.map_err(wrong)?);
                }
                _ => {
                    let message = "A query parameter is unknown; expected `model`, \
                                   `metadata[KEY]`, `after`, `limit` or `order`.";
                    return Err(ApiError::invalid_request("invalid_query", message));
                }
            }
        }
        Ok(wanted)
    }

    fn has(&self, record: &Record) -> bool {
        if self.model.is_none() && self.metadata.is_empty() {
            return true;
        }
        let Ok(labels) = serde_json::from_str::<Labels>(&record.body) else {
            return false;
        };
        self.model
            .as_ref()
            .is_none_or(|model| *model == labels.model)
            && self
                .metadata
                .iter()
                .all(|(key, value)| labels.metadata.get(key) == Some(value))
    }
}

fn parsed(body: String) -> Result<Box<RawValue>, ApiError> {
    RawValue::from_string(body).map_err(|_| ApiError::internal("a stored completion is damaged"))
}

/// The stored completions of the caller's key.
#[utoipa::path(
    get,
    path = "/v1/chat/completions",
    tag = "OpenAI",
    params(
        ("model" = Option<String>, Query, description = "The name that was asked for."),
        ("metadata" = Option<String>, Query, description = "As `metadata[KEY]=VALUE`: an entry that they have."),
        ("limit" = Option<u32>, Query, description = "Completions of a page, 1 to 100."),
        ("order" = Option<String>, Query, description = "`asc` (the default) or `desc`."),
        ("after" = Option<String>, Query, description = "The completion before the page."),
    ),
    responses((status = 200, body = ObjectPage), Failures)
)]
async fn list(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<ObjectPage>, ApiError> {
    let wanted = Wanted::read(query)?;
    let owner = Owner::of(&caller);
    let limit = usize::try_from(wanted.page.limit()?).unwrap_or(usize::MAX);
    let mut page = Page {
        after: wanted.page.after.clone(),
        limit: LOOKED_AT,
        newest_first: wanted.page.is_newest_first(false)?,
    };
    let mut found = Vec::new();
    // Each turn goes on behind the one before, and what a key may store is bounded.
    loop {
        let listed = state.stored().list(&owner, Kind::ChatCompletion, &page);
        let (records, has_more) = listed.await?;
        page.after = records.last().map(|record| record.id.clone());
        for record in records {
            if !wanted.has(&record) {
                continue;
            }
            if found.len() == limit {
                return Ok(Json(ObjectPage::new(found, true)));
            }
            found.push((record.id, parsed(record.body)?));
        }
        if !has_more {
            return Ok(Json(ObjectPage::new(found, false)));
        }
    }
}

async fn found(state: &HttpState, owner: &Owner, id: &str) -> Result<Record, ApiError> {
    let record = state.stored().get(owner, Kind::ChatCompletion, id).await;
    record.map_err(|error| not_found(error, "Chat completion", id))
}

/// A stored completion.
#[utoipa::path(
    get,
    path = "/v1/chat/completions/{id}",
    tag = "OpenAI",
    params(("id" = String, Path)),
    responses((status = 200, body = Completion), Failures)
)]
async fn show(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<Box<RawValue>>, ApiError> {
    let record = found(&state, &Owner::of(&caller), &id).await?;
    parsed(record.body).map(Json)
}

/// Changes what a stored completion is labelled with.
#[utoipa::path(
    post,
    path = "/v1/chat/completions/{id}",
    tag = "OpenAI",
    params(("id" = String, Path)),
    request_body = StoredCompletionChange,
    responses((status = 200, body = Completion), Failures)
)]
async fn change(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
    Json(change): Json<StoredCompletionChange>,
) -> Result<Json<Box<RawValue>>, ApiError> {
    let metadata = checked(change.metadata.unwrap_or_default())?;
    let owner = Owner::of(&caller);
    found(&state, &owner, &id).await?;
    let change = |record: &mut Record| {
        let members: Result<BTreeMap<String, Box<RawValue>>, _> =
            serde_json::from_str(&record.body);
        let damaged = |_| ApiError::internal("a stored completion is damaged");
        let mut members = members.map_err(damaged)?;
        members.insert("metadata".to_owned(), raw(&metadata));
        let changed = raw(&members);
        record.body = changed.get().to_owned();
        Ok::<_, ApiError>(changed)
    };
    let kind = Kind::ChatCompletion;
    let changed = state.stored().update(&owner, kind, &id, change).await;
    changed.map(Json)
}

/// Deletes a stored completion with its messages.
#[utoipa::path(
    delete,
    path = "/v1/chat/completions/{id}",
    tag = "OpenAI",
    params(("id" = String, Path)),
    responses((status = 200, body = Deleted), Failures)
)]
async fn delete(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<Deleted>, ApiError> {
    let owner = Owner::of(&caller);
    let kind = Kind::ChatCompletion;
    let deleted = state.stored().delete(&owner, kind, &id).await;
    deleted.map_err(|error| not_found(error, "Chat completion", &id))?;
    Ok(Json(Deleted {
        id,
        object: "chat.completion.deleted",
        deleted: true,
    }))
}

/// The messages of a stored completion's request.
#[utoipa::path(
    get,
    path = "/v1/chat/completions/{id}/messages",
    tag = "OpenAI",
    params(
        ("id" = String, Path),
        ("limit" = Option<u32>, Query, description = "Messages of a page, 1 to 100."),
        ("order" = Option<String>, Query, description = "`asc` (the default) or `desc`."),
        ("after" = Option<String>, Query, description = "The message before the page."),
    ),
    responses((status = 200, body = ObjectPage), Failures)
)]
async fn messages(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
    Query(options): Query<ListOptions>,
) -> Result<Json<ObjectPage>, ApiError> {
    let record = found(&state, &Owner::of(&caller), &id).await?;
    let messages = stored_items(&record.input).into_iter().enumerate();
    let messages = messages.map(|(index, message)| {
        let id = format!("{}-{index}", record.id);
        // An id of this server's needs no escapes.
        let members = message.get().strip_prefix('{').unwrap_or("}");
        let named = RawValue::from_string(format!("{{\"id\":\"{id}\",{members}"));
        (id, named.unwrap_or(message))
    });
    let options = ListOptions {
        order: Some(options.order.unwrap_or_else(|| "asc".to_owned())),
        ..options
    };
    ObjectPage::of_list(messages.collect(), &options).map(Json)
}
