//! Texts as sound, for who asks for a spoken answer: a tone for each letter at the pace of speech,
//! in the container that was asked for. It is there to try a client's ways, and says nothing.

mod containers;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
pub(super) use containers::Format;

/// Samples a second, of one channel.
const RATE: u32 = 24_000;
/// Samples of a character, at 15 of them a second.
const CHARACTER: usize = 1_600;
/// Samples of all answers to one request: two minutes. What is longer is spoken faster.
const SAMPLES_MAX: usize = 120 * RATE as usize;
/// Samples in which a tone comes and goes; one that begins at once is heard as a click.
const EDGE: i32 = 96;

/// A voice, as it is asked for by name: the lowest of its tones, in hertz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Voice(u32);

/// How an answer is spoken.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpeechStyle {
    pub(super) format: Format,
    pub(super) voice: Voice,
    /// Answers that are spoken together.
    pub(super) answers: u32,
}

/// One answer on its way to sound.
#[derive(Clone, Debug)]
pub(super) struct Speech {
    voice: Voice,
    samples_left: usize,
    phase: u32,
}

impl Voice {
    /// The voice of a name.
    pub(super) fn named(name: &str) -> Option<Self> {
        const VOICES: [&str; 13] = [
            "onyx", "echo", "ash", "cedar", "verse", "ballad", "fable", "alloy", "sage", "marin",
            "coral", "nova", "shimmer",
        ];
        let at = VOICES.iter().position(|voice| *voice == name)?;
        let at = u32::try_from(at).unwrap_or_default();
        Some(Self(110 + 10 * at))
    }

    /// A voice that somebody has made.
    pub(super) const OWN: Self = Self(200);
}

impl SpeechStyle {
    fn samples_max(self) -> usize {
        SAMPLES_MAX / usize::try_from(self.answers.max(1)).unwrap_or(usize::MAX)
    }

    /// An answer that has not begun.
    pub(super) fn begin(self) -> Speech {
        Speech {
            voice: self.voice,
            samples_left: self.samples_max(),
            phase: 0,
        }
    }

    /// A whole answer in base64.
    pub(super) fn spoken(self, text: &str) -> String {
        let characters = text.chars().count().max(1);
        let each = CHARACTER.min(self.samples_max() / characters);
        if self.format.is_silent() {
            return STANDARD.encode(self.format.silence(each.saturating_mul(characters)));
        }
        let mut samples = Vec::with_capacity(each.saturating_mul(characters));
        let mut speech = self.begin();
        for character in text.chars() {
            speech.tone(character, each, &mut samples);
        }
        STANDARD.encode(self.format.of(&samples))
    }

    /// About how many bytes a whole answer has, before it is known.
    pub(super) fn bytes_max(self) -> usize {
        if self.format.is_silent() {
            0
        } else {
            SAMPLES_MAX * size_of::<i16>()
        }
    }
}

impl Speech {
    /// The sound of a piece of text as bare samples, in base64. Nothing once the sound is as long
    /// as it may be.
    pub(super) fn say(&mut self, text: &str) -> String {
        let mut samples = Vec::new();
        for character in text.chars() {
            self.tone(character, CHARACTER, &mut samples);
        }
        STANDARD.encode(Format::Pcm16.of(&samples))
    }

    fn tone(&mut self, character: char, length: usize, samples: &mut Vec<i16>) {
        let length = length.min(self.samples_left);
        self.samples_left -= length;
        if !character.is_alphanumeric() {
            samples.resize(samples.len() + length, 0);
            return;
        }
        let Voice(lowest) = self.voice;
        let hertz = lowest + lowest / 8 * (u32::from(character) % 8);
        // A turn of the phase is all of its 32 bits.
        let step = hertz * (u32::MAX / RATE);
        let end = i32::try_from(length).unwrap_or(i32::MAX);
        for at in 0..end {
            self.phase = self.phase.wrapping_add(step);
            let loudness = at.min(end - 1 - at).min(EDGE);
            let sample = sine(self.phase) * loudness / (EDGE * 4);
            samples.push(i16::try_from(sample).unwrap_or_default());
        }
    }
}

/// About the sine of a phase, from -32 768 to 32 767: in whole numbers, which are the same on
/// every machine.
fn sine(phase: u32) -> i32 {
    let turn = i32::from(phase.to_be_bytes()[0]) * 256 + i32::from(phase.to_be_bytes()[1]);
    let turn = turn - 32_768;
    (turn * (32_768 - turn.abs())) >> 13
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn style(format: Format) -> SpeechStyle {
        let voice = Voice::named("alloy").unwrap();
        SpeechStyle {
            format,
            voice,
            answers: 1,
        }
    }

    #[test]
    fn a_second_has_fifteen_characters_and_pieces_sound_like_the_whole() {
        let whole = STANDARD
            .decode(style(Format::Pcm16).spoken("Hello, big sea!"))
            .unwrap();
        assert_eq!(whole.len(), 48_000);
        assert!(whole.iter().any(|byte| *byte != 0));
        let mut speech = style(Format::Pcm16).begin();
        let pieces = ["Hello,", " big", " sea!"].map(|piece| STANDARD.decode(speech.say(piece)));
        let pieces: Vec<u8> = pieces.into_iter().flat_map(Result::unwrap).collect();
        assert!(pieces == whole);
    }

    #[test]
    fn a_long_answer_is_no_longer_than_two_minutes() {
        let text = "a".repeat(100_000);
        let whole = STANDARD.decode(style(Format::Pcm16).spoken(&text)).unwrap();
        assert!(whole.len() <= SAMPLES_MAX * 2, "{}", whole.len());
        let mut speech = style(Format::Pcm16).begin();
        let first = STANDARD.decode(speech.say(&text)).unwrap();
        assert_eq!(first.len(), SAMPLES_MAX * 2);
        assert!(speech.say(&text).is_empty());
    }
}
