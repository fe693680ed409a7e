//! What has been screened and passed. The same few names, such as `fake` and `x`, come with nearly
//! every request, and each costs as much to screen as a sentence; a chat brings its system prompt and
//! all its earlier turns again with each of its turns.

use crate::ids::KeyId;
use belljar_screen::FieldKind;
use parking_lot::Mutex;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

/// Names that are remembered; another with the same slot takes the place of one. About 14 KB.
const NAMES_MAX: usize = 256;
/// The longest name that is, in bytes.
const NAME_BYTES_MAX: usize = 46;

/// A bounded number of places, in each of which the last thing is remembered that came there.
struct Slots<T>(Box<[Mutex<Option<T>>]>);

impl<T: PartialEq> Slots<T> {
    fn new(count: usize) -> Self {
        Self(std::iter::repeat_with(Mutex::default).take(count).collect())
    }

    /// Whether this very thing is what is remembered at its place.
    fn has(&self, hash: u64, thing: &T) -> bool {
        // Whoever holds the slot looks at it, too; what was asked for is screened once more then.
        let slot = self.at(hash).and_then(Mutex::try_lock);
        slot.is_some_and(|slot| slot.as_ref() == Some(thing))
    }

    fn note(&self, hash: u64, thing: T) {
        if let Some(mut slot) = self.at(hash).and_then(Mutex::try_lock) {
            *slot = Some(thing);
        }
    }

    fn at(&self, hash: u64) -> Option<&Mutex<Option<T>>> {
        self.0.get(hash as usize % self.0.len().max(1))
    }
}

/// The names that have passed one set of rules.
pub(super) struct PassedNames {
    slots: Slots<Name>,
    hasher: RandomState,
}

/// A name in a place, padded with zeros.
#[derive(PartialEq, Eq)]
struct Name {
    kind: FieldKind,
    length: usize,
    name: [u8; NAME_BYTES_MAX],
}

impl fmt::Debug for PassedNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassedNames").finish_non_exhaustive()
    }
}

impl PassedNames {
    pub(super) fn new() -> Self {
        Self {
            slots: Slots::new(NAMES_MAX),
            hasher: RandomState::new(),
        }
    }

    /// Whether this very name is known to pass in such a place.
    pub(super) fn has(&self, kind: FieldKind, name: &str) -> bool {
        let known = Name::of(kind, name);
        known.is_some_and(|known| self.slots.has(self.hash(kind, name), &known))
    }

    /// Remembers a name that has passed.
    pub(super) fn note(&self, kind: FieldKind, name: &str) {
        if let Some(known) = Name::of(kind, name) {
            self.slots.note(self.hash(kind, name), known);
        }
    }

    /// A keyed hash: nobody can choose names that push one another out.
    fn hash(&self, kind: FieldKind, name: &str) -> u64 {
        self.hasher.hash_one((kind as u8, name))
    }
}

impl Name {
    /// A name as it is remembered; none where it never is. What people write is no name.
    fn of(kind: FieldKind, name: &str) -> Option<Self> {
        let is_name = match kind {
            FieldKind::Identifier | FieldKind::Schema | FieldKind::Tensor => true,
            FieldKind::Prompt
            | FieldKind::History
            | FieldKind::ToolResult
            | FieldKind::Document
            | FieldKind::Header => false,
        };
        let mut bytes = [0; NAME_BYTES_MAX];
        bytes
            .get_mut(..name.len())
            .filter(|_| is_name)?
            .copy_from_slice(name.as_bytes());
        Some(Self {
            kind,
            length: name.len(),
            name: bytes,
        })
    }
}

/// Texts that are remembered; another with the same slot takes the place of one. About 280 KB.
const TEXTS_MAX: usize = 8192;

/// The texts that have passed one set of rules, by their digests. Each key has its own: how long a
/// screening takes must not tell that another key has sent the same.
pub(super) struct PassedTexts {
    slots: Slots<Mark>,
    key: [u8; blake3::KEY_LEN],
}

/// What stands for a text of a key in a place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark([u8; blake3::OUT_LEN]);

impl fmt::Debug for PassedTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassedTexts").finish_non_exhaustive()
    }
}

impl PassedTexts {
    pub(super) fn new() -> Self {
        Self {
            slots: Slots::new(TEXTS_MAX),
            // Nobody can make a text that has the mark of another.
            key: rand::random(),
        }
    }

    /// What stands for a text of this key; callers without one share theirs.
    pub(super) fn mark(&self, owner: Option<&KeyId>, kind: FieldKind, text: &str) -> Mark {
        let owner = owner.map_or("", KeyId::as_str);
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[kind as u8]);
        hasher.update(&(owner.len() as u64).to_le_bytes());
        hasher.update(owner.as_bytes()).update(text.as_bytes());
        Mark(*hasher.finalize().as_bytes())
    }

    /// Whether the text is known to pass.
    pub(super) fn has(&self, mark: &Mark) -> bool {
        self.slots.has(mark.hash(), mark)
    }

    /// Remembers a text that has passed.
    pub(super) fn note(&self, mark: Mark) {
        self.slots.note(mark.hash(), mark);
    }
}

impl Mark {
    fn hash(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn only_the_very_text_of_the_very_key_in_the_very_place_is_known() {
        let texts = PassedTexts::new();
        let [one, other]: [KeyId; 2] =
            ["key_0000000000000001", "key_0000000000000002"].map(|id| id.parse().unwrap());
        let long = "a".repeat(10_000);
        let note = |text: &str| texts.note(texts.mark(Some(&one), FieldKind::Prompt, text));
        note("hello");
        note(&long);
        let has = |owner, kind, text: &str| texts.has(&texts.mark(owner, kind, text));
        assert!(has(Some(&one), FieldKind::Prompt, "hello"));
        assert!(has(Some(&one), FieldKind::Prompt, &long));
        for (owner, kind, text) in [
            (Some(&other), FieldKind::Prompt, "hello"),
            (None, FieldKind::Prompt, "hello"),
            (Some(&one), FieldKind::History, "hello"),
            (Some(&one), FieldKind::Prompt, "hello "),
            (Some(&one), FieldKind::Prompt, ""),
        ] {
            assert!(!has(owner, kind, text), "{owner:?} {text:?}");
        }
    }

    #[test]
    fn only_the_very_name_in_the_very_place_is_known() {
        let names = PassedNames::new();
        names.note(FieldKind::Identifier, "fake");
        assert!(names.has(FieldKind::Identifier, "fake"));
        for (kind, name) in [
            (FieldKind::Schema, "fake"),
            (FieldKind::Identifier, "fak"),
            (FieldKind::Identifier, "fake\0"),
            (FieldKind::Identifier, ""),
            (FieldKind::Prompt, "fake"),
        ] {
            assert!(!names.has(kind, name), "{name:?}");
        }
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        names.note(FieldKind::Identifier, &long);
        assert!(!names.has(FieldKind::Identifier, &long));
        names.note(FieldKind::Prompt, "hello");
        assert!(!names.has(FieldKind::Prompt, "hello"), "no name");
    }
}
