//! What a sentence says of a few properties that are no entities: the room, the subject, the units
//! of a conversion, and whether something is to be on or off.

use alloc::string::String;
use alloc::vec::Vec;

use crate::json::Json;
use crate::meaning::Key;
use crate::words::{self, is_in};

/// How long a text of the prompt may be that becomes a value, in characters.
const TEXT_CHARACTERS: usize = 240;
const ROOMS: [&str; 14] = [
    "living room",
    "dining room",
    "kitchen",
    "bedroom",
    "bathroom",
    "office",
    "garage",
    "hallway",
    "basement",
    "garden",
    "attic",
    "balcony",
    "nursery",
    "porch",
];
const UNITS: [&str; 36] = [
    "miles",
    "mile",
    "kilometers",
    "kilometres",
    "kilometer",
    "km",
    "meters",
    "metres",
    "feet",
    "foot",
    "inches",
    "inch",
    "yards",
    "centimeters",
    "cm",
    "kilograms",
    "kilogram",
    "kg",
    "pounds",
    "lbs",
    "grams",
    "ounces",
    "liters",
    "litres",
    "gallons",
    "cups",
    "celsius",
    "fahrenheit",
    "kelvin",
    "hours",
    "minutes",
    "seconds",
    "days",
    "bytes",
    "megabytes",
    "gigabytes",
];
/// What ends a subject.
const BEHIND: [&str; 9] = [
    " at ",
    " on ",
    " for ",
    " in ",
    " with ",
    " by ",
    " from ",
    " tomorrow",
    " today",
];

/// The room that is named.
pub(super) fn room(said: &str) -> Option<String> {
    let room = ROOMS.iter().find(|room| words::find(said, room).is_some());
    room.copied().map(String::from)
}

/// The units that are named, in their order.
pub(super) fn units(said: &str) -> Vec<&'static str> {
    let mut found: Vec<(usize, &'static str)> = Vec::new();
    for unit in UNITS {
        if let Some(at) = words::find(said, unit)
            && found.iter().all(|(other, _)| *other != at)
        {
            found.push((at, unit));
        }
    }
    words::sort_by_key(&mut found, |(at, _)| (0, *at));
    found.into_iter().map(|(_, unit)| unit).collect()
}

/// What something is about.
pub(super) fn topic(said: &str) -> Option<String> {
    let at = ["about", "regarding", "concerning"]
        .iter()
        .find_map(|lead| Some(words::find(said, lead)? + lead.len()))?;
    let rest = said.get(at..)?.trim_start();
    let rest = ["the ", "a ", "an ", "our ", "my "]
        .iter()
        .find_map(|article| rest.strip_prefix(article))
        .unwrap_or(rest);
    let end = rest.find(['.', '!', '?', ',', '\n', ';']);
    let rest = rest.get(..end.unwrap_or(rest.len()))?;
    let end = BEHIND.iter().filter_map(|word| rest.find(word)).min();
    let topic = rest.get(..end.unwrap_or(rest.len()))?.trim();
    (!topic.is_empty()).then(|| topic.into())
}

/// Whether something is to be on or off, for a property that says so.
pub(super) fn switched(said: &str, key: &Key) -> Option<bool> {
    if !key.has("on off state power powered active enabled enable light switch open locked") {
        return None;
    }
    let says = |list: &[&str]| list.iter().any(|verb| words::find(said, verb).is_some());
    let is_off = says(&["off", "disable", "deactivate", "aus", "apaga", "éteins"]);
    let is_on = says(&[
        "turn on",
        "switch on",
        "enable",
        "activate",
        "ein",
        "enciende",
    ]) || said.contains("turn") && words::find(said, "on").is_some();
    match (is_off, is_on) {
        (true, false) => Some(key.has("off")),
        (false, true) => Some(!key.has("off")),
        _ => None,
    }
}

/// What is to be remembered: `remind me tomorrow at 9 to call Ann`.
pub(super) fn to_be_done(said: &str) -> Option<String> {
    let at = [
        "remind me",
        "reminder",
        "to-do",
        "todo",
        "task",
        "don't forget",
    ]
    .iter()
    .filter_map(|word| Some(words::find(said, word)? + word.len()))
    .min()?;
    let rest = said.get(at..)?;
    let deed = rest.get(words::find(rest, "to")? + 2..)?.trim_start();
    let end = deed.find(['.', '!', '?', '\n', ',']).unwrap_or(deed.len());
    let deed = deed.get(..end)?;
    // When it is to be done is said elsewhere.
    let when = [
        " tomorrow",
        " today",
        " tonight",
        " at ",
        " on ",
        " next ",
        " in ",
    ];
    let end = when.iter().filter_map(|word| deed.find(word)).min();
    let deed = deed.get(..end.unwrap_or(deed.len()))?.trim();
    (!deed.is_empty()).then(|| short(deed))
}

/// Things that are listed by their names: `milk, eggs and bread`.
pub(super) fn listed(said: &str) -> Vec<String> {
    const ITEM_WORDS_MAX: usize = 3;
    let sentence = said
        .split(['\n', '?', '!', ';'])
        .find(|sentence| sentence.contains(','))
        .unwrap_or_default();
    let sentence = sentence.split_once(": ").map_or(sentence, |(_, list)| list);
    let mut parts: Vec<&str> = sentence.split(',').map(str::trim).collect();
    let Some(last) = parts.pop() else {
        return Vec::new();
    };
    // `eggs and bread to my list`: two things, and what is no part of the second.
    let joint = [" and ", " & ", " or ", " und ", " y ", " et ", " e "];
    let mut tail: Vec<&str> = Vec::new();
    let last = last
        .strip_prefix("and ")
        .or(last.strip_prefix("or "))
        .unwrap_or(last);
    match joint.iter().find_map(|joint| last.split_once(joint)) {
        Some((one, other)) => tail.extend([one, other]),
        None => tail.push(last),
    }
    parts.extend(tail);
    let count = parts.len();
    let mut items = Vec::new();
    for (at, part) in parts.into_iter().enumerate() {
        let mut words: Vec<&str> = part.split_whitespace().collect();
        if at == 0 && words.len() > 1 && !said.contains(": ") {
            // The verb stands before the first.
            words.drain(..words.len() - 1);
        }
        if at + 1 == count {
            let leads =
                |word: &&str| is_in("to for from on in at with into onto please zu auf", word);
            let end = words.iter().position(leads).unwrap_or(words.len());
            words.truncate(end);
        }
        let article = words
            .first()
            .is_some_and(|word| is_in("a an the some my", word));
        let words = words.get(usize::from(article)..).unwrap_or_default();
        let item = words.join(" ");
        let item = item.trim_matches(|letter: char| !letter.is_alphanumeric());
        if item.is_empty() || words.len() > ITEM_WORDS_MAX {
            return Vec::new();
        }
        items.push(item.into());
    }
    if count > 1 { items } else { Vec::new() }
}

/// What a request is for: what stands behind `search for` and the like, and else all of it.
pub(super) fn object_of(said: &str) -> String {
    const VERBS: [&str; 15] = [
        "search the web for",
        "search for",
        "look up",
        "look for",
        "find information about",
        "find me",
        "find",
        "tell me about",
        "information about",
        "information on",
        "news about",
        "google",
        "search",
        "suche nach",
        "busca",
    ];
    let sentence = said
        .split(['\n', '?', '!'])
        .find(|sentence| !sentence.trim().is_empty())
        .unwrap_or_default();
    let found = VERBS.iter().find_map(|verb| {
        let at = words::find(sentence, verb)?;
        sentence.get(at + verb.len()..)
    });
    let object = found.unwrap_or(sentence).trim();
    let object = object.split(". ").next().unwrap_or(object);
    short(object.trim_matches(['.', ' ', '"', ':', ',', '“', '”']))
}

/// What stands behind a colon, as in `Summarize this: …`, or behind `saying`.
pub(super) fn behind_a_colon(said: &str) -> Option<String> {
    let text = match said.split_once(": ").or_else(|| said.split_once(":\n")) {
        Some((_, text)) => text,
        None => {
            let found = ["saying that", "saying", "that says"]
                .iter()
                .find_map(|verb| Some((words::find(said, verb)?, verb.len())));
            let (at, length) = found?;
            said.get(at + length..)?
        }
    };
    Some(short(text.trim().trim_matches('"')))
}

fn short(text: &str) -> String {
    text.chars().take(TEXT_CHARACTERS).collect()
}

const GOOD: &str = "love loved loves great amazing excellent good wonderful fantastic happy best awesome perfect enjoyed enjoy brilliant superb recommend delighted pleased nice";
const BAD: &str = "hate hated hates terrible awful bad worst horrible poor disappointed disappointing broken useless angry boring waste rude slow sad annoying";

/// Whether a text speaks well or badly of something; none where it does neither.
pub(crate) fn polarity(said: &str) -> Option<bool> {
    let mut sum = 0;
    for word in said.split(|letter: char| !words::is_letter(letter)) {
        let word = words::lowered(word);
        sum += i32::from(is_in(GOOD, &word)) - i32::from(is_in(BAD, &word));
    }
    (sum != 0).then_some(sum > 0)
}

/// The one of several values that says how a text speaks of something.
pub(super) fn sentiment<'o>(said: &str, options: &'o [Json]) -> Option<&'o Json> {
    let named = |wanted: &str| {
        let is_it = |option: &&Json| {
            let text = option.text().unwrap_or_default();
            text.eq_ignore_ascii_case(wanted)
        };
        options.iter().find(is_it)
    };
    let (good, bad) = (named("positive")?, named("negative")?);
    polarity(said).map(|is_good| if is_good { good } else { bad })
}

/// What somebody goes to: `Ann and Ben are going to a science fair on Friday`.
pub(super) fn event(said: &str) -> Option<String> {
    let at = [
        "going to",
        "attending",
        "attend",
        "hosting",
        "organizing",
        "planning",
    ]
    .iter()
    .find_map(|lead| Some(words::find(said, lead)? + lead.len()))?;
    let rest = said.get(at..)?.trim_start();
    let rest = ["the ", "a ", "an "]
        .iter()
        .find_map(|article| rest.strip_prefix(article))?;
    let end = rest.find(['.', '!', '?', ',', '\n', ';']);
    let rest = rest.get(..end.unwrap_or(rest.len()))?;
    let end = BEHIND.iter().filter_map(|word| rest.find(word)).min();
    let event = rest.get(..end.unwrap_or(rest.len()))?.trim();
    (!event.is_empty()).then(|| event.into())
}

/// A street with its number: `12 Main Street`.
pub(super) fn address(said: &str) -> Option<String> {
    const WAYS: &str =
        "street st avenue ave road rd lane ln drive dr boulevard blvd way court square";
    let parts: Vec<&str> = said.split(' ').collect();
    let bare = |part: &str| -> String { part.trim_matches([',', '.', ';', ')']).into() };
    let way = parts.iter().position(|part| {
        is_in(WAYS, &words::lowered(&bare(part))) && part.starts_with(words::is_upper)
    })?;
    let is_number = |part: &&str| part.starts_with(|first: char| first.is_ascii_digit());
    let from = parts.get(..way)?.iter().rposition(is_number)?;
    if way - from > 4 {
        return None;
    }
    let mut street = parts.get(from..way)?.join(" ");
    street.push(' ');
    street.push_str(&bare(parts.get(way)?));
    Some(street)
}
