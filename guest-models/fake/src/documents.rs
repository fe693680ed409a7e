//! Answers that are more than sentences: lists, tables, code, numbers, and texts of so many words.

mod code;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::prose::Prose;
use crate::voices::Voice;
use crate::words;

pub(crate) use code::code;

/// How many bytes a document may have that is made before it is asked for: as many as a token
/// may have times the tokens that there may be.
pub(crate) const BYTES_A_TOKEN: usize = 16;
/// How often another sentence is tried for a number of words.
const TRIES: u32 = 60;
const ROWS: u32 = 4;
const VERSE_TRIES: u32 = 5;

/// A list of so many points.
pub(crate) fn list(
    voice: &'static Voice,
    prose: &mut Prose,
    items: u32,
    numbered: bool,
    bytes_max: usize,
) -> String {
    let mut out = String::new();
    prose.write(&voice.list, &mut out);
    out.push_str("\n\n");
    for number in 1..=items {
        if number > 1 {
            out.push('\n');
        }
        if numbered {
            out.push_str(&format!("{number}. "));
        } else {
            out.push_str("- ");
        }
        out.push_str("**");
        out.push_str(&words::capitalised(prose.noun()));
        out.push_str("**: ");
        prose.sentence(&mut out);
        if out.len() > bytes_max {
            break;
        }
    }
    out
}

/// A list of things.
pub(crate) fn things(things: impl Iterator<Item = &'static str>, numbered: bool) -> String {
    let mut out = String::new();
    for (index, thing) in things.enumerate() {
        if index > 0 {
            out.push('\n');
        }
        if numbered {
            out.push_str(&format!("{}. {thing}", index + 1));
        } else {
            out.push_str("- ");
            out.push_str(thing);
        }
    }
    out
}

/// So many lines, four to a stanza.
pub(crate) fn verse(prose: &mut Prose, lines: u32) -> String {
    let mut out = String::new();
    for line in 0..lines {
        match line {
            0 => {}
            line if line.is_multiple_of(4) => out.push_str("\n\n"),
            _ => out.push('\n'),
        }
        // Lines of verse are short: of several sentences the shortest.
        let tries = (0..VERSE_TRIES).map(|_| {
            let mut sentence = String::new();
            if line == 0 {
                prose.opening(&mut sentence);
            } else {
                prose.sentence(&mut sentence);
            }
            sentence
        });
        let shortest = tries.min_by_key(|sentence| sentence.chars().count());
        out.push_str(&shortest.unwrap_or_default());
    }
    out
}

/// A table of what matters, in Markdown.
pub(crate) fn table(voice: &Voice, prose: &mut Prose, rows: Option<u32>) -> String {
    let count = rows.unwrap_or(ROWS);
    let mut rows: Vec<Vec<String>> = Vec::new();
    for row in 0..count {
        let mut sentence = String::new();
        prose.sentence(&mut sentence);
        let noun = words::capitalised(prose.noun());
        let level = voice.levels.get(row as usize % voice.levels.len()).copied();
        rows.push(Vec::from([
            noun,
            sentence,
            level.unwrap_or_default().into(),
        ]));
    }
    markdown_table(&voice.table.map(String::from), &rows)
}

/// A table that holds two things and more against each other.
pub(crate) fn comparison(
    voice: &Voice,
    prose: &mut Prose,
    things: &[String],
    rows: Option<u32>,
) -> String {
    let [aspect, ..] = voice.table;
    let mut head = Vec::from([String::from(aspect)]);
    head.extend(things.iter().map(|thing| words::capitalised(thing)));
    let mut lines: Vec<Vec<String>> = Vec::new();
    for row in 0..rows.unwrap_or(ROWS) as usize {
        let mut line = Vec::from([words::capitalised(prose.noun())]);
        for column in 0..things.len() {
            // Each row and each column has another order of them.
            let level = voice.levels.get((row * 2 + column) % voice.levels.len());
            line.push(level.copied().unwrap_or_default().into());
        }
        lines.push(line);
    }
    markdown_table(&head, &lines)
}

/// A table in Markdown.
pub(crate) fn markdown_table(head: &[String], rows: &[Vec<String>]) -> String {
    let mut out = String::new();
    let line = |cells: &mut dyn Iterator<Item = &str>, out: &mut String| {
        out.push('|');
        for cell in cells {
            out.push(' ');
            // A bar would end the cell, and a line the row.
            out.push_str(&cell.replace('|', "/").replace('\n', " "));
            out.push_str(" |");
        }
    };
    line(&mut head.iter().map(String::as_str), &mut out);
    out.push('\n');
    line(&mut head.iter().map(|_| "---"), &mut out);
    for row in rows {
        out.push('\n');
        line(&mut row.iter().map(String::as_str), &mut out);
    }
    out
}

/// The numbers from one to another.
pub(crate) fn numbers(from: i64, to: i64, lines: bool, bytes_max: usize) -> String {
    let mut out = String::new();
    let mut number = from;
    loop {
        out.push_str(&format!("{number}"));
        if number == to || out.len() > bytes_max {
            return out;
        }
        number += if to > from { 1 } else { -1 };
        out.push_str(if lines { "\n" } else { ", " });
    }
}

/// A text of exactly so many words, or in scripts without spaces of at most so many characters.
pub(crate) fn words_of(prose: &mut Prose, count: u32, unspaced: bool, bytes_max: usize) -> String {
    let count = count as usize;
    let length = |text: &str| {
        if unspaced {
            text.chars().count()
        } else {
            text.split_whitespace().count()
        }
    };
    let mut sentences: Vec<String> = Vec::new();
    let (mut total, mut bytes) = (0, 0);
    let next = |prose: &mut Prose| {
        let mut sentence = String::new();
        prose.sentence(&mut sentence);
        sentence
    };
    let mut over = String::new();
    while total < count && bytes <= bytes_max {
        let sentence = next(prose);
        let words = length(&sentence);
        if total + words > count {
            over = sentence;
            break;
        }
        total += words;
        bytes += sentence.len();
        sentences.push(sentence);
    }
    if unspaced {
        if sentences.is_empty() {
            let mut cut: String = over.chars().take(count.saturating_sub(1)).collect();
            cut.push('。');
            sentences.push(cut);
        }
        return sentences.concat();
    }
    if total < count && bytes <= bytes_max {
        // The last sentence gives way to one that is as long as it and what is missing.
        let mut missing = count - total;
        let fits = |missing: usize, prose: &mut Prose| {
            (0..TRIES)
                .map(|_| next(prose))
                .find(|sentence| length(sentence) == missing)
        };
        let mut found = fits(missing, prose);
        if found.is_none()
            && let Some(last) = sentences.pop()
        {
            missing += length(&last);
            found = fits(missing, prose);
            if found.is_none() {
                missing -= length(&last);
                sentences.push(last);
            }
        }
        sentences.push(found.unwrap_or_else(|| first_words(&over, missing)));
    }
    sentences.join(" ")
}

/// The beginning of a sentence, as a sentence.
fn first_words(sentence: &str, count: usize) -> String {
    let words: Vec<&str> = sentence.split_whitespace().take(count).collect();
    let mut out = words.join(" ");
    while out.ends_with([',', ':', ';', '.']) {
        out.pop();
    }
    out.push('.');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Choice;
    use crate::language::Language;
    use crate::prose::Ends;
    use crate::random::Random;
    use crate::voices;

    fn prose(language: Language, seed: u64) -> Prose {
        let choice = Choice::plain(Random::new(seed));
        Prose::new(voices::of(language), vec![], choice, Ends::Tokens(0), false)
    }

    #[test]
    fn a_text_has_the_words_that_it_should() {
        for seed in 0..30 {
            for count in [2, 3, 5, 8, 13, 25, 50, 100, 250] {
                let text = words_of(&mut prose(Language::English, seed), count, false, 1 << 20);
                assert_eq!(text.split_whitespace().count() as u32, count, "{text}");
                assert!(text.ends_with('.'), "{text}");
                let text = words_of(&mut prose(Language::Chinese, seed), count, true, 1 << 20);
                assert!(
                    text.chars().count() as u32 <= count && text.ends_with('。'),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn numbers_go_up_and_down() {
        assert_eq!(numbers(1, 5, false, 100), "1, 2, 3, 4, 5");
        assert_eq!(numbers(3, 1, true, 100), "3\n2\n1");
        assert_eq!(numbers(7, 7, false, 100), "7");
        assert!(numbers(1, i64::MAX, false, 100).len() < 130);
    }

    #[test]
    fn lists_and_tables_are_markdown() {
        let voice = voices::of(Language::German);
        let text = list(voice, &mut prose(Language::German, 1), 3, true, 1 << 20);
        assert_eq!(
            text.lines()
                .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
                .count(),
            3
        );
        let text = table(voice, &mut prose(Language::German, 1), None);
        let bars: Vec<usize> = text.lines().map(|line| line.matches('|').count()).collect();
        assert!(
            bars.len() == 6 && bars.iter().all(|bars| *bars == 4),
            "{text}"
        );
        assert_eq!(
            markdown_table(&["a|b".into()], &[Vec::from(["x\ny".into()])]),
            "| a/b |\n| --- |\n| x y |"
        );
    }
}
