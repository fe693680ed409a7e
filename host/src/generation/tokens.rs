//! The cap on tokens, and the count that usage is capped by.

use belljar_sandbox::wit::text;
use belljar_tokens::Cut;

/// Counts the tokens of one answer and cuts it at a cap.
///
/// Two counts are kept, because a guest may say too little as well as too much. The lower one
/// (a fragment that lists no tokens is one) decides where the answer ends; the upper one (it
/// may be one a byte) bounds what the guest may put on the bill.
#[derive(Debug)]
pub struct TokenCap {
    max: u32,
    least: u32,
    most: u32,
    reasoning_most: u32,
}

impl TokenCap {
    /// A cap of `max` tokens.
    #[must_use]
    pub fn new(max: u32) -> Self {
        Self {
            max,
            least: 0,
            most: 0,
            reasoning_most: 0,
        }
    }

    /// Whether the cap is reached: what comes now is too much.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.least >= self.max
    }

    /// How many tokens there is room for.
    #[must_use]
    pub fn room(&self) -> u32 {
        self.max.saturating_sub(self.least)
    }

    /// How many tokens there are at least.
    #[must_use]
    pub fn counted(&self) -> u32 {
        self.least
    }

    /// Takes a piece of text, cut where the cap falls inside it. Says whether it was cut.
    pub fn take_text(&mut self, fragment: &mut text::TextFragment) -> bool {
        let room = usize::try_from(self.max - self.least.min(self.max)).unwrap_or(usize::MAX);
        let was_cut = fragment.tokens.len() > room || room == 0;
        if was_cut {
            fragment.tokens.truncate(room);
            let bytes = fragment
                .tokens
                .iter()
                .map(|token| token.bytes.len())
                .sum::<usize>();
            // Where the tokens do not make up the text, this cuts somewhere near; nothing of
            // the text past the cap is owed.
            let end = fragment
                .text
                .floor_char_boundary(bytes.min(fragment.text.len()));
            fragment.text.truncate(end);
        }
        let listed = saturating_u32(fragment.tokens.len());
        let empty = fragment.tokens.is_empty() && fragment.text.is_empty();
        let tokens = if empty { 0 } else { listed.max(1) };
        self.least = self.least.saturating_add(tokens);
        self.most = self.most.saturating_add(if listed > 0 {
            listed
        } else {
            saturating_u32(fragment.text.len())
        });
        was_cut
    }

    /// Takes a piece of so many tokens, which the host has counted. Says whether there is room for
    /// all of them; without it the piece is not taken.
    pub fn take_counted(&mut self, tokens: u32, is_reasoning: bool) -> bool {
        let sum = self.least.saturating_add(tokens);
        if sum > self.max {
            return false;
        }
        self.least = sum;
        self.most = sum;
        if is_reasoning {
            self.reasoning_most = self.reasoning_most.saturating_add(tokens);
        }
        true
    }

    /// Takes a piece that the host has counted up to each of these places, and forgets the places
    /// that there is no room for. Says whether there was one.
    pub fn take_cuts(&mut self, cuts: &mut Vec<Cut>, is_reasoning: bool) -> bool {
        let room = usize::try_from(self.room()).unwrap_or(usize::MAX);
        let fitting = cuts.partition_point(|cut| cut.tokens <= room);
        let was_cut = fitting < cuts.len();
        cuts.truncate(fitting);
        let tokens = cuts.last().map_or(0, |last| saturating_u32(last.tokens));
        self.take_counted(tokens, is_reasoning);
        was_cut
    }

    /// Takes back tokens that are not shown.
    pub fn give_back(&mut self, tokens: u32) {
        self.least = self.least.saturating_sub(tokens);
    }

    /// What goes on the bill where the host has counted everything.
    #[must_use]
    pub fn counted_usage(&self, prompt_tokens: u32) -> text::Usage {
        text::Usage {
            prompt_tokens,
            completion_tokens: self.least,
            reasoning_tokens: self.reasoning_most,
            cached_tokens: 0,
        }
    }

    /// Takes a piece that lists no tokens: reasoning, part of a tool call, a refusal.
    pub fn take_bytes(&mut self, bytes: usize, is_reasoning: bool) {
        self.least = self.least.saturating_add(1);
        let most = saturating_u32(bytes).max(1);
        self.most = self.most.saturating_add(most);
        if is_reasoning {
            self.reasoning_most = self.reasoning_most.saturating_add(most);
        }
    }

    /// What goes on the bill: the guest's numbers within the bounds of what the host saw, or
    /// the host's own where the guest was ended before it could say.
    #[must_use]
    pub fn usage(&self, claimed: Option<text::Usage>, prompt_tokens_max: u32) -> text::Usage {
        let Some(claimed) = claimed else {
            return text::Usage {
                prompt_tokens: 0,
                completion_tokens: self.least.min(self.max),
                reasoning_tokens: 0,
                cached_tokens: 0,
            };
        };
        let prompt_tokens = claimed.prompt_tokens.min(prompt_tokens_max);
        let completion_tokens = claimed.completion_tokens.min(self.most).min(self.max);
        text::Usage {
            prompt_tokens,
            completion_tokens,
            reasoning_tokens: claimed
                .reasoning_tokens
                .min(self.reasoning_most)
                .min(completion_tokens),
            cached_tokens: claimed.cached_tokens.min(prompt_tokens),
        }
    }
}

fn saturating_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(pieces: &[&str]) -> text::TextFragment {
        let token = |piece: &&str| text::Token {
            id: 1,
            bytes: piece.as_bytes().to_vec(),
            logprob: None,
            alternatives: Vec::new(),
        };
        text::TextFragment {
            text: pieces.concat(),
            tokens: pieces.iter().map(token).collect(),
        }
    }

    fn usage(completion: u32, reasoning: u32) -> text::Usage {
        text::Usage {
            prompt_tokens: 9,
            completion_tokens: completion,
            reasoning_tokens: reasoning,
            cached_tokens: 20,
        }
    }

    #[test]
    fn a_fragment_is_cut_inside() {
        let mut cap = TokenCap::new(3);
        assert!(!cap.take_text(&mut fragment(&["a", "b"])));
        let mut last = fragment(&["cé", "d", "e"]);
        assert!(cap.take_text(&mut last));
        assert_eq!((last.text.as_str(), last.tokens.len()), ("cé", 1));
        assert!(cap.is_full());
    }

    #[test]
    fn text_without_tokens_counts_as_one() {
        let mut cap = TokenCap::new(1);
        let mut text = text::TextFragment {
            text: "many words here".to_owned(),
            tokens: Vec::new(),
        };
        assert!(!cap.take_text(&mut text));
        assert!(cap.is_full());
        assert!(cap.take_text(&mut text));
        assert_eq!(text.text, "");
    }

    #[test]
    fn a_guest_cannot_bill_more_than_it_said() {
        let mut cap = TokenCap::new(10);
        cap.take_text(&mut fragment(&["a", "b"]));
        let billed = cap.usage(Some(usage(1_000_000, 500)), 100);
        assert_eq!((billed.completion_tokens, billed.reasoning_tokens), (2, 0));
        assert_eq!((billed.prompt_tokens, billed.cached_tokens), (9, 9));
        assert_eq!(cap.usage(Some(usage(1, 0)), 4).prompt_tokens, 4);
        assert_eq!(cap.usage(None, 4).completion_tokens, 2);
    }
}
