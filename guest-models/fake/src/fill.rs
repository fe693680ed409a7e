//! Finds what the prompt says for a property: the entities that suit its name, the best first.

mod hints;
mod scores;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::entities::{self, Entities, Entity, Kind};
use crate::json::Json;
use crate::meaning::{Key, Meaning};
use crate::values::{self, World};
use crate::words::{self, is_in, lowered};
pub(crate) use hints::polarity;
use scores::{FROM_WORDS, TO_WORDS_ONLY, number_score, text_score, variants};

/// What the prompt says, and what of it has been used.
#[derive(Clone, Debug)]
pub(crate) struct Filler<'a> {
    entities: &'a Entities,
    used: Vec<bool>,
    /// For which property an entity is kept, by the property's name.
    reserved: Vec<(usize, String)>,
}

/// A value that the prompt has for a property.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// In the order in which they are to be tried.
    pub(crate) values: Vec<Json>,
    /// The entity it is from, to be marked as used with the value.
    pub(crate) from: Option<usize>,
}

impl<'a> Filler<'a> {
    pub(crate) fn new(entities: &'a Entities) -> Self {
        Self {
            entities,
            used: alloc::vec![false; entities.list.len()],
            reserved: Vec::new(),
        }
    }

    /// Tells who and what place the prompt is about, for what follows from that.
    pub(crate) fn introduce(&self, world: &mut World) {
        for (kind, meaning) in [
            (Kind::Person, Meaning::Person),
            (Kind::Place, Meaning::Place),
        ] {
            if let Some(entity) = self.entities.list.iter().find(|entity| entity.kind == kind) {
                world.learn(meaning, &entity.text);
            }
        }
    }

    /// Keeps nothing for anyone any more.
    pub(crate) fn release(&mut self) {
        self.reserved.clear();
    }

    /// Keeps the number that suits a property well for it.
    pub(crate) fn reserve_number(&mut self, key: &Key) {
        let best = self.numbers(key, true).into_iter().next();
        if let Some(from) = best.and_then(|best| best.from) {
            self.reserved.push((from, key.name.clone()));
        }
    }

    /// Keeps all people for a list of them, which is not what the whole is called.
    pub(crate) fn reserve_people(&mut self, key: &Key) {
        if key.meaning == Meaning::Person {
            let all = self.count(key, false);
            self.reserved
                .extend(all.into_iter().map(|index| (index, key.name.clone())));
        }
    }

    /// Keeps the text that suits a property well for it.
    pub(crate) fn reserve_text(&mut self, key: &Key) {
        let suits = |(_, entity): &(usize, &Entity)| {
            entity.kind != Kind::Money && text_score(key, entity) >= 7
        };
        let best = self
            .free_for(key)
            .filter(suits)
            .max_by_key(|(index, entity)| (text_score(key, entity), usize::MAX - index));
        if let Some((from, _)) = best {
            self.reserved.push((from, key.name.clone()));
        }
    }

    /// What was said last.
    pub(crate) fn said(&self) -> &'a str {
        &self.entities.said
    }

    /// Marks what a value was taken from.
    pub(crate) fn take(&mut self, found: &Found) {
        if let Some(from) = found.from {
            self.use_up(from);
        }
    }

    /// Marks an entity as used.
    pub(crate) fn use_up(&mut self, index: usize) {
        if let Some(used) = self.used.get_mut(index) {
            *used = true;
        }
    }

    fn free(&self) -> impl Iterator<Item = (usize, &'a Entity)> + '_ {
        let list = self.entities.list.iter().enumerate();
        list.filter(|(index, _)| self.used.get(*index) == Some(&false))
    }

    /// Those that are kept for no other property.
    fn free_for(&self, key: &Key) -> impl Iterator<Item = (usize, &'a Entity)> + '_ {
        let name = key.name.clone();
        self.free().filter(move |(index, _)| {
            let keeper = self.reserved.iter().find(|(kept, _)| kept == index);
            keeper.is_none_or(|(_, keeper)| *keeper == name)
        })
    }

    /// Texts for a property, the best first.
    pub(crate) fn texts(&self, key: &Key) -> Vec<Found> {
        let mut ranked: Vec<(i32, Found)> = Vec::new();
        // Its currency leaves an amount for another property.
        let all = self.entities.list.iter();
        let amounts = all
            .filter(|entity| entity.kind == Kind::Money && key.meaning == Meaning::Currency)
            .map(|entity| (None, entity));
        // The number of a ware is still to be said, and may be kept for that.
        let wares = self
            .free()
            .filter(|(_, entity)| is_ware(entity) && key.meaning == Meaning::Product)
            .map(|(_, entity)| (None, entity));
        let is_left = |entity: &Entity| {
            is_ware(entity) || entity.kind == Kind::Money && key.meaning == Meaning::Currency
        };
        let free = self.free_for(key).filter(|(_, entity)| !is_left(entity));
        let free = free.map(|(index, entity)| (Some(index), entity));
        for (from, entity) in free.chain(amounts).chain(wares) {
            let score = text_score(key, entity);
            if score > 0 {
                let mut values = alloc::vec![Json::Text(entity.text.clone())];
                variants(key, entity, &mut values);
                if matches!(entity.kind, Kind::Date | Kind::Time)
                    && let Some(moment) = self.moment()
                {
                    // A day and an hour are one point in time where the property wants one.
                    let is_moment = key.meaning == Meaning::DateTime;
                    let at = if is_moment { 0 } else { values.len() - 1 };
                    values.insert(at, Json::Text(moment));
                }
                ranked.push((score, Found { values, from }));
            }
        }
        // The sort is stable: of equals, the first in the prompt comes first.
        words::sort_by_key(&mut ranked, |(score, _)| (-score, 0));
        let mut found: Vec<Found> = ranked.into_iter().map(|(_, found)| found).collect();
        let phrase = self.phrases(key);
        if matches!(key.meaning, Meaning::Address | Meaning::Street) {
            // A street is more than the town that it is in.
            if let Some(phrase) = phrase {
                found.insert(0, phrase);
            }
        } else {
            found.extend(phrase);
        }
        found
    }

    /// The point in time that the first day and the first hour of the prompt make.
    fn moment(&self) -> Option<String> {
        let first = |kind| {
            let mut said = self.entities.said_last();
            said.find(|entity| entity.kind == kind && !entity.plain.is_empty())
        };
        let (day, hour) = (first(Kind::Date)?, first(Kind::Time)?);
        // Words such as `tomorrow` name no day of a calendar.
        let is_day = day.plain.len() == 10 && day.plain.starts_with(|c: char| c.is_ascii_digit());
        is_day.then(|| format!("{}T{}:00Z", day.plain, hour.plain))
    }

    /// What the sentence itself says for a property, beside its entities.
    fn phrases(&self, key: &Key) -> Option<Found> {
        let said = self.said();
        let text = match key.meaning {
            Meaning::Expression => entities::expression(said).map(String::from),
            Meaning::Language | Meaning::LanguageCode => {
                let languages = values::languages(said);
                let is_source = key.has("source from");
                let (name, code) = match (is_source, languages.as_slice()) {
                    (true, [first, _, ..]) | (false, [_, first, ..]) | (false, [first]) => *first,
                    _ => return None,
                };
                let mut values: Vec<Json> = [name, code].map(|text| Json::Text(text.into())).into();
                if key.meaning == Meaning::LanguageCode || key.has("lang locale") {
                    values.reverse();
                }
                return Some(Found { values, from: None });
            }
            Meaning::Unit | Meaning::Temperature if hints::units(said).len() > 1 => {
                let units = hints::units(said);
                let is_target = key.has("to target output into");
                units.get(usize::from(is_target)).copied().map(String::from)
            }
            Meaning::Unit | Meaning::Temperature => {
                ["celsius", "fahrenheit", "kelvin", "metric", "imperial"]
                    .into_iter()
                    .find(|unit| words::find(said, unit).is_some())
                    .map(String::from)
            }
            Meaning::Color => [
                "red", "blue", "green", "yellow", "black", "white", "orange", "purple", "pink",
                "brown", "gray", "grey", "silver", "gold",
            ]
            .into_iter()
            .find(|color| words::find(said, color).is_some())
            .map(String::from),
            Meaning::Address | Meaning::Street => hints::address(said),
            Meaning::Name | Meaning::Title if hints::event(said).is_some() => hints::event(said),
            Meaning::Query => Some(hints::object_of(said)),
            Meaning::Content => hints::behind_a_colon(said).or_else(|| hints::to_be_done(said)),
            Meaning::Title | Meaning::Description | Meaning::Unknown
                if key.has("task todo reminder title text message note what") =>
            {
                hints::to_be_done(said)
            }
            Meaning::Category | Meaning::Tag | Meaning::Title | Meaning::Unknown
                if key.has("topic subject about") =>
            {
                hints::topic(said)
            }
            _ if key.has("room area zone") && hints::room(said).is_some() => hints::room(said),
            Meaning::Size => ["small", "medium", "large"]
                .into_iter()
                .find(|size| words::find(said, size).is_some())
                .map(String::from),
            _ => None,
        };
        let text = text.filter(|text| !text.is_empty())?;
        Some(Found {
            values: Vec::from([Json::Text(text)]),
            from: None,
        })
    }

    /// Numbers for a property, the best first. `strict` leaves out what is taken for want of
    /// anything better.
    pub(crate) fn numbers(&self, key: &Key, strict: bool) -> Vec<Found> {
        let mut ranked: Vec<(i32, Found)> = Vec::new();
        for (index, entity) in self.free_for(key) {
            let score = number_score(key, entity);
            if score >= if strict { 4 } else { 1 } {
                let mut values = alloc::vec![Json::Number(entity.number)];
                if entity.kind == Kind::Percent {
                    let share = Json::Number(entity.number / 100.0);
                    let at = usize::from(key.meaning != Meaning::Fraction);
                    values.insert(at, share);
                }
                ranked.push((
                    score,
                    Found {
                        values,
                        from: Some(index),
                    },
                ));
            }
        }
        words::sort_by_key(&mut ranked, |(score, _)| (-score, 0));
        ranked.into_iter().map(|(_, found)| found).collect()
    }

    /// Whether the prompt says yes or no to a property.
    pub(crate) fn flag(&self, key: &Key) -> Option<bool> {
        let said = lowered(self.said());
        if let Some(on) = hints::switched(&said, key) {
            return Some(on);
        }
        let wanted = key.words.iter().filter(|word| {
            word.len() >= 4
                && !is_in(
                    "include includes enable enabled should allow need with",
                    word,
                )
        });
        for word in wanted {
            let Some(at) =
                words::find(&said, word).or_else(|| words::find(&said, &format!("{word}s")))
            else {
                continue;
            };
            let before = said.get(..at).unwrap_or_default();
            let mut near = before
                .split(|letter: char| !words::is_letter(letter) && letter != '\'')
                .rev();
            let is_denied = near
                .by_ref()
                .filter(|word| !word.is_empty())
                .take(2)
                .any(|word| is_in("no not without don't exclude skip never kein keine ohne sin sans senza sem без", word));
            return Some(!is_denied);
        }
        None
    }

    /// The one of several values that the prompt names.
    pub(crate) fn option<'o>(&self, options: &'o [Json]) -> Option<&'o Json> {
        if let Some(option) = hints::sentiment(self.said(), options) {
            return Some(option);
        }
        let said = self.said().replace(['-', '_'], " ");
        let mut best: Option<(usize, &Json)> = None;
        for option in options {
            let at = match option {
                Json::Text(text) => mention(&said, text),
                Json::Number(number) => self
                    .entities
                    .said_last()
                    .find(|entity| entity.kind == Kind::Number && entity.number == *number)
                    .map(|entity| entity.at),
                _ => None,
            };
            // The first that is named, and of two at one place the longer one.
            if let Some(at) = at
                && best.is_none_or(|(first, other)| {
                    at < first
                        || at == first && option.text().map(str::len) > other.text().map(str::len)
                })
            {
                best = Some((at, option));
            }
        }
        best.map(|(_, option)| option)
    }

    /// Things that the prompt lists, and nobody knows what they are.
    pub(crate) fn listed(&self) -> Vec<String> {
        hints::listed(self.said())
    }

    /// How many things the prompt names that could each be the value of a property.
    pub(crate) fn count(&self, key: &Key, is_number: bool) -> Vec<usize> {
        let suits = |entity: &Entity| {
            !entity.weak
                && if is_number {
                    number_score(key, entity) > 0
                } else {
                    text_score(key, entity) >= 5
                }
        };
        let said = self
            .free()
            .filter(|(_, entity)| entity.at != usize::MAX && suits(entity));
        let mut seen: Vec<&str> = Vec::new();
        let mut found = Vec::new();
        for (index, entity) in said {
            // Two amounts in one currency have one.
            let text = match (key.meaning, entity.kind) {
                (Meaning::Currency, Kind::Money) => &entity.plain,
                (Meaning::Product, Kind::Number) => &entity.plain,
                _ => &entity.text,
            };
            if !seen.contains(&text.as_str()) {
                seen.push(text);
                found.push(index);
            }
        }
        found
    }

    /// Leaves what is said within a part of the prompt, if anything is.
    pub(crate) fn keep_within(&mut self, from: usize, to: usize) {
        let is_within = |entity: &Entity| (from..to).contains(&entity.at) && !entity.weak;
        if self.entities.list.iter().any(is_within) {
            for (used, entity) in self.used.iter_mut().zip(&self.entities.list) {
                *used |= !is_within(entity);
            }
        }
    }

    /// What each of several things is filled from: what is said from it to the next one, or
    /// from the one before it where its number stands before its name.
    pub(crate) fn parts(&self, things: &[usize]) -> Vec<Self> {
        let at = |index: &usize| self.entities.list.get(*index).map_or(0, |thing| thing.at);
        let first = things.first().map_or(0, at);
        let is_behind = |entity: &Entity| entity.kind == Kind::Number && entity.at < first;
        let counts_before = self.entities.list.iter().any(is_behind);
        let mut begin = 0;
        let parts = things.iter().enumerate().map(|(index, thing)| {
            let end = match things.get(index + 1) {
                Some(_) if counts_before => at(thing) + 1,
                Some(next) => at(next),
                None => usize::MAX,
            };
            let mut part = self.only(*thing, things);
            part.keep_within(core::mem::replace(&mut begin, end), end);
            part
        });
        parts.collect()
    }

    /// Whether things stand beside each other as those of a list do: nothing between them leads
    /// from one to the other.
    pub(crate) fn are_alike(&self, things: &[usize]) -> bool {
        const BETWEEN_MAX: usize = 80;
        let at = |index: &usize| self.entities.list.get(*index);
        things.windows(2).all(|pair| {
            let [Some(one), Some(other)] = [pair.first().and_then(at), pair.last().and_then(at)]
            else {
                return false;
            };
            let between = self.said().get(one.at..other.at).unwrap_or_default();
            between.len() <= BETWEEN_MAX
                && !between.contains('→')
                && !is_in(TO_WORDS_ONLY, &other.before)
                && !is_in(FROM_WORDS, &other.before)
        })
    }

    /// The same with one of several things left, and the others taken to be used.
    pub(crate) fn only(&self, kept: usize, of: &[usize]) -> Self {
        let mut only = self.clone();
        for &index in of.iter().filter(|&&index| index != kept) {
            only.use_up(index);
        }
        only
    }
}

/// Whether it is a number of something that is ordered.
fn is_ware(entity: &Entity) -> bool {
    entity.kind == Kind::Number && !entity.plain.is_empty()
}

/// Where a text of a choice is spoken of; its words may be joined in another way, and a
/// temperature may be named by its letter.
fn mention(said: &str, option: &str) -> Option<usize> {
    let spoken: String = option
        .chars()
        .map(|letter| {
            if matches!(letter, '_' | '-') {
                ' '
            } else {
                words::lower(letter)
            }
        })
        .collect();
    if spoken.trim().is_empty() {
        return None;
    }
    let by_sign = match spoken.as_str() {
        "celsius" => said.find("°C"),
        "fahrenheit" => said.find("°F"),
        _ => None,
    };
    by_sign
        .or_else(|| words::find(said, &spoken))
        .or_else(|| words::find(said, &(words::singular(&spoken) + "s")))
        .or_else(|| {
            let one = words::singular(&spoken);
            (one != spoken).then(|| words::find(said, &one)).flatten()
        })
}

#[cfg(test)]
mod tests;
