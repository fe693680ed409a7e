//! The rules for paths inside a bundle: [`AssetName`], a relative path that has passed all of
//! them, and [`PathSet`], which finds two paths that a person or a file system could confuse.
//!
//! Content is stored under its digest and never under these paths, so nothing here guards a
//! file system of ours. It guards those who unpack the same archive with other tools, and the
//! promise that one name means one file wherever the bundle is read.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use icu_casemap::CaseMapper;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

use crate::digest::Digest;
use crate::text::{quotable, quotable_bytes, serde_as_text};

/// The name of a file in a bundle: a relative path with `/` between its parts, at most
/// [`AssetName::BYTES_MAX`] bytes and [`AssetName::DEPTH_MAX`] parts.
///
/// It has no `.` and `..` parts, no empty parts, no backslashes, no drive letter, no control
/// and no invisible characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetName(String);

impl AssetName {
    /// The longest name whatever the policy says, in bytes.
    pub const BYTES_MAX: usize = 1024;
    /// The most parts whatever the policy says.
    pub const DEPTH_MAX: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks raw bytes of an archive, with bounds on length and on the number of parts.
    pub(crate) fn from_bytes(bytes: &[u8], bounds: PathBounds) -> Result<Self, PathError> {
        let refuse = |rule| PathError {
            path: quotable_bytes(bytes),
            rule,
        };
        // Length first: every later rule then works on bounded input.
        if bytes.len() > bounds.bytes_max {
            return Err(refuse(PathRule::TooLong {
                limit: bounds.bytes_max,
            }));
        }
        if bytes.contains(&0) {
            return Err(refuse(PathRule::Nul));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| refuse(PathRule::NotUtf8))?;
        check(text, bounds).map_err(refuse)?;
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for AssetName {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::from_bytes(text.as_bytes(), PathBounds::WIDEST)
    }
}

impl fmt::Display for AssetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for AssetName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for AssetName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

serde_as_text!(AssetName);

/// How long and how deep a path may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PathBounds {
    pub(crate) bytes_max: usize,
    pub(crate) depth_max: usize,
}

impl PathBounds {
    /// What no policy can exceed.
    pub(crate) const WIDEST: Self = Self {
        bytes_max: AssetName::BYTES_MAX,
        depth_max: AssetName::DEPTH_MAX,
    };
}

/// A path that is refused, and the rule it breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the path \"{path}\" {rule}")]
pub struct PathError {
    /// The path, made safe to print.
    pub path: String,
    /// The first rule it breaks.
    pub rule: PathRule,
}

/// The rules for paths. Each has a code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathRule {
    /// There is no path.
    #[error("is empty")]
    Empty,
    /// Too many bytes.
    #[error("is longer than {limit} bytes")]
    TooLong {
        /// In bytes.
        limit: usize,
    },
    /// Too many parts.
    #[error("has more than {limit} parts")]
    TooDeep {
        /// The most parts.
        limit: usize,
    },
    /// It holds a zero byte, which would end it early for programs in C.
    #[error("has a zero byte")]
    Nul,
    /// Not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// It begins with `/`.
    #[error("is absolute: write it relative to the root of the bundle")]
    Absolute,
    /// It begins as `C:` does.
    #[error("begins with a drive letter")]
    DriveLetter,
    /// `\`, which separates parts on some systems and not on others.
    #[error("has a backslash: separate parts with '/'")]
    Backslash,
    /// A part is `..`.
    #[error("has a '..' part")]
    Parent,
    /// A part is `.`.
    #[error("has a '.' part")]
    Dot,
    /// Two `/` in a row, or one at the end of a file's name.
    #[error("has an empty part")]
    EmptyPart,
    /// A control character, such as a line feed or an escape.
    #[error("has a control character")]
    Control,
    /// A character that shows as nothing or turns the direction of writing.
    #[error("has an invisible character")]
    Invisible,
}

impl PathRule {
    /// A stable name of the rule for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "path_empty",
            Self::TooLong { .. } => "path_too_long",
            Self::TooDeep { .. } => "path_too_deep",
            Self::Nul => "path_nul",
            Self::NotUtf8 => "path_not_utf8",
            Self::Absolute => "path_absolute",
            Self::DriveLetter => "path_drive_letter",
            Self::Backslash => "path_backslash",
            Self::Parent => "path_parent",
            Self::Dot => "path_dot",
            Self::EmptyPart => "path_empty_part",
            Self::Control => "path_control",
            Self::Invisible => "path_invisible",
        }
    }
}

fn check(text: &str, bounds: PathBounds) -> Result<(), PathRule> {
    if text.is_empty() {
        return Err(PathRule::Empty);
    }
    if text.starts_with('/') {
        return Err(PathRule::Absolute);
    }
    if text.contains('\\') {
        return Err(PathRule::Backslash);
    }
    let mut first = text.bytes();
    if first.next().is_some_and(|byte| byte.is_ascii_alphabetic()) && first.next() == Some(b':') {
        return Err(PathRule::DriveLetter);
    }
    if text.chars().any(char::is_control) {
        return Err(PathRule::Control);
    }
    if text.chars().any(is_invisible) {
        return Err(PathRule::Invisible);
    }
    for part in text.split('/') {
        match part {
            "" => return Err(PathRule::EmptyPart),
            "." => return Err(PathRule::Dot),
            ".." => return Err(PathRule::Parent),
            _ => {}
        }
    }
    if text.split('/').count() > bounds.depth_max {
        return Err(PathRule::TooDeep {
            limit: bounds.depth_max,
        });
    }
    Ok(())
}

/// Characters that make two names look alike or a name look like another one: zero-width ones,
/// line separators, marks that turn the direction of writing, tags and variation selectors.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The paths seen so far, to find a second one that is the same to somebody: byte for byte, to
/// a file system that folds case, or to one that normalises Unicode.
#[derive(Debug, Default)]
pub(crate) struct PathSet {
    /// By folded path. Hashes instead of the paths themselves, so that a thousand long names
    /// cost kilobytes.
    seen: HashMap<[u8; 32], Seen>,
}

#[derive(Debug)]
struct Seen {
    /// The hash of the path as it was written.
    spelling: [u8; 32],
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File,
    /// Named by an entry of its own.
    Directory,
    /// Only there because something is inside it.
    Parent,
}

/// How a path collides with an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collision {
    /// The same path twice.
    Same,
    /// Another spelling of the same path: case or Unicode normalisation.
    Folded,
    /// A file where a directory is, or the reverse.
    FileAndDirectory,
}

impl PathSet {
    /// Adds a file with all its parents.
    pub(crate) fn add_file(&mut self, path: &str) -> Result<(), Collision> {
        self.add(path, Kind::File)
    }

    /// Adds a directory with all its parents.
    pub(crate) fn add_directory(&mut self, path: &str) -> Result<(), Collision> {
        self.add(path, Kind::Directory)
    }

    /// How many files and directories there are, those included that only follow from what is
    /// inside them.
    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }

    fn add(&mut self, path: &str, kind: Kind) -> Result<(), Collision> {
        for (end, _) in path.match_indices('/') {
            if let Some(parent) = path.get(..end) {
                self.add_one(parent, Kind::Parent)?;
            }
        }
        self.add_one(path, kind)
    }

    fn add_one(&mut self, path: &str, kind: Kind) -> Result<(), Collision> {
        let spelling = *Digest::of(path.as_bytes()).as_bytes();
        let folded = *Digest::of(folded(path).as_bytes()).as_bytes();
        let Some(seen) = self.seen.get_mut(&folded) else {
            self.seen.insert(folded, Seen { spelling, kind });
            return Ok(());
        };
        if seen.spelling != spelling {
            return Err(Collision::Folded);
        }
        match (seen.kind, kind) {
            (Kind::Parent, Kind::Directory) => seen.kind = Kind::Directory,
            (Kind::Parent | Kind::Directory, Kind::Parent) => {}
            (Kind::File, Kind::File) | (Kind::Directory, Kind::Directory) => {
                return Err(Collision::Same);
            }
            (Kind::File, Kind::Directory | Kind::Parent)
            | (Kind::Directory | Kind::Parent, Kind::File) => {
                return Err(Collision::FileAndDirectory);
            }
        }
        Ok(())
    }
}

/// The Unicode compatibility caseless form (definition D146): equal for all spellings that any
/// common file system takes for the same name, and for look-alikes such as `ﬁ` and `fi`.
pub(crate) fn folded(path: &str) -> String {
    let fold = CaseMapper::new();
    let first: String = path.nfd().collect();
    let second: String = fold.fold_string(&first).nfkd().collect();
    fold.fold_string(&second).nfkd().collect()
}

/// `path` without what `tar` writes around a path inside the archive: one leading `./` (from
/// `tar c .`) and, for a directory, one `/` at the end. The root directory itself is empty.
pub(crate) fn without_decoration(path: &[u8], directory: bool) -> &[u8] {
    if directory && (path == b"." || path == b"./") {
        return b"";
    }
    let path = path.strip_prefix(b"./").unwrap_or(path);
    if directory {
        path.strip_suffix(b"/").unwrap_or(path)
    } else {
        path
    }
}

/// For a message: the path as far as it can be shown.
pub(crate) fn shown(path: &AssetName) -> String {
    quotable(path.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn rule(path: &[u8]) -> &'static str {
        let bounds = PathBounds {
            bytes_max: 32,
            depth_max: 3,
        };
        AssetName::from_bytes(path, bounds).unwrap_err().rule.code()
    }

    #[test]
    fn each_rule_refuses() {
        assert_eq!(rule(b""), "path_empty");
        assert_eq!(rule(b"/etc/passwd"), "path_absolute");
        assert_eq!(rule(b"a/../b"), "path_parent");
        assert_eq!(rule(b".."), "path_parent");
        assert_eq!(rule(b"./a"), "path_dot");
        assert_eq!(rule(b"a//b"), "path_empty_part");
        assert_eq!(rule(b"a/"), "path_empty_part");
        assert_eq!(rule(b"a\\b"), "path_backslash");
        assert_eq!(rule(b"C:x"), "path_drive_letter");
        assert_eq!(rule(b"a\0b"), "path_nul");
        assert_eq!(rule(b"a\nb"), "path_control");
        assert_eq!(rule("a\u{85}b".as_bytes()), "path_control");
        assert_eq!(rule("a\u{202e}b".as_bytes()), "path_invisible");
        assert_eq!(rule("a\u{200b}b".as_bytes()), "path_invisible");
        assert_eq!(rule(b"a\xffb"), "path_not_utf8");
        assert_eq!(rule(&[b'a'; 33]), "path_too_long");
        assert_eq!(rule(b"a/b/c/d"), "path_too_deep");
    }

    #[test]
    fn ordinary_paths_pass() {
        for path in [
            "model.wasm",
            "a/b/c.gguf",
            "...",
            ".hidden",
            "naïve/日本語.txt",
            "a b",
            "ab:c",
            "1:2",
        ] {
            assert_eq!(path.parse::<AssetName>().unwrap().as_str(), path);
        }
    }

    #[test]
    fn spellings_of_one_name_collide() {
        for (first, second) in [
            ("a", "A"),
            ("straße", "STRASSE"),
            ("é", "e\u{301}"),
            ("ﬁle", "file"),
            ("Å", "\u{212b}"),
            ("dir/x", "DIR/y"),
            ("①", "1"),
        ] {
            let mut set = PathSet::default();
            set.add_file(first).unwrap();
            assert_eq!(
                set.add_file(second),
                Err(Collision::Folded),
                "{first} {second}"
            );
        }
    }

    #[test]
    fn files_directories_and_parents() {
        let mut set = PathSet::default();
        set.add_file("a/b/c").unwrap();
        set.add_directory("a/b").unwrap();
        set.add_file("a/b/d").unwrap();
        assert_eq!(set.len(), 4);
        assert_eq!(set.add_directory("a/b"), Err(Collision::Same));
        assert_eq!(set.add_file("a/b/c"), Err(Collision::Same));
        assert_eq!(set.add_file("a"), Err(Collision::FileAndDirectory));
        assert_eq!(set.add_file("a/b/c/e"), Err(Collision::FileAndDirectory));
    }

    #[test]
    fn decoration_is_taken_off_once() {
        assert_eq!(without_decoration(b"./a", false), b"a");
        assert_eq!(without_decoration(b"././a", false), b"./a");
        assert_eq!(without_decoration(b"./a/", true), b"a");
        assert_eq!(without_decoration(b"a//", true), b"a/");
        assert_eq!(without_decoration(b"./", true), b"");
        assert_eq!(without_decoration(b"./", false), b"");
    }
}
