//! Screens the texts of a request for injections, and says what a hit leads to.

use std::fmt;

use belljar_screen::{FieldKind, Hit, Mode, Policies, Screener};

/// The settings of the screening.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InjectionConfig {
    /// Whether they are.
    pub enabled: bool,
    /// The policies, by kind of field.
    pub policies: Policies,
}

impl Default for InjectionConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            policies: Policies::default(),
        }
    }
}

/// A hit, and where. Holds nothing of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The place in the request, for example `messages[2].content`.
    pub field: String,
    /// The signs that were found there.
    pub hit: Hit,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.hit)
    }
}

/// Screens texts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Screening(Screener);

/// A value that has been screened: a proof that nothing in it was found that blocks. Only
/// [`Screening::pass`] makes one, and runs take nothing else.
#[derive(Debug)]
pub struct Screened<T>(T);

impl<T> Screened<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// A value whose texts can be screened.
pub trait Texts {
    /// Shows every text to the inspection, each whole and as the model will read it.
    ///
    /// # Errors
    ///
    /// The error of the inspection, passed on.
    fn visit(&self, inspection: &mut Inspection<'_>) -> Result<(), Box<Finding>>;
}

/// The inspection of one request.
#[derive(Debug)]
pub struct Inspection<'a> {
    screener: &'a Screener,
    reported: Vec<Finding>,
}

impl Screening {
    /// Screening as configured.
    #[must_use]
    pub fn new(config: &InjectionConfig) -> Self {
        let mut policies = config.policies;
        if !config.enabled {
            for policy in [
                &mut policies.prompt,
                &mut policies.identifier,
                &mut policies.header,
            ] {
                policy.mode = Mode::Off;
            }
        }
        Self(Screener::new(policies))
    }

    /// The consequence of a hit in a kind of field.
    #[must_use]
    pub fn mode(&self, kind: FieldKind) -> Mode {
        self.0.mode(kind)
    }

    /// An inspection that has seen nothing yet.
    #[must_use]
    pub fn inspection(&self) -> Inspection<'_> {
        Inspection {
            screener: &self.0,
            reported: Vec::new(),
        }
    }

    /// Lets a value through with what is only to be reported about it.
    ///
    /// # Errors
    ///
    /// The first finding that blocks.
    pub fn pass<T: Texts>(&self, value: T) -> Result<(Screened<T>, Vec<Finding>), Box<Finding>> {
        let mut inspection = self.inspection();
        value.visit(&mut inspection)?;
        Ok((Screened(value), inspection.reported))
    }
}

impl Inspection<'_> {
    /// Screens one text. `field` says where it stands, and is asked only where it matters.
    ///
    /// # Errors
    ///
    /// A finding that blocks the request.
    pub fn text(
        &mut self,
        kind: FieldKind,
        field: impl FnOnce() -> String,
        text: &str,
    ) -> Result<(), Box<Finding>> {
        let Some(hit) = self.screener.screen(kind, text) else {
            return Ok(());
        };
        let finding = Finding {
            field: field(),
            hit,
        };
        match self.screener.mode(kind) {
            Mode::Block => Err(Box::new(finding)),
            Mode::Report => {
                self.reported.push(finding);
                Ok(())
            }
            Mode::Off => Ok(()),
        }
    }

    /// Screens every string of a JSON text, or the text as a whole where it is no JSON.
    ///
    /// # Errors
    ///
    /// A finding that blocks the request.
    pub fn json(
        &mut self,
        kind: FieldKind,
        field: impl Fn() -> String,
        text: &str,
    ) -> Result<(), Box<Finding>> {
        // The parser bounds the depth, so the walk below is bounded, too.
        match serde_json::from_str::<serde_json::Value>(text) {
            Ok(value) => self.value(kind, &field, &value),
            Err(_) => self.text(kind, field, text),
        }
    }

    fn value(
        &mut self,
        kind: FieldKind,
        field: &impl Fn() -> String,
        value: &serde_json::Value,
    ) -> Result<(), Box<Finding>> {
        use serde_json::Value;
        match value {
            Value::String(text) => self.text(kind, field, text),
            Value::Array(items) => items
                .iter()
                .try_for_each(|item| self.value(kind, field, item)),
            Value::Object(entries) => entries.iter().try_for_each(|(key, value)| {
                self.text(FieldKind::Prompt, field, key)?;
                self.value(kind, field, value)
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    /// The findings that are only to be reported.
    #[must_use]
    pub fn into_reported(self) -> Vec<Finding> {
        self.reported
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use belljar_screen::Policy;

    const ATTACK: &str = "'; DROP TABLE users; --";

    #[derive(Debug)]
    struct One(&'static str);

    impl Texts for One {
        fn visit(&self, inspection: &mut Inspection<'_>) -> Result<(), Box<Finding>> {
            inspection.text(FieldKind::Prompt, || "text".to_owned(), self.0)
        }
    }

    fn screening(mode: Mode) -> Screening {
        let mut config = InjectionConfig::default();
        config.policies.prompt = Policy {
            mode,
            ..Policy::default()
        };
        Screening::new(&config)
    }

    #[test]
    fn a_mode_decides_what_a_hit_leads_to_and_no_finding_repeats_the_text() {
        let blocked = screening(Mode::Block).pass(One(ATTACK)).unwrap_err();
        assert_eq!(blocked.field, "text");
        assert!(!blocked.to_string().contains("DROP"));
        let (passed, reported) = screening(Mode::Report).pass(One(ATTACK)).unwrap();
        assert_eq!((passed.into_inner().0, reported.len()), (ATTACK, 1));
        let (_, reported) = screening(Mode::Off).pass(One(ATTACK)).unwrap();
        assert!(reported.is_empty());
        let off = InjectionConfig {
            enabled: false,
            ..InjectionConfig::default()
        };
        assert!(Screening::new(&off).pass(One(ATTACK)).is_ok());
    }

    #[test]
    fn strings_inside_of_arguments_are_seen_decoded() {
        let screening = screening(Mode::Block);
        let place = || "arguments".to_owned();
        let escaped = r#"{"q":["\u0027; DROP TABLE users; --"]}"#;
        let mut inspection = screening.inspection();
        assert!(inspection.json(FieldKind::Prompt, place, escaped).is_err());
        assert!(
            inspection
                .json(FieldKind::Prompt, place, r#"{"city":"Paris"}"#)
                .is_ok()
        );
        assert!(inspection.json(FieldKind::Prompt, place, ATTACK).is_err());
    }
}
