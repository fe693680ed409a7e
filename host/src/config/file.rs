//! The configuration file: TOML, flattened to dotted keys with the line of each.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Source};
use super::values::RawValue;

/// One value of the file.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    /// The value as written, or the reason why it can mean nothing here.
    pub(super) value: Result<RawValue, String>,
}

/// Reads a file's text.
pub(super) fn parse(text: &str, path: &Path) -> Result<Vec<Entry>, Problem> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        Problem {
            source: Source::File {
                path: path.to_owned(),
                line,
            },
            name: "syntax".to_owned(),
            message: error.message().to_owned(),
        }
    })?;
    let mut entries = Vec::new();
    flatten(table.get_ref(), "", text, &mut entries);
    Ok(entries)
}

fn flatten(table: &DeTable<'_>, prefix: &str, text: &str, entries: &mut Vec<Entry>) {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        if let DeValue::Table(inner) = value.get_ref() {
            flatten(inner, &format!("{key}."), text, entries);
            continue;
        }
        let line = line_of(text, name.span().start);
        entries.push(Entry {
            key,
            line,
            value: raw(value),
        });
    }
}

fn raw(value: &Spanned<DeValue<'_>>) -> Result<RawValue, String> {
    match value.get_ref() {
        DeValue::Array(items) => items
            .iter()
            .map(|item| scalar(item.get_ref()))
            .collect::<Result<_, _>>()
            .map(RawValue::List),
        single => scalar(single).map(RawValue::Text),
    }
}

fn scalar(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Boolean(on) => Ok(on.to_string()),
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|_| "expected a whole number from 0".to_owned()),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => Err(
            format!("no setting takes a value of the type {}", value.type_str()),
        ),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keys_are_flattened_with_their_lines() {
        let text =
            "listen = \"x\"\n\n[log]\nlevel = 'warn'\naccess = false\n[a.b]\nc = [1, \"2\"]\n";
        let entries = parse(text, Path::new("f")).unwrap();
        let flat: Vec<_> = entries
            .into_iter()
            .map(|e| (e.key, e.line, e.value.unwrap()))
            .collect();
        let single = |text: &str| RawValue::Text(text.to_owned());
        assert_eq!(
            flat,
            [
                ("listen".to_owned(), 1, single("x")),
                ("log.level".to_owned(), 4, single("warn")),
                ("log.access".to_owned(), 5, single("false")),
                (
                    "a.b.c".to_owned(),
                    7,
                    RawValue::List(vec!["1".to_owned(), "2".to_owned()])
                ),
            ]
        );
    }

    #[test]
    fn broken_files_say_where() {
        for (text, line) in [("a = 1\nb = ", 2), ("a = 1\na = 2\n", 2), ("[x\n", 1)] {
            let problem = parse(text, Path::new("f.toml")).map(|_| ()).unwrap_err();
            assert!(
                problem.to_string().starts_with(&format!("f.toml:{line}")),
                "{problem}"
            );
        }
    }

    #[test]
    fn values_that_mean_nothing_are_refused() {
        for text in ["a = 1.5", "a = -1", "a = 2020-01-01", "a = [[1]]"] {
            let entries = parse(text, Path::new("f")).unwrap();
            assert!(entries.iter().all(|entry| entry.value.is_err()), "{text}");
        }
    }
}
