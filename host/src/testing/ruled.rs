//! A request that rules of answers are asked about: what they see of it that no model does, and
//! what they have said.

use belljar_testing::fault::Fault;
use belljar_testing::rules::{
    NearestRule, RuleFailed, RuleMessage, RuleRequest, Rules, ScriptedAnswer, ScriptedContent,
};
use belljar_testing::world::World;
use bytes::Bytes;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A request that rules are asked about.
#[derive(Debug)]
pub struct RuledRequest {
    /// The rules; none where there are none, and one has to match all the same.
    rules: Option<Arc<Rules>>,
    /// Whether one has to match.
    is_strict: bool,
    /// The path that the client asked for, without the query.
    path: String,
    /// The headers, by their names in small letters.
    headers: Vec<(String, String)>,
    /// The body, unpacked, once it has been read.
    body: OnceLock<Bytes>,
    /// What the rule that matches says.
    answer: OnceLock<ScriptedAnswer>,
    /// Whether somebody waits as long as the rule says.
    is_delayed: AtomicBool,
}

/// What is asked of a model, the same whichever API it was asked by.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The model, as it was asked for.
    pub model: String,
    /// The conversation.
    pub messages: Vec<RuleMessage>,
    /// The names of the tools that are offered.
    pub tools: Vec<String>,
    /// Whether the answer is to be a stream.
    pub is_stream: bool,
}

/// Why no model answers, and no rule either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptRefusal {
    /// No rule matches, and one has to.
    #[error("no rule matches this request{}", told(.0))]
    NoRule(Option<NearestRule>),
    /// The rule that matches does not work for this request.
    #[error(transparent)]
    Failed(#[from] RuleFailed),
    /// The rule has a fault in place of an answer.
    #[error("the rule has a fault in place of an answer")]
    Fault,
}

fn told(nearest: &Option<NearestRule>) -> String {
    match nearest {
        Some(nearest) => format!(": {nearest}"),
        None => ": there are none".to_owned(),
    }
}

impl RuledRequest {
    /// A request that these rules are asked about, one of which has to match where that is said
    /// here or by themselves. None where there is nothing to ask.
    #[must_use]
    pub fn new(
        rules: Option<Arc<Rules>>,
        is_strict: Option<bool>,
        path: &str,
        headers: impl FnOnce() -> Vec<(String, String)>,
    ) -> Option<Self> {
        let by_file = rules.as_ref().is_some_and(|rules| rules.is_strict());
        let is_strict = is_strict.unwrap_or(by_file);
        (rules.is_some() || is_strict).then(|| Self {
            rules,
            is_strict,
            path: path.to_owned(),
            headers: headers(),
            body: OnceLock::new(),
            answer: OnceLock::new(),
            is_delayed: AtomicBool::new(false),
        })
    }

    /// Notes the body, as its handler reads it.
    pub fn note_body(&self, body: &Bytes) {
        // It is read once.
        let _ = self.body.set(body.clone());
    }

    /// Bytes of the body.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.body.get().map_or(0, Bytes::len)
    }

    /// What the first rule that matches says; none where none does, and none has to. Rules are
    /// asked once, and the matches counted in the world.
    ///
    /// # Errors
    ///
    /// When none matches and one has to, and when the one that does gives no answer.
    pub fn ask(
        &self,
        world: &World,
        asking: &Asking,
    ) -> Result<Option<&ScriptedAnswer>, ScriptRefusal> {
        if self.answer.get().is_none()
            && let Some(answer) = self.find(world, asking)?
        {
            let _ = self.answer.set(answer);
        }
        match self.answer.get() {
            Some(answer) if answer.content == ScriptedContent::Nothing => Err(ScriptRefusal::Fault),
            answer => Ok(answer),
        }
    }

    fn find(
        &self,
        world: &World,
        asking: &Asking,
    ) -> Result<Option<ScriptedAnswer>, ScriptRefusal> {
        let body = self.body.get().map_or(&[][..], |body| body);
        // Bodies that are no JSON have nothing that a path leads to.
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let request = RuleRequest {
            model: &asking.model,
            path: &self.path,
            world: world.name().as_str(),
            headers: &self.headers,
            body: &body,
            messages: &asking.messages,
            tools: &asking.tools,
            is_stream: asking.is_stream,
        };
        let rules = self.rules.as_deref();
        let answer = match rules {
            Some(rules) => rules.answer(&request, |rule| world.note_match(rule))?,
            None => None,
        };
        match answer {
            None if self.is_strict => {
                let nearest = rules.and_then(|rules| rules.nearest(&request));
                Err(ScriptRefusal::NoRule(nearest))
            }
            answer => Ok(answer),
        }
    }

    /// The rule that has matched.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.answer.get().map(|answer| answer.rule.as_str())
    }

    /// The fault that the rule has.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        self.answer.get()?.fault.as_ref()
    }

    /// The pace that the rule has for its answer, in the syntax of latencies.
    #[must_use]
    pub fn latency(&self) -> Option<&str> {
        self.answer.get()?.latency.as_deref()
    }

    /// How long after the request the rule's answer begins, for the first who asks: whoever that
    /// is waits for it. Nothing for all others.
    #[must_use]
    pub fn take_delay(&self) -> Duration {
        match self.answer.get() {
            Some(answer) if !self.is_delayed.swap(true, Ordering::Relaxed) => answer.delay,
            _ => Duration::ZERO,
        }
    }
}
