//! Who answers whom: each call of a tool is answered, and each answer has its call.

use crate::http::error::ApiError;
use belljar_sandbox::wit::text::{Message, Role};

/// Refuses answers without their call, and calls without their answer: a model could only guess.
pub(super) fn check(messages: &[Message]) -> Result<(), ApiError> {
    let mut calls: Calls<'_> = Calls::default();
    for (index, message) in messages.iter().enumerate() {
        if message.role == Role::Tool {
            calls.answer(index, message)?;
            continue;
        }
        calls.end()?;
        // Calls of functions, as they were before tools, have no id and are told apart by name.
        let ids = message.tool_calls.iter().map(|call| call.id.as_str());
        let ids: Vec<&str> = ids.filter(|id| !id.is_empty()).collect();
        calls = Calls {
            index,
            open: ids.clone(),
            made: ids,
        };
    }
    calls.end()
}

/// The calls of one message of the assistant.
#[derive(Default)]
struct Calls<'m> {
    /// Of the message.
    index: usize,
    made: Vec<&'m str>,
    /// Those that have no answer yet.
    open: Vec<&'m str>,
}

impl Calls<'_> {
    fn answer(&mut self, index: usize, message: &Message) -> Result<(), ApiError> {
        let Some(id) = message.tool_call_id.as_deref() else {
            return Ok(());
        };
        if self.made.is_empty() {
            let message = "messages with role `tool` must be a response to a preceding message with `tool_calls`";
            return Err(ApiError::invalid_argument(
                format!("messages[{index}].role"),
                message,
            ));
        }
        if !self.made.contains(&id) {
            let message = "is not the id of one of the `tool_calls` of the preceding message of the assistant";
            return Err(ApiError::invalid_argument(
                format!("messages[{index}].tool_call_id"),
                message,
            ));
        }
        self.open.retain(|open| *open != id);
        Ok(())
    }

    fn end(&self) -> Result<(), ApiError> {
        if self.open.is_empty() {
            return Ok(());
        }
        let message =
            "must be followed by messages with role `tool` that respond to each of their ids";
        Err(ApiError::invalid_argument(
            format!("messages[{}].tool_calls", self.index),
            message,
        ))
    }
}
