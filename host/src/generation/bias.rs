//! Tokens that callers want more or less of, in answers that the host cuts into tokens itself: a
//! guest that writes words knows none of the numbers.

use belljar_sandbox::wit::text::Sampling;
use belljar_tokens::Encoding;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How likely any one token is in the place of the guest's own, which has a likelihood of 1.
const OTHERS: f64 = 1e-3;
/// A bias of which a caller can say that it forbids.
const FORBIDS: f32 = -20.0;
/// A bias that leaves nothing else a chance.
const DEMANDS: f32 = 20.0;
/// Said where all that the guest has written is forbidden.
const FALLBACKS: [&str; 6] = ["OK", "Well", "Yes", "Hm", "...", "-"];

/// What is wanted more and less of.
#[derive(Clone, Debug)]
pub struct Bias {
    encoding: Encoding,
    by_token: BTreeMap<u32, f32>,
    /// Those that are wanted more, with their share.
    liked: Vec<(u32, f64)>,
    /// Whether the likeliest is always taken.
    is_greedy: bool,
    /// Whether the text is JSON, where nothing can be left out or put in.
    is_json: bool,
    seed: u64,
}

/// What becomes of a token of the guest's.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    Keep,
    /// Another is said instead, which was as likely as this.
    Say(u32, f32),
    /// It is left out, or spelled in another way.
    Avoid,
}

impl Bias {
    /// The biases of a request; none where they change nothing.
    #[must_use]
    pub fn new(encoding: Encoding, sampling: &Sampling, is_json: bool) -> Option<Self> {
        let by_token: BTreeMap<u32, f32> = sampling
            .logit_bias
            .iter()
            .copied()
            .filter(|(_, bias)| *bias != 0.0)
            .collect();
        // Special tokens are no text.
        let is_text = |token| encoding.is_text(token);
        let liked = by_token
            .iter()
            .filter(|(token, bias)| **bias > 0.0 && is_text(**token))
            .map(|(token, bias)| (*token, OTHERS * f64::from(*bias).exp()))
            .collect();
        (!by_token.is_empty()).then_some(Self {
            encoding,
            by_token,
            liked,
            is_greedy: sampling.temperature == Some(0.0),
            is_json,
            seed: sampling.seed.unwrap_or_default(),
        })
    }

    /// Whether an answer goes on for as long as it may: what is liked, or the ban on an end,
    /// outweighs the guest's wish to end it.
    #[must_use]
    pub fn never_ends(&self) -> bool {
        self.of_end() <= FORBIDS
            || (!self.is_json && self.liked.iter().map(|(_, share)| share).sum::<f64>() > 1.0)
    }

    /// Whether an answer ends before its first word.
    #[must_use]
    pub fn ends_at_once(&self) -> bool {
        self.of_end() >= DEMANDS
    }

    /// The bias of the token that ends a text.
    fn of_end(&self) -> f32 {
        let end = self.encoding.special_token("<|endoftext|>");
        end.map_or(0.0, |end| self.of(end))
    }

    fn of(&self, token: u32) -> f32 {
        self.by_token.get(&token).copied().unwrap_or(0.0)
    }

    /// Whether a token is not to be met anywhere.
    pub(super) fn forbids(&self, token: u32) -> bool {
        self.of(token) <= FORBIDS
    }
}

/// The biases of one answer.
#[derive(Debug)]
pub(super) struct Biased {
    bias: Arc<Bias>,
    /// A digest of the seed and of what the guest has said so far: chance that is the same for the same text.
    chance: u64,
    /// Whether the rest of a word is left out with its beginning.
    leaves_out_word: bool,
    has_said: bool,
    has_left_out: bool,
}

impl Biased {
    pub(super) fn new(bias: Arc<Bias>) -> Self {
        Self {
            chance: mixed(bias.seed),
            bias,
            leaves_out_word: false,
            has_said: false,
            has_left_out: false,
        }
    }

    pub(super) fn bias(&self) -> &Bias {
        &self.bias
    }

    /// What becomes of the tokens that a piece of text ends with. Only in `free` text is one said
    /// for another.
    pub(super) fn judge(&mut self, tokens: impl Iterator<Item = u32>, free: bool) -> Verdict {
        let mut own = 0.0;
        let mut is_forbidden = false;
        for token in tokens {
            let bias = self.bias.of(token);
            is_forbidden |= bias < 0.0 && self.happens(token, 1.0 - f64::from(bias).exp());
            own = bias;
        }
        let own = f64::from(own).exp();
        if free && !self.bias.is_json {
            let all: f64 = self.bias.liked.iter().map(|(_, share)| share).sum();
            let likely = all / (own + all);
            if self.happens(0, likely) {
                return self.liked(likely);
            }
        }
        if is_forbidden {
            Verdict::Avoid
        } else {
            Verdict::Keep
        }
    }

    /// One of those that are liked.
    fn liked(&mut self, likely: f64) -> Verdict {
        let liked = &self.bias.liked;
        let all: f64 = liked.iter().map(|(_, share)| share).sum();
        let chosen = if self.bias.is_greedy {
            liked.iter().max_by(|one, other| one.1.total_cmp(&other.1))
        } else {
            let mut left = fraction(self.chance.rotate_left(29)) * all;
            let found = liked.iter().find(|(_, share)| {
                left -= share;
                left < 0.0
            });
            found.or(liked.last())
        };
        match chosen {
            None => Verdict::Keep,
            #[allow(clippy::cast_possible_truncation, reason = "a logarithm is small")]
            Some((token, share)) => Verdict::Say(*token, (likely * share / all).ln() as f32),
        }
    }

    /// Whether something of this likelihood happens.
    fn happens(&mut self, token: u32, likely: f64) -> bool {
        self.chance = mixed(self.chance ^ u64::from(token));
        if self.bias.is_greedy {
            likely > 0.5
        } else {
            fraction(self.chance) < likely
        }
    }

    /// What is said for a text that is to be avoided: nothing, other white space, or in JSON the
    /// same by other tokens.
    pub(super) fn instead(&mut self, text: &str, free: bool) -> Option<(String, Vec<u32>)> {
        if !free || self.bias.is_json {
            return self.respelled(text);
        }
        self.has_left_out = true;
        self.leaves_out_word = text.ends_with(is_joined);
        let others = [
            text.replace("\n\n", "\n"),
            text.replace('\n', " "),
            text.trim_end().to_owned(),
        ];
        let is_spaced = text.ends_with(char::is_whitespace);
        let mut others = others.into_iter().filter(|_| is_spaced);
        others.find_map(|other| {
            let tokens = self.bias.encoding.encode(&other);
            let is_free = !tokens.iter().any(|token| self.bias.of(*token) < 0.0);
            (is_free && other != text && !other.is_empty()).then_some((other, tokens))
        })
    }

    /// The same text by other tokens; none where there are no others.
    fn respelled(&self, text: &str) -> Option<(String, Vec<u32>)> {
        let encoding = self.bias.encoding;
        let is_free = |tokens: &[u32]| !tokens.iter().any(|token| self.bias.of(*token) < 0.0);
        let whole = encoding.encode(text);
        if is_free(&whole) {
            return Some((text.to_owned(), whole));
        }
        let splits = text.char_indices().skip(1).map(|(at, _)| at);
        for at in splits {
            let (first, rest) = text.split_at(at);
            let mut tokens = encoding.encode(first);
            tokens.extend(encoding.encode(rest));
            if is_free(&tokens) {
                return Some((text.to_owned(), tokens));
            }
        }
        let mut letters = Vec::new();
        for letter in text.chars() {
            letters.extend(encoding.encode(letter.encode_utf8(&mut [0; 4])));
        }
        is_free(&letters).then(|| (text.to_owned(), letters))
    }

    /// Whether a text is the rest of a word whose beginning was left out.
    pub(super) fn leaves_out(&mut self, text: &str) -> bool {
        self.leaves_out_word = self.leaves_out_word && text.starts_with(is_joined);
        self.has_said |= !self.leaves_out_word;
        self.leaves_out_word
    }

    /// Notes that something else was said.
    pub(super) fn says(&mut self) {
        self.has_said = true;
        self.leaves_out_word = false;
    }

    /// A word for an answer of which nothing is left.
    pub(super) fn fallback(&mut self) -> Option<(String, Vec<u32>)> {
        if self.has_said || !self.has_left_out || self.bias.is_json {
            return None;
        }
        self.has_said = true;
        FALLBACKS.into_iter().find_map(|word| {
            let tokens = self.bias.encoding.encode(word);
            let is_free = !tokens.iter().any(|token| self.bias.of(*token) < 0.0);
            is_free.then(|| (word.to_owned(), tokens))
        })
    }
}

/// Whether a letter belongs to the word before it: where words have spaces between them.
fn is_joined(letter: char) -> bool {
    letter.is_alphanumeric() && letter < '\u{2e80}'
}

/// The finaliser of splitmix64.
const fn mixed(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// From 0 up to 1.
#[allow(
    clippy::cast_precision_loss,
    reason = "53 bits are what a fraction has"
)]
fn fraction(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
