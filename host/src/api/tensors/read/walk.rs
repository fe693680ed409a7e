//! The walk over nested lists: gathers the elements of one tensor and learns its shape.

use super::super::elements::{Elements, Number};
use super::{Place, Stash};
use belljar_sandbox::tensor::TENSOR_DIMENSIONS_MAX;
use belljar_sandbox::wit::tensors::Datatype;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What the walk over `data` found.
pub(super) struct Data {
    pub(super) elements: Elements,
    pub(super) shape: Vec<u64>,
    pub(super) raw: Option<Vec<u8>>,
    pub(super) is_raw: bool,
}

/// A walk over nested lists, which gathers the elements and learns the shape.
pub(super) struct Walk<'a> {
    stash: &'a Stash,
    place: Place<'a>,
    field: &'static str,
    elements: Elements,
    /// The lengths of the lists at each depth, once one of that depth has ended.
    lengths: [Option<u64>; TENSOR_DIMENSIONS_MAX],
    /// The depth at which elements are found.
    leaf_depth: Option<usize>,
    /// The place of the current element, for the message.
    path: Vec<u64>,
    raw: Option<Vec<u8>>,
    /// Whether bytes at depth 0 are the whole tensor and not one element of it, and null is none.
    pub(super) is_whole_tensor: bool,
    is_null: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        stash: &'a Stash,
        place: Place<'a>,
        field: &'static str,
        datatype: Option<Datatype>,
    ) -> Self {
        Self {
            stash,
            place,
            field,
            elements: Elements::new(datatype),
            lengths: [None; TENSOR_DIMENSIONS_MAX],
            leaf_depth: None,
            path: Vec::with_capacity(4),
            raw: None,
            is_whole_tensor: true,
            is_null: false,
        }
    }

    /// What was found; none where there was null in the place of a whole tensor.
    pub(super) fn end(self) -> Option<Data> {
        if self.is_null {
            return None;
        }
        let depth = self.leaf_depth.unwrap_or(TENSOR_DIMENSIONS_MAX);
        let shape = self
            .lengths
            .into_iter()
            .take(depth)
            .map_while(|length| length)
            .collect();
        let is_raw = self.raw.is_some();
        Some(Data {
            elements: self.elements,
            shape,
            raw: self.raw,
            is_raw,
        })
    }

    fn fail<E: de::Error>(&self, message: impl Into<String>) -> E {
        use fmt::Write as _;
        let mut place = self.place.to_string();
        if !self.field.is_empty() {
            place.push('.');
            place.push_str(self.field);
        }
        for index in &self.path {
            // Writing to a string does not fail.
            let _ = write!(place, "[{index}]");
        }
        self.stash.fail(place, message)
    }

    #[inline]
    fn element<E: de::Error>(
        &mut self,
        depth: usize,
        push: impl FnOnce(&mut Elements) -> Result<(), String>,
    ) -> Result<(), E> {
        if self.leaf_depth != Some(depth) {
            let free = self.lengths.get(depth).is_none_or(Option::is_none);
            if self.leaf_depth.is_some() || !free {
                return Err(
                    self.fail("is one element where its neighbours are lists of another depth")
                );
            }
            self.leaf_depth = Some(depth);
        }
        push(&mut self.elements).map_err(|why| self.fail(why))
    }
}

/// One value in the nest.
pub(super) struct Node<'w, 'a> {
    pub(super) walk: &'w mut Walk<'a>,
    pub(super) depth: usize,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers, booleans or strings, or nested lists of them")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.walk
            .element(self.depth, |elements| elements.push_bool(value))
    }

    #[inline]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.walk.element(self.depth, |elements| {
            elements.push_number(Number::Signed(value))
        })
    }

    #[inline]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        let number = i64::try_from(value).map_or(Number::Unsigned(value), Number::Signed);
        self.walk
            .element(self.depth, |elements| elements.push_number(number))
    }

    #[inline]
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.walk.element(self.depth, |elements| {
            elements.push_number(Number::Float(value))
        })
    }

    #[inline]
    fn visit_f32<E: de::Error>(self, value: f32) -> Result<(), E> {
        self.walk
            .element(self.depth, |elements| elements.push_single(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.walk
            .element(self.depth, |elements| elements.push_bytes(value.as_bytes()))
    }

    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<(), E> {
        if self.depth == 0 && self.walk.is_whole_tensor {
            self.walk.raw = Some(value.to_vec());
            return Ok(());
        }
        self.walk
            .element(self.depth, |elements| elements.push_bytes(value))
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        if self.depth == 0 && self.walk.is_whole_tensor {
            self.walk.is_null = true;
            return Ok(());
        }
        Err(self
            .walk
            .fail("null is no element; a binary format can say NaN"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.walk.fail("an object is no element"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { walk, depth } = self;
        if depth == TENSOR_DIMENSIONS_MAX {
            return Err(walk.fail(format!("more than {TENSOR_DIMENSIONS_MAX} dimensions")));
        }
        if walk
            .leaf_depth
            .is_some_and(|leaf_depth| depth >= leaf_depth)
        {
            return Err(walk.fail("is a list where its neighbours are elements"));
        }
        let mut length = 0_u64;
        walk.path.push(0);
        while seq
            .next_element_seed(Node {
                walk: &mut *walk,
                depth: depth + 1,
            })?
            .is_some()
        {
            length += 1;
            if let Some(index) = walk.path.last_mut() {
                *index = length;
            }
        }
        walk.path.pop();
        match walk.lengths.get_mut(depth) {
            Some(Some(expected)) if *expected != length => {
                let expected = *expected;
                Err(walk.fail(format!(
                    "has {length} elements where its neighbours have {expected}"
                )))
            }
            Some(known) => {
                *known = Some(length);
                Ok(())
            }
            None => Ok(()),
        }
    }
}
