//! The pass over a text: what is open, and the bounds of each part.

use super::text::{BLOCK, Text, is_of_number, is_out_of_range, plain_data, shown};
use super::{Bounds, Reason};
use std::borrow::Cow;
use std::collections::HashSet;

/// Keys of one object up to which comparing each with each is the quickest.
const FEW_KEYS: usize = 16;

/// Bytes of a path that a fault repeats.
pub(super) const SHOWN_PATH_BYTES: usize = 512;

/// Lists and objects within each other that most texts stay below.
const USUAL_DEPTH: usize = 8;

/// Digits that a finite `f64` can have without an exponent.
const SAFE_DIGITS: usize = 300;

/// What a fault is about: the value that is being read, the list or object around it, or a key
/// in that object.
pub(super) enum Place {
    Value,
    Around,
    Key(String),
}

/// Boxed, so that the way without a fault carries a pointer and no more.
pub(super) type Found = Box<(Reason, Place)>;

fn fault(reason: Reason, place: Place) -> Found {
    Box::new((reason, place))
}

pub(super) struct Scan<'j, 'b> {
    json: &'j [u8],
    at: usize,
    bounds: &'b Bounds,
    open: Vec<Open>,
    /// The open objects among them.
    objects: Vec<Object<'j>>,
    /// Where it is worth to look for blocks of numbers again.
    blocks_from: usize,
    /// The keys of all open objects; each knows where its own begin.
    keys: Vec<Cow<'j, [u8]>>,
}

/// A list or an object that has not ended.
#[derive(Clone, Copy)]
enum Open {
    List { index: usize },
    Object,
}

struct Object<'j> {
    /// Where its keys begin among those of all open objects.
    keys_from: usize,
    /// Keys so far.
    count: usize,
    /// The key whose value is being read.
    current: Cow<'j, [u8]>,
    wants_key: bool,
    /// The keys again, where there are many.
    many: Option<HashSet<Cow<'j, [u8]>>>,
}
impl<'j, 'b> Scan<'j, 'b> {
    pub(super) fn new(json: &'j [u8], bounds: &'b Bounds) -> Self {
        Self {
            json,
            at: 0,
            bounds,
            open: Vec::with_capacity(USUAL_DEPTH),
            objects: Vec::with_capacity(USUAL_DEPTH / 2),
            blocks_from: 0,
            keys: Vec::with_capacity(FEW_KEYS),
        }
    }

    pub(super) fn run(&mut self) -> Result<(), Found> {
        while let Some(byte) = self.json.get(self.at).copied() {
            if self.bounds.lists_are_data
                && matches!(self.open.last(), Some(Open::List { .. }))
                && !matches!(byte, b'{' | b'}')
            {
                self.data()?;
                continue;
            }
            match byte {
                b'0'..=b'9' | b'-' => self.number()?,
                b',' => {
                    self.at += 1;
                    self.comma()?;
                }
                b'"' => self.string()?,
                b'[' | b'{' => {
                    self.at += 1;
                    self.open(byte)?;
                }
                b']' | b'}' => {
                    self.at += 1;
                    if matches!(self.open.pop(), Some(Open::Object))
                        && let Some(object) = self.objects.pop()
                    {
                        self.keys.truncate(object.keys_from);
                    }
                }
                b':' => {
                    self.at += 1;
                    if let Some(object) = self.object() {
                        object.wants_key = false;
                    }
                }
                _ => self.at += 1,
            }
        }
        Ok(())
    }

    fn rest(&self) -> &'j [u8] {
        self.json.get(self.at..).unwrap_or_default()
    }

    /// Passes over a list up to its end, or up to an object in it. Most bytes of most tensors
    /// are read here, and lists in it are a number and no more.
    fn data(&mut self) -> Result<(), Found> {
        let mut inner = 0_usize;
        loop {
            self.at += plain_data(self.rest());
            match self.json.get(self.at) {
                Some(b'[') => {
                    let max = self.bounds.depth_max;
                    if self.open.len() + inner >= max {
                        return Err(fault(Reason::TooDeep { max }, Place::Value));
                    }
                    inner += 1;
                    self.at += 1;
                }
                Some(b']') => {
                    self.at += 1;
                    if inner == 0 {
                        self.open.pop();
                        return Ok(());
                    }
                    inner -= 1;
                }
                Some(b'"') => self.string()?,
                Some(b'{' | b'}') | None => break,
                Some(_) => self.at += 1,
            }
        }
        let lists = std::iter::repeat_n(Open::List { index: 0 }, inner);
        self.open.extend(lists);
        Ok(())
    }

    fn open(&mut self, bracket: u8) -> Result<(), Found> {
        let max = self.bounds.depth_max;
        if self.open.len() >= max {
            return Err(fault(Reason::TooDeep { max }, Place::Value));
        }
        if bracket == b'[' {
            self.open.push(Open::List { index: 0 });
        } else {
            self.open.push(Open::Object);
            self.objects.push(Object {
                keys_from: self.keys.len(),
                count: 0,
                current: Cow::Borrowed(&[]),
                wants_key: true,
                many: None,
            });
        }
        Ok(())
    }

    /// The object that is open, where no list is open within it.
    #[inline]
    fn object(&mut self) -> Option<&mut Object<'j>> {
        match self.open.last() {
            Some(Open::Object) => self.objects.last_mut(),
            Some(Open::List { .. }) | None => None,
        }
    }

    #[inline]
    fn comma(&mut self) -> Result<(), Found> {
        match self.open.last_mut() {
            Some(Open::List { index }) => {
                *index += 1;
                let max = self.bounds.array_items_max;
                if *index >= max {
                    return Err(fault(Reason::TooManyItems { max }, Place::Around));
                }
            }
            Some(Open::Object) => {
                if let Some(object) = self.objects.last_mut() {
                    object.wants_key = true;
                }
            }
            None => {}
        }
        Ok(())
    }

    /// The number that is next, or as many of a list as come in whole blocks.
    #[inline]
    fn number(&mut self) -> Result<(), Found> {
        if self.at >= self.blocks_from && self.skip_numbers()? {
            return Ok(());
        }
        let rest = self.json.get(self.at..).unwrap_or_default();
        let mut length = 0;
        let mut has_exponent = false;
        for byte in rest {
            match byte {
                b'0'..=b'9' | b'.' | b'-' | b'+' => {}
                b'e' | b'E' => has_exponent = true,
                _ => break,
            }
            length += 1;
        }
        self.at += length;
        if has_exponent || length > SAFE_DIGITS {
            let token = rest.get(..length).unwrap_or_default();
            if is_out_of_range(token) {
                return Err(fault(Reason::NumberOutOfRange, Place::Value));
            }
        }
        Ok(())
    }

    /// Skips numbers of a list as long as there are whole blocks of nothing but short plain
    /// ones: most bytes of most tensors. False where there is no such block.
    fn skip_numbers(&mut self) -> Result<bool, Found> {
        let Some(Open::List { index }) = self.open.last_mut() else {
            return Ok(false);
        };
        let start = self.at;
        let mut without_comma = 0;
        while let Some(block) = self
            .json
            .get(self.at..)
            .and_then(|rest| rest.first_chunk::<BLOCK>())
        {
            // Without a branch in them, these loops become a few vector instructions.
            let mut others = 0_u8;
            let mut commas = 0_u8;
            for byte in block {
                // From `+` to `9`: also a comma, a point, a minus, and a slash, which is no JSON.
                let is_plain = byte.wrapping_sub(b'+') <= b'9' - b'+';
                others |= u8::from(!is_plain & (*byte != b' '));
                commas += u8::from(*byte == b',');
            }
            without_comma = if commas == 0 {
                without_comma + BLOCK
            } else {
                0
            };
            if others != 0 || without_comma >= SAFE_DIGITS - 2 * BLOCK {
                break;
            }
            *index += usize::from(commas);
            let max = self.bounds.array_items_max;
            if *index >= max {
                return Err(fault(Reason::TooManyItems { max }, Place::Around));
            }
            self.at += BLOCK;
        }
        self.blocks_from = self.at + BLOCK;
        if self.at == start {
            return Ok(false);
        }
        // The last number may go on: it is looked at again, whole.
        let skipped = self.json.get(start..self.at).unwrap_or_default();
        let tail = skipped.iter().rev().take_while(|byte| is_of_number(**byte));
        self.at -= tail.count();
        Ok(self.at > start)
    }

    fn string(&mut self) -> Result<(), Found> {
        let text = Text::read(self.json.get(self.at + 1..).unwrap_or_default());
        self.at += text.raw.len() + 2;
        let bounds = self.bounds;
        if matches!(self.open.last(), Some(Open::Object))
            && let Some(object) = self.objects.last_mut()
            && object.wants_key
        {
            if text.decoded_bytes > bounds.key_bytes_max {
                let max = bounds.key_bytes_max;
                return Err(fault(Reason::KeyTooLong { max }, Place::Around));
            }
            let key = text.decode();
            if let Some(flaw) = text.flaw
                && !(flaw.is_control() && bounds.duplicate_keys && bounds.control_characters)
            {
                return Err(fault(flaw, Place::Key(shown(&key))));
            }
            object.count += 1;
            if object.count > bounds.keys_max {
                let max = bounds.keys_max;
                return Err(fault(Reason::TooManyKeys { max }, Place::Around));
            }
            if !bounds.duplicate_keys && !object.add(&mut self.keys, key.clone()) {
                return Err(fault(Reason::DuplicateKey, Place::Key(shown(&key))));
            }
            object.current = key;
            return Ok(());
        }
        if text.decoded_bytes > bounds.string_bytes_max {
            let max = bounds.string_bytes_max;
            return Err(fault(Reason::StringTooLong { max }, Place::Value));
        }
        match text.flaw {
            Some(flaw) if !(flaw.is_control() && bounds.control_characters) => {
                Err(fault(flaw, Place::Value))
            }
            _ => Ok(()),
        }
    }

    /// The path of a place, as callers write it.
    pub(super) fn path(&self, place: &Place) -> String {
        use std::fmt::Write as _;
        let steps = match place {
            Place::Value => self.open.as_slice(),
            Place::Around | Place::Key(_) => {
                self.open.split_last().map_or(&[][..], |(_, around)| around)
            }
        };
        let mut path = String::new();
        let key = |path: &mut String, key: &str| {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(key);
        };
        let mut objects = self.objects.iter();
        for step in steps {
            match step {
                // Writing to a string does not fail.
                Open::List { index } => drop(write!(path, "[{index}]")),
                Open::Object => {
                    let name = objects.next().map(|object| shown(&object.current));
                    key(&mut path, name.as_deref().unwrap_or_default());
                }
            }
            if path.len() > SHOWN_PATH_BYTES {
                path.truncate(path.floor_char_boundary(SHOWN_PATH_BYTES));
                return path;
            }
        }
        if let Place::Key(name) = place {
            key(&mut path, name);
        }
        path
    }
}

impl<'j> Object<'j> {
    /// Adds a key. False where the object has it.
    fn add(&mut self, keys: &mut Vec<Cow<'j, [u8]>>, key: Cow<'j, [u8]>) -> bool {
        if let Some(many) = &mut self.many {
            return many.insert(key);
        }
        let own = keys.get(self.keys_from..).unwrap_or_default();
        if own.contains(&key) {
            return false;
        }
        if own.len() < FEW_KEYS {
            keys.push(key);
        } else {
            let mut many: HashSet<_> = own.iter().cloned().collect();
            many.insert(key);
            self.many = Some(many);
        }
        true
    }
}
