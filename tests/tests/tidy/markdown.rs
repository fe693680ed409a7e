//! Reads of a document what tests ask for: code in a line, code in a block, tables.

use crate::tree::{File, files};

/// All documents but the changelog, which tells of names that are gone.
pub(crate) fn documents() -> Vec<Document> {
    files("", &[".md"])
        .into_iter()
        .filter(|file| file.name != "CHANGELOG.md")
        .map(Document::new)
        .collect()
}

/// One document.
pub(crate) struct Document {
    pub(crate) name: String,
    lines: Vec<Line>,
}

struct Line {
    number: usize,
    text: String,
    /// The language of the fence around the line, if there is one.
    fence: Option<String>,
}

/// A piece of a document and where it is: `README.md:12`.
pub(crate) struct Piece {
    pub(crate) place: String,
    pub(crate) text: String,
}

/// A row of a table below its head.
pub(crate) struct Row {
    pub(crate) place: String,
    pub(crate) head: Vec<String>,
    pub(crate) cells: Vec<String>,
}

impl Document {
    fn new(file: File) -> Self {
        let mut fence: Option<String> = None;
        let mut lines = Vec::new();
        for (number, text) in (1..).zip(file.text.lines()) {
            if let Some(language) = text.trim_start().strip_prefix("```") {
                fence = match fence {
                    Some(_) => None,
                    None => Some(language.trim().to_owned()),
                };
                continue;
            }
            lines.push(Line {
                number,
                text: text.to_owned(),
                fence: fence.clone(),
            });
        }
        assert!(fence.is_none(), "{}: a ``` is not closed", file.name);
        Self {
            name: file.name,
            lines,
        }
    }

    fn place(&self, line: &Line) -> String {
        format!("{}:{}", self.name, line.number)
    }

    /// Code within lines, between backticks.
    pub(crate) fn spans(&self) -> Vec<Piece> {
        let outside = self.lines.iter().filter(|line| line.fence.is_none());
        outside
            .flat_map(|line| {
                spans(&line.text).into_iter().map(|text| Piece {
                    place: self.place(line),
                    text,
                })
            })
            .collect()
    }

    /// Where the links of the lines lead: `[text](path)`.
    pub(crate) fn links(&self) -> Vec<Piece> {
        let outside = self.lines.iter().filter(|line| line.fence.is_none());
        outside
            .flat_map(|line| {
                let ends = line.text.split("](").skip(1);
                ends.filter_map(|end| end.split_once(')'))
                    .map(|(path, _)| Piece {
                        place: self.place(line),
                        text: path.to_owned(),
                    })
            })
            .collect()
    }

    /// The commands in blocks of shell; those that go on over lines are one.
    pub(crate) fn shell_commands(&self) -> Vec<Piece> {
        let mut commands: Vec<Piece> = Vec::new();
        let mut goes_on = false;
        for line in &self.lines {
            if !matches!(line.fence.as_deref(), Some("sh" | "bash" | "text" | "")) {
                goes_on = false;
                continue;
            }
            let text = line.text.trim_end_matches('\\').trim();
            match commands.last_mut() {
                Some(last) if goes_on => last.text = format!("{} {text}", last.text),
                _ => commands.push(Piece {
                    place: self.place(line),
                    text: text.to_owned(),
                }),
            }
            goes_on = line.text.ends_with('\\');
        }
        commands
    }

    /// The rows of all tables.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut head: Option<Vec<String>> = None;
        for line in self.lines.iter().filter(|line| line.fence.is_none()) {
            let Some(cells) = cells(&line.text) else {
                head = None;
                continue;
            };
            match &head {
                None => head = Some(cells),
                Some(_) if cells.iter().all(|cell| cell.chars().all(|c| c == '-')) => {}
                Some(head) => rows.push(Row {
                    place: self.place(line),
                    head: head.clone(),
                    cells,
                }),
            }
        }
        rows
    }
}

/// What stands between backticks in a line.
pub(crate) fn spans(line: &str) -> Vec<String> {
    let odd = line.split('`').skip(1).step_by(2);
    odd.map(str::to_owned).collect()
}

fn cells(line: &str) -> Option<Vec<String>> {
    let inside = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let cells = inside.split(" |").map(|cell| cell.trim().to_owned());
    Some(cells.collect())
}
