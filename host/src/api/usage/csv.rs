//! Usage as CSV (RFC 4180), whose texts no spreadsheet takes for a formula.

use super::Names;
use crate::ledger::{Amounts, Dimension, Report, Value};
use http::HeaderValue;

/// The media type, which says that the first line has the names of the columns.
pub(super) const MEDIA_TYPE: HeaderValue =
    HeaderValue::from_static("text/csv; charset=utf-8; header=present");

const LINE_END: &str = "\r\n";

type Column = (&'static str, fn(&Amounts) -> u64);

const AMOUNTS: [Column; 6] = [
    ("requests", |amounts| amounts.requests),
    ("failed_requests", |amounts| amounts.failed_requests),
    ("prompt_tokens", |amounts| amounts.prompt_tokens),
    ("completion_tokens", |amounts| amounts.completion_tokens),
    ("fuel", |amounts| amounts.fuel),
    ("run_us", |amounts| amounts.run_us),
];

/// All rows of a report, after a line with the names of the columns.
pub(super) fn write(by: &[Dimension], report: &Report, names: &Names) -> String {
    let head = by.iter().flat_map(|dimension| match dimension {
        Dimension::Key => &["key_id", "key_name"][..],
        Dimension::Model => &["model"],
        Dimension::Day => &["day"],
        Dimension::Month => &["month"],
    });
    let head = head.chain(AMOUNTS.iter().map(|(name, _)| name));
    let mut text = head.copied().collect::<Vec<_>>().join(",");
    text.push_str(LINE_END);
    for row in &report.rows {
        for value in &row.of {
            match value {
                Value::Key(id) => {
                    push_text(&mut text, id);
                    text.push(',');
                    push_text(&mut text, names.get(id).map_or("", String::as_str));
                }
                Value::Model(name) => push_text(&mut text, name),
                Value::Day(day) => text.push_str(&day.to_string()),
                Value::Month(month) => text.push_str(&month.to_string()),
            }
            text.push(',');
        }
        let amounts = AMOUNTS.iter().map(|(_, of)| of(&row.amounts).to_string());
        text.push_str(&amounts.collect::<Vec<_>>().join(","));
        text.push_str(LINE_END);
    }
    text
}

/// What makes a cell a formula for one spreadsheet or another, in full width as well.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// What can end a cell: a spreadsheet that is set to another separator than the comma does not know
/// our quotes, either.
const SEPARATORS: [char; 7] = [',', ';', '|', '\t', '\r', '\n', '"'];

/// Writes a text that somebody chose. Where it could begin a formula, an apostrophe stands before
/// it, by which a spreadsheet knows a text.
fn push_text(out: &mut String, text: &str) {
    out.push('"');
    let mut begins_cell = true;
    for c in text.chars() {
        if begins_cell && FORMULA.contains(&c) {
            out.push('\'');
        }
        begins_cell = SEPARATORS.contains(&c) || (begins_cell && c.is_whitespace());
        if c == '"' {
            out.push('"');
        }
        out.push(c);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let mut out = String::new();
        push_text(&mut out, text);
        assert_eq!(out, expect, "{text}");
    }

    #[test]
    fn a_text_is_quoted_and_is_no_formula() {
        check("", "\"\"");
        check("team 1 - a+b", "\"team 1 - a+b\"");
        check("a \"b\", c", "\"a \"\"b\"\", c\"");
        check("=1+1", "\"'=1+1\"");
        check("  @SUM(A1)", "\"  '@SUM(A1)\"");
        check("-2", "\"'-2\"");
        check("＝cmd", "\"'＝cmd\"");
        check("x;=cmd()", "\"x;'=cmd()\"");
        check("x\", =cmd()", "\"x\"\", '=cmd()\"");
        check("x\t+1", "\"x\t'+1\"");
    }

    proptest! {
        /// However a spreadsheet cuts the line into cells, none begins like a formula.
        #[test]
        fn no_cell_begins_like_a_formula(text in "[-=+@a;,|\t \"'＝]{0,12}") {
            let mut out = String::new();
            push_text(&mut out, &text);
            let cells = out.split(|c| SEPARATORS.contains(&c));
            for cell in cells.map(str::trim_start) {
                prop_assert!(!cell.starts_with(FORMULA), "{out}");
            }
            // And what was written can be read again.
            let inside = out.strip_prefix('"').and_then(|out| out.strip_suffix('"'));
            let inside = inside.unwrap_or_default().replace("\"\"", "\"");
            prop_assert_eq!(inside.replace('\'', ""), text.replace('\'', ""));
        }
    }
}
