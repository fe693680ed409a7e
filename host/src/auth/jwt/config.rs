//! The settings by which JSON Web Tokens are taken.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use belljar_bundle::DurationText;
use jsonwebtoken::Algorithm;
use reqwest::Url;

use crate::auth::scope::Scope;
use crate::outgoing::address_in;

/// The longest time by which clocks may differ. More would be a lifetime of its own.
const LEEWAY_MAX: Duration = Duration::from_secs(300);
/// The shortest time between two readings that callers can cause.
const REREAD_PERIOD_MIN: Duration = Duration::from_secs(1);
/// Characters of an issuer, an audience or the name of a claim.
const TEXT_CHARACTERS_MAX: usize = 512;

/// The settings of tokens. They are taken where an issuer is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtConfig {
    /// Who makes the tokens (`iss`).
    pub issuer: Option<JwtText>,
    /// Whom they are made for (`aud`); one of these has to be in a token.
    pub audience: Vec<JwtText>,
    /// Where the keys are that vouch for tokens.
    pub jwks: Option<KeySource>,
    /// Files with the authorities that vouch for the server of the keys; the system's where
    /// there are none.
    pub jwks_authorities: Vec<PathBuf>,
    /// The algorithms that tokens may be signed with.
    pub algorithms: Vec<JwtAlgorithm>,
    /// By how much clocks may differ.
    pub leeway: Duration,
    /// How far the end of a token may be away.
    pub lifetime_max: Duration,
    /// How often the keys are read.
    pub refresh: Duration,
    /// The time between two readings for tokens whose key is not known.
    pub reread_period: Duration,
    /// How long one reading may take.
    pub read_timeout: Duration,
    /// How long keys are used that could not be read again.
    pub stale_max: Duration,
    /// The claim that says who calls.
    pub caller_claim: JwtText,
    /// The claim that says what the caller may do.
    pub scope_claim: JwtText,
    /// What the values of that claim stand for; the names of scopes where there are no rules.
    pub scope_rules: Vec<ScopeRule>,
    /// The claim that lists the models that the caller may use; all of them where none is named.
    pub models_claim: Option<JwtText>,
    /// The claim that names the caller's tier.
    pub tier_claim: Option<JwtText>,
    /// A file with the ids (`jti`) of tokens that are not taken any more.
    pub revoked: Option<PathBuf>,
}

impl Default for JwtConfig {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: Vec::new(),
            jwks: None,
            jwks_authorities: Vec::new(),
            algorithms: vec![JwtAlgorithm::RS256, JwtAlgorithm::ES256, JwtAlgorithm::ED],
            leeway: Duration::from_secs(30),
            lifetime_max: Duration::from_secs(24 * 3600),
            refresh: Duration::from_secs(600),
            reread_period: Duration::from_secs(10),
            read_timeout: Duration::from_secs(5),
            stale_max: Duration::from_secs(3600),
            caller_claim: JwtText("sub".to_owned()),
            scope_claim: JwtText("scope".to_owned()),
            scope_rules: Vec::new(),
            models_claim: None,
            tier_claim: None,
            revoked: None,
        }
    }
}

impl JwtConfig {
    /// Whether tokens are taken.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.issuer.is_some()
    }

    /// The contradictions between these settings, each with the key at fault.
    #[must_use]
    pub fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut refuse = |when: bool, key, why: String| {
            if when {
                found.push((key, why));
            }
        };
        if !self.is_on() {
            refuse(
                *self != Self::default(),
                "jwt.issuer",
                "tokens are taken from an issuer and none is named, so no other setting of `jwt` \
                 has a meaning"
                    .to_owned(),
            );
            return found;
        }
        refuse(
            self.audience.is_empty(),
            "jwt.audience",
            "a token that was made for any other service of the issuer would be taken: name what \
             this one is called in `aud`"
                .to_owned(),
        );
        refuse(
            self.jwks.is_none(),
            "jwt.jwks",
            "nothing vouches for tokens: name the file or the URL of the issuer's keys".to_owned(),
        );
        refuse(
            self.algorithms.is_empty(),
            "jwt.algorithms",
            "no token would be taken: name the algorithms of the issuer".to_owned(),
        );
        let is_encrypted =
            matches!(&self.jwks, Some(KeySource::Url(url)) if url.scheme() == "https");
        refuse(
            !self.jwks_authorities.is_empty() && !is_encrypted,
            "jwt.jwks_ca",
            "authorities vouch for a server and `jwt.jwks` is no `https://` URL".to_owned(),
        );
        refuse(
            self.leeway > LEEWAY_MAX,
            "jwt.leeway",
            format!(
                "clocks differ by at most {} here: more would lengthen every token's life",
                DurationText::from(LEEWAY_MAX)
            ),
        );
        refuse(
            self.reread_period < REREAD_PERIOD_MIN,
            "jwt.reread_period",
            format!(
                "strangers cause these readings: the time between two is at least {}",
                DurationText::from(REREAD_PERIOD_MIN)
            ),
        );
        refuse(
            self.stale_max < self.refresh,
            "jwt.stale_max",
            "keys would be too old before they are read again: it is at least `jwt.refresh`"
                .to_owned(),
        );
        found
    }
}

/// An issuer, an audience or the name of a claim: 1 to 512 characters, none of them a control
/// character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtText(String);

/// The text is empty, too long or cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {TEXT_CHARACTERS_MAX} characters without control characters")]
pub struct InvalidJwtText;

impl JwtText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JwtText {
    type Err = InvalidJwtText;

    fn from_str(text: &str) -> Result<Self, InvalidJwtText> {
        let is_sane = (1..=TEXT_CHARACTERS_MAX).contains(&text.chars().count())
            && !text.contains(char::is_control);
        is_sane.then(|| Self(text.to_owned())).ok_or(InvalidJwtText)
    }
}

impl fmt::Display for JwtText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An algorithm that tokens may be signed with (RFC 7518, section 3; RFC 8037). Those that share
/// a secret with whoever checks, and `none`, cannot be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JwtAlgorithm {
    pub(super) name: &'static str,
    pub(super) algorithm: Algorithm,
    pub(super) key: KeyKind,
}

/// The kind of key that an algorithm works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl JwtAlgorithm {
    const RS256: Self = Self::new("RS256", Algorithm::RS256, KeyKind::Rsa);
    const ES256: Self = Self::new("ES256", Algorithm::ES256, KeyKind::P256);
    const ED: Self = Self::new("EdDSA", Algorithm::EdDSA, KeyKind::Ed25519);

    const ALL: [Self; 9] = [
        Self::RS256,
        Self::new("RS384", Algorithm::RS384, KeyKind::Rsa),
        Self::new("RS512", Algorithm::RS512, KeyKind::Rsa),
        Self::new("PS256", Algorithm::PS256, KeyKind::Rsa),
        Self::new("PS384", Algorithm::PS384, KeyKind::Rsa),
        Self::new("PS512", Algorithm::PS512, KeyKind::Rsa),
        Self::ES256,
        Self::new("ES384", Algorithm::ES384, KeyKind::P384),
        Self::ED,
    ];

    const fn new(name: &'static str, algorithm: Algorithm, key: KeyKind) -> Self {
        Self {
            name,
            algorithm,
            key,
        }
    }
}

/// The text is no algorithm that is taken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA (Ed25519); `none` and \
     those that share their secret with this server (HS256, ...) are not taken"
)]
pub struct InvalidJwtAlgorithm;

impl FromStr for JwtAlgorithm {
    type Err = InvalidJwtAlgorithm;

    fn from_str(text: &str) -> Result<Self, InvalidJwtAlgorithm> {
        // RFC 9864 gives the one curve that is known here a name of its own.
        let name = if text == "Ed25519" { "EdDSA" } else { text };
        let found = Self::ALL.into_iter().find(|known| known.name == name);
        found.ok_or(InvalidJwtAlgorithm)
    }
}

impl fmt::Display for JwtAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The place of a key set (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// A URL: `https`, or `http` to this machine.
    Url(Url),
}

/// The text is no place that keys can be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeySource {
    /// The text is empty or has control characters.
    #[error("expected a path or an `https://` URL")]
    Path,
    /// What begins like a URL is none.
    #[error("this begins like a URL and is none")]
    Url,
    /// Anybody on the way could change the keys.
    #[error("keys are read over `https://`, and over `http://` from this machine alone")]
    Plain,
    /// A secret would stand in the settings and in logs.
    #[error("a URL of keys has no user and no password: keys are public")]
    Credentials,
}

impl FromStr for KeySource {
    type Err = InvalidKeySource;

    fn from_str(text: &str) -> Result<Self, InvalidKeySource> {
        if text.trim().is_empty() || text.contains(char::is_control) {
            return Err(InvalidKeySource::Path);
        }
        if !text.contains("://") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let url: Url = text.parse().map_err(|_| InvalidKeySource::Url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidKeySource::Credentials);
        }
        match url.scheme() {
            "https" => Ok(Self::Url(url)),
            "http" if is_this_machine(&url) => Ok(Self::Url(url)),
            _ => Err(InvalidKeySource::Plain),
        }
    }
}

/// Whether a URL names this machine by a number. A name could be somebody else's tomorrow.
fn is_this_machine(url: &Url) -> bool {
    address_in(url).is_some_and(|ip| ip.is_loopback())
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => write!(f, "{url}"),
        }
    }
}

/// A rule that gives scopes to callers in whose claim a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeRule {
    pub(super) value: String,
    pub(super) scopes: Vec<Scope>,
}

/// The text is no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a rule is a value of the claim and what it stands for, of `infer`, `models:read`, \
     `models:write`, `admin` and `metrics`, such as `ml-users=infer+models:read`"
)]
pub struct InvalidScopeRule;

impl FromStr for ScopeRule {
    type Err = InvalidScopeRule;

    fn from_str(text: &str) -> Result<Self, InvalidScopeRule> {
        // The last one: values of claims may be URLs.
        let (value, scopes) = text.rsplit_once('=').ok_or(InvalidScopeRule)?;
        let value = value.trim();
        let scopes = scopes.split('+').map(|scope| scope.trim().parse());
        let scopes: Vec<Scope> = scopes
            .collect::<Result<_, _>>()
            .map_err(|_| InvalidScopeRule)?;
        if value.is_empty() || value.contains(char::is_control) {
            return Err(InvalidScopeRule);
        }
        Ok(Self {
            value: value.to_owned(),
            scopes,
        })
    }
}

impl fmt::Display for ScopeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scopes: Vec<&str> = self.scopes.iter().map(|scope| scope.name()).collect();
        write!(f, "{}={}", self.value, scopes.join("+"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn algorithms_that_share_a_secret_have_no_name() {
        for name in ["HS256", "HS384", "HS512", "none", "None", "rs256", ""] {
            assert!(name.parse::<JwtAlgorithm>().is_err(), "{name}");
        }
        for known in JwtAlgorithm::ALL {
            assert_eq!(known.to_string().parse(), Ok(known));
        }
        assert_eq!("Ed25519".parse(), Ok(JwtAlgorithm::ED));
    }

    #[test]
    fn keys_come_from_files_and_over_ways_that_nobody_can_change() {
        for good in [
            "/etc/keys.json",
            "keys.json",
            "https://id.example/keys",
            "http://127.0.0.1:1/",
            "http://[::1]/k",
        ] {
            assert!(good.parse::<KeySource>().is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", InvalidKeySource::Path),
            ("http://id.example/keys", InvalidKeySource::Plain),
            ("http://localhost/keys", InvalidKeySource::Plain),
            ("http://127.0.0.1.id.example/keys", InvalidKeySource::Plain),
            ("file:///etc/keys.json", InvalidKeySource::Plain),
            ("https://", InvalidKeySource::Url),
            (
                "https://user:word@id.example/keys",
                InvalidKeySource::Credentials,
            ),
        ] {
            assert_eq!(bad.parse::<KeySource>(), Err(why), "{bad}");
        }
    }

    #[test]
    fn rules_name_scopes_that_exist() {
        let rule: ScopeRule = "https://acme.example/x=1=infer+models:read"
            .parse()
            .unwrap();
        assert_eq!(rule.value, "https://acme.example/x=1");
        assert_eq!(rule.scopes, [Scope::Infer, Scope::ModelsRead]);
        assert_eq!(rule.to_string().parse::<ScopeRule>().unwrap(), rule);
        for bad in [
            "infer",
            "=infer",
            "a=",
            "a=root",
            "a=infer+",
            "a=infer,admin",
        ] {
            assert!(bad.parse::<ScopeRule>().is_err(), "{bad}");
        }
    }
}
