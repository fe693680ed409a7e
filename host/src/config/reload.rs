//! What a running server takes of settings that were read again.

use super::problem::{ConfigError, Problem};
use super::resolve::Resolved;
use super::setting::Setting;
use super::table::SETTINGS;

/// The outcome of reading the settings again.
#[derive(Clone, Debug)]
pub struct Reread {
    /// What holds from now on.
    pub resolved: Resolved,
    /// The settings that hold another value than before.
    pub changed: Vec<Change>,
    /// The settings that were given another value and take it at the next start.
    pub waiting: Vec<Change>,
}

/// Two values of one setting. Secrets are redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The setting.
    pub key: &'static str,
    /// The value that held until now.
    pub before: String,
    /// The other one.
    pub after: String,
}

impl Resolved {
    /// These settings with what can change while a server runs taken from others.
    ///
    /// # Errors
    ///
    /// When the outcome contradicts itself; what holds goes on to hold then.
    pub fn take_up(&self, read: &Self) -> Result<Reread, ConfigError> {
        let mut resolved = self.clone();
        let (mut changed, mut waiting) = (Vec::new(), Vec::new());
        for setting in SETTINGS {
            let is_same = (setting.is_same)(&self.settings, &read.settings);
            let reloads = setting.reloads && !self.waits(setting, read);
            if is_same || reloads {
                (setting.copy)(&mut resolved.settings, &read.settings);
                // The line of a file may be another one where the value is the same.
                resolved.set_source(setting.key, read.source(setting.key).clone());
            }
            if !is_same {
                let list = if reloads { &mut changed } else { &mut waiting };
                list.push(self.change(setting, read));
            }
        }
        resolved.settings.derive();
        let problems: Vec<Problem> = resolved
            .settings
            .contradictions()
            .into_iter()
            .map(|(key, message)| Problem {
                source: resolved.source(key).clone(),
                name: key.to_owned(),
                message,
            })
            .collect();
        if problems.is_empty() {
            Ok(Reread {
                resolved,
                changed,
                waiting,
            })
        } else {
            Err(ConfigError(problems))
        }
    }

    /// Whether a setting waits although it could change, because what it is about does: the rules
    /// for tokens of another issuer, or of the first one.
    fn waits(&self, setting: &Setting, read: &Self) -> bool {
        let issuer = |resolved: &Self| resolved.settings.auth.jwt.issuer.clone();
        setting.key.starts_with("jwt.") && issuer(self) != issuer(read)
    }

    fn change(&self, setting: &Setting, read: &Self) -> Change {
        Change {
            key: setting.key,
            before: (setting.show)(&self.settings),
            after: (setting.show)(&read.settings),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Overrides, resolve};

    fn given(variables: &[(&str, &str)]) -> Resolved {
        let variables = variables.iter().chain(&[("HOME", "/nowhere")]);
        let owned = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment: BTreeMap<String, String> = owned.collect();
        resolve(&Overrides::default(), &environment).unwrap()
    }

    fn keys(changes: &[Change]) -> Vec<&str> {
        changes.iter().map(|change| change.key).collect()
    }

    #[test]
    fn what_can_change_changes_and_the_rest_waits() {
        let before = given(&[("BELLJAR_LOG_LEVEL", "info")]);
        let after = given(&[
            ("BELLJAR_LOG_LEVEL", "debug"),
            ("BELLJAR_LISTEN", "127.0.0.1:1"),
            ("BELLJAR_API_KEYS", "a-secret-of-mine-123"),
        ]);
        let reread = before.take_up(&after).unwrap();
        assert_eq!(keys(&reread.changed), ["api_keys", "log.level"]);
        assert_eq!(keys(&reread.waiting), ["listen"]);
        let settings = &reread.resolved.settings;
        assert_eq!(settings.listen, before.settings.listen);
        assert_eq!(settings.log.filter, after.settings.log.filter);
        assert!(!format!("{:?}", reread.changed).contains("secret"));
        // Another secret is another value, though both are shown alike.
        let other = given(&[("BELLJAR_API_KEYS", "another-secret-of-mine")]);
        let reread = after.take_up(&other).unwrap();
        assert_eq!(
            keys(&reread.changed),
            ["api_keys", "log.level"],
            "a value that is gone is the default again"
        );
        let again = reread.resolved.take_up(&reread.resolved).unwrap();
        assert!(again.changed.is_empty() && again.waiting.is_empty());
    }

    #[test]
    fn what_follows_from_a_setting_that_waits_waits_with_it() {
        let before = given(&[]);
        let open = given(&[("BELLJAR_LISTEN", "0.0.0.0:1")]);
        assert!(open.settings.auth.require_key && open.settings.limits.enabled);
        let reread = before.take_up(&open).unwrap();
        let settings = reread.resolved.settings;
        assert!(!settings.auth.require_key && !settings.limits.enabled);
    }

    #[test]
    fn rules_for_tokens_wait_with_their_issuer() {
        const RULES: [(&str, &str); 3] = [
            ("BELLJAR_JWT_AUDIENCE", "belljar"),
            ("BELLJAR_JWT_JWKS", "https://issuer.example/keys"),
            ("BELLJAR_JWT_LEEWAY", "10s"),
        ];
        let of = |issuer| given(&[&[("BELLJAR_JWT_ISSUER", issuer)], &RULES[..]].concat());
        let (none, one) = (given(&[]), of("one"));
        let reread = none.take_up(&one).unwrap();
        assert!(reread.changed.is_empty());
        assert!(keys(&reread.waiting).contains(&"jwt.leeway"));
        let mut more = of("one");
        more.settings.auth.jwt.leeway = std::time::Duration::from_secs(20);
        let reread = one.take_up(&more).unwrap();
        assert_eq!(keys(&reread.changed), ["jwt.leeway"]);
        let reread = more.take_up(&of("another")).unwrap();
        assert_eq!(keys(&reread.waiting), ["jwt.issuer", "jwt.leeway"]);
    }

    #[test]
    fn values_that_contradict_what_holds_are_refused() {
        let before = given(&[]);
        let mut odd = given(&[("BELLJAR_CONDUCT_LONGER_FROM", "10")]);
        assert!(before.take_up(&odd).is_ok());
        odd.settings.abuse.longest_from = 5;
        let refused = before.take_up(&odd).unwrap_err().to_string();
        assert!(refused.contains("conduct.longest_from"), "{refused}");
    }
}
