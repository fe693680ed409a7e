//! The little that is known: sums, capitals, and what the user has said of themselves.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::text::{Part, Prompt, Request, Role};

use crate::entities;
use crate::json::{parse_number, write_number};
use crate::language::Language;
use crate::phrases;
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
        && let Some(fact) = share(said).or_else(|| sum(said)).or_else(|| story(said))
    {
        return Some(fact);
    }
    if reading.wishes.capital
        && let Some(fact) = capital(said, reading.language)
    {
        return Some(fact);
    }
    if reading.wishes.name
        && let Some(fact) = name(request).or_else(|| acquaintance(said))
    {
        return Some(fact);
    }
    if reading.wishes.translates
        && let Some(words) = phrases::translated(said, reading.language)
    {
        return Some(Fact::new(words));
    }
    if reading.wishes.thanks {
        return Some(Fact::new(phrases::welcome(reading.language)));
    }
    if reading.wishes.joke && reading.language == Language::English {
        let joke = JOKES.get(said.len() % JOKES.len());
        return joke.copied().map(Fact::new);
    }
    None
}

const JOKES: [&str; 4] = [
    "Why do programmers prefer dark mode? Because light attracts bugs.",
    "Why did the scarecrow win an award? Because he was outstanding in his field.",
    "I told my computer that I needed a break, and now it will not stop sending me beach pictures.",
    "Why was the maths book sad? Because it had too many problems.",
];

impl Fact {
    fn new(text: &str) -> Self {
        Self {
            short: text.into(),
            long: text.into(),
        }
    }
}

/// What is said to somebody who says their name.
fn acquaintance(said: &str) -> Option<Fact> {
    const LEAD: &str = "my name is ";
    let at = words::find(said, LEAD.trim_end())?;
    let rest = said.get(at + LEAD.len()..)?;
    let is_end = |letter: char| !words::is_letter(letter) && !matches!(letter, '-' | ' ');
    let name = rest.split(is_end).next()?.split(" and ").next()?.trim();
    let is_name = name.starts_with(words::is_upper) && name.split(' ').count() <= 3;
    is_name.then(|| Fact {
        short: name.into(),
        long: format!("Nice to meet you, {name}! How can I help you today?"),
    })
}

/// A share of something: `15% of 240`.
fn share(said: &str) -> Option<Fact> {
    let (before, after) = said
        .split_once('%')
        .or_else(|| said.split_once(" percent"))?;
    let after = ["of ", "von ", "de ", "di ", "от "]
        .iter()
        .find_map(|lead| after.trim_start().strip_prefix(lead))?;
    let is_digit = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | ',');
    let before = before.trim_end();
    let start = before.trim_end_matches(is_digit).len();
    let end = after
        .find(|letter| !is_digit(letter))
        .unwrap_or(after.len());
    let read = |digits: &str| parse_number(digits.trim_end_matches(['.', ',']));
    let percent = read(before.get(start..)?)?;
    let whole = read(&after.get(..end)?.replace(',', ""))?;
    let mut short = String::new();
    write_number(&mut short, libm::round(percent * whole * 1e7) / 1e9);
    let mut long = String::new();
    write_number(&mut long, percent);
    long.push_str("% of ");
    write_number(&mut long, whole);
    long.push_str(" is ");
    long.push_str(&short);
    long.push('.');
    Some(Fact { short, long })
}

/// The end of a little story of numbers: `I have 3 apples and buy 5 more. How many …`.
fn story(said: &str) -> Option<Fact> {
    const LESS: &str = "eat eats ate give gives gave lose loses lost sell sells sold spend spends spent remove removes removed away left fewer minus break breaks broke";
    const TIMES: &str = "times each per every";
    let at = words::find(said, "how many").or_else(|| words::find(said, "how much"))?;
    let told = said.get(..at)?;
    let mut total: Option<f64> = None;
    let (mut less, mut times) = (false, false);
    for word in told.split(|letter: char| letter.is_whitespace() || letter == ',') {
        let word = word.trim_matches(|letter: char| !letter.is_alphanumeric());
        if let Some(number) = parse_number(word) {
            total = Some(match total {
                None => number,
                Some(total) if less => total - number,
                Some(total) if times => total * number,
                Some(total) => total + number,
            });
            (less, times) = (false, false);
        } else {
            less |= words::is_in(LESS, word);
            times |= words::is_in(TIMES, word);
        }
    }
    let mut short = String::new();
    write_number(&mut short, total?);
    let long = format!("That makes {short}.");
    Some(Fact { short, long })
}

fn sum(said: &str) -> Option<Fact> {
    const SPOKEN: [(&str, &str); 6] = [
        (" multiplied by ", " * "),
        (" divided by ", " / "),
        (" times ", " * "),
        (" plus ", " + "),
        (" minus ", " - "),
        (" to the power of ", " ^ "),
    ];
    let mut written = String::from(said);
    for (words, sign) in SPOKEN {
        if written.contains(words) {
            written = written.replace(words, sign);
        }
    }
    let expression = entities::expression(&written)?;
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
    fn shares_and_little_stories_are_right() {
        assert_eq!(
            share("What's 15% of 240?").unwrap().long,
            "15% of 240 is 36."
        );
        assert_eq!(share("12.5 percent of 1,000").unwrap().short, "125");
        assert_eq!(share("100% of what?"), None);
        for (said, expect) in [
            (
                "If I have 3 apples and buy 5 more, how many do I have?",
                "8",
            ),
            (
                "Tom has 10 pens. He gives away 4. How many pens are left?",
                "6",
            ),
            ("There are 4 boxes with 6 eggs each. How many eggs?", "10"),
        ] {
            assert_eq!(story(said).unwrap().short, expect, "{said}");
        }
        assert_eq!(
            acquaintance("Hi, my name is Ada Lovelace and I code.")
                .unwrap()
                .short,
            "Ada Lovelace"
        );
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
