//! The claims of a token (RFC 7519, section 4): what must hold, and what they make of its caller.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::bounds::{ID_BYTES_MAX, MODELS_MAX};
use super::config::{JwtConfig, JwtText, ScopeRule};
use super::error::TokenError;
use crate::auth::scope::{Scopes, Tier};

/// What a token with a good signature says of its caller.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claims {
    /// The caller, as the issuer calls it.
    pub(super) caller: String,
    pub(super) scopes: Scopes,
    /// The models that it may use; none for all.
    pub(super) models: Option<BTreeSet<String>>,
    pub(super) tier: Option<Tier>,
    /// The id of the token.
    pub(super) jti: Option<String>,
    /// The time at which it is not taken any more.
    pub(super) until: Timestamp,
}

impl Claims {
    /// Reads claims that were signed.
    pub(super) fn read(
        json: &[u8],
        config: &JwtConfig,
        now: Timestamp,
    ) -> Result<Self, TokenError> {
        let all: Value = serde_json::from_slice(json).map_err(|_| TokenError::Claims)?;
        if !all.is_object() {
            return Err(TokenError::Claims);
        }
        let issuer = config.issuer.as_ref().map(JwtText::as_str);
        if all.get("iss").and_then(Value::as_str) != issuer || issuer.is_none() {
            return Err(TokenError::Issuer);
        }
        let is_meant = |name: &str| config.audience.iter().any(|own| own.as_str() == name);
        let is_for_us = match all.get("aud") {
            Some(Value::String(one)) => is_meant(one),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).any(is_meant),
            _ => false,
        };
        if !is_for_us {
            return Err(TokenError::Audience);
        }
        let until = times(&all, config, now)?;
        let caller = claim(&all, &config.caller_claim).and_then(Value::as_str);
        let caller = caller
            .filter(|name| is_id(name))
            .ok_or(TokenError::Claims)?;
        let jti = match all.get("jti") {
            None => None,
            Some(Value::String(id)) if is_id(id) => Some(id.clone()),
            Some(_) => return Err(TokenError::Claims),
        };
        let tier = match &config.tier_claim {
            None => None,
            Some(name) => match claim(&all, name) {
                None | Some(Value::Null) => None,
                Some(Value::String(tier)) => Some(tier.parse().map_err(|_| TokenError::Claims)?),
                Some(_) => return Err(TokenError::Claims),
            },
        };
        Ok(Self {
            caller: caller.to_owned(),
            scopes: scopes(
                words(claim(&all, &config.scope_claim))?,
                &config.scope_rules,
            ),
            models: match &config.models_claim {
                None => None,
                Some(name) => models(&words(claim(&all, name))?)?,
            },
            tier,
            jti,
            until,
        })
    }
}

/// Whether a text can name a caller or a token.
fn is_id(text: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control)
}

/// The time at which a token is over, if it holds now.
fn times(all: &Value, config: &JwtConfig, now: Timestamp) -> Result<Timestamp, TokenError> {
    let leeway = |time: Timestamp, by: Duration| {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        time.saturating_add(by).unwrap_or(Timestamp::MAX)
    };
    let until = leeway(time(all, "exp")?.ok_or(TokenError::Claims)?, config.leeway);
    let ahead = leeway(now, config.leeway);
    if until <= now {
        return Err(TokenError::Expired);
    }
    if time(all, "nbf")?.is_some_and(|begin| begin > ahead) {
        return Err(TokenError::NotYetValid);
    }
    if time(all, "iat")?.is_some_and(|made| made > ahead) {
        return Err(TokenError::IssuedInTheFuture);
    }
    if until > leeway(leeway(ahead, config.lifetime_max), config.leeway) {
        return Err(TokenError::Lifetime);
    }
    Ok(until)
}

/// A date in seconds since 1970, whole or not (RFC 7519, section 2).
fn time(all: &Value, name: &str) -> Result<Option<Timestamp>, TokenError> {
    /// The end of the year 9999.
    const SECONDS_MAX: f64 = 253_402_300_799.0;
    let Some(value) = all.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_f64().filter(|s| (0.0..=SECONDS_MAX).contains(s));
    let since = seconds.and_then(|s| SignedDuration::try_from_secs_f64(s).ok());
    let time = since.and_then(|since| Timestamp::from_duration(since).ok());
    time.map(Some).ok_or(TokenError::Claims)
}

/// A claim by its name, or by the names on the way to it, with dots between them.
fn claim<'a>(all: &'a Value, name: &JwtText) -> Option<&'a Value> {
    let name = name.as_str();
    // Names may have dots in them: those that are URLs do.
    all.get(name).or_else(|| {
        let mut parts = name.split('.');
        parts.try_fold(all, |value, part| value.get(part))
    })
}

/// The words of a claim: those of a text between spaces (RFC 8693, section 4.2), or of a list.
fn words(claim: Option<&Value>) -> Result<Vec<&str>, TokenError> {
    match claim {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.split_ascii_whitespace().collect()),
        Some(Value::Array(list)) => {
            let words = list
                .iter()
                .map(|word| word.as_str().ok_or(TokenError::Claims));
            words.collect()
        }
        Some(_) => Err(TokenError::Claims),
    }
}

/// The scopes that words stand for. What no rule is for stands for nothing here.
fn scopes(words: Vec<&str>, rules: &[ScopeRule]) -> Scopes {
    if rules.is_empty() {
        return words.iter().filter_map(|word| word.parse().ok()).collect();
    }
    let given = rules
        .iter()
        .filter(|rule| words.contains(&rule.value.as_str()));
    given.flat_map(|rule| rule.scopes.iter().copied()).collect()
}

/// The models that words name; none for all of them, which is `*`.
fn models(words: &[&str]) -> Result<Option<BTreeSet<String>>, TokenError> {
    if words.contains(&"*") {
        return Ok(None);
    }
    if words.len() > MODELS_MAX {
        return Err(TokenError::Claims);
    }
    Ok(Some(words.iter().map(|&word| word.to_owned()).collect()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_900_000_000;

    fn config() -> JwtConfig {
        JwtConfig {
            issuer: Some("https://id.example".parse().unwrap()),
            audience: vec!["models".parse().unwrap(), "other".parse().unwrap()],
            ..JwtConfig::default()
        }
    }

    fn good() -> Value {
        json!({"iss": "https://id.example", "aud": "models", "sub": "ann", "exp": NOW + 60,
            "nbf": NOW, "iat": NOW, "jti": "1", "scope": "infer openid models:read"})
    }

    fn read_with(claims: &Value, config: &JwtConfig) -> Result<Claims, TokenError> {
        let now = Timestamp::from_second(NOW).unwrap();
        Claims::read(claims.to_string().as_bytes(), config, now)
    }

    #[track_caller]
    fn check(member: &str, value: Value, expect: Option<TokenError>) {
        let mut claims = good();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(member);
        } else {
            claims[member] = value.clone();
        }
        let found = read_with(&claims, &config()).err();
        assert_eq!(found, expect, "{member} = {value}");
    }

    #[test]
    fn what_must_hold_holds() {
        for (member, value, expect) in [
            (
                "iss",
                json!("https://id.example/"),
                Some(TokenError::Issuer),
            ),
            (
                "iss",
                json!(["https://id.example"]),
                Some(TokenError::Issuer),
            ),
            ("iss", Value::Null, Some(TokenError::Issuer)),
            ("aud", json!("model"), Some(TokenError::Audience)),
            ("aud", json!(["a", "b"]), Some(TokenError::Audience)),
            ("aud", json!([]), Some(TokenError::Audience)),
            ("aud", json!({"models": 1}), Some(TokenError::Audience)),
            ("aud", Value::Null, Some(TokenError::Audience)),
            ("aud", json!(["a", 5, "other"]), None),
            ("sub", Value::Null, Some(TokenError::Claims)),
            ("sub", json!(""), Some(TokenError::Claims)),
            ("sub", json!(7), Some(TokenError::Claims)),
            ("sub", json!("a\nb"), Some(TokenError::Claims)),
            ("sub", json!("a".repeat(257)), Some(TokenError::Claims)),
            ("jti", json!(5), Some(TokenError::Claims)),
            ("jti", Value::Null, None),
            ("scope", json!(5), Some(TokenError::Claims)),
            ("scope", json!([5]), Some(TokenError::Claims)),
            ("scope", Value::Null, None),
        ] {
            check(member, value, expect);
        }
        for bad in ["", "[]", "5", "null", "{"] {
            let now = Timestamp::from_second(NOW).unwrap();
            let read = Claims::read(bad.as_bytes(), &config(), now);
            assert_eq!(read, Err(TokenError::Claims), "{bad}");
        }
    }

    #[test]
    fn times_are_held_to_the_second_and_the_leeway() {
        let day = 24 * 3600;
        for (member, value, expect) in [
            ("exp", json!(NOW - 29), None),
            ("exp", json!(NOW - 30), Some(TokenError::Expired)),
            ("exp", json!(1_899_999_970.5), None),
            ("exp", json!(NOW + day + 30), None),
            ("exp", json!(NOW + day + 31), Some(TokenError::Lifetime)),
            ("exp", Value::Null, Some(TokenError::Claims)),
            ("exp", json!("2030"), Some(TokenError::Claims)),
            ("exp", json!(-1), Some(TokenError::Claims)),
            ("exp", json!(1e300), Some(TokenError::Claims)),
            ("nbf", json!(NOW + 30), None),
            ("nbf", json!(NOW + 31), Some(TokenError::NotYetValid)),
            ("nbf", json!("soon"), Some(TokenError::Claims)),
            ("iat", json!(NOW + 30), None),
            ("iat", json!(NOW + 31), Some(TokenError::IssuedInTheFuture)),
            ("iat", Value::Null, None),
        ] {
            check(member, value, expect);
        }
    }

    #[test]
    fn claims_become_scopes_models_and_a_tier() {
        let plain = read_with(&good(), &config()).unwrap();
        assert_eq!(plain.scopes.to_string(), "infer,models:read");
        assert_eq!((plain.models, plain.tier), (None, None));
        assert_eq!(plain.until.as_second(), NOW + 90);
        let mapped = JwtConfig {
            caller_claim: "https://acme.example/user".parse().unwrap(),
            scope_claim: "realm_access.roles".parse().unwrap(),
            scope_rules: vec![
                "ml=infer+metrics".parse().unwrap(),
                "ops=admin".parse().unwrap(),
            ],
            models_claim: Some("models".parse().unwrap()),
            tier_claim: Some("tier".parse().unwrap()),
            ..config()
        };
        let mut claims = good();
        claims["https://acme.example/user"] = json!("bob");
        claims["realm_access"] = json!({"roles": ["ml", "infer", "admin"]});
        claims["tier"] = json!("tier-3");
        let found = read_with(&claims, &mapped).unwrap();
        assert_eq!(found.caller, "bob");
        assert_eq!(found.scopes.to_string(), "infer,metrics");
        assert_eq!(found.tier, Some(Tier::Tier3));
        // A claim that should say which models does not: none of them.
        assert_eq!(found.models, Some(BTreeSet::new()));
        claims["models"] = json!("echo fake");
        let some = read_with(&claims, &mapped).unwrap().models.unwrap();
        assert_eq!(some.into_iter().collect::<Vec<_>>(), ["echo", "fake"]);
        claims["models"] = json!(["*"]);
        assert_eq!(read_with(&claims, &mapped).unwrap().models, None);
        claims["tier"] = json!("gold");
        assert_eq!(read_with(&claims, &mapped), Err(TokenError::Claims));
    }
}
