//! A security event: its kind, on whose behalf it happened, and what it is about.

use std::net::IpAddr;

use super::kinds::EventKind;
use crate::ids::{KeyId, RequestId};
use crate::traces::TraceContext;

/// The caller on whose behalf something happened.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Actor {
    /// The verified key, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    /// The caller's address, as far as it can be trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The span of the request, for whoever is told. Not recorded: the request's id is.
    #[serde(skip)]
    pub trace: Option<TraceContext>,
}

/// A security event.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Event {
    /// The kind of event.
    #[serde(rename = "event")]
    pub kind: EventKind,
    /// The caller on whose behalf it happened.
    #[serde(flatten)]
    pub actor: Actor,
    /// The fields of its kind: names and numbers made by this program, such as the id of a key.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub about: serde_json::Map<String, serde_json::Value>,
}

impl Event {
    /// An event with the fields that its kind declares. A field whose value is null is left out.
    #[must_use]
    pub fn new(kind: EventKind, actor: Actor, about: &[(&str, serde_json::Value)]) -> Self {
        let present = about.iter().filter(|(_, value)| !value.is_null());
        let about = present
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let event = Self { kind, actor, about };
        // Every test that causes an event checks its fields.
        debug_assert_eq!(event.check(), Ok(()), "{}", kind.name());
        event
    }

    /// Compares the fields with those that the kind declares.
    fn check(&self) -> Result<(), String> {
        let declared = self.kind.row().fields;
        let is_declared = |name: &String| declared.iter().any(|field| field.name == name);
        if let Some(unknown) = self.about.keys().find(|name| !is_declared(name)) {
            return Err(format!("the field `{unknown}` is not declared"));
        }
        let is_missing = |name: &str| !self.about.contains_key(name);
        match declared
            .iter()
            .find(|field| field.always && is_missing(field.name))
        {
            Some(missing) => Err(format!("the field `{}` is missing", missing.name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn an_event_has_the_fields_of_its_kind() {
        let check = |about: &[(&str, Value)]| {
            let about = about.iter().cloned();
            let event = Event {
                kind: EventKind::BanLifted,
                actor: Actor::default(),
                about: about
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
            };
            event.check()
        };
        let full = [
            ("network", json!("192.0.2.7")),
            ("reason", json!("injection")),
            ("until", json!("2030-01-01T00:00:00Z")),
            ("key_id", json!("key_0123456789abcdef")),
        ];
        assert_eq!(check(&full), Ok(()));
        assert_eq!(check(&full[..3]), Ok(()), "not every ban is of a key");
        assert_eq!(
            check(&full[..2]),
            Err("the field `until` is missing".to_owned())
        );
        let mut more = full.to_vec();
        more.push(("prompt", json!("…")));
        assert_eq!(
            check(&more),
            Err("the field `prompt` is not declared".to_owned())
        );
    }
}
