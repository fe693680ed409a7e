//! The build of a project: a command of its language, whose output is shown as it comes.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use crate::cli::output;

/// A build that goes on. Dropping it ends it, with everything that it has started.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has been waited for has no id any more.
        let pid = self.0.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // It may just have ended by itself.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Runs a command in a folder.
///
/// # Errors
/// When it cannot be started, or does not end with success: with the line that says why, as far as
/// that can be told.
pub(super) async fn build(folder: &Path, command: &str) -> Result<()> {
    let child = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        // A group of its own, to be ended as a whole.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("the build cannot be started")?;
    let mut running = Running(child);
    let reason = Arc::new(Mutex::new(Reason::default()));
    let (stdout, stderr) = (running.0.stdout.take(), running.0.stderr.take());
    let (out, err, status) = tokio::join!(
        show(stdout, &reason),
        show(stderr, &reason),
        running.0.wait()
    );
    out.and(err).context("the output of the build")?;
    let status = status.context("the build")?;
    if status.success() {
        return Ok(());
    }
    let told = reason.lock().told();
    Err(anyhow::anyhow!("{}{told}", ended(status)))
}

fn ended(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("the build ended with {code}"),
        None => "the build was ended by a signal".to_owned(),
    }
}

/// Shows lines as they come.
async fn show(
    stream: Option<impl AsyncRead + Unpin>,
    reason: &Mutex<Reason>,
) -> std::io::Result<()> {
    let Some(stream) = stream else { return Ok(()) };
    let mut lines = BufReader::new(stream).split(b'\n');
    while let Some(line) = lines.next_segment().await? {
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        output::note(line);
        reason.lock().hear(line);
    }
    Ok(())
}

/// The line of a build's output that says why it failed: the first with the word "error" in it, and
/// where there is none, the last.
#[derive(Debug, Default)]
struct Reason {
    error: Option<String>,
    /// Where the error is, where that stands in the line below, as Rust's compiler has it.
    place: Option<String>,
    last: String,
}

impl Reason {
    fn hear(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        if self.error.is_some() && self.place.is_none() {
            let place = line.strip_prefix("--> ").unwrap_or_default();
            self.place = Some(place.to_owned());
        } else if self.error.is_none() && line.to_ascii_lowercase().contains("error") {
            self.error = Some(line.to_owned());
        }
        line.clone_into(&mut self.last);
    }

    /// The reason as the end of a sentence; empty where nothing was said.
    fn told(&self) -> String {
        let place = self.place.as_deref().filter(|place| !place.is_empty());
        match (&self.error, place) {
            (Some(error), Some(place)) => format!(": {error} ({place})"),
            (Some(error), None) => format!(": {error}"),
            (None, _) if self.last.is_empty() => String::new(),
            (None, _) => format!(": {}", self.last),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn told(lines: &str) -> String {
        let mut reason = Reason::default();
        lines.lines().for_each(|line| reason.hear(line));
        reason.told()
    }

    #[test]
    fn the_reason_is_the_line_that_people_look_for() {
        let rust = "   Compiling m v0.1.0\nerror[E0425]: cannot find value `x`\n  --> src/lib.rs:3:5\n   |\n\
                    error: could not compile `m`\n";
        assert_eq!(
            told(rust),
            ": error[E0425]: cannot find value `x` (src/lib.rs:3:5)"
        );
        let c = "model.c:4:3: error: expected ';'\n    4 |   x\nmake: *** [Makefile:9] Error 1\n";
        assert_eq!(told(c), ": model.c:4:3: error: expected ';'");
        let python =
            "Traceback (most recent call last):\n  File \"model.py\", line 3\nNameError: x\n";
        assert_eq!(told(python), ": NameError: x");
        assert_eq!(told("no such luck\n\n"), ": no such luck");
        assert_eq!(told(""), "");
    }

    #[tokio::test]
    async fn a_build_that_is_dropped_ends_with_all_that_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let command = "sleep 1000 & echo $! > pid; wait";
        let running = build(folder.path(), command);
        let pid = async {
            loop {
                let text = std::fs::read_to_string(folder.path().join("pid"));
                match text.unwrap_or_default().trim().parse::<i32>() {
                    Ok(pid) => return pid,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let pid = tokio::select! {
            ended = running => unreachable!("it sleeps: {ended:?}"),
            pid = pid => Pid::from_raw(pid).unwrap(),
        };
        // It was dropped. What nobody waits for is a zombie of the one that adopts it for a moment.
        let is_there = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        while is_there() {
            tokio::task::yield_now().await;
        }
        let failed = build(folder.path(), "echo an error here; exit 3")
            .await
            .unwrap_err();
        assert_eq!(failed.to_string(), "the build ended with 3: an error here");
        assert!(build(folder.path(), "true").await.is_ok());
    }
}
