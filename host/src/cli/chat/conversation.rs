//! What was said, and what it has cost.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

/// What an answer has taken.
#[derive(Debug, Default)]
pub(super) struct Used {
    /// From the request to the first piece of the answer.
    pub(super) first: Option<Duration>,
    /// From the request to the end.
    pub(super) whole: Duration,
    /// The `usage` of the answer.
    pub(super) counts: Value,
    /// Why it ended.
    pub(super) reason: String,
}

impl Used {
    fn count(&self, pointer: &str) -> u64 {
        let count = self.counts.pointer(pointer);
        count.and_then(Value::as_u64).unwrap_or(0)
    }

    /// Tokens of the answer a second, between its first piece and its end.
    fn tokens_per_second(&self) -> Option<f64> {
        let writing = self.whole.checked_sub(self.first?)?.as_secs_f64();
        let tokens = self.count("/completion_tokens").checked_sub(1)?;
        (writing > 0.0 && tokens > 0).then(|| tokens as f64 / writing)
    }
}

/// The messages so far.
#[derive(Debug)]
pub(super) struct Conversation {
    system: Option<String>,
    turns: Vec<Value>,
    used: Vec<Used>,
}

impl Conversation {
    pub(super) fn new(system: Option<String>) -> Self {
        Self {
            system,
            turns: Vec::new(),
            used: Vec::new(),
        }
    }

    pub(super) fn system(&self) -> Option<&str> {
        self.system.as_deref()
    }

    /// Puts another system message before what was said.
    pub(super) fn set_system(&mut self, text: String) {
        self.system = Some(text);
    }

    pub(super) fn reset(&mut self) {
        self.turns.clear();
        self.used.clear();
    }

    pub(super) fn ask(&mut self, message: String) {
        self.turns.push(json!({"role": "user", "content": message}));
    }

    /// Forgets the message that was asked last.
    pub(super) fn take_back(&mut self) {
        self.turns.pop();
    }

    pub(super) fn answered(&mut self, said: String, used: Used) {
        self.turns
            .push(json!({"role": "assistant", "content": said}));
        self.used.push(used);
    }

    /// The messages of the next request.
    pub(super) fn messages(&self) -> Vec<Value> {
        let system = self.system.as_deref();
        let system = system.map(|text| json!({"role": "system", "content": text}));
        system
            .into_iter()
            .chain(self.turns.iter().cloned())
            .collect()
    }

    /// Tokens and times, of the last answer and in all.
    pub(super) fn stats(&self) -> String {
        let Some(last) = self.used.last() else {
            return "nothing was answered yet".to_owned();
        };
        let sum = |pointer: &str| {
            self.used
                .iter()
                .map(|used| used.count(pointer))
                .sum::<u64>()
        };
        let mut told = format!(
            "last answer: {} tokens in {} ms",
            last.count("/completion_tokens"),
            last.whole.as_millis()
        );
        if let Some(first) = last.first {
            // Writing to a text cannot fail.
            let _ = write!(told, ", the first after {} ms", first.as_millis());
        }
        if let Some(speed) = last.tokens_per_second() {
            let _ = write!(told, ", then {speed:.1} tokens/s");
        }
        let _ = write!(
            told,
            "\nits prompt: {} tokens, {} of them cached\nin all: {} answers, {} tokens of prompts, \
             {} of answers",
            last.count("/prompt_tokens"),
            last.count("/prompt_tokens_details/cached_tokens"),
            self.used.len(),
            sum("/prompt_tokens"),
            sum("/completion_tokens")
        );
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(tokens: u64) -> Used {
        Used {
            first: Some(Duration::from_millis(100)),
            whole: Duration::from_millis(1_100),
            counts: json!({"prompt_tokens": 5, "completion_tokens": tokens,
                "prompt_tokens_details": {"cached_tokens": 2}}),
            reason: "stop".into(),
        }
    }

    #[test]
    fn a_request_has_what_was_said() {
        let mut conversation = Conversation::new(None);
        conversation.ask("one".into());
        conversation.answered("two".into(), used(11));
        conversation.ask("three".into());
        conversation.take_back();
        conversation.set_system("be brief".into());
        conversation.ask("four".into());
        let roles: Vec<_> = conversation.messages();
        let contents: Vec<_> = roles.iter().map(|m| m["content"].clone()).collect();
        assert_eq!(contents, ["be brief", "one", "two", "four"]);
        assert_eq!(
            conversation.stats(),
            "last answer: 11 tokens in 1100 ms, the first after 100 ms, then 10.0 tokens/s\n\
             its prompt: 5 tokens, 2 of them cached\n\
             in all: 1 answers, 5 tokens of prompts, 11 of answers"
        );
        conversation.reset();
        assert_eq!(conversation.messages().len(), 1);
        assert_eq!(conversation.stats(), "nothing was answered yet");
    }
}
