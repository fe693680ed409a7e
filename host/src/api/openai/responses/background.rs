//! Responses that are made without the request that asked for them, and whoever listens to them.

use super::events;
use super::kept::Keeper;
use super::making::ResponseEvents;
use crate::api::openai::objects::{not_found, raw};
use crate::auth::{Authorized, Infer};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::json::Json;
use crate::stored::{BackgroundRun, BackgroundTurn, Kind, Owner, Record, StoredObjects};
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

/// What of a stored response says how far it has come.
#[derive(Deserialize)]
struct Progress {
    id: String,
    status: String,
}

impl Progress {
    fn of(response: &RawValue) -> Option<Self> {
        serde_json::from_str(response.get()).ok()
    }

    fn is_going(&self) -> bool {
        matches!(self.status.as_str(), "queued" | "in_progress")
    }
}

/// Begins to make a response, and answers with how it is now or with its events.
pub(super) async fn begin(
    caller: &Authorized<Infer>,
    state: &HttpState,
    making: ResponseEvents,
    keeper: Option<Keeper>,
    is_stream: bool,
) -> Result<Response, ApiError> {
    let Some(keeper) = keeper else {
        let message = "this server stores nothing (the setting `stored.retention`)";
        return Err(ApiError::invalid_argument("background", message));
    };
    let owner = Owner::of(&caller.caller);
    let (id, queued) = making.queued();
    let turn = state.stored().background().begin(&id, owner)?;
    // It can be asked for as soon as its id is known.
    keeper.write(&id, &queued).await?;
    let run = Arc::clone(turn.run());
    let ended = caller.caller.ended().cloned();
    tokio::spawn(async move {
        let key_ends = async {
            match &ended {
                Some(ended) => ended.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = make(making, keeper, turn) => {}
            // What a key has begun ends with it.
            () = key_ends => {}
        }
    });
    Ok(if is_stream {
        events(from(run, None))
    } else {
        Json(queued).into_response()
    })
}

/// Makes a response to its end, or until it is cancelled, and keeps it.
async fn make(mut making: ResponseEvents, keeper: Keeper, turn: BackgroundTurn) {
    let cancel = turn.run().cancel.clone();
    making.keep_by(keeper);
    let mut has_ended = false;
    loop {
        let mut out = Vec::new();
        let filled = poll_fn(|context| match making.poll_fill(context, &mut out) {
            Poll::Pending if out.is_empty() => Poll::Pending,
            Poll::Pending => Poll::Ready(true),
            Poll::Ready(more) => Poll::Ready(more),
        });
        let more = tokio::select! {
            more = filled => more,
            () = cancel.cancelled(), if !has_ended => {
                if making.is_being_kept() {
                    // Too late: what is written has to be written to its end.
                    has_ended = true;
                    continue;
                }
                let mut out = Vec::new();
                let (id, response, keeper) = making.cancel(&mut out);
                if let Some(keeper) = keeper
                    && let Err(error) = keeper.write(&id, &response).await
                {
                    tracing::error!("a cancelled response could not be kept: {}", error.message());
                }
                turn.tell(out.into());
                return;
            }
        };
        turn.tell(out.into());
        if !more {
            return;
        }
    }
}

/// Ends a response in the making, if there is one, and waits until it is kept.
pub(super) async fn stop(stored: &StoredObjects, owner: &Owner, id: &str) {
    if let Some(run) = stored.background().get(owner, id) {
        run.cancel.cancel();
        run.over().await;
    }
}

/// A stored response as it is now: one that was being made when the server stopped has failed.
pub(super) async fn as_it_is(
    stored: &StoredObjects,
    owner: &Owner,
    record: Record,
) -> Result<Box<RawValue>, ApiError> {
    let damaged = |_| ApiError::internal("a stored response is not JSON");
    let response = RawValue::from_string(record.body).map_err(damaged)?;
    let Some(progress) = Progress::of(&response).filter(Progress::is_going) else {
        return Ok(response);
    };
    let id = progress.id;
    let run = stored.background().get(owner, &id);
    if run.is_some_and(|run| !run.is_over()) {
        return Ok(response);
    }
    // It may have ended since it was read.
    let change = |record: &mut Record| {
        let response: Box<RawValue> =
            RawValue::from_string(record.body.clone()).map_err(damaged)?;
        if !Progress::of(&response).is_some_and(|progress| progress.is_going()) {
            return Ok(response);
        }
        let failed = failed(&response)?;
        failed.get().clone_into(&mut record.body);
        Ok::<_, ApiError>(failed)
    };
    stored.update(owner, Kind::Response, &id, change).await
}

/// A response that nobody makes any more.
fn failed(response: &RawValue) -> Result<Box<RawValue>, ApiError> {
    let mut object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(response.get())
            .map_err(|_| ApiError::internal("a stored response is not JSON"))?;
    let error = serde_json::json!({
        "code": "server_error",
        "message": "Nobody makes this response any more: the server was stopped, or its key ended.",
    });
    object.insert("status".to_owned(), "failed".into());
    object.insert("error".to_owned(), error);
    Ok(raw(&object))
}

/// The events of a response after the one of a number.
pub(super) fn listen(
    state: &HttpState,
    owner: &Owner,
    response: Box<RawValue>,
    after: Option<u64>,
) -> Result<Response, ApiError> {
    let progress = Progress::of(&response);
    let progress = progress.ok_or_else(|| ApiError::internal("a stored response has no status"))?;
    if let Some(run) = state.stored().background().get(owner, &progress.id) {
        return Ok(events(from(run, after)));
    }
    // Those that made it are not known any more: they come again as they are for any other.
    let told = super::output::told(&response).ok_or_else(|| {
        not_found(
            crate::stored::StoredError::NotFound,
            "Response",
            &progress.id,
        )
    })?;
    let told = after
        .map_or(told.as_slice(), |after| after_number(&told, after))
        .to_vec();
    Ok(events(Body::from(told)))
}

/// The events of a run as a body.
fn from(run: Arc<BackgroundRun>, after: Option<u64>) -> Body {
    let pieces = stream::unfold((run, 0_usize), move |(run, number)| async move {
        let piece = run.piece(number).await?;
        let piece = match after {
            Some(after) => Bytes::copy_from_slice(after_number(&piece, after)),
            None => piece,
        };
        Some((Ok::<_, Infallible>(piece), (run, number + 1)))
    });
    Body::from_stream(pieces)
}

/// What of some events comes after the one of a number.
fn after_number(events: &[u8], after: u64) -> &[u8] {
    const MARK: &[u8] = b"\"sequence_number\":";
    let mut rest = events;
    while let Some(end) = memchr::memmem::find(rest, b"\n\n") {
        let (event, next) = rest.split_at(end + 2);
        let number = memchr::memmem::find(event, MARK).and_then(|at| {
            let digits = event.get(at + MARK.len()..)?;
            let length = digits
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            std::str::from_utf8(digits.get(..length)?)
                .ok()?
                .parse::<u64>()
                .ok()
        });
        if number.is_none_or(|number| number > after) {
            return rest;
        }
        rest = next;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::after_number;

    #[test]
    fn events_are_passed_over_by_their_numbers() {
        let events = b"event: a\ndata: {\"sequence_number\":0}\n\n\
            event: b\ndata: {\"x\":1,\"sequence_number\":1}\n\n\
            event: c\ndata: {\"sequence_number\":12}\n\n";
        let begins = |after| after_number(events, after).get(..8).map(<[u8]>::to_vec);
        assert_eq!(begins(0), Some(b"event: b".to_vec()));
        assert_eq!(begins(1), Some(b"event: c".to_vec()));
        assert_eq!(begins(11), Some(b"event: c".to_vec()));
        assert_eq!(begins(12), None);
    }
}
