//! Stop strings, found across the borders of chunks.

/// Finds the first stop string in a text that comes in pieces.
///
/// The text ends where the stop string that is complete first begins; of several that are
/// complete with the same byte, the longest counts. What could still become a stop string is
/// held back, and no more than that, so a caller sees each character as early as it is safe.
///
/// Costs one step a byte and stop string, whatever the texts are.
#[derive(Debug, Default)]
pub struct StopFilter {
    patterns: Vec<Pattern>,
    /// The end of the text so far, which a stop string may begin in.
    held: String,
    stopped: bool,
    /// Which of the stop strings was met.
    met: Option<usize>,
}

/// What may be shown after a piece of text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filtered {
    /// Text that is safe to show.
    pub text: String,
    /// Whether a stop string was met; nothing comes after it.
    pub stopped: bool,
}

impl StopFilter {
    /// A filter for these stop strings. Empty ones never match.
    pub fn new(stops: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let patterns = stops
            .into_iter()
            .filter_map(|stop| Pattern::new(stop.as_ref()))
            .collect();
        Self {
            patterns,
            held: String::new(),
            stopped: false,
            met: None,
        }
    }

    /// Whether there is any stop string.
    pub fn can_stop(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// The stop string that was met.
    pub fn met(&self) -> Option<&str> {
        let pattern = self.patterns.get(self.met?)?;
        std::str::from_utf8(&pattern.bytes).ok()
    }

    /// Takes the next piece of text.
    pub fn push(&mut self, piece: String) -> Filtered {
        if self.stopped {
            return Filtered {
                text: String::new(),
                stopped: true,
            };
        }
        if self.patterns.is_empty() {
            return Filtered {
                text: piece,
                stopped: false,
            };
        }
        for (index, byte) in piece.bytes().enumerate() {
            let mut matched = 0;
            for (number, pattern) in self.patterns.iter_mut().enumerate() {
                if pattern.step(byte) && pattern.bytes.len() > matched {
                    matched = pattern.bytes.len();
                    self.met = Some(number);
                }
            }
            if matched > 0 {
                self.stopped = true;
                let seen = self.held.len() + index + 1;
                let mut text = std::mem::take(&mut self.held);
                text.push_str(&piece);
                // A stop string is whole characters and begins where one of the text begins.
                text.truncate(text.floor_char_boundary(seen.saturating_sub(matched)));
                return Filtered {
                    text,
                    stopped: true,
                };
            }
        }
        let mut text = std::mem::take(&mut self.held);
        text.push_str(&piece);
        let open = self
            .patterns
            .iter()
            .map(|pattern| pattern.state)
            .max()
            .unwrap_or(0);
        let safe = text.floor_char_boundary(text.len().saturating_sub(open));
        self.held = text.split_off(safe);
        Filtered {
            text,
            stopped: false,
        }
    }

    /// The text is over: gives what was held back.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// One stop string with the table of Knuth, Morris and Pratt.
#[derive(Debug)]
struct Pattern {
    bytes: Vec<u8>,
    /// For each prefix, the length of its longest proper suffix that is a prefix, too.
    failure: Vec<usize>,
    /// How many bytes of the pattern the text ends with.
    state: usize,
}

impl Pattern {
    fn new(stop: &str) -> Option<Self> {
        if stop.is_empty() {
            return None;
        }
        let bytes = stop.as_bytes().to_vec();
        let mut pattern = Self {
            bytes: Vec::new(),
            failure: vec![0],
            state: 0,
        };
        // The table is what the pattern itself, from its second byte on, drives the pattern to.
        pattern.bytes = bytes;
        for index in 1..pattern.bytes.len() {
            let byte = pattern.bytes.get(index).copied().unwrap_or_default();
            pattern.step(byte);
            pattern.failure.push(pattern.state);
        }
        pattern.state = 0;
        Some(pattern)
    }

    /// Takes one byte; says whether the pattern is complete with it.
    fn step(&mut self, byte: u8) -> bool {
        while self.bytes.get(self.state) != Some(&byte) {
            if self.state == 0 {
                return false;
            }
            self.state = self.failure.get(self.state - 1).copied().unwrap_or(0);
        }
        self.state += 1;
        self.state == self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the filter promises, on the whole text at once.
    fn naive(text: &str, stops: &[String]) -> (String, bool) {
        for end in 1..=text.len() {
            let Some(prefix) = text.as_bytes().get(..end) else {
                continue;
            };
            let longest = stops
                .iter()
                .filter(|stop| !stop.is_empty() && prefix.ends_with(stop.as_bytes()))
                .map(String::len)
                .max();
            if let Some(longest) = longest {
                return (
                    text.get(..end - longest).unwrap_or_default().to_owned(),
                    true,
                );
            }
        }
        (text.to_owned(), false)
    }

    fn filtered(pieces: &[String], stops: &[String]) -> (String, bool) {
        let mut filter = StopFilter::new(stops);
        let mut text = String::new();
        for piece in pieces {
            let Filtered {
                text: safe,
                stopped,
            } = filter.push(piece.clone());
            text.push_str(&safe);
            if stopped {
                assert_eq!(filter.push("more".to_owned()).text, "");
                return (text, true);
            }
        }
        text.push_str(&filter.finish());
        (text, false)
    }

    #[track_caller]
    fn check(pieces: &[&str], stops: &[&str], expect: &str, expect_stopped: bool) {
        let pieces: Vec<String> = pieces.iter().map(ToString::to_string).collect();
        let stops: Vec<String> = stops.iter().map(ToString::to_string).collect();
        assert_eq!(
            filtered(&pieces, &stops),
            (expect.to_owned(), expect_stopped)
        );
    }

    #[test]
    fn stops_are_found_across_pieces() {
        check(&["hello wor", "ld"], &[], "hello world", false);
        check(&["hello wor", "ld"], &["world"], "hello ", true);
        check(&["a", "b", "c"], &["bc"], "a", true);
        check(&["abab", "abac", "!"], &["ababac"], "ab", true);
        check(&["the en", "gine"], &["end"], "the engine", false);
        check(&["dé", "jà vu"], &["é"], "d", true);
        check(&["STOP"], &["STOP"], "", true);
        check(&["abcde"], &["abcd", "bc"], "a", true);
        check(&["abc"], &["bc", "abc"], "", true);
        check(&["x"], &[""], "x", false);
    }

    #[test]
    fn no_more_is_held_back_than_needed() {
        let mut filter = StopFilter::new(["\n\nUser:"]);
        assert_eq!(filter.push("line\n".to_owned()).text, "line");
        assert_eq!(filter.push("next".to_owned()).text, "\nnext");
        assert_eq!(filter.push("\n\nUse".to_owned()).text, "");
        assert_eq!(filter.finish(), "\n\nUse");
    }

    proptest! {
        #[test]
        fn any_chunking_gives_what_a_search_of_the_whole_gives(
            pieces in proptest::collection::vec("[abé\n]{0,5}", 0..12),
            stops in proptest::collection::vec("[abé\n]{0,4}", 0..5),
        ) {
            let whole: String = pieces.concat();
            prop_assert_eq!(filtered(&pieces, &stops), naive(&whole, &stops));
        }

        #[test]
        fn what_was_shown_is_always_a_prefix_of_the_answer(
            pieces in proptest::collection::vec("[ab]{0,3}", 0..12),
            stop in "[ab]{1,4}",
        ) {
            let (answer, _) = naive(&pieces.concat(), std::slice::from_ref(&stop));
            let mut filter = StopFilter::new([&stop]);
            let mut shown = String::new();
            for piece in pieces {
                let filtered = filter.push(piece);
                shown.push_str(&filtered.text);
                prop_assert!(answer.starts_with(&shown));
                if filtered.stopped {
                    break;
                }
            }
        }
    }
}
