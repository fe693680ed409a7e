//! The second wall: what the kernel still lets a process do, once it has said what it needs.
//!
//! The sandbox of a model is the first wall, and a bug in it is a way into the process around it.
//! [`Wall::raise`] gives away, for good and for every child, what that process has no use for:
//! files that no setting names and programs (landlock), ports (landlock), processes of others
//! (landlock), system calls (seccomp), and privileges that a program could bring (no-new-privs).
//! None of it needs a privilege. [`Trial`] tries what must fail then, in a child, and what is told
//! of the wall is what that has shown.
//!
//! Landlock binds the thread that asks for it and what that thread starts, so a wall is put up
//! before there is another one. It cannot be taken down again, and a second one within it can only
//! take away more: the compiling process puts up its own ([`Calls::Compiler`]).
#![forbid(unsafe_code)]

mod attempt;
mod calls;
mod files;
mod hardening;
mod machine;
mod reach;
mod report;
mod trial;

pub use attempt::{Attempt, Outcome};
pub use calls::Calls;
pub use hardening::{Hardening, InvalidHardening};
pub use reach::Reach;
pub use report::{Guard, Report, State};
pub use trial::{PROBE_COMMAND, Trial, Trying, probe};

use rustix::thread::{no_new_privs, set_no_new_privs};

/// A part of a wall that is not there, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Missing(String);

/// A wall that has been put up, part by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wall {
    /// Files, ports and other processes: the version of landlock that keeps them.
    pub files: Result<u32, Missing>,
    /// System calls.
    pub calls: Result<(), Missing>,
    /// Privileges that a program could bring.
    pub privileges: Result<(), Missing>,
}

impl Wall {
    /// Puts up a wall around this thread and all that it starts from here on. Each part for itself:
    /// where the kernel lacks one, the others stand.
    #[must_use]
    pub fn raise(reach: &Reach, calls: Calls) -> Self {
        // First: without it only a privileged process may ask for the others.
        let privileges = privileges();
        // The filter of calls has none of landlock's that are not needed after it.
        let files = match other_threads() {
            0 => files::restrict(reach),
            others => Err(Missing(format!(
                "{others} other threads were there before, which it would not bind"
            ))),
        };
        Self {
            files,
            calls: calls::restrict(calls),
            privileges,
        }
    }

    /// What is missing, if anything is.
    #[must_use]
    pub fn missing(&self) -> Vec<&Missing> {
        let Self {
            files,
            calls,
            privileges,
        } = self;
        let parts = [files.as_ref().err(), calls.as_ref().err()];
        let parts = parts.into_iter().chain([privileges.as_ref().err()]);
        parts.flatten().collect()
    }
}

fn privileges() -> Result<(), Missing> {
    let refused = |error: rustix::io::Errno| {
        Missing(format!("the kernel does not take privileges away: {error}"))
    };
    set_no_new_privs(true).map_err(refused)?;
    match no_new_privs() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Missing("the kernel has not taken it on".to_owned())),
        Err(error) => Err(refused(error)),
    }
}

/// How many threads this process has beside the calling one; none where it cannot be told.
fn other_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task");
    tasks.map_or(0, |tasks| tasks.count().saturating_sub(1))
}
