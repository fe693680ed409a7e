//! What Vault answers.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

/// The most that is repeated of what Vault says about a refusal, in characters.
const ERRORS_CHARACTERS_MAX: usize = 200;

/// How long a token lives, and whether that can be made longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    /// Zero for one that does not end.
    pub(super) duration: Duration,
    pub(super) is_renewable: bool,
}

impl Lease {
    /// The token of a login or a renewal (`auth`), with its lease.
    pub(super) fn granted(answer: &Value) -> Option<(SecretString, Self)> {
        let auth = answer.get("auth")?;
        let token = auth.get("client_token")?.as_str()?;
        let lease = Self {
            duration: Duration::from_secs(auth.get("lease_duration")?.as_u64()?),
            is_renewable: auth.get("renewable")?.as_bool()?,
        };
        (!token.is_empty()).then(|| (SecretString::from(token), lease))
    }

    /// The lease of a token that was looked up (`data`). A root token has neither.
    pub(super) fn looked_up(answer: &Value) -> Option<Self> {
        let data = answer.get("data")?;
        Some(Self {
            duration: Duration::from_secs(data.get("ttl")?.as_u64()?),
            is_renewable: data
                .get("renewable")
                .and_then(Value::as_bool)
                .unwrap_or(false),
        })
    }
}

/// A field of a secret in a KV store of version 2, whose data are in `data.data`.
pub(super) fn field_of(answer: &Value, field: &str) -> Option<SecretString> {
    let data = answer.get("data")?.get("data")?;
    data.get(field)?.as_str().map(SecretString::from)
}

/// What Vault says about a refusal (`errors`), for people.
pub(super) fn errors_of(answer: &Value) -> String {
    let errors = answer.get("errors").and_then(Value::as_array);
    let texts = errors.into_iter().flatten().filter_map(Value::as_str);
    let said = texts.collect::<Vec<_>>().join("; ");
    let said: String = said
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(ERRORS_CHARACTERS_MAX)
        .collect();
    match said.trim() {
        "" => String::new(),
        said => format!(": {said}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    #[test]
    fn logins_renewals_and_look_ups_are_read() {
        let answer = json!({"auth": {"client_token": "hvs.x", "accessor": "y",
            "policies": ["default"], "lease_duration": 3600, "renewable": true}});
        let (token, lease) = Lease::granted(&answer).unwrap();
        assert_eq!(token.expose_secret(), "hvs.x");
        let hour = Lease {
            duration: Duration::from_hours(1),
            is_renewable: true,
        };
        assert_eq!(lease, hour);
        let answer = json!({"data": {"ttl": 3600, "renewable": true, "id": "hvs.x"}});
        assert_eq!(Lease::looked_up(&answer), Some(hour));
        let root = json!({"data": {"ttl": 0, "id": "hvs.x", "policies": ["root"]}});
        assert!(Lease::looked_up(&root).unwrap().duration.is_zero());
        for odd in [
            json!(null),
            json!({"auth": null}),
            json!({"auth": {"client_token": ""}}),
            json!({"auth": {"client_token": "", "lease_duration": 1, "renewable": true}}),
            json!({"auth": {"client_token": "x", "lease_duration": -1, "renewable": true}}),
        ] {
            assert!(Lease::granted(&odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn fields_are_texts_of_the_newest_version() {
        let answer = json!({"data": {"data": {"a": "x", "n": 1}, "metadata": {"version": 3}}});
        assert_eq!(field_of(&answer, "a").unwrap().expose_secret(), "x");
        assert!(field_of(&answer, "n").is_none());
        assert!(field_of(&answer, "b").is_none());
        // A version that was deleted has no data.
        let gone = json!({"data": {"data": null, "metadata": {"version": 3}}});
        assert!(field_of(&gone, "a").is_none());
        // The first version of the store has no metadata, and is not meant.
        assert!(field_of(&json!({"data": {"a": "x"}}), "a").is_none());
    }

    #[test]
    fn what_vault_says_is_short_and_drives_no_terminal() {
        let answer = json!({"errors": ["permission denied", "\u{1b}[2J"]});
        assert_eq!(errors_of(&answer), ": permission denied;  [2J");
        assert_eq!(errors_of(&json!({"errors": []})), "");
        assert_eq!(errors_of(&Value::Null), "");
        let long = json!({"errors": ["a".repeat(5000)]});
        assert_eq!(errors_of(&long).len(), ERRORS_CHARACTERS_MAX + 2);
    }
}
