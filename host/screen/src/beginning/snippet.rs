//! Whether a text is a piece of code or markup that is whole.

/// Longer pieces are judged by what is in them.
const SNIPPET_BYTES_MAX: usize = 2 << 10;

/// `<a href="/about">About</a>`: elements whose attributes stand in quotes, as people write
/// them, and perhaps what they say of them. Lists of attacks leave the quotes out, or the end.
pub(super) fn is_element(text: &str) -> bool {
    let text = text.trim();
    if text.len() > SNIPPET_BYTES_MAX {
        return false;
    }
    let mut rest = text;
    let mut tags = 0_u32;
    while let Some(at) = rest.find('<') {
        if tags == 0 && at > 0 {
            return false;
        }
        let Some(behind) = rest.get(at + 1..).and_then(behind_tag) else {
            return false;
        };
        rest = behind;
        tags += 1;
    }
    tags > 0
}

/// What follows a tag that is written as in a manual.
fn behind_tag(text: &str) -> Option<&str> {
    let closes = text.starts_with('/');
    let name = text.strip_prefix('/').unwrap_or(text);
    let mut rest = name.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
    if rest.len() == name.len() || !name.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        return None;
    }
    loop {
        if let Some(behind) = rest.strip_prefix('>').or_else(|| rest.strip_prefix("/>")) {
            return Some(behind);
        }
        let attribute = rest.trim_start_matches([' ', '\n', '\r', '\t']);
        if attribute.starts_with(['>', '/']) && attribute.len() < rest.len() {
            rest = attribute;
            if rest.starts_with('/') && !rest.starts_with("/>") {
                return None;
            }
            continue;
        }
        if closes || attribute.len() == rest.len() {
            return None;
        }
        rest = behind_attribute(attribute)?;
    }
}

/// What follows `name`, `name="…"` or `name='…'`.
fn behind_attribute(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|letter: char| {
        letter.is_ascii_alphanumeric() || matches!(letter, '-' | ':' | '_' | '@')
    });
    if rest.len() == text.len() {
        return None;
    }
    let Some(value) = rest.strip_prefix('=') else {
        return Some(rest);
    };
    let quote = value
        .chars()
        .next()
        .filter(|quote| matches!(quote, '"' | '\''))?;
    let (value, rest) = value.get(1..)?.split_once(quote)?;
    let plain = !value.contains(['<', '>', '\\', '`']) && !loads_from_anywhere(value);
    plain.then_some(rest)
}

/// `//host`, `http://host`: where lists of attacks load their script from.
fn loads_from_anywhere(value: &str) -> bool {
    let value = value.trim_start();
    value.starts_with("//")
        || value
            .get(..5)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"))
}

/// `alert("hello");`: one call of a browser's dialogue with a constant, which is how everybody
/// begins. Lists of attacks have it behind what it breaks out of.
pub(super) fn is_dialogue(text: &str) -> bool {
    let text = text.trim().trim_end_matches(';');
    let text = text.strip_prefix("window.").unwrap_or(text);
    let argument = ["alert", "confirm", "prompt"].iter().find_map(|name| {
        text.strip_prefix(name)?
            .strip_prefix('(')?
            .strip_suffix(')')
    });
    argument.is_some_and(|argument| {
        let inside = argument
            .strip_prefix(['"', '\''])
            .and_then(|inside| inside.strip_suffix(['"', '\'']))
            .unwrap_or(argument);
        inside
            .chars()
            .all(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '!' | ',' | '.' | '?'))
            && !inside.contains("document")
    })
}
