//! What is known of a wall: what was tried, and what came of it.

use std::fmt;

use crate::{Attempt, Missing, Outcome, Wall};

/// What a wall keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// Files and programs.
    Files,
    /// Ports of TCP.
    Network,
    /// Other processes, and the sockets they are reached by.
    Processes,
    /// System calls.
    Calls,
    /// Privileges that a program could bring.
    Privileges,
    /// The wall of the compiling process.
    Compiler,
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Files,
        Self::Network,
        Self::Processes,
        Self::Calls,
        Self::Privileges,
        Self::Compiler,
    ];

    /// The name in logs, metrics and what a start prints.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Network => "network",
            Self::Processes => "processes",
            Self::Calls => "calls",
            Self::Privileges => "privileges",
            Self::Compiler => "compiler",
        }
    }

    /// Of what it is made, or why it is not there.
    fn means(self, wall: &Wall) -> Result<String, &Missing> {
        let landlock = |since: u32, what: &str, kernel: &str| {
            let version = wall.files.as_ref()?;
            let mut text = format!("landlock {version}");
            if *version < since {
                text.push_str(&format!(
                    ", which keeps no {what}: version {since} (Linux {kernel}) does"
                ));
            }
            Ok(text)
        };
        match self {
            Self::Files => landlock(3, "file from being cut short", "6.2"),
            Self::Network => landlock(4, "ports", "6.7"),
            Self::Processes => landlock(6, "process from others", "6.12"),
            Self::Calls => wall.calls.as_ref().map(|()| "seccomp".to_owned()),
            Self::Privileges => wall.privileges.as_ref().map(|()| "no-new-privs".to_owned()),
            Self::Compiler => Ok("a wall within this one".to_owned()),
        }
    }

    /// Whether a version of landlock has all that this asks for.
    fn is_whole(self, wall: &Wall) -> bool {
        let version = wall.files.as_ref().copied().unwrap_or_default();
        match self {
            Self::Files => version >= 3,
            Self::Network => version >= 4,
            Self::Processes => version >= 6,
            Self::Calls | Self::Privileges | Self::Compiler => true,
        }
    }
}

/// How one guard is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Which one.
    pub guard: Guard,
    /// Whether it was shown to hold: something was tried, and all that was tried was refused.
    pub holds: bool,
    /// The reason, for people.
    pub text: String,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { guard, holds, text } = self;
        let kept = if *holds { "kept" } else { "NOT KEPT" };
        write!(f, "{}: {kept}: {text}", guard.name())
    }
}

/// How all guards are, in the order of [`Guard::ALL`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report(pub Vec<State>);

/// What was tried for a guard, and what came of it.
pub(crate) type Tried = (Guard, Attempt, Outcome);

impl Report {
    pub(crate) fn new(wall: &Wall, tried: &[Tried]) -> Self {
        let state = |guard: Guard| {
            let of_it = tried.iter().filter(|(of, ..)| *of == guard);
            judge(guard, wall, of_it)
        };
        Self(Guard::ALL.into_iter().map(state).collect())
    }

    /// A report where nothing could be tried.
    pub(crate) fn untried(wall: &Wall, why: &str) -> Self {
        let state = |guard: Guard| State {
            guard,
            holds: false,
            text: match guard.means(wall) {
                Ok(means) => format!("{means}, but it could not be tried: {why}"),
                Err(missing) => missing.to_string(),
            },
        };
        Self(Guard::ALL.into_iter().map(state).collect())
    }

    /// What does not hold.
    pub fn open(&self) -> impl Iterator<Item = &State> {
        self.0.iter().filter(|state| !state.holds)
    }
}

fn judge<'a>(guard: Guard, wall: &Wall, tried: impl Iterator<Item = &'a Tried>) -> State {
    let (mut refused, mut open) = (Vec::new(), Vec::new());
    for (_, attempt, outcome) in tried {
        let what = attempt.told();
        match outcome {
            Outcome::Refused(number) if *number == attempt.refused_with() => refused.push(what),
            // Not to be refused, but to be there for what is tried next.
            Outcome::Done if *attempt == Attempt::Compiler => {}
            Outcome::Done => open.push(format!("it could {what}")),
            Outcome::Refused(number) => {
                let error = std::io::Error::from_raw_os_error(*number);
                open.push(format!("to {what} failed for another reason: {error}"));
            }
            Outcome::Failed(why) => open.push(format!("to {what} failed: {why}")),
        }
    }
    let means = match guard.means(wall) {
        Ok(means) => means,
        Err(missing) => {
            return State {
                guard,
                holds: false,
                text: missing.to_string(),
            };
        }
    };
    let holds = open.is_empty() && !refused.is_empty() && guard.is_whole(wall);
    let text = match (open.is_empty(), refused.is_empty()) {
        (false, _) => format!("{means}; {}", open.join(", ")),
        (true, false) => format!("{means}; refused to {}", refused.join(", ")),
        (true, true) => format!("{means}; nothing could be tried"),
    };
    State { guard, holds, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(version: u32) -> Wall {
        Wall {
            files: Ok(version),
            calls: Err(Missing("no seccomp here".to_owned())),
            privileges: Ok(()),
        }
    }

    fn states(version: u32, tried: &[Tried]) -> Vec<(bool, String)> {
        let Report(states) = Report::new(&wall(version), tried);
        states.into_iter().map(|s| (s.holds, s.text)).collect()
    }

    #[test]
    fn a_guard_holds_by_what_was_refused_alone() {
        let read = || Attempt::Read("/etc/passwd".into());
        let connect = Attempt::Connect(1);
        let refused = Outcome::Refused(13);
        let found = states(
            7,
            &[
                (Guard::Files, read(), refused.clone()),
                (Guard::Network, connect.clone(), Outcome::Refused(111)),
                (Guard::Processes, Attempt::Signal(1), Outcome::Done),
                (Guard::Calls, Attempt::Watch, Outcome::Refused(38)),
                (Guard::Compiler, Attempt::Compiler, Outcome::Done),
            ],
        );
        let kept = (true, "landlock 7; refused to read /etc/passwd".to_owned());
        assert_eq!(found[0], kept);
        assert!(
            !found[1].0 && found[1].1.contains("another reason"),
            "{found:?}"
        );
        assert!(
            !found[2].0 && found[2].1.contains("it could signal"),
            "{found:?}"
        );
        assert_eq!(found[3], (false, "no seccomp here".to_owned()));
        assert!(!found[4].0 && found[4].1.contains("nothing could be tried"));
        assert!(!found[5].0, "to be there is no refusal: {found:?}");
        // An older kernel keeps less, and says what is missing.
        let old = states(
            2,
            &[
                (Guard::Files, read(), refused.clone()),
                (Guard::Network, connect, refused),
            ],
        );
        assert!(
            !old[0].0 && old[0].1.contains("version 3 (Linux 6.2)"),
            "{old:?}"
        );
        assert!(
            !old[1].0 && old[1].1.contains("version 4 (Linux 6.7)"),
            "{old:?}"
        );
    }
}
