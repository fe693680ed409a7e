//! The wall around a server: put up before it has threads, tried, and told.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use belljar_wall::{Attempt, Calls, Guard, Hardening, Reach, Report, State, Trial, Trying, Wall};
use clap::Args;

use crate::cli::{Failure, SettingArgs};
use crate::config::{Resolved, ServiceManager};
use crate::db;
use crate::telemetry::metrics::WALL;

/// This program, also where its file has been replaced by another version meanwhile: what is
/// started is what the wall lets through, and what the server is.
pub(super) const OWN_PROGRAM: &str = "/proc/self/exe";

/// A wall that is up, or none.
#[derive(Debug)]
pub(super) struct Raised {
    hardening: Hardening,
    reach: Reach,
    trying: Option<Trying>,
}

/// Puts up the wall that the settings ask for. Landlock binds this thread and what it starts, so no
/// other may be there before.
pub(super) fn raise(resolved: &Resolved, manager: &ServiceManager) -> Raised {
    let settings = &resolved.settings;
    let hardening = settings.hardening;
    let mut reach = resolved.reach().of_this_program();
    // A service manager of that kind could not be told anything.
    let notify = manager.notify.as_deref();
    reach.abstract_sockets = notify.is_some_and(|name| name.starts_with('@'));
    let trying = (hardening != Hardening::Off).then(|| {
        // What is not there cannot be within reach. What is wrong with it is told when it is opened.
        let _ = db::make_directory(&settings.data_dir);
        let trial = Trial::choose(&reach);
        let wall = Wall::raise(&reach, Calls::Server);
        trial.begin(wall, Path::new(OWN_PROGRAM))
    });
    Raised {
        hardening,
        reach,
        trying,
    }
}

/// A wall whose strength is known.
#[derive(Debug)]
pub(super) struct Known {
    reach: Reach,
    /// What was shown; none where there is no wall.
    pub(super) report: Option<Report>,
}

impl Raised {
    /// Waits for what the attempts have shown, and tells what does not hold.
    pub(super) fn known(self) -> Result<Known, Failure> {
        let report = self.trying.map(Trying::finish);
        let open: Vec<String> = report
            .iter()
            .flat_map(Report::open)
            .map(ToString::to_string)
            .collect();
        if self.hardening == Hardening::Required && !open.is_empty() {
            return Err(Failure::usage(anyhow!(
                "`hardening` is `required`, and not all of it can be had here:\n  {}",
                open.join("\n  ")
            )));
        }
        for state in open {
            tracing::warn!("the wall around the server is not whole: {state}");
        }
        Ok(Known {
            reach: self.reach,
            report,
        })
    }
}

impl Known {
    /// Sets the metric of each guard.
    pub(super) fn count(&self) {
        for state in self.report.iter().flat_map(|report| &report.0) {
            let holds = if state.holds { 1.0 } else { 0.0 };
            WALL.with([("guard", state.guard.name().into())]).set(holds);
        }
    }

    /// The ports of other machines that may be connected to; none for all of them.
    pub(super) fn ports(&self) -> Option<&BTreeSet<u16>> {
        let report = self.report.as_ref()?;
        let holds = |state: &State| state.guard == Guard::Network && state.holds;
        report.0.iter().any(holds).then_some(&self.reach.connect)
    }

    /// Folders that other settings name and this start has not left open.
    pub(super) fn beyond(&self, read: &Resolved) -> Vec<PathBuf> {
        let wanted = read.reach().read.into_iter();
        let beyond = wanted.filter(|path| self.report.is_some() && !self.reach.may_read(path));
        beyond.collect()
    }
}

/// What to try of a wall.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct ProbeArgs {
    /// Put up the wall of a server with these settings first
    #[arg(long)]
    raise: bool,
    #[command(flatten)]
    settings: SettingArgs,
    /// What to try, as JSON
    attempts: String,
}

/// The hidden command by which a server, and its tests, try the wall.
pub(in crate::cli) fn probe(args: &ProbeArgs) -> Result<std::process::ExitCode, Failure> {
    let attempts: Vec<Attempt> = serde_json::from_str(&args.attempts)?;
    if args.raise {
        let resolved = args.settings.resolve()?;
        let raised = raise(&resolved, &ServiceManager::of_this_process());
        drop(raised.trying.map(Trying::finish));
    }
    Ok(belljar_wall::probe(&attempts))
}
