//! What is kept of responses, and what requests go on from.

use super::request::ResponseRequest;
use crate::api::openai::objects::{not_found, raw, shown, stored_items};
use crate::auth::{Authorized, Infer};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::stored::{Kind, Owner, Record, StoredError, StoredObjects};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Responses that one goes on from, one after the other.
const CHAIN_MAX: usize = 1_024;

/// Keeps one response.
pub(super) struct Keeper {
    pub(super) stored: StoredObjects,
    pub(super) owner: Owner,
    /// The items of the request, as a list in JSON.
    pub(super) input: String,
    pub(super) previous: Option<String>,
    pub(super) conversation: Option<String>,
}

/// The items that a stored response has put out.
#[derive(Deserialize)]
struct Stored {
    #[serde(default)]
    output: Vec<Box<RawValue>>,
}

impl Keeper {
    /// Keeps a response that is over, and adds to its conversation what was said.
    pub(super) async fn keep(
        self,
        id: String,
        response: &RawValue,
        output: Vec<Box<RawValue>>,
    ) -> Result<(), ApiError> {
        if let Some(conversation) = &self.conversation {
            let more = stored_items(&self.input).into_iter().chain(output);
            let kind = Kind::Conversation;
            let change = |record: &mut Record| {
                let mut all = stored_items(&record.input);
                all.extend(more);
                record.input = raw(&all).get().to_owned();
                Ok::<_, StoredError>(())
            };
            let added = self.stored.update(&self.owner, kind, conversation, change);
            added.await?;
        }
        self.write(&id, response).await
    }

    /// Writes a response as it is now.
    pub(super) async fn write(&self, id: &str, response: &RawValue) -> Result<(), ApiError> {
        let record = Record {
            id: id.to_owned(),
            body: response.get().to_owned(),
            input: self.input.clone(),
            previous: self.previous.clone(),
        };
        self.stored
            .put(&self.owner, Kind::Response, &record)
            .await
            .map_err(ApiError::from)
    }
}

/// What a request goes on from.
pub(super) struct Before {
    /// Whose it is.
    pub(super) owner: Owner,
    pub(super) items: Vec<Box<RawValue>>,
    /// The bytes of the items.
    pub(super) bytes: usize,
}

impl Before {
    /// Checks how a request goes on, and reads what from.
    pub(super) async fn of(
        request: &ResponseRequest,
        caller: &Authorized<Infer>,
        state: &HttpState,
    ) -> Result<Self, ApiError> {
        request.check_state()?;
        let owner = Owner::of(&caller.caller);
        let previous = request.previous_response_id.as_deref();
        let (stored, bytes_max) = (state.stored(), state.config().body_bytes_max);
        let items = before(stored, &owner, previous, request.conversation(), bytes_max).await?;
        Ok(Self {
            owner,
            bytes: items.iter().map(|item| item.get().len()).sum(),
            items,
        })
    }
}

/// The items that a request goes on from: those of a conversation, or of all responses before it.
/// At most so many bytes of them.
async fn before(
    stored: &StoredObjects,
    owner: &Owner,
    previous: Option<&str>,
    conversation: Option<&str>,
    bytes_max: u64,
) -> Result<Vec<Box<RawValue>>, ApiError> {
    let fits = |bytes: usize| {
        if u64::try_from(bytes).unwrap_or(u64::MAX) > bytes_max {
            let message = "What the request goes on from is over the limit of the request body.";
            return Err(ApiError::invalid_request(
                "context_length_exceeded",
                message,
            ));
        }
        Ok(())
    };
    if let Some(id) = conversation {
        let record = stored.get(owner, Kind::Conversation, id).await;
        let record = record.map_err(|error| not_found(error, "Conversation", id))?;
        fits(record.input.len())?;
        return Ok(stored_items(&record.input));
    }
    let mut chain = Vec::new();
    let mut bytes = 0_usize;
    let mut next = previous.map(str::to_owned);
    while let Some(id) = next {
        let record = stored.get(owner, Kind::Response, &id).await;
        let record = record.map_err(|error| match error {
            StoredError::NotFound => ApiError::invalid_request(
                "previous_response_not_found",
                format!("Previous response with id '{}' not found.", shown(&id)),
            )
            .at("previous_response_id".to_owned()),
            error => error.into(),
        })?;
        bytes = bytes.saturating_add(record.input.len() + record.body.len());
        fits(bytes)?;
        next = record.previous.clone();
        chain.push(record);
        if chain.len() > CHAIN_MAX {
            let message = format!("More than {CHAIN_MAX} responses go on from one another.");
            return Err(ApiError::invalid_request(
                "context_length_exceeded",
                message,
            ));
        }
    }
    let mut all = Vec::new();
    for record in chain.into_iter().rev() {
        all.extend(stored_items(&record.input));
        let body: Result<Stored, _> = serde_json::from_str(&record.body);
        all.extend(body.map(|body| body.output).unwrap_or_default());
    }
    Ok(all)
}
