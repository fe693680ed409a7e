//! From a request to a seed, and from a seed to numbers.

use belljar_guest::Source;
use belljar_guest::text::{Part, Prompt, Request, ResponseFormat, ToolChoice};

/// Repeatable numbers (SplitMix64): one addition of state, good bits, no warm-up.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, or 0 where that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64 & 0xffff_ffff;
        (((self.bits() >> 32) * bound) >> 32) as usize
    }

    /// A number from 0 to 1, below 1.
    pub(crate) fn fraction(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// One of several; none of none.
    pub(crate) fn one_of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A hash of content, eight bytes at a time: a long prompt should cost little beside what it
/// costs to bring it here. It resists accidents, not adversaries.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    pub(crate) fn new() -> Self {
        // Not 0, which any number of zeros would leave as it is.
        Self(0x243f_6a88_85a3_08d3)
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(0x9fb2_1c65_1e98_df25);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.number(u64::from_le_bytes(*word));
        }
        let mut last = [0u8; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.number(u64::from_le_bytes(last));
        // Keeps "ab" + "c" apart from "a" + "bc".
        self.number(bytes.len() as u64);
    }

    pub(crate) fn finish(&self) -> u64 {
        mix(self.0)
    }
}

/// What is asked, as a number.
///
/// The caps on the length are left out, so that a shorter answer is the beginning of a longer
/// one; so are the options that are about presentation.
pub(crate) fn order_of(request: &Request) -> u64 {
    let mut hash = Fingerprint::new();
    hash_prompt(&mut hash, &request.prompt);
    for tool in &request.tools {
        hash.bytes(tool.name.as_bytes());
    }
    match &request.tool_choice {
        ToolChoice::Automatic | ToolChoice::Forbidden => {}
        ToolChoice::Required => hash.number(1),
        ToolChoice::Named(name) => hash.bytes(name.as_bytes()),
    }
    match &request.response_format {
        ResponseFormat::Text => {}
        ResponseFormat::JsonObject => hash.number(2),
        ResponseFormat::JsonSchema(format) => hash.bytes(format.schema.as_bytes()),
    }
    hash.finish()
}

/// The seed of an answer: what is asked, the caller's seed and the number of the choice. Where
/// nothing is left to choose, neither of these is asked: there is one text.
pub(crate) fn seed_of(request: &Request, order: u64) -> u64 {
    let mut hash = Fingerprint::new();
    hash.number(order);
    if may_vary(request) {
        let seed = request.sampling.seed;
        hash.number(seed.map_or(0, |seed| seed.wrapping_add(1)));
        hash.number(u64::from(request.choice));
    }
    hash.finish()
}

/// Whether another seed gives another answer.
pub(crate) fn may_vary(request: &Request) -> bool {
    let sampling = &request.sampling;
    sampling.temperature != Some(0.0) && sampling.top_k != Some(1)
}

fn hash_prompt(hash: &mut Fingerprint, prompt: &Prompt) {
    match prompt {
        Prompt::Messages(messages) => {
            for message in messages {
                hash.number(message.role as u64);
                for part in &message.content {
                    hash_part(hash, part);
                }
                for call in &message.tool_calls {
                    hash.bytes(call.name.as_bytes());
                    hash.bytes(call.arguments.as_bytes());
                }
            }
        }
        Prompt::Text(raw) => {
            hash.bytes(raw.text.as_bytes());
            hash.bytes(raw.suffix.as_deref().unwrap_or_default().as_bytes());
        }
        Prompt::Tokens(ids) => ids.iter().for_each(|&id| hash.number(u64::from(id))),
    }
}

fn hash_part(hash: &mut Fingerprint, part: &Part) {
    let source = match part {
        Part::Text(text) | Part::Refusal(text) => return hash.bytes(text.as_bytes()),
        Part::Image(image) => &image.source,
        Part::Audio(source) => source,
        Part::File(file) => &file.source,
    };
    match source {
        Source::Inline(media) => hash.bytes(&media.data),
        Source::Url(url) => hash.bytes(url.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut random = Random::new(7);
        for bound in [1, 2, 3, 100] {
            assert!((0..1000).all(|_| random.below(bound) < bound));
        }
        assert_eq!(random.below(0), 0);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&random.fraction())));
    }

    #[test]
    fn the_fingerprint_sees_where_texts_end() {
        let hash = |texts: &[&str]| {
            let mut hash = Fingerprint::new();
            texts.iter().for_each(|text| hash.bytes(text.as_bytes()));
            hash.finish()
        };
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_ne!(hash(&["a"]), hash(&["a\0"]));
        assert_ne!(hash(&[""]), hash(&["", ""]));
        assert_eq!(hash(&["the same"]), hash(&["the same"]));
    }
}
