//! How hard a model is to think: as the caller says, or as the name that it asks for is known to.

use crate::http::error::ApiError;
use belljar_sandbox::wit::text::ReasoningEffort;

/// How hard a model is to think, and whether the caller hears of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thinking {
    pub(crate) effort: Option<ReasoningEffort>,
    /// Whether thoughts are counted and not shown, as OpenAI does where nobody asks for them.
    pub(crate) is_silent: bool,
}

impl Thinking {
    /// How a model of that name thinks, where the member `param` says `asked`.
    pub(crate) fn new(model: &str, asked: Option<&str>, param: &str) -> Result<Self, ApiError> {
        Ok(if let Some(asked) = asked {
            Self {
                effort: Some(effort(asked, param)?),
                is_silent: false,
            }
        } else {
            let effort = usual_effort(model);
            Self {
                effort,
                is_silent: effort.is_some(),
            }
        })
    }
}

fn effort(asked: &str, param: &str) -> Result<ReasoningEffort, ApiError> {
    Ok(match asked {
        "none" => ReasoningEffort::None,
        "minimal" => ReasoningEffort::Minimal,
        "low" => ReasoningEffort::Low,
        "medium" => ReasoningEffort::Medium,
        // The contract knows nothing higher.
        "high" | "xhigh" | "max" => ReasoningEffort::High,
        _ => {
            let message = "expected `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`";
            return Err(ApiError::invalid_argument(param, message));
        }
    })
}

/// How hard OpenAI's model of that name thinks unless a request says otherwise; none where it
/// does not. From 5.1 on the models of the `gpt-5` family think only when asked to.
fn usual_effort(model: &str) -> Option<ReasoningEffort> {
    let name = model.strip_prefix("openai/").unwrap_or(model);
    let is_of = |family: &str| {
        let rest = name.strip_prefix(family);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    if name.starts_with("gpt-5") && (name.contains("-chat") || name.contains("-search")) {
        return None;
    }
    if is_of("gpt-5-pro") {
        return Some(ReasoningEffort::High);
    }
    let is_codex = name.starts_with("gpt-5") && name.contains("-codex");
    let families = ["gpt-5", "gpt-oss", "o1", "o3", "o4", "codex-mini"];
    (is_codex || families.into_iter().any(is_of)).then_some(ReasoningEffort::Medium)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_think_as_they_are_known_to() {
        for name in [
            "gpt-5",
            "gpt-5-mini",
            "gpt-5-nano-2025-08-07",
            "gpt-5.1-codex-max",
            "openai/gpt-oss-20b",
            "o1",
            "o3-mini",
            "o4-mini-2025-04-16",
        ] {
            let thinking = Thinking::new(name, None, "").unwrap();
            assert_eq!(thinking.effort, Some(ReasoningEffort::Medium), "{name}");
            assert!(thinking.is_silent, "{name}");
        }
        for name in [
            "fake",
            "gpt-4o",
            "gpt-5-chat-latest",
            "gpt-5.1",
            "gpt-5.2-mini",
            "o10",
            "olmo",
        ] {
            let thinking = Thinking::new(name, None, "").unwrap();
            assert_eq!(
                (thinking.effort, thinking.is_silent),
                (None, false),
                "{name}"
            );
        }
        let asked = Thinking::new("gpt-5", Some("low"), "reasoning_effort").unwrap();
        assert_eq!(asked.effort, Some(ReasoningEffort::Low));
        assert!(!asked.is_silent);
        assert!(Thinking::new("gpt-5", Some("much"), "reasoning_effort").is_err());
    }
}
