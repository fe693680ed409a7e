//! One message: what the audit log has recorded, in the form of Standard Webhooks.

use bytes::Bytes;
use serde_json::json;

use super::config::WebhookEvent;
use crate::audit::Told;
use crate::ids::sorted_uuid;
use crate::traces::TraceContext;

/// A message, the same in each attempt.
pub(super) struct Message {
    pub(super) id: String,
    pub(super) event: &'static str,
    pub(super) body: Bytes,
    /// The span of the request that led to it.
    pub(super) trace: Option<TraceContext>,
}

impl Message {
    /// The message of an event. Events hold no secrets, so neither does this.
    pub(super) fn of(told: &Told) -> Self {
        let kind = told.event.kind;
        let mut events = WebhookEvent::ALL.into_iter();
        let event = events
            .find(|event| event.kinds().contains(&kind))
            .map_or(kind.name(), WebhookEvent::name);
        let body = json!({
            "type": event,
            "timestamp": told.time,
            "data": told.event,
        });
        Self {
            id: format!("msg_{}", sorted_uuid().simple()),
            event,
            body: body.to_string().into(),
            trace: told.event.actor.trace.clone(),
        }
    }
}
