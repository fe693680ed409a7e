//! `/v1/conversations`: lists of items that responses go on from and add to.

use super::Failures;
use super::objects::{
    Deleted, ListOptions, ObjectPage, id_of, identified, labelled, not_found, raw, stored_items,
};
use super::wire::check_metadata;
use crate::auth::{Authorized, Infer, Scope};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::json::{Json, OptionalJson};
use crate::http::policy::{RoutePolicy, Routes};
use crate::ids::sorted_uuid;
use crate::stored::{Kind, Owner, Record};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::routes;

/// Items that one request adds, and entries of `metadata`.
const ITEMS_MAX: usize = 20;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Infer);
    Routes::default()
        .add(policy, routes!(create))
        .add(policy, routes!(show, change, delete))
        .add(policy, routes!(list_items, add_items))
        .add(policy, routes!(show_item, delete_item))
}

/// A conversation.
#[derive(Serialize, Deserialize, ToSchema)]
struct Conversation {
    id: String,
    /// `conversation`.
    object: String,
    created_at: i64,
    metadata: BTreeMap<String, String>,
}

/// A new conversation.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewConversation {
    #[schema(value_type = Option<Vec<Object>>)]
    items: Option<Vec<Box<RawValue>>>,
    metadata: Option<BTreeMap<String, String>>,
}

/// What is to be changed of a conversation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ConversationChange {
    metadata: BTreeMap<String, String>,
}

/// Items to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewItems {
    #[schema(value_type = Vec<Object>)]
    items: Vec<Box<RawValue>>,
}

/// Entries of `metadata`, if they are not too many.
pub(super) fn checked(
    metadata: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, ApiError> {
    check_metadata(Some(&metadata))?;
    Ok(metadata)
}

fn checked_items(items: Vec<Box<RawValue>>) -> Result<Vec<Box<RawValue>>, ApiError> {
    crate::api::check::at_most("items", items.len(), ITEMS_MAX, "items")?;
    let items = items.into_iter().enumerate();
    items
        .map(|(index, item)| identified(item, &format!("items[{index}]")))
        .collect()
}

fn parsed(body: &str) -> Result<Conversation, ApiError> {
    serde_json::from_str(body).map_err(|_| ApiError::internal("a stored conversation is damaged"))
}

/// Begins a conversation. What is said in it is screened when a response goes on from it.
#[utoipa::path(
    post,
    path = "/v1/conversations",
    tag = "OpenAI",
    request_body = Option<NewConversation>,
    responses((status = 200, body = Conversation), Failures)
)]
async fn create(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    OptionalJson(new): OptionalJson<NewConversation>,
) -> Result<Json<Conversation>, ApiError> {
    if !state.stored().is_on() {
        let message = "This server stores nothing (the setting `stored.retention`).";
        return Err(ApiError::invalid_request("storing_is_off", message));
    }
    let conversation = Conversation {
        id: format!("conv_{}", sorted_uuid().simple()),
        object: "conversation".to_owned(),
        created_at: state.clock().now().as_second(),
        metadata: checked(new.metadata.unwrap_or_default())?,
    };
    let items = checked_items(new.items.unwrap_or_default())?;
    let record = Record {
        id: conversation.id.clone(),
        body: raw(&conversation).get().to_owned(),
        input: raw(&items).get().to_owned(),
        previous: None,
    };
    let owner = Owner::of(&caller);
    state
        .stored()
        .put(&owner, Kind::Conversation, &record)
        .await?;
    Ok(Json(conversation))
}

/// A conversation.
#[utoipa::path(
    get,
    path = "/v1/conversations/{id}",
    tag = "OpenAI",
    params(("id" = String, Path)),
    responses((status = 200, body = Conversation), Failures)
)]
async fn show(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<Conversation>, ApiError> {
    let record = found(&state, &Owner::of(&caller), &id).await?;
    parsed(&record.body).map(Json)
}

async fn found(state: &HttpState, owner: &Owner, id: &str) -> Result<Record, ApiError> {
    let record = state.stored().get(owner, Kind::Conversation, id).await;
    record.map_err(|error| not_found(error, "Conversation", id))
}

/// Changes what a conversation is labelled with.
#[utoipa::path(
    post,
    path = "/v1/conversations/{id}",
    tag = "OpenAI",
    params(("id" = String, Path)),
    request_body = ConversationChange,
    responses((status = 200, body = Conversation), Failures)
)]
async fn change(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
    Json(change): Json<ConversationChange>,
) -> Result<Json<Conversation>, ApiError> {
    let metadata = checked(change.metadata)?;
    let owner = Owner::of(&caller);
    found(&state, &owner, &id).await?;
    let change = |record: &mut Record| {
        let mut conversation = parsed(&record.body)?;
        conversation.metadata = metadata;
        record.body = raw(&conversation).get().to_owned();
        Ok::<_, ApiError>(conversation)
    };
    let changed = state
        .stored()
        .update(&owner, Kind::Conversation, &id, change);
    changed.await.map(Json)
}

/// Deletes a conversation with its items.
#[utoipa::path(
    delete,
    path = "/v1/conversations/{id}",
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
    let deleted = state.stored().delete(&owner, Kind::Conversation, &id).await;
    deleted.map_err(|error| not_found(error, "Conversation", &id))?;
    Ok(Json(Deleted {
        id,
        object: "conversation.deleted",
        deleted: true,
    }))
}

/// The items of a conversation.
#[utoipa::path(
    get,
    path = "/v1/conversations/{id}/items",
    tag = "OpenAI",
    params(
        ("id" = String, Path),
        ("limit" = Option<u32>, Query, description = "Items of a page, 1 to 100."),
        ("order" = Option<String>, Query, description = "`asc` or `desc`."),
        ("after" = Option<String>, Query, description = "The item before the page."),
    ),
    responses((status = 200, body = ObjectPage), Failures)
)]
async fn list_items(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
    Query(options): Query<ListOptions>,
) -> Result<Json<ObjectPage>, ApiError> {
    let record = found(&state, &Owner::of(&caller), &id).await?;
    ObjectPage::of_list(labelled(stored_items(&record.input)), &options).map(Json)
}

/// Adds items to a conversation.
#[utoipa::path(
    post,
    path = "/v1/conversations/{id}/items",
    tag = "OpenAI",
    params(("id" = String, Path)),
    request_body = NewItems,
    responses((status = 200, body = ObjectPage), Failures)
)]
async fn add_items(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
    Json(new): Json<NewItems>,
) -> Result<Json<ObjectPage>, ApiError> {
    let items = checked_items(new.items)?;
    let owner = Owner::of(&caller);
    found(&state, &owner, &id).await?;
    let added = items.clone();
    let change = |record: &mut Record| {
        let mut all = stored_items(&record.input);
        all.extend(items);
        record.input = raw(&all).get().to_owned();
        Ok::<_, ApiError>(())
    };
    let changed = state
        .stored()
        .update(&owner, Kind::Conversation, &id, change);
    changed.await?;
    Ok(Json(ObjectPage::new(labelled(added), false)))
}

fn no_item(id: &str) -> ApiError {
    not_found(crate::stored::StoredError::NotFound, "Item", id)
}

/// One item of a conversation.
#[utoipa::path(
    get,
    path = "/v1/conversations/{id}/items/{item_id}",
    tag = "OpenAI",
    params(("id" = String, Path), ("item_id" = String, Path)),
    responses((status = 200, body = Object), Failures)
)]
async fn show_item(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path((id, item_id)): Path<(String, String)>,
) -> Result<Json<Box<RawValue>>, ApiError> {
    let record = found(&state, &Owner::of(&caller), &id).await?;
    let item = stored_items(&record.input)
        .into_iter()
        .find(|item| id_of(item).as_ref() == Some(&item_id));
    item.map(Json).ok_or_else(|| no_item(&item_id))
}

/// Deletes one item of a conversation.
#[utoipa::path(
    delete,
    path = "/v1/conversations/{id}/items/{item_id}",
    tag = "OpenAI",
    params(("id" = String, Path), ("item_id" = String, Path)),
    responses((status = 200, body = Conversation), Failures)
)]
async fn delete_item(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path((id, item_id)): Path<(String, String)>,
) -> Result<Json<Conversation>, ApiError> {
    let owner = Owner::of(&caller);
    found(&state, &owner, &id).await?;
    let change = |record: &mut Record| {
        let mut all = stored_items(&record.input);
        let count = all.len();
        all.retain(|item| id_of(item).as_ref() != Some(&item_id));
        if all.len() == count {
            return Err(no_item(&item_id));
        }
        record.input = raw(&all).get().to_owned();
        parsed(&record.body)
    };
    let changed = state
        .stored()
        .update(&owner, Kind::Conversation, &id, change);
    changed.await.map(Json)
}
