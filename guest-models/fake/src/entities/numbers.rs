//! Numbers, money, dates and times.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::scan::{CURRENCIES, Word, entity};
use super::{Entity, Kind};
use crate::json::parse_number;
use crate::schema::{days_of, is_date};
use crate::words::{self, lowered};

/// The names of the months, each in the languages that share its first letters.
const MONTHS: [&str; 12] = [
    "january januar janvier enero gennaio janeiro января jan",
    "february februar février febrero febbraio fevereiro февраля feb",
    "march märz mars marzo março марта mar",
    "april avril abril aprile апреля apr",
    "may mai mayo maggio maio мая",
    "june juni juin junio giugno junho июня jun",
    "july juli juillet julio luglio julho июля jul",
    "august août agosto августа aug",
    "september septembre septiembre settembre setembro сентября sep sept",
    "october oktober octobre octubre ottobre outubro октября oct",
    "november novembre noviembre novembro ноября nov",
    "december dezember décembre diciembre dicembre dezembro декабря dec",
];
/// The year that a date without one is in.
const YEAR: u32 = 2026;
const DAYS: &str = "today tomorrow tonight yesterday monday tuesday wednesday thursday friday saturday sunday heute morgen montag dienstag mittwoch donnerstag freitag samstag sonntag mañana hoy lunes martes miércoles jueves viernes sábado domingo demain aujourd'hui lundi mardi mercredi jeudi vendredi samedi dimanche domani oggi lunedì martedì mercoledì giovedì venerdì sabato domenica amanhã hoje завтра сегодня";
/// Words for numbers, each with its number behind it.
const NUMBER_WORDS: &str = "two 2 three 3 four 4 five 5 six 6 seven 7 eight 8 nine 9 ten 10 eleven 11 twelve 12 fifteen 15 twenty 20 thirty 30 fifty 50 hundred 100 zwei 2 drei 3 vier 4 fünf 5 sechs 6 sieben 7 acht 8 neun 9 zehn 10 deux 2 trois 3 quatre 4 cinq 5 sept 7 huit 8 neuf 9 dix 10 dos 2 tres 3 cuatro 4 cinco 5 seis 6 siete 7 ocho 8 nueve 9 diez 10 due 2 tre 3 quattro 4 cinque 5 sei 6 sette 7 otto 8 nove 9 dieci 10 dois 2 duas 2 três 3 quatro 4 sete 7 oito 8 dez 10 два 2 две 2 три 3 четыре 4 пять 5 шесть 6 семь 7 восемь 8 девять 9 десять 10";
const CURRENCY_WORDS: &str = "dollar USD dollars USD usd USD bucks USD euro EUR euros EUR eur EUR pound GBP pounds GBP yen JPY yuan CNY rupee INR rupees INR franc CHF francs CHF won KRW ruble RUB rubles RUB peso MXN pesos MXN real BRL reais BRL";

/// The number, date or time that some words begin with, and how many of them it is.
pub(super) fn read(words: &[Word<'_>]) -> Option<(Entity, usize)> {
    let word = words.first()?;
    let next = words.get(1).filter(|_| !word.ends_clause());
    let spelled = lowered(word.text);
    if let Some(month) = month_of(&spelled)
        && let Some(found) = named_date(words, month)
    {
        return Some(found);
    }
    if words::is_in(DAYS, &spelled) {
        return Some((entity(Kind::Date, word.text), 1));
    }
    if spelled == "noon" || spelled == "midnight" {
        let mut time = entity(Kind::Time, word.text);
        time.plain = if spelled == "noon" { "12:00" } else { "00:00" }.into();
        return Some((time, 1));
    }
    if let Some(number) = paired(NUMBER_WORDS, &spelled).and_then(parse_number) {
        let mut found = entity(Kind::Number, word.text);
        found.number = number;
        return Some((found, 1));
    }
    if let Some(date) = iso_date(word.text) {
        let mut found = entity(Kind::Date, word.text);
        found.plain = date;
        return Some((found, 1));
    }
    if word.text.starts_with('+') || is_phone(word.text) {
        return phone(words);
    }
    if let Some(time) = time(word.text, next) {
        return Some(time);
    }
    let (sign, unsigned) = signed(word);
    let number = Number::read(unsigned)?;
    let value = if sign { -number.value } else { number.value };
    // `5 March 2026`, `5. März`
    if number.suffix.is_empty() || words::is_in("st nd rd th", number.suffix) {
        let of = usize::from(
            words
                .get(1)
                .is_some_and(|of| matches!(of.text, "of" | "de")),
        );
        if (1.0..=31.0).contains(&value)
            && let Some(month) = words
                .get(1 + of)
                .and_then(|word| month_of(&lowered(word.text)))
        {
            let also = usize::from(
                words
                    .get(2 + of)
                    .is_some_and(|of| matches!(of.text, "of" | "de")),
            );
            let year = words.get(2 + of + also).and_then(year_of);
            let length = 2 + of + if year.is_some() { 1 + also } else { 0 };
            let date = dated(words, length, year.unwrap_or(YEAR), month, value as u32)?;
            return Some((date, length));
        }
    }
    let mut found = entity(Kind::Number, word.text);
    found.number = value;
    found.after = lowered(number.suffix);
    let mut length = 1;
    let next_word = next.map(|next| lowered(next.text)).unwrap_or_default();
    let currency = currency_of(number.currency)
        .or_else(|| currency_of(number.suffix))
        .or_else(|| paired(CURRENCY_WORDS, &next_word))
        .or_else(|| {
            next.map(|next| next.text)
                .filter(|next| words::is_in(CURRENCIES, next))
        });
    if let Some(currency) = currency {
        found.kind = Kind::Money;
        found.plain = currency.into();
        found.after = String::new();
        if number.currency.is_empty() && number.suffix.is_empty() {
            length = 2;
        }
    } else if number.suffix == "%" || next_word == "percent" || next_word == "%" {
        found.kind = Kind::Percent;
        length += usize::from(number.suffix != "%");
        found.after = String::new();
    } else if words::is_in("st nd rd th", number.suffix) {
        found.after = String::new();
    }
    if found.kind == Kind::Number {
        // As the argument of a text: the number, and not what is glued to it.
        found.text = word
            .text
            .get(..word.text.len() - number.suffix.len())
            .unwrap_or_default()
            .into();
    }
    Some((found, length))
}

/// The value that stands behind a word in a list of pairs.
fn paired<'a>(list: &'a str, word: &str) -> Option<&'a str> {
    let mut parts = list.split(' ');
    while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
        if key == word {
            return Some(value);
        }
    }
    None
}

fn currency_of(mark: &str) -> Option<&'static str> {
    Some(match mark {
        "$" | "US$" => "USD",
        "€" => "EUR",
        "£" => "GBP",
        "¥" | "円" => "JPY",
        "元" => "CNY",
        "₹" => "INR",
        "₩" => "KRW",
        "₽" => "RUB",
        "R$" => "BRL",
        _ => return None,
    })
}

fn signed<'a>(word: &Word<'a>) -> (bool, &'a str) {
    match word.text.strip_prefix(['-', '−']) {
        Some(rest) if rest.starts_with(|next: char| next.is_ascii_digit() || next == '$') => {
            (true, rest)
        }
        _ => (false, word.text),
    }
}

struct Number<'a> {
    value: f64,
    currency: &'a str,
    suffix: &'a str,
}

impl<'a> Number<'a> {
    /// A word that begins with a number, perhaps behind the mark of a currency.
    fn read(text: &'a str) -> Option<Self> {
        let digits_at = text.find(|letter: char| letter.is_ascii_digit())?;
        let (currency, rest) = text.split_at(digits_at);
        if !currency.is_empty() && currency_of(currency).is_none() {
            return None;
        }
        let length = rest
            .find(|letter: char| !letter.is_ascii_digit() && letter != ',' && letter != '.')
            .unwrap_or(rest.len());
        let (digits, suffix) = rest.split_at(length);
        let digits = digits.trim_end_matches([',', '.']);
        // `1,200.50` has thousands, and `3,5` a fraction.
        let has_thousands = digits.split(',').skip(1).all(|group| {
            group
                .split('.')
                .next()
                .is_some_and(|group| group.len() == 3)
        });
        let digits = if has_thousands {
            digits.replace(',', "")
        } else {
            digits.replace(',', ".")
        };
        let mut value = parse_number(&digits)?;
        let mut suffix = suffix;
        if !currency.is_empty() || matches!(suffix, "k" | "K") {
            let factor = match suffix {
                "k" | "K" => 1e3,
                "m" | "M" => 1e6,
                _ => 1.0,
            };
            value *= factor;
            if factor > 1.0 {
                suffix = "";
            }
        }
        let is_unit = suffix.chars().count() <= 12
            && suffix
                .chars()
                .all(|letter| words::is_letter(letter) || "°%-/²³€£₽₹円元".contains(letter));
        let suffix = suffix.trim_start_matches(['-', '°']);
        is_unit.then_some(Self {
            value,
            currency,
            suffix,
        })
    }
}

fn month_of(lower: &str) -> Option<u32> {
    let found = MONTHS.iter().position(|names| words::is_in(names, lower))?;
    Some(found as u32 + 1)
}

fn year_of(word: &Word<'_>) -> Option<u32> {
    let year = word.text.parse().ok()?;
    (1000..=2999).contains(&year).then_some(year)
}

/// `March 5th, 2026`, whose month is known.
fn named_date(words: &[Word<'_>], month: u32) -> Option<(Entity, usize)> {
    let day_word = words.get(1)?;
    let digits = day_word
        .text
        .trim_end_matches(['s', 't', 'n', 'd', 'r', 'h']);
    if let Some(year) = year_of(day_word) {
        // A month and its year.
        let mut date = entity(Kind::Date, joined(words, 2));
        date.plain = format!("{year:04}-{month:02}-01");
        return Some((date, 2));
    }
    let day: u32 = digits.parse().ok()?;
    let year = words.get(2).and_then(year_of);
    let length = 2 + usize::from(year.is_some());
    let date = dated(words, length, year.unwrap_or(YEAR), month, day)?;
    Some((date, length))
}

fn dated(words: &[Word<'_>], length: usize, year: u32, month: u32, day: u32) -> Option<Entity> {
    (1..=days_of(year, month as usize))
        .contains(&day)
        .then_some(())?;
    let mut date = entity(Kind::Date, joined(words, length));
    date.plain = format!("{year:04}-{month:02}-{day:02}");
    Some(date)
}

fn joined(words: &[Word<'_>], length: usize) -> String {
    let mut whole = String::new();
    for (index, word) in words.iter().take(length).enumerate() {
        if index > 0 {
            whole.push(' ');
        }
        whole.push_str(word.text);
        if word.trail == "," && index + 1 < length {
            whole.push(',');
        }
    }
    whole
}

/// A date in digits, as programs write it: `2026-03-05`, `3/5/2026` and `5.3.2026` are the same.
fn iso_date(text: &str) -> Option<String> {
    let date = text.split_once('T').map_or(text, |(date, _)| date);
    if is_date(date) {
        return Some(date.into());
    }
    let mark = ['/', '.']
        .into_iter()
        .find(|mark| text.matches(*mark).count() == 2)?;
    let mut parts = text.split(mark);
    let mut part = || parts.next().and_then(|part| part.parse::<u32>().ok());
    let (first, second, third) = (part()?, part()?, part()?);
    let (year, month, day) = if first > 999 {
        (first, second, third)
    } else if mark == '.' || first > 12 {
        (third, second, first)
    } else {
        (third, first, second)
    };
    let year = if year < 100 { 2000 + year } else { year };
    let date = format!("{year:04}-{month:02}-{day:02}");
    is_date(&date).then_some(date)
}

/// `10:30`, `3pm`, `3:15 PM`.
fn time(text: &str, next: Option<&Word<'_>>) -> Option<(Entity, usize)> {
    let lower = lowered(text);
    let half = ["am", "pm", "a.m", "p.m"].into_iter().find_map(|half| {
        lower
            .strip_suffix(half)
            .map(|rest| (rest, half.starts_with('p')))
    });
    let next_half = next.and_then(|next| match lowered(next.text).as_str() {
        "am" | "a.m" => Some(false),
        "pm" | "p.m" => Some(true),
        _ => None,
    });
    let (digits, afternoon, length) = match (half, next_half) {
        (Some((digits, afternoon)), _) => (digits, Some(afternoon), 1),
        (None, Some(afternoon)) => (lower.as_str(), Some(afternoon), 2),
        (None, None) => (lower.as_str(), None, 1),
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (hours, minutes.split(':').next().unwrap_or_default()),
        None if afternoon.is_some() => (digits, "00"),
        None => return None,
    };
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let hours = match afternoon {
        Some(true) if hours < 12 => hours + 12,
        Some(false) if hours == 12 => 0,
        _ => hours,
    };
    (hours < 24 && minutes < 60).then_some(())?;
    let mut found = entity(Kind::Time, text);
    if let Some(half) = next.filter(|_| length == 2) {
        found.text.push(' ');
        found.text.push_str(half.text);
    }
    found.plain = format!("{hours:02}:{minutes:02}");
    Some((found, length))
}

/// Whether a word is digits in groups, as in `555-0143`.
fn is_phone(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits >= 7
        && text.contains('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-')
        && iso_date(text).is_none()
}

/// A number to call, which may stand in several groups.
fn phone(words: &[Word<'_>]) -> Option<(Entity, usize)> {
    let is_group = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b"+-()./".contains(&byte))
    };
    let mut length = 0;
    while let Some(word) = words.get(length) {
        if !is_group(word.text) {
            break;
        }
        length += 1;
        if word.ends_clause() {
            break;
        }
    }
    let text = joined(words, length);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    ((7..=15).contains(&digits)).then(|| (entity(Kind::Phone, text), length))
}

/// Numbers in scripts without spaces, where the noun is glued to them: `4晚`, `三人`.
pub(super) fn among_letters(text: &str, found: &mut Vec<Entity>) {
    const DIGITS: &str = "一二三四五六七八九十";
    const COUNTERS: &str = "晚泊人名位个個天日月年岁歳点時分円元박명개일월년시";
    let mut before = ' ';
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let follows_digit = before.is_ascii_digit();
        let follows_letter = !before.is_ascii() && words::is_letter(before);
        before = letter;
        let value = if letter.is_ascii_digit() && !follows_digit {
            let rest = text.get(at..).unwrap_or_default();
            let length = rest
                .find(|letter: char| !letter.is_ascii_digit())
                .unwrap_or(rest.len());
            for _ in 1..length {
                letters.next();
            }
            before = '0';
            rest.get(..length).and_then(parse_number)
        } else {
            let place = DIGITS.chars().position(|digit| digit == letter);
            place.map(|place| place as f64 + 1.0)
        };
        let Some((value, &(_, next))) = value.zip(letters.peek()) else {
            continue;
        };
        let is_counted = COUNTERS.contains(next);
        if !is_counted || found.iter().any(|known| known.at == at) {
            continue;
        }
        // `十月` within a longer word may be anything; by itself it is counted.
        if follows_letter && !letter.is_ascii_digit() && next == '月' {
            continue;
        }
        let mut number = entity(Kind::Number, format!("{value}"));
        number.number = value;
        number.after.push(next);
        number.at = at;
        found.push(number);
    }
}

/// What there is to calculate in a text: the longest part of it that is made of numbers and signs.
pub(crate) fn expression(text: &str) -> Option<&str> {
    let is_part = |letter: char| letter.is_ascii_digit() || " .,+-*/^%()×÷x".contains(letter);
    let mut best: Option<&str> = None;
    for part in text.split(|letter: char| !is_part(letter)) {
        let part = part.trim_matches([' ', ',', '.', 'x', '%']).trim();
        let part = part.trim_end_matches(['+', '-', '*', '/', ' ']);
        let numbers = part
            .split(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .filter(|number| number.starts_with(|first: char| first.is_ascii_digit()))
            .count();
        let has_sign = part.contains(['+', '-', '*', '/', '^', '×', '÷', 'x', '%']);
        if numbers >= 2 && has_sign && best.is_none_or(|best| part.len() > best.len()) {
            best = Some(part);
        }
    }
    best.filter(|part| iso_date(part).is_none() && !is_phone(part))
}
