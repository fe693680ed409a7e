//! The compiled file of a version, held against its seal and mapped.

use belljar_sandbox::{ReadyModel, Sandbox};

use super::ModelError;
use super::live::ServedModel;
use super::state::Inner;

/// The work of mapping a model again from what is compiled of it, for a thread that may wait.
pub(super) fn remapping(
    inner: &Inner,
    sandbox: Sandbox,
    served: &ServedModel,
) -> impl FnOnce() -> Result<ReadyModel, ModelError> + Send + use<> {
    let compiler = inner.compiler.clone();
    let (job, label) = (served.job.clone(), served.label.clone());
    let ear = inner.logs.ear(&served.log);
    move || {
        let artefact = compiler
            .cached(&job)
            .ok_or_else(|| ModelError::host("no artefact"))?;
        let model = sandbox.load_heard_by(&artefact, &label, ear);
        model.map_err(ModelError::host)
    }
}
