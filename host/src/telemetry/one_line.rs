//! The last thing that a log line passes: whatever is in it, it stays one line, and nothing in it
//! drives a terminal or turns the order of what is read.
//!
//! Whoever logs a stranger's text cleans it where it comes in. This is what holds when somebody
//! forgets.

use std::io::{self, Write};

use belljar_sandbox::deceives;

use super::lines::Lines;

/// The sink of one event's line.
pub(super) struct OneLine {
    pub(super) lines: Lines,
    /// Whether the line is JSON, and not text.
    pub(super) is_json: bool,
    /// Whether the line has colours, whose escapes are ours.
    pub(super) is_coloured: bool,
}

impl OneLine {
    /// The line, with what deceives written as its number.
    fn cleaned(&self, line: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let mut clean = String::with_capacity(text.len() + 1);
        for c in text.chars() {
            if !deceives(c) || (c == '\u{1b}' && self.is_coloured) {
                clean.push(c);
            } else if self.is_json {
                // The form of JSON, which wants two for a character of the upper planes.
                for unit in c.encode_utf16(&mut [0; 2]) {
                    clean.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                clean.extend(c.escape_unicode());
            }
        }
        clean.push('\n');
        clean.into_bytes()
    }
}

impl Write for OneLine {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let plain = |byte: &u8| (b' '..=b'~').contains(byte);
        let body = line.strip_suffix(b"\n").unwrap_or(line);
        // Most lines are plain, and are not copied.
        if body.iter().all(plain) {
            self.lines.append(line);
        } else {
            self.lines.append(&self.cleaned(line));
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use parking_lot::Mutex;
    use proptest::prelude::*;
    use std::sync::Arc;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written when a text is logged in every way there is, without any care.
    fn logged(text: &str, is_json: bool) -> String {
        let paper = Paper::default();
        let (lines, guard) = Lines::to(paper.clone()).unwrap();
        let writer = move || OneLine {
            lines: lines.clone(),
            is_json,
            is_coloured: false,
        };
        let layer = tracing_subscriber::fmt::layer().with_writer(writer);
        let log = || tracing::info!(field = text, shown = %text, debug = ?text, "{text}");
        let registry = tracing_subscriber::registry();
        if is_json {
            let registry = registry.with(layer.json().flatten_event(true));
            tracing::subscriber::with_default(registry, log);
        } else {
            tracing::subscriber::with_default(registry.with(layer.with_ansi(false)), log);
        }
        drop(guard);
        let bytes = paper.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn hostile() -> impl Strategy<Value = String> {
        let odd = prop::sample::select(vec![
            '\n',
            '\r',
            '\u{b}',
            '\u{c}',
            '\t',
            '\0',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{2028}',
            '\u{2029}',
            '\u{202e}',
            '\u{2066}',
            '\u{200f}',
            '\u{feff}',
            '\u{e0041}',
            '"',
            '\\',
            '{',
        ]);
        prop::collection::vec(prop_oneof![odd, any::<char>()], 0..60)
            .prop_map(|characters| characters.into_iter().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn whatever_is_logged_is_one_line_that_shows_what_it_is(text in hostile()) {
            for is_json in [false, true] {
                let line = logged(&text, is_json);
                let body = line.strip_suffix('\n').unwrap();
                prop_assert!(!body.chars().any(deceives), "{body:?}");
                if is_json {
                    let value: serde_json::Value = serde_json::from_str(body).unwrap();
                    prop_assert_eq!(value["message"].as_str(), Some(&*text));
                }
            }
        }

        /// All ways in which a guest's words come to a log or a terminal go through these.
        #[test]
        fn what_a_guest_says_is_printable(text in hostile(), bytes_max in 0_usize..80) {
            let shown = belljar_sandbox::printable(&text, bytes_max);
            prop_assert!(!shown.chars().any(deceives), "{shown:?}");
            prop_assert!(shown.chars().count() <= text.chars().count());
        }
    }
}
