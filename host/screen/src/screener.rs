//! Screens one text: decodes, finds features, adds up, compares.

use std::borrow::Cow;
use std::fmt;

use crate::decode::decode_traced_to;
use crate::features::{Feature, Found};
use crate::model::{Model, likelihood};
use crate::policy::{Category, FieldKind, Mode, Policies};
use crate::token::Tokens;
use crate::{command, decode, ldap, markup, path, phrases, shape, sql};

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
        let found = find(&decoded);
        let model = Model::trained();
        let log_odds = match kind {
            FieldKind::Prompt => model.log_odds(&found),
            FieldKind::Identifier | FieldKind::Header => model.log_odds_strict(&found),
        };
        let score = likelihood(log_odds);
        if score < policy.threshold.likelihood() {
            return None;
        }
        let category = model.category(&found)?;
        let mut hit = Hit {
            kind,
            category,
            score,
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

/// The features of a decoded text.
pub fn find(decoded: &str) -> Found {
    let tokens = Tokens::of(decoded);
    let mut found = Found::default();
    sql::scan(&tokens, &mut found);
    command::scan(&tokens, &mut found);
    markup::scan(&tokens, &mut found);
    ldap::scan(&tokens, &mut found);
    phrases::scan(&tokens, &mut found);
    path::scan(&tokens, &mut found);
    shape::scan(&tokens, &mut found);
    found
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
    /// How likely it is one, between 0 and 1.
    pub score: f32,
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
