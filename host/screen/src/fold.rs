//! Folds characters that look like ASCII, or that nobody sees, to what a reader takes them for.
//!
//! Only forms that Unicode itself calls compatible with ASCII, typographic punctuation and the
//! few characters that servers are known to map to slashes. Letters of other scripts stay:
//! folding a Cyrillic `а` would turn Russian prose into code.

/// What a character is read as.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Folded {
    /// Itself.
    Kept,
    /// Nothing: it has no width or no meaning.
    Dropped,
    /// This ASCII character.
    Ascii(u8),
    /// This ASCII character twice: a typographic dash that stands for `--`.
    Twice(u8),
}

/// What `character` is read as.
pub(crate) fn fold(character: char) -> Folded {
    if let Ok(byte) = u8::try_from(u32::from(character))
        && byte.is_ascii()
    {
        return Folded::Ascii(byte);
    }
    match character {
        '\u{80}'..='\u{84}'
        | '\u{86}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => Folded::Dropped,
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            Folded::Ascii(b' ')
        }
        '\u{85}' | '\u{2028}' | '\u{2029}' => Folded::Ascii(b'\n'),
        '´' | 'ʹ' | 'ʻ' | 'ʼ' | 'ˈ' | '‘' | '’' | '‚' | '‛' | '′' | '‵' => {
            Folded::Ascii(b'\'')
        }
        'ʺ' | '“' | '”' | '„' | '‟' | '″' | '‶' => Folded::Ascii(b'"'),
        '‹' | '〈' | '﹤' | '˂' => Folded::Ascii(b'<'),
        '›' | '〉' | '﹥' | '˃' => Folded::Ascii(b'>'),
        // U+EFC8 and U+F025 are private; lists of traversals have them for servers that map
        // them to a slash.
        '⁄' | '∕' | '╱' | '⧸' | '\u{efc8}' | '\u{f025}' => Folded::Ascii(b'/'),
        '∖' | '⧵' | '⧹' | '﹨' => Folded::Ascii(b'\\'),
        '․' | '﹒' => Folded::Ascii(b'.'),
        '‐' | '‑' | '‒' | '−' | '﹣' | '﹘' => Folded::Ascii(b'-'),
        '–' => Folded::Twice(b'-'),
        'ˋ' => Folded::Ascii(b'`'),
        '∣' | 'ǀ' => Folded::Ascii(b'|'),
        '꞉' | '∶' | '﹕' => Folded::Ascii(b':'),
        ';' | '﹔' => Folded::Ascii(b';'),
        '﹙' => Folded::Ascii(b'('),
        '﹚' => Folded::Ascii(b')'),
        '﹡' | '∗' => Folded::Ascii(b'*'),
        '﹠' => Folded::Ascii(b'&'),
        '﹦' => Folded::Ascii(b'='),
        '﹪' => Folded::Ascii(b'%'),
        '﹟' => Folded::Ascii(b'#'),
        '﹩' => Folded::Ascii(b'$'),
        '\u{ff01}'..='\u{ff5e}' => shifted(character, '\u{ff01}', b'!', 94),
        'Ⓐ'..='Ⓩ' => shifted(character, 'Ⓐ', b'A', 26),
        'ⓐ'..='ⓩ' => shifted(character, 'ⓐ', b'a', 26),
        // The thirteen mathematical alphabets, capitals and small letters in turn.
        '\u{1d400}'..='\u{1d6a3}' => alphabet(character),
        '\u{1d7ce}'..='\u{1d7ff}' => shifted(character, '\u{1d7ce}', b'0', 10),
        _ => Folded::Kept,
    }
}

/// The ASCII character as far from `ascii` as `character` is from `first`, modulo `period`.
fn shifted(character: char, first: char, ascii: u8, period: u32) -> Folded {
    let offset = u32::from(character).saturating_sub(u32::from(first)) % period;
    u8::try_from(offset)
        .ok()
        .and_then(|offset| ascii.checked_add(offset))
        .map_or(Folded::Kept, Folded::Ascii)
}

fn alphabet(character: char) -> Folded {
    let offset = u32::from(character).saturating_sub(0x1d400) % 52;
    let Ok(offset) = u8::try_from(offset) else {
        return Folded::Kept;
    };
    Folded::Ascii(if offset < 26 {
        b'A' + offset
    } else {
        b'a' + (offset - 26)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ascii_character_has_its_full_width_form_folded() {
        for byte in 0x21..=0x7e_u8 {
            let wide = char::from_u32(u32::from(byte) + 0xfee0).unwrap();
            assert_eq!(fold(wide), Folded::Ascii(byte));
        }
    }

    #[test]
    fn letters_of_other_scripts_stay() {
        for letter in ['а', 'é', '语', 'ق', 'λ'] {
            assert_eq!(fold(letter), Folded::Kept);
        }
    }

    #[test]
    fn mathematical_letters_are_letters() {
        assert_eq!(fold('𝐬'), Folded::Ascii(b's'));
        assert_eq!(fold('𝚉'), Folded::Ascii(b'Z'));
        assert_eq!(fold('𝟗'), Folded::Ascii(b'9'));
    }
}
