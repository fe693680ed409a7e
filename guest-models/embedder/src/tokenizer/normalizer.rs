//! What is done to a text before it is cut into words, as BERT does it.

use std::borrow::Cow;

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use super::FILE;
use crate::error::LoadError;
use crate::json::Object;

/// What is done to a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Normalizer {
    /// Whether control characters are taken out, and all white space becomes spaces.
    cleans: bool,
    /// Whether each ideograph is a word.
    parts_ideographs: bool,
    /// Whether letters lose their accents.
    strips_accents: bool,
    /// Whether letters become small.
    lowers: bool,
}

impl Normalizer {
    pub(super) fn read(part: Option<&Value>) -> Result<Self, LoadError> {
        let Some(value) = part else {
            return Ok(Self {
                cleans: false,
                parts_ideographs: false,
                strips_accents: false,
                lowers: false,
            });
        };
        let part = Object { file: FILE, value };
        let kind = part.text("type")?.unwrap_or_default();
        if kind != "BertNormalizer" {
            let problem = format!("is `{kind}`, which is not supported; BertNormalizer is");
            return Err(part.wrong("normalizer.type", problem));
        }
        let lowers = part.flag("lowercase")?;
        Ok(Self {
            cleans: part.flag("clean_text")?,
            parts_ideographs: part.flag("handle_chinese_chars")?,
            // Left open, it goes by the other one.
            strips_accents: match part.value("strip_accents") {
                None => lowers,
                Some(_) => part.flag("strip_accents")?,
            },
            lowers,
        })
    }

    pub(super) fn normalize(self, text: &str) -> Cow<'_, str> {
        let mut text = Cow::Borrowed(text);
        if self.cleans {
            let kept = text.chars().filter(|char| !is_control(*char));
            let spaced = kept.map(|char| if char.is_whitespace() { ' ' } else { char });
            text = Cow::Owned(spaced.collect());
        }
        if self.parts_ideographs && text.chars().any(is_ideograph) {
            let mut parted = String::with_capacity(text.len() * 2);
            for char in text.chars() {
                if is_ideograph(char) {
                    parted.extend([' ', char, ' ']);
                } else {
                    parted.push(char);
                }
            }
            text = Cow::Owned(parted);
        }
        if self.strips_accents && !text.is_ascii() {
            let bare = text
                .nfd()
                .filter(|char| char.general_category() != GeneralCategory::NonspacingMark);
            text = Cow::Owned(bare.collect());
        }
        if self.lowers {
            // Letter by letter: a sigma at the end of a word is as any other.
            text = Cow::Owned(text.chars().flat_map(char::to_lowercase).collect());
        }
        text
    }
}

fn is_control(char: char) -> bool {
    match char {
        '\t' | '\n' | '\r' => false,
        '\0' | '\u{fffd}' => true,
        _ => matches!(
            char.general_category(),
            GeneralCategory::Control | GeneralCategory::Format | GeneralCategory::PrivateUse
        ),
    }
}

/// Whether a character is a word by itself, as punctuation is.
pub(super) fn is_sign(char: char) -> bool {
    char.is_ascii_punctuation()
        || char.general_category_group() == GeneralCategoryGroup::Punctuation
}

/// Whether a character is of the blocks of unified ideographs.
fn is_ideograph(char: char) -> bool {
    matches!(u32::from(char),
        0x4e00..=0x9fff
            | 0x3400..=0x4dbf
            | 0x2_0000..=0x2_a6df
            | 0x2_a700..=0x2_b73f
            | 0x2_b740..=0x2_b81f
            | 0x2_b920..=0x2_ceaf
            | 0xf900..=0xfaff
            | 0x2_f800..=0x2_fa1f)
}
