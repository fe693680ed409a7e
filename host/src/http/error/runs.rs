//! What is read of runs that cannot be found or made again.

use super::ApiError;
use crate::inference::ReplayError;
use crate::runs::RunsError;

impl From<RunsError> for ApiError {
    fn from(error: RunsError) -> Self {
        let text = error.to_string();
        if error.is_out_of_space() {
            return Self::disk_full(text);
        }
        match error {
            RunsError::NotFound => Self::not_found(
                "run_not_found",
                "There is no run of this id that is kept for this key.",
            ),
            RunsError::Damaged(_) | RunsError::Db(_) => Self::internal(text),
        }
    }
}

impl From<ReplayError> for ApiError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Inference(error) => error.into(),
            ReplayError::Runs(error) => error.into(),
            ReplayError::OtherContent => Self::conflict(
                "other_content",
                "The version has another content than the one that ran; `model` names a version to \
                 compare with.",
            ),
        }
    }
}
