//! The reference page of faults.

use belljar_testing::fault::{Argument, FAULTS};
use std::fmt::Write as _;

/// The page, in Markdown, made from the table of faults. `docs/faults.md` is a copy of it.
#[must_use]
pub fn faults_page() -> String {
    let mut page = "# Faults\n\n\
        Written by `cargo run -p belljar --example reference_pages`; do not edit by hand.\n\n\
        What `x-belljar-fault`, `fault` in `POST /admin/worlds/{name}/faults` and `test.faults` take: \
        one or several of these, with `;` between them. A chunk is an event of a stream, or 64 bytes of \
        an answer in one piece. [testing.md](testing.md) says how they are asked for.\n\n\
        | fault | takes | what a client sees |\n| --- | --- | --- |\n"
        .to_owned();
    for row in FAULTS {
        let (name, takes) = match row.argument {
            Argument::None => (row.name.to_owned(), "nothing"),
            Argument::Chunks => (format!("{}=5", row.name), "a number of chunks"),
            Argument::Chunk => (
                format!("{}=2", row.name),
                "the number of a chunk, from 1; the first where nothing is said",
            ),
            Argument::Time => (format!("{}=2s", row.name), "a time"),
            Argument::Text(what) => (format!("{}=…", row.name), what),
        };
        let _ = writeln!(page, "| `{name}` | {takes} | {} |", row.doc);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::faults_page;

    #[test]
    fn the_page_is_that_of_the_table() {
        let page = include_str!("../../../docs/faults.md");
        let hint = "run `cargo run -p belljar --example reference_pages`";
        assert_eq!(page, faults_page(), "{hint}");
    }
}
