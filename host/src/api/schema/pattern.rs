//! Whether the pattern of a schema is a regular expression, as far as it can be told of any dialect.

use std::iter::Peekable;
use std::str::Chars;

/// Bytes of a pattern in a message.
const SHOWN_BYTES_MAX: usize = 64;

/// Refuses what is broken in every dialect, and in a strict schema what OpenAI refuses there.
pub(super) fn check(pattern: &str, is_strict: bool) -> Result<(), String> {
    let mut scan = Scan {
        rest: pattern.chars().peekable(),
        looks_around: false,
    };
    if let Err(what) = scan.all() {
        let end = pattern.floor_char_boundary(SHOWN_BYTES_MAX);
        let shown = pattern.get(..end).unwrap_or_default();
        return Err(format!("`{shown}` is no regular expression: {what}"));
    }
    if is_strict && scan.looks_around {
        return Err("regex lookaround is not supported".to_owned());
    }
    Ok(())
}

struct Scan<'a> {
    rest: Peekable<Chars<'a>>,
    looks_around: bool,
}

impl Scan<'_> {
    fn all(&mut self) -> Result<(), &'static str> {
        let mut depth = 0_u32;
        // Whether something stands before that can be repeated.
        let mut repeats = false;
        while let Some(next) = self.rest.next() {
            match next {
                '\\' => {
                    self.rest.next().ok_or("a backslash is at the end")?;
                    repeats = true;
                }
                '[' => {
                    self.class()?;
                    repeats = true;
                }
                '(' => {
                    depth += 1;
                    self.head();
                    repeats = false;
                }
                ')' => {
                    let outer = depth.checked_sub(1);
                    depth = outer.ok_or("a parenthesis closes that was not opened")?;
                    repeats = true;
                }
                '*' | '+' | '?' => {
                    if !repeats {
                        return Err("there is nothing to repeat");
                    }
                    // Lazy, or possessive.
                    let _ = self.rest.next_if(|next| matches!(next, '?' | '+'));
                    repeats = false;
                }
                '{' if repeats => repeats = !self.count()?,
                '|' => repeats = false,
                _ => repeats = true,
            }
        }
        if depth > 0 {
            return Err("a parenthesis is not closed");
        }
        Ok(())
    }

    /// What stands behind an opening parenthesis and says what the group is.
    fn head(&mut self) {
        if self.rest.next_if_eq(&'?').is_none() {
            return;
        }
        match self.rest.peek() {
            Some('=' | '!') => {
                self.looks_around = true;
                self.rest.next();
            }
            Some('<') => {
                self.rest.next();
                let is_look = self.rest.next_if(|next| matches!(next, '=' | '!'));
                self.looks_around |= is_look.is_some();
            }
            _ => {
                self.rest.next();
            }
        }
    }

    /// A class, whose bracket is open.
    fn class(&mut self) -> Result<(), &'static str> {
        let _ = self.rest.next_if_eq(&'^');
        // First in a class, the bracket is one of its characters in some dialects.
        let mut before = self.rest.next_if_eq(&']');
        loop {
            let next = self.rest.next().ok_or("a bracket is not closed")?;
            match next {
                ']' => return Ok(()),
                '\\' => {
                    self.rest.next().ok_or("a backslash is at the end")?;
                    before = None;
                }
                '-' => {
                    let ends = before.zip(self.rest.peek().copied());
                    let is_plain = |c: char| !matches!(c, '\\' | ']' | '[');
                    if ends.is_some_and(|(low, high)| is_plain(high) && low > high) {
                        return Err("a range ends before it begins");
                    }
                    before = None;
                }
                other => before = Some(other),
            }
        }
    }

    /// A count whose brace is open; whether it is one.
    fn count(&mut self) -> Result<bool, &'static str> {
        let ahead: String = self.rest.clone().take_while(|next| *next != '}').collect();
        let is_closed = self.rest.clone().any(|next| next == '}');
        let (least, most) = ahead.split_once(',').unwrap_or((&ahead, &ahead));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_closed || !is_number(least) || !(most.is_empty() || is_number(most)) {
            return Ok(false);
        }
        let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
        if !most.is_empty() && number(most) < number(least) {
            return Err("a count ends before it begins");
        }
        for _ in 0..=ahead.chars().count() {
            self.rest.next();
        }
        let _ = self.rest.next_if(|next| matches!(next, '?' | '+'));
        Ok(true)
    }
}
