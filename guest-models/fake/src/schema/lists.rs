//! Lists: all things of one kind that the prompt names, or a few that are plausible.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use belljar_guest::Error;

use super::merge::both;
use super::{DEPTH_OPTIONAL, Purpose, TRIES, Writer, check, limit, title_of};
use crate::json::Json;
use crate::meaning::Key;

impl Writer<'_> {
    pub(super) fn list(&mut self, schema: &Json, key: &Key, depth: u32) -> Result<Json, Error> {
        let anything = Json::Boolean(true);
        let tuple = schema.get("items").and_then(Json::list);
        let prefix = schema.get("prefixItems").and_then(Json::list).or(tuple);
        let prefix = prefix.unwrap_or_default();
        let items = schema.get("items").filter(|items| items.list().is_none());
        let items = items.unwrap_or(&anything);
        let least = limit(schema, "minItems").unwrap_or(0).max(prefix.len());
        let most = if *items == Json::Boolean(false) {
            prefix.len()
        } else {
            limit(schema, "maxItems").unwrap_or(usize::MAX)
        };
        if let Some(given) = self.given_list(schema, items, key, (least, most))? {
            return Ok(given);
        }
        if let Some(list) = self.things(schema, items, key, (depth, most))? {
            return Ok(list);
        }
        let usual = if depth > DEPTH_OPTIONAL || *items == Json::Boolean(false) {
            0
        } else {
            2 + self.random.below(2)
        };
        let wanted = usual.max(least).min(most.max(least));
        let unique = schema.get("uniqueItems") == Some(&Json::Boolean(true));
        let contained = schema.get("contains").filter(|_| wanted > 0 || least == 0);
        let inner = Key::new("", &key.words, title_of(items));
        let mut list: Vec<Json> = Vec::new();
        let contained_least = contained.map_or(0, |_| limit(schema, "minContains").unwrap_or(1));
        for index in 0..wanted.max(contained_least) {
            let item = match (prefix.get(index), contained) {
                (Some(item), _) => Cow::Borrowed(item),
                (None, Some(contained)) if index < contained_least => {
                    Cow::Owned(both(items, contained))
                }
                _ => Cow::Borrowed(items),
            };
            let mut value = self.item(&item, &inner, depth, index)?;
            let mut tries = TRIES * 4;
            while unique && tries > 0 && list.iter().any(|other| check::same(other, &value)) {
                value = self.item(&item, &inner, depth, index + (tries as usize))?;
                tries -= 1;
            }
            if unique && list.len() < least && list.iter().any(|other| check::same(other, &value)) {
                // Its meaning has too few values; any will do.
                let any = Key::new("", &[], "");
                for _ in 0..TRIES {
                    value = self.value(&item, &any, depth + 1)?;
                    if !list.iter().any(|other| check::same(other, &value)) {
                        break;
                    }
                }
            }
            if unique && list.iter().any(|other| check::same(other, &value)) {
                // The items have fewer values than were wanted; fewer may still be enough.
                break;
            }
            list.push(value);
        }
        Ok(Json::List(list))
    }

    /// One item of a list. Those of a choice come in their order.
    fn item(&mut self, item: &Json, key: &Key, depth: u32, index: usize) -> Result<Json, Error> {
        if let Some(options) = item.get("enum").and_then(Json::list)
            && self.filler.option(options).is_none()
            && let Some(option) = options.get(index % options.len().max(1))
        {
            return Ok(option.clone());
        }
        if index > 0 {
            self.world.next_item(self.random);
        }
        self.value(item, key, depth + 1)
    }

    /// A list with an object for each of the things that the prompt names.
    fn things(
        &mut self,
        schema: &Json,
        items: &Json,
        key: &Key,
        (depth, most): (u32, usize),
    ) -> Result<Option<Json>, Error> {
        if depth > DEPTH_OPTIONAL {
            return Ok(None);
        }
        let plain = self.plain(items)?;
        let properties = plain.get("properties").and_then(Json::object);
        let mut things = Vec::new();
        for (name, property) in properties.unwrap_or_default() {
            if property.get("type").and_then(Json::text) != Some("string")
                || property.get("enum").is_some()
            {
                continue;
            }
            let count = self.filler.count(&Key::new(name, &key.words, ""), false);
            if count.len() > things.len() && self.filler.are_alike(&count) {
                things = count;
            }
        }
        if things.is_empty() {
            return Ok(None);
        }
        let inner = Key::new("", &key.words, title_of(items));
        let mut list = Vec::new();
        for (index, part) in self
            .filler
            .parts(&things)
            .into_iter()
            .take(most)
            .enumerate()
        {
            let whole = core::mem::replace(&mut self.filler, part);
            let value = self.item(items, &inner, depth, index);
            self.filler = whole;
            list.push(value?);
        }
        let list = Json::List(list);
        if !check::holds(self.root, schema, &list) {
            return Ok(None);
        }
        things.iter().for_each(|&thing| self.filler.use_up(thing));
        Ok(Some(list))
    }

    /// The list that the prompt or the schema gives: all of one kind that the prompt names, or a
    /// default.
    fn given_list(
        &mut self,
        schema: &Json,
        items: &Json,
        key: &Key,
        (least, most): (usize, usize),
    ) -> Result<Option<Json>, Error> {
        let items = self.plain(items)?;
        let mut given: Vec<Json> = Vec::new();
        let name = items.get("type").and_then(Json::text).unwrap_or("string");
        if let Some(options) = items.get("enum").and_then(Json::list) {
            let named = options
                .iter()
                .filter(|option| self.filler.option(core::slice::from_ref(option)).is_some());
            given.extend(named.cloned());
        } else if matches!(name, "string" | "number" | "integer") {
            let is_number = name != "string";
            let key = &key.of_format(items.get("format").and_then(Json::text));
            let all = self.filler.count(key, is_number);
            for &index in &all {
                let only = self.filler.only(index, &all);
                let found = if is_number {
                    only.numbers(key, false)
                } else {
                    only.texts(key)
                };
                let valid = found.first().and_then(|found| {
                    let mut values = found.values.iter();
                    values
                        .find(|value| check::holds(self.root, &items, value))
                        .cloned()
                });
                given.extend(valid);
            }
            if given.len() == all.len() {
                all.iter().for_each(|&from| self.filler.use_up(from));
            }
            if given.is_empty() && !is_number && self.purpose == Purpose::Arguments {
                let listed = self.filler.listed().into_iter().map(Json::Text);
                given.extend(listed.filter(|item| check::holds(self.root, &items, item)));
            }
        }
        given.truncate(most);
        let list = Json::List(given);
        let given = list.list().unwrap_or_default();
        let is_enough = !given.is_empty() && given.len() >= least;
        if is_enough && check::holds(self.root, schema, &list) {
            return Ok(Some(list));
        }
        let default = schema
            .get("default")
            .or_else(|| schema.get("examples")?.list()?.first());
        let default = default.filter(|default| check::holds(self.root, schema, default));
        Ok(default.cloned())
    }
}
