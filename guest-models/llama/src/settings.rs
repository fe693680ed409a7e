//! What a bundle says of how its file is to be run: the asset `runtime.json`, where it has one.

use serde_json::Value;

/// The asset.
pub const ASSET: &str = "runtime.json";

/// How a file is to be run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Tokens that a request may have, prompt and answer together. The model's own bound holds
    /// where it is less.
    pub context: Option<usize>,
}

impl Settings {
    /// Reads the asset.
    ///
    /// # Errors
    ///
    /// A text for a person, with the name of the member.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(bytes)
            .map_err(|error| format!("asset `{ASSET}` is not JSON: {error}"))?;
        let members = json
            .as_object()
            .ok_or_else(|| format!("asset `{ASSET}` should be an object"))?;
        let mut settings = Self::default();
        for (name, value) in members {
            match name.as_str() {
                "context" => {
                    let context = value.as_u64().and_then(|count| usize::try_from(count).ok());
                    let context = context.filter(|count| *count > 0);
                    let wrong =
                        || format!("asset `{ASSET}`: `context` should be a number of tokens");
                    settings.context = Some(context.ok_or_else(wrong)?);
                }
                other => return Err(format!("asset `{ASSET}`: there is no `{other}`")),
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_bound_is_read_and_anything_else_is_refused_by_name() {
        let read = |text: &str| Settings::read(text.as_bytes());
        assert_eq!(read(r#"{"context": 256}"#).unwrap().context, Some(256));
        assert_eq!(read("{}").unwrap(), Settings::default());
        for (text, named) in [
            ("", "not JSON"),
            ("[]", "an object"),
            (r#"{"context": 0}"#, "`context`"),
            (r#"{"context": -1}"#, "`context`"),
            (r#"{"contxt": 1}"#, "`contxt`"),
        ] {
            assert!(read(text).unwrap_err().contains(named), "{text}");
        }
    }
}
