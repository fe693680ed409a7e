//! Refusals of what testers ask for.

use super::{ApiError, ErrorType, Status};
use crate::testing::ScriptRefusal;
use belljar_testing::world::TooManyWorlds;

/// The refusal of a world for which there is no room.
pub(crate) fn too_many_worlds(error: TooManyWorlds) -> ApiError {
    let message = format!(
        "There is no room for another world: {error}. `DELETE /admin/worlds/{{name}}` frees one, \
         `test.worlds_max` allows more."
    );
    ApiError::new(
        Status::TooManyRequests,
        ErrorType::RateLimit,
        "too_many_worlds",
        message,
    )
}

impl From<ScriptRefusal> for ApiError {
    fn from(error: ScriptRefusal) -> Self {
        let message = format!("{error}.");
        match error {
            ScriptRefusal::NoRule(_) => Self::not_found("no_rule", message),
            ScriptRefusal::Failed(_) => Self::new(
                Status::InternalServerError,
                ErrorType::Server,
                "rule_failed",
                message,
            ),
            // What is seen of it is the fault, which the layer `tested` puts in its place.
            ScriptRefusal::Fault => Self::new(
                Status::ServiceUnavailable,
                ErrorType::Server,
                "fault",
                message,
            ),
        }
    }
}
