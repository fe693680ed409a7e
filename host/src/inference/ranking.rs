//! Ranks documents by how well they answer queries.

use super::settlement::UsageSettlement;
use super::{
    Answered, Counted, Inference, InferenceError, RankingCall, RankingQuery, RequestContext, ended,
};
use crate::auth::{Authorized, Infer};
use crate::limits::TokenAdmission;
use belljar_sandbox::wit::ranking::{Response, Score};

/// Rankings, and what they go on the bill as.
pub struct Ranked {
    /// The documents of each query by their places among them, the best first.
    pub rankings: Vec<Vec<Score>>,
    /// Tokens of all queries and documents, as the model counts them and as far as that is
    /// believed.
    pub prompt_tokens: u32,
}

impl Inference {
    /// Ranks the documents of each query of a call, one query after the other.
    ///
    /// # Errors
    ///
    /// When there is no such model for the caller, when its minute does not hold the tokens,
    /// and when a run fails.
    pub async fn rank(
        &self,
        caller: &Authorized<Infer>,
        call: Counted<RankingCall>,
        admission: TokenAdmission,
        context: &RequestContext,
    ) -> Result<Answered<Ranked>, InferenceError> {
        let Counted { call, tokens } = call;
        let call = call.into_inner();
        let counts = tokens.map_or_else(Vec::new, |tokens| tokens.counts);
        let counted =
            (!counts.is_empty()).then(|| counts.iter().copied().fold(0, u32::saturating_add));
        let tokens_max = counted.unwrap_or_else(|| call.tokens_max());
        let tokens_estimate = counted.unwrap_or_else(|| call.tokens_estimate());
        let model = self.find(caller, &call.model, context).await?;
        let admission = admission.reserve(tokens_estimate)?;
        let mut settlement =
            UsageSettlement::new(admission, &caller.caller, tokens_estimate, context);
        let mut rankings = Vec::with_capacity(call.queries.len());
        let mut prompt_tokens = 0_u32;
        let mut counts = counts.into_iter();
        for RankingQuery { query, documents } in call.queries {
            let run = model
                .model
                .rank(
                    query,
                    documents,
                    context.budget(&model),
                    self.label(context, &model),
                )
                .await;
            let Response {
                scores,
                prompt_tokens: more,
            } = ended(&model, context, run)?;
            rankings.push(scores);
            let more = counts.next().unwrap_or(more);
            prompt_tokens = prompt_tokens.saturating_add(more).min(tokens_max);
            // What has been ranked is paid for, even if the next run fails.
            settlement.settle(prompt_tokens.into(), 0);
        }
        let answer = Ranked {
            rankings,
            prompt_tokens,
        };
        Ok(Answered { model, answer })
    }
}
