//! `belljar audit`: reads the audit log of this machine, with or without a server running.

use std::fs::File;
use std::io::{BufRead as _, BufReader};

use anyhow::{Context as _, Result};
use clap::Subcommand;

use super::{Failure, PlaceArgs, output};
use crate::audit::{AuditConfig, Verified, verify};

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Find changed, removed, reordered or cut-off lines
    Verify {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Print the newest lines, as JSON
    Show {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 20)]
        lines: usize,
        #[command(flatten)]
        place: PlaceArgs,
    },
}

pub(super) fn audit(command: &AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Verify { json, place } => {
            let settings = place.resolve()?.settings;
            let file = settings.audit.file(&settings.data_dir);
            let verified = verify(&file, &AuditConfig::checkpoint(&settings.data_dir))?;
            if *json {
                return Ok(output::json(&verified)?);
            }
            Ok(report(&verified)?)
        }
        AuditCommand::Show { lines, place } => {
            let settings = place.resolve()?.settings;
            let path = settings.audit.file(&settings.data_dir);
            let file = File::open(&path)
                .with_context(|| format!("the audit log {} cannot be read", path.display()))?;
            let mut newest = std::collections::VecDeque::new();
            for line in BufReader::new(file).lines() {
                newest.push_back(line?);
                if newest.len() > *lines {
                    newest.pop_front();
                }
            }
            newest.iter().try_for_each(output::line)?;
            Ok(())
        }
    }
}

fn report(verified: &Verified) -> Result<()> {
    let Verified {
        lines,
        files,
        first_sequence,
        last_sequence,
        last_hash,
        head_checked,
    } = verified;
    output::line(format!(
        "the audit log is whole: {lines} lines in {files} files, numbers {first_sequence} to \
         {last_sequence}\nlast hash {last_hash}"
    ))?;
    if !head_checked {
        output::note(
            "warning: there is no audit.head in the data directory: a cut at the end could not \
             be found",
        );
    }
    Ok(())
}
