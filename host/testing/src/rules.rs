//! Scripted answers: rules in TOML, of which the first that matches a request says what it is
//! answered with.
//!
//! A file is read whole, with everything that is wrong in it told by line and column, before any of
//! it is used. What it can cost is bounded: how many rules and expressions it has, how large these
//! become, what a path over a body may look at, and what a template may do and make.

mod answer;
mod condition;
mod keys;
mod path;
mod pattern;
mod problems;
mod read;
mod read_answer;
mod reference;
mod request;
mod text;
mod tree;
mod unmet;

pub use answer::{
    Said, SaidCall, SaidFinish, SaidUsage, ScriptedAnswer, ScriptedContent, TEMPLATE_NAMES,
};
pub use keys::{RuleKey, RuleTable, rule_tables};
pub use path::{PATH_BYTES_MAX, PATH_COMMAS_MAX, PATH_DEPTH_MAX};
pub use problems::{PROBLEMS_MAX, Place, Problem, RulesError};
pub use read::{CONDITIONS_MAX, EXPRESSIONS_MAX};
pub use read_answer::{EMBEDDING_MAX, SEQUENCE_MAX, TOOL_CALLS_MAX};
pub use reference::rules_reference;
pub use request::{RuleMessage, RuleRequest, RuleToolCall};
pub use text::{EXPRESSION_BYTES_MAX, EXPRESSION_COMPILED_BYTES_MAX};
pub use unmet::Unmet;

pub use crate::data_set::{DATA_SET_BYTES_MAX, DATA_SET_LINES_MAX};

use crate::difference::Likeness;
use crate::template::{TemplateError, Templates};
use answer::{AnswerKind, AnswerSpec, Matched};
use condition::Condition;
use read::Reader;
use std::fmt;
use text::Captured;

/// The largest rule file, in bytes, data sets beside it not counted.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// Rules in one file.
pub const RULES_MAX: usize = 1_000;

/// The longest name of a rule, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// A rule file that has been checked.
#[derive(Debug)]
pub struct Rules {
    text: String,
    rules: Vec<Rule>,
    is_strict: bool,
    templates: Templates,
}

/// One rule.
#[derive(Debug)]
struct Rule {
    name: String,
    conditions: Vec<Condition>,
    answer: AnswerSpec,
}

/// What a rule file names that is not in it.
#[derive(Clone, Copy)]
pub struct Surroundings<'s> {
    /// The text of a data set by the name that the file has for it, or why there is none.
    pub data_set: &'s dyn Fn(&str) -> Result<String, String>,
    /// Whether a text is a latency, or what is wrong with it.
    pub latency: &'s dyn Fn(&str) -> Result<(), String>,
}

/// The refusal of a data set that is named where there are no files.
///
/// # Errors
///
/// Always.
pub fn no_data_sets(_name: &str) -> Result<String, String> {
    Err("only a rule file of the server's can name a data set; write it in `data`".to_owned())
}

/// A rule that has no answer for a request that it matches.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rule `{rule}`: {error}")]
pub struct RuleFailed {
    /// The rule.
    pub rule: String,
    /// Why.
    #[source]
    pub error: TemplateError,
}

/// The rule that came nearest to matching a request that none matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearestRule {
    /// Its name.
    pub rule: String,
    /// The first of its conditions that does not hold.
    pub unmet: Unmet,
}

impl fmt::Display for NearestRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the nearest is `{}`, whose {}", self.rule, self.unmet)
    }
}

impl Rules {
    /// The rules of a file.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in the file and in its data sets.
    pub fn parse(text: &str, around: &Surroundings<'_>) -> Result<Self, RulesError> {
        if text.len() > FILE_BYTES_MAX {
            let at = Place {
                line: 1,
                column: None,
            };
            let bytes = text.len();
            let words = format!("a rule file of {bytes} bytes; the most is {FILE_BYTES_MAX}");
            return Err(RulesError::new(vec![Problem::new(at, words)]));
        }
        let tree = tree::of_toml(text).map_err(RulesError::new)?;
        let mut reader = Reader::new(around);
        let (rules, is_strict) = reader.file(&tree);
        if !reader.problems.is_empty() {
            return Err(RulesError::new(reader.problems));
        }
        Ok(Self {
            text: text.to_owned(),
            rules,
            is_strict,
            templates: reader.templates,
        })
    }

    /// The file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names of the rules, in their order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    /// Whether a request that no rule matches is an error.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.is_strict
    }

    /// The answer of the first rule that matches a request; none where no rule does. `count` says
    /// how many requests a rule has matched before this one, which it counts.
    ///
    /// # Errors
    ///
    /// When the rule's template does not work for this request.
    pub fn answer(
        &self,
        request: &RuleRequest<'_>,
        count: impl FnOnce(&str) -> u64,
    ) -> Result<Option<ScriptedAnswer>, RuleFailed> {
        let mut captured = Captured::new();
        let matching = self.rules.iter().find(|rule| {
            captured.clear();
            rule.matches(request, &mut captured)
        });
        let Some(rule) = matching else {
            return Ok(None);
        };
        let matched = Matched {
            request: *request,
            rule: &rule.name,
            captured: &captured,
            before: count(&rule.name),
        };
        match rule.answer.to(&matched, &self.templates) {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => {
                let rule = rule.name.clone();
                Err(RuleFailed { rule, error })
            }
        }
    }

    /// The rule that is nearest to matching a request that none matches: the one of which the
    /// largest share holds, and of those that where what does not is nearly so. None where there
    /// are no rules.
    #[must_use]
    pub fn nearest(&self, request: &RuleRequest<'_>) -> Option<NearestRule> {
        let mut best: Option<(u64, Likeness, &Rule, Unmet)> = None;
        for rule in &self.rules {
            let Some((share, unmet)) = rule.unmet(request) else {
                continue;
            };
            let nearness = (share, unmet.likeness);
            if best
                .as_ref()
                .is_none_or(|(share, likeness, ..)| nearness > (*share, *likeness))
            {
                best = Some((share, unmet.likeness, rule, unmet));
            }
        }
        best.map(|(.., rule, unmet)| NearestRule {
            rule: rule.name.clone(),
            unmet,
        })
    }
}

impl Rule {
    fn matches(&self, request: &RuleRequest<'_>, captured: &mut Captured) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.holds(request, captured))
            && match &self.answer.kind {
                AnswerKind::DataSet(data) => data.answer(request).is_some(),
                _ => true,
            }
    }

    /// How much of it holds of a request, in thousandths, and what does not first; none where it
    /// matches.
    fn unmet(&self, request: &RuleRequest<'_>) -> Option<(u64, Unmet)> {
        let mut captured = Captured::new();
        let mut holding = 0_u64;
        let mut first = None;
        for condition in &self.conditions {
            match condition.holds(request, &mut captured) {
                true => holding += 1,
                false => {
                    first.get_or_insert(condition);
                }
            }
        }
        let mut all = self.conditions.len() as u64;
        let mut unmet = first.map(|condition| condition.unmet(request));
        if let AnswerKind::DataSet(data) = &self.answer.kind {
            all += 1;
            match data.answer(request) {
                Some(_) => holding += 1,
                None => unmet = unmet.or_else(|| Some(data.unmet(request))),
            }
        }
        unmet.map(|unmet| (holding * 1000 / all.max(1), unmet))
    }
}

#[cfg(test)]
mod tests;
