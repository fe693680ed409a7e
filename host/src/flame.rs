//! Profiles of runs as texts and as pictures: what their fuel went for, by function and source line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use belljar_sandbox::Profile;
use inferno::flamegraph::{self, Options};

/// Stacks with their fuel, as lines of `outermost;…;innermost FUEL`: the form that tools for flame
/// graphs call folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded(BTreeMap<String, u64>);

/// A text that is not folded stacks.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is not `STACK FUEL`, such as `main;multiply 1200`")]
pub struct InvalidFolded {
    line: usize,
}

/// A picture could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the flame graph cannot be drawn: {0}")]
pub struct FlameError(String);

impl Folded {
    /// The stacks of a profile. The source line of the innermost function is a frame of its own.
    #[must_use]
    pub fn of(profile: &Profile) -> Self {
        let mut stacks = BTreeMap::new();
        for (frames, fuel) in profile.stacks() {
            let mut stack = String::new();
            for frame in frames {
                push_frame(&mut stack, &frame.function);
            }
            if let Some(line) = frames.last().and_then(|frame| frame.line.as_deref()) {
                push_frame(&mut stack, line);
            }
            *stacks.entry(stack).or_default() += fuel;
        }
        Self(stacks)
    }

    /// Reads what [`text`](Self::text) has written.
    ///
    /// # Errors
    ///
    /// When a line is not a stack with its fuel.
    pub fn parse(text: &str) -> Result<Self, InvalidFolded> {
        let mut stacks = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let invalid = || InvalidFolded { line: number + 1 };
            let (stack, fuel) = line.rsplit_once(' ').ok_or_else(invalid)?;
            let fuel: u64 = fuel.parse().map_err(|_| invalid())?;
            *stacks.entry(stack.to_owned()).or_default() += fuel;
        }
        Ok(Self(stacks))
    }

    /// Fuel of all stacks together.
    #[must_use]
    pub fn fuel(&self) -> u64 {
        self.0.values().sum()
    }

    /// A line for each stack.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (stack, fuel) in &self.0 {
            let _ = writeln!(text, "{stack} {fuel}");
        }
        text
    }

    /// A flame graph, as SVG.
    ///
    /// # Errors
    ///
    /// When it cannot be drawn.
    pub fn svg(&self, title: &str) -> Result<Vec<u8>, FlameError> {
        let lines = self.0.iter().map(|(stack, fuel)| format!("{stack} {fuel}"));
        drawn(title, lines.collect())
    }

    /// A flame graph of what has become more (red) and less (blue) than before, as SVG. Its widths
    /// are those of `self`.
    ///
    /// # Errors
    ///
    /// When it cannot be drawn.
    pub fn svg_against(&self, before: &Self, title: &str) -> Result<Vec<u8>, FlameError> {
        let stacks = self.0.keys().chain(before.0.keys());
        let fuel = |of: &Self, stack| of.0.get(stack).copied().unwrap_or(0);
        let lines: std::collections::BTreeSet<String> = stacks
            .map(|stack| format!("{stack} {} {}", fuel(before, stack), fuel(self, stack)))
            .collect();
        drawn(title, lines.into_iter().collect())
    }

    /// The fuel of each stack less that of before, most that came first, as text.
    #[must_use]
    pub fn text_against(&self, before: &Self) -> String {
        let mut changes: BTreeMap<&str, i128> = BTreeMap::new();
        for (of, sign) in [(self, 1), (before, -1)] {
            for (stack, fuel) in &of.0 {
                *changes.entry(stack).or_default() += sign * i128::from(*fuel);
            }
        }
        let mut changes: Vec<_> = changes.into_iter().filter(|(_, fuel)| *fuel != 0).collect();
        changes.sort_by_key(|(stack, fuel)| (-fuel, *stack));
        let mut text = String::new();
        for (stack, fuel) in changes {
            let _ = writeln!(text, "{stack} {fuel:+}");
        }
        text
    }

    /// The innermost functions with their own fuel, the most first.
    #[must_use]
    pub fn functions(&self) -> Vec<(&str, u64)> {
        let mut functions: BTreeMap<&str, u64> = BTreeMap::new();
        for (stack, fuel) in &self.0 {
            let mut frames = stack.rsplit(';');
            let last = frames.next().unwrap_or_default();
            // A source line, and before it the function that it is of.
            let function = match frames.next() {
                Some(function) if is_line(last) => function,
                _ => last,
            };
            *functions.entry(function).or_default() += fuel;
        }
        let mut functions: Vec<_> = functions.into_iter().collect();
        functions.sort_by_key(|(function, fuel)| (std::cmp::Reverse(*fuel), *function));
        functions
    }

    /// Whether any stack names a source line.
    #[must_use]
    pub fn has_lines(&self) -> bool {
        self.0
            .keys()
            .any(|stack| stack.rsplit(';').next().is_some_and(is_line))
    }
}

/// Whether a frame is a source line: `file.ext:NUMBER`.
fn is_line(frame: &str) -> bool {
    frame.rsplit_once(':').is_some_and(|(file, line)| {
        !file.is_empty()
            && !file.ends_with(':')
            && !line.is_empty()
            && line.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Adds a frame to a folded stack. What parts frames, and a frame from its fuel, is in none.
fn push_frame(stack: &mut String, frame: &str) {
    if !stack.is_empty() {
        stack.push(';');
    }
    stack.extend(frame.chars().map(|c| if c == ';' { ',' } else { c }));
}

fn drawn(title: &str, lines: Vec<String>) -> Result<Vec<u8>, FlameError> {
    let mut options = Options::default();
    options.title = title.to_owned();
    options.count_name = "fuel".to_owned();
    // The same picture of the same run, to the byte.
    options.deterministic = true;
    let mut svg = Vec::new();
    flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)
        .map_err(|error| FlameError(error.to_string()))?;
    Ok(svg)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn folded(text: &str) -> Folded {
        Folded::parse(text).unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = "a 3\na;b::c <T as U>;src/x.rs:12 1200\n";
        assert_eq!(folded(text).text(), text);
        assert_eq!(folded(text).fuel(), 1203);
        assert!(folded(text).has_lines() && !folded("a;b::c 1").has_lines());
        for wrong in ["a", "a b", "a;b 1.5", "ok 1\n\n"] {
            assert!(Folded::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn functions_have_the_fuel_of_all_their_lines() {
        let folded = folded("a;b;x.rs:1 5\na;b;x.rs:2 6\na 1\nb 3\n");
        assert_eq!(folded.functions(), [("b", 14), ("a", 1)]);
    }

    #[test]
    fn pictures_are_the_same_each_time_and_hold_no_markup_of_the_guests() {
        let now = folded("a;<script>alert(1)</script> 10\na;b 5\n");
        let svg = now.svg("one & two").unwrap();
        assert_eq!(svg, now.svg("one & two").unwrap());
        let svg = String::from_utf8(svg).unwrap();
        assert!(
            svg.contains("one &amp; two") && !svg.contains("<script>alert"),
            "{svg}"
        );
        let before = folded("a;b 5\na;c 7\n");
        let against = now.svg_against(&before, "x").unwrap();
        assert!(String::from_utf8(against).unwrap().contains("fuel"));
        assert_eq!(
            now.text_against(&before),
            "a;<script>alert(1)</script> +10\na;c -7\n"
        );
    }
}
