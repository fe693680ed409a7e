//! Judges whether content is harmful.

use super::settlement::UsageSettlement;
use super::{Answered, Counted, Inference, InferenceError, ModerationCall, RequestContext, ended};
use crate::auth::{Authorized, Infer};
use crate::limits::TokenAdmission;
use belljar_sandbox::wit::moderation::Verdict;

impl Inference {
    /// Judges each input of a call. The contract has no count of tokens for that, so what the
    /// texts have most likely goes on the bill.
    ///
    /// # Errors
    ///
    /// When there is no such model for the caller, when its minute does not hold the tokens,
    /// and when the run fails.
    pub async fn classify(
        &self,
        caller: &Authorized<Infer>,
        call: Counted<ModerationCall>,
        admission: TokenAdmission,
        context: &RequestContext,
    ) -> Result<Answered<Vec<Verdict>>, InferenceError> {
        let Counted { call, tokens } = call;
        let call = call.into_inner();
        let tokens = tokens.map_or_else(|| call.tokens_estimate(), |tokens| tokens.counts);
        let model = self.find(caller, &call.model, context).await?;
        let admission = admission.reserve(tokens)?;
        let mut settlement = UsageSettlement::new(admission, &caller.caller, tokens, context);
        let run = model
            .model
            .classify(
                call.inputs,
                context.budget(&model),
                self.label(context, &model),
            )
            .await;
        let answer = ended(&model, context, run)?;
        settlement.settle(tokens.into(), 0);
        Ok(Answered { model, answer })
    }
}
