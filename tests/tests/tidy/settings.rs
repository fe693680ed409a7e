//! Settings that a document names exist, and have the defaults that it gives.

use belljar::config::{SETTINGS, Setting};

use crate::markdown::{Row, documents, spans};
use crate::tree::expect_none;

fn setting(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// In a table whose last column is `setting` or `settings`, the columns between the first and
/// the last hold the defaults of the settings in the last, in that order.
#[test]
fn defaults_in_tables_are_those_of_the_settings() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for document in documents() {
        for row in document.rows() {
            if matches!(
                row.head.last().map(String::as_str),
                Some("setting" | "settings")
            ) {
                checked += 1;
                if let Err(what) = check(&row) {
                    wrong.push(format!("{}: {what}", row.place));
                }
            }
        }
    }
    expect_none(
        &wrong,
        "A table gives other defaults than `belljar config show` does; write what it says \
         (an explanation may follow in parentheses):",
    );
    assert!(
        checked > 25,
        "only {checked} rows: are README's tables gone?"
    );
}

fn check(row: &Row) -> Result<(), String> {
    let [_, values @ .., names] = row.cells.as_slice() else {
        return Err("there is no row".to_owned());
    };
    let keys = spans(names);
    if names.replace('`', "") != keys.join(", ") {
        return Err(format!("{names:?} is no list of settings"));
    }
    let mut defaults = Vec::new();
    for key in &keys {
        let setting = setting(key).ok_or_else(|| format!("there is no setting {key}"))?;
        defaults.push(setting.default_text());
    }
    let given: Vec<String> = values.iter().map(|value| plain(value)).collect();
    if given.join(", ") != defaults.join(", ") {
        return Err(format!(
            "{} is {:?}, and the row says {:?}",
            keys.join(", "),
            defaults.join(", "),
            given.join(", ")
        ));
    }
    Ok(())
}

/// A value without what is written for people: explanations in parentheses, the spaces between
/// groups of digits, and code marks.
fn plain(cell: &str) -> String {
    let mut text = String::new();
    let mut depth = 0;
    for c in cell.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '`' => {}
            _ if depth > 0 => {}
            _ => text.push(c),
        }
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let digits = |word: &str| {
        word.trim_end_matches(',')
            .bytes()
            .all(|b| b.is_ascii_digit())
    };
    let mut joined = String::new();
    for (at, word) in words.iter().enumerate() {
        let group =
            at > 0 && digits(word) && digits(words[at - 1]) && !words[at - 1].ends_with(',');
        if at > 0 && !group {
            joined.push(' ');
        }
        joined.push_str(word);
    }
    joined.replace(" ,", ",")
}

#[test]
fn a_value_is_read_without_its_explanation() {
    assert_eq!(plain("1 024, 512"), "1024, 512");
    assert_eq!(plain("20 000 000 000"), "20000000000");
    assert_eq!(
        plain("`auto` (half of the machine's), 4 GiB"),
        "auto, 4 GiB"
    );
    assert_eq!(plain("5 min, 1 h, 1 d"), "5 min, 1 h, 1 d");
}

/// Variables that are no settings.
const OTHERS: [&str; 4] = [
    "BELLJAR_CONFIG",
    "BELLJAR_SERVER",
    "BELLJAR_ADMIN_KEY_FILE",
    "BELLJAR_SIGNING_FILE",
];

/// Attributes of spans that are no settings.
const ATTRIBUTES: [&str; 1] = ["http.route"];

/// What looks like a setting (`sandbox.queue_max`) or one of its variables is one.
#[test]
fn every_setting_that_a_document_names_exists() {
    let groups: Vec<&str> = SETTINGS
        .iter()
        .filter_map(|setting| Some(setting.key.split_once('.')?.0))
        .collect();
    let variables: Vec<String> = SETTINGS
        .iter()
        .flat_map(|setting| [Some(setting.variable()), setting.fakeai_variable()])
        .flatten()
        .chain(OTHERS.map(str::to_owned))
        .collect();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for document in documents() {
        // The values of a chart have names of their own.
        if document.name.starts_with("examples/helm/") {
            continue;
        }
        for span in document.spans() {
            let word = span.text.split([' ', '=']).next().unwrap_or_default();
            let known = if let Some((group, key)) = word.split_once('.')
                && groups.contains(&group)
                && is_plain(key)
            {
                key == "*" || setting(word).is_some() || ATTRIBUTES.contains(&word)
            } else if word.starts_with("BELLJAR_") || word.starts_with("FAKEAI_") {
                word.ends_with('…') || variables.iter().any(|name| name == word)
            } else {
                continue;
            };
            checked += 1;
            if !known {
                wrong.push(format!("{}: `{word}`", span.place));
            }
        }
    }
    expect_none(&wrong, "A document names settings that do not exist:");
    assert!(checked > 100, "only {checked} names of settings were found");
}

/// Whether it can be the second half of a key; file names such as `audit.log` cannot.
fn is_plain(key: &str) -> bool {
    const ENDS_OF_FILES: [&str; 5] = ["log", "rs", "toml", "head", "key"];
    !ENDS_OF_FILES.contains(&key)
        && (key == "*"
            || key
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'))
}
