//! Whether a text is a piece of code or markup that is whole.

use super::Beginning;

/// Longer pieces are judged by what is in them.
const SNIPPET_BYTES_MAX: usize = 16 << 10;

/// `<a href="/about">About</a>`: elements whose attributes stand in quotes, as people write
/// them, and perhaps what they say of them. Lists of attacks leave the quotes out, or the end.
pub(super) fn element(text: &str) -> Option<Beginning> {
    let text = text.trim();
    if text.len() > SNIPPET_BYTES_MAX {
        return None;
    }
    let mut rest = text;
    let mut tags = 0_u32;
    let mut asks = false;
    let mut begins = true;
    while let Some(at) = rest.find('<') {
        if begins && at > 0 {
            return None;
        }
        begins = false;
        let inside = rest.get(at + 1..)?;
        if let Some(behind) = behind_declaration(inside) {
            rest = behind;
            tags += u32::from(inside.starts_with('%'));
            continue;
        }
        rest = behind_tag(inside, &mut asks)?;
        tags += 1;
    }
    (tags > 0).then_some(if asks {
        Beginning::Button
    } else {
        Beginning::Element
    })
}

/// What follows `<?xml version="1.0"?>`, `<% … %>`, a comment, or a document type that declares nothing and
/// is read from nowhere else.
fn behind_declaration(text: &str) -> Option<&str> {
    if let Some(template) = text.strip_prefix('%') {
        return template.split_once("%>").map(|(_, behind)| behind);
    }
    if let Some(instruction) = text.strip_prefix("?xml ") {
        let (inside, behind) = instruction.split_once("?>")?;
        return (!inside.contains('<')).then_some(behind);
    }
    if let Some(comment) = text.strip_prefix("!--") {
        let (inside, behind) = comment.split_once("-->")?;
        return (!inside.starts_with(['#', '[']) && !inside.contains('<')).then_some(behind);
    }
    let name = text.get(..DOCTYPE.len())?;
    let (inside, behind) = text.get(DOCTYPE.len()..)?.split_once('>')?;
    let far = inside.contains(['[', '<', '%', '&', '\\'])
        || inside
            .split(['"', '\''])
            .any(|part| part.contains(':') && !part.starts_with("http://www.w3.org/"))
        || inside.contains("..");
    (name.eq_ignore_ascii_case(DOCTYPE) && !far).then_some(behind)
}

const DOCTYPE: &str = "!doctype ";

/// What follows a tag that is written as in a manual.
fn behind_tag<'t>(text: &'t str, asks: &mut bool) -> Option<&'t str> {
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
        rest = behind_attribute(attribute, asks)?;
    }
}

/// What follows `name`, `name="…"` or `name='…'`.
fn behind_attribute<'t>(text: &'t str, asks: &mut bool) -> Option<&'t str> {
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
    let name = text.get(..text.len() - rest.len())?;
    let (value, rest) = value.get(1..)?.split_once(quote)?;
    *asks |= CLICKS.contains(&name) && is_question(value);
    let named = text.len() > 5 && text.get(..5).is_some_and(|name| name == "xmlns");
    let plain = !value.contains(['<', '>', '\\', '`']) && (named || !loads_from_anywhere(value));
    plain.then_some(rest)
}

/// What a person does to an element. Lists of attacks wait for nobody.
const CLICKS: &[&str] = &["onclick", "onsubmit", "onchange"];

/// `alert('Saved')`, `return confirm('Delete?')`: a dialogue that says a word, and not the one
/// that lists of attacks have as proof.
fn is_question(value: &str) -> bool {
    let call = value.strip_prefix("return ").unwrap_or(value);
    let said = value.to_ascii_lowercase();
    is_dialogue(call)
        && call.contains(['"', '\''])
        && !["xss", "xxs", "pwn", "hack", "1"]
            .iter()
            .any(|proof| said.contains(proof))
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
