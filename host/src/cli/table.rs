//! Tables of text: a line a row where there is room, and on a terminal that is too narrow rows that
//! go on below, between words. No word is broken, because people copy it into the next command and
//! programs look for it.

use unicode_width::UnicodeWidthStr as _;

/// Columns between two cells.
const GAP: usize = 2;

/// A table, without an end of line. `width` is how many columns there are to write in; without
/// one, each row is one line.
pub(super) fn written<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    width: Option<usize>,
) -> String {
    let head = head.map(str::to_uppercase);
    let rows: Vec<[String; N]> = std::iter::once(head).chain(rows).collect();
    let widths = widths(&rows, width);
    let lines = rows.iter().flat_map(|row| lines(row, &widths));
    lines.collect::<Vec<_>>().join("\n")
}

/// The width of each column: that of its longest cell. Where all of them together are too wide, the
/// widest give way first, none of them below its longest word.
fn widths<const N: usize>(rows: &[[String; N]], width: Option<usize>) -> [usize; N] {
    let longest = |measure: fn(&str) -> usize| -> [usize; N] {
        rows.iter().fold([0; N], |mut longest, row| {
            for (length, cell) in longest.iter_mut().zip(row) {
                *length = (*length).max(measure(cell));
            }
            longest
        })
    };
    let mut widths = longest(|cell| cell.width());
    let least = longest(|cell| cell.split(' ').map(|word| word.width()).max().unwrap_or(0));
    let Some(width) = width else {
        return widths;
    };
    let room = width.saturating_sub(GAP * N.saturating_sub(1));
    while widths.iter().sum::<usize>() > room {
        let can_give = widths
            .iter_mut()
            .zip(&least)
            .filter(|(it, least)| **it > **least);
        let Some((widest, _)) = can_give.max_by_key(|(it, _)| **it) else {
            break;
        };
        *widest -= 1;
    }
    widths
}

/// The lines of one row.
fn lines<const N: usize>(row: &[String; N], widths: &[usize; N]) -> Vec<String> {
    let cells: Vec<Vec<String>> = row
        .iter()
        .zip(widths)
        .map(|(cell, width)| wrapped(cell, *width))
        .collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    let line = |index: usize| {
        let mut line = String::new();
        let mut column = 0;
        for (cell, width) in cells.iter().zip(widths) {
            let text = cell.get(index).map_or("", String::as_str);
            line.push_str(text);
            column += width + GAP;
            line.extend(std::iter::repeat_n(
                ' ',
                column.saturating_sub(line.width()),
            ));
        }
        line.trim_end().to_owned()
    };
    (0..height).map(line).collect()
}

/// The text in lines that are as wide as there is room, unless a word is wider.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    if text.width() <= width {
        return vec![text.to_owned()];
    }
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: [&str; 3] = ["id", "scopes", "note"];

    fn rows() -> [[String; 3]; 2] {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        [
            row(["key_0123456789abcdef", "infer models:write admin", "for CI"]),
            row(["key_1", "", "größer als 界"]),
        ]
    }

    #[test]
    fn a_row_is_a_line_where_nothing_bounds_it() {
        assert_eq!(
            written(HEAD, rows(), None),
            "ID                    SCOPES                    NOTE\n\
             key_0123456789abcdef  infer models:write admin  for CI\n\
             key_1                                           größer als 界"
        );
        assert_eq!(
            written(HEAD, rows(), Some(200)),
            written(HEAD, rows(), None)
        );
    }

    #[test]
    fn a_narrow_terminal_breaks_rows_between_words() {
        assert_eq!(
            written(HEAD, rows(), Some(46)),
            "ID                    SCOPES        NOTE\n\
             key_0123456789abcdef  infer         for CI\n\
             \u{20}                     models:write\n\
             \u{20}                     admin\n\
             key_1                               größer als\n\
             \u{20}                                   界"
        );
    }

    #[test]
    fn no_width_breaks_a_word() {
        for width in 0..100 {
            let table = written(HEAD, rows(), Some(width));
            for row in rows() {
                for word in row.iter().flat_map(|cell| cell.split(' ')) {
                    assert!(table.contains(word), "{width}: {word}\n{table}");
                }
            }
            let room = width.max("key_0123456789abcdef  models:write  größer".len() - 2);
            assert!(
                table.lines().all(|line| line.width() <= room),
                "{width}\n{table}"
            );
        }
    }

    #[test]
    fn an_empty_table_is_its_head() {
        assert_eq!(written(["a", "b"], [], Some(0)), "A  B");
    }
}
