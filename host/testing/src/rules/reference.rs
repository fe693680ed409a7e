//! The reference page of rule files, made of the tables that the reader goes by.

use super::keys::{RuleKey, RuleTable, rule_tables};
use super::{
    CONDITIONS_MAX, DATA_SET_BYTES_MAX, DATA_SET_LINES_MAX, EMBEDDING_MAX, EXPRESSION_BYTES_MAX,
    EXPRESSION_COMPILED_BYTES_MAX, EXPRESSIONS_MAX, FILE_BYTES_MAX, PATH_BYTES_MAX,
    PATH_COMMAS_MAX, PATH_DEPTH_MAX, PROBLEMS_MAX, RULES_MAX, SEQUENCE_MAX, TEMPLATE_NAMES,
    TOOL_CALLS_MAX,
};
use crate::template::{
    TEMPLATE_BYTES_MAX, TEMPLATE_FUEL, TEMPLATE_OUTPUT_BYTES_MAX, template_filters,
};
use std::fmt::Write as _;

/// Every limit of a rule file, what is limited, and its unit.
const LIMITS: &[(usize, &str)] = &[
    (FILE_BYTES_MAX, "bytes of a rule file"),
    (RULES_MAX, "rules in a file"),
    (CONDITIONS_MAX, "conditions in a list"),
    (EXPRESSIONS_MAX, "regular expressions in a file"),
    (EXPRESSION_BYTES_MAX, "bytes of a regular expression"),
    (
        EXPRESSION_COMPILED_BYTES_MAX,
        "bytes of a regular expression once it is compiled; it looks at each byte of a text a fixed number of times, whatever it is",
    ),
    (PATH_BYTES_MAX, "bytes of a JSONPath"),
    (PATH_DEPTH_MAX, "brackets inside one another in a JSONPath"),
    (
        PATH_COMMAS_MAX,
        "commas in a JSONPath, which has one `..` and one `$` at most, and neither `match()` nor `search()`",
    ),
    (SEQUENCE_MAX, "answers in a sequence"),
    (TOOL_CALLS_MAX, "calls of tools in an answer"),
    (EMBEDDING_MAX, "numbers in a vector"),
    (DATA_SET_BYTES_MAX, "bytes of a data set"),
    (DATA_SET_LINES_MAX, "lines of a data set"),
    (TEMPLATE_BYTES_MAX, "bytes of a template"),
    (TEMPLATE_OUTPUT_BYTES_MAX, "bytes that a template makes"),
    (PROBLEMS_MAX, "problems of a file that are told"),
];

const HEAD: &str = "\
# Rule files

Written by `cargo run -p belljar --example reference_pages`; do not edit by hand.

What answers in place of a model, for testers: [docs/testing.md](testing.md#answers) has examples
and says how a file comes into force. It is TOML. The first rule that matches a request answers it.
Everything that is wrong in a file is told by line and column before any of it is used.

";

/// The reference of rule files, as Markdown. `docs/rules.md` is a copy of it.
#[must_use]
pub fn rules_reference() -> String {
    let mut page = String::from(HEAD);
    // Writing to a string does not fail.
    for RuleTable { name, doc, keys } in rule_tables() {
        let _ = write!(
            page,
            "## `{name}`\n\n{doc}\n\n| key | value | |\n| --- | --- | --- |\n"
        );
        for RuleKey { name, value, doc } in *keys {
            let _ = writeln!(page, "| `{name}` | {value} | {doc} |");
        }
        page.push('\n');
    }
    page.push_str(
        "## Templates\n\nTexts of answers are templates in the language of Jinja: `{{ last_user }}`, \
         `{% if turn > 1 %}…{% endif %}`. What is named and not there is an error, unless it is \
         asked for by `if` or `default`. There are no files, no time and no chance in them.\n\n\
         | name | |\n| --- | --- |\n",
    );
    for (name, doc) in TEMPLATE_NAMES {
        let _ = writeln!(page, "| `{name}` | {doc} |");
    }
    let filters: Vec<_> = template_filters()
        .iter()
        .map(|it| format!("`{it}`"))
        .collect();
    let _ = write!(
        page,
        "\nFilters: {}. Functions: `range`.\n\n## Limits\n\n| most | |\n| ---: | --- |\n",
        filters.join(", ")
    );
    for (most, doc) in LIMITS {
        let _ = writeln!(page, "| {most} | {doc} |");
    }
    let _ = writeln!(
        page,
        "| {TEMPLATE_FUEL} | units of fuel that making one text takes: about one for each step, and one for each 64 bytes that are made on the way |"
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_that_of_the_tables() {
        let page = include_str!("../../../../docs/rules.md");
        assert_eq!(
            page,
            rules_reference(),
            "docs/rules.md is behind: cargo run -p belljar --example reference_pages"
        );
    }
}
