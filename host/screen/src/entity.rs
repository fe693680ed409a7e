//! Reads the body of one HTML entity.

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

/// The character of the entity with this `body`, which is all between the `&` and what ends it.
pub(crate) fn entity(body: &[u8], next: Option<u8>) -> Option<u32> {
    match body {
        [b'#', b'x' | b'X', digits @ ..] => hex(digits),
        [b'#', digits @ ..] if !digits.is_empty() => {
            digits.iter().try_fold(0_u32, |value, digit| {
                let digit = char::from(*digit).to_digit(10)?;
                value.checked_mul(10)?.checked_add(digit)
            })
        }
        name if next == Some(b';') => named(name),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_read() {
        let colon = Some(u32::from(':'));
        for body in ["#58", "#x3a", "#X3A", "#00058", "colon"] {
            assert_eq!(entity(body.as_bytes(), Some(b';')), colon, "{body}");
        }
        assert_eq!(entity(b"colon", Some(b' ')), None);
        assert_eq!(entity(b"lt", Some(b'=')), None);
        assert_eq!(entity(b"#", Some(b';')), None);
        assert_eq!(entity(b"#99999999999", Some(b';')), None);
    }
}
