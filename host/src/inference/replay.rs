//! Makes a run on record again, on the version that it ran on or on another.

use super::recording::Notebook;
use super::{Inference, InferenceError, RequestContext, failure};
use crate::auth::{Authorized, Infer};
use crate::limits::Admission;
use crate::models::LiveModel;
use crate::runs::{Run, RunsError, Transcript};
use belljar_sandbox::{Pulls, RunError, RunOrigin};
use std::sync::Arc;

/// A run that was made again.
pub struct Replayed {
    /// The version that it was made on.
    pub model: Arc<LiveModel>,
    /// What was asked and given.
    pub transcript: Transcript,
}

/// Why a run could not be made again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It could not be begun, or was turned away.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// What is on record cannot be read.
    #[error(transparent)]
    Runs(#[from] RunsError),
    /// The version has another content than the one that ran.
    #[error("the version has another content than the one that ran")]
    OtherContent,
}

impl From<RunError> for ReplayError {
    fn from(error: RunError) -> Self {
        Self::Inference(error.into())
    }
}

impl Inference {
    /// Asks a model again what was asked before: with the same seed, at the same moment, in the
    /// same portions. What is on record has passed the screening when it came. A run that fails as
    /// it may have failed before is no error: its outcome says so.
    ///
    /// # Errors
    ///
    /// When there is no such model for the caller, when it has another content than the one that
    /// ran and no other was asked for, when it is turned away for want of a slot, and when the
    /// record cannot be read.
    pub async fn replay(
        &self,
        caller: &Authorized<Infer>,
        (run, before): (&Run, &Transcript),
        version: Option<&str>,
        admission: Admission,
        context: &RequestContext,
    ) -> Result<Replayed, ReplayError> {
        let name = version.map_or_else(|| run.model.to_string(), str::to_owned);
        let model = self
            .find(caller, &name, context)
            .await
            .map_err(InferenceError::from)?;
        if version.is_none() && model.digest != run.digest {
            return Err(ReplayError::OtherContent);
        }
        let notebook = Notebook::default();
        let origin = RunOrigin::seeded(run.time, run.seed);
        let label = context.replay_label(&model, origin, &notebook);
        for call in before.calls() {
            let Some(asked) = call.asked()? else {
                continue;
            };
            label.go_on_at(call.place);
            let pulls = Pulls::of(&call.pulls);
            let done = model.model.ask_again(asked, pulls, &model.budget, label);
            match done.await {
                Ok(()) => {}
                Err(error @ (RunError::Overloaded { .. } | RunError::Host { .. })) => {
                    failure::note(&model, context, &error);
                    return Err(error.into());
                }
                Err(error) => failure::note(&model, context, &error),
            }
        }
        // The caller's place is held until the last run is over.
        drop(admission);
        let transcript = notebook.transcript();
        Ok(Replayed { model, transcript })
    }
}
