//! JSON within bounds: one pass over a text before anything reads it.
//!
//! [`check`] knows how deep a text nests, how many items and keys its lists and objects have,
//! how long its strings are, whether a key comes twice, whether a number is one that no `f64`
//! holds, and whether a string holds half a surrogate pair or a control character. It builds
//! nothing, keeps only the keys of the objects that are open, and takes time linear in the
//! text. It does not judge the grammar: whatever reads the text afterwards does that, and for
//! every text that is JSON the two agree on what is in it.

mod scan;
mod text;

use scan::Scan;
use std::fmt;

/// What a text may be like. Sizes are of decoded strings, in bytes of UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Lists and objects within each other.
    pub depth_max: usize,
    /// Items of one list.
    pub array_items_max: usize,
    /// Bytes of one string that is a value.
    pub string_bytes_max: usize,
    /// Keys of one object.
    pub keys_max: usize,
    /// Bytes of one key.
    pub key_bytes_max: usize,
    /// Whether a key may come twice in an object.
    pub duplicate_keys: bool,
    /// Whether strings may hold control characters other than tab, line feed and carriage
    /// return; keys hold them only where duplicates are allowed, too.
    pub control_characters: bool,
    /// Whether lists are data, as those of tensors are. Then their items are not counted and
    /// numbers in them are left to the reader, which has to look at each anyway; lists, objects
    /// and strings in them are checked as everywhere.
    pub lists_are_data: bool,
}

/// Where a text is out of bounds, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The value or key that is out of bounds, such as `messages[2].content`. Empty for the
    /// whole text. Keys in it are the sender's, cut short.
    pub path: String,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Lists and objects within each other beyond the limit.
    #[error("nests more than {max} lists and objects")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// A list beyond its limit.
    #[error("has more than {max} items")]
    TooManyItems {
        /// The limit.
        max: usize,
    },
    /// A string beyond its limit.
    #[error("is longer than {max} bytes")]
    StringTooLong {
        /// The limit.
        max: usize,
    },
    /// An object beyond its limit.
    #[error("has more than {max} keys")]
    TooManyKeys {
        /// The limit.
        max: usize,
    },
    /// A key beyond its limit; the path names the object.
    #[error("has a key longer than {max} bytes")]
    KeyTooLong {
        /// The limit.
        max: usize,
    },
    /// A key that comes twice: two readers could each take another of its values.
    #[error("appears twice")]
    DuplicateKey,
    /// NUL.
    #[error("holds a NUL character")]
    Nul,
    /// A control character besides tab, line feed and carriage return.
    #[error("holds a control character")]
    ControlCharacter,
    /// Half of a surrogate pair, which is no character.
    #[error("holds half of a surrogate pair")]
    LoneSurrogate,
    /// A number that no `f64` holds, such as `1e400`.
    #[error("is a number out of range")]
    NumberOutOfRange,
    /// Bytes that are not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "the text {}", self.reason),
            path => write!(f, "`{path}` {}", self.reason),
        }
    }
}

impl std::error::Error for Fault {}

/// Checks a whole text.
///
/// # Errors
///
/// The first fault. A text that is not JSON may have none; its reader refuses it.
pub fn check(json: &[u8], bounds: &Bounds) -> Result<(), Fault> {
    let mut scan = Scan::new(json, bounds);
    let Err(found) = scan.run() else {
        return Ok(());
    };
    let (reason, place) = *found;
    let fault = Fault {
        path: scan.path(&place),
        reason,
    };
    if !bounds.lists_are_data {
        return Err(fault);
    }
    // Nothing was counted on the way, so the path is found on a second one.
    let counting = Bounds {
        lists_are_data: false,
        array_items_max: usize::MAX,
        ..*bounds
    };
    check(json, &counting)?;
    Err(fault)
}

#[cfg(test)]
mod tests;
