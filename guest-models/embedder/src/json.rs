//! Small JSON files and parts of large ones, read without keeping what nobody asks for.

use std::fmt;

use belljar_guest::assets;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::LoadError;

/// Bytes of a file that is read as a whole.
const SMALL_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a part that is read as a whole.
const PART_BYTES_MAX: usize = 256 << 10;

/// A small file, where the bundle has it.
///
/// # Errors
///
/// [`LoadError`] where it is too long or no JSON.
pub(crate) fn small_file(name: &'static str) -> Result<Option<Value>, LoadError> {
    let Some(bytes) = file(name, SMALL_BYTES_MAX)? else {
        return Ok(None);
    };
    let value = serde_json::from_slice(&bytes)
        .map_err(|error| LoadError::file(name, format!("cannot be read: {error}")))?;
    Ok(Some(value))
}

/// The bytes of a file, where the bundle has it.
///
/// # Errors
///
/// [`LoadError`] where there are more than that.
pub(crate) fn file(name: &'static str, bytes_max: u64) -> Result<Option<Vec<u8>>, LoadError> {
    let Ok(size) = assets::size(name) else {
        return Ok(None);
    };
    if size > bytes_max {
        let problem = format!("has {size} bytes; at most {bytes_max} are read");
        return Err(LoadError::file(name, problem));
    }
    let bytes = assets::read_all(name)
        .map_err(|error| LoadError::file(name, format!("cannot be read: {error}")))?;
    Ok(Some(bytes))
}

/// Some members of an object, in the order of their names' list; the others are passed over.
///
/// # Errors
///
/// What the JSON has wrong; a member that is there twice.
pub(crate) fn members<'a, const N: usize>(
    json: &'a [u8],
    names: [&'static str; N],
) -> Result<[Option<&'a RawValue>; N], serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let found = reader.deserialize_map(Members(names))?;
    reader.end()?;
    Ok(found)
}

struct Members<const N: usize>([&'static str; N]);

impl<'de, const N: usize> Visitor<'de> for Members<N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(name) = map.next_key::<String>()? {
            let place = self.0.iter().position(|wanted| *wanted == name);
            let Some(place) = place.and_then(|index| found.get_mut(index)) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if place.replace(map.next_value::<&RawValue>()?).is_some() {
                let problem = format!("member `{name}` is there twice");
                return Err(A::Error::custom(problem));
            }
        }
        Ok(found)
    }
}

/// A part of a file as a value. None where it is not there or `null`.
///
/// # Errors
///
/// [`LoadError`] with the part's name, where it is too long or too deep.
pub(crate) fn part(
    file: &'static str,
    name: &str,
    json: Option<&RawValue>,
) -> Result<Option<Value>, LoadError> {
    let Some(json) = json else {
        return Ok(None);
    };
    if json.get().len() > PART_BYTES_MAX {
        let problem = format!(
            "has {} bytes; at most {PART_BYTES_MAX} are read",
            json.get().len()
        );
        return Err(LoadError::member(file, name, problem));
    }
    let value: Value = serde_json::from_str(json.get())
        .map_err(|error| LoadError::member(file, name, format!("cannot be read: {error}")))?;
    Ok((!value.is_null()).then_some(value))
}

/// An object of a file whose members are read by what they should be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object<'a> {
    /// The file that it is of.
    pub(crate) file: &'static str,
    /// What it holds.
    pub(crate) value: &'a Value,
}

impl<'a> Object<'a> {
    /// What is wrong with a member.
    pub(crate) fn wrong(&self, name: &str, problem: impl Into<String>) -> LoadError {
        LoadError::member(self.file, name, problem)
    }

    /// A member; `null` is as good as none.
    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.value.get(name).filter(|value| !value.is_null())
    }

    /// A whole number from `least` to `greatest`.
    ///
    /// # Errors
    ///
    /// [`LoadError::Member`] where it is something else.
    pub(crate) fn optional_size(
        &self,
        name: &str,
        least: usize,
        greatest: usize,
    ) -> Result<Option<usize>, LoadError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let number = value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok());
        match number {
            Some(number) if (least..=greatest).contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(
                name,
                format!("is {value}, and should be from {least} to {greatest}"),
            )),
        }
    }

    /// A whole number from 1 to `greatest` that has to be there.
    ///
    /// # Errors
    ///
    /// [`LoadError::Member`] where it is missing or something else.
    pub(crate) fn size(&self, name: &str, greatest: usize) -> Result<usize, LoadError> {
        self.optional_size(name, 1, greatest)?
            .ok_or_else(|| self.wrong(name, "is missing"))
    }

    /// A text.
    ///
    /// # Errors
    ///
    /// [`LoadError::Member`] where it is something else.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, LoadError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let text = value.as_str();
        text.map(Some).ok_or_else(|| self.wrong(name, "is no text"))
    }

    /// Yes or no; no where it is not there.
    ///
    /// # Errors
    ///
    /// [`LoadError::Member`] where it is something else.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, LoadError> {
        let Some(value) = self.value(name) else {
            return Ok(false);
        };
        let flag = value.as_bool();
        flag.ok_or_else(|| self.wrong(name, "is neither true nor false"))
    }

    /// A finite number.
    ///
    /// # Errors
    ///
    /// [`LoadError::Member`] where it is something else.
    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, LoadError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let number = value.as_f64().filter(|number| number.is_finite());
        number
            .map(Some)
            .ok_or_else(|| self.wrong(name, "is no finite number"))
    }
}
