//! A tree made into rules; everything that is wrong with it is told, and not only the first.

use super::answer::Repeat;
use super::condition::{BodyCondition, Condition, MessageCondition};
use super::keys::{self, RuleTable};
use super::path::BodyPath;
use super::pattern::Patterns;
use super::problems::Problem;
use super::text::{TextCondition, expression};
use super::tree::{Member, Node, NodeValue};
use super::{NAME_BYTES_MAX, RULES_MAX, Rule, Surroundings};
use crate::template::{Template, Templates};
use crate::words::{article, cut_name};

/// Regular expressions in one file.
pub const EXPRESSIONS_MAX: usize = 256;

/// Conditions in one list.
pub const CONDITIONS_MAX: usize = 64;

/// The roles that a message can have.
const ROLES: &[(&str, &str)] = &[
    ("system", "system"),
    ("developer", "developer"),
    ("user", "user"),
    ("assistant", "assistant"),
    ("tool", "tool"),
];

/// The reader of one file.
pub(super) struct Reader<'f> {
    pub(super) problems: Vec<Problem>,
    pub(super) templates: Templates,
    pub(super) around: &'f Surroundings<'f>,
    expressions: usize,
    /// The data set that is read, if it is one and is a file of its own.
    pub(super) file: Option<String>,
    /// Whether texts are what they are: those of a data set are no templates.
    pub(super) is_literal: bool,
}

/// The members of a table that has been checked for unknown ones.
#[derive(Clone, Copy)]
pub(super) struct Fields<'n>(&'n [Member]);

impl<'n> Fields<'n> {
    pub(super) fn find(self, key: &str) -> Option<&'n Node> {
        let member = self.0.iter().find(|member| member.key == key);
        member.map(|member| &member.node)
    }

    /// The place of a key.
    pub(super) fn at(self, key: &str) -> Option<super::Place> {
        let member = self.0.iter().find(|member| member.key == key);
        member.map(|member| member.at)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is nothing else than one key, if that.
    fn has_only(self, key: &str) -> bool {
        self.0.iter().all(|member| member.key == key)
    }
}

impl<'f> Reader<'f> {
    pub(super) fn new(around: &'f Surroundings<'f>) -> Self {
        Self {
            problems: Vec::new(),
            templates: Templates::new(),
            around,
            expressions: 0,
            file: None,
            is_literal: false,
        }
    }

    /// The rules of a file, and whether it is strict.
    pub(super) fn file(&mut self, node: &Node) -> (Vec<Rule>, bool) {
        let Some(file) = self.table(node, &keys::FILE) else {
            return (Vec::new(), false);
        };
        let is_strict = file.find("strict").and_then(|node| self.switch(node));
        let mut rules: Vec<Rule> = Vec::new();
        if let Some(node) = file.find("rule") {
            let items = self.list(node, "rules, each as `[[rule]]`", RULES_MAX);
            for item in items {
                let Some(rule) = self.rule(item) else {
                    continue;
                };
                if rules.iter().any(|other| other.name == rule.name) {
                    self.problem::<()>(item, format!("there are two rules `{}`", rule.name));
                }
                rules.push(rule);
            }
        }
        (rules, is_strict.unwrap_or(false))
    }

    fn rule(&mut self, node: &Node) -> Option<Rule> {
        let rule = self.table(node, &keys::RULE)?;
        let name = match rule.find("name") {
            Some(node) => self.name(node),
            None => self.problem(node, "a rule needs a `name`"),
        };
        let conditions = rule.find("match").map(|node| self.conditions(node, true));
        let answer = match rule.find("answer") {
            Some(node) => self.answer(node, true),
            None => self.problem(node, "a rule needs an `answer`"),
        };
        Some(Rule {
            name: name?,
            conditions: conditions.unwrap_or_default(),
            answer: answer?,
        })
    }

    fn name(&mut self, node: &Node) -> Option<String> {
        let name = self.text(node)?;
        let is_of_names = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_of_names) {
            let words = format!(
                "the name of a rule is 1 to {NAME_BYTES_MAX} of `a-z`, `A-Z`, `0-9`, `.`, `_` and `-`"
            );
            return self.problem(node, words);
        }
        Some(name)
    }

    /// Conditions, in the order in which they are looked at: what costs less comes first.
    fn conditions(&mut self, node: &Node, may_negate: bool) -> Vec<Condition> {
        let mut all = Vec::new();
        let Some(fields) = self.table(node, &keys::MATCH) else {
            return all;
        };
        let mut push = |condition: Option<Condition>| all.extend(condition);
        if let Some(node) = fields.find("model") {
            push(self.patterns(node).map(Condition::Model));
        }
        if let Some(node) = fields.find("path") {
            push(self.patterns(node).map(Condition::Path));
        }
        if let Some(node) = fields.find("stream") {
            push(self.switch(node).map(Condition::Stream));
        }
        if let Some(node) = fields.find("header") {
            for (name, node) in self.headers(node) {
                let text = self.text_condition(node);
                push(text.map(|text| Condition::Header(name.to_ascii_lowercase(), text)));
            }
        }
        if let Some(node) = fields.find("offers_tool") {
            push(self.patterns(node).map(Condition::OffersTool));
        }
        if let Some(node) = fields.find("calls_tool") {
            push(self.patterns(node).map(Condition::CallsTool));
        }
        if let Some(node) = fields.find("last_user") {
            push(self.text_condition(node).map(Condition::LastUser));
        }
        if let Some(node) = fields.find("system") {
            push(self.text_condition(node).map(Condition::System));
        }
        if let Some(node) = fields.find("last") {
            push(self.message(node).map(Condition::Last));
        }
        for (key, made) in [
            (
                "message",
                Condition::Message as fn(MessageCondition) -> Condition,
            ),
            ("tool_result", Condition::ToolResult),
        ] {
            let Some(node) = fields.find(key) else {
                continue;
            };
            for node in self.one_or_list(node) {
                push(self.message(node).map(made));
            }
        }
        if let Some(node) = fields.find("body") {
            for node in self.one_or_list(node) {
                push(self.body(node).map(Condition::Body));
            }
        }
        if let Some(node) = fields.find("not") {
            if may_negate {
                push(Some(Condition::Not(self.conditions(node, false))));
            } else {
                self.problem::<()>(node, "`not` cannot stand in `not`");
            }
        }
        all
    }

    fn headers<'n>(&mut self, node: &'n Node) -> Vec<(&'n str, &'n Node)> {
        let NodeValue::Table(members) = &node.value else {
            self.wrong_type::<()>(node, "a table of headers");
            return Vec::new();
        };
        let mut headers = Vec::new();
        for member in members.iter().take(CONDITIONS_MAX) {
            if crate::secrets::is_secret_header(&member.key.to_ascii_lowercase()) {
                let words = format!(
                    "`{}` holds a secret, which no rule sees",
                    cut_name(&member.key, 64)
                );
                self.problems
                    .push(Problem::new(member.at, words).in_file(self.file.as_deref()));
            } else {
                headers.push((member.key.as_str(), &member.node));
            }
        }
        headers
    }

    fn text_condition(&mut self, node: &Node) -> Option<TextCondition> {
        if let NodeValue::Text(text) = &node.value {
            let equals = Some(text.clone());
            return Some(TextCondition {
                equals,
                ..TextCondition::default()
            });
        }
        let fields = self.table_or(node, &keys::TEXT, "a text, or a table")?;
        let mut condition = self.text_fields(fields);
        condition.present = fields.find("present").and_then(|node| self.switch(node));
        if fields.has_only("ignore_case") {
            return self.problem(node, "this says nothing of the text");
        }
        if condition.present == Some(false) && !condition.is_empty() {
            return self.problem(
                node,
                "what is not present has no text of which anything is said",
            );
        }
        Some(condition)
    }

    /// What tables say of a text, of any kind that does.
    fn text_fields(&mut self, fields: Fields<'_>) -> TextCondition {
        let ignores_case = fields
            .find("ignore_case")
            .and_then(|node| self.switch(node));
        let ignores_case = ignores_case.unwrap_or(false);
        let mut text = |key: &str| fields.find(key).and_then(|node| self.text(node));
        let [equals, contains, starts_with, ends_with] =
            ["equals", "contains", "starts_with", "ends_with"].map(&mut text);
        let matches = fields
            .find("matches")
            .and_then(|node| self.expression(node, ignores_case));
        let condition = TextCondition {
            equals,
            contains,
            starts_with,
            ends_with,
            matches,
            ignores_case,
            present: None,
        };
        condition.finish()
    }

    fn expression(&mut self, node: &Node, ignores_case: bool) -> Option<regex::Regex> {
        let text = self.text(node)?;
        self.expressions += 1;
        if self.expressions > EXPRESSIONS_MAX {
            let words = format!("more than {EXPRESSIONS_MAX} regular expressions in one file");
            return self.problem(node, words);
        }
        match expression(&text, ignores_case, node.at) {
            Ok(expression) => Some(expression),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn message(&mut self, node: &Node) -> Option<MessageCondition> {
        if let NodeValue::Text(_) = &node.value {
            let text = self.text_condition(node)?;
            return Some(MessageCondition {
                text,
                ..MessageCondition::default()
            });
        }
        let fields = self.table_or(node, &keys::MESSAGE, "a text, or a table")?;
        if fields.is_empty() {
            return self.problem(node, "this says nothing of the message");
        }
        let role = fields
            .find("role")
            .and_then(|node| self.one_of(node, ROLES));
        let tool = fields.find("tool").and_then(|node| self.patterns(node));
        let text = self.text_fields(fields);
        Some(MessageCondition { role, tool, text })
    }

    fn body(&mut self, node: &Node) -> Option<BodyCondition> {
        if let NodeValue::Text(_) = &node.value {
            return Some(BodyCondition {
                path: self.path(node)?,
                equals: None,
                text: TextCondition::default(),
                count: None,
                present: None,
            });
        }
        let fields = self.table_or(node, &keys::BODY, "a JSONPath, or a table")?;
        let path = match fields.find("path") {
            Some(node) => self.path(node),
            None => self.problem(node, "a condition on the body needs a `path`"),
        };
        let equals = fields.find("equals").map(Node::to_json);
        let text = TextCondition {
            equals: None,
            ..self.body_text(fields)
        };
        let count = fields
            .find("count")
            .and_then(|node| self.natural(node, u64::MAX));
        let present = fields.find("present").and_then(|node| self.switch(node));
        let asks_more = equals.is_some() || !text.is_empty() || count.is_some();
        if present == Some(false) && asks_more {
            return self.problem(node, "of values that are not present nothing can be said");
        }
        Some(BodyCondition {
            path: path?,
            equals,
            text,
            count,
            present,
        })
    }

    /// What is said of texts of the body. `equals` is not among it: it can be any value.
    fn body_text(&mut self, fields: Fields<'_>) -> TextCondition {
        let others: Vec<&Member> = fields.0.iter().filter(|it| it.key != "equals").collect();
        let ignores_case = fields
            .find("ignore_case")
            .and_then(|node| self.switch(node));
        let ignores_case = ignores_case.unwrap_or(false);
        let mut text = |key: &str| {
            let member = others.iter().find(|member| member.key == key)?;
            self.text(&member.node)
        };
        let [contains, starts_with, ends_with] =
            ["contains", "starts_with", "ends_with"].map(&mut text);
        let matches = fields
            .find("matches")
            .and_then(|node| self.expression(node, ignores_case));
        let condition = TextCondition {
            contains,
            starts_with,
            ends_with,
            matches,
            ignores_case,
            ..TextCondition::default()
        };
        condition.finish()
    }

    fn path(&mut self, node: &Node) -> Option<BodyPath> {
        let text = self.text(node)?;
        match BodyPath::new(&text) {
            Ok(path) => Some(path),
            Err(words) => self.problem(node, words),
        }
    }

    fn patterns(&mut self, node: &Node) -> Option<Patterns> {
        let mut patterns = Vec::new();
        for node in self.one_or_list(node) {
            patterns.push(self.text(node)?);
        }
        match patterns.is_empty() {
            true => self.problem(node, "an empty list matches nothing"),
            false => Some(Patterns::new(patterns)),
        }
    }

    /// Says what is wrong with a value.
    pub(super) fn problem<T>(&mut self, node: &Node, words: impl Into<String>) -> Option<T> {
        let problem = Problem::new(node.at, words).in_file(self.file.as_deref());
        self.problems.push(problem);
        None
    }

    pub(super) fn wrong_type<T>(&mut self, node: &Node, expected: &str) -> Option<T> {
        self.problem(
            node,
            format!("expected {expected}, found {}", node.type_name()),
        )
    }

    /// A table that has no keys but its own.
    pub(super) fn table<'n>(
        &mut self,
        node: &'n Node,
        table: &'static RuleTable,
    ) -> Option<Fields<'n>> {
        self.table_or(node, table, "a table")
    }

    pub(super) fn table_or<'n>(
        &mut self,
        node: &'n Node,
        table: &'static RuleTable,
        expected: &str,
    ) -> Option<Fields<'n>> {
        let NodeValue::Table(members) = &node.value else {
            return self.wrong_type(node, expected);
        };
        for member in members {
            if table.keys.iter().any(|key| key.name == member.key) {
                continue;
            }
            let known = table.keys.iter().map(|key| key.name);
            let alike = |name: &str| strsim::normalized_damerau_levenshtein(&member.key, name);
            let nearest = known
                .clone()
                .max_by(|one, other| alike(one).total_cmp(&alike(other)));
            let hint = match nearest.filter(|name| alike(name) >= 0.5) {
                Some(name) => format!("did you mean `{name}`?"),
                None => {
                    let known: Vec<_> = known.map(|name| format!("`{name}`")).collect();
                    format!("expected one of {}", known.join(", "))
                }
            };
            let key = cut_name(&member.key, 64);
            let words = format!("unknown key `{key}` in {}; {hint}", in_words(table));
            let problem = Problem::new(member.at, words).in_file(self.file.as_deref());
            self.problems.push(problem);
        }
        Some(Fields(members))
    }

    pub(super) fn list<'n>(&mut self, node: &'n Node, what: &str, most: usize) -> &'n [Node] {
        let NodeValue::List(items) = &node.value else {
            self.wrong_type::<()>(node, &format!("a list of {what}"));
            return &[];
        };
        if items.len() > most {
            let words = format!("{} {what} are too many; the most is {most}", items.len());
            self.problem::<()>(node, words);
            return &[];
        }
        items
    }

    /// The items of a list, or the one value that stands in place of one.
    fn one_or_list<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        match &node.value {
            NodeValue::List(_) => self.list(node, "conditions", CONDITIONS_MAX),
            _ => std::slice::from_ref(node),
        }
    }

    pub(super) fn text(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            NodeValue::Text(text) => Some(text.clone()),
            _ => self.wrong_type(node, "a text"),
        }
    }

    pub(super) fn switch(&mut self, node: &Node) -> Option<bool> {
        match node.value {
            NodeValue::Switch(value) => Some(value),
            _ => self.wrong_type(node, "`true` or `false`"),
        }
    }

    /// An integer from 0 on.
    pub(super) fn natural(&mut self, node: &Node, most: u64) -> Option<u64> {
        let value = match node.value {
            NodeValue::Integer(value) => u64::try_from(value).ok().filter(|value| *value <= most),
            _ => None,
        };
        match value {
            Some(value) => Some(value),
            None if most == u64::MAX => self.wrong_type(node, "an integer from 0 on"),
            None => self.wrong_type(node, &format!("an integer from 0 to {most}")),
        }
    }

    /// One of a few names.
    pub(super) fn one_of<T: Copy>(&mut self, node: &Node, names: &[(&str, T)]) -> Option<T> {
        let text = match &node.value {
            NodeValue::Text(text) => text.as_str(),
            _ => "",
        };
        let found = names.iter().find(|(name, _)| *name == text);
        if let Some((_, value)) = found {
            return Some(*value);
        }
        let names: Vec<_> = names.iter().map(|(name, _)| format!("`{name}`")).collect();
        self.problem(node, format!("expected one of {}", names.join(", ")))
    }

    pub(super) fn repeat(&mut self, node: &Node) -> Option<Repeat> {
        self.one_of(node, Repeat::NAMES)
    }

    /// A text that may have values of the request in it, or one that is what it is.
    pub(super) fn template(&mut self, node: &Node) -> Option<Template> {
        let text = self.text(node)?;
        if self.is_literal {
            return Some(Template::Plain(text));
        }
        match self.templates.add(&text) {
            Ok(template) => Some(template),
            Err(error) => self.problem(node, error.to_string()),
        }
    }
}

/// A table as it is told: `a rule`, `[rule.match]`.
fn in_words(table: &RuleTable) -> String {
    match table.name {
        "(top)" => "the file".to_owned(),
        name if name.starts_with('[') => format!("`{name}`"),
        name => format!("{} {name}", article(name)),
    }
}
