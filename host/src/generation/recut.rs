//! What a guest writes, cut anew into the tokens of an encoding: for guests that leave it to the host
//! to count.

use belljar_sandbox::wit::text::{Alternative, Content, TextFragment, Token, ToolCallFragment};
use belljar_tokens::{Cut, Cutter, Encoding};
use std::collections::VecDeque;
use std::vec;

/// Numbers that are tried in place of a token that is there already.
const TRIES_MAX: u32 = 64;

/// A part of an answer, and how many tokens it is where the host has counted them.
pub(super) struct Piece {
    pub(super) content: Content,
    pub(super) tokens: Option<u32>,
}

impl Piece {
    /// Content as the guest gave it, whose tokens are the guest's.
    pub(super) fn whole(content: Content) -> Self {
        Self {
            content,
            tokens: None,
        }
    }

    fn counted(content: Content, tokens: u32) -> Self {
        Self {
            content,
            tokens: Some(tokens),
        }
    }
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
    cuts: Vec<Cut>,
    pieces: Vec<Piece>,
    /// The guest's own tokens of the text in the cutter, with the offset of their end, where it
    /// lists them.
    said: VecDeque<(usize, Token)>,
    /// Bytes of this text that came in, and that were given out.
    taken: usize,
    given: usize,
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Piece")
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

impl Recut {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            cutter: Cutter::new(encoding),
            kind: Kind::Text,
            cuts: Vec::new(),
            pieces: Vec::new(),
            said: VecDeque::new(),
            taken: 0,
            given: 0,
        }
    }

    /// The pieces that there are by now.
    pub(super) fn drain(&mut self) -> vec::IntoIter<Piece> {
        std::mem::take(&mut self.pieces).into_iter()
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
                    let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
                    let head = Piece::counted(Content::ToolCall(head), tokens);
                    self.pieces.push(head);
                }
                self.push(&arguments);
            }
            Content::Finish(reason) => {
                self.end();
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
        let mut cuts = std::mem::take(&mut self.cuts);
        for cut in cuts.drain(..) {
            let count = cut.tokens.count();
            let content = match self.kind {
                Kind::Text => Content::Text(self.fragment(cut)),
                Kind::Reasoning => Content::Reasoning(cut.text),
                Kind::Refusal => Content::Refusal(cut.text),
                Kind::Arguments(index) => Content::ToolCall(ToolCallFragment {
                    index,
                    id: None,
                    name: None,
                    arguments: cut.text,
                }),
            };
            self.pieces.push(Piece::counted(content, count));
        }
        // The room is used again.
        self.cuts = cuts;
    }

    /// A cut as a fragment of the answer, with its tokens where the guest lists any.
    fn fragment(&mut self, cut: Cut) -> TextFragment {
        let mut tokens = Vec::new();
        for id in cut.tokens.iter() {
            let bytes = self.encoding.bytes(id).unwrap_or_default();
            while let Some((end, _)) = self.said.front()
                && *end <= self.given
            {
                self.said.pop_front();
            }
            if let Some((_, said)) = self.said.front() {
                tokens.push(self.token(id, bytes, said));
            }
            self.given += bytes.len();
        }
        TextFragment {
            text: cut.text,
            tokens,
        }
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
            candidate != id
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use belljar_sandbox::wit::text::FinishReason;

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
        let mut recut = Recut::new(Encoding::O200kBase);
        contents.into_iter().for_each(|content| recut.take(content));
        let said = recut.drain().map(|Piece { content, tokens }| {
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
        let mut recut = Recut::new(Encoding::O200kBase);
        for word in ["hel", "lo", " world"] {
            recut.take(Content::Text(TextFragment {
                text: word.to_owned(),
                tokens: vec![said(word)],
            }));
        }
        recut.take(Content::Finish(FinishReason::Stop));
        let mut all = Vec::new();
        for piece in recut.drain() {
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
