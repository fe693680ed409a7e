//! Small checks that all requests share, and JSON values that may have one of two shapes.

use crate::http::error::ApiError;
use belljar_sandbox::wit::types::{Parameter, Value};
use serde::Serialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use utoipa::ToSchema;

/// A string, or a list.
#[derive(Debug)]
pub(super) enum StringOrList<T> {
    Text(String),
    List(Vec<T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for StringOrList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = StringOrList<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(StringOrList::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(StringOrList::List)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// A string, or an object.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum StringOrObject<T> {
    Text(String),
    Object(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for StringOrObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = StringOrObject<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an object")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(StringOrObject::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(StringOrObject::Object)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// A plain value of a free-form option.
#[derive(Debug)]
pub(super) struct Plain(pub(super) Value);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlainVisitor;
        impl Visitor<'_> for PlainVisitor {
            type Value = Plain;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a boolean, a number or a string")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Plain, E> {
                Ok(Plain(Value::Boolean(value)))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Plain, E> {
                Ok(Plain(Value::Integer(value)))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Plain, E> {
                i64::try_from(value)
                    .map(|value| Plain(Value::Integer(value)))
                    .map_err(|_| E::custom("is too large for an integer option"))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Plain, E> {
                Ok(Plain(Value::Number(value)))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Plain, E> {
                Ok(Plain(Value::Text(value.to_owned())))
            }
        }
        deserializer.deserialize_any(PlainVisitor)
    }
}

/// A plain value, as it is described.
#[derive(ToSchema)]
#[schema(as = OptionValue)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum PlainValue {
    Boolean(bool),
    Number(f64),
    Text(String),
}

/// A string, or a list of strings, as it is described.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) enum StringOrStrings {
    Text(String),
    List(Vec<String>),
}

/// Options of one request that pass through to the model.
pub(super) const PARAMETERS_MAX: usize = 64;

/// The free-form options of a request, with those that stood at its top. Where both name one, that
/// in `parameters` holds.
pub(super) fn parameters(
    options: Option<BTreeMap<String, Plain>>,
    others: Vec<Parameter>,
) -> Result<Vec<Parameter>, ApiError> {
    let options = options.unwrap_or_default();
    let others = others.into_iter();
    let others: Vec<_> = others
        .filter(|other| !options.contains_key(&other.name))
        .collect();
    let count = options.len() + others.len();
    at_most("parameters", count, PARAMETERS_MAX, "options")?;
    let options = options.into_iter();
    let options = options.map(|(name, Plain(value))| Parameter { name, value });
    Ok(options.chain(others).collect())
}

/// A list of which OpenAI takes at least one item.
pub(super) fn not_empty<T>(param: &str, list: Option<&Vec<T>>) -> Result<(), ApiError> {
    if list.is_some_and(Vec::is_empty) {
        let message = "empty list; expected a list with at least one item";
        return Err(ApiError::invalid_argument(param, message));
    }
    Ok(())
}

/// A number within its bounds, both included.
pub(super) fn within(
    param: &str,
    value: Option<f64>,
    min: f64,
    max: f64,
) -> Result<Option<f32>, ApiError> {
    let Some(value) = value else { return Ok(None) };
    if !(min..=max).contains(&value) {
        let message = format!("expected a number from {min} to {max}");
        return Err(ApiError::invalid_argument(param, message));
    }
    #[expect(clippy::cast_possible_truncation, reason = "small numbers, rounded")]
    let value = value as f32;
    Ok(Some(value))
}

/// A list that is not too long.
pub(super) fn at_most(param: &str, found: usize, max: usize, what: &str) -> Result<(), ApiError> {
    if found > max {
        let message = format!("expected at most {max} {what}, found {found}");
        return Err(ApiError::invalid_argument(param, message));
    }
    Ok(())
}
