//! Screens one text: decodes, finds features, adds up, compares.

use std::borrow::Cow;
use std::fmt;

use crate::beginning::Beginning;
use crate::command::Command;
use crate::decode::decode_traced_to;
use crate::features::{Feature, Found};
use crate::grammar::Driver;
use crate::ldap::Ldap;
use crate::markup::Markup;
use crate::model::{Model, likelihood};
use crate::policy::{Category, FieldKind, Mode, Policies};
use crate::reader::{Part, Reader, Tokens, WHOLE_BYTES_MAX};
use crate::sql::Sql;
use crate::{decode, path, phrases, shape};

/// How many features a hit names.
const REASONS_MAX: usize = 3;

/// Screens texts. Cheap to clone and to share.
#[derive(Debug, Clone, Default)]
pub struct Screener {
    policies: Policies,
}

impl Screener {
    /// A screener with these policies.
    pub const fn new(policies: Policies) -> Self {
        Self { policies }
    }

    /// What a hit in this kind of field leads to.
    pub const fn mode(&self, kind: FieldKind) -> Mode {
        self.policies.of(kind).mode
    }

    /// Screens one whole text. `None` when it may pass, and always in [`Mode::Off`].
    pub fn screen(&self, kind: FieldKind, text: &str) -> Option<Hit> {
        let policy = self.policies.of(kind);
        if policy.mode == Mode::Off {
            return None;
        }
        let decoded = decode_field(kind, text);
        let model = Model::trained();
        let strict = kind.is_strict();
        let threshold = policy.threshold.likelihood();
        let clear = threshold.max(self.policies.clear.likelihood());
        // In a longer text no more signs are looked for once there are enough for a clear hit.
        // Its verdict is the same, its score is a lower bound.
        let mut found = if decoded.len() > WHOLE_BYTES_MAX {
            model.goal(clear, strict)
        } else {
            Found::default()
        };
        find_into(kind, text, &decoded, &mut found);
        let log_odds = if strict {
            model.log_odds_strict(&found)
        } else {
            model.log_odds(&found)
        };
        let score = likelihood(log_odds);
        if score < threshold {
            return None;
        }
        let category = model.category(&found)?;
        let mut hit = Hit {
            kind,
            category,
            score,
            is_clear: score >= clear,
            reasons: reasons(model, &found, category),
            position: 0,
        };
        hit.position = origin(text, &decoded, &found, &hit);
        Some(hit)
    }
}

/// A query string spells spaces as `+`; prompts mean the sign.
fn decode_field(kind: FieldKind, text: &str) -> Cow<'_, str> {
    let decoded = decode(text);
    match kind {
        FieldKind::Header if decoded.contains('+') => Cow::Owned(decoded.replace('+', " ")),
        _ => decoded,
    }
}

/// The features of a text in a place.
pub fn find(kind: FieldKind, text: &str) -> Found {
    let mut found = Found::default();
    find_into(kind, text, &decode_field(kind, text), &mut found);
    found
}

/// `%0a%0d`: line breaks that are spelt out and nothing else, which nobody says. Empty lines
/// that are typed are no such thing.
fn is_spelt_break(text: &str, decoded: &str) -> bool {
    decoded.trim().is_empty() && decoded.contains(['\n', '\r']) && text.contains(['%', '&', '\\'])
}

/// How a text reads is looked at first: only that can speak for it.
fn find_into(kind: FieldKind, text: &str, decoded: &str, found: &mut Found) {
    found.add_if(is_spelt_break(text, decoded), Feature::CommandNewline, 0);
    found.add_if(path::is_spelt(text, decoded), Feature::PathSpelt, 0);
    let mut reader = Reader::new(decoded);
    // `ls%0aid`: a line break that was spelt out begins no second line of a script.
    let is_spelt_line = decoded.contains('\n') && !text.contains('\n');
    let is_whole = !kind.is_strict() && !is_spelt_line;
    if let Some(beginning) = Beginning::of(reader.tokens()).filter(|_| is_whole) {
        found.pass_over(beginning.ordinary());
    }
    shape::talk(reader.tokens(), found);
    let mut grammars = Grammars::new(reader.tokens());
    let mut part = Part::default();
    while reader.next_part(&mut part) {
        grammars.read(reader.tokens(), &part, found);
        if found.is_enough() {
            return;
        }
    }
    let tokens = reader.tokens();
    phrases::scan(tokens, found);
    if !found.is_enough() {
        grammars.end(tokens, found);
        path::scan(tokens, found);
    }
}

/// The grammars that read tokens.
struct Grammars {
    shape: shape::State,
    sql: Driver<Sql>,
    command: Driver<Command>,
    markup: Driver<Markup>,
    ldap: Driver<Ldap>,
}

impl Grammars {
    fn new(cx: &Tokens<'_>) -> Self {
        Self {
            shape: shape::State::default(),
            sql: Driver::new(Sql::new(cx)),
            command: Driver::default(),
            markup: Driver::default(),
            ldap: Driver::default(),
        }
    }

    fn read(&mut self, cx: &Tokens<'_>, part: &Part, found: &mut Found) {
        let present = part.nearby.present();
        shape::scan(cx, part, &mut self.shape, found);
        self.sql.read(cx, part, present, found);
        self.command.read(cx, part, present, found);
        self.markup.read(cx, part, present, found);
        self.ldap.read(cx, part, present, found);
    }

    /// What is said of the text as a whole.
    fn end(&mut self, cx: &Tokens<'_>, found: &mut Found) {
        shape::ends(cx, &self.shape, found);
        self.sql.end(cx, found);
        self.command.end(cx, found);
        self.markup.end(cx, found);
        self.ldap.grammar.open_brackets = self.shape.depth;
        self.ldap.end(cx, found);
    }
}

/// The features that speak most for the category.
fn reasons(model: &Model, found: &Found, category: Category) -> Vec<Reason> {
    let mut reasons: Vec<_> = found
        .features()
        .filter(|feature| feature.category() == Some(category))
        .map(|feature| Reason {
            feature,
            weight: model.weight(feature),
        })
        .collect();
    reasons.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    reasons.truncate(REASONS_MAX);
    reasons
}

/// Where in the text as given the first reason stands.
fn origin(text: &str, decoded: &str, found: &Found, hit: &Hit) -> usize {
    let first = hit
        .reasons
        .iter()
        .filter_map(|reason| found.position(reason.feature))
        .min();
    let first = first
        .and_then(|first| usize::try_from(first).ok())
        .unwrap_or(0);
    if text.len() == decoded.len() && text == decoded {
        return first;
    }
    decode_traced_to(text, first).origin(first)
}

/// What was found in one text. Carries nothing of the text, so it can be logged.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Where the text stood.
    pub kind: FieldKind,
    /// What kind of attack it looks like.
    pub category: Category,
    /// How likely it is one, between 0 and 1; of a long text at least this.
    pub score: f32,
    /// Whether that is so likely that nobody is wronged by what follows from it.
    pub is_clear: bool,
    /// The features of that category with the greatest weights, greatest first.
    pub reasons: Vec<Reason>,
    /// Byte offset of the first of them in the text as given.
    pub position: usize,
}

/// One feature that spoke for a hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reason {
    /// What was found.
    pub feature: Feature,
    /// What it added to the score, in log odds.
    pub weight: f32,
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} in {} at byte {}, score {:.3}",
            self.category, self.kind, self.position, self.score
        )?;
        for (at, reason) in self.reasons.iter().enumerate() {
            let lead = if at == 0 { ": " } else { ", " };
            write!(f, "{lead}{} {:+.2}", reason.feature, reason.weight)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text that is no attack, never repeats itself and is longer than what is read whole.
    fn prose(bytes: usize) -> String {
        let mut text = String::from("Please tell me what you think about this list of words: ");
        let mut number = 0_u32;
        while text.len() < bytes {
            text += &format!("the house number {number} (or so), ");
            number += 1;
        }
        text
    }

    #[test]
    fn an_attack_at_the_end_of_a_long_text_is_found() {
        let screener = Screener::default();
        let attacks = "<script>alert(document.cookie)</script> ' or 1=1 union select 1,2,3-- ; cat \
            /etc/passwd | sh $(id) <!DOCTYPE a [<!ENTITY b SYSTEM \"file:///x\">]> *)(uid=*))(|(uid=*";
        for bytes in [WHOLE_BYTES_MAX / 2, WHOLE_BYTES_MAX + 1, 1 << 20] {
            let text = prose(bytes);
            assert_eq!(screener.screen(FieldKind::Prompt, &text), None, "{bytes}");
            let hit = screener
                .screen(FieldKind::Prompt, &(text.clone() + attacks))
                .unwrap();
            assert!(hit.position >= text.len(), "{hit}");
            let strict = screener.screen(FieldKind::Identifier, &(text + "../../etc/passwd"));
            assert!(strict.is_some(), "{bytes}");
        }
    }

    #[test]
    fn line_breaks_that_are_spelt_out_are_no_talk() {
        let screener = Screener::default();
        for breaks in ["%0a", "%0d%0A", " &#10; ", "\\u000a", "%250a", "\n%0a"] {
            for kind in [FieldKind::Prompt, FieldKind::Identifier, FieldKind::Header] {
                let hit = screener.screen(kind, breaks).expect(breaks);
                assert_eq!(hit.category, Category::Command);
            }
        }
        for blank in [
            "",
            " ",
            "\n",
            "\r\n\r\n",
            "%20",
            "\u{200b}\n",
            "a%0a",
            "100 %\n",
        ] {
            assert_eq!(screener.screen(FieldKind::Prompt, blank), None, "{blank:?}");
        }
    }

    #[test]
    fn an_attack_across_parts_is_found() {
        // Without talk and repetition, and longer than what is read whole.
        let filler = |count: usize| (0..count).map(|at| format!("w{at} ")).collect::<String>();
        let many = 20 * crate::reader::PART_TOKENS;
        for early in 0..16 {
            let text = filler(many - early) + "1 union all select 1,2,3 -- " + &filler(many);
            let found = find(FieldKind::Prompt, &text);
            for feature in [
                Feature::SqlValueLogic,
                Feature::SqlUnionSelect,
                Feature::SqlValueList,
                Feature::SqlCommentOpen,
            ] {
                assert!(found.has(feature), "{feature}, {early} tokens early");
            }
        }
    }

    #[test]
    fn to_stop_early_changes_no_verdict() {
        let attacks =
            "<script>alert(1)</script> ' or 1=1 union select 1-- ; cat /etc/passwd | sh $(id)";
        let pieces: Vec<_> = attacks.split(' ').collect();
        for count in 0..=pieces.len() {
            let text = prose(WHOLE_BYTES_MAX + 1) + &pieces[..count].join(" ");
            let whole = likelihood(Model::trained().log_odds(&find(FieldKind::Prompt, &text)));
            let hit = Screener::default().screen(FieldKind::Prompt, &text);
            assert_eq!(hit.is_some(), whole >= 0.5, "{count}: {whole}");
            assert!(hit.is_none_or(|hit| hit.score <= whole + 1e-6), "{count}");
        }
    }

    #[test]
    fn work_grows_no_faster_than_the_text() {
        let shapes = [
            "'\"",
            ";id ",
            "../ `a` ",
            "%2&#37\\x2",
            "(|(",
            "<a b=",
            "union select ",
            "or 1=",
            "a{b}$(c",
        ];
        for shape in shapes {
            let steps = |copies: usize| {
                // Numbers between the copies, so that nothing is left out as a repetition.
                let text: String = (0..copies)
                    .map(|at| format!("{shape}{} ", at % 997))
                    .collect();
                crate::token::steps_of(|| {
                    find(FieldKind::Prompt, &text);
                })
            };
            let (once, twice) = (steps(20_000), steps(40_000));
            assert!(
                once > 20_000,
                "{shape}: {once} steps are too few to be counted"
            );
            assert!(twice * 100 <= once * 205, "{shape}: {once} then {twice}");
        }
    }
}
