//! Reads HTML entities: the body of one, and those that no semicolon ends.

use crate::decode::{Decoded, ESCAPE_BYTES_MAX};

/// The number that `digits` spell in base 16, if all of them are digits.
pub(crate) fn hex(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |value, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        value.checked_mul(16)?.checked_add(digit)
    })
}

/// The character of the entity with this `body`, which is all between the `&` and what ends it:
/// a semicolon, the next entity, or something else.
pub(crate) fn entity(body: &[u8], next: Option<u8>) -> Option<u32> {
    match body {
        [b'#', b'x' | b'X', digits @ ..] => hex(digits),
        [b'#', digits @ ..] if !digits.is_empty() => {
            digits.iter().try_fold(0_u32, |value, digit| {
                let digit = char::from(*digit).to_digit(10)?;
                value.checked_mul(10)?.checked_add(digit)
            })
        }
        name if matches!(next, Some(b';' | b'&')) => named(name),
        // Without the semicolon only the oldest four are entities, and not before `=`, where
        // they are the name of a parameter.
        name if next != Some(b'=') => match name {
            b"lt" | b"LT" | b"gt" | b"GT" | b"amp" | b"quot" => named(name),
            _ => None,
        },
        _ => None,
    }
}

/// The named entities that stand for a character of code.
fn named(name: &[u8]) -> Option<u32> {
    let character = match name {
        b"lt" | b"LT" => '<',
        b"gt" | b"GT" => '>',
        b"amp" | b"AMP" => '&',
        b"quot" | b"QUOT" => '"',
        b"apos" => '\'',
        b"nbsp" | b"NonBreakingSpace" => ' ',
        b"Tab" => '\t',
        b"NewLine" => '\n',
        b"colon" => ':',
        b"semi" => ';',
        b"comma" => ',',
        b"period" => '.',
        b"sol" => '/',
        b"bsol" => '\\',
        b"lpar" => '(',
        b"rpar" => ')',
        b"lsqb" | b"lbrack" => '[',
        b"rsqb" | b"rbrack" => ']',
        b"lcub" | b"lbrace" => '{',
        b"rcub" | b"rbrace" => '}',
        b"equals" => '=',
        b"plus" => '+',
        b"num" => '#',
        b"dollar" => '$',
        b"percnt" => '%',
        b"commat" => '@',
        b"excl" => '!',
        b"quest" => '?',
        b"ast" | b"midast" => '*',
        b"grave" | b"DiacriticalGrave" => '`',
        b"vert" | b"verbar" | b"VerticalLine" => '|',
        b"lowbar" | b"UnderBar" => '_',
        b"hyphen" | b"dash" => '-',
        b"Hat" => '^',
        b"lsquo" | b"rsquo" => '\'',
        b"ldquo" | b"rdquo" => '"',
        b"ZeroWidthSpace" | b"zwnj" | b"zwj" | b"shy" => '\u{200b}',
        _ => return None,
    };
    Some(u32::from(character))
}

/// Undoes entities that no semicolon ends, as browsers do: `&#106&#97v`. They end where
/// something else begins, which is known only when all other escapes are undone. Gives nothing
/// when there are none. Those to be `blunted` lose their `&` to a space instead, and are none
/// from then on.
pub(crate) fn bare_entities<const TRACE: bool>(text: &str, blunted: bool) -> Option<Decoded> {
    let mut closed: Option<Decoded> = None;
    let mut copied = 0;
    let mut from = 0;
    while let Some(at) = next_bare(text.as_bytes(), from) {
        let body = text.as_bytes().get(at + 1..).unwrap_or_default();
        let length = bare_length(body);
        from = at + 1;
        let (body, rest) = body.split_at_checked(length)?;
        let character = entity(body, rest.first().copied()).and_then(char::from_u32);
        let Some(character) = character.filter(|_| rest.first() != Some(&b';')) else {
            continue;
        };
        let (character, length) = if blunted {
            (' ', 0)
        } else {
            (character, length)
        };
        let closed = closed.get_or_insert_with(|| Decoded {
            text: String::new(),
            origins: Vec::new(),
        });
        closed.text.push_str(text.get(copied..at)?);
        closed.text.push(character);
        if TRACE {
            closed.origins.extend(copied..at);
            closed
                .origins
                .extend(std::iter::repeat_n(at, character.len_utf8()));
        }
        copied = at + 1 + length;
        from = copied;
    }
    let mut closed = closed?;
    closed.text.push_str(text.get(copied..)?);
    if TRACE {
        closed.origins.extend(copied..text.len());
    }
    Some(closed)
}

/// Where the next `&` at or after `from` stands that may begin such an entity.
fn next_bare(bytes: &[u8], from: usize) -> Option<usize> {
    let tail = bytes.get(from..)?;
    let begins = |three: &[u8]| {
        matches!(
            three,
            [b'&', b'#', b'0'..=b'9' | b'x' | b'X']
                | [b'&', b'a'..=b'z' | b'A'..=b'Z', _]
        )
    };
    tail.windows(3).position(begins).map(|found| from + found)
}

/// How much of `body` belongs to an entity without a semicolon.
fn bare_length(body: &[u8]) -> usize {
    let count = |from: usize, holds: fn(&u8) -> bool| {
        let tail = body.get(from..).unwrap_or_default();
        from + tail
            .iter()
            .take(ESCAPE_BYTES_MAX)
            .take_while(|byte| holds(byte))
            .count()
    };
    match body {
        [b'#', b'x' | b'X', ..] => count(2, u8::is_ascii_hexdigit),
        [b'#', ..] => count(1, u8::is_ascii_digit),
        _ => count(0, u8::is_ascii_alphanumeric),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_read() {
        let colon = Some(u32::from(':'));
        for body in ["#58", "#x3a", "#X3A", "#00058", "colon"] {
            assert_eq!(entity(body.as_bytes(), Some(b';')), colon, "{body}");
        }
        assert_eq!(entity(b"colon", Some(b'&')), colon);
        assert_eq!(entity(b"colon", Some(b' ')), None);
        assert_eq!(entity(b"lt", Some(b'=')), None);
        assert_eq!(entity(b"#", Some(b';')), None);
        assert_eq!(entity(b"#99999999999", Some(b';')), None);
    }
}
