//! What a sentence says of a few properties that are no entities: the room, the subject, the units
//! of a conversion, and whether something is to be on or off.

use alloc::string::String;
use alloc::vec::Vec;

use crate::meaning::Key;
use crate::words;

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
