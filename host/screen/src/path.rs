//! Looks for paths that leave their folder, and for the files they lead to.

use crate::features::{Feature, Found};
use crate::reader::Tokens;

/// Finds the features of path traversal. Works on bytes: a path is no grammar of words.
pub(crate) fn scan(cx: &Tokens<'_>, found: &mut Found) {
    let mut steps = Steps::default();
    let bytes = cx.text.as_bytes();
    let mut at = 0;
    while let Some(next) = next_interesting(bytes, at) {
        if found.is_enough() {
            return;
        }
        at = steps.read(bytes, next, cx, found);
    }
    whole(cx, found);
}

/// The next dot at or after `at`.
fn next_interesting(bytes: &[u8], at: usize) -> Option<usize> {
    memchr::memchr(b'.', bytes.get(at..)?).map(|found| at + found)
}

#[derive(Default)]
struct Steps {
    /// Steps up in a row so far.
    row: u32,
    /// Where the last one ended.
    end: usize,
}

impl Steps {
    /// Reads the run of dots at `at` and the slashes after it. Gives where to go on.
    fn read(&mut self, bytes: &[u8], at: usize, cx: &Tokens<'_>, found: &mut Found) -> usize {
        const OVERFLOW_DOTS: usize = 8;
        const SOME_STEPS: u32 = 3;
        const MANY_STEPS: u32 = 4;
        let dots = run(bytes, at, |byte| byte == b'.');
        let after = at + dots;
        let slashes = run(bytes, after, |byte| matches!(byte, b'/' | b'\\'));
        let end = after + slashes;
        let offset = u32::try_from(at).unwrap_or(u32::MAX);
        let is_quoted = || {
            // In order, so that a text of many quotations is still read in linear time.
            let next = cx.quoted.stretches.partition_point(|(_, to)| *to <= offset);
            cx.quoted
                .stretches
                .get(next)
                .is_some_and(|(from, _)| *from <= offset)
        };
        // `..2f` and `..5c`: the percent sign was taken out on the way.
        let hexed = dots >= 2
            && bytes
                .get(after..after + 2)
                .is_some_and(|pair| matches!(pair, [b'2', b'f' | b'F'] | [b'5', b'c' | b'C']));
        if dots >= OVERFLOW_DOTS && slashes > 0 {
            found.add(Feature::PathRepeat, offset);
        }
        if slashes == 0 && !hexed {
            return end;
        }
        if dots < 2 {
            self.single(at, end, offset, found);
            return end;
        }
        if !cx.quoted.stretches.is_empty() && is_quoted() {
            return end;
        }
        self.row = if at <= self.end + 1 { self.row + 1 } else { 1 };
        self.end = if hexed { after + 2 } else { end };
        let before = at
            .checked_sub(1)
            .and_then(|before| bytes.get(before))
            .copied();
        // `foo../` and `1.../` are how sentences and ranges end.
        let starts = before.is_none_or(|byte| !byte.is_ascii_alphanumeric() || self.row > 1);
        if dots == 2 && starts {
            found.add(Feature::PathStep, offset);
        }
        if self.row >= SOME_STEPS {
            found.add(Feature::PathSteps, offset);
        }
        if self.row >= MANY_STEPS {
            found.add(Feature::PathManySteps, offset);
        }
        let slash = bytes.get(after..end).unwrap_or_default();
        let mixed = slash.contains(&b'/') && slash.contains(&b'\\');
        let odd = mixed || (slashes >= 2 && slash.first() == Some(&b'/')) || dots == 3 || dots == 4;
        if odd && starts {
            found.add(Feature::PathOdd, offset);
        }
        if hexed {
            found.add(Feature::PathHex, offset);
        }
        self.end
    }

    /// `./././`: one such step is how programs are called, many overflow a buffer.
    fn single(&mut self, at: usize, end: usize, offset: u32, found: &mut Found) {
        const OVERFLOW_STEPS: u32 = 4;
        self.row = if at == self.end { self.row + 1 } else { 1 };
        self.end = end;
        if self.row >= OVERFLOW_STEPS {
            found.add(Feature::PathRepeat, offset);
        }
    }
}

/// Whether a step up was spelt in escapes: decoding made more of them than the text shows.
pub(crate) fn is_spelt(text: &str, decoded: &str) -> bool {
    let steps = |text: &str| {
        let bytes = text.as_bytes();
        let steps = memchr::memmem::find_iter(bytes, b"..")
            .filter(|at| matches!(bytes.get(at + 2), Some(b'/' | b'\\')));
        steps.count()
    };
    decoded.len() < text.len() && steps(decoded) > steps(text)
}

/// How many bytes from `at` on hold.
fn run(bytes: &[u8], at: usize, holds: impl Fn(u8) -> bool) -> usize {
    bytes
        .get(at..)
        .unwrap_or_default()
        .iter()
        .take_while(|byte| holds(**byte))
        .count()
}

/// Features of a text that is one path.
fn whole(cx: &Tokens<'_>, found: &mut Found) {
    const PATH_BYTES_MAX: usize = 4_096;
    const SAME_LETTERS: usize = 64;
    let text = cx.text.trim();
    if text.len() > PATH_BYTES_MAX
        || text
            .bytes()
            .any(|byte| matches!(byte, b' ' | b'\n' | b'<' | b'('))
    {
        return;
    }
    let start = u32::try_from(cx.text.len() - cx.text.trim_start().len()).unwrap_or(0);
    let climbs = found.has(Feature::PathStep) || found.has(Feature::PathOdd);
    // One or two steps up to a file beside are how people name their own files.
    let far = [
        Feature::PathManySteps,
        Feature::PathOdd,
        Feature::PathSpelt,
        Feature::PathSensitive,
        Feature::PathSystem,
    ];
    let leaves =
        (climbs && far.iter().any(|feature| found.has(*feature))) || text.starts_with("\\..");
    found.add_if(leaves && !text.contains("://"), Feature::PathWhole, start);
    let absolute = text.starts_with('/')
        || text.as_bytes().get(1..3) == Some(b":\\")
        || text.starts_with("\\\\");
    found.add_if(
        absolute && found.has(Feature::PathSensitive),
        Feature::PathAbsolute,
        start,
    );
    let slashed = text.trim_start_matches(['/', '\\']);
    let letters = slashed
        .bytes()
        .take_while(|byte| Some(byte) == slashed.as_bytes().first())
        .count();
    found.add_if(
        letters >= SAME_LETTERS && slashed.len() > letters,
        Feature::PathRepeat,
        start,
    );
}
