//! What a stored chat completion says of its request.

use super::format::Format;
use super::tools::{NamedChoice, Tool};
use crate::api::check::StringOrObject;
use serde::Serialize;
use std::collections::BTreeMap;

/// The options of a request, as a stored completion repeats them.
#[derive(Serialize)]
pub(super) struct StoredOptions<'r> {
    pub(super) tool_choice: Option<&'r StringOrObject<NamedChoice>>,
    pub(super) seed: Option<i64>,
    pub(super) top_p: f64,
    pub(super) temperature: f64,
    pub(super) presence_penalty: f64,
    pub(super) frequency_penalty: f64,
    pub(super) input_user: Option<&'r str>,
    pub(super) tools: Option<&'r [Tool]>,
    pub(super) response_format: Option<&'r Format>,
    #[serde(serialize_with = "or_nothing")]
    pub(super) metadata: Option<&'r BTreeMap<String, String>>,
}

impl StoredOptions<'_> {
    /// The options as an object in JSON.
    pub(super) fn written(&self) -> String {
        // Strings and numbers are written whatever they are.
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}

/// An object, empty where there is none.
fn or_nothing<S: serde::Serializer>(
    metadata: &Option<&BTreeMap<String, String>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match metadata {
        Some(metadata) => metadata.serialize(serializer),
        None => BTreeMap::<String, String>::new().serialize(serializer),
    }
}
