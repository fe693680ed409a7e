//! The members at the top of a request: known ones, those that clients of other servers send, and
//! those that nobody knows.
//!
//! A request type lists its members once, as its fields. What it does not have is kept as the
//! text that it came as, never as a tree: a body of ten megabytes would become hundreds.

mod foreign;

use crate::api::check::{PARAMETERS_MAX, Plain, at_most};
use crate::http::UnknownMembers;
use crate::http::error::ApiError;
use belljar_sandbox::wit::types::{Parameter, Value};
use foreign::FOREIGN;
use http::HeaderValue;
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor,
};
use serde_json::value::RawValue;
use std::fmt;
use std::marker::PhantomData;

/// How alike a known name must be to be meant, from 0 to 1.
const LIKENESS_MIN: f64 = 0.6;
/// Bytes of an unknown name that an answer repeats.
const NAME_BYTES_MAX: usize = 64;

/// A request with the members that its type does not have.
#[derive(Debug)]
pub(crate) struct Sifted<T> {
    /// The members that it has.
    pub(crate) known: T,
    others: Vec<Other>,
    names: &'static [&'static str],
}

/// A request whose model is named elsewhere: in its path. A `model` in its body is passed over.
#[derive(Debug)]
pub(crate) struct ModelElsewhere<T>(Sifted<T>);

/// A request that names a model.
pub(crate) trait NamesModel {
    /// Names it.
    fn name_model(&mut self, model: String);
}

impl<T: NamesModel> ModelElsewhere<T> {
    /// The request, with its model.
    pub(crate) fn named(mut self, model: String) -> Sifted<T> {
        self.0.known.name_model(model);
        self.0
    }
}

#[derive(Debug)]
struct Other {
    name: String,
    value: Box<RawValue>,
}

/// What became of the members that a request's type does not have.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// Those that are options of other servers, for the model.
    pub(super) options: Vec<Parameter>,
    /// The names of those that nobody uses.
    ignored: Vec<String>,
}

impl<T> Sifted<T> {
    /// The members that the request's type has.
    pub(crate) fn known(&self) -> &T {
        &self.known
    }

    /// Sorts the members that the request's type does not have: what other servers know becomes an
    /// option for the model, what nobody knows is refused or passed over.
    pub(crate) fn settle(self, unknown: UnknownMembers) -> Result<(T, Others), ApiError> {
        let Self {
            known,
            others,
            names,
        } = self;
        let mut settled = Others::default();
        for Other { name, value } in others {
            if FOREIGN.contains(&name.as_str()) {
                if let Some(value) = option(&value, &name)? {
                    settled.options.push(Parameter { name, value });
                }
            } else if unknown == UnknownMembers::Refuse {
                let nearest = nearest(&name, names);
                return Err(ApiError::unknown_argument(shown(&name).to_owned(), nearest));
            } else {
                settled.ignored.push(name);
            }
        }
        at_most(
            "parameters",
            settled.options.len(),
            PARAMETERS_MAX,
            "options",
        )?;
        Ok((known, settled))
    }
}

impl Others {
    /// The options of other servers, for the model.
    pub(crate) fn into_options(self) -> Vec<Parameter> {
        self.options
    }

    /// Passes over the options of other servers, too, where a model has no way to get any.
    pub(crate) fn without_options(mut self) -> Self {
        let options = self.options.drain(..);
        self.ignored.extend(options.map(|option| option.name));
        self
    }

    /// The names of the members that were passed over, as a header; none where there are none.
    pub(crate) fn note(&self) -> Option<HeaderValue> {
        let is_plain = |name: &&str| {
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        };
        let names = self.ignored.iter().map(|name| shown(name));
        let names: Vec<&str> = names.filter(is_plain).take(PARAMETERS_MAX).collect();
        (!names.is_empty())
            .then(|| HeaderValue::from_str(&names.join(", ")).ok())
            .flatten()
    }
}

/// As much of a name as an answer repeats.
fn shown(name: &str) -> &str {
    name.get(..name.floor_char_boundary(NAME_BYTES_MAX))
        .unwrap_or_default()
}

/// The value of an option for the model; none for null. What is no plain value is passed on as
/// the JSON that it came as.
fn option(value: &RawValue, name: &str) -> Result<Option<Value>, ApiError> {
    match value.get().as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'{' | b'[') => Ok(Some(Value::Text(value.get().to_owned()))),
        _ => serde_json::from_str::<Plain>(value.get())
            .map(|Plain(value)| Some(value))
            .map_err(|_| ApiError::invalid_argument(name, "is out of range for an option")),
    }
}

/// The known name that is most like an unknown one, if any is.
fn nearest(name: &str, names: &[&'static str]) -> Option<&'static str> {
    let likeness = |known: &&str| strsim::normalized_damerau_levenshtein(shown(name), known);
    let known = names.iter().copied().chain(FOREIGN.iter().copied());
    let best = known
        .map(|known| (likeness(&known), known))
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .map(|(_, known)| known)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Sifted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Sift {
            model: Model::Here,
            request: PhantomData,
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ModelElsewhere<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sift = Sift {
            model: Model::Due,
            request: PhantomData,
        };
        deserializer.deserialize_map(sift).map(Self)
    }
}

struct Sift<T> {
    model: Model,
    request: PhantomData<T>,
}

/// Where a request's model is named, and how far a request type that asks for one has been told
/// an empty name for now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Model {
    /// In the body.
    Here,
    /// Elsewhere, and nothing has been told.
    Due,
    /// Elsewhere, and the member has been told.
    Named,
    /// Elsewhere, and the empty name has been told.
    Told,
}

const MODEL: &str = "model";

impl<'de, T: Deserialize<'de>> Visitor<'de> for Sift<T> {
    type Value = Sifted<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Sifted<T>, A::Error> {
        let names = member_names::<T>();
        let mut others = Vec::new();
        let sieve = Sieve {
            map,
            names,
            model: self.model,
            others: &mut others,
        };
        let known = T::deserialize(MapAccessDeserializer::new(sieve))?;
        Ok(Sifted {
            known,
            others,
            names,
        })
    }
}

/// Shows a request type the members that it has, and keeps the others.
struct Sieve<'s, A> {
    map: A,
    names: &'static [&'static str],
    model: Model,
    others: &'s mut Vec<Other>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Sieve<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        if self.model == Model::Due {
            self.model = Model::Named;
            return seed.deserialize(MODEL.into_deserializer()).map(Some);
        }
        let mut seed = Some(seed);
        let has_model = self.model == Model::Here;
        loop {
            let name = Name {
                names: self.names,
                has_model,
                seed: &mut seed,
                error: PhantomData::<A::Error>,
            };
            match self.map.next_key_seed(name)? {
                None => return Ok(None),
                Some(Key::Known(key)) => return Ok(Some(key)),
                Some(Key::Other(name)) => {
                    let value = self.map.next_value()?;
                    if has_model || name != MODEL {
                        self.others.push(Other { name, value });
                    }
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        if self.model == Model::Named {
            self.model = Model::Told;
            return seed.deserialize("".into_deserializer());
        }
        self.map.next_value_seed(seed)
    }
}

enum Key<K> {
    Known(K),
    Other(String),
}

/// One name, for the request type where it has a member of that name. The seed is taken by then.
struct Name<'n, K, E> {
    names: &'static [&'static str],
    has_model: bool,
    seed: &'n mut Option<K>,
    error: PhantomData<E>,
}

impl<'de, K: DeserializeSeed<'de>, E> DeserializeSeed<'de> for Name<'_, K, E> {
    type Value = Key<K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, K: DeserializeSeed<'de>, T> Visitor<'de> for Name<'_, K, T> {
    type Value = Key<K::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        if !self.names.contains(&name) || (name == MODEL && !self.has_model) {
            return Ok(Key::Other(name.to_owned()));
        }
        let seed = self.seed.take();
        let seed = seed.ok_or_else(|| E::custom("a member was read twice"))?;
        seed.deserialize(name.into_deserializer()).map(Key::Known)
    }
}

/// The names of the members that a request type has: it tells them to whatever it is read from.
pub(crate) fn member_names<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // It reads nothing, so it comes to nothing.
    let _ = T::deserialize(Listener(&mut names));
    names
}

/// The place in a request that a model's words name, where it is a member of a request type.
pub(crate) fn place_in<'de, T: Deserialize<'de>>(name: &str) -> Option<String> {
    let head = name.split(['.', '[']).next().unwrap_or_default();
    member_names::<T>().contains(&head).then(|| name.to_owned())
}

/// Listens to which members a type asks for, and has none.
struct Listener<'l>(&'l mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Listener<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("nothing is here"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        members: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = members;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Request {
        model: String,
        max_tokens: Option<u32>,
    }

    fn settle(body: &str, unknown: UnknownMembers) -> Result<(Request, Others), ApiError> {
        serde_json::from_str::<Sifted<Request>>(body)
            .unwrap()
            .settle(unknown)
    }

    #[test]
    fn options_of_other_servers_go_to_the_model_and_the_rest_is_refused() {
        assert_eq!(member_names::<Request>(), ["model", "max_tokens"]);
        let body = r#"{"ignore_eos":true,"model":"m","min_tokens":3,"top_a":0.5,"rid":"x",
            "guided_json": {"a":[1, 2]},"max_tokens":5,"stop_token_ids":[1,2],"seed_x":null}"#;
        let (request, others) = settle(body, UnknownMembers::Ignore).unwrap();
        assert_eq!((request.model.as_str(), request.max_tokens), ("m", Some(5)));
        let options: Vec<String> = others
            .options
            .iter()
            .map(|option| format!("{} {:?}", option.name, option.value))
            .collect();
        assert_eq!(
            options,
            [
                "ignore_eos Value::Boolean(true)",
                "min_tokens Value::Integer(3)",
                "top_a Value::Number(0.5)",
                "rid Value::Text(\"x\")",
                "guided_json Value::Text(\"{\\\"a\\\":[1, 2]}\")",
                "stop_token_ids Value::Text(\"[1,2]\")",
            ]
        );
        assert_eq!(others.note().unwrap(), "seed_x");
        let note = others.without_options().note().unwrap();
        assert!(note.to_str().unwrap().contains("ignore_eos"));
        let refusal = settle(body, UnknownMembers::Refuse).unwrap_err();
        assert_eq!(refusal.code(), "unknown_parameter");
    }

    #[test]
    fn an_unknown_member_is_refused_with_the_nearest_known_one() {
        let message = |name: &str| {
            let body = format!(r#"{{"model":"m","{name}":1}}"#);
            let refusal = settle(&body, UnknownMembers::Refuse).unwrap_err();
            refusal.message().to_owned()
        };
        assert_eq!(
            message("max_tokns"),
            "Unrecognized request argument supplied: max_tokns. Did you mean max_tokens?"
        );
        assert!(message("repetition_penality").ends_with("repetition_penalty?"));
        assert_eq!(
            message("zzzz"),
            "Unrecognized request argument supplied: zzzz"
        );
        let long = "x".repeat(300);
        assert!(message(&long).len() < 200);
    }
}
