//! Values that follow a JSON Schema: what the prompt says where it says something, what is
//! plausible where it does not, and valid in any case.
//!
//! - `check`: whether a value follows a schema
//! - `formats`: the named formats of strings
//! - `leaves`: strings, numbers and truths; `lists` and `objects`: what holds them
//! - `merge`: references, and several schemas at once

mod check;
mod formats;
mod leaves;
mod lists;
mod merge;
mod objects;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::Error;

use crate::fill::Filler;
use crate::json::Json;
use crate::meaning::Key;
use crate::random::Random;
use crate::reading::Reading;
use crate::values::World;

pub(crate) use formats::{days_of, is_date, is_uuid};
use merge::{both, without};

/// How deep values may be nested before what is optional is left out, so that schemas which
/// contain themselves come to an end.
const DEPTH_OPTIONAL: u32 = 3;
/// How deep they may be nested at all.
const DEPTH_MAX: u32 = 48;
/// How many values one answer may hold.
const VALUES_MAX: u32 = 20_000;
/// How often a value is made anew where it breaks a rule that making it cannot foresee.
const TRIES: u32 = 12;
/// How many levels below a property are looked at for what the prompt says.
const LEVELS_SAID: u32 = 2;
/// How many levels are looked ahead for an end of what contains itself, and how many schemas.
const LEVELS_MAX: u32 = 12;
const LOOKS_MAX: u32 = 4_000;

/// What a value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Arguments of a tool: what the prompt does not say is left out where it can be.
    Arguments,
    /// An answer: it is complete.
    Answer,
}

/// What values are made from.
pub(crate) struct Sources<'a> {
    /// What the schema or its tool is called.
    pub(crate) name: &'a str,
    pub(crate) filler: Filler<'a>,
    pub(crate) reading: &'a Reading,
    pub(crate) purpose: Purpose,
    pub(crate) random: &'a mut Random,
}

/// A value that follows the schema.
pub(crate) fn value(schema: &Json, sources: Sources<'_>) -> Result<Json, Error> {
    let mut world = World::new(sources.random);
    sources.filler.introduce(&mut world);
    let mut writer = Writer {
        root: schema,
        filler: sources.filler,
        reading: sources.reading,
        topics: sources.reading.topic_words(),
        purpose: sources.purpose,
        random: sources.random,
        world,
        values_left: VALUES_MAX,
    };
    let title = schema.get("title").and_then(Json::text);
    let key = Key::new(title.unwrap_or(sources.name), &[], title_of(schema));
    writer.value(schema, &key, 0)
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
    filler: Filler<'a>,
    reading: &'a Reading,
    topics: Vec<String>,
    purpose: Purpose,
    random: &'a mut Random,
    world: World,
    values_left: u32,
}

impl Writer<'_> {
    fn value(&mut self, schema: &Json, key: &Key, depth: u32) -> Result<Json, Error> {
        if depth > DEPTH_MAX {
            return Err(endless());
        }
        self.values_left = self.values_left.checked_sub(1).ok_or_else(too_many)?;
        let schema = self.plain(schema)?;
        if *schema == Json::Boolean(false) {
            return Err(Error::invalid_input("the schema allows no value"));
        }
        if !is_hard(&schema) {
            return self.choice(&schema, key, depth);
        }
        let mut last = None;
        for attempt in 0..TRIES {
            // One type after the other, where several are allowed.
            let types = schema.get("type").and_then(Json::list);
            let name = types.and_then(|types| types.get(attempt as usize % types.len().max(1)));
            let value = match name.filter(|_| attempt > 0) {
                Some(name) => {
                    let of_type = Json::Object(Vec::from([("type".into(), name.clone())]));
                    self.choice(&both(&schema, &of_type), key, depth)?
                }
                None => self.choice(&schema, key, depth)?,
            };
            if check::holds(self.root, &schema, &value) {
                return Ok(value);
            }
            last = Some(value);
        }
        last.ok_or_else(endless)
    }

    /// The schema without references and without `allOf`.
    fn plain<'s>(&self, schema: &'s Json) -> Result<Cow<'s, Json>, Error> {
        let mut schema = Cow::Borrowed(schema);
        for _ in 0..DEPTH_MAX {
            if schema.get("$ref").is_some() {
                schema = Cow::Owned(merge::without_reference(self.root, &schema)?);
            } else if let Some(parts) = schema.get("allOf").and_then(Json::list) {
                let mut merged = without(&schema, "allOf");
                for part in parts {
                    let part = merge::without_reference(self.root, part)?;
                    merged = both(&merged, &part);
                }
                schema = Cow::Owned(merged);
            } else {
                return Ok(schema);
            }
        }
        Err(endless())
    }

    /// A value of a schema that may leave a choice between several.
    fn choice(&mut self, schema: &Json, key: &Key, depth: u32) -> Result<Json, Error> {
        if let Some(constant) = schema.get("const") {
            return Ok(constant.clone());
        }
        if let Some(options) = schema.get("enum").and_then(Json::list) {
            return self.option(schema, options, depth);
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(options) = schema.get(keyword).and_then(Json::list) {
                let rest = without(schema, keyword);
                return self.one_of(schema, &rest, options, (key, depth));
            }
        }
        if schema.get("if").is_some() {
            return self.conditional(schema, key, depth);
        }
        match self.type_of(schema, key, depth) {
            "object" => self.object(schema, key, depth),
            "array" => self.list(schema, key, depth),
            "integer" => Ok(self.number(schema, key, true)),
            "number" => Ok(self.number(schema, key, false)),
            "boolean" => Ok(Json::Boolean(self.truth(schema, key))),
            "null" => Ok(Json::Null),
            "string" => self.text(schema, key).map(Json::Text),
            other => Err(unknown_type(other)),
        }
    }

    /// One of the values that are listed: the one that the prompt names, or else the first.
    fn option(&mut self, schema: &Json, options: &[Json], depth: u32) -> Result<Json, Error> {
        let rest = without(schema, "enum");
        let valid: Vec<Json> = options
            .iter()
            .filter(|option| check::holds(self.root, &rest, option))
            .cloned()
            .collect();
        let valid = if valid.is_empty() { options } else { &valid };
        if let Some(named) = self.filler.option(valid) {
            return Ok(named.clone());
        }
        let default = schema
            .get("default")
            .filter(|default| valid.contains(default));
        let may_be_null = self.purpose == Purpose::Arguments && depth > 0;
        let null = valid
            .iter()
            .find(|option| may_be_null && **option == Json::Null);
        let first = || valid.iter().find(|option| **option != Json::Null);
        default
            .or(null)
            .or_else(first)
            .or(valid.first())
            .cloned()
            .ok_or_else(|| Error::invalid_input("the schema has an `enum` without values"))
    }

    /// A value of one of several schemas: one that the prompt names, or else the first that works.
    fn one_of(
        &mut self,
        schema: &Json,
        rest: &Json,
        options: &[Json],
        (key, depth): (&Key, u32),
    ) -> Result<Json, Error> {
        let mut order: Vec<&Json> = Vec::new();
        if depth > DEPTH_OPTIONAL {
            for levels in 1..=LEVELS_MAX {
                order.extend(options.iter().filter(|option| {
                    self.ends_within(option, levels)
                        && (levels == 1 || !self.ends_within(option, levels - 1))
                }));
                if !order.is_empty() {
                    break;
                }
            }
        } else {
            let named = options.iter().filter(|option| self.is_named(option));
            order.extend(named);
            let nulls = |wanted: bool| {
                options.iter().filter(move |option| {
                    let is_null = option.get("type").and_then(Json::text) == Some("null");
                    is_null == wanted
                })
            };
            let others = nulls(false).filter(|option| self.ends_within(option, LEVELS_MAX));
            order.extend(others);
            order.extend(nulls(true));
            // What is optional has `null` beside it where every property is required.
            let leaves_out = self.purpose == Purpose::Arguments
                && depth > 0
                && nulls(true).next().is_some()
                && !nulls(false).any(|option| self.is_said(option, key));
            if leaves_out {
                order.rotate_right(1);
            }
        }
        let mut last = Err(Error::invalid_input("the schema has a choice of nothing"));
        for option in order.into_iter().chain(options.first()) {
            let merged = self.plain(option).map(|option| both(rest, &option))?;
            last = self.value(&merged, key, depth + 1);
            if let Ok(value) = &last
                && check::holds(self.root, schema, value)
            {
                break;
            }
        }
        last
    }

    /// A value for `if`, `then` and `else`.
    fn conditional(&mut self, schema: &Json, key: &Key, depth: u32) -> Result<Json, Error> {
        let mut rest = schema.clone();
        for keyword in ["if", "then", "else"] {
            rest = without(&rest, keyword);
        }
        let part = |keyword: &str| schema.get(keyword).cloned().unwrap_or(Json::Boolean(true));
        let met = both(&both(&rest, &part("if")), &part("then"));
        let unmet = both(&rest, &part("else"));
        let mut last = Err(endless());
        for branch in [met, unmet, rest] {
            last = self.value(&branch, key, depth + 1);
            if let Ok(value) = &last
                && check::holds(self.root, schema, value)
            {
                break;
            }
        }
        last
    }

    /// The type to make, from what the schema says or from the keywords it uses.
    fn type_of<'s>(&self, schema: &'s Json, key: &Key, depth: u32) -> &'s str {
        const SIGNS: [(&str, &str); 15] = [
            ("properties", "object"),
            ("required", "object"),
            ("additionalProperties", "object"),
            ("patternProperties", "object"),
            ("minProperties", "object"),
            ("items", "array"),
            ("prefixItems", "array"),
            ("minItems", "array"),
            ("contains", "array"),
            ("minimum", "number"),
            ("maximum", "number"),
            ("exclusiveMinimum", "number"),
            ("exclusiveMaximum", "number"),
            ("multipleOf", "number"),
            ("uniqueItems", "array"),
        ];
        match schema.get("type") {
            Some(Json::Text(name)) => name,
            Some(Json::List(names)) => {
                let names = || names.iter().filter_map(Json::text);
                let other = names().find(|name| *name != "null");
                let is_unsaid = self.purpose == Purpose::Arguments
                    && depth > 0
                    && other.is_some_and(|other| !self.says(other, key));
                let end = depth > DEPTH_OPTIONAL || is_unsaid;
                let wanted = names().find(|name| end == (*name == "null"));
                wanted.or(names().next()).unwrap_or("null")
            }
            _ => SIGNS
                .iter()
                .find(|(keyword, _)| schema.get(keyword).is_some())
                .map_or("string", |(_, name)| name),
        }
    }

    /// Whether the prompt says something for a property of that type.
    fn says(&self, name: &str, key: &Key) -> bool {
        match name {
            "string" => !self.filler.texts(key).is_empty(),
            "number" | "integer" => !self.filler.numbers(key, true).is_empty(),
            "boolean" => self.filler.flag(key).is_some(),
            "array" => {
                !self.filler.count(key, false).is_empty()
                    || !self.filler.count(key, true).is_empty()
            }
            _ => false,
        }
    }

    /// Whether the prompt says something for a property.
    fn is_said(&self, schema: &Json, key: &Key) -> bool {
        self.is_said_within(schema, key, LEVELS_SAID)
    }

    fn is_said_within(&self, schema: &Json, key: &Key, levels: u32) -> bool {
        let Ok(schema) = self.plain(schema) else {
            return false;
        };
        if let Some(options) = schema.get("enum").and_then(Json::list) {
            return self.filler.option(options).is_some();
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(options) = schema.get(keyword).and_then(Json::list) {
                return options.iter().any(|option| {
                    option.get("type").and_then(Json::text) != Some("null")
                        && option.get("$ref").is_none()
                        && option.get("anyOf").is_none()
                        && self.is_said_within(option, key, levels)
                });
            }
        }
        let items = schema.get("items").and_then(|items| items.get("enum"));
        if let Some(options) = items.and_then(Json::list) {
            return self.filler.option(options).is_some();
        }
        let inner = schema.get("items").filter(|_| levels > 0);
        if inner.is_some_and(|items| self.has_said_property(items, key, levels - 1))
            || levels > 0 && self.has_said_property(&schema, key, levels - 1)
        {
            return true;
        }
        match schema.get("type") {
            Some(Json::Text(name)) => self.says(name, key),
            Some(Json::List(names)) => names
                .iter()
                .filter_map(Json::text)
                .any(|name| self.says(name, key)),
            _ => self.says("string", key),
        }
    }

    /// Whether the prompt says something for a property of an object.
    fn has_said_property(&self, object: &Json, key: &Key, levels: u32) -> bool {
        let Ok(object) = self.plain(object) else {
            return false;
        };
        let properties = object.get("properties").and_then(Json::object);
        properties.unwrap_or_default().iter().any(|(name, inner)| {
            let key = Key::new(name, key.context(), title_of(inner));
            self.is_said_within(inner, &key, levels)
        })
    }

    /// Whether the prompt speaks of one of several schemas by what sets it apart.
    fn is_named(&self, option: &Json) -> bool {
        let Ok(option) = self.plain(option) else {
            return false;
        };
        let says = |schema: &Json| {
            let constant = schema.get("const").map(core::slice::from_ref);
            let options = constant.or_else(|| schema.get("enum").and_then(Json::list));
            options.is_some_and(|options| self.filler.option(options).is_some())
        };
        let properties = option.get("properties").and_then(Json::object);
        says(&option)
            || properties
                .unwrap_or_default()
                .iter()
                .any(|(_, property)| says(property))
    }

    /// Whether a value of the schema can be done within so many levels.
    fn ends_within(&self, schema: &Json, levels: u32) -> bool {
        let mut looks_left = LOOKS_MAX;
        self.ends(schema, levels, &mut looks_left)
    }

    fn ends(&self, schema: &Json, levels: u32, looks_left: &mut u32) -> bool {
        let Some(left) = looks_left.checked_sub(1).filter(|_| levels > 0) else {
            return false;
        };
        *looks_left = left;
        if schema.get("const").is_some() || schema.get("enum").is_some() {
            return true;
        }
        let mut goes_on = |schema: &Json| self.ends(schema, levels - 1, looks_left);
        if let Some(reference) = schema.get("$ref").and_then(Json::text) {
            return merge::resolve(self.root, reference).is_ok_and(goes_on);
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(options) = schema.get(keyword).and_then(Json::list) {
                return options.iter().any(goes_on);
            }
        }
        if let Some(parts) = schema.get("allOf").and_then(Json::list)
            && !parts.iter().all(&mut goes_on)
        {
            return false;
        }
        let may_be_other = match schema.get("type") {
            Some(Json::List(names)) => names
                .iter()
                .any(|name| !matches!(name.text(), Some("object" | "array"))),
            _ => false,
        };
        if may_be_other {
            return true;
        }
        let required = schema
            .get("required")
            .and_then(Json::list)
            .unwrap_or_default();
        let properties = schema.get("properties");
        let objects_end = required.iter().filter_map(Json::text).all(|name| {
            properties
                .and_then(|properties| properties.get(name))
                .is_none_or(&mut goes_on)
        });
        let lists_end =
            limit(schema, "minItems").unwrap_or(0) == 0 || schema.get("items").is_none_or(goes_on);
        objects_end && lists_end
    }
}

/// What a schema says about itself.
fn title_of(schema: &Json) -> &str {
    let text = |key: &str| schema.get(key).and_then(Json::text);
    text("description")
        .or_else(|| text("title"))
        .unwrap_or_default()
}

/// Whether a schema has a rule that a value is held to only when it is done.
fn is_hard(schema: &Json) -> bool {
    const HARD: [&str; 9] = [
        "not",
        "oneOf",
        "anyOf",
        "if",
        "contains",
        "dependentRequired",
        "dependentSchemas",
        "propertyNames",
        "patternProperties",
    ];
    HARD.iter().any(|keyword| schema.get(keyword).is_some())
}

#[cold]
fn endless() -> Error {
    Error::invalid_input("the schema asks for endless nesting")
}

#[cold]
fn too_many() -> Error {
    Error::invalid_input(format!("the schema asks for more than {VALUES_MAX} values"))
}

#[cold]
fn unknown_type(name: &str) -> Error {
    Error::invalid_input(format!("the schema has an unknown type `{name}`"))
}

/// A count that a keyword sets.
fn limit(schema: &Json, key: &str) -> Option<usize> {
    schema
        .get(key)
        .and_then(Json::number)
        .filter(|number| *number >= 0.0)
        .map(|number| number as usize)
}

#[cfg(test)]
mod tests;
