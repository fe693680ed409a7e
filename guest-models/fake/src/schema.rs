//! Values that follow a JSON Schema: the keywords that tools and structured answers use.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::Error;

use crate::json::Json;
use crate::pattern;
use crate::prose;
use crate::random::Random;

/// How deep values may be nested before what is optional is left out, so that schemas which
/// contain themselves come to an end.
const DEPTH_OPTIONAL: u32 = 3;
/// How deep they may be nested at all.
const DEPTH_MAX: u32 = 48;
/// How many values one answer may hold.
const VALUES_MAX: u32 = 20_000;
/// How long a string may be asked for, in characters.
const CHARACTERS_MAX: usize = 100_000;
/// How often another value is tried where items must be unique.
const UNIQUE_TRIES: u32 = 32;

/// A value that follows the schema.
pub(crate) fn value(schema: &Json, topics: &[String], random: &mut Random) -> Result<Json, Error> {
    Writer {
        root: schema,
        topics,
        random,
        values_left: VALUES_MAX,
    }
    .value(schema, "", 0)
}

/// An error of a schema, at the member of the request that the schema stands in.
pub(crate) fn within(error: Error, place: &str) -> Error {
    match error {
        Error::InvalidInput(message) => Error::InvalidInput(format!("{place}: {message}")),
        other => other,
    }
}

struct Writer<'a> {
    root: &'a Json,
    topics: &'a [String],
    random: &'a mut Random,
    values_left: u32,
}

impl<'a> Writer<'a> {
    /// `name` is the property's, and hints at what a string should look like.
    fn value(&mut self, schema: &Json, name: &str, depth: u32) -> Result<Json, Error> {
        if depth > DEPTH_MAX {
            return Err(Error::invalid_input("the schema asks for endless nesting"));
        }
        self.values_left = self.values_left.checked_sub(1).ok_or_else(|| {
            Error::invalid_input(format!("the schema asks for more than {VALUES_MAX} values"))
        })?;
        if let Some(reference) = schema.get("$ref").and_then(Json::text) {
            let target = self.resolve(reference)?;
            return self.value(target, name, depth + 1);
        }
        if let Some(constant) = schema.get("const") {
            return Ok(constant.clone());
        }
        if let Some(options) = schema.get("enum").and_then(Json::list) {
            return self
                .random
                .one_of(options)
                .cloned()
                .ok_or_else(|| Error::invalid_input("the schema has an `enum` without values"));
        }
        if let Some(parts) = schema.get("allOf").and_then(Json::list) {
            let merged = self.merge(schema, parts, depth)?;
            return self.value(&merged, name, depth + 1);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(options) = schema.get(key).and_then(Json::list) {
                let option = self.choose(options, depth)?;
                let merged = self.merge(&without(schema, key), &[option], depth)?;
                return self.value(&merged, name, depth + 1);
            }
        }
        match self.type_of(schema, depth) {
            "object" => self.object(schema, depth),
            "array" => self.list(schema, name, depth),
            "integer" => Ok(Json::Number(self.number(schema, true))),
            "number" => Ok(Json::Number(self.number(schema, false))),
            "boolean" => Ok(Json::Boolean(self.random.below(2) == 1)),
            "null" => Ok(Json::Null),
            "string" => self.text(schema, name).map(Json::Text),
            other => Err(Error::invalid_input(format!(
                "the schema has an unknown type `{other}`"
            ))),
        }
    }

    /// The schema that a reference into the same document names.
    fn resolve(&self, reference: &str) -> Result<&'a Json, Error> {
        let unknown = || Error::invalid_input(format!("the schema has no `{reference}`"));
        let path = reference.strip_prefix('#').ok_or_else(unknown)?;
        let mut target = self.root;
        for step in path.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            target = match target {
                Json::List(list) => step.parse().ok().and_then(|index: usize| list.get(index)),
                other => other.get(&step),
            }
            .ok_or_else(unknown)?;
        }
        Ok(target)
    }

    /// The type to make, from what the schema says or from the keywords it uses.
    fn type_of<'s>(&mut self, schema: &'s Json, depth: u32) -> &'s str {
        match schema.get("type") {
            Some(Json::Text(name)) => name,
            Some(Json::List(names)) => {
                let names = || names.iter().filter_map(Json::text);
                let nullable = names().any(|name| name == "null");
                let end = nullable && depth > DEPTH_OPTIONAL;
                let wanted = names().find(|name| end == (*name == "null"));
                wanted.or(names().next()).unwrap_or("null")
            }
            _ if schema.get("properties").is_some() => "object",
            _ if schema.get("items").is_some() || schema.get("prefixItems").is_some() => "array",
            _ if schema.get("minimum").is_some() || schema.get("maximum").is_some() => "number",
            _ => "string",
        }
    }

    /// One of several schemas. Deep down, one that can end the nesting.
    fn choose(&mut self, options: &[Json], depth: u32) -> Result<Json, Error> {
        let is_leaf = |option: &&Json| {
            let name = option.get("type").and_then(Json::text);
            matches!(
                name,
                Some("null" | "boolean" | "integer" | "number" | "string")
            ) || option.get("const").is_some()
                || option.get("enum").is_some()
        };
        let is_value = |option: &&Json| option.get("type").and_then(Json::text) != Some("null");
        let preferred: Vec<&Json> = if depth > DEPTH_OPTIONAL {
            options.iter().filter(is_leaf).collect()
        } else {
            options.iter().filter(is_value).collect()
        };
        let chosen = self.random.one_of(&preferred).copied().or(options.first());
        chosen
            .cloned()
            .ok_or_else(|| Error::invalid_input("the schema has a choice of nothing"))
    }

    /// A schema that asks for all that the parts ask for, as far as their keywords add up.
    fn merge(&self, schema: &Json, parts: &[Json], depth: u32) -> Result<Json, Error> {
        let mut merged: Vec<(String, Json)> = Vec::new();
        let rest = without(schema, "allOf");
        for part in core::iter::once(&rest).chain(parts) {
            let mut part = part;
            let mut steps = 0;
            while let Some(reference) = part.get("$ref").and_then(Json::text) {
                steps += 1;
                if depth + steps > DEPTH_MAX {
                    return Err(Error::invalid_input("the schema asks for endless nesting"));
                }
                part = self.resolve(reference)?;
            }
            for (key, value) in part.object().unwrap_or_default() {
                match (merged.iter_mut().find(|(name, _)| name == key), value) {
                    (Some((_, Json::Object(have))), Json::Object(more)) => {
                        have.extend(more.iter().cloned())
                    }
                    (Some((_, Json::List(have))), Json::List(more))
                        if key != "enum" && key != "type" =>
                    {
                        have.extend(more.iter().cloned());
                    }
                    (Some((_, have)), _) => *have = value.clone(),
                    (None, _) => merged.push((key.clone(), value.clone())),
                }
            }
        }
        Ok(Json::Object(merged))
    }

    fn object(&mut self, schema: &Json, depth: u32) -> Result<Json, Error> {
        let required = schema
            .get("required")
            .and_then(Json::list)
            .unwrap_or_default();
        let is_required = |key: &str| required.iter().any(|name| name.text() == Some(key));
        let mut entries: Vec<(String, Json)> = Vec::new();
        for (key, property) in schema
            .get("properties")
            .and_then(Json::object)
            .unwrap_or_default()
        {
            let wanted = is_required(key) || (depth < DEPTH_OPTIONAL && self.random.below(2) == 1);
            if wanted && !entries.iter().any(|(have, _)| have == key) {
                entries.push((key.clone(), self.value(property, key, depth + 1)?));
            }
        }
        let anything = Json::Object(Vec::new());
        let additional = schema
            .get("additionalProperties")
            .filter(|other| other.object().is_some());
        let additional = additional.unwrap_or(&anything);
        for key in required.iter().filter_map(Json::text) {
            if !entries.iter().any(|(have, _)| have == key) {
                entries.push((key.into(), self.value(additional, key, depth + 1)?));
            }
        }
        let least = limit(schema, "minProperties").unwrap_or(0);
        while entries.len() < least {
            let key = format!("key_{}", entries.len() + 1);
            entries.push((key, self.value(additional, "", depth + 1)?));
        }
        Ok(Json::Object(entries))
    }

    fn list(&mut self, schema: &Json, name: &str, depth: u32) -> Result<Json, Error> {
        let anything = Json::Object(Vec::new());
        let prefix = schema
            .get("prefixItems")
            .and_then(Json::list)
            .unwrap_or_default();
        let items = schema.get("items").unwrap_or(&anything);
        let least = limit(schema, "minItems").unwrap_or(0).max(prefix.len());
        let most = limit(schema, "maxItems").unwrap_or(least.saturating_add(3));
        let usual = if depth > DEPTH_OPTIONAL {
            0
        } else {
            1 + self.random.below(3)
        };
        let wanted = usual.max(least).min(most.max(least));
        let unique = schema.get("uniqueItems") == Some(&Json::Boolean(true));
        let mut list: Vec<Json> = Vec::new();
        for index in 0..wanted {
            let item = prefix.get(index).unwrap_or(items);
            let mut value = self.value(item, name, depth + 1)?;
            let mut tries = UNIQUE_TRIES;
            while unique && list.contains(&value) && tries > 0 {
                value = self.value(item, name, depth + 1)?;
                tries -= 1;
            }
            if unique && list.contains(&value) {
                // The items have fewer values than were wanted; fewer may still be enough.
                break;
            }
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn number(&mut self, schema: &Json, whole: bool) -> f64 {
        let bound = |key: &str| schema.get(key).and_then(Json::number);
        // Half a usual step inside of a bound that is itself excluded.
        let step = match bound("multipleOf") {
            Some(step) if step > 0.0 => step,
            _ if whole => 1.0,
            _ => 0.5,
        };
        let above = bound("exclusiveMinimum").map(|low| (libm::floor(low / step) + 1.0) * step);
        let below = bound("exclusiveMaximum").map(|high| (libm::ceil(high / step) - 1.0) * step);
        let least = bound("minimum").map(|low| libm::ceil(low / step) * step);
        let most = bound("maximum").map(|high| libm::floor(high / step) * step);
        let low = above.into_iter().chain(least).reduce(f64::max);
        let high = below.into_iter().chain(most).reduce(f64::min);
        let (low, high) = match (low, high) {
            (Some(low), Some(high)) => (low, high),
            (Some(low), None) => (low, low + 99.0 * step),
            (None, Some(high)) => (high - 99.0 * step, high),
            (None, None) => (step, 100.0 * step),
        };
        if low > high {
            // The range is narrower than a usual step: its middle is in it, if anything is.
            let low = bound("minimum")
                .or(bound("exclusiveMinimum"))
                .unwrap_or(high);
            let high = bound("maximum")
                .or(bound("exclusiveMaximum"))
                .unwrap_or(low);
            return (low + high) / 2.0;
        }
        let steps = libm::floor((high - low) / step + 1e-9).clamp(0.0, 1e6) as usize;
        let number = low + self.random.below(steps + 1) as f64 * step;
        // `-0` would be written with its sign.
        if number == 0.0 { 0.0 } else { number }
    }

    fn text(&mut self, schema: &Json, name: &str) -> Result<String, Error> {
        let least = limit(schema, "minLength").unwrap_or(0);
        let most = limit(schema, "maxLength").unwrap_or(usize::MAX);
        if least > CHARACTERS_MAX {
            return Err(Error::invalid_input(format!(
                "the schema asks for more than {CHARACTERS_MAX} characters"
            )));
        }
        if let Some(text) = schema
            .get("format")
            .and_then(Json::text)
            .and_then(|format| self.formatted(format))
        {
            return Ok(text);
        }
        // A pattern that is beyond this model costs its match, and not the whole answer.
        let pattern = schema.get("pattern").and_then(Json::text);
        if let Some(text) = pattern.and_then(|pattern| pattern::text(pattern, self.random)) {
            return Ok(text);
        }
        let mut text = self.named(name);
        let mut characters = text.chars().count();
        while characters < least {
            let word = prose::any_word(self.random);
            text.push(' ');
            text.push_str(word);
            characters += 1 + word.len();
        }
        if characters > most {
            text = text.chars().take(most).collect();
        }
        Ok(text)
    }

    /// A string of a named format; none of an unknown one, which the standard says to ignore.
    fn formatted(&mut self, format: &str) -> Option<String> {
        let mut part = |least: usize, count: usize| least + self.random.below(count);
        let (year, month, day) = (part(2020, 10), part(1, 12), part(1, 28));
        let (hour, minute, second) = (part(0, 24), part(0, 60), part(0, 60));
        Some(match format {
            "date" => format!("{year}-{month:02}-{day:02}"),
            "time" => format!("{hour:02}:{minute:02}:{second:02}Z"),
            "date-time" => format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"),
            "duration" => format!("P{day}DT{hour}H"),
            "email" | "idn-email" => format!("{}@example.com", prose::any_word(self.random)),
            "hostname" | "idn-hostname" => format!("{}.example.com", prose::any_word(self.random)),
            "ipv4" => format!("192.0.2.{day}"),
            "ipv6" => format!("2001:db8::{day:x}"),
            "uri" | "url" | "iri" => {
                format!("https://example.com/{}", prose::any_word(self.random))
            }
            "uri-reference" | "iri-reference" => format!("/{}", prose::any_word(self.random)),
            "uuid" => {
                let (a, b) = (self.random.bits(), self.random.bits());
                let (high, middle, low) = (a >> 32, a >> 16 & 0xffff, a & 0xfff);
                let (variant, node) = (b >> 48 & 0x3fff | 0x8000, b & 0xffff_ffff_ffff);
                format!("{high:08x}-{middle:04x}-4{low:03x}-{variant:04x}-{node:012x}")
            }
            _ => return None,
        })
    }

    /// A string that suits the property's name.
    fn named(&mut self, name: &str) -> String {
        const SUITS: [(&str, &[&str]); 9] = [
            ("city", &["Lisbon", "Osaka", "Bergen", "Quito"]),
            ("location", &["Lisbon", "Osaka", "Bergen", "Quito"]),
            ("country", &["Portugal", "Japan", "Norway", "Ecuador"]),
            ("email", &["ada@example.com", "grace@example.com"]),
            (
                "url",
                &["https://example.com/start", "https://example.com/guide"],
            ),
            ("date", &["2026-01-15", "2026-06-30"]),
            ("language", &["en", "pt", "ja"]),
            ("name", &["Ada", "Grace", "Alan", "Edsger"]),
            ("author", &["Ada", "Grace", "Alan", "Edsger"]),
        ];
        let lower = name.to_ascii_lowercase();
        if let Some((_, choices)) = SUITS.iter().find(|(part, _)| lower.contains(part)) {
            return self
                .random
                .one_of(choices)
                .copied()
                .unwrap_or_default()
                .into();
        }
        if ["query", "question", "prompt", "search", "topic", "subject"]
            .iter()
            .any(|part| lower.contains(part))
        {
            return self.topics.join(" ");
        }
        let [adjective, noun] = prose::phrase(self.random);
        format!("{adjective} {noun}")
    }
}

/// A count that a keyword sets.
fn limit(schema: &Json, key: &str) -> Option<usize> {
    schema
        .get(key)
        .and_then(Json::number)
        .filter(|number| *number >= 0.0)
        .map(|number| number as usize)
}

/// The schema without one of its keywords.
fn without(schema: &Json, key: &str) -> Json {
    let entries = schema.object().unwrap_or_default();
    Json::Object(
        entries
            .iter()
            .filter(|(name, _)| name != key)
            .cloned()
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(schema: &str, seed: u64) -> Result<serde_json::Value, Error> {
        let schema = Json::parse(schema).unwrap();
        let made = value(&schema, &["weather".into()], &mut Random::new(seed))?;
        let mut text = String::new();
        made.write(&mut text);
        Ok(serde_json::from_str(&text).unwrap())
    }

    /// Values of many seeds all hold.
    #[track_caller]
    fn check(schema: &str, holds: impl Fn(&serde_json::Value) -> bool) {
        for seed in 0..200 {
            let value = make(schema, seed).unwrap();
            assert!(holds(&value), "{schema} gave {value}");
        }
    }

    #[test]
    fn each_type_is_made() {
        check(r#"{"type":"string"}"#, |v| !v.as_str().unwrap().is_empty());
        check(r#"{"type":"integer"}"#, |v| v.is_i64() || v.is_u64());
        check(r#"{"type":"number"}"#, serde_json::Value::is_number);
        check(r#"{"type":"boolean"}"#, serde_json::Value::is_boolean);
        check(r#"{"type":"null"}"#, serde_json::Value::is_null);
        check(r#"{"type":"array","items":{"type":"integer"}}"#, |v| {
            v.as_array().unwrap().iter().all(serde_json::Value::is_u64)
        });
        check(
            r#"{"type":["null","string"]}"#,
            serde_json::Value::is_string,
        );
        check(r#"{"const":{"a":[1]}}"#, |v| {
            *v == serde_json::json!({"a": [1]})
        });
        check(r#"{"enum":["x",2,null]}"#, |v| {
            *v == "x" || *v == 2 || v.is_null()
        });
    }

    #[test]
    fn bounds_are_kept() {
        check(r#"{"type":"integer","minimum":5,"maximum":7}"#, |v| {
            (5..=7).contains(&v.as_i64().unwrap())
        });
        check(
            r#"{"type":"integer","exclusiveMinimum":5,"exclusiveMaximum":7}"#,
            |v| v.as_i64() == Some(6),
        );
        check(r#"{"type":"integer","minimum":-3,"maximum":-3}"#, |v| {
            v.as_i64() == Some(-3)
        });
        check(r#"{"type":"integer","multipleOf":7,"minimum":10}"#, |v| {
            v.as_i64().unwrap() % 7 == 0 && v.as_i64().unwrap() >= 10
        });
        check(r#"{"type":"number","minimum":0,"maximum":0.1}"#, |v| {
            (0.0..=0.1).contains(&v.as_f64().unwrap())
        });
        check(
            r#"{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":0.1}"#,
            |v| v.as_f64().unwrap() > 0.0 && v.as_f64().unwrap() < 0.1,
        );
        check(r#"{"type":"string","minLength":30,"maxLength":40}"#, |v| {
            (30..=40).contains(&v.as_str().unwrap().len())
        });
        check(r#"{"type":"string","maxLength":3}"#, |v| {
            v.as_str().unwrap().len() <= 3
        });
        check(
            r#"{"type":"array","items":{"enum":[1,2,3]},"minItems":3,"maxItems":3,"uniqueItems":true}"#,
            |v| v.as_array().unwrap().len() == 3,
        );
        check(r#"{"type":"array","items":{},"maxItems":0}"#, |v| {
            v.as_array().unwrap().is_empty()
        });
        check(r#"{"type":"object","minProperties":4}"#, |v| {
            v.as_object().unwrap().len() == 4
        });
    }

    #[test]
    fn required_properties_are_there_and_others_only_if_known() {
        check(
            r##"{"type":"object","required":["a","c"],"additionalProperties":false,"properties":{
                "a":{"type":"object","required":["deep"],"properties":{"deep":{"type":"array","items":{"$ref":"#/$defs/unit"},"minItems":1}}},
                "b":{"type":"string"},"c":{"anyOf":[{"type":"integer"},{"type":"null"}]}},
                "$defs":{"unit":{"enum":["celsius","kelvin"]}}}"##,
            |v| {
                let object = v.as_object().unwrap();
                object
                    .keys()
                    .all(|key| ["a", "b", "c"].contains(&key.as_str()))
                    && object["c"].is_u64()
                    && object["a"]["deep"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .all(|unit| unit == "celsius" || unit == "kelvin")
            },
        );
    }

    #[test]
    fn schemas_that_contain_themselves_end() {
        check(
            r##"{"type":"object","required":["next","children"],"properties":{
                "next":{"anyOf":[{"$ref":"#"},{"type":"null"}]},
                "children":{"type":"array","items":{"$ref":"#"}}}}"##,
            serde_json::Value::is_object,
        );
        let endless =
            r##"{"type":"object","required":["next"],"properties":{"next":{"$ref":"#"}}}"##;
        assert!(matches!(make(endless, 1), Err(Error::InvalidInput(_))));
        assert!(matches!(
            make(r##"{"$ref":"#"}"##, 1),
            Err(Error::InvalidInput(_))
        ));
        assert!(matches!(
            make(r##"{"allOf":[{"$ref":"#"}]}"##, 1),
            Err(Error::InvalidInput(_))
        ));
        let wide = r#"{"type":"array","items":{"type":"array","items":{},"minItems":1000},"minItems":1000}"#;
        assert!(matches!(make(wide, 1), Err(Error::InvalidInput(_))));
        assert!(matches!(
            make(r#"{"type":"string","minLength":1e12}"#, 1),
            Err(Error::InvalidInput(_))
        ));
        assert!(matches!(
            make(r##"{"$ref":"#/$defs/missing"}"##, 1),
            Err(Error::InvalidInput(_))
        ));
    }

    #[test]
    fn parts_are_put_together() {
        check(
            r#"{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},
                {"properties":{"b":{"type":"boolean"}},"required":["b"]}]}"#,
            |v| v["a"].is_u64() && v["b"].is_boolean(),
        );
    }

    #[test]
    fn formats_look_like_themselves() {
        check(r#"{"type":"string","format":"uuid"}"#, |v| {
            let text = v.as_str().unwrap();
            text.len() == 36
                && text.as_bytes()[14] == b'4'
                && "89ab".contains(text.as_bytes()[19] as char)
        });
        check(r#"{"type":"string","format":"date-time"}"#, |v| {
            v.as_str().unwrap().len() == 20
        });
        check(
            r#"{"type":"string","format":"unheard-of"}"#,
            serde_json::Value::is_string,
        );
        check(
            r#"{"type":"string","pattern":"^[A-Z]{3}-\\d{2,4}$"}"#,
            |v| {
                let (letters, digits) = v.as_str().unwrap().split_once('-').unwrap();
                letters.len() == 3
                    && (2..=4).contains(&digits.len())
                    && digits.parse::<u32>().is_ok()
            },
        );
    }
}
