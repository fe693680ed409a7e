//! Looks for filters of a directory search that are broken open.

use crate::features::{Feature, Found};
use crate::grammar::{Grammar, Position};
use crate::lexicon::{Classes, WordHash};
use crate::look_ahead::{Rule, Traits};
use crate::reader::Tokens;
use crate::token::Token;

/// The rules that begin at a sign.
const RULES: &[Rule] = &[
    Rule::at(b")", &[Feature::LdapBreak]).next(Traits::signs(b"(!&|")),
    Rule::at(b"*", &[Feature::LdapStar]).next(Traits::signs(b")|(")),
    Rule::at(b"(", &[Feature::LdapAttribute]).next(Traits::of(Classes::LDAP)),
    Rule::at(b"(", &[Feature::LdapOperator]).next(Traits::signs(b"|&!")),
];

/// The grammar, and what was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Ldap {
    /// How many brackets the text leaves open, for the end. Not all are shown to this grammar.
    pub(crate) open_brackets: i64,
}

impl Grammar for Ldap {
    const MARK: Classes = Classes::FOR_LDAP;
    const WORDS: Classes = Classes::NONE;
    const NAMES: &'static [&'static [WordHash]] = &[];
    const RULES: &'static [Rule] = RULES;
    const AHEAD: usize = 8;

    fn read(&mut self, cx: &Tokens<'_>, position: &Position<'_>, found: &mut Found) {
        if position.token.is(b'(') {
            opening(cx, position.token, position.rest, found);
        } else {
            closing(position.token, position.rest, found);
        }
    }

    fn end(&mut self, cx: &Tokens<'_>, found: &mut Found) {
        ends(cx, self.open_brackets, found);
    }
}

/// `)(`, `*)(`, `*))`, `)!(`.
fn closing(token: &Token, rest: &[Token], found: &mut Found) {
    let at = token.start;
    if token.is(b'*') {
        let closes = rest
            .first()
            .is_some_and(|next| next.is(b')') && !next.is_spaced());
        let operator = rest
            .first()
            .is_some_and(|next| next.is_any(b"|(") && !next.is_spaced());
        let ends = closes && rest.get(1).is_none_or(|next| next.is_any(b"(&|!%"));
        found.add_if(ends || (operator && rest.len() <= 4), Feature::LdapStar, at);
        return;
    }
    let Some(open) = rest.iter().take(2).find(|next| next.is(b'(')) else {
        return;
    };
    let between = rest
        .iter()
        .take_while(|next| next.start < open.start)
        .all(|next| next.is_any(b"!&|"));
    let inside = rest.iter().skip_while(|next| next.start <= open.start);
    let mut inside = inside.filter(|next| !next.is_spaced() || next.is_any(b"&|!"));
    let filter = match (inside.next(), inside.next()) {
        (Some(name), Some(sign)) => {
            name.is_any(b"|&!") || (name.is_word() && sign.is_any(b"=~<>:;"))
        }
        (Some(name), None) => name.is_any(b"|&!"),
        _ => false,
    };
    found.add_if(between && filter, Feature::LdapBreak, at);
}

/// `(uid=`, `(|(`, `(&`.
fn opening(cx: &Tokens<'_>, token: &Token, rest: &[Token], found: &mut Found) {
    let at = token.start;
    match rest {
        [name, sign, value, ..] if name.has(Classes::LDAP) && !name.is_spaced() => {
            let set = sign.is(b'=') && sign.length() == 1 && !sign.is_spaced();
            let plain = value.is(b'*') || value.is_word() || value.is_number() || value.is(b'\\');
            let end = rest.iter().take(6).any(|next| next.is_any(b")*"));
            found.add_if(
                set && plain && (end || cx.context.plain <= 2),
                Feature::LdapAttribute,
                at,
            );
        }
        [sign, open, ..] if sign.is_any(b"|&!") && sign.length() == 1 && !sign.is_spaced() => {
            found.add_if(open.is_any(b"()"), Feature::LdapOperator, at);
        }
        _ => {}
    }
}

/// Finds the features of LDAP of the text as a whole, which leaves `open_brackets`.
fn ends(cx: &Tokens<'_>, open_brackets: i64, found: &mut Found) {
    const FILTER_BYTES_MAX: usize = 512;
    let ldap = [
        Feature::LdapBreak,
        Feature::LdapStar,
        Feature::LdapAttribute,
        Feature::LdapOperator,
    ];
    if !ldap.iter().any(|feature| found.has(*feature)) {
        return bare_end(cx, found);
    }
    let first = ldap
        .iter()
        .filter_map(|feature| found.position(*feature))
        .min()
        .unwrap_or(0);
    found.add_if(open_brackets != 0, Feature::LdapOpen, first);
    let bare = cx.context.plain <= 1 && cx.text.len() <= FILTER_BYTES_MAX;
    found.add_if(bare, Feature::LdapBare, first);
}

/// `x)(&`, `*|`, `)(cn=`: ends of filters too short for the rest.
fn bare_end(cx: &Tokens<'_>, found: &mut Found) {
    const SHORT_TOKENS: usize = 5;
    if !cx.is_short(SHORT_TOKENS) || cx.tokens.len() < 2 {
        return;
    }
    let text = cx.text.trim();
    let star = text.starts_with('*') && text.bytes().all(|byte| b"*()|&!".contains(&byte));
    let end = [")(", ")(&", ")(|", ")(!", "*("]
        .iter()
        .any(|end| text.ends_with(end));
    found.add_if(star || end, Feature::LdapBare, 0);
    found.add_if(end, Feature::LdapBreak, 0);
}
