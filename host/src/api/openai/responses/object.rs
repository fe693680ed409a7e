//! A response as it is shown.

use super::output::{Item, Output, usage};
use super::request::Echo;
use crate::api::openai::objects::raw;
use crate::http::error::ApiError;
use crate::inference::TextUsage;
use belljar_sandbox::wit::text::FinishReason;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::json;
use serde_json::value::RawValue;

/// What of a response stays the same while it is made.
pub(super) struct Draft {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) echo: Echo,
}

/// How far a response has come.
pub(super) enum Stage<'s> {
    Queued,
    InProgress,
    /// The model has ended by itself, or at a cap.
    Ended {
        usage: &'s TextUsage,
        at: i64,
    },
    Failed(&'s ApiError),
    Cancelled,
}

/// A response.
pub(super) struct Response<'r> {
    pub(super) draft: &'r Draft,
    pub(super) output: &'r [Item],
    pub(super) reason: FinishReason,
    pub(super) stage: Stage<'r>,
}

impl Draft {
    /// The response at some stage, with what it has of output.
    pub(super) fn at<'r>(&'r self, output: &'r Output, stage: Stage<'r>) -> Response<'r> {
        Response {
            draft: self,
            output: output.items(),
            reason: output.reason(),
            stage,
        }
    }
}

impl Response<'_> {
    /// Why it is not whole.
    fn incomplete(&self) -> Option<&'static str> {
        match (&self.stage, self.reason) {
            (Stage::Ended { .. }, FinishReason::Length) => Some("max_output_tokens"),
            (Stage::Ended { .. }, FinishReason::ContentFilter) => Some("content_filter"),
            _ => None,
        }
    }

    /// The status, which is also the end of the name of the last event.
    pub(super) fn status(&self) -> &'static str {
        match self.stage {
            Stage::Queued => "queued",
            Stage::InProgress => "in_progress",
            Stage::Ended { .. } if self.incomplete().is_some() => "incomplete",
            Stage::Ended { .. } => "completed",
            Stage::Failed(_) => "failed",
            Stage::Cancelled => "cancelled",
        }
    }

    /// The response as JSON.
    pub(super) fn raw(&self) -> Box<RawValue> {
        raw(self)
    }
}

impl Serialize for Response<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Draft { id, created, echo } = self.draft;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", id)?;
        map.serialize_entry("object", "response")?;
        map.serialize_entry("created_at", created)?;
        map.serialize_entry("status", self.status())?;
        let completed = match self.stage {
            Stage::Ended { at, .. } if self.incomplete().is_none() => Some(at),
            _ => None,
        };
        map.serialize_entry("completed_at", &completed)?;
        let error = match self.stage {
            Stage::Failed(error) => Some(json!({"code": error.code(), "message": error.message()})),
            _ => None,
        };
        map.serialize_entry("error", &error)?;
        let incomplete = self.incomplete().map(|reason| json!({"reason": reason}));
        map.serialize_entry("incomplete_details", &incomplete)?;
        for (name, value) in echo {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("output", self.output)?;
        let used = match self.stage {
            Stage::Ended { usage: used, .. } => Some(usage(used)),
            _ => None,
        };
        map.serialize_entry("usage", &used)?;
        map.end()
    }
}
