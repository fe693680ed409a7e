//! Makes a run on record again, on the version that it ran on or on another: to its end, to be
//! compared, or to a point within it, to be looked at.

use super::recording::Notebook;
use super::{Inference, InferenceError, RequestContext, failure};
use crate::auth::{Authorized, Infer};
use crate::limits::Admission;
use crate::models::LiveModel;
use crate::runs::{KeptCall, Run, RunsError, Transcript};
use belljar_sandbox::{
    Budget, Cap, ProfileFrame, Pulls, RunError, RunLabel, RunOrigin, StackCatcher,
};
use std::sync::Arc;

/// A run that was made again.
pub struct Replayed {
    /// The version that it was made on.
    pub model: Arc<LiveModel>,
    /// What was asked and given.
    pub transcript: Transcript,
}

/// A run that was made again to a point within it.
pub struct StoppedRun {
    /// The version that it was made on.
    pub model: Arc<LiveModel>,
    /// What was asked and given until then.
    pub transcript: Transcript,
    /// The place among the run's calls of the one that was stopped; none where all of them were
    /// over before.
    pub call: Option<u64>,
    /// Whether it was stopped for the fuel that was named, and did not fail before.
    pub is_at_fuel: bool,
    /// Where it was then, the innermost frame first.
    pub frames: Vec<ProfileFrame>,
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
        let model = self.version_for(caller, run, version, context).await?;
        let notebook = Notebook::default();
        let origin = RunOrigin::seeded(run.time, run.seed);
        let label = context.replay_label(&model, origin, &notebook, None);
        for call in before.calls() {
            call_again(&model, call, &model.budget, label, context).await?;
        }
        // The caller's place is held until the last run is over.
        drop(admission);
        let transcript = notebook.transcript();
        Ok(Replayed { model, transcript })
    }

    /// The same until so many units of fuel are used, over all of its calls in their order: there the
    /// guest is ended, and its stack read. It stops where a function begins or a loop turns, which
    /// is where fuel is counted, so the same fuel stops it at the same place each time.
    ///
    /// # Errors
    ///
    /// As [`Inference::replay`].
    pub async fn stop_at(
        &self,
        caller: &Authorized<Infer>,
        (run, before): (&Run, &Transcript),
        (version, fuel): (Option<&str>, u64),
        admission: Admission,
        context: &RequestContext,
    ) -> Result<StoppedRun, ReplayError> {
        let model = self.version_for(caller, run, version, context).await?;
        let (notebook, catcher) = (Notebook::default(), StackCatcher::default());
        let origin = RunOrigin::seeded(run.time, run.seed);
        let label = context.replay_label(&model, origin, &notebook, Some(catcher.clone()));
        let mut stopped = None;
        for call in before.calls() {
            let left = fuel.saturating_sub(notebook.transcript().fuel());
            if left == 0 {
                break;
            }
            let budget = Budget {
                fuel: model.budget.fuel.min(left),
                ..model.budget
            };
            call_again(&model, call, &budget, label, context).await?;
            if let Some(frames) = catcher.frames() {
                let is_at_fuel = notebook.transcript().fuel() >= fuel;
                stopped = Some((call.place, is_at_fuel, frames));
                break;
            }
        }
        drop(admission);
        let (call, is_at_fuel, frames) = match stopped {
            Some((place, is_at_fuel, frames)) => (Some(place), is_at_fuel, frames),
            None => (None, false, Vec::new()),
        };
        Ok(StoppedRun {
            model,
            transcript: notebook.transcript(),
            call,
            is_at_fuel,
            frames,
        })
    }

    /// The version on which a run is made again: its own, unless another is named.
    async fn version_for(
        &self,
        caller: &Authorized<Infer>,
        run: &Run,
        version: Option<&str>,
        context: &RequestContext,
    ) -> Result<Arc<LiveModel>, ReplayError> {
        let name = version.map_or_else(|| run.model.to_string(), str::to_owned);
        let model = self
            .find(caller, &name, context)
            .await
            .map_err(InferenceError::from)?;
        if version.is_none() && model.digest != run.digest {
            return Err(ReplayError::OtherContent);
        }
        Ok(model)
    }
}

/// Makes one call of a run again. One that fails is no error, unless the host is to blame.
async fn call_again(
    model: &LiveModel,
    call: &KeptCall,
    budget: &Budget,
    label: &RunLabel,
    context: &RequestContext,
) -> Result<(), ReplayError> {
    let Some(asked) = call.asked()? else {
        return Ok(());
    };
    label.go_on_at(call.place);
    let pulls = Pulls::of(&call.pulls);
    match model.model.ask_again(asked, pulls, budget, label).await {
        Ok(()) => {}
        Err(error @ (RunError::Overloaded { .. } | RunError::Host { .. })) => {
            failure::note(model, context, &error);
            return Err(error.into());
        }
        // To be stopped is no failure of the model's.
        Err(RunError::Cap(hit)) if hit.cap == Cap::Fuel && budget.fuel < model.budget.fuel => {}
        Err(error) => failure::note(model, context, &error),
    }
    Ok(())
}
