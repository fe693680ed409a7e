//! The rules by which certificates of clients stand for keys.

use std::fmt;
use std::str::FromStr;

/// Whether clients are asked for certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not.
    #[default]
    Off,
    /// They may show one.
    Optional,
    /// Without one there is no connection.
    Required,
}

/// The text is none of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected off, optional or required")]
pub struct InvalidClientAuth;

impl FromStr for ClientAuth {
    type Err = InvalidClientAuth;

    fn from_str(text: &str) -> Result<Self, InvalidClientAuth> {
        match text {
            "off" => Ok(Self::Off),
            "optional" => Ok(Self::Optional),
            "required" => Ok(Self::Required),
            _ => Err(InvalidClientAuth),
        }
    }
}

impl fmt::Display for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        })
    }
}

/// A rule that gives certificates with a name the rights of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRule {
    kind: NameKind,
    pattern: String,
    /// The id or the name of the key.
    pub(super) key: String,
}

/// Where in a certificate a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameKind {
    /// The whole subject, as in `O=Acme, CN=robot`.
    Subject,
    /// The common name of the subject.
    Common,
    Dns,
    Email,
    Uri,
    Ip,
}

const KINDS: [(&str, NameKind); 6] = [
    ("subject", NameKind::Subject),
    ("cn", NameKind::Common),
    ("dns", NameKind::Dns),
    ("email", NameKind::Email),
    ("uri", NameKind::Uri),
    ("ip", NameKind::Ip),
];

/// The text is no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a rule is a kind of name (subject, cn, dns, email, uri or ip), a name in which one `*` may \
     stand for anything, and a key's id or name, such as `dns:robot.example=key_0123`"
)]
pub struct InvalidClientRule;

impl FromStr for ClientRule {
    type Err = InvalidClientRule;

    fn from_str(text: &str) -> Result<Self, InvalidClientRule> {
        let (name, key) = text.rsplit_once('=').ok_or(InvalidClientRule)?;
        let (kind, pattern) = name.split_once(':').ok_or(InvalidClientRule)?;
        let kind = KINDS.iter().find(|(name, _)| *name == kind.trim());
        let (_, kind) = kind.ok_or(InvalidClientRule)?;
        let (pattern, key) = (pattern.trim(), key.trim());
        if pattern.is_empty() || key.is_empty() || pattern.matches('*').count() > 1 {
            return Err(InvalidClientRule);
        }
        Ok(Self {
            kind: *kind,
            pattern: pattern.to_owned(),
            key: key.to_owned(),
        })
    }
}

impl fmt::Display for ClientRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = KINDS.iter().find(|(_, kind)| *kind == self.kind);
        let kind = kind.map_or("", |(name, _)| name);
        write!(f, "{kind}:{}={}", self.pattern, self.key)
    }
}

impl ClientRule {
    pub(super) fn is_for(&self, names: &[(NameKind, String)]) -> bool {
        let mut of_kind = names.iter().filter(|(kind, _)| *kind == self.kind);
        of_kind.any(|(_, name)| self.matches(name))
    }

    fn matches(&self, name: &str) -> bool {
        // Names of hosts are the same in either case; the rest is compared as it is.
        let (pattern, name) = match self.kind {
            NameKind::Dns | NameKind::Email => {
                (self.pattern.to_ascii_lowercase(), name.to_ascii_lowercase())
            }
            _ => (self.pattern.clone(), name.to_owned()),
        };
        match pattern.split_once('*') {
            None => pattern == name,
            Some((before, after)) => name
                .strip_prefix(before)
                .is_some_and(|rest| rest.len() > after.len() && rest.ends_with(after)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(rule: &str, kind: NameKind, name: &str, expect: bool) {
        let rule: ClientRule = rule.parse().unwrap();
        assert_eq!(rule.is_for(&[(kind, name.to_owned())]), expect, "{rule}");
    }

    #[test]
    fn a_rule_is_for_names_of_its_kind() {
        check("dns:Robot.example=k", NameKind::Dns, "robot.EXAMPLE", true);
        check(
            "dns:robot.example=k",
            NameKind::Common,
            "robot.example",
            false,
        );
        check("cn:robot=k", NameKind::Common, "Robot", false);
        check(
            "subject:O=Acme, CN=robot=k",
            NameKind::Subject,
            "O=Acme, CN=robot",
            true,
        );
        check(
            "uri:spiffe://acme/ns/*=k",
            NameKind::Uri,
            "spiffe://acme/ns/one",
            true,
        );
        check(
            "uri:spiffe://acme/ns/*=k",
            NameKind::Uri,
            "spiffe://acme/ns/",
            false,
        );
        check(
            "dns:*.robots.example=k",
            NameKind::Dns,
            "a.robots.example",
            true,
        );
        check(
            "dns:*.robots.example=k",
            NameKind::Dns,
            "robots.example",
            false,
        );
        check("ip:10.0.0.7=k", NameKind::Ip, "10.0.0.7", true);
        // What stands for anything does not stand for an overlap of both ends.
        check("cn:ab*ba=k", NameKind::Common, "aba", false);
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for bad in [
            "",
            "dns:a.example",
            "host:a=k",
            "dns:=k",
            "dns:a=",
            "dns:*.*=k",
            "a=k",
        ] {
            assert_eq!(bad.parse::<ClientRule>(), Err(InvalidClientRule), "{bad}");
        }
        let rule: ClientRule = " uri:spiffe://a/b = key_1 ".trim().parse().unwrap();
        assert_eq!(rule.to_string(), "uri:spiffe://a/b=key_1");
    }
}
