//! Texts that match a regular expression: literals, classes, groups, alternatives and counts,
//! which is what schemas use. What looks around or back is beyond it.

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
            let skipped = match inner.strip_prefix("?:") {
                Some(_) => 2,
                None if inner.starts_with("?<")
                    && !inner.starts_with("?<=")
                    && !inner.starts_with("?<!") =>
                {
                    inner.find('>')? + 1
                }
                None if inner.starts_with('?') => return None,
                None => 0,
            };
            let length = alternatives(inner.get(skipped..)?, depth + 1, random, out, keep)?;
            let end = 1 + skipped + length;
            (pattern.as_bytes().get(end) == Some(&b')')).then_some(end + 1)
        }
        '[' => class(pattern, random, out, keep),
        '\\' => {
            let kind = pattern.get(1..)?.chars().next()?;
            if keep {
                out.push(escaped(kind, random)?);
            } else {
                escaped(kind, random)?;
            }
            Some(1 + kind.len_utf8())
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

/// A character that `\kind` matches.
fn escaped(kind: char, random: &mut Random) -> Option<char> {
    Some(match kind {
        'd' => digit(random),
        'w' => letter(random),
        's' => ' ',
        'D' | 'S' => letter(random),
        'W' => '-',
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        // Boundaries and references back would need the whole text to be known.
        other if other.is_ascii_alphanumeric() => return None,
        other => other,
    })
}

/// `[…]`: a range or single character of it, or a printable one that is not in it.
fn class(pattern: &str, random: &mut Random, out: &mut String, keep: bool) -> Option<usize> {
    let negated = pattern.starts_with("[^");
    let mut at = if negated { 2 } else { 1 };
    let mut seen = 0;
    let mut chosen = None;
    let mut excluded = [false; 128];
    loop {
        let is_set = matches!(
            pattern.get(at..)?.as_bytes(),
            [b'\\', b'd' | b'w' | b's' | b'D' | b'W' | b'S', ..]
        );
        if negated && is_set {
            return None;
        }
        let (low, length) = class_character(pattern.get(at..)?, random)?;
        if pattern.get(at..)?.starts_with(']') && seen > 0 {
            at += 1;
            break;
        }
        at += length;
        let mut high = low;
        let rest = pattern.get(at..)?;
        if rest.starts_with('-') && !rest.starts_with("-]") {
            let (last, length) = class_character(rest.get(1..)?, random)?;
            high = last;
            at += 1 + length;
        }
        let span = u32::from(high).checked_sub(u32::from(low))?;
        for excluded in excluded
            .iter_mut()
            .skip(low as usize)
            .take(span as usize + 1)
        {
            *excluded = true;
        }
        seen += 1;
        if random.below(seen) == 0 {
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

/// A character inside of a class. Of a class within (`\d`), one of its own.
fn class_character(pattern: &str, random: &mut Random) -> Option<(char, usize)> {
    let first = pattern.chars().next()?;
    if first != '\\' {
        return Some((first, first.len_utf8()));
    }
    let kind = pattern.get(1..)?.chars().next()?;
    Some((escaped(kind, random)?, 1 + kind.len_utf8()))
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
            r"\b",
            "a{99999999}",
            "[z-a]",
        ] {
            assert_eq!(text(pattern, &mut Random::new(1)), None, "{pattern}");
        }
        assert_eq!(text(&"(".repeat(100_000), &mut Random::new(1)), None);
    }
}
