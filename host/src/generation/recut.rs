//! What a guest writes, cut anew into the tokens of an encoding: for guests that leave it to the host
//! to count.

use super::bias::{Bias, Biased, Verdict};
use belljar_sandbox::wit::text::{Alternative, Content, TextFragment, Token, ToolCallFragment};
use belljar_tokens::{Cut, Cuts, Cutter, Encoding};
use std::collections::VecDeque;
use std::sync::Arc;

/// Numbers that are tried in place of a token that is there already.
const TRIES_MAX: u32 = 64;
/// What stands for a token that is as good as impossible.
const LOGPROB_MIN: f32 = -9999.0;

/// A part of an answer.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) content: Content,
    pub(super) count: PieceCount,
}

/// How many tokens a part of an answer is.
#[derive(Debug)]
pub(super) enum PieceCount {
    /// Those that the guest lists.
    Guest,
    /// So many, which are taken together or not at all.
    Tokens(u32),
    /// One or more up to each of these places in its text, the last of which is its end.
    Cuts(Vec<Cut>),
}

impl PieceCount {
    /// The places in the text where tokens end, where they are known.
    pub(super) fn into_cuts(self) -> Vec<Cut> {
        match self {
            Self::Guest | Self::Tokens(_) => Vec::new(),
            Self::Cuts(cuts) => cuts,
        }
    }
}

impl Piece {
    /// Content as the guest gave it, whose tokens are the guest's.
    pub(super) fn whole(content: Content) -> Self {
        Self {
            content,
            count: PieceCount::Guest,
        }
    }

    fn counted(content: Content, tokens: usize) -> Self {
        Self {
            content,
            count: PieceCount::Tokens(saturating(tokens)),
        }
    }
}

fn saturating(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// What a text belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Refusal,
    /// The arguments of a call, by its number.
    Arguments(u32),
}

/// Cuts the texts of one answer.
#[derive(Debug)]
pub(super) struct Recut {
    encoding: Encoding,
    cutter: Cutter,
    /// What the text in the cutter belongs to.
    kind: Kind,
    cuts: Cuts,
    /// What there is by now.
    pub(super) pieces: Vec<Piece>,
    /// The guest's own tokens of the text in the cutter, with the offset of their end, where it
    /// lists them.
    said: VecDeque<(usize, Token)>,
    /// Bytes of this text that came in, and that were given out.
    taken: usize,
    given: usize,
    /// What the caller wants more or less of.
    biased: Option<Biased>,
}

impl Recut {
    pub(super) fn new(encoding: Encoding, bias: Option<Arc<Bias>>) -> Self {
        Self {
            encoding,
            cutter: Cutter::new(encoding),
            kind: Kind::Text,
            cuts: Cuts::default(),
            pieces: Vec::new(),
            said: VecDeque::new(),
            taken: 0,
            given: 0,
            biased: bias.map(Biased::new),
        }
    }

    /// Takes what the guest said next.
    pub(super) fn take(&mut self, content: Content) {
        match content {
            Content::Text(TextFragment { text, tokens }) => {
                self.begin(Kind::Text);
                let mut end = self.taken;
                for token in tokens {
                    end += token.bytes.len();
                    self.said.push_back((end, token));
                }
                self.push(&text);
            }
            Content::Reasoning(thought) => {
                self.begin(Kind::Reasoning);
                self.push(&thought);
            }
            Content::Refusal(refusal) => {
                self.begin(Kind::Refusal);
                self.push(&refusal);
            }
            Content::ToolCall(ToolCallFragment {
                index,
                id,
                name,
                arguments,
            }) => {
                self.begin(Kind::Arguments(index));
                if id.is_some() || name.is_some() {
                    let tokens = name.as_deref().map_or(0, |name| self.encoding.count(name));
                    let head = ToolCallFragment {
                        index,
                        id,
                        name,
                        arguments: String::new(),
                    };
                    let head = Piece::counted(Content::ToolCall(head), tokens);
                    self.pieces.push(head);
                }
                self.push(&arguments);
            }
            Content::Finish(reason) => {
                self.end();
                let fallback = self.biased.as_mut().and_then(Biased::fallback);
                if let Some((text, ids)) = fallback {
                    self.piece(Kind::Text, text, ids.len(), Vec::new());
                }
                self.pieces.push(Piece::whole(Content::Finish(reason)));
            }
        }
    }

    /// Ends the text before, where another begins.
    fn begin(&mut self, kind: Kind) {
        if self.kind != kind {
            self.end();
            self.kind = kind;
        }
    }

    fn push(&mut self, text: &str) {
        self.taken += text.len();
        self.cutter.push(text, &mut self.cuts);
        self.give();
    }

    fn end(&mut self) {
        self.cutter.finish(&mut self.cuts);
        self.give();
        self.said.clear();
        self.taken = 0;
        self.given = 0;
    }

    fn give(&mut self) {
        if self.cuts.ends.is_empty() {
            return;
        }
        if self.said.is_empty() && self.biased.is_none() {
            let text = std::mem::take(&mut self.cuts.text);
            self.given += text.len();
            let content = content(self.kind, text, Vec::new());
            let count = PieceCount::Cuts(std::mem::take(&mut self.cuts.ends));
            self.pieces.push(Piece { content, count });
        } else {
            let cuts = std::mem::take(&mut self.cuts);
            self.pieces.reserve(cuts.ends.len());
            for (text, ids) in cuts.iter() {
                let listed = self.listed(text, ids);
                match self.biased.take() {
                    None => self.piece(self.kind, text.to_owned(), ids.len(), listed),
                    Some(mut biased) => {
                        self.give_biased(text, ids, listed, &mut biased);
                        self.biased = Some(biased);
                    }
                }
            }
            // The room is used again.
            self.cuts = cuts;
        }
        self.cuts.clear();
    }

    /// Gives a cut as the caller wants it.
    fn give_biased(&mut self, text: &str, ids: &[u32], listed: Vec<Token>, biased: &mut Biased) {
        let are_words = !matches!(self.kind, Kind::Arguments(_));
        match biased.judge(ids.iter().copied(), self.kind == Kind::Text) {
            Verdict::Keep => {
                if !are_words || !biased.leaves_out(text) {
                    self.piece(self.kind, text.to_owned(), ids.len(), listed);
                }
            }
            Verdict::Say(id, logprob) => {
                let bytes = self.encoding.bytes(id).unwrap_or_default();
                let listed = listed
                    .first()
                    .map(|said| retold(said, id, bytes, Some(logprob)));
                let text = String::from_utf8_lossy(bytes).into_owned();
                biased.says();
                self.piece(self.kind, text, 1, listed.into_iter().collect());
            }
            Verdict::Avoid => match biased.instead(text, are_words) {
                Some((text, ids)) => self.spell(text, &ids, listed.first()),
                None if are_words => {}
                None => self.piece(self.kind, text.to_owned(), ids.len(), listed),
            },
        }
    }

    /// Gives a text in these tokens, each as likely as the one that it is said for.
    fn spell(&mut self, text: String, ids: &[u32], said: Option<&Token>) {
        let encoding = self.encoding;
        let listed = ids.iter().filter_map(|id| {
            let bytes = encoding.bytes(*id).unwrap_or_default();
            said.map(|said| retold(said, *id, bytes, None))
        });
        let listed = listed.collect();
        self.piece(self.kind, text, ids.len(), listed);
    }

    fn piece(&mut self, kind: Kind, text: String, count: usize, tokens: Vec<Token>) {
        let piece = Piece::counted(content(kind, text, tokens), count);
        self.pieces.push(piece);
    }

    /// The tokens of a cut of text, where the guest lists any.
    fn listed(&mut self, text: &str, ids: &[u32]) -> Vec<Token> {
        let mut tokens = Vec::new();
        let mut begin = self.given;
        self.given += text.len();
        if self.said.is_empty() {
            return tokens;
        }
        for id in ids {
            let bytes = self.encoding.bytes(*id).unwrap_or_default();
            while let Some((end, _)) = self.said.front()
                && *end <= begin
            {
                self.said.pop_front();
            }
            if let Some((_, said)) = self.said.front() {
                tokens.push(self.token(*id, bytes, said));
            }
            begin += bytes.len();
        }
        tokens
    }

    /// A token that is as likely as the guest said of what begins there, with the guest's
    /// alternatives as tokens.
    fn token(&self, id: u32, bytes: &[u8], said: &Token) -> Token {
        let mut alternatives: Vec<Alternative> = Vec::with_capacity(said.alternatives.len());
        for other in &said.alternatives {
            let other_id = if other.bytes == said.bytes {
                id
            } else {
                self.unlike(id, &other.bytes, &alternatives)
            };
            alternatives.push(Alternative {
                id: other_id,
                bytes: self.encoding.bytes(other_id).unwrap_or_default().to_vec(),
                logprob: other.logprob,
            });
        }
        Token {
            id,
            bytes: bytes.to_vec(),
            logprob: said.logprob,
            alternatives,
        }
    }

    /// The token that a text begins with; where it is there already, another one.
    fn unlike(&self, id: u32, text: &[u8], others: &[Alternative]) -> u32 {
        let text = String::from_utf8_lossy(text);
        let first = self.encoding.encode(&text).first().copied().unwrap_or(0);
        let is_free = |candidate: u32| {
            let is_text = |bytes| std::str::from_utf8(bytes).is_ok();
            let is_forbidden = |biased: &Biased| biased.bias().forbids(candidate);
            candidate != id
                && !self.biased.as_ref().is_some_and(is_forbidden)
                && others.iter().all(|other| other.id != candidate)
                && self.encoding.bytes(candidate).is_some_and(is_text)
        };
        // Those after it are about as frequent.
        let mut candidates = (0..TRIES_MAX).map(|step| first.saturating_add(step));
        candidates
            .find(|candidate| is_free(*candidate))
            .unwrap_or(first)
    }
}

/// A text as what it belongs to.
fn content(kind: Kind, text: String, tokens: Vec<Token>) -> Content {
    match kind {
        Kind::Text => Content::Text(TextFragment { text, tokens }),
        Kind::Reasoning => Content::Reasoning(text),
        Kind::Refusal => Content::Refusal(text),
        Kind::Arguments(index) => Content::ToolCall(ToolCallFragment {
            index,
            id: None,
            name: None,
            arguments: text,
        }),
    }
}

/// A token that is said for another, with the alternatives that there were to that.
fn retold(said: &Token, id: u32, bytes: &[u8], logprob: Option<f32>) -> Token {
    let own = logprob.or(said.logprob);
    // What all others share.
    let rest = logprob.map_or(0.0, |logprob| (-logprob.exp()).ln_1p().max(LOGPROB_MIN));
    let mut alternatives = Vec::with_capacity(said.alternatives.len());
    if !said.alternatives.is_empty() {
        alternatives.push(Alternative {
            id,
            bytes: bytes.to_vec(),
            logprob: own.unwrap_or_default(),
        });
    }
    let others = said.alternatives.iter();
    let others = others.filter(|other| other.id != id && other.id != said.id);
    alternatives.extend(others.map(|other| Alternative {
        logprob: (other.logprob + rest).max(LOGPROB_MIN),
        ..other.clone()
    }));
    alternatives.sort_by(|one, other| other.logprob.total_cmp(&one.logprob));
    Token {
        id,
        bytes: bytes.to_vec(),
        logprob: own,
        alternatives,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use belljar_sandbox::wit::text::{FinishReason, Sampling};

    fn text(text: &str) -> Content {
        Content::Text(TextFragment {
            text: text.to_owned(),
            tokens: Vec::new(),
        })
    }

    fn call(index: u32, name: Option<&str>, arguments: &str) -> Content {
        Content::ToolCall(ToolCallFragment {
            index,
            id: name.map(str::to_owned),
            name: name.map(str::to_owned),
            arguments: arguments.to_owned(),
        })
    }

    /// What each piece says, and its tokens.
    fn run(contents: Vec<Content>) -> Vec<(String, Option<u32>)> {
        let mut recut = Recut::new(Encoding::O200kBase, None);
        contents.into_iter().for_each(|content| recut.take(content));
        let said = recut.pieces.into_iter().map(|Piece { content, count }| {
            let tokens = match count {
                PieceCount::Guest => None,
                PieceCount::Tokens(tokens) => Some(tokens),
                PieceCount::Cuts(cuts) => Some(saturating(cuts.last().unwrap().tokens)),
            };
            let said = match content {
                Content::Text(fragment) => fragment.text,
                Content::Reasoning(text) => format!("({text})"),
                Content::Refusal(text) => text,
                Content::ToolCall(call) => {
                    format!("{}{}", call.name.unwrap_or_default(), call.arguments)
                }
                Content::Finish(_) => "end".to_owned(),
            };
            (said, tokens)
        });
        said.collect()
    }

    #[test]
    fn a_text_is_cut_into_real_tokens_whatever_its_chunks_were() {
        let end = || Content::Finish(FinishReason::Stop);
        let expected =
            [("hello", 1), (" world", 1)].map(|(text, count)| (text.to_owned(), Some(count)));
        for chunks in [&["hello world"][..], &["hel", "lo", " ", "world"]] {
            let contents = chunks.iter().map(|chunk| text(chunk)).chain([end()]);
            let said = run(contents.collect());
            assert_eq!(said[..2], expected);
            assert_eq!(said[2..], [("end".to_owned(), None)]);
        }
    }

    fn bias(biases: &[(u32, f32)], is_json: bool) -> Option<Arc<Bias>> {
        let sampling = Sampling {
            temperature: Some(0.0),
            top_p: None,
            top_k: None,
            min_p: None,
            frequency_penalty: None,
            presence_penalty: None,
            logit_bias: biases.to_vec(),
            seed: None,
            logprobs: None,
        };
        Bias::new(Encoding::O200kBase, &sampling, is_json).map(Arc::new)
    }

    fn biased(biases: &[(u32, f32)], is_json: bool, contents: Vec<Content>) -> String {
        let bias = bias(biases, is_json);
        let mut recut = Recut::new(Encoding::O200kBase, bias);
        contents.into_iter().for_each(|content| recut.take(content));
        let said = recut.pieces.drain(..).map(|piece| match piece.content {
            Content::Text(fragment) => {
                assert!(
                    fragment
                        .tokens
                        .iter()
                        .all(|token| token.bytes == fragment.text.as_bytes())
                );
                fragment.text
            }
            Content::ToolCall(call) => call.arguments,
            _ => String::new(),
        });
        said.collect()
    }

    fn id(token: &str) -> u32 {
        Encoding::O200kBase.encode(token)[0]
    }

    #[test]
    fn what_is_forbidden_is_left_out_as_a_word_and_what_is_wanted_takes_every_place() {
        let end = || Content::Finish(FinishReason::Stop);
        let say =
            |biases: &[(u32, f32)], said: &str| biased(biases, false, vec![text(said), end()]);
        let sentence = "The sea is unbelievably wide.\n\nIt is.";
        assert_eq!(
            say(&[(id(" unbelievably"), -100.0)], sentence),
            "The sea is wide.\n\nIt is."
        );
        assert_eq!(
            say(&[(id(".\n\n"), -100.0)], sentence),
            "The sea is unbelievably wide.\nIt is."
        );
        assert_eq!(say(&[(id("hello"), -100.0)], "hello"), "OK");
        assert_eq!(
            say(&[(id("hello"), -100.0), (id("OK"), -100.0)], "hello"),
            "Well"
        );
        assert_eq!(
            say(&[(id("hello"), 100.0)], "It is wide."),
            "hellohellohellohello"
        );
        // Little changes nothing where only the likeliest is taken.
        assert_eq!(
            say(&[(id("hello"), 1.0), (id(" sea"), -0.5)], sentence),
            sentence
        );
        // The numbers of special tokens are no text.
        assert_eq!(say(&[(199_999, 100.0)], "It is."), "It is.");
    }

    #[test]
    fn json_and_arguments_stay_what_they_are_in_other_tokens() {
        let json = r#"{"city":"Paris"}"#;
        let forbidden = [(id("{\""), -100.0), (id("hello"), 100.0)];
        assert_eq!(
            biased(
                &forbidden,
                true,
                vec![text(json), Content::Finish(FinishReason::Stop)]
            ),
            json
        );
        let calls = vec![
            call(0, Some("look"), json),
            Content::Finish(FinishReason::ToolCalls),
        ];
        assert_eq!(biased(&forbidden, false, calls), json);
        let mut recut = Recut::new(Encoding::O200kBase, bias(&forbidden, true));
        recut.take(text(json));
        recut.take(Content::Finish(FinishReason::Stop));
        assert!(matches!(recut.pieces[0].count, PieceCount::Tokens(2)));
    }

    #[test]
    fn what_is_only_seen_whole_is_one_piece_that_says_where_it_can_be_cut() {
        let mut recut = Recut::new(Encoding::O200kBase, None);
        recut.take(text("hello world, hel"));
        recut.take(text("lo"));
        recut.take(Content::Finish(FinishReason::Stop));
        let cuts = recut.pieces.iter().map(|piece| match &piece.count {
            PieceCount::Cuts(cuts) => cuts.iter().map(|cut| (cut.text, cut.tokens)).collect(),
            PieceCount::Tokens(_) | PieceCount::Guest => Vec::new(),
        });
        let cuts: Vec<_> = cuts.collect();
        assert_eq!(cuts, [vec![(5, 1), (11, 2), (12, 3)], vec![(6, 1)], vec![]]);
    }

    #[test]
    fn each_kind_is_a_text_of_its_own() {
        let said = run(vec![
            Content::Reasoning("hello".to_owned()),
            text("hello"),
            call(0, Some("hello"), "{}"),
            call(1, Some("world"), ""),
            call(1, None, "{}"),
            Content::Finish(FinishReason::ToolCalls),
        ]);
        let said: Vec<_> = said.iter().map(|(said, _)| said.as_str()).collect();
        let expected = ["(hello)", "hello", "hello", "{}", "world", "{}", "end"];
        assert_eq!(said, expected);
    }

    #[test]
    fn tokens_that_are_listed_are_those_of_the_encoding_with_as_many_alternatives() {
        let said = |text: &str| Token {
            id: 1,
            bytes: text.as_bytes().to_vec(),
            logprob: Some(-0.5),
            alternatives: [text, " river", " river", " internationalisation"]
                .map(|text| Alternative {
                    id: 2,
                    bytes: text.as_bytes().to_vec(),
                    logprob: -0.5,
                })
                .to_vec(),
        };
        let mut recut = Recut::new(Encoding::O200kBase, None);
        for word in ["hel", "lo", " world"] {
            recut.take(Content::Text(TextFragment {
                text: word.to_owned(),
                tokens: vec![said(word)],
            }));
        }
        recut.take(Content::Finish(FinishReason::Stop));
        let mut all = Vec::new();
        for piece in recut.pieces {
            if let Content::Text(TextFragment { text, tokens }) = piece.content {
                assert_eq!(tokens.len(), 1);
                assert_eq!(tokens[0].bytes, text.as_bytes());
                all.extend(tokens);
            }
        }
        let ids: Vec<_> = all.iter().map(|token| token.id).collect();
        assert_eq!(ids, [24912, 2375]);
        for token in all {
            let mut ids: Vec<_> = token.alternatives.iter().map(|other| other.id).collect();
            assert!(ids.contains(&token.id));
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), 4);
        }
    }
}
