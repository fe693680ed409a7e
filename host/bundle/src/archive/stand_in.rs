//! The name in a header beside the real one in an extension. Extensions exist because the header
//! cannot hold every name, so writers put a shortened name there, or something that only fills
//! the field. Readers that know no extension see it, so it must not be the name of another file.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::path::{AssetName, folded};

/// The width of a header's `name` field.
const HEADER_NAME_BYTES: usize = 100;

/// A path that its header has cut short must still show this many bytes of it: the whole field,
/// but for a character that would not fit.
const CUT_PATH_BYTES_MIN: usize = HEADER_NAME_BYTES - 4;

/// Runs of hexadecimal digits from here on are taken for a digest.
const HASH_DIGITS_MIN: usize = 6;

/// Runs of letters and digits from here on that are no word are taken for a digest in base 32 or
/// 64.
const HASH_LETTERS_MIN: usize = 16;

/// The longest spelling of one character: an escape for each of its four bytes.
const SPELLING_BYTES_MAX: usize = 16;

/// How the name in a header stands to the real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// The same, or what a well-known writer makes of it.
    Form,
    /// Something that stands for it, as long as no file of the bundle is called so.
    StandIn,
    /// Another path that somebody could mean.
    Other,
}

/// Compares the name in a header with the real one in an extension.
pub(super) fn likeness(short: &[u8], long: &[u8]) -> Likeness {
    if is_short_form(short, long) || is_short_form(bare(short), bare(long)) {
        return Likeness::Form;
    }
    // POSIX takes an empty path for "as in the header"; not every reader does.
    let Ok(long) = std::str::from_utf8(bare(long)) else {
        return Likeness::Other;
    };
    if long.is_empty() || long.len() > AssetName::BYTES_MAX {
        return Likeness::Other;
    }
    let text = String::from_utf8_lossy(short);
    let plain: Vec<&str> = text
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    let plain = plain.join("/");
    // What could lead a reader out of the folder is never a stand-in.
    let harmless =
        !text.starts_with('/') && (plain.is_empty() || plain.parse::<AssetName>().is_ok());
    let utf8 = matches!(text, Cow::Borrowed(_));
    if harmless && (plain.is_empty() || !utf8 || stands_for(&plain, long)) {
        Likeness::StandIn
    } else {
        Likeness::Other
    }
}

/// The path without what `tar` writes around it.
fn bare(path: &[u8]) -> &[u8] {
    let path = path.strip_prefix(b"./").unwrap_or(path);
    path.strip_suffix(b"/").unwrap_or(path)
}

/// Whether a writer that means `long` could have put `short` into the header: the same, or cut
/// off, after having replaced (Python) or dropped (Go) what is not ASCII, or with folders in the
/// middle left out (bsdtar).
fn is_short_form(short: &[u8], long: &[u8]) -> bool {
    let cut = |full: &[u8]| {
        full == short || (short.len() >= CUT_PATH_BYTES_MIN && full.starts_with(short))
    };
    if cut(long) || is_without_middle(short, long) {
        return true;
    }
    let Ok(text) = std::str::from_utf8(long) else {
        return false;
    };
    let replaced: String = text
        .chars()
        .map(|c| if c.is_ascii() { c } else { '?' })
        .collect();
    let dropped: String = text.chars().filter(char::is_ascii).collect();
    cut(replaced.as_bytes()) || cut(dropped.as_bytes())
}

/// Whether `short` is `long` without some folders between the first one and the file's name.
fn is_without_middle(short: &[u8], long: &[u8]) -> bool {
    // What fits into the field is never shortened.
    if long.len() <= HEADER_NAME_BYTES {
        return false;
    }
    (0..short.len())
        .filter(|at| short.get(*at) == Some(&b'/'))
        .any(|at| {
            let (lead, tail) = short.split_at_checked(at + 1).unwrap_or((short, &[]));
            let name = [b"/", tail].concat();
            !tail.is_empty() && long.starts_with(lead) && long.ends_with(&name)
        })
}

/// Whether `short` says that it is no name, or is made of `long` in a way that writers have of
/// their own.
fn stands_for(short: &str, long: &str) -> bool {
    is_marked(short, long)
        || is_abridged(short, long)
        || without_leading_folders(long).any(|long| {
            folded(short) == folded(long)
                || is_short_form(short.as_bytes(), long.as_bytes())
                || is_spelt_in_ascii(short, long)
                || is_dos_name(short, long)
        })
}

/// The path itself, and what remains of it without its first folder, its first two, and so on.
fn without_leading_folders(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(at, _)| at + 1);
    let starts = std::iter::once(0).chain(ends).take(AssetName::DEPTH_MAX);
    starts.filter_map(|at| path.get(at..))
}

/// Whether a part of the name is the word of a writer (`PaxHeaders.17`, `@LongLink`), a digest or
/// a number, which the real name does not have.
fn is_marked(short: &str, long: &str) -> bool {
    let hashed = long.split('/').any(has_hash);
    let numbered = long.split('/').any(is_number);
    let mut parts = short.split('/').filter(|part| !long.contains(part));
    parts.any(|part| {
        is_writers_word(part) || (!hashed && has_hash(part)) || (!numbered && is_number(part))
    })
}

/// Words that writers put where a name does not fit.
fn is_writers_word(part: &str) -> bool {
    const WORDS: [&str; 9] = [
        "pax",
        "longlink",
        "longname",
        "longpath",
        "longfile",
        "header",
        "placeholder",
        "gnusparsefile",
        "tarentry",
    ];
    let letters: String = part
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    part.starts_with('@') || WORDS.iter().any(|word| letters.contains(word))
}

fn has_hash(part: &str) -> bool {
    part.split(|c: char| !c.is_ascii_alphanumeric())
        .any(is_hash)
}

fn is_hash(run: &str) -> bool {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let hex = run.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mixed = digits > 1 && run.bytes().any(|byte| byte.is_ascii_alphabetic());
    (hex && digits > 0 && run.len() >= HASH_DIGITS_MIN) || (mixed && run.len() >= HASH_LETTERS_MIN)
}

/// A number, with an extension or without.
fn is_number(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part);
    !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the name is the real one with its middle left out, as in `weigh…s.bin`, or with all
/// of its extension but not of the rest where the real one does not fit.
fn is_abridged(short: &str, long: &str) -> bool {
    let around = |lead: &str, tail: &str| {
        !lead.is_empty()
            && short.len() < long.len()
            && long.starts_with(lead)
            && long
                .get(lead.len()..)
                .is_some_and(|rest| rest.ends_with(tail))
    };
    let marked = ["...", "…", "~", "__"].iter().any(|mark| {
        short.match_indices(mark).any(|(at, _)| {
            let lead = short.get(..at).unwrap_or_default();
            let tail = short.get(at + mark.len()..).unwrap_or_default();
            around(lead, tail)
        })
    });
    let extension = short.rfind('.').and_then(|dot| short.split_at_checked(dot));
    marked
        || (long.len() > HEADER_NAME_BYTES
            && extension.is_some_and(|(lead, tail)| {
                lead.len() + tail.len() >= HEADER_NAME_BYTES / 2 && around(lead, tail)
            }))
}

/// Whether the name is the real one with each run of other characters written in some other way:
/// left out, by signs, by an escape (`%C3%BC`, `%U00FC`, `#U00fc`), without its accents, or in
/// another charset.
fn is_spelt_in_ascii(short: &str, long: &str) -> bool {
    // Where in `short` what remains of `long` may begin.
    let mut places = BTreeSet::from([0]);
    let mut rest = long;
    while let Some(first) = rest.find(|c: char| !c.is_ascii()) {
        let (plain, after) = rest.split_at(first);
        let end = after.find(|c: char| c.is_ascii()).unwrap_or(after.len());
        let (run, after) = after.split_at(end);
        places = places
            .into_iter()
            .filter_map(|at| Some((at, short.get(at..)?.strip_prefix(plain)?)))
            .flat_map(|(at, tail)| {
                let at = at + plain.len();
                spellings(tail, run).into_iter().map(move |end| at + end)
            })
            .collect();
        rest = after;
    }
    rest.len() < long.len() && places.into_iter().any(|at| short.get(at..) == Some(rest))
}

/// The lengths of what at the start of `tail` can stand for a run of characters that are not
/// ASCII.
fn spellings(tail: &str, run: &str) -> Vec<usize> {
    let folded = folded(run);
    let base: String = folded.chars().filter(char::is_ascii).collect();
    let mut ends = vec![0];
    if !base.is_empty() && tail.starts_with(&base) {
        ends.push(base.len());
    }
    let bytes_max = run.chars().count() * SPELLING_BYTES_MAX;
    let mut escaped = false;
    for (at, sign) in tail.char_indices() {
        escaped = match sign {
            '%' | '#' | '&' | '+' | '=' | '_' | '{' | '<' => true,
            'u' | 'U' | 'x' | 'X' if escaped => true,
            _ if sign.is_ascii_hexdigit() && escaped => true,
            _ => false,
        };
        let end = at + sign.len_utf8();
        if sign == '/' || end > bytes_max || (!escaped && sign.is_ascii_alphanumeric()) {
            break;
        }
        ends.push(end);
    }
    ends
}

/// Whether each part of the name is the real one as DOS has it: in another case, cut to eight and
/// three characters, or numbered (`WEIGHT~1.BIN`).
fn is_dos_name(short: &str, long: &str) -> bool {
    let same_depth = short.split('/').count() == long.split('/').count();
    same_depth
        && short
            .split('/')
            .zip(long.split('/'))
            .all(|(short, long)| folded(short) == folded(long) || is_dos_part(short, long))
}

fn is_dos_part(short: &str, long: &str) -> bool {
    const STEM_CHARS: usize = 8;
    const EXTENSION_CHARS: usize = 3;
    let (stem, extension) = short.split_once('.').unwrap_or((short, ""));
    let fits = stem.chars().count() <= STEM_CHARS && extension.chars().count() <= EXTENSION_CHARS;
    if !fits || extension.contains('.') {
        return false;
    }
    let (whole, long_extension) = long.rsplit_once('.').unwrap_or((long, ""));
    let is_cut = |text: &str, chars: usize| {
        let kept = text.chars().filter(|c| !matches!(c, ' ' | '.'));
        folded(&kept.take(chars).collect::<String>())
    };
    if folded(extension) != is_cut(long_extension, EXTENSION_CHARS) {
        return false;
    }
    let numbered = stem
        .rsplit_once('~')
        .is_some_and(|(_, number)| is_number(number));
    numbered || folded(stem) == is_cut(whole, STEM_CHARS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]
    use super::*;

    #[track_caller]
    fn check(short: impl AsRef<[u8]>, long: &str, expect: Likeness) {
        let short = short.as_ref();
        let got = likeness(short, long.as_bytes());
        assert_eq!(got, expect, "{} for {long}", String::from_utf8_lossy(short));
    }

    #[test]
    fn short_forms() {
        let long = "d/".to_owned() + &"x".repeat(150);
        check(&long[..100], &long, Likeness::Form);
        check(&long[..50], &long, Likeness::Other);
        check("na?ve", "naïve", Likeness::Form);
        check("nave", "naïve", Likeness::Form);
        check("evil", "good", Likeness::Other);
        let deep = format!("{}/{}/file", "a".repeat(60), "b".repeat(60));
        check(format!("{}/file", "a".repeat(60)), &deep, Likeness::Form);
        check(format!("{}/ile", "a".repeat(60)), &deep, Likeness::Other);
        check("c/file", &deep, Likeness::Other);
        check("a/c", "a/b/c", Likeness::Other);
    }

    #[test]
    fn stand_ins() {
        let long = format!("data/{}/weights.bin", "long ".repeat(30));
        for (short, long) in [
            ("PaxHeader", "data/ü.txt"),
            ("PaxHeader/ü.txt", "data/ü.txt"),
            ("./PaxHeaders.4711/w.txt", "data/w.txt"),
            ("data/PaxHeaders/w.txt", "data/w.txt"),
            ("././@LongLink", "data/w.txt"),
            ("@LongLink", "data/w.txt"),
            ("", "data/w.txt"),
            ("./", "data/w.txt"),
            ("w.txt", "data/w.txt"),
            ("b/w.txt", "data/a/b/w.txt"),
            ("DATA/W.TXT", "data/w.txt"),
            ("data/W.TXT", "data/w.txt"),
            ("DATA/WEIGHT~1.SAF", "data/weights of all.safetensors"),
            ("DATA/WEIGHTSO.SAF", "data/weights of all.safetensors"),
            ("8f434346648f6b96df89dda901c5176b", "data/w.txt"),
            ("data/8f434346.txt", "data/w.txt"),
            ("long/3f2a9c1.tmp", "data/w.txt"),
            ("47DEQpj8HBSaTImW5JCeuQeRkm5NMpJWZG3hSuFU", "data/w.txt"),
            ("00000017", "data/w.txt"),
            ("data/longlo...weights.bin", &long),
            ("data/%C3%BC.txt", "data/ü.txt"),
            ("data/%U00FC.txt", "data/ü.txt"),
            ("data/#U00fc.txt", "data/ü.txt"),
            ("data/__.txt", "data/ü.txt"),
            ("data/u.txt", "data/ü.txt"),
            ("data/Ã¼.txt", "data/ü.txt"),
            ("data/u\u{308}.txt", "data/ü.txt"),
            ("naive/___.txt", "naïve/日本語.txt"),
        ] {
            if short == "data/longlo...weights.bin" {
                let short = format!("{}...weights.bin", &long[..20]);
                check(short, long, Likeness::StandIn);
            } else {
                check(short, long, Likeness::StandIn);
            }
        }
        check(b"data/\xc3", "data/ü.txt", Likeness::StandIn);
        check(b"data/\xfc.txt", "data/ü.txt", Likeness::StandIn);
    }

    #[test]
    fn another_name_is_no_stand_in() {
        for (short, long) in [
            ("a", "b"),
            ("a", ""),
            ("model.wasm", "data/w.txt"),
            ("data/v.txt", "data/w.txt"),
            ("data/evil.txt", "data/ü.txt"),
            ("evil/w.txt", "data/w.txt"),
            ("evil.txt", "data/ü.txt"),
            ("data/w", "data/w.txt"),
            ("data/w.txt.exe", "data/w.txt"),
            ("1", "2"),
            ("blobs/8f434346", "blobs/a1b2c3d4"),
            ("../PaxHeader", "data/w.txt"),
            ("/PaxHeader", "data/w.txt"),
            ("..\\PaxHeader", "data/w.txt"),
            ("../w.txt", "data/w.txt"),
            ("/data/w.txt", "data/w.txt"),
            ("C:w.txt", "data/w.txt"),
            ("paxheader/a.txt", "paxheader/b.txt"),
        ] {
            check(short, long, Likeness::Other);
        }
    }
}
