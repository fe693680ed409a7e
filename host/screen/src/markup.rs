//! Looks for script in markup, and for XML that declares entities.

use crate::features::{Feature, Found};
use crate::lexicon::{Classes, WordHash, word, words};
use crate::token::{Kind, Token, Tokens};

/// How far a pattern looks ahead, in tokens. Bounds the work for each token.
const WINDOW_TOKENS: usize = 12;

/// Finds the features of script and of XML.
pub(crate) fn scan(cx: &Tokens<'_>, found: &mut Found) {
    let mut scan = Scan {
        cx,
        found,
        in_tag: false,
        single: 0,
        double: 0,
        tags: 0,
        risky: false,
    };
    for (token, before, rest) in cx.windows(WINDOW_TOKENS) {
        if scan.found.is_enough() {
            return;
        }
        scan.token(token, before, rest);
    }
    scan.ends();
}

struct Scan<'s, 't> {
    cx: &'s Tokens<'t>,
    found: &'s mut Found,
    in_tag: bool,
    single: u32,
    double: u32,
    tags: u32,
    /// One of the tags was none of those that only show text.
    risky: bool,
}

impl Scan<'_, '_> {
    fn token(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        match token.kind {
            Kind::Punct(b'<') => self.angle(token, before, rest),
            Kind::Punct(b'>') => self.in_tag = false,
            Kind::Punct(b'\'' | b'"' | b'`') => self.quote(token, before, rest),
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
        self.tags += 1;
        self.in_tag = true;
        let leading = before.is_none_or(|before| before.start == 0 && !before.is_word());
        let harmless = name.has(Classes::TAG) && !name.has(Classes::TAG_RISKY);
        self.found
            .add_if(leading && !harmless, Feature::ScriptLeadingTag, at);
        let prefixed = rest
            .iter()
            .any(|next| next.is(b':') && next.start == name.end);
        self.risky |= !harmless && !prefixed;
        if name.reads(word!("script")) {
            self.found.add(Feature::ScriptTag, at);
        } else if name.has(Classes::TAG_RISKY) && !close {
            self.found.add(Feature::ScriptRiskyTag, at);
        }
        let breaks = before.is_some_and(|before| before.is_any(b"'\">`;)]-") && before.start <= 2)
            || before.is_some_and(|before| {
                before.is(b'>') && matches!(self.cx.tokens.first(), Some(first) if first.is_quote())
            });
        self.found
            .add_if(breaks && (self.tags <= 2), Feature::ScriptBreak, at);
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

    fn quote(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        let count = if token.is(b'"') {
            &mut self.double
        } else {
            &mut self.single
        };
        *count += token.length();
        let odd = *count % 2 == 1;
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
            .any(|(name, next)| next.is(b'=') && is_handler(self.cx.word(name)));
        self.found
            .add_if(handler && !self.in_tag, Feature::ScriptHandlerBreak, at);
    }

    fn word(&mut self, token: &Token, before: Option<&Token>, rest: &[Token]) {
        let at = token.start;
        let next = rest.first();
        if self.in_tag || next.is_some_and(|next| next.is(b'=')) {
            self.attribute(token, rest);
        }
        let scheme = token.has(Classes::SCRIPT_SCHEME) && next.is_some_and(|next| next.is(b':'));
        let data = token.reads(word!("data"))
            && next.is_some_and(|next| next.is(b':') && !next.is_spaced())
            && rest.get(1).is_some_and(|next| {
                next.reads_any(words!["text", "image", "application"]) || next.is(b',')
            });
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
        let xss = token.reads_any(words!["xss", "xxs", "injectx"]);
        self.found
            .add_if(xss && self.tags > 0, Feature::ScriptProof, at);
    }

    fn attribute(&mut self, token: &Token, rest: &[Token]) {
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
        const STYLE: &[WordHash] = words![
            "behavior",
            "moz-binding",
            "binding",
            "import",
            "expression",
            "url",
            "list-style-image",
        ];
        let word = self.cx.word(token);
        let at = token.start;
        // `onload=`, `onload\x0c=`, `onfocus onfocus=`.
        let set = rest.iter().take(3).any(|next| next.is(b'='));
        if set && is_handler(word) {
            self.found.add_if(self.in_tag, Feature::ScriptHandler, at);
            let bare = !self.in_tag && rest.iter().take(6).any(|next| next.has(Classes::JS_CALL));
            self.found.add_if(bare, Feature::ScriptHandlerBreak, at);
        }
        if !self.in_tag {
            return;
        }
        let next = rest.first();
        let loads = token.reads_any(LOADING);
        self.found.add_if(loads, Feature::ScriptAttribute, at);
        let assigned = next.is_some_and(|next| next.is(b'=') && !next.is_spaced());
        let source = token.reads_any(words![
            "src",
            "href",
            "data",
            "action",
            "background",
            "poster"
        ]);
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
        let tokens = &self.cx.tokens;
        let Some(first) = tokens.first() else { return };
        self.found.add_if(
            self.in_tag && self.tags > 0,
            Feature::ScriptOpenTag,
            first.start,
        );
        let markup = first.is(b'<') && self.risky && self.cx.frame.plain <= 4;
        self.found
            .add_if(markup, Feature::ScriptMarkup, first.start);
    }
}

/// `onload`, `onmouseover`: all event handlers, and those nobody has thought of yet.
fn is_handler(word: &str) -> bool {
    const ORDINARY: [&str; 6] = ["once", "ones", "only", "online", "onto", "ongoing"];
    let bytes = word.as_bytes();
    matches!(bytes, [b'o' | b'O', b'n' | b'N', rest @ ..] if rest.len() >= 3 && rest.iter().all(u8::is_ascii_alphabetic))
        && !ORDINARY
            .iter()
            .any(|ordinary| word.eq_ignore_ascii_case(ordinary))
}
