//! Screens the texts of a request for injections, and says what a hit leads to.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::ids::KeyId;

use super::control::{
    ControlCharacters, has_control, has_control_escape, is_control, without_control_escapes,
};
use super::passed::{PassedNames, PassedTexts};
use belljar_screen::{FieldKind, Hit, Mode, Policies, Screener};

/// The settings of the screening.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InjectionConfig {
    /// Whether they are.
    pub enabled: bool,
    /// The policies, by place.
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

/// Why a value does not pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Objection {
    /// A finding in a place that blocks.
    Injection(Finding),
    /// A control character where none is taken.
    ControlCharacter {
        /// The place in the request, for example `user`.
        field: String,
    },
}

/// Screens texts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Screening(Arc<ArcSwap<Rules>>);

/// The rules of the screening that are in force.
#[derive(Debug)]
struct Rules {
    screener: Screener,
    controls: ControlCharacters,
    /// Both are forgotten with the rules that they have passed.
    passed: PassedNames,
    passed_texts: PassedTexts,
}

/// A value that has been screened: a proof that nothing in it was found that blocks. Only
/// [`Screening::pass`] makes one, and runs take nothing else.
#[derive(Debug)]
pub struct Screened<T>(T);

impl<T> Screened<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// The value, to be read.
    pub fn get(&self) -> &T {
        &self.0
    }
}

/// A value whose texts can be screened.
pub trait Texts {
    /// Shows every text to the inspection, each whole. The inspection cleans it first, so that
    /// what it sees is what the model reads.
    ///
    /// # Errors
    ///
    /// The objection of the inspection, passed on.
    fn visit(&mut self, inspection: &mut Inspection<'_>) -> Result<(), Box<Objection>>;
}

/// How many findings of one place a request is reported for. A talk of a thousand turns about
/// code is no thousand lines of a log; further texts of that place are not looked at.
const REPORTS_MAX: usize = 4;

/// The inspection of one request.
#[derive(Debug)]
pub struct Inspection<'a> {
    rules: &'a Rules,
    /// The key of the caller.
    owner: Option<&'a KeyId>,
    reported: Vec<Finding>,
}

impl Screening {
    /// Screening as configured.
    #[must_use]
    pub fn new(config: &InjectionConfig, controls: ControlCharacters) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Rules::new(
            config, controls,
        ))))
    }

    /// Screens by other policies from now on.
    pub fn set_config(&self, config: &InjectionConfig) {
        let controls = self.0.load().controls;
        self.0.store(Arc::new(Rules::new(config, controls)));
    }

    /// The consequence of a hit in a place.
    #[must_use]
    pub fn mode(&self, kind: FieldKind) -> Mode {
        self.0.load().screener.mode(kind)
    }

    /// Lets a value of this key's caller through with what is only to be reported about it.
    ///
    /// # Errors
    ///
    /// The first objection.
    pub fn pass<T: Texts>(
        &self,
        owner: Option<&KeyId>,
        mut value: T,
    ) -> Result<(Screened<T>, Vec<Finding>), Box<Objection>> {
        // One request is held to one set of rules.
        let rules = self.0.load();
        let mut inspection = Inspection::new(&rules, owner);
        value.visit(&mut inspection)?;
        Ok((Screened(value), inspection.reported))
    }
}

impl Rules {
    fn new(config: &InjectionConfig, controls: ControlCharacters) -> Self {
        let mut policies = config.policies;
        if !config.enabled {
            for policy in policies.all_mut() {
                policy.mode = Mode::Off;
            }
        }
        Self {
            screener: Screener::new(policies),
            controls,
            passed: PassedNames::new(),
            passed_texts: PassedTexts::new(),
        }
    }
}

impl<'a> Inspection<'a> {
    /// An inspection that has seen nothing yet.
    fn new(rules: &'a Rules, owner: Option<&'a KeyId>) -> Self {
        Self {
            rules,
            owner,
            reported: Vec::new(),
        }
    }

    /// Cleans one text and screens it. `field` says where it stands, and is asked only where it
    /// matters.
    ///
    /// # Errors
    ///
    /// A finding that blocks the request, or a control character where they are refused.
    pub fn text(
        &mut self,
        kind: FieldKind,
        field: impl Fn() -> String,
        text: &mut String,
    ) -> Result<(), Box<Objection>> {
        self.clean(&field, text)?;
        self.screen(kind, field, text)
    }

    /// Screens a name, which holds no control character.
    ///
    /// # Errors
    ///
    /// A finding that blocks the request, or a control character.
    pub fn name(
        &mut self,
        kind: FieldKind,
        field: impl Fn() -> String,
        name: &str,
    ) -> Result<(), Box<Objection>> {
        if has_control(name) {
            return Err(Box::new(Objection::ControlCharacter { field: field() }));
        }
        self.screen(kind, field, name)
    }

    /// Cleans and screens every string of a JSON text, or the text as a whole where it is no
    /// JSON.
    ///
    /// # Errors
    ///
    /// A finding that blocks the request, or a control character where they are refused.
    pub fn json(
        &mut self,
        kind: FieldKind,
        field: impl Fn() -> String,
        text: &mut String,
    ) -> Result<(), Box<Objection>> {
        self.clean(&field, text)?;
        if self.rules.controls != ControlCharacters::Keep && has_control_escape(text) {
            if self.rules.controls == ControlCharacters::Refuse {
                return Err(Box::new(Objection::ControlCharacter { field: field() }));
            }
            *text = without_control_escapes(text);
        }
        // The parser bounds the depth, so the walk below is bounded, too.
        match serde_json::from_str::<serde_json::Value>(text) {
            Ok(value) => self.value(kind, &field, &value),
            Err(_) => self.screen(kind, field, text),
        }
    }

    fn value(
        &mut self,
        kind: FieldKind,
        field: &impl Fn() -> String,
        value: &serde_json::Value,
    ) -> Result<(), Box<Objection>> {
        use serde_json::Value;
        match value {
            Value::String(text) => self.screen(kind, field, text),
            Value::Array(items) => items
                .iter()
                .try_for_each(|item| self.value(kind, field, item)),
            Value::Object(entries) => entries.iter().try_for_each(|(key, value)| {
                self.screen(kind, field, key)?;
                self.value(kind, field, value)
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    /// Screens a text that is checked elsewhere for the characters it may hold, or is data and
    /// may hold any.
    ///
    /// # Errors
    ///
    /// A finding that blocks the request.
    pub fn screen(
        &mut self,
        kind: FieldKind,
        field: impl Fn() -> String,
        text: &str,
    ) -> Result<(), Box<Objection>> {
        let is_off = self.rules.screener.mode(kind) == Mode::Off;
        if is_off || self.is_full(kind) || self.rules.passed.has(kind, text) {
            return Ok(());
        }
        let texts = &self.rules.passed_texts;
        let mark = texts.mark(self.owner, kind, text);
        if texts.has(&mark) {
            return Ok(());
        }
        let Some(hit) = self.rules.screener.screen(kind, text) else {
            self.rules.passed.note(kind, text);
            texts.note(mark);
            return Ok(());
        };
        let finding = Finding {
            field: field(),
            hit,
        };
        match self.rules.screener.mode(kind) {
            Mode::Block => Err(Box::new(Objection::Injection(finding))),
            Mode::Report => {
                self.reported.push(finding);
                Ok(())
            }
            Mode::Off => Ok(()),
        }
    }

    /// Whether enough is reported about a place.
    fn is_full(&self, kind: FieldKind) -> bool {
        let of_kind = self.reported.iter().filter(|found| found.hit.kind == kind);
        of_kind.count() >= REPORTS_MAX
    }

    fn clean(
        &self,
        field: impl FnOnce() -> String,
        text: &mut String,
    ) -> Result<(), Box<Objection>> {
        match self.rules.controls {
            ControlCharacters::Keep => {}
            ControlCharacters::Remove if has_control(text) => {
                text.retain(|character| !is_control(character));
            }
            ControlCharacters::Refuse if has_control(text) => {
                return Err(Box::new(Objection::ControlCharacter { field: field() }));
            }
            ControlCharacters::Remove | ControlCharacters::Refuse => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use belljar_screen::{Policy, Threshold};

    const ATTACK: &str = "'; DROP TABLE users; --";

    #[derive(Debug)]
    struct One(FieldKind, String);

    impl Texts for One {
        fn visit(&mut self, inspection: &mut Inspection<'_>) -> Result<(), Box<Objection>> {
            inspection.text(self.0, || "text".to_owned(), &mut self.1)
        }
    }

    fn one(text: &str) -> One {
        One(FieldKind::Prompt, text.to_owned())
    }

    fn screening(mode: Mode) -> Screening {
        let mut config = InjectionConfig::default();
        config.policies.prompt = Policy {
            mode,
            ..Policy::BLOCK
        };
        Screening::new(&config, ControlCharacters::Remove)
    }

    #[test]
    fn a_mode_decides_what_a_hit_leads_to_and_no_finding_repeats_the_text() {
        let blocked = screening(Mode::Block).pass(None, one(ATTACK)).unwrap_err();
        let Objection::Injection(blocked) = *blocked else {
            panic!("{blocked:?}");
        };
        assert_eq!(blocked.field, "text");
        assert!(!blocked.to_string().contains("DROP"));
        let (passed, reported) = screening(Mode::Report).pass(None, one(ATTACK)).unwrap();
        assert_eq!((&*passed.into_inner().1, reported.len()), (ATTACK, 1));
        let (_, reported) = screening(Mode::Off).pass(None, one(ATTACK)).unwrap();
        assert!(reported.is_empty());
        let off = InjectionConfig {
            enabled: false,
            ..InjectionConfig::default()
        };
        let off = Screening::new(&off, ControlCharacters::Remove);
        for kind in FieldKind::ALL {
            let (_, reported) = off.pass(None, One(kind, ATTACK.to_owned())).unwrap();
            assert!(reported.is_empty(), "{kind}");
        }
    }

    #[test]
    fn what_has_passed_is_screened_anew_by_other_rules() {
        let mut lax = InjectionConfig::default();
        for policy in lax.policies.all_mut() {
            policy.threshold = Threshold::new(0.999_999).unwrap();
        }
        for kind in [FieldKind::Identifier, FieldKind::Prompt] {
            let screening = Screening::new(&lax, ControlCharacters::Remove);
            let pass = || screening.pass(None, One(kind, ATTACK.to_owned()));
            for _ in 0..2 {
                assert!(pass().is_ok(), "{kind}");
            }
            screening.set_config(&InjectionConfig::default());
            for _ in 0..2 {
                assert!(pass().is_err(), "{kind}");
            }
        }
    }

    #[test]
    fn what_models_tools_and_files_say_is_reported_by_default_and_no_more_than_a_few_times() {
        use FieldKind::{
            Document, Header, History, Identifier, Prompt, Schema, Tensor, ToolResult,
        };
        let screening = Screening::new(&InjectionConfig::default(), ControlCharacters::Remove);
        for kind in [Prompt, Identifier, Header] {
            assert!(
                screening.pass(None, One(kind, ATTACK.to_owned())).is_err(),
                "{kind}"
            );
        }
        for kind in [History, ToolResult, Schema, Document, Tensor] {
            let rules = screening.0.load();
            let mut inspection = Inspection::new(&rules, None);
            for _ in 0..100 {
                inspection.screen(kind, String::new, ATTACK).unwrap();
            }
            assert_eq!(inspection.reported.len(), REPORTS_MAX, "{kind}");
        }
    }

    #[test]
    fn control_characters_are_removed_before_a_text_is_screened_and_refused_in_names() {
        let dirty = "'; DR\0OP\u{1b} TA\u{9f}BLE users; --\x7f";
        assert!(screening(Mode::Block).pass(None, one(dirty)).is_err());
        let colours = "\u{1b}[31mred\u{1b}[0m\n\tpage one\x0cpage two \u{e9}\u{a0}";
        let (passed, _) = screening(Mode::Block).pass(None, one(colours)).unwrap();
        let clean = "[31mred[0m\n\tpage onepage two \u{e9}\u{a0}";
        assert_eq!(passed.into_inner().1, clean);
        let with = |controls| Screening::new(&InjectionConfig::default(), controls);
        let (passed, _) = with(ControlCharacters::Keep)
            .pass(None, one(colours))
            .unwrap();
        assert_eq!(passed.into_inner().1, colours);
        let refused = with(ControlCharacters::Refuse).pass(None, one(colours));
        let field = "text".to_owned();
        assert_eq!(*refused.unwrap_err(), Objection::ControlCharacter { field });
        let screening = screening(Mode::Block);
        let rules = screening.0.load();
        let mut inspection = Inspection::new(&rules, None);
        let name = inspection.name(FieldKind::Identifier, || "user".to_owned(), "a\x07b");
        let field = "user".to_owned();
        assert_eq!(*name.unwrap_err(), Objection::ControlCharacter { field });
    }

    #[test]
    fn strings_inside_of_arguments_are_seen_decoded_and_cleaned() {
        let screening = screening(Mode::Block);
        let rules = screening.0.load();
        let mut inspection = Inspection::new(&rules, None);
        let mut see = |text: &str| {
            let mut text = text.to_owned();
            let found = inspection.json(FieldKind::Prompt, || "arguments".to_owned(), &mut text);
            found.map(|()| text)
        };
        assert!(see(r#"{"q":["\u0027; DROP TABLE users; --"]}"#).is_err());
        let plain = r#"{ "city" : "Paris" }"#;
        assert_eq!(see(plain).unwrap(), plain);
        let coloured = r#"{"city":"\u001b[1mParis","n":1.50}"#;
        assert_eq!(see(coloured).unwrap(), r#"{"city":"[1mParis","n":1.50}"#);
        assert!(see(ATTACK).is_err());
    }
}
