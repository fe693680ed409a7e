//! Texts that match a regular expression: literals, classes, kinds of characters, groups,
//! alternatives and counts, which is what schemas use. What looks around or back is beyond it.

use alloc::string::String;

use crate::random::Random;

/// How deep groups may be nested.
const DEPTH_MAX: u32 = 16;
/// How often an open count repeats at most beyond its least.
const OPEN_REPEATS: usize = 4;
/// How long the text may get, in bytes.
const BYTES_MAX: usize = 10_000;

/// A text that matches the whole pattern; none where the pattern is broken or beyond this.
pub(crate) fn text(pattern: &str, random: &mut Random) -> Option<String> {
    let mut out = String::new();
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    let end = alternatives(pattern, 0, random, &mut out, true)?;
    (end == pattern.len()).then_some(out)
}

/// Writes a match of `a|b|c` from the pattern's start up to its end or the closing parenthesis,
/// and returns how much of the pattern that was. All are read, and one is kept.
fn alternatives(
    pattern: &str,
    depth: u32,
    random: &mut Random,
    out: &mut String,
    keep: bool,
) -> Option<usize> {
    if depth > DEPTH_MAX {
        return None;
    }
    let start = out.len();
    let mut at = 0;
    let mut seen = 0;
    loop {
        let mut branch = String::new();
        at += sequence(pattern.get(at..)?, depth, random, &mut branch, keep)?;
        seen += 1;
        // Each of `seen` branches is kept with the same chance.
        if keep && random.below(seen) == 0 {
            out.truncate(start);
            out.push_str(&branch);
        }
        if pattern.as_bytes().get(at) != Some(&b'|') {
            return Some(at);
        }
        at += 1;
    }
}

fn sequence(
    pattern: &str,
    depth: u32,
    random: &mut Random,
    out: &mut String,
    keep: bool,
) -> Option<usize> {
    let mut at = 0;
    while let Some(next) = pattern.get(at..)?.chars().next() {
        if next == '|' || next == ')' {
            break;
        }
        if next == '$' || next == '^' {
            at += 1;
            continue;
        }
        // Read once to learn how long the atom is, then written as often as its count says.
        let rest = pattern.get(at..)?;
        let length = atom(rest, depth, random, &mut String::new(), false)?;
        let (least, most, count_length) = count(rest.get(length..)?)?;
        if keep {
            for _ in 0..least.checked_add(random.below(most.checked_sub(least)? + 1))? {
                atom(rest, depth, random, out, true)?;
                if out.len() > BYTES_MAX {
                    return None;
                }
            }
        }
        at += length + count_length;
    }
    Some(at)
}

/// One character, class or group.
fn atom(
    pattern: &str,
    depth: u32,
    random: &mut Random,
    out: &mut String,
    keep: bool,
) -> Option<usize> {
    let first = pattern.chars().next()?;
    match first {
        '(' => {
            let inner = pattern.get(1..)?;
            let skipped = if let Some(flags) = flags(inner) {
                // Of one case is of any case, and there is one line.
                if inner.as_bytes().get(flags) == Some(&b')') {
                    return Some(flags + 2);
                }
                flags + 1
            } else if inner.starts_with("?<=") || inner.starts_with("?<!") {
                return None;
            } else if inner.starts_with("?<") || inner.starts_with("?P<") {
                inner.find('>')? + 1
            } else if inner.starts_with('?') {
                return None;
            } else {
                0
            };
            let length = alternatives(inner.get(skipped..)?, depth + 1, random, out, keep)?;
            let end = 1 + skipped + length;
            (pattern.as_bytes().get(end) == Some(&b')')).then_some(end + 1)
        }
        '[' => class(pattern, random, out, keep),
        '\\' => {
            let (escape, length) = escape(pattern)?;
            if let Some(character) = escape.one(random).filter(|_| keep) {
                out.push(character);
            }
            Some(length)
        }
        '*' | '+' | '?' => None,
        _ => {
            if keep {
                out.push(if first == '.' { letter(random) } else { first });
            }
            Some(first.len_utf8())
        }
    }
}

/// The length of `?`, `?:`'s question mark or `?i-m` and the like at the start of a group, up to
/// the colon or parenthesis behind it; none where that is no list of flags.
fn flags(inner: &str) -> Option<usize> {
    let rest = inner.strip_prefix('?')?;
    let length = rest.find([':', ')'])?;
    let are_flags = rest
        .get(..length)?
        .bytes()
        .all(|flag| matches!(flag, b'i' | b'm' | b's' | b'x' | b'u' | b'-'));
    are_flags.then_some(1 + length)
}

/// What stands behind a backslash.
enum Escape {
    /// A character by itself.
    Character(char),
    /// One of a kind.
    Kind(Kind),
    /// A place and no character: the edge of a word, or of the text.
    Edge,
}

/// The kinds of characters that have a name.
#[derive(Clone, Copy)]
enum Kind {
    Digit,
    NoDigit,
    Word,
    NoWord,
    Space,
    NoSpace,
    Letter,
    Upper,
    Lower,
    Mark,
}

impl Kind {
    fn one(self, random: &mut Random) -> char {
        match self {
            Self::Digit => digit(random),
            Self::Upper => letter(random).to_ascii_uppercase(),
            Self::Space => ' ',
            Self::NoWord | Self::Mark => '-',
            Self::NoDigit | Self::Word | Self::NoSpace | Self::Letter | Self::Lower => {
                letter(random)
            }
        }
    }

    fn has(self, character: char) -> bool {
        let is_word = character.is_alphanumeric() || character == '_';
        match self {
            Self::Digit => character.is_numeric(),
            Self::NoDigit => !character.is_numeric(),
            Self::Word => is_word,
            Self::NoWord => !is_word,
            Self::Space => character.is_whitespace(),
            Self::NoSpace => !character.is_whitespace(),
            Self::Letter => character.is_alphabetic(),
            Self::Upper => character.is_uppercase(),
            Self::Lower => character.is_lowercase(),
            Self::Mark => character.is_ascii_punctuation(),
        }
    }

    /// The kind that `\p{name}` names.
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "L" | "Letter" | "Alphabetic" => Self::Letter,
            "Lu" | "Uppercase" | "Uppercase_Letter" => Self::Upper,
            "Ll" | "Lowercase" | "Lowercase_Letter" => Self::Lower,
            "N" | "Nd" | "Number" | "Decimal_Number" => Self::Digit,
            "P" | "Pd" | "Punctuation" | "Dash_Punctuation" => Self::Mark,
            "Z" | "Zs" | "Separator" | "Space_Separator" | "White_Space" => Self::Space,
            _ => return None,
        })
    }
}

impl Escape {
    fn one(self, random: &mut Random) -> Option<char> {
        match self {
            Self::Character(character) => Some(character),
            Self::Kind(kind) => Some(kind.one(random)),
            Self::Edge => None,
        }
    }
}

/// The escape that a pattern begins with, and its length.
fn escape(pattern: &str) -> Option<(Escape, usize)> {
    let rest = pattern.get(1..)?;
    let name = rest.chars().next()?;
    let escape = match name {
        'd' => Escape::Kind(Kind::Digit),
        'D' => Escape::Kind(Kind::NoDigit),
        'w' => Escape::Kind(Kind::Word),
        'W' => Escape::Kind(Kind::NoWord),
        's' => Escape::Kind(Kind::Space),
        'S' => Escape::Kind(Kind::NoSpace),
        'n' => Escape::Character('\n'),
        't' => Escape::Character('\t'),
        'r' => Escape::Character('\r'),
        'f' => Escape::Character('\u{c}'),
        'v' => Escape::Character('\u{b}'),
        // A text that is made as a whole begins and ends where its words do.
        'b' | 'A' | 'z' | 'Z' => Escape::Edge,
        'x' => return code(rest, 2),
        'u' => return code(rest, 4),
        'p' => {
            let rest = rest.get(1..)?;
            let (kind, length) = match rest.strip_prefix('{') {
                Some(inner) => {
                    let end = inner.find('}')?;
                    let name = inner.get(..end)?;
                    // As in `\p{Script=Latin}`, whose letters these are.
                    let name = if name.contains('=') { "L" } else { name };
                    (Kind::named(name)?, end + 2)
                }
                None => (Kind::named(rest.get(..1)?)?, 1),
            };
            return Some((Escape::Kind(kind), 2 + length));
        }
        // References back and the rest would need more of the text to be known.
        other if other.is_ascii_alphanumeric() => return None,
        other => Escape::Character(other),
    };
    Some((escape, 1 + name.len_utf8()))
}

/// `x41`, `u0041`, or either with braces.
fn code(rest: &str, digits: usize) -> Option<(Escape, usize)> {
    let inner = rest.get(1..)?;
    let (text, length) = match inner.strip_prefix('{') {
        Some(inner) => {
            let end = inner.find('}')?;
            (inner.get(..end)?, end + 2)
        }
        None => (inner.get(..digits)?, digits),
    };
    let character = char::from_u32(u32::from_str_radix(text, 16).ok()?)?;
    Some((Escape::Character(character), 2 + length))
}

/// `[…]`: a range, a single character or one of a kind that is in it, or a printable one that is
/// not.
fn class(pattern: &str, random: &mut Random, out: &mut String, keep: bool) -> Option<usize> {
    let negated = pattern.starts_with("[^");
    let mut at = if negated { 2 } else { 1 };
    let mut seen = 0;
    let mut chosen = None;
    let mut excluded = [false; 128];
    loop {
        if pattern.get(at..)?.starts_with(']') && seen > 0 {
            at += 1;
            break;
        }
        let (low, length) = class_item(pattern.get(at..)?)?;
        at += length;
        seen += 1;
        let is_taken = random.below(seen) == 0;
        let low = match low {
            Escape::Character(character) => character,
            Escape::Kind(kind) => {
                for (code, excluded) in (0_u8..).zip(excluded.iter_mut()) {
                    *excluded |= kind.has(char::from(code));
                }
                if is_taken {
                    chosen = Some(kind.one(random));
                }
                continue;
            }
            Escape::Edge => return None,
        };
        let mut high = low;
        let rest = pattern.get(at..)?;
        if rest.starts_with('-') && !rest.starts_with("-]") {
            // A kind is no end of a range: the hyphen before it is one by itself.
            if let (Escape::Character(last), length) = class_item(rest.get(1..)?)? {
                high = last;
                at += 1 + length;
            }
        }
        let span = u32::from(high).checked_sub(u32::from(low))?;
        for excluded in excluded
            .iter_mut()
            .skip(low as usize)
            .take(span as usize + 1)
        {
            *excluded = true;
        }
        if is_taken {
            chosen = char::from_u32(u32::from(low) + random.below(span as usize + 1) as u32)
                .or(Some(low));
        }
    }
    if negated {
        let offset = random.below(95);
        chosen = (0..95)
            .map(|step| 32 + (step + offset) % 95)
            .find(|&code| excluded.get(code) == Some(&false))
            .and_then(|code| char::from_u32(code as u32));
    }
    let chosen = chosen?;
    if keep {
        out.push(chosen);
    }
    Some(at)
}

/// A character or a kind inside of a class.
fn class_item(pattern: &str) -> Option<(Escape, usize)> {
    let first = pattern.chars().next()?;
    if first == '\\' {
        // Inside of a class it is a character, and one that nobody wants.
        return escape(pattern).filter(|(escape, _)| !matches!(escape, Escape::Edge));
    }
    Some((Escape::Character(first), first.len_utf8()))
}

/// The least and the most of a count, and its length; once where there is none.
fn count(pattern: &str) -> Option<(usize, usize, usize)> {
    let (least, most, length) = match pattern.as_bytes().first() {
        Some(b'*') => (0, OPEN_REPEATS, 1),
        Some(b'+') => (1, 1 + OPEN_REPEATS, 1),
        Some(b'?') => (0, 1, 1),
        Some(b'{') => {
            let inner = pattern.get(1..pattern.find('}')?)?;
            let length = inner.len() + 2;
            match inner.split_once(',') {
                None => (inner.parse().ok()?, inner.parse().ok()?, length),
                Some((least, "")) => {
                    let least: usize = least.parse().ok()?;
                    (least, least.checked_add(OPEN_REPEATS)?, length)
                }
                Some((least, most)) => (least.parse().ok()?, most.parse().ok()?, length),
            }
        }
        _ => return Some((1, 1, 0)),
    };
    // A lazy or possessive count takes the same texts.
    let suffix = usize::from(matches!(pattern.as_bytes().get(length), Some(b'?' | b'+')));
    Some((least, most, length + suffix))
}

fn digit(random: &mut Random) -> char {
    char::from(b'0' + random.below(10) as u8)
}

fn letter(random: &mut Random) -> char {
    char::from(b'a' + random.below(26) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matches: impl Fn(&str) -> bool) {
        for seed in 0..200 {
            let made = text(pattern, &mut Random::new(seed)).unwrap();
            assert!(matches(&made), "{pattern} gave {made:?}");
        }
    }

    #[test]
    fn texts_match() {
        check("^abc$", |t| t == "abc");
        check("^(cat|dog|)s?$", |t| {
            ["", "s", "cat", "cats", "dog", "dogs"].contains(&t)
        });
        check("[a-c]{2}", |t| {
            t.len() == 2 && t.bytes().all(|b| (b'a'..=b'c').contains(&b))
        });
        check("[^a-z]", |t| {
            t.len() == 1 && !t.as_bytes()[0].is_ascii_lowercase()
        });
        check(r"\d+(\.\d{1,2})?", |t| t.parse::<f64>().is_ok());
        check("(?:x(y|z)){3}", |t| t.len() == 6);
        check(r"[\w.-]+@[a-z]+\.com", |t| {
            t.contains('@') && t.ends_with(".com")
        });
        check("(?<year>[0-9]{4})", |t| t.len() == 4);
        check("(?P<year>[0-9]{4})", |t| t.len() == 4);
        check(r"^[^@\s]+@[^@\s]+\.[^@\s]+$", |t| {
            t.matches('@').count() == 1 && !t.contains(' ')
        });
        check(r"[^\w\s]", |t| {
            t.chars().all(|c| c.is_ascii_punctuation() && c != '_')
        });
        check(r"[\d\w-]{3}", |t| t.len() == 3);
        check(r"[\w-.]", |t| t.len() == 1);
        check(r"\bword\b", |t| t == "word");
        check(r"\A\d\z", |t| t.len() == 1);
        check(r"^\p{L}\p{Lu}\p{Nd}\pL$", |t| {
            t.len() == 4 && t.as_bytes()[1].is_ascii_uppercase() && t.as_bytes()[2].is_ascii_digit()
        });
        check(r"[\p{L}\p{N}]+", |t| t.chars().all(char::is_alphanumeric));
        check(r"\x41\u0042\u{43}", |t| t == "ABC");
        check(r"[\x41-\x43]", |t| ["A", "B", "C"].contains(&t));
        check(r"(?i)abc", |t| t.eq_ignore_ascii_case("abc"));
        check(r"a(?i:b)c", |t| t.eq_ignore_ascii_case("abc"));
    }

    #[test]
    fn what_is_broken_or_beyond_is_refused() {
        for pattern in [
            "(",
            "a)",
            "[a",
            "a{2",
            "a{3,1}",
            "*",
            r"\1",
            "(?=a)",
            "(?<!a)b",
            "(?<=a)b",
            "(?!a)b",
            r"\B",
            r"\k<a>",
            r"\p{Nonsense}",
            r"[\b]",
            r"\x4",
            "a{99999999}",
            "[z-a]",
        ] {
            assert_eq!(text(pattern, &mut Random::new(1)), None, "{pattern}");
        }
        assert_eq!(text(&"(".repeat(100_000), &mut Random::new(1)), None);
    }
}
