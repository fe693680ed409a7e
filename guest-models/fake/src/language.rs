//! The languages that answers are written in, and which of them a text is in: by its letters, and
//! where those are Latin, by its most common words.

use crate::lexicon::{LATIN_LANGUAGES, Tag};
use crate::words::{Script, script};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Language {
    #[default]
    English,
    Spanish,
    French,
    German,
    Portuguese,
    Italian,
    Chinese,
    Arabic,
    Russian,
    Japanese,
    Korean,
    Hindi,
}

/// In the order of the numbers that the lexicon has for them.
pub(crate) const LANGUAGES: [Language; 12] = [
    Language::English,
    Language::Spanish,
    Language::French,
    Language::German,
    Language::Portuguese,
    Language::Italian,
    Language::Chinese,
    Language::Arabic,
    Language::Russian,
    Language::Japanese,
    Language::Korean,
    Language::Hindi,
];

impl Language {
    /// Whether words stand without spaces between them.
    pub(crate) fn is_unspaced(self) -> bool {
        matches!(self, Self::Chinese | Self::Japanese)
    }
}

/// What speaks for each language, while a text is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    latin: [u32; LATIN_LANGUAGES],
    latin_letters: u32,
    cyrillic: u32,
    arabic: u32,
    devanagari: u32,
    han: u32,
    kana: u32,
    hangul: u32,
}

impl Evidence {
    /// Takes in a letter that is not of the English alphabet.
    pub(crate) fn letter(&mut self, letter: char) {
        const ES: usize = 1;
        const FR: usize = 2;
        const DE: usize = 3;
        const PT: usize = 4;
        const IT: usize = 5;
        let speaks_for: &[(usize, u32)] = match letter {
            'ñ' | '¿' | '¡' => &[(ES, 4)],
            'ß' => &[(DE, 4)],
            'ä' | 'ö' | 'ü' => &[(DE, 3)],
            'ã' | 'õ' => &[(PT, 4)],
            'ê' | 'ô' => &[(FR, 2), (PT, 2)],
            'ç' | 'â' => &[(FR, 1), (PT, 2)],
            'î' | 'œ' | 'ù' | 'ë' => &[(FR, 3)],
            'è' | 'à' => &[(FR, 2), (IT, 2)],
            'ò' | 'ì' => &[(IT, 3)],
            'í' | 'ó' | 'ú' | 'á' => &[(ES, 1), (PT, 1)],
            'é' => &[(FR, 1), (ES, 1), (PT, 1)],
            _ => &[],
        };
        for (language, weight) in speaks_for {
            if let Some(score) = self.latin.get_mut(*language) {
                *score += weight;
            }
        }
        match script(letter) {
            Script::Latin => self.latin_letters += 1,
            Script::Cyrillic => self.cyrillic += 1,
            Script::Arabic => self.arabic += 1,
            Script::Devanagari => self.devanagari += 1,
            Script::Han => self.han += 1,
            Script::Kana => self.kana += 1,
            Script::Hangul => self.hangul += 1,
            _ => {}
        }
    }

    /// Takes in a word of the English alphabet, or one that is known.
    pub(crate) fn word(&mut self, letters: usize, tag: Tag) {
        self.latin_letters += letters as u32;
        if tag.is_english() {
            let [english, ..] = &mut self.latin;
            *english += 3;
            return;
        }
        // A word that few languages have says more.
        let weight = match tag.languages() {
            0 => return,
            1 => 3,
            2 => 2,
            _ => 1,
        };
        for (language, score) in self.latin.iter_mut().enumerate() {
            if tag.is_common_in(language) {
                *score += weight;
            }
        }
    }

    /// The language beside English, where there is one: what `reply in the same language` is
    /// about is what stands behind these words.
    pub(crate) fn beside_english(&self) -> Option<Language> {
        let (most, language) = self.beyond_latin();
        if most > 0 {
            return Some(language);
        }
        let [_, others @ ..] = &self.latin;
        let (at, score) = others
            .iter()
            .enumerate()
            .max_by_key(|(at, score)| (**score, usize::MAX - at))?;
        // A single word that languages share says nothing.
        (*score > 3)
            .then(|| LANGUAGES.get(at + 1).copied())
            .flatten()
    }

    /// The script beyond the Latin one that most speaks for, and how much, in letters.
    fn beyond_latin(&self) -> (u32, Language) {
        // A character of these says as much as some letters of an alphabet do.
        let unspaced = (self.han + self.kana) * 3;
        let others = [
            (self.cyrillic, Language::Russian),
            (self.arabic, Language::Arabic),
            (self.devanagari, Language::Hindi),
            (self.hangul * 2, Language::Korean),
            (
                unspaced,
                if self.kana > 0 {
                    Language::Japanese
                } else {
                    Language::Chinese
                },
            ),
        ];
        others
            .into_iter()
            .fold((0, Language::English), |best, other| {
                if other.0 > best.0 { other } else { best }
            })
    }

    /// The language that most speaks for; none where nothing does.
    pub(crate) fn verdict(&self) -> Option<Language> {
        let (most, language) = self.beyond_latin();
        if most >= self.latin_letters && most > 0 {
            return Some(language);
        }
        let [english, ..] = self.latin;
        let (index, score) =
            self.latin
                .iter()
                .enumerate()
                .fold((0, english), |best, (index, score)| {
                    if *score > best.1 {
                        (index, *score)
                    } else {
                        best
                    }
                });
        (score > 0).then(|| LANGUAGES.get(index).copied()).flatten()
    }
}
