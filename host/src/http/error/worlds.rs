//! Refusals of what testers ask for.

use super::{ApiError, ErrorType, Status};
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
