//! `belljar restore`: a backup as a data directory again.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use serde_json::json;

use super::{Failure, PlaceArgs, block_on, output};
use crate::backup::{Restored, check, restore as restore_backup};
use crate::clock::Clock;

#[derive(Args, Debug)]
pub(super) struct RestoreArgs {
    /// Backup to read, or - for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Check the backup's form and every digest, and write nothing
    #[arg(long)]
    check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) fn restore(args: &RestoreArgs) -> Result<(), Failure> {
    let (body, bytes): (Box<dyn io::Read + Send>, u64) = if args.file.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            let error = anyhow!("stdin is a terminal: name a file, or pipe a backup");
            return Err(Failure::usage(error));
        }
        (Box::new(io::stdin()), 0)
    } else {
        let opened = File::open(&args.file).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (bytes, file) =
            opened.with_context(|| format!("{} cannot be read", args.file.display()))?;
        (Box::new(file), bytes)
    };
    let bar = match bytes {
        0 => output::spinner(),
        bytes => output::byte_bar(bytes),
    };
    bar.set_message(if args.check { "check" } else { "restore" });
    let body = bar.wrap_read(body);
    if args.check {
        let manifest = check(body)?;
        bar.finish_and_clear();
        let shown = args.file.display();
        if args.json {
            return Ok(output::json(&json!({
                "created": manifest.created,
                "server_version": manifest.server_version,
                "model_versions": manifest.model_versions,
                "files": manifest.files(),
                "bytes": manifest.bytes(),
            }))?);
        }
        return Ok(output::line(format!(
            "{shown}: a whole backup of {}, made by belljar {}\n{} model versions in {} files; \
             every digest was checked",
            manifest.created,
            manifest.server_version,
            manifest.model_versions,
            manifest.files()
        ))?);
    }
    let data_dir = args.place.data_dir()?;
    let restored =
        block_on(async { Ok(restore_backup(body, &data_dir, &Clock::system()).await?) })?;
    bar.finish_and_clear();
    report(args, &data_dir, &restored)?;
    Ok(())
}

fn report(args: &RestoreArgs, data_dir: &std::path::Path, restored: &Restored) -> Result<()> {
    let manifest = &restored.manifest;
    if args.json {
        return output::json(&json!({
            "data_dir": data_dir,
            "created": manifest.created,
            "server_version": manifest.server_version,
            "model_versions": manifest.model_versions,
            "files": manifest.files(),
            "bytes": manifest.bytes(),
            "audit": restored.audit,
            "settings": restored.has_settings,
        }));
    }
    output::line(format!(
        "{}: restored the state of {}\n{} model versions in {} files; database, keys, models and \
         audit log were checked",
        data_dir.display(),
        manifest.created,
        manifest.model_versions,
        manifest.files()
    ))?;
    if restored.has_settings {
        output::note("belljar.toml was in it: look whether it fits this machine");
    }
    output::note("Keys that were revoked since then work again: revoke them before you serve.");
    Ok(())
}
