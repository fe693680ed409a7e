//! Names: of places, of people, and of things.

use alloc::string::String;
use alloc::vec::Vec;

use super::scan::{Word, entity};
use super::{Entity, Kind};
use crate::places;
use crate::words::{self, Script, is_upper, lowered};

/// How many words one name may have.
const WORDS_MAX: usize = 4;

const FIRST_NAMES: &str = "ada adam ahmed alan alex alice amy ana andrea andrew anna anne ben bill bob brian carlos carol catherine charlie chris clara claire daniel david diana elena eli emily emma eric erik eva fatima felix frank fritz george grace hannah hans harry helen henry hiro ines isabel ivan jack james jan jane jason jean jennifer jim joe john jonas jorge josé juan julia julie karen karl kate kim klaus laura lea lee leo li lin linda lisa lucas lucy luis luke maria marie marco mark martin mary max mei mia michael mike mohammed nina noah nora olga oliver olivia omar pablo paul pedro peter pierre priya rachel raj ravi robert rosa ryan sam samuel sara sarah simon sofia sophie stefan steve susan tara thomas tim tina tom victor wei will yuki zoe";
/// What a place is usually named after.
const PLACE_WORDS: &str = "in to from at near around visit visiting nach aus über bei von à en au vers a desde hasta para em no na em da di per в из на до для into via";
const PERSON_WORDS: &str = "mr mrs ms dr prof named with by tell ask email call contact invite hire meet remind message herr frau señor señora monsieur madame";
/// Words that begin with a capital letter and are no names.
const NO_NAMES: &str = "users people names contacts customers attendees participants members employees students dr mr mrs ms prof i i'm i'd i've i'll a an the what who where when why how which is are was do does did can could will would should please tell give show get find book search send create make write add remove update delete set schedule calculate compute convert translate extract list describe explain summarize check look what's who's where's how's it's let let's my our your their his her he she it we they you this that these those there here yes no not and or but if then also hi hello hey dear thanks thank good in on at to for from of with about return respond reply answer use using generate provide order buy remind call email turn play open need want looking plan help count classify parse given name user question note text input output context example customer product address date json xml html yaml csv sql api url markdown from: to: wie was wer wo wann warum bitte ich suche buche das der die ein eine qué cuál cómo quién dónde por el la los las un una quel quelle comment qui où je le les des che come chi dove il lo gli qual como quem onde o os um uma";

/// The name that some words begin with, and how many of them it is. `before` is the word before
/// them in the same clause, in lower case.
pub(super) fn read(words: &[Word<'_>], before: &str) -> Option<(Entity, usize)> {
    let word = words.first()?;
    if let Some((place, length)) = place(words) {
        return Some((place, length));
    }
    let first = word.text.chars().next()?;
    if !is_upper(first) {
        return unmarked_place(words, before);
    }
    let lower = lowered(bare(word.text));
    let is_person = words::is_in(FIRST_NAMES, &lower);
    // `Book Paris` begins with no name; `Springfield, 4 nights` does.
    if words::is_in(NO_NAMES, &lower) {
        return None;
    }
    let weak = word.begins && !is_person && !word.ends_clause() && word.lead.is_empty();
    let mut length = 1;
    let mut text = String::from(bare(word.text));
    while length < WORDS_MAX && !weak {
        let Some(last) = words.get(length - 1) else {
            break;
        };
        let Some(next) = words
            .get(length)
            .filter(|_| !last.ends_clause() && bare(last.text) == last.text)
        else {
            break;
        };
        let is_link = words::is_in("de la le van von der da do dos di del of the", next.text);
        let follows =
            next.text.starts_with(is_upper) && next.text.chars().any(|letter| !is_upper(letter));
        if is_link {
            let after = words.get(length + 1).filter(|_| !next.ends_clause());
            if !after.is_some_and(|after| after.text.starts_with(is_upper)) {
                break;
            }
        } else if !follows
            || words::is_in(NO_NAMES, &lowered(next.text))
            || place(words.get(length..)?).is_some()
        {
            break;
        }
        text.push(' ');
        text.push_str(bare(next.text));
        length += 1;
    }
    if text.ends_with(" the") || text.ends_with(" of") {
        return None;
    }
    // `Room 12`
    if is_in_house(&text)
        && let Some(number) = words.get(length)
        && number.text.bytes().all(|byte| byte.is_ascii_digit())
        && words
            .get(length - 1)
            .is_some_and(|last| !last.ends_clause())
    {
        text.push(' ');
        text.push_str(number.text);
        length += 1;
    }
    let kind = if is_person || words::is_in(PERSON_WORDS, before) {
        Kind::Person
    } else if words::is_in(PLACE_WORDS, before) {
        Kind::Place
    } else {
        Kind::Name
    };
    let mut found = entity(kind, text);
    found.weak = weak || lower.chars().count() < 2;
    Some((found, length))
}

/// Whether it is a part of a house, which has a number.
fn is_in_house(text: &str) -> bool {
    const PARTS: &str = "room gate terminal hall suite apartment platform conference raum saal gleis zimmer sala salle habitación";
    text.rsplit(' ')
        .next()
        .is_some_and(|last| words::is_in(PARTS, &lowered(last)))
}

/// A word without the ending of what somebody has.
fn bare(text: &str) -> &str {
    text.strip_suffix("'s")
        .or(text.strip_suffix("’s"))
        .unwrap_or(text)
}

/// A place that is known, of up to three words.
fn place(words: &[Word<'_>]) -> Option<(Entity, usize)> {
    let mut lower = String::new();
    let mut text = String::new();
    let mut found = None;
    for (index, word) in words.iter().take(3).enumerate() {
        if index > 0 {
            lower.push(' ');
            text.push(' ');
        }
        lower.push_str(&lowered(bare(word.text)));
        text.push_str(bare(word.text));
        let is_short = lower.len() < 4 && !word.text.starts_with(is_upper);
        if places::is_place(&lower) && !is_short && lower != "nice" {
            found = Some((text.clone(), index + 1));
        }
        if word.ends_clause() || bare(word.text) != word.text {
            break;
        }
    }
    let (text, length) = found?;
    let text = if text.starts_with(is_upper) {
        text
    } else {
        titled(&text)
    };
    Some((entity(Kind::Place, text), length))
}

/// Each word with a capital letter.
fn titled(text: &str) -> String {
    let mut out = String::new();
    for word in text.split(' ') {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&words::capitalised(word));
    }
    out
}

/// A place in lower case that nobody knows, as in `weather in springfield`.
fn unmarked_place(words: &[Word<'_>], before: &str) -> Option<(Entity, usize)> {
    const NO_PLACES: &str = "the a an my your our this that these those it me us them celsius fahrenheit english french german spanish json python total detail order general one two place front particular short full markdown morning evening afternoon which what order case";
    let word = words.first()?;
    let is_word = word
        .text
        .chars()
        .all(|letter| words::is_letter(letter) || letter == '-');
    if before != "in" || !is_word || word.text.len() < 3 || words::is_in(NO_PLACES, word.text) {
        return None;
    }
    if word.text.ends_with("ing") || word.text.ends_with('s') {
        return None;
    }
    let mut found = entity(Kind::Place, titled(word.text));
    found.weak = true;
    Some((found, 1))
}

/// Places in scripts whose words are not told apart by spaces or capital letters.
pub(super) fn beyond_latin(text: &str, found: &mut Vec<Entity>) {
    if text.is_ascii() {
        return;
    }
    let mut added: Vec<Entity> = Vec::new();
    for name in places::names_beyond_latin() {
        let mut from = 0;
        while let Some(at) = text.get(from..).and_then(|rest| rest.find(name)) {
            let start = from + at;
            from = start + name.len();
            let whole = name.chars().next().map(words::script);
            let edge = |letter: Option<char>| {
                letter.is_none_or(|letter| !words::is_letter(letter))
                    || matches!(whole, Some(Script::Han | Script::Kana | Script::Hangul))
            };
            let before = text
                .get(..start)
                .and_then(|before| before.chars().next_back());
            let after = text.get(from..).and_then(|after| after.chars().next());
            let covers = added
                .iter()
                .any(|known| known.at <= start && start < known.at + known.text.len());
            // Prefixes such as the article are glued on in Arabic.
            let begins = edge(before) || whole == Some(Script::Arabic);
            if begins && edge(after) && !covers {
                let mut place = entity(Kind::Place, name);
                place.at = start;
                added.push(place);
            }
        }
    }
    // With capital letters they were found once already, as they are written.
    added.retain(|place| {
        !found
            .iter()
            .any(|known| known.at == place.at && known.kind == Kind::Place)
    });
    found.extend(added);
}
