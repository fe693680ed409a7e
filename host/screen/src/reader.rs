//! Hands the tokens of a text to the grammars, part by part.
//!
//! A short text is one window. Of a long one only a window is in memory at a time: a megabyte
//! of signs is a million tokens, and who sends many of those is to cost no memory.

use std::ops::Range;

use crate::code::{Marker, Quotations, may_have_code};
use crate::context::Context;
use crate::look_ahead::{AHEAD_TOKENS, Nearby};
use crate::repeats::Repeats;
use crate::token::Token;
use crate::tokenizer::Tokenizer;

/// Texts up to this length, after decoding, are one window.
pub(crate) const WHOLE_BYTES_MAX: usize = 64 << 10;

/// How many tokens each grammar reads at a time: 20 KiB, which the cache of a processor holds
/// while one grammar after the other reads them.
pub(crate) const PART_TOKENS: usize = 1_024;

/// How many tokens before a part are there.
const BEHIND_TOKENS: usize = 4;

/// How many tokens of the beginning stay.
const HEAD_TOKENS: usize = 16;

/// What the grammars read of a text.
#[derive(Debug)]
pub(crate) struct Tokens<'t> {
    pub(crate) text: &'t str,
    /// All tokens or a window of them. Quoted code is one [`Kind::Quoted`] token.
    ///
    /// [`Kind::Quoted`]: crate::token::Kind::Quoted
    pub(crate) tokens: Vec<Token>,
    /// The first of them, when the window may have left them.
    head: Vec<Token>,
    /// The window is the whole text.
    pub(crate) is_whole: bool,
    /// How the text around the code reads.
    pub(crate) context: Context,
    /// The code that was quoted so far.
    pub(crate) quoted: Quotations,
}

impl<'t> Tokens<'t> {
    /// The tokens that the text begins with; of a short text all.
    pub(crate) fn head(&self) -> &[Token] {
        if self.is_whole {
            &self.tokens
        } else {
            &self.head
        }
    }

    /// True when these are all tokens and no more than `count`.
    pub(crate) fn is_short(&self, count: usize) -> bool {
        self.is_whole && self.tokens.len() <= count
    }

    pub(crate) fn word(&self, token: &Token) -> &'t str {
        token.text(self.text)
    }
}

/// A part of the tokens that the grammars read.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// Where it lies among [`Tokens::tokens`].
    pub(crate) range: Range<usize>,
    pub(crate) nearby: Nearby,
}

/// Reads a text from front to end.
#[derive(Debug)]
pub(crate) struct Reader<'t> {
    tokenizer: Tokenizer<'t>,
    /// What was cut and not yet moved into the window, after some that were.
    cut: Repeats,
    /// How many of those were moved.
    moved: usize,
    marker: Option<Marker>,
    /// The text is prose, so its code is quoted.
    quotes: bool,
    /// All was cut.
    ended: bool,
    /// The next token of the window to hand out.
    next: usize,
    window: Tokens<'t>,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let has_code = may_have_code(text);
        let is_whole = text.len() <= WHOLE_BYTES_MAX;
        let expected = if is_whole {
            text.len() / 4 + 8
        } else {
            4 * PART_TOKENS
        };
        let mut reader = Self {
            tokenizer: Tokenizer::new(text, 0),
            cut: Repeats::new(expected),
            moved: 0,
            marker: has_code.then(Marker::default),
            quotes: false,
            ended: false,
            next: 0,
            window: Tokens {
                text,
                tokens: Vec::new(),
                head: Vec::new(),
                is_whole,
                context: Context::default(),
                quoted: Quotations::default(),
            },
        };
        if is_whole {
            let known = reader.cut(usize::MAX);
            reader.window.context.read(text, reader.cut.tokens());
            reader.quotes = reader.window.context.quotes();
            reader.take(known);
        } else {
            reader.window.context = ends(text, has_code);
            reader.quotes = has_code && reader.window.context.is_prose();
        }
        reader
    }

    /// What the grammars read now.
    pub(crate) const fn tokens(&self) -> &Tokens<'t> {
        &self.window
    }

    /// Makes `part` the next that no grammar has read yet. False at the end of the text.
    pub(crate) fn next_part(&mut self, part: &mut Part) -> bool {
        if !self.window.is_whole {
            self.fill();
        }
        let tokens = &self.window.tokens;
        let start = self.next;
        self.next = tokens.len().min(start + PART_TOKENS);
        part.range = start..self.next;
        part.nearby
            .look(tokens, start, part.range.len(), self.ended);
        !part.range.is_empty()
    }

    /// Moves the window on, unless a part and what its rules look at lies before it.
    fn fill(&mut self) {
        if self.ended || self.window.tokens.len() >= self.next + PART_TOKENS + AHEAD_TOKENS {
            return;
        }
        let gone = self.next.saturating_sub(BEHIND_TOKENS);
        self.window.tokens.drain(..gone);
        self.next -= gone;
        while !self.ended && self.window.tokens.len() < self.next + PART_TOKENS + AHEAD_TOKENS {
            let known = self.cut(PART_TOKENS);
            self.take(known);
        }
        if self.window.head.is_empty() {
            let head = self.window.tokens.get(..HEAD_TOKENS);
            self.window.head = head.unwrap_or(&self.window.tokens).to_vec();
        }
    }

    /// Cuts up to `count` more tokens. Gives how many of those cut may be read.
    fn cut(&mut self, count: usize) -> usize {
        self.ended = !self.cut.fill(&mut self.tokenizer, count);
        let Some(marker) = &mut self.marker else {
            return self.cut.tokens().len();
        };
        let known = marker.mark(self.cut.tokens_mut());
        if self.ended {
            return self.cut.tokens().len();
        }
        known
    }

    /// Moves what was cut, up to `known`, into the window.
    fn take(&mut self, known: usize) {
        if self.window.is_whole && !self.quotes {
            self.window.tokens = self.cut.take_all();
            return;
        }
        let new = self.cut.tokens().get(self.moved..known).unwrap_or_default();
        if self.quotes {
            let quoted = &mut self.window.quoted;
            let kept = new.iter().copied().filter_map(|mut token| {
                let keeps = quoted.quote(&mut token);
                keeps.then_some(token)
            });
            self.window.tokens.extend(kept);
        } else {
            self.window.tokens.extend_from_slice(new);
        }
        let gone = self.cut.forget(known);
        self.moved = known - gone;
        if let Some(marker) = &mut self.marker {
            marker.shift(gone);
        }
    }
}

/// How a long text reads: its beginning and its end say so, because what people say about what
/// they paste stands before it or behind it.
fn ends(text: &str, has_code: bool) -> Context {
    const END_BYTES: usize = WHOLE_BYTES_MAX / 2;
    let first = text.get(..text.floor_char_boundary(END_BYTES));
    let first = first.unwrap_or_default();
    let last_from = text.ceil_char_boundary(text.len() - END_BYTES);
    let mut context = Context::default();
    let mut read = |tokenizer, marker: Option<Marker>| {
        let mut tokens = Repeats::of(tokenizer);
        let marker = marker.map(|mut marker| {
            marker.mark(&mut tokens);
            marker
        });
        context.read(text, &tokens);
        marker
    };
    let marker = read(Tokenizer::new(first, 0), has_code.then(Marker::default));
    let between = text.get(first.len()..last_from).unwrap_or_default();
    let behind = marker.map(|marker| marker.behind(has_odd_fences(between)));
    read(Tokenizer::new(text, last_from), behind);
    context
}

/// True when an odd number of lines begin or end a fence.
fn has_odd_fences(text: &str) -> bool {
    let lines = |fence: &str| memchr::memmem::find_iter(text.as_bytes(), fence).count();
    (lines("\n```") + lines("\n~~~")) % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexicon::Classes;

    fn whole(text: &str) -> Tokens<'_> {
        Reader::new(text).window
    }

    fn words(text: &str) -> Vec<&str> {
        whole(text)
            .tokens
            .iter()
            .map(|token| token.text(text))
            .collect()
    }

    #[test]
    fn words_numbers_and_runs_are_cut() {
        assert_eq!(
            words("-1union  select 0x41,'a'--"),
            [
                "-", "1", "union", "select", "0x41", ",", "'", "a", "'", "--"
            ]
        );
        assert_eq!(
            words("apt-get a-1 1.5e3"),
            ["apt-get", "a", "-", "1", "1.5e3"]
        );
        assert_eq!(
            words("DROP/*x*/t /*!50000union*/"),
            [
                "DROP", "/*x*/", "t", "/", "*", "!", "50000", "union", "*", "/"
            ]
        );
    }

    #[test]
    fn code_is_quoted_where_people_talk() {
        let text = "What does `; rm -rf /` do?\n\n```sql\nselect 1\n```\nThanks for the help.";
        let tokens = whole(text);
        assert_eq!(tokens.quoted.stretches.len(), 2);
        assert!(!tokens.tokens.iter().any(|token| token.has(Classes::SELECT)));
    }

    #[test]
    fn code_without_talk_is_not_quoted() {
        assert!(whole(";`id`").quoted.stretches.is_empty());
        assert!(whole("```\n; rm -rf /\n```").quoted.stretches.is_empty());
        assert!(whole("    <iframe src=x>").quoted.stretches.is_empty());
    }

    #[test]
    fn prose_is_told_from_code() {
        let context = whole("Please tell me about the weather in Paris, will you?").context;
        assert!(
            context.talks && context.asks && context.plain >= 7,
            "{context:?}"
        );
        let context = whole("1' union select user,password from users where 'a'='a").context;
        assert!(!context.talks && context.plain <= 2, "{context:?}");
    }

    /// All parts of a text: how many tokens they have, and the most that were in memory.
    fn read(text: &str) -> (usize, usize) {
        let mut reader = Reader::new(text);
        let mut part = Part::default();
        let (mut count, mut most) = (0, 0);
        while reader.next_part(&mut part) {
            count += part.range.len();
            most = most.max(reader.window.tokens.len() + reader.cut.tokens().len());
        }
        (count, most)
    }

    #[test]
    fn of_a_long_text_a_window_is_in_memory() {
        const WINDOW_TOKENS: usize = 10_000;
        let shapes = [
            ("a;b.", 5),
            ("x1 ", 2),
            // Code that is quoted.
            ("we have `a` and then\n", 6),
        ];
        // A backtick before it all, which nothing closes, must not hold it back either.
        for ((shape, tokens), open) in shapes.into_iter().zip(["", "`", ""]) {
            // Numbers, so that nothing is left out as a repetition.
            let text: String = (0..50_000).map(|at| format!("{shape}w{at} ")).collect();
            let (count, most) = read(&(open.to_owned() + &text));
            assert!(count >= 50_000 * tokens, "{shape}: {count} tokens");
            assert!(most < WINDOW_TOKENS, "{shape}: {most} tokens in memory");
        }
    }

    #[test]
    fn parts_are_the_text_without_gap_or_overlap() {
        for count in [1, 1_023, 1_024, 1_025, 30_000, 31_000, 32_000, 33_000] {
            let text: String = (0..count).map(|at| format!("w{at} ")).collect();
            let mut reader = Reader::new(&text);
            let mut part = Part::default();
            let mut words = Vec::new();
            while reader.next_part(&mut part) {
                let tokens = reader.window.tokens.get(part.range.clone()).unwrap();
                words.extend(tokens.iter().map(|token| token.text(&text).to_owned()));
            }
            let expected: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
            assert_eq!(words, expected);
        }
    }

    #[test]
    fn a_long_text_is_read_by_its_ends() {
        let code = "x=1;y=2;\n".repeat(20_000);
        let context = whole(&format!("{code}Please tell me what this is about.")).context;
        assert!(context.is_prose() && context.plain >= 5, "{context:?}");
        assert!(!whole(&code).context.is_prose());
        // What lies in a fence that began long before is code at the end as well.
        let talk = "and this is what they say about it\n".repeat(5_000);
        let context = whole(&format!("x\n```\n{talk}")).context;
        assert_eq!(context.plain, 0, "{context:?}");
        let context = whole(&format!("x\n```\n{}```\n{talk}", "a\n".repeat(40_000))).context;
        assert!(context.plain > 100, "{context:?}");
    }
}
