//! Looks for script in markup, and for XML that declares entities.

use crate::features::{Feature, Found};
use crate::grammar::{Grammar, Position};
use crate::lexicon::{Classes, WordHash, word, words};
use crate::look_ahead::{LookAhead, Rule, Traits};
use crate::reader::Tokens;
use crate::token::{Kind, Token};

/// What a script calls or reads.
const SCRIPT: Traits = Traits::of(Classes::JS_CALL.or(Classes::JS_OBJECT));

/// The rules that begin at a sign. Those without features keep count of the tags.
const RULES: &[Rule] = &[
    Rule::at(b"<", &[]).next(Traits::WORD.or(Traits::signs(b"/!?%\"'`+"))),
    Rule::at(b"<", &[]).ahead(Traits::WORD),
    Rule::at(b">", &[]),
    Rule::at(b"'\"`", &[Feature::ScriptQuoteCall]).ahead(SCRIPT),
    Rule::at(b"'\"`", &[Feature::ScriptHandlerBreak]).ahead(Traits::of(Classes::HANDLER)),
    Rule::at(b"&", &[Feature::XxeReference])
        .next(Traits::WORD)
        .ahead(Traits::signs(b";")),
    Rule::at(b"%", &[Feature::XxeParameter])
        .next(Traits::WORD)
        .ahead(Traits::signs(b";")),
    Rule::at(b"{", &[Feature::ScriptTemplate]).ahead(Traits::WORD.or(Traits::signs(b"*"))),
];

/// Attributes that load or run something.
const LOADING: &[WordHash] = words![
    "srcdoc",
    "formaction",
    "xlink",
    "attributename",
    "http-equiv",
    "classid",
    "codebase",
    "dynsrc",
    "lowsrc",
    "datasrc",
    "allowscriptaccess",
    "contenteditable",
    "autofocus",
];
/// Properties of a style that load or run something.
const STYLE: &[WordHash] = words![
    "behavior",
    "moz-binding",
    "binding",
    "import",
    "expression",
    "url",
    "list-style-image",
];

/// Attributes that load something when it is named without quotes, or from elsewhere.
const SOURCES: &[WordHash] = words!["src", "href", "data", "action", "background", "poster"];

/// What lists of attacks name themselves with.
const PROOFS: &[WordHash] = words!["xss", "xxs", "injectx"];

/// The grammar, and what was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Markup {
    in_tag: bool,
    tags: u32,
    /// One of the tags was none of those that only show text.
    risky: bool,
}

impl Grammar for Markup {
    const MARK: Classes = Classes::FOR_MARKUP;
    // Words that may be event handlers are marked where they are cut.
    const WORDS: Classes = Classes::JS_CALL
        .or(Classes::JS_OBJECT)
        .or(Classes::SCRIPT_SCHEME);
    const NAMES: &'static [&'static [WordHash]] = &[LOADING, SOURCES, STYLE, PROOFS];
    const RULES: &'static [Rule] = RULES;
    const AHEAD: usize = 12;

    fn read(&mut self, cx: &Tokens<'_>, position: &Position<'_>, found: &mut Found) {
        let state = self;
        Scan { cx, found, state }.token(position);
    }

    fn end(&mut self, cx: &Tokens<'_>, found: &mut Found) {
        let state = self;
        Scan { cx, found, state }.ends();
    }
}

struct Scan<'s, 't> {
    cx: &'s Tokens<'t>,
    found: &'s mut Found,
    state: &'s mut Markup,
}

impl Scan<'_, '_> {
    fn token(&mut self, position: &Position<'_>) {
        let Position {
            token,
            near,
            before,
            rest,
        } = *position;
        match token.kind {
            Kind::Punct(b'<') => self.angle(token, before, rest),
            Kind::Punct(b'>') => self.state.in_tag = false,
            Kind::Punct(b'\'' | b'"' | b'`') => self.quote(token, near, before, rest),
            Kind::Punct(b'&') => self.reference(token, rest),
            Kind::Punct(b'%') => self.parameter(token, before, rest),
            Kind::Punct(b'{') => self.template(token, rest),
            Kind::Word => self.word(token, before, rest),
            _ => {}
        }
    }

    fn angle(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        let at = token.start;
        let Some(first) = rest.first() else {
            return;
        };
        if first.is(b'!') {
            self.declaration(token, rest.get(1..).unwrap_or_default());
        }
        if first.is(b'?')
            && rest
                .get(1)
                .is_some_and(|name| name.reads(word!("xml")) || name.reads(word!("xml-stylesheet")))
        {
            self.found.add_if(before.is_none(), Feature::XxeLeading, at);
            let style = rest
                .get(1)
                .is_some_and(|name| name.reads(word!("xml-stylesheet")));
            self.found.add_if(style, Feature::ScriptStyle, at);
        }
        let close = first.is(b'/');
        let Some(name) = rest.iter().find(|next| !next.is_any(b"/!?%\"'` +")) else {
            return;
        };
        if !name.is_word() || (first.is_spaced() && !first.is(b'/')) {
            return;
        }
        // A declaration or an instruction is no tag: XML has its own features.
        if first.is_any(b"!?") && first.length() == 1 && !first.is_spaced() {
            return;
        }
        self.state.tags += 1;
        self.state.in_tag = true;
        let leading = before.is_none_or(|before| before.start == 0 && !before.is_word());
        let harmless = name.has(Classes::TAG) && !name.has(Classes::TAG_RISKY);
        self.found
            .add_if(leading && !harmless, Feature::ScriptLeadingTag, at);
        let prefixed = rest
            .iter()
            .any(|next| next.is(b':') && next.start == name.end);
        self.state.risky |= !harmless && !prefixed;
        if name.reads(word!("script")) {
            self.found.add(Feature::ScriptTag, at);
        } else if name.has(Classes::TAG_RISKY) && !close {
            self.found.add(Feature::ScriptRiskyTag, at);
        }
        let breaks = before.is_some_and(|before| before.is_any(b"'\">`;)]-") && before.start <= 2)
            || before.is_some_and(|before| {
                before.is(b'>') && matches!(self.cx.head().first(), Some(first) if first.is_quote())
            });
        self.found
            .add_if(breaks && (self.state.tags <= 2), Feature::ScriptBreak, at);
        let after = rest
            .iter()
            .skip_while(|next| next.start <= name.start)
            .find(|next| !next.is(b' '));
        let odd = after.is_some_and(|after| {
            after.is_any(b"/\\<!~\"'`+")
                && !after.is_spaced()
                && !(after.is(b'/')
                    && rest
                        .iter()
                        .any(|next| next.is(b'>') && next.start == after.end))
        });
        let filler = first.is_any(b"\"'`%+");
        self.found.add_if(
            (odd && name.has(Classes::TAG_RISKY.or(Classes::TAG))) || filler,
            Feature::ScriptOddTag,
            at,
        );
    }

    /// `<!DOCTYPE`, `<!ENTITY`, `<!ELEMENT`, `<![CDATA[`.
    fn declaration(&mut self, token: &Token, rest: &[Token]) {
        let at = token.start;
        let Some(name) = rest.iter().find(|next| !next.is(b'[')) else {
            return;
        };
        if name.reads(word!("doctype")) {
            let inside = rest.iter().any(|next| next.is(b'['));
            let outside = rest
                .iter()
                .any(|next| next.reads(word!("system")) || next.reads(word!("public")))
                && !rest.iter().any(|next| next.reads(word!("html")));
            self.found.add_if(inside, Feature::XxeDoctype, at);
            self.found.add_if(outside, Feature::XxeExternal, at);
        } else if name.reads(word!("entity")) {
            self.found.add(Feature::XxeEntity, at);
            let outside = rest
                .iter()
                .any(|next| next.reads(word!("system")) || next.reads(word!("public")));
            self.found.add_if(outside, Feature::XxeExternal, at);
            let parameter = rest.get(1).is_some_and(|next| next.is(b'%'));
            self.found.add_if(parameter, Feature::XxeParameter, at);
        } else if name.reads_any(words!["element", "attlist", "notation"]) {
            self.found.add(Feature::XxeElement, at);
        } else if name.reads(word!("cdata")) {
            let tag = rest
                .iter()
                .skip(2)
                .any(|next| next.is(b'<') || next.reads(word!("script")));
            self.found.add_if(tag, Feature::ScriptOddTag, at);
        }
    }

    fn reference(&mut self, token: &Token, rest: &[Token]) {
        let [name, end, ..] = rest else { return };
        let named = name.is_word() && !name.is_spaced() && end.is(b';') && !end.is_spaced();
        let xml = self.found.has(Feature::XxeEntity)
            || self.found.has(Feature::XxeDoctype)
            || self.found.has(Feature::XxeLeading);
        self.found.add_if(
            named && xml && token.length() == 1,
            Feature::XxeReference,
            token.start,
        );
    }

    fn parameter(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        let [name, end, ..] = rest else { return };
        let named = name.is_word() && !name.is_spaced() && end.is(b';') && !end.is_spaced();
        let open = token.is_spaced() || before.is_some_and(|before| before.is_any(b">[;"));
        self.found
            .add_if(named && open, Feature::XxeParameter, token.start);
    }

    fn template(&mut self, token: &Token, rest: &[Token]) {
        let double = token.length() == 2 || rest.first().is_some_and(|next| next.is(b'%'));
        let expression = rest.iter().take(6).any(|next| {
            next.has(Classes::JS_CALL.or(Classes::JS_OBJECT)) && !next.has(Classes::STOP)
                || next.is(b'*') && rest.first().is_some_and(Token::is_number)
                || next.reads(word!("config"))
                || next.reads(word!("__class__"))
                || next.reads(word!("self"))
        });
        self.found
            .add_if(double && expression, Feature::ScriptTemplate, token.start);
    }

    fn quote(&mut self, token: &Token, near: LookAhead, before: Option<&Token>, rest: &[Token]) {
        let odd = near.this.has(if token.is(b'"') {
            Traits::ODD_DOUBLE
        } else {
            Traits::ODD_SINGLE
        });
        let closes = before.is_none_or(|before| !token.is_spaced() || !before.is_word());
        if !odd || !closes {
            return;
        }
        let at = token.start;
        let first = rest.iter().find(|next| !next.is_any(b");]}-+*/ ,.|&\\>"));
        let gap =
            first.is_some_and(|first| rest.first().is_some_and(|next| next.start < first.start));
        let call = first.is_some_and(|first| {
            first.has(Classes::JS_CALL.or(Classes::JS_OBJECT)) && !first.has(Classes::STOP)
        });
        self.found.add_if(call && gap, Feature::ScriptQuoteCall, at);
        let handler = rest
            .iter()
            .take(3)
            .zip(rest.iter().skip(1))
            .any(|(name, next)| next.is(b'=') && name.has(Classes::HANDLER));
        self.found.add_if(
            handler && !self.state.in_tag,
            Feature::ScriptHandlerBreak,
            at,
        );
    }

    fn word(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        let at = token.start;
        let next = rest.first();
        if self.state.in_tag || next.is_some_and(|next| next.is(b'=')) {
            self.attribute(token, rest);
        }
        let scheme = token.has(Classes::SCRIPT_SCHEME)
            && next.is_some_and(|next| next.is(b':'))
            && rest.len() >= 2
            && !self.is_void(rest);
        let data = token.reads(word!("data"))
            && next.is_some_and(|next| next.is(b':') && !next.is_spaced())
            && rest.get(1).is_some_and(|next| {
                next.reads_any(words!["text", "image", "application"]) || next.is(b',')
            })
            // What no browser runs.
            && !rest
                .get(3)
                .is_some_and(|form| form.reads_any(words!["plain", "csv", "png", "jpeg", "webp"]));
        self.found.add_if(scheme || data, Feature::ScriptUrl, at);
        self.found.add_if(
            (scheme || data) && before.is_none(),
            Feature::ScriptLeadingUrl,
            at,
        );
        if token.has(Classes::JS_CALL) && !token.has(Classes::STOP) {
            let call = next
                .is_some_and(|next| (next.is(b'(') || next.is(b'`')) && !next.is_spaced())
                || matches!(rest, [close, open, ..] if close.is_any(b")]?") && open.is_any(b"(."));
            let proof = token.reads_any(words!["alert", "prompt", "confirm", "msgbox"]);
            let encodes = token.reads_any(words!["fromcharcode", "atob"]);
            self.found.add_if(call, Feature::ScriptCall, at);
            self.found.add_if(call && proof, Feature::ScriptProof, at);
            self.found
                .add_if(call && encodes, Feature::ScriptEncoded, at);
            let style = token.reads(word!("expression")) && call;
            self.found.add_if(style, Feature::ScriptStyle, at);
        }
        if token.has(Classes::JS_OBJECT) {
            let member = next.is_some_and(|next| next.is_any(b".[") && !next.is_spaced())
                || before.is_some_and(|before| before.is(b'.') && !token.is_spaced())
                || next.is_some_and(|next| next.is_any(b"=(")) && token.length() >= 6;
            self.found.add_if(member, Feature::ScriptObject, at);
        }
        let xss = token.reads_any(PROOFS);
        self.found
            .add_if(xss && self.state.tags > 0, Feature::ScriptProof, at);
    }

    /// `javascript:void(0)`: a link that leads nowhere.
    fn is_void(&self, rest: &[Token]) -> bool {
        matches!(rest, [_, void, open, zero, close, ..] if void.reads(word!("void"))
            && open.is(b'(') && self.cx.word(zero) == "0" && close.is(b')'))
    }

    fn attribute(&mut self, token: &Token, rest: &[Token]) {
        let at = token.start;
        // `onload=`, `onload\x0c=`, `onfocus onfocus=`.
        let set = rest.iter().take(3).any(|next| next.is(b'='));
        if set && token.has(Classes::HANDLER) {
            self.found
                .add_if(self.state.in_tag, Feature::ScriptHandler, at);
            let bare =
                !self.state.in_tag && rest.iter().take(6).any(|next| next.has(Classes::JS_CALL));
            self.found.add_if(bare, Feature::ScriptHandlerBreak, at);
        }
        if !self.state.in_tag {
            return;
        }
        let next = rest.first();
        let loads = token.reads_any(LOADING);
        self.found.add_if(loads, Feature::ScriptAttribute, at);
        let assigned = next.is_some_and(|next| next.is(b'=') && !next.is_spaced());
        let source = token.reads_any(SOURCES);
        let bare = assigned
            && source
            && rest
                .get(1)
                .is_some_and(|value| !value.is_quote() || self.foreign_address(rest));
        self.found.add_if(bare, Feature::ScriptAttribute, at);
        let style = next.is_some_and(|next| next.is_any(b":(")) && token.reads_any(STYLE);
        self.found.add_if(style, Feature::ScriptStyle, at);
    }

    fn foreign_address(&self, rest: &[Token]) -> bool {
        rest.iter()
            .take(6)
            .any(|next| next.is(b'/') && next.length() == 2)
    }

    fn ends(&mut self) {
        let Some(first) = self.cx.head().first() else {
            return;
        };
        self.found.add_if(
            self.state.in_tag && self.state.tags > 0,
            Feature::ScriptOpenTag,
            first.start,
        );
        let markup = first.is(b'<') && self.state.risky && self.cx.context.plain <= 4;
        self.found
            .add_if(markup, Feature::ScriptMarkup, first.start);
    }
}

/// `onload`, `onmouseover`: all event handlers, and those nobody has thought of yet.
#[inline]
pub(crate) fn is_handler(word: &[u8]) -> bool {
    const ORDINARY: [&[u8]; 6] = [b"once", b"ones", b"only", b"online", b"onto", b"ongoing"];
    let [b'o' | b'O', b'n' | b'N', rest @ ..] = word else {
        return false;
    };
    rest.len() >= 3
        && rest.iter().all(u8::is_ascii_alphabetic)
        && !ORDINARY
            .iter()
            .any(|ordinary| word.eq_ignore_ascii_case(ordinary))
}
