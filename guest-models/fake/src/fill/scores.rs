//! How well what the prompt names suits a property.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::entities::{Entity, Kind};
use crate::json::Json;
use crate::meaning::{Key, Meaning};
use crate::places;
use crate::words::{self, is_in, lowered};

/// What leads away from a place, and to one; `in` and the like only say that it is there.
pub(super) const FROM_WORDS: &str = "from von aus de desde da из leaving departing";
pub(super) const TO_WORDS_ONLY: &str = "to nach para до into";
const TO_WORDS: &str = "to nach a à para em в into going";
const UNDER_WORDS: &str = "under below max maximum most than within to unter bis";
const OVER_WORDS: &str = "over above min minimum least from ab über";

/// Nouns that are counted, and what they count as.
const COUNTED: [(&str, &str); 9] = [
    (
        "guest adult person traveler traveller passenger party attendee seat member participant visitor people 人 名 명 personen personas personnes persone pessoas человек",
        "guest adult person traveler traveller passenger party attendee seat member participant visitor size",
    ),
    (
        "night 晚 泊 박 nächte noches nuits notti noites ночей ночи",
        "night stay duration",
    ),
    (
        "day 天 日 일 tage días jours giorni dias дней дня",
        "day duration",
    ),
    (
        "minute min minutes minuten minutos",
        "minute duration length",
    ),
    ("hour hr h stunden horas heures ore часов", "hour duration"),
    (
        "km kilometer kilometre mile meter m",
        "distance radius km kilometer mile meter range",
    ),
    (
        "kg kilo gram g pound lb",
        "weight mass kg kilogram gram pound",
    ),
    (
        "degree c f celsius fahrenheit",
        "temperature temp celsius fahrenheit degree",
    ),
    ("star stars", "star rating"),
];
/// Words that count nothing: a number before them stands by itself.
const NO_NOUNS: &str =
    "and or to in on at for from of with by is plus minus times the a und y et e и";

/// How well an entity suits a property that is a text; 0 for not at all.
pub(super) fn text_score(key: &Key, entity: &Entity) -> i32 {
    // The number of an account is nothing else.
    if is_iban(&entity.text) && !key.has("iban account bank number") {
        return 0;
    }
    let weight = match (key.meaning, entity.kind) {
        (Meaning::City | Meaning::Place | Meaning::Airport, Kind::Place) => {
            let is_country = places::is_country(&lowered(&entity.text));
            if is_country && key.meaning == Meaning::City {
                4
            } else {
                8
            }
        }
        (Meaning::Country | Meaning::CountryCode, Kind::Place)
            if places::is_country(&lowered(&entity.text)) =>
        {
            8
        }
        (Meaning::Region | Meaning::Address, Kind::Place) => 4,
        (_, Kind::Name | Kind::Place | Kind::Person)
            if key.has("restaurant venue hotel bar cafe shop store")
                && is_in("at", &entity.before) =>
        {
            9
        }
        (Meaning::City | Meaning::Place, Kind::Name) => 3,
        (Meaning::Person | Meaning::FirstName | Meaning::Username, Kind::Person) => 8,
        (Meaning::LastName, Kind::Person) if entity.text.contains(' ') => 8,
        (Meaning::Person | Meaning::FirstName, Kind::Name) => 4,
        (Meaning::Name, Kind::Person) => 8,
        (Meaning::Name, Kind::Quoted) => 7,
        (Meaning::Name, Kind::Name) => 6,
        (Meaning::Name, Kind::Place) => 2,
        (Meaning::Company | Meaning::Product, Kind::Name | Kind::Quoted) => 5,
        (Meaning::Company, Kind::Place)
            if is_in("at for from by", &entity.before)
                && !places::is_place(&lowered(&entity.text)) =>
        {
            6
        }
        (Meaning::Product, Kind::Number) if !entity.plain.is_empty() => 5,
        (Meaning::Email, Kind::Email)
        | (Meaning::Url, Kind::Url)
        | (Meaning::Phone, Kind::Phone)
        | (Meaning::Ip, Kind::Ip)
        | (Meaning::File, Kind::File)
        | (Meaning::Symbol, Kind::Symbol)
        | (Meaning::Date | Meaning::DateTime | Meaning::Birthday, Kind::Date)
        | (Meaning::Time | Meaning::DateTime, Kind::Time) => 8,
        (Meaning::Domain, Kind::Url) | (Meaning::Place, Kind::Email) => 3,
        (Meaning::Id | Meaning::Code | Meaning::Symbol, Kind::Code | Kind::Uuid) => 7,
        (Meaning::Currency, Kind::Currency) => 8,
        (Meaning::Currency, Kind::Money) => 7,
        (Meaning::Id | Meaning::Code, Kind::Number) if key.has(&entity.before) => 8,
        (Meaning::Id | Meaning::Code, Kind::Quoted) if key.has(&entity.before) => 9,
        (Meaning::Id | Meaning::Code, Kind::Number) => 3,
        (Meaning::Duration, Kind::Number) if is_time_unit(&entity.after) => 6,
        (
            Meaning::Year | Meaning::Zip | Meaning::Quantity | Meaning::Price | Meaning::Percent,
            Kind::Number | Kind::Money | Kind::Percent,
        ) => 4,
        (
            Meaning::Title
            | Meaning::Content
            | Meaning::Query
            | Meaning::Unknown
            | Meaning::Description
            | Meaning::Tag,
            Kind::Quoted,
        ) => 7,
        (Meaning::Title, Kind::Name) if is_in("called named titled", &entity.before) => 7,
        (Meaning::Unknown, Kind::Name | Kind::Code) if !entity.weak => 3,
        (Meaning::Query, Kind::Symbol | Kind::Code) => 1,
        _ => 0,
    };
    if weight == 0 {
        return 0;
    }
    let mut score = weight * 2 - i32::from(entity.weak) * 5;
    let side = |wanted: &str, other: &str| {
        i32::from(is_in(wanted, &entity.before)) * 3 - i32::from(is_in(other, &entity.before)) * 3
    };
    if key.has("origin departure from source start sender base") {
        score += side(FROM_WORDS, TO_WORDS);
    } else if key.has("destination arrival to target end recipient") {
        score += side(TO_WORDS, FROM_WORDS);
    }
    if key.has(&words::singular(&entity.before)) {
        score += 4;
    }
    // What was said before counts for less than what was said last.
    if entity.at == usize::MAX {
        score -= 4;
    }
    (score / 2).max(0)
}

/// The forms in which an entity can be a value.
pub(super) fn variants(key: &Key, entity: &Entity, values: &mut Vec<Json>) {
    let first = |text: String, values: &mut Vec<Json>| values.insert(0, Json::Text(text));
    match (key.meaning, entity.kind) {
        (_, Kind::Date | Kind::Time) if !entity.plain.is_empty() => {
            if entity.kind == Kind::Time {
                values.push(Json::Text(format!("{}:00Z", entity.plain)));
            } else {
                values.push(Json::Text(format!("{}T09:00:00Z", entity.plain)));
            }
            first(entity.plain.clone(), values);
        }
        (Meaning::Product, Kind::Number) => first(entity.plain.clone(), values),
        (Meaning::Currency, Kind::Money) => first(entity.plain.clone(), values),
        (Meaning::FirstName, _) => {
            let name = entity.text.split(' ').next().unwrap_or_default();
            first(name.into(), values);
        }
        (Meaning::LastName, _) => {
            let name = entity.text.rsplit(' ').next().unwrap_or_default();
            first(name.into(), values);
        }
        (Meaning::CountryCode | Meaning::Country, Kind::Place) => {
            if let Some(country) = places::Country::named(&lowered(&entity.text)) {
                let at = usize::from(key.meaning == Meaning::Country);
                values.insert(at, Json::Text(country.code.into()));
            }
        }
        (Meaning::Duration, Kind::Number) => {
            let unit = &entity.after;
            let of_clock = match unit.as_str() {
                unit if unit.starts_with("min") => Some("M"),
                unit if unit.starts_with('h') => Some("H"),
                _ => None,
            };
            let mut number = String::new();
            crate::json::write_number(&mut number, entity.number);
            match of_clock {
                Some(letter) => values.push(Json::Text(format!("PT{number}{letter}"))),
                None => values.push(Json::Text(format!("P{number}D"))),
            }
            first(format!("{number} {unit}"), values);
        }
        _ => {}
    }
}

fn is_iban(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 15
        && bytes.iter().take(2).all(u8::is_ascii_uppercase)
        && bytes.iter().skip(2).take(2).all(u8::is_ascii_digit)
        && bytes.iter().all(u8::is_ascii_alphanumeric)
}

fn is_time_unit(after: &str) -> bool {
    let unit = words::singular(after);
    is_in("minute min hour h day night week second month", &unit)
}

/// How well an entity suits a property that is a number; 0 for not at all.
pub(super) fn number_score(key: &Key, entity: &Entity) -> i32 {
    if !matches!(entity.kind, Kind::Number | Kind::Money | Kind::Percent) {
        return 0;
    }
    let after = words::singular(&entity.after);
    let before = words::singular(&entity.before);
    let mut score = 0;
    if !after.is_empty() && key.has(&after) || !before.is_empty() && key.has(&before) {
        score += 10;
    }
    for (nouns, keys) in COUNTED {
        if is_in(nouns, &after) || is_in(nouns, &entity.after) {
            score += if key.has(keys) { 8 } else { -6 };
        }
    }
    // What is converted is a number of any unit.
    if key.has("value amount magnitude") && score < 0 {
        score += 8;
    }
    score += match (key.meaning, entity.kind) {
        (Meaning::Price, Kind::Money) | (Meaning::Percent | Meaning::Fraction, Kind::Percent) => 8,
        (_, Kind::Money | Kind::Percent) => -4,
        (Meaning::Age, _)
            if is_in("year jahr año an anno ano years", &after) || is_in("aged age", &before) =>
        {
            8
        }
        (Meaning::Year, _) => {
            if (1000.0..=2999.0).contains(&entity.number) {
                6
            } else {
                -9
            }
        }
        (_, _)
            if (1900.0..=2100.0).contains(&entity.number) && is_in("in since from of", &before) =>
        {
            -6
        }
        (Meaning::Quantity, _) => 4,
        // `2 business class flights` are for two.
        (_, Kind::Number)
            if key.has("passenger guest person people adult traveler traveller ticket seat")
                && !is_time_unit(&after)
                && entity.number <= 20.0 =>
        {
            3
        }
        (Meaning::Date | Meaning::DateTime | Meaning::Latitude | Meaning::Longitude, _) => -4,
        _ => 0,
    };
    if key.has("max maximum limit most upper end to") && is_in(UNDER_WORDS, &before)
        || key.has("min minimum least lower start from") && is_in(OVER_WORDS, &before)
    {
        score += 3;
    }
    // `between 80 and 150`
    if is_in("between zwischen entre", &before) {
        score += 12 * i32::from(key.has("min minimum lower start from"));
        score -= 12 * i32::from(key.has("max maximum upper end to"));
    } else if is_in("and und y et e", &before) {
        score += 3 * i32::from(key.has("max maximum upper end to"));
        score -= 3 * i32::from(key.has("min minimum lower start from"));
    }
    if key.has("max maximum upper") && is_in("over above least from", &before)
        || key.has("min minimum lower") && is_in("under below most", &before)
    {
        score -= 5;
    }
    // A number that counts nothing may be anything.
    if after.is_empty() || is_in(NO_NOUNS, &after) {
        score += 2;
    }
    if entity.at == usize::MAX {
        score -= 1;
    }
    score
}
