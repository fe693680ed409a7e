//! What files say of themselves: pages and titles.

use alloc::string::String;
use alloc::vec::Vec;

/// How much of a file is searched, at its beginning and at its end, in bytes.
const SEARCH_BYTES: usize = 256 * 1024;
/// How long a title may be, in characters.
const TITLE_CHARACTERS: usize = 120;
/// How much of a text is looked at for its title, in bytes.
const HEAD_BYTES: usize = 4096;

/// What a file is.
pub(super) struct File {
    /// Empty where nobody knows.
    pub(super) format: &'static str,
    pub(super) title: String,
    pub(super) pages: Option<u32>,
}

pub(super) fn read(bytes: &[u8], mime: &str) -> File {
    let is_pdf = |bytes: &[u8]| bytes.windows(5).any(|mark| mark == b"%PDF-");
    if is_pdf(bytes.get(..1024.min(bytes.len())).unwrap_or_default()) {
        return pdf(bytes);
    }
    let head = bytes.get(..HEAD_BYTES.min(bytes.len())).unwrap_or_default();
    let text = match core::str::from_utf8(head) {
        Ok(text) => text,
        // It may end within a character.
        Err(error) if head.len() - error.valid_up_to() < 4 && error.error_len().is_none() => {
            let valid = head.get(..error.valid_up_to()).unwrap_or_default();
            core::str::from_utf8(valid).unwrap_or_default()
        }
        Err(_) => "",
    };
    let is_text = !text.contains('\0') && !text.is_empty();
    let format = match mime.split(';').next().unwrap_or_default().trim() {
        _ if bytes.starts_with(b"PK\x03\x04") => "ZIP",
        _ if !is_text => "",
        "application/json" => "JSON",
        "text/csv" => "CSV",
        "text/html" => "HTML",
        "text/markdown" => "Markdown",
        _ => "text",
    };
    // The other formats begin with what is no title.
    let title = match format {
        "HTML" => between(text, "<title>", "</title>"),
        "Markdown" | "text" => first_line(text),
        _ => "",
    };
    File {
        format,
        title: cut(title),
        pages: None,
    }
}

/// The first line that says something, without the signs of a heading.
fn first_line(text: &str) -> &str {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let line = line.unwrap_or_default().trim_start_matches(['#', ' ']);
    // A paragraph is no title.
    let is_short = line.chars().count() <= TITLE_CHARACTERS / 2;
    if is_short { line } else { "" }
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    text.split_once(from)
        .and_then(|(_, rest)| rest.split_once(to))
        .map_or("", |(inner, _)| inner.trim())
}

/// A title that can be said: in one line, without control characters, not too long.
fn cut(title: &str) -> String {
    let letters = title.chars().filter(|letter| !letter.is_control());
    let title: String = letters.take(TITLE_CHARACTERS).collect();
    title.trim().into()
}

fn pdf(bytes: &[u8]) -> File {
    let head = bytes
        .get(..SEARCH_BYTES.min(bytes.len()))
        .unwrap_or_default();
    let rest = bytes.get(head.len()..).unwrap_or_default();
    let tail = rest
        .get(rest.len().saturating_sub(SEARCH_BYTES)..)
        .unwrap_or_default();
    let mut found = Found::default();
    found.search(head);
    found.search(tail);
    // The root of the pages counts them; without it the pages that can be seen are counted.
    let pages = found.count.or((found.pages > 0).then_some(found.pages));
    File {
        format: "PDF",
        title: cut(&found.title),
        pages,
    }
}

/// What a PDF says in clear. One that is packed may say none of it.
#[derive(Default)]
struct Found {
    count: Option<u32>,
    pages: u32,
    title: String,
}

impl Found {
    fn search(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while let Some(step) = bytes.get(at..).and_then(next_name) {
            at += step + 1;
            let rest = bytes.get(at..).unwrap_or_default();
            if let Some(rest) = rest.strip_prefix(b"Type") {
                let kind = rest.trim_ascii_start().strip_prefix(b"/Page");
                let ends = |rest: &[u8]| !rest.first().is_some_and(u8::is_ascii_alphanumeric);
                self.pages += u32::from(kind.is_some_and(ends));
            } else if let Some(rest) = rest.strip_prefix(b"Count") {
                let rest = rest.trim_ascii_start();
                let digits = rest.iter().take(6).take_while(|byte| byte.is_ascii_digit());
                let count = digits.fold(0, |count, digit| count * 10 + u32::from(digit - b'0'));
                // Of nested counts, the largest is that of all.
                self.count = self.count.max((count > 0).then_some(count));
            } else if let Some(rest) = rest.strip_prefix(b"Title")
                && self.title.is_empty()
            {
                self.title = string(rest.trim_ascii_start());
            }
        }
    }
}

/// Where the next name begins.
fn next_name(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'/')
}

/// A text as a PDF writes it, in parentheses or in hexadecimal digits; empty if it is none.
fn string(bytes: &[u8]) -> String {
    let most = TITLE_CHARACTERS * 4;
    let raw: Vec<u8> = match bytes.split_first() {
        Some((b'(', rest)) => {
            let mut raw = Vec::new();
            let mut depth = 0_u32;
            let mut bytes = rest.iter().take(most);
            while let Some(&byte) = bytes.next() {
                match byte {
                    b'\\' => match bytes.next() {
                        Some(b'n' | b'r' | b't') => raw.push(b' '),
                        Some(&escaped) => raw.push(escaped),
                        None => break,
                    },
                    b')' if depth == 0 => break,
                    _ => {
                        depth += u32::from(byte == b'(');
                        depth -= u32::from(byte == b')');
                        raw.push(byte);
                    }
                }
            }
            raw
        }
        Some((b'<', rest)) if rest.first() != Some(&b'<') => {
            let digits = rest.iter().take(most).take_while(|byte| **byte != b'>');
            let digits: Vec<u8> = digits
                .filter_map(|byte| char::from(*byte).to_digit(16))
                .map(|digit| digit as u8)
                .collect();
            let (pairs, _) = digits.as_chunks::<2>();
            pairs.iter().map(|[high, low]| high << 4 | low).collect()
        }
        _ => Vec::new(),
    };
    if let Some(wide) = raw.strip_prefix(b"\xfe\xff") {
        let (units, _) = wide.as_chunks::<2>();
        let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
        let letters = char::decode_utf16(units);
        return letters.map(|letter| letter.unwrap_or('\u{fffd}')).collect();
    }
    match core::str::from_utf8(&raw) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).into(),
        // Latin letters of one byte each, nearly.
        Err(_) => raw.iter().map(|byte| char::from(*byte)).collect(),
    }
}
