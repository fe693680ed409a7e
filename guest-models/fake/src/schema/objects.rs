//! Objects: the properties that are there, and those that must be.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::Error;

use super::merge::both;
use super::{DEPTH_OPTIONAL, LEVELS_MAX, Purpose, Writer, check, limit, title_of};
use crate::json::Json;
use crate::meaning::Key;

impl Writer<'_> {
    pub(super) fn object(&mut self, schema: &Json, key: &Key, depth: u32) -> Result<Json, Error> {
        let properties = schema.get("properties").and_then(Json::object);
        let properties = properties.unwrap_or_default();
        let names = |keyword: &str| {
            let list = schema.get(keyword).and_then(Json::list).unwrap_or_default();
            list.iter().filter_map(Json::text)
        };
        let most = limit(schema, "maxProperties").unwrap_or(usize::MAX);
        let required = names("required").count();
        self.reserve(properties, key);
        let mut entries: Vec<(String, Json)> = Vec::new();
        let mut optional = 0;
        for (name, property) in properties {
            let is_required = names("required").any(|required| required == name);
            let inner = Key::new(name, key.context(), title_of(property));
            let is_wanted = is_required
                || required + optional < most
                    && match self.purpose {
                        Purpose::Arguments => {
                            depth < DEPTH_OPTIONAL && self.is_said(property, &inner)
                        }
                        Purpose::Answer => {
                            depth < DEPTH_OPTIONAL && self.ends_within(property, LEVELS_MAX)
                        }
                    };
            if !is_wanted || entries.iter().any(|(have, _)| have == name) {
                continue;
            }
            optional += usize::from(!is_required);
            // What a pattern of names asks for, too, holds as well.
            let mut property = Cow::Borrowed(property);
            for also in check::by_pattern(schema, name) {
                property = Cow::Owned(both(&property, also));
            }
            entries.push((name.clone(), self.value(&property, &inner, depth + 1)?));
        }
        for name in names("required") {
            self.add(schema, name, &mut entries, key, depth)?;
        }
        // What a property that is there asks for beside it.
        if let Some(rules) = schema.get("dependentRequired").and_then(Json::object) {
            for (name, also) in rules {
                if entries.iter().any(|(have, _)| have == name) {
                    for also in also
                        .list()
                        .unwrap_or_default()
                        .iter()
                        .filter_map(Json::text)
                    {
                        self.add(schema, also, &mut entries, key, depth)?;
                    }
                }
            }
        }
        self.fill_up(schema, &mut entries, key, depth)?;
        Ok(Json::Object(entries))
    }

    /// Adds a property that must be there, if it is not.
    fn add(
        &mut self,
        schema: &Json,
        name: &str,
        entries: &mut Vec<(String, Json)>,
        key: &Key,
        depth: u32,
    ) -> Result<(), Error> {
        if entries.iter().any(|(have, _)| have == name) {
            return Ok(());
        }
        let property = schema
            .get("properties")
            .and_then(|properties| properties.get(name));
        let mut property = property.cloned().unwrap_or_else(|| {
            if check::by_pattern(schema, name).is_empty() {
                additional(schema)
            } else {
                Json::Boolean(true)
            }
        });
        for also in check::by_pattern(schema, name) {
            property = both(&property, also);
        }
        let inner = Key::new(name, key.context(), title_of(&property));
        let value = self.value(&property, &inner, depth + 1)?;
        entries.push((name.into(), value));
        Ok(())
    }

    /// Adds properties that have no name of their own: as many as must be there, and a few where
    /// the object is a table of them.
    fn fill_up(
        &mut self,
        schema: &Json,
        entries: &mut Vec<(String, Json)>,
        key: &Key,
        depth: u32,
    ) -> Result<(), Error> {
        let most = limit(schema, "maxProperties").unwrap_or(usize::MAX);
        let mut least = limit(schema, "minProperties").unwrap_or(0);
        let is_table = schema.get("properties").is_none()
            && (schema
                .get("additionalProperties")
                .is_some_and(|other| other.object().is_some())
                || schema.get("patternProperties").is_some());
        if is_table && depth <= DEPTH_OPTIONAL && self.purpose == Purpose::Answer {
            least = least.max(2).min(most);
        }
        // Known properties that are optional come first.
        if let Some(properties) = schema.get("properties").and_then(Json::object) {
            for (name, _) in properties {
                if entries.len() < least {
                    self.add(schema, name, entries, key, depth)?;
                }
            }
        }
        let mut number = 0;
        while entries.len() < least && number < least.saturating_mul(4) {
            let name = self.property_name(schema, number);
            number += 1;
            self.add(schema, &name, entries, key, depth)?;
        }
        Ok(())
    }

    /// A name for a property that has none.
    fn property_name(&mut self, schema: &Json, number: usize) -> String {
        let by_rule = schema.get("patternProperties").and_then(Json::object);
        let pattern = by_rule
            .and_then(|rules| rules.first())
            .map(|(pattern, _)| pattern.as_str());
        let names = schema.get("propertyNames");
        if let Some(options) = names
            .and_then(|names| names.get("enum"))
            .and_then(Json::list)
            && let Some(name) = options
                .get(number % options.len().max(1))
                .and_then(Json::text)
        {
            return name.into();
        }
        let pattern = names
            .and_then(|names| names.get("pattern"))
            .and_then(Json::text)
            .or(pattern);
        if let Some(name) = pattern.and_then(|pattern| self.by_pattern(pattern, 1, 64)) {
            return name;
        }
        match self.topics.get(number) {
            Some(topic) => topic.replace(' ', "_"),
            None => format!("key_{}", number + 1),
        }
    }
}

/// What `additionalProperties` asks of those that have no schema of their own.
fn additional(schema: &Json) -> Json {
    match schema.get("additionalProperties") {
        Some(additional @ Json::Object(_)) => additional.clone(),
        _ => Json::Boolean(true),
    }
}
