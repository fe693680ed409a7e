//! A rule file or a line of a data set as a tree that knows where each of its values stands.

use super::problems::{Place, Problem};
use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value, and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) value: NodeValue,
    pub(super) at: Place,
}

#[derive(Debug)]
pub(super) enum NodeValue {
    Null,
    Switch(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Member>),
}

/// A member of a table.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) at: Place,
    pub(super) node: Node,
}

impl Node {
    /// What the value is, for a message about another that was expected.
    pub(super) fn type_name(&self) -> &'static str {
        match self.value {
            NodeValue::Null => "null",
            NodeValue::Switch(_) => "a boolean",
            NodeValue::Integer(_) => "an integer",
            NodeValue::Float(_) => "a number",
            NodeValue::Text(_) => "a text",
            NodeValue::List(_) => "a list",
            NodeValue::Table(_) => "a table",
        }
    }

    /// The value as JSON.
    pub(super) fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Switch(value) => Value::Bool(*value),
            NodeValue::Integer(value) => Value::from(*value),
            // JSON has no other numbers; those are refused where they are read.
            NodeValue::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
            NodeValue::Text(text) => Value::String(text.clone()),
            NodeValue::List(items) => items.iter().map(Self::to_json).collect(),
            NodeValue::Table(members) => {
                let members = members.iter();
                let members = members.map(|member| (member.key.clone(), member.node.to_json()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }
}

/// The tree of a TOML file, whose top is a table.
///
/// # Errors
///
/// Everything that is no TOML in it.
pub(super) fn of_toml(text: &str) -> Result<Node, Vec<Problem>> {
    let places = Places::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<Problem> = errors
        .iter()
        .map(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let words = error.message().replace('\n', ", ");
            Problem::new(places.of(at), format!("this is no TOML: {words}"))
        })
        .collect();
    let at = places.of(table.span().start);
    let members = members_of(table.get_ref(), &places, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let value = NodeValue::Table(members);
    Ok(Node { value, at })
}

fn members_of(
    table: &DeTable<'_>,
    places: &Places<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<Member> {
    let members = table.iter().map(|(key, value)| Member {
        key: key.get_ref().to_string(),
        at: places.of(key.span().start),
        node: node_of(value, places, problems),
    });
    members.collect()
}

fn node_of(
    spanned: &Spanned<DeValue<'_>>,
    places: &Places<'_>,
    problems: &mut Vec<Problem>,
) -> Node {
    let at = places.of(spanned.span().start);
    let value = match spanned.get_ref() {
        DeValue::String(text) => NodeValue::Text(text.to_string()),
        DeValue::Boolean(value) => NodeValue::Switch(*value),
        DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(value) => NodeValue::Integer(value),
            Err(_) => {
                problems.push(Problem::new(at, "this integer has more than 64 bits"));
                NodeValue::Null
            }
        },
        DeValue::Float(digits) => match digits.as_str().parse::<f64>() {
            Ok(value) if value.is_finite() => NodeValue::Float(value),
            _ => {
                problems.push(Problem::new(at, "expected a finite number"));
                NodeValue::Null
            }
        },
        DeValue::Datetime(time) => NodeValue::Text(time.to_string()),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| node_of(item, places, problems));
            NodeValue::List(items.collect())
        }
        DeValue::Table(table) => NodeValue::Table(members_of(table, places, problems)),
    };
    Node { value, at }
}

/// The tree of a JSON value, all of which counts as standing at one place.
pub(super) fn of_json(value: Value, at: Place) -> Node {
    let value = match value {
        Value::Null => NodeValue::Null,
        Value::Bool(value) => NodeValue::Switch(value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => NodeValue::Integer(value),
            (None, Some(value)) => NodeValue::Float(value),
            (None, None) => NodeValue::Null,
        },
        Value::String(text) => NodeValue::Text(text),
        Value::Array(items) => {
            let items = items.into_iter().map(|item| of_json(item, at));
            NodeValue::List(items.collect())
        }
        Value::Object(members) => {
            let members = members.into_iter().map(|(key, value)| Member {
                key,
                at,
                node: of_json(value, at),
            });
            NodeValue::Table(members.collect())
        }
    };
    Node { value, at }
}

/// Lines and columns of the places in a text.
struct Places<'t> {
    text: &'t str,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
}

impl<'t> Places<'t> {
    fn new(text: &'t str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        Self { text, lines }
    }

    /// The place of an offset in bytes.
    fn of(&self, offset: usize) -> Place {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|line| self.lines.get(line));
        let start = start.copied().unwrap_or(0);
        let end = self.text.floor_char_boundary(offset);
        let before = self.text.get(start..end).unwrap_or_default();
        Place {
            line: line.max(1),
            column: Some(before.chars().count() + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_characters() {
        let places = Places::new("ab\nä b\n");
        let place = |offset| {
            let Place { line, column } = places.of(offset);
            (line, column.unwrap())
        };
        assert_eq!(place(0), (1, 1));
        assert_eq!(place(2), (1, 3), "the end of a line is part of it");
        assert_eq!(place(3), (2, 1));
        assert_eq!(place(6), (2, 3), "`ä` is one character");
        assert_eq!(place(999), (3, 1), "past the end is the end");
    }

    #[test]
    fn all_that_is_no_toml_is_told() {
        let problems = of_toml("a = \nb = 1\nc = [1,\n").unwrap_err();
        assert!(problems.len() >= 2, "{problems:?}");
        assert!(problems.iter().any(|problem| problem.place().line == 1));
        let problems = of_toml("a = 99999999999999999999\nb = inf").unwrap_err();
        let words: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            [
                "line 1, column 5: this integer has more than 64 bits",
                "line 2, column 5: expected a finite number"
            ]
        );
    }
}
