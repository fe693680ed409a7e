//! What answers are made of in each language: whole sentences with places for what they are
//! about. Words are put only where no grammar could change them: `{a}` and `{d}` are nouns as
//! they are named, `{b}` leads into a sentence, and `{t}` is a phrase of the prompt.

mod arabic;
mod chinese;
mod english;
mod french;
mod german;
mod hindi;
mod italian;
mod japanese;
mod korean;
mod portuguese;
mod russian;
mod spanish;
mod thoughts;

use crate::language::Language;

pub(crate) use thoughts::THOUGHTS;

/// What a language has to say.
#[derive(Debug)]
pub(crate) struct Voice {
    /// What stands around a phrase of the prompt, which has its own grammar.
    pub(crate) quotes: (&'static str, &'static str),
    /// Whether sentences and words follow each other without a space.
    pub(crate) unspaced: bool,
    /// What an answer is about where the prompt does not say.
    pub(crate) subject: &'static str,
    /// What a greeting is answered with.
    pub(crate) greeting: &'static str,
    pub(crate) yes_no: [&'static str; 2],
    pub(crate) openings: &'static [Sentence],
    pub(crate) body: &'static [Sentence],
    pub(crate) closings: &'static [Sentence],
    pub(crate) nouns: &'static [&'static str],
    pub(crate) leads: &'static [&'static str],
    /// What stands before a list, and before code.
    pub(crate) list: Sentence,
    pub(crate) code: &'static str,
    /// The head of a table of nouns, and how much each of them counts.
    pub(crate) table: [&'static str; 3],
    pub(crate) levels: [&'static str; 3],
    /// What a tool has answered, and that it could not; `{t}` is what it was asked about.
    pub(crate) found: &'static str,
    pub(crate) failed: &'static str,
}

/// A sentence with places for words, which the compiler finds.
#[derive(Debug)]
pub(crate) struct Sentence {
    text: &'static str,
    /// Where the places begin, of which the last may be none.
    places: [u16; PLACES_MAX],
    count: u8,
}

const PLACES_MAX: usize = 4;
/// How long a place is in the text, with its braces.
const PLACE_BYTES: usize = 3;

impl Sentence {
    pub(crate) const fn new(text: &'static str) -> Self {
        let mut sentence = Self {
            text,
            places: [0; PLACES_MAX],
            count: 0,
        };
        let mut at = 0;
        while at < text.len() {
            if text.as_bytes()[at] == b'{' {
                sentence.places[sentence.count as usize] = at as u16;
                sentence.count += 1;
            }
            at += 1;
        }
        sentence
    }

    /// Its places, each as what stands before it and the letter that says what is put there.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&'static str, u8)> {
        let text = self.text;
        let mut from = 0;
        let places = self.places.iter().take(self.count.into());
        places.map(move |at| {
            let at = usize::from(*at);
            let before = text.get(from..at).unwrap_or_default();
            from = at + PLACE_BYTES;
            (before, text.as_bytes().get(at + 1).copied().unwrap_or(0))
        })
    }

    /// Whether one of its places is for what an answer is about.
    pub(crate) fn names_subject(&self) -> bool {
        self.places().any(|(_, place)| place == b't')
    }

    /// What stands behind the last of its places.
    pub(crate) fn end(&self) -> &'static str {
        let last = usize::from(self.count).checked_sub(1);
        let last = last.and_then(|last| self.places.get(last));
        let from = last.map_or(0, |at| usize::from(*at) + PLACE_BYTES);
        self.text.get(from..).unwrap_or_default()
    }
}

const fn sentences<const COUNT: usize>(texts: [&'static str; COUNT]) -> [Sentence; COUNT] {
    let mut sentences = [const { Sentence::new("") }; COUNT];
    let mut at = 0;
    while at < COUNT {
        sentences[at] = Sentence::new(texts[at]);
        at += 1;
    }
    sentences
}

/// The voice of a language.
pub(crate) fn of(language: Language) -> &'static Voice {
    match language {
        Language::English => &english::VOICE,
        Language::Spanish => &spanish::VOICE,
        Language::French => &french::VOICE,
        Language::German => &german::VOICE,
        Language::Portuguese => &portuguese::VOICE,
        Language::Italian => &italian::VOICE,
        Language::Chinese => &chinese::VOICE,
        Language::Arabic => &arabic::VOICE,
        Language::Russian => &russian::VOICE,
        Language::Japanese => &japanese::VOICE,
        Language::Korean => &korean::VOICE,
        Language::Hindi => &hindi::VOICE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::LANGUAGES;

    #[test]
    fn each_voice_has_enough_to_say_and_says_it_well() {
        for language in LANGUAGES {
            let voice = of(language);
            assert!(voice.body.len() >= 20 && voice.nouns.len() >= 12 && voice.leads.len() >= 10);
            assert!(voice.openings.len() >= 5 && voice.closings.len() >= 4);
            assert!(
                voice.body.len() <= crate::choice::CARDS_MAX,
                "a deck has no more cards"
            );
            let ends = ['.', '。', '।', '?', '？'];
            let sentences = voice
                .openings
                .iter()
                .chain(voice.body)
                .chain(voice.closings)
                .map(|sentence| sentence.text);
            for sentence in sentences {
                assert!(sentence.ends_with(ends), "{sentence}");
                let rest = ["{a}", "{b}", "{d}", "{t}"]
                    .iter()
                    .fold(std::string::String::from(sentence), |rest, slot| {
                        rest.replace(slot, "x")
                    });
                assert!(
                    !rest.contains(['{', '}']) && !rest.contains("  "),
                    "{sentence}"
                );
                assert_eq!(
                    sentence.matches(ends).count(),
                    1,
                    "{sentence} is one sentence"
                );
            }
            // Each sentence has a noun or the like, so that it can be said in several ways.
            for sentence in voice.body {
                assert!(sentence.text.contains("{a}"), "{sentence:?}");
            }
            for sentence in voice.openings {
                assert!(sentence.text.contains("{t}"), "{sentence:?}");
            }
            assert!(
                voice.found.contains("{t}")
                    && voice.failed.contains("{t}")
                    && voice.list.text.contains("{t}")
            );
        }
    }
}
