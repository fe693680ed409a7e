//! The tools that projects are built with: one table, and how each row is looked at.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cli::project::Language;

/// A tool, how it is asked for its version, and what mends it.
struct Tool {
    language: Language,
    name: &'static str,
    probe: Probe,
    /// The oldest that will do; none where any does.
    oldest: Option<&'static str>,
    mend: &'static str,
}

/// How a tool is looked at.
enum Probe {
    /// A program that prints its version.
    Version(&'static str, &'static [&'static str]),
    /// A program that ends well where something is there.
    Works(&'static str, &'static [&'static str]),
    /// A program that prints the path of a file, which has to be there.
    Path(&'static str, &'static [&'static str]),
    /// A program that prints a folder, in which something has to be.
    Inside(&'static str, &'static [&'static str], &'static str),
    /// A file of the project, made by its build: looked at where it is there, for an exact version.
    Made(&'static str, &'static [&'static str], &'static str),
}

use Language::{C, Js, Python, Rust};

const RUSTUP: &str = "curl https://sh.rustup.rs -sSf | sh";

/// All of them. The versions are those that the templates are built with in the tests.
const TOOLS: &[Tool] = &[
    Tool {
        language: Rust,
        name: "rustc",
        probe: Probe::Version("rustc", &["--version"]),
        // That of the SDK.
        oldest: Some(env!("CARGO_PKG_RUST_VERSION")),
        mend: "rustup update stable",
    },
    Tool {
        language: Rust,
        name: "cargo",
        probe: Probe::Version("cargo", &["--version"]),
        oldest: Some(env!("CARGO_PKG_RUST_VERSION")),
        mend: RUSTUP,
    },
    Tool {
        language: Rust,
        name: "target wasm32-wasip2",
        probe: Probe::Inside(
            "rustc",
            &["--print", "sysroot"],
            "lib/rustlib/wasm32-wasip2/lib",
        ),
        oldest: None,
        mend: "rustup target add wasm32-wasip2",
    },
    Tool {
        language: Python,
        name: "python3",
        probe: Probe::Version("python3", &["--version"]),
        oldest: Some("3.10"),
        mend: "apt-get install python3 python3-venv",
    },
    Tool {
        language: Python,
        name: "venv of Python",
        probe: Probe::Works("python3", &["-c", "import venv, ensurepip"]),
        oldest: None,
        mend: "apt-get install python3-venv",
    },
    Tool {
        language: Python,
        name: "make",
        probe: Probe::Version("make", &["--version"]),
        oldest: None,
        mend: "apt-get install make",
    },
    Tool {
        language: Python,
        name: "componentize-py",
        probe: Probe::Made(".venv/bin/componentize-py", &["--version"], "0.25.1"),
        oldest: None,
        mend: ".venv/bin/pip install -r requirements.txt",
    },
    Tool {
        language: Js,
        name: "node",
        probe: Probe::Version("node", &["--version"]),
        // What the tests' loader needs.
        oldest: Some("20.6"),
        mend: "apt-get install nodejs, or a newer one from https://nodejs.org",
    },
    Tool {
        language: Js,
        name: "npm",
        probe: Probe::Version("npm", &["--version"]),
        oldest: None,
        mend: "apt-get install npm",
    },
    Tool {
        language: Js,
        name: "jco",
        probe: Probe::Made("node_modules/.bin/jco", &["--version"], "1.23.1"),
        oldest: None,
        mend: "npm ci",
    },
    Tool {
        language: C,
        name: "clang",
        probe: Probe::Version("clang", &["--version"]),
        oldest: Some("14"),
        mend: "apt-get install clang",
    },
    Tool {
        language: C,
        name: "wasm-ld",
        probe: Probe::Version("wasm-ld", &["--version"]),
        oldest: Some("14"),
        mend: "apt-get install lld",
    },
    Tool {
        language: C,
        name: "C library for WebAssembly",
        probe: Probe::Path(
            "clang",
            &["--target=wasm32-wasi", "-print-file-name=libc.a"],
        ),
        oldest: None,
        mend: "apt-get install wasi-libc",
    },
    Tool {
        language: C,
        name: "clang's library for WebAssembly",
        probe: Probe::Path(
            "clang",
            &["--target=wasm32-wasi", "-print-libgcc-file-name"],
        ),
        oldest: None,
        mend: "apt-get install libclang-rt-dev-wasm32",
    },
    Tool {
        language: C,
        name: "make",
        probe: Probe::Version("make", &["--version"]),
        oldest: None,
        mend: "apt-get install make",
    },
];

/// How a tool was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It will do; its version, where it has one.
    Good(String),
    /// It is there, and will not do; what it is.
    Wrong(String),
    Missing,
    /// The project's build brings it, and has not yet.
    NotYet,
}

impl Found {
    pub(super) const fn state(&self) -> &'static str {
        match self {
            Self::Good(_) => "good",
            Self::Wrong(_) => "wrong",
            Self::Missing => "missing",
            Self::NotYet => "not yet",
        }
    }

    pub(super) fn version(&self) -> Option<&str> {
        match self {
            Self::Good(version) | Self::Wrong(version) if !version.is_empty() => Some(version),
            _ => None,
        }
    }
}

/// A tool, and how it was found.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) language: Language,
    pub(super) tool: &'static str,
    /// The version that is wanted; empty where any will do.
    pub(super) wanted: String,
    pub(super) found: Found,
    /// What mends it.
    pub(super) mend: String,
}

impl Finding {
    pub(super) const fn is_good(&self) -> bool {
        matches!(self.found, Found::Good(_) | Found::NotYet)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tool = self.tool;
        match &self.found {
            Found::Good(version) if version.is_empty() => write!(f, "{tool}: there"),
            Found::Good(version) => write!(f, "{tool}: {version}"),
            Found::NotYet => write!(f, "{tool}: the build brings it"),
            Found::Missing => write!(f, "{tool}: MISSING; mend it with: {}", self.mend),
            Found::Wrong(version) => write!(
                f,
                "{tool}: WRONG, {version}, and {} is wanted; mend it with: {}",
                self.wanted, self.mend
            ),
        }
    }
}

/// The tools of a language, as this machine and a project have them.
pub(super) fn of(language: Language, folder: &Path) -> Vec<Finding> {
    TOOLS
        .iter()
        .filter(move |tool| tool.language == language)
        .map(|tool| Finding {
            language,
            tool: tool.name,
            wanted: match tool.probe {
                Probe::Made(_, _, exact) => exact.to_owned(),
                _ => tool.oldest.unwrap_or_default().to_owned(),
            },
            found: look(tool, folder),
            mend: tool.mend.to_owned(),
        })
        .collect()
}

fn look(tool: &Tool, folder: &Path) -> Found {
    let there = |is: bool| {
        if is {
            Found::Good(String::new())
        } else {
            Found::Missing
        }
    };
    match tool.probe {
        Probe::Version(program, arguments) => match ask(Path::new(program), arguments) {
            None => Found::Missing,
            Some(said) => judged(&said, tool.oldest),
        },
        Probe::Works(program, arguments) => there(ask(Path::new(program), arguments).is_some()),
        Probe::Path(program, arguments) => there(
            ask(Path::new(program), arguments).is_some_and(|said| Path::new(said.trim()).is_file()),
        ),
        Probe::Inside(program, arguments, inside) => there(
            ask(Path::new(program), arguments)
                .is_some_and(|said| Path::new(said.trim()).join(inside).is_dir()),
        ),
        Probe::Made(program, arguments, exact) => {
            let program = folder.join(program);
            if !program.exists() {
                return Found::NotYet;
            }
            // What does not start may belong to another machine, or to a folder that was moved.
            let said = std::path::absolute(&program)
                .ok()
                .and_then(|program| ask(&program, arguments));
            match said.as_deref().and_then(version_in) {
                Some(version) if version == exact => Found::Good(version.to_owned()),
                Some(version) => Found::Wrong(version.to_owned()),
                None => Found::Wrong("it does not start".to_owned()),
            }
        }
    }
}

/// What a program says; none where it is not there, or ends badly.
fn ask(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn judged(said: &str, oldest: Option<&str>) -> Found {
    let version = version_in(said).unwrap_or_default().to_owned();
    match oldest {
        Some(oldest) if numbers(&version) < numbers(oldest) => Found::Wrong(version),
        _ => Found::Good(version),
    }
}

/// The first number with a dot in it, or the first number.
fn version_in(said: &str) -> Option<&str> {
    let numbers = || {
        said.split(|c: char| !c.is_ascii_digit() && c != '.')
            .map(|piece| piece.trim_matches('.'))
            .filter(|piece| !piece.is_empty())
    };
    numbers()
        .find(|piece| piece.contains('.'))
        .or_else(|| numbers().next())
}

/// A version as numbers that can be compared.
fn numbers(version: &str) -> Vec<u32> {
    version
        .split('.')
        .map(|number| number.parse().unwrap_or(0))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn versions_are_found_and_compared() {
        assert_eq!(version_in("rustc 1.95.0 (abc 2026-01-01)"), Some("1.95.0"));
        assert_eq!(version_in("v20.20.2"), Some("20.20.2"));
        assert_eq!(version_in("GNU Make 4.3\nBuilt for x86"), Some("4.3"));
        assert_eq!(version_in("Debian LLD 14.0.6 (compatible)"), Some("14.0.6"));
        assert_eq!(version_in("version 9"), Some("9"));
        assert_eq!(version_in("none."), None);
        let good = |said: &str, oldest| matches!(judged(said, Some(oldest)), Found::Good(_));
        assert!(good("1.95.0", "1.95"));
        assert!(good("v20.10.0", "20.6"));
        assert!(!good("v20.5.9", "20.6"));
        assert!(!good("Python 3.9.2", "3.10"));
        assert!(!good("no number", "3.10"));
    }

    #[test]
    fn what_is_not_there_is_missing_and_told_with_what_mends_it() {
        let tool = Tool {
            language: C,
            name: "a tool",
            probe: Probe::Version("/no/such/program", &["--version"]),
            oldest: Some("2"),
            mend: "apt-get install it",
        };
        assert_eq!(look(&tool, Path::new("/")), Found::Missing);
        let finding = Finding {
            language: C,
            tool: tool.name,
            wanted: "2".to_owned(),
            found: Found::Wrong("1.0".to_owned()),
            mend: tool.mend.to_owned(),
        };
        assert!(!finding.is_good());
        assert_eq!(
            finding.to_string(),
            "a tool: WRONG, 1.0, and 2 is wanted; mend it with: apt-get install it"
        );
    }

    #[test]
    fn what_the_build_brings_is_looked_at_once_it_is_there() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let tool = |name: &'static str, arguments: &'static [&'static str]| Tool {
            language: Js,
            name: "made",
            probe: Probe::Made(name, arguments, "1.2.3"),
            oldest: None,
            mend: "build",
        };
        let look = |name, arguments| look(&tool(name, arguments), folder.path());
        assert_eq!(look("says", &["1.2.3"]), Found::NotYet);
        symlink("/bin/echo", folder.path().join("says")).unwrap();
        symlink("/bin/false", folder.path().join("fails")).unwrap();
        assert_eq!(
            look("says", &["made 1.2.3"]),
            Found::Good("1.2.3".to_owned())
        );
        assert_eq!(
            look("says", &["made 1.3.0"]),
            Found::Wrong("1.3.0".to_owned())
        );
        assert_eq!(
            look("fails", &[]),
            Found::Wrong("it does not start".to_owned())
        );
    }
}
