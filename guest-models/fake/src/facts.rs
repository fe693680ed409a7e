//! The little that is known: sums, capitals, and what the user has said of themselves.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::text::{Part, Prompt, Request, Role};

use crate::entities;
use crate::json::{parse_number, write_number};
use crate::language::Language;
use crate::places::Country;
use crate::reading::Reading;
use crate::words::{self, lowered};

/// How deep parentheses may be nested.
const DEPTH_MAX: u32 = 16;
/// How much of a prompt is searched, in bytes.
const SEARCH_BYTES: usize = 1024;

/// An answer that is one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) short: String,
    pub(crate) long: String,
}

/// The answer to a question that has one.
pub(crate) fn of(request: &Request, said: &str, reading: &Reading) -> Option<Fact> {
    let said = said.get(..said.floor_char_boundary(SEARCH_BYTES))?;
    if reading.wishes.calculates
        && let Some(fact) = sum(said)
    {
        return Some(fact);
    }
    if reading.wishes.capital
        && let Some(fact) = capital(said, reading.language)
    {
        return Some(fact);
    }
    if reading.wishes.name {
        return name(request);
    }
    None
}

fn sum(said: &str) -> Option<Fact> {
    let expression = entities::expression(said)?;
    let value = evaluate(expression)?;
    let mut short = String::new();
    write_number(&mut short, value);
    let long = format!("{expression} = {short}");
    Some(Fact { short, long })
}

fn capital(said: &str, language: Language) -> Option<Fact> {
    let is_mark = |letter: char| !words::is_letter(letter) && letter != '-' && letter != '.';
    let lower = lowered(said);
    let parts: Vec<&str> = lower
        .split(is_mark)
        .filter(|word| !word.is_empty())
        .collect();
    let by_words = (1..=3).rev().find_map(|length| {
        parts
            .windows(length)
            .find_map(|words| Country::named(&words.join(" ")))
    });
    let country = by_words.or_else(|| Country::within(&lower))?;
    let long = match language {
        Language::English => format!("The capital of {} is {}.", country.name, country.capital),
        _ => String::from(country.capital),
    };
    Some(Fact {
        short: country.capital.into(),
        long,
    })
}

/// The user's name, where the user has said it.
fn name(request: &Request) -> Option<Fact> {
    let Prompt::Messages(messages) = &request.prompt else {
        return None;
    };
    let earlier = messages
        .iter()
        .rev()
        .filter(|message| message.role == Role::User)
        .skip(1);
    for message in earlier {
        for part in &message.content {
            let Part::Text(text) = part else { continue };
            for lead in ["my name is", "i am called", "call me", "i'm", "i am"] {
                let Some(at) = words::find(text, lead) else {
                    continue;
                };
                let rest = text.get(at + lead.len()..).unwrap_or_default().trim_start();
                let end = rest
                    .char_indices()
                    .find(|(_, letter)| !words::is_letter(*letter) && *letter != '-')
                    .map_or(rest.len(), |(end, _)| end);
                let name = rest.get(..end).unwrap_or_default();
                if name.starts_with(words::is_upper) || lead == "my name is" && !name.is_empty() {
                    return Some(Fact {
                        short: name.into(),
                        long: format!("Your name is {name}."),
                    });
                }
            }
        }
    }
    None
}

/// The value of a sum, by the usual rules.
fn evaluate(expression: &str) -> Option<f64> {
    let mut reader = Reader {
        rest: expression,
        depth: 0,
    };
    let value = reader.sum()?;
    reader
        .rest
        .trim()
        .is_empty()
        .then_some(value)
        .filter(|value| value.is_finite())
}

struct Reader<'a> {
    rest: &'a str,
    depth: u32,
}

impl Reader<'_> {
    fn take(&mut self, signs: &[char]) -> Option<char> {
        self.rest = self.rest.trim_start();
        let sign = self
            .rest
            .chars()
            .next()
            .filter(|sign| signs.contains(sign))?;
        self.rest = self.rest.get(sign.len_utf8()..)?;
        Some(sign)
    }

    fn sum(&mut self) -> Option<f64> {
        let mut value = self.product()?;
        while let Some(sign) = self.take(&['+', '-']) {
            let other = self.product()?;
            value = if sign == '+' {
                value + other
            } else {
                value - other
            };
        }
        // What decimals cannot say in binary is not to be seen.
        Some(libm::round(value * 1e9) / 1e9)
    }

    fn product(&mut self) -> Option<f64> {
        let mut value = self.power()?;
        while let Some(sign) = self.take(&['*', '/', '×', '÷', 'x', '%']) {
            let other = self.power()?;
            value = match sign {
                '*' | '×' | 'x' => value * other,
                '%' => libm::fmod(value, other),
                _ => value / other,
            };
        }
        Some(value)
    }

    fn power(&mut self) -> Option<f64> {
        let value = self.atom()?;
        if self.take(&['^']).is_none() {
            return Some(value);
        }
        let times = self.atom()?;
        let is_small = (0.0..=64.0).contains(&times) && libm::floor(times) == times;
        is_small.then(|| (0..times as u32).fold(1.0, |power, _| power * value))
    }

    fn atom(&mut self) -> Option<f64> {
        if self.take(&['-']).is_some() {
            return self.atom().map(|value| -value);
        }
        if self.take(&['(']).is_some() {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return None;
            }
            let value = self.sum()?;
            self.take(&[')'])?;
            return Some(value);
        }
        self.rest = self.rest.trim_start();
        let length = self
            .rest
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.' && letter != ',')
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        parse_number(&digits.replace(',', ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_right() {
        for (expression, expect) in [
            ("15 * 37", 555.0),
            ("2+2", 4.0),
            ("(3 + 4.5) / 2", 3.75),
            ("2^10", 1024.0),
            ("0.1 + 0.2", 0.3),
            ("1,000 - 1", 999.0),
            ("10 x 3", 30.0),
            ("7 % 4", 3.0),
            ("-2 + 5", 3.0),
        ] {
            assert_eq!(evaluate(expression), Some(expect), "{expression}");
        }
        for nonsense in ["1 +", "(1", "1 / 0", "2 ^ 0.5", "+", &"(".repeat(100)] {
            assert_eq!(evaluate(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn capitals_are_known_in_several_languages() {
        for (said, expect) in [
            ("What is the capital of France?", "Paris"),
            ("capital of South Korea", "Seoul"),
            ("Was ist die Hauptstadt von Deutschland?", "Berlin"),
            ("日本的首都是哪里？", "Tokyo"),
        ] {
            assert_eq!(
                capital(said, Language::German).unwrap().short,
                expect,
                "{said}"
            );
        }
        assert_eq!(capital("The capital of Nowhere", Language::English), None);
    }
}
