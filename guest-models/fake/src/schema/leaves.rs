//! Strings, numbers and truths. Each is the first of several candidates that its schema allows:
//! what the prompt says, the schema's default and examples, what is plausible, and what the rules
//! can be met with at all.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::Error;

use super::{Writer, check, limit};
use crate::fill::Found;
use crate::json::Json;
use crate::meaning::{Key, Meaning};
use crate::pattern::{Length, Pattern};
use crate::prose;
use crate::values::Maker;

/// How long a string may be asked for, in characters.
const CHARACTERS_MAX: usize = 100_000;
/// How many plausible values are tried where a pattern or a length refuses the first.
const PLAUSIBLE_TRIES: usize = 4;
/// How many steps away from a number a multiple is looked for.
const STEPS_MAX: usize = 400;

impl Writer<'_> {
    /// Marks for whom an entity is meant that suits one property far better than another.
    pub(super) fn reserve(&mut self, properties: &[(String, Json)], parent: &Key) {
        self.filler.release();
        if properties.len() < 2 {
            return;
        }
        let is_of = |property: &Json, wanted: &str| match property.get("type") {
            Some(Json::Text(name)) => name == wanted,
            Some(Json::List(names)) => names.iter().any(|name| name.text() == Some(wanted)),
            _ => false,
        };
        let keyed: Vec<(Key, &Json)> = properties
            .iter()
            .map(|(name, property)| (Key::new(name, parent.context(), ""), property))
            .collect();
        for (key, property) in &keyed {
            if is_of(property, "array") {
                self.filler.reserve_people(key);
            }
        }
        for (key, property) in &keyed {
            if is_of(property, "number") || is_of(property, "integer") {
                self.filler.reserve_number(key);
            } else if is_of(property, "string") && property.get("enum").is_none() {
                self.filler.reserve_text(key);
            }
        }
    }

    /// Default and examples, as the schema has them.
    fn suggestions(schema: &Json) -> impl Iterator<Item = &Json> {
        let examples = schema.get("examples").and_then(Json::list);
        let example = schema.get("example");
        schema
            .get("default")
            .into_iter()
            .chain(examples.unwrap_or_default())
            .chain(example)
            .filter(|value| **value != Json::Null)
    }

    /// The first value of the prompt that the schema allows; what it was taken from is used up.
    fn said(&mut self, schema: &Json, key: &Key, found: Vec<Found>) -> Option<Json> {
        for found in found {
            let mut values = found.values.iter();
            if let Some(value) = values.find(|value| check::holds(self.root, schema, value)) {
                let value = value.clone();
                self.filler.take(&found);
                if let Json::Text(text) = &value {
                    self.world.learn(key.meaning, text);
                }
                return Some(value);
            }
        }
        None
    }

    pub(super) fn truth(&mut self, schema: &Json, key: &Key) -> bool {
        if let Some(said) = self.filler.flag(key) {
            return said;
        }
        match Self::suggestions(schema).next() {
            Some(Json::Boolean(suggested)) => *suggested,
            _ => {
                key.has("error fail failed failure deleted blocked spam toxic flagged")
                    == (self.random.below(8) == 0)
            }
        }
    }

    pub(super) fn number(&mut self, schema: &Json, key: &Key, whole: bool) -> Json {
        let schema = &if whole && schema.get("type").and_then(Json::text) != Some("integer") {
            super::both(
                schema,
                &Json::Object(Vec::from([("type".into(), Json::Text("integer".into()))])),
            )
        } else {
            schema.clone()
        };
        let found = self.filler.numbers(key, false);
        if let Some(said) = self.said(schema, key, found) {
            return said;
        }
        let suggested = Self::suggestions(schema)
            .find(|value| value.number().is_some() && check::holds(self.root, schema, value));
        if let Some(suggested) = suggested {
            return suggested.clone();
        }
        let range = Range::of(schema, whole);
        let plausible = self.maker().numbers(key, whole);
        let [first, ..] = plausible.map(Json::Number);
        if key.meaning != Meaning::Unknown && check::holds(self.root, schema, &first) {
            return first;
        }
        let mut candidates: Vec<f64> = plausible.to_vec();
        if key.meaning == Meaning::Unknown || !plausible.iter().any(|number| range.has(*number)) {
            candidates.insert(0, range.usual(self.random));
        }
        candidates.push(range.middle());
        candidates.extend([range.low, range.high]);
        for candidate in candidates {
            let stepped = range.stepped(candidate).map(Json::Number);
            if let Some(value) = stepped.filter(|value| check::holds(self.root, schema, value)) {
                return value;
            }
        }
        Json::Number(range.low)
    }

    fn maker(&mut self) -> Maker<'_> {
        Maker {
            world: &mut self.world,
            reading: self.reading,
            topics: &self.topics,
            random: self.random,
        }
    }

    pub(super) fn text(&mut self, schema: &Json, key: &Key) -> Result<String, Error> {
        let key = &key.of_format(schema.get("format").and_then(Json::text));
        let least = limit(schema, "minLength").unwrap_or(0);
        let most = limit(schema, "maxLength").unwrap_or(usize::MAX);
        if least > CHARACTERS_MAX {
            return Err(too_long());
        }
        let found = self.filler.texts(key);
        if let Some(Json::Text(said)) = self.said(schema, key, found) {
            return Ok(said);
        }
        let allows =
            |writer: &Self, text: &str| check::holds(writer.root, schema, &Json::Text(text.into()));
        let suggested = Self::suggestions(schema)
            .filter_map(Json::text)
            .find(|text| allows(self, text));
        if let Some(suggested) = suggested {
            return Ok(suggested.into());
        }
        let pattern = schema.get("pattern").and_then(Json::text);
        if let Some(format) = schema.get("format").and_then(Json::text) {
            // A birthday is a date, and one of long ago.
            let plausible = self.maker().text(key);
            let is_of_format = format != "date-time" && key.meaning != Meaning::Unknown;
            if is_of_format && super::formats::is_known(format) && allows(self, &plausible) {
                return Ok(plausible);
            }
            for _ in 0..PLAUSIBLE_TRIES {
                if let Some(made) = self
                    .maker()
                    .formatted(format)
                    .filter(|made| allows(self, made))
                {
                    return Ok(made);
                }
            }
            if let Some(short) = Maker::short(format).filter(|short| allows(self, short)) {
                return Ok(short.into());
            }
        }
        for _ in 0..if pattern.is_some() {
            PLAUSIBLE_TRIES
        } else {
            1
        } {
            let plausible = self.maker().text(key);
            if !plausible.is_empty() && allows(self, &plausible) {
                return Ok(plausible);
            }
        }
        // One that is beyond this model costs its match, and not the whole answer.
        if let Some(made) = pattern.and_then(|pattern| self.by_pattern(pattern, least, most)) {
            return Ok(made);
        }
        let plausible = self.maker().text(key);
        Ok(self.fitted(plausible, least, most))
    }

    /// A text that matches a pattern, of that many characters.
    pub(super) fn by_pattern(
        &mut self,
        pattern: &str,
        least: usize,
        most: usize,
    ) -> Option<String> {
        Pattern::parse(pattern)?.text(Length { least, most }, self.random)
    }

    /// The text with more words where it is too short, and cut where it is too long.
    fn fitted(&mut self, mut text: String, least: usize, most: usize) -> String {
        let mut characters = text.chars().count();
        while characters < least {
            let word = prose::any_word(self.random);
            if characters > 0 {
                text.push(' ');
                characters += 1;
            }
            text.push_str(word);
            characters += word.chars().count();
        }
        if characters > most {
            text = text.chars().take(most).collect();
            let end = text.rfind(' ').filter(|&end| end >= least && end > 0);
            if let Some(end) = end.filter(|&end| {
                text.get(..end)
                    .is_some_and(|cut| cut.chars().count() >= least)
            }) {
                text.truncate(end);
            }
            // A space at the end is a word that was cut off.
            while text.ends_with(' ') && text.chars().count() > least {
                text.pop();
            }
        }
        text
    }
}

#[cold]
fn too_long() -> Error {
    Error::invalid_input(format!(
        "the schema asks for more than {CHARACTERS_MAX} characters"
    ))
}

/// The numbers that a schema allows.
struct Range {
    low: f64,
    high: f64,
    bounded: (bool, bool),
    step: f64,
    has_step: bool,
}

impl Range {
    fn of(schema: &Json, whole: bool) -> Self {
        let bound = |key: &str| schema.get(key).and_then(Json::number);
        let step = bound("multipleOf").filter(|step| *step > 0.0);
        let has_step = step.is_some();
        let least = bound("minimum")
            .into_iter()
            .chain(bound("exclusiveMinimum"));
        let most = bound("maximum")
            .into_iter()
            .chain(bound("exclusiveMaximum"));
        let (low, high) = (least.reduce(f64::max), most.reduce(f64::min));
        let span = match (low, high) {
            (Some(low), Some(high)) => high - low,
            _ => 100.0,
        };
        // Whole numbers, and else two decimals of a narrow range and one of a wide one.
        let step = step.unwrap_or(if whole || span <= 0.0 {
            1.0
        } else if span < 0.02 {
            span / 16.0
        } else if span <= 20.0 {
            0.01
        } else {
            0.1
        });
        let step = if whole && step < 1.0 { 1.0 } else { step };
        let (low_number, high_number) = match (low, high) {
            (Some(low), Some(high)) => (low, high.max(low)),
            (Some(low), None) => (low, low + 100.0 * step.max(1.0)),
            (None, Some(high)) => (high - 100.0 * step.max(1.0), high),
            (None, None) => (1.0, 100.0 * step.max(1.0)),
        };
        Self {
            low: low_number,
            high: high_number,
            bounded: (low.is_some(), high.is_some()),
            step,
            has_step,
        }
    }

    fn has(&self, number: f64) -> bool {
        let (below, above) = self.bounded;
        (!below || number >= self.low) && (!above || number <= self.high)
    }

    fn middle(&self) -> f64 {
        self.low + (self.high - self.low) / 2.0
    }

    /// A number that nothing speaks against: within the first hundred steps of a wide range.
    fn usual(&self, random: &mut crate::random::Random) -> f64 {
        let steps = libm::floor((self.high - self.low) / self.step).clamp(0.0, 1e6);
        let steps = if self.bounded == (true, true) && steps < 1e6 {
            steps
        } else {
            steps.min(100.0)
        };
        let first = if self.bounded == (false, true) {
            steps - steps.min(100.0)
        } else {
            0.0
        };
        self.low + (first + random.below((steps - first) as usize + 1) as f64) * self.step
    }

    /// The multiple of the step that is close to a number and in the range: one that is a multiple
    /// for all who divide.
    fn stepped(&self, number: f64) -> Option<f64> {
        let exact = |count: f64| {
            // `count * 0.01` is not the decimal that it is meant to be, and `count / 100` is.
            let inverse = libm::round(1.0 / self.step);
            let is_decimal = self.step < 1.0 && libm::fabs(inverse * self.step - 1.0) < 1e-9;
            let value = if is_decimal {
                count / inverse
            } else {
                count * self.step
            };
            // `-0` would be written with its sign.
            if value == 0.0 { 0.0 } else { value }
        };
        if !number.is_finite() {
            return None;
        }
        let start = libm::round(number / self.step);
        let distances = (0..STEPS_MAX).flat_map(|distance| [distance as f64, -(distance as f64)]);
        distances
            .map(|distance| exact(start + distance))
            .find(|&value| {
                let is_within =
                    value >= self.low && value <= self.high || self.bounded == (false, false);
                is_within && (!self.has_step || check::is_multiple(value, self.step))
            })
    }
}
