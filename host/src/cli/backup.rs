//! `belljar backup`: all that a server keeps, checked as it comes and put in place when it is whole.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use belljar_bundle::ByteSize;
use clap::Args;
use futures_util::TryStreamExt as _;
use indicatif::ProgressBar;
use reqwest::Method;
use serde_json::json;
use tempfile::NamedTempFile;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::client::{Client, ClientArgs, read_json};
use super::{Failure, block_on, output};
use crate::backup::{Manifest, Source, check};
use crate::clock::Clock;
use crate::db::StoppedDirectory;

#[derive(Args, Debug)]
#[command(
    after_help = "A backup holds all models, the hashes of keys, the admin key and what signed \
                        requests follow from: keep it as you keep those, or encrypt it, as in\n  \
                        belljar backup - | age -r RECIPIENT -o belljar.tar.age"
)]
pub(super) struct BackupArgs {
    /// File to write, or - for stdout
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// Where a backup is written.
enum Target {
    Stdout,
    File(NamedTempFile),
}

pub(super) fn backup(args: &BackupArgs) -> Result<(), Failure> {
    let target = Target::open(args)?;
    let stopped = args.client.stopped_data_dir()?;
    let (manifest, bytes, target) = block_on(async {
        match stopped {
            Some(data_dir) if !data_dir.join("belljar.db").exists() => {
                let error = anyhow!(
                    "no server runs on {} or has: name one with --server or --data-dir",
                    data_dir.display()
                );
                Err(error.into())
            }
            Some(data_dir) => of_stopped(&data_dir, args, target).await,
            None => of_running(args, target).await,
        }
    })?;
    target.keep(args)?;
    report(args, &manifest, bytes)?;
    Ok(())
}

/// Takes the backup that the server hands out.
async fn of_running(args: &BackupArgs, target: Target) -> Result<(Manifest, u64, Target), Failure> {
    let client = Client::new(&args.client)?;
    let request = client.request(Method::POST, &["admin", "backup"]);
    let response = client.answer(request, None).await?;
    let total = response.content_length();
    let Some(total) = total.filter(|_| response.status().is_success()) else {
        read_json(response).await?;
        return Err(anyhow!("the answer is no backup: is this a belljar server?").into());
    };
    let bar = output::byte_bar(total);
    bar.set_message("backup");
    let body = response.bytes_stream().map_err(io::Error::other);
    let body = SyncIoBridge::new(StreamReader::new(Box::pin(body)));
    let checked = tokio::task::spawn_blocking(move || taken(body, target, &bar)).await?;
    Ok(checked.context("no backup was made")?)
}

/// Writes the backup of a data directory on which no server runs.
async fn of_stopped(
    data_dir: &Path,
    args: &BackupArgs,
    target: Target,
) -> Result<(Manifest, u64, Target), Failure> {
    let settings = args.client.resolve()?.settings;
    let directory = StoppedDirectory::lock(data_dir).await?;
    let source = Source::Stopped {
        directory,
        audit: settings.audit,
    };
    let plan = source.plan(&Clock::system()).await?;
    let bar = output::byte_bar(plan.archive_bytes());
    bar.set_message("backup");
    let (read, mut write) = io::pipe()?;
    // What ends it early is told by who reads, unless it is about what was to be read.
    let writer = std::thread::spawn(move || plan.write(&mut write));
    let taken = tokio::task::spawn_blocking(move || taken(read, target, &bar)).await?;
    let written = writer
        .join()
        .map_err(|_| anyhow!("the work was broken off"))?;
    match (taken, written) {
        (Ok(taken), _) => Ok(taken),
        (Err(_), Err(error)) if !error.is_broken_pipe() => Err(anyhow::Error::from(error)
            .context("no backup was made")
            .into()),
        (Err(error), _) => Err(error.context("no backup was made").into()),
    }
}

/// Copies a backup to where it goes, and checks all of it on its way.
fn taken(
    body: impl Read,
    mut target: Target,
    bar: &ProgressBar,
) -> Result<(Manifest, u64, Target)> {
    let mut tee = Tee {
        body: bar.wrap_read(body),
        target: &mut target,
        bytes: 0,
    };
    let manifest = check(&mut tee)?;
    let bytes = tee.bytes;
    target.sync()?;
    bar.finish_and_clear();
    Ok((manifest, bytes, target))
}

/// Everything that is read is written first.
struct Tee<'a, R> {
    body: R,
    target: &'a mut Target,
    bytes: u64,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.body.read(buffer)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        match self.target {
            Target::Stdout => io::stdout().lock().write_all(bytes)?,
            Target::File(file) => file.write_all(bytes)?,
        }
        self.bytes = self.bytes.saturating_add(count as u64);
        Ok(count)
    }
}

impl Target {
    fn open(args: &BackupArgs) -> Result<Self, Failure> {
        if args.file.as_os_str() == "-" {
            if io::stdout().is_terminal() {
                let error = anyhow!("a backup is not for a terminal: name a file, or pipe it");
                return Err(Failure::usage(error));
            }
            return Ok(Self::Stdout);
        }
        if !args.force && fs::symlink_metadata(&args.file).is_ok() {
            return Err(there_already(&args.file).into());
        }
        let folder = folder(&args.file);
        // Mode 0600, and gone with this process unless that is killed.
        let file = tempfile::Builder::new()
            .prefix(".belljar-backup-")
            .tempfile_in(folder)
            .with_context(|| format!("cannot write to {}", folder.display()))?;
        Ok(Self::File(file))
    }

    fn sync(&mut self) -> Result<()> {
        match self {
            Self::Stdout => io::stdout().flush().context("stdout cannot be written"),
            Self::File(file) => file.as_file().sync_all().context("the disk failed"),
        }
    }

    /// Puts a whole backup in place.
    fn keep(self, args: &BackupArgs) -> Result<()> {
        let Self::File(file) = self else {
            return Ok(());
        };
        let kept = match args.force {
            true => file.persist(&args.file),
            false => file.persist_noclobber(&args.file),
        };
        if let Err(error) = kept {
            if error.error.kind() == io::ErrorKind::AlreadyExists {
                return Err(there_already(&args.file));
            }
            bail!(
                "{} cannot be put in place: {}",
                args.file.display(),
                error.error
            );
        }
        let folder = folder(&args.file);
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.with_context(|| format!("{} cannot be written", folder.display()))
    }
}

fn there_already(file: &Path) -> anyhow::Error {
    anyhow!(
        "{} is there already: name another file, or replace it with --force",
        file.display()
    )
}

fn folder(file: &Path) -> &Path {
    let folder = file.parent();
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn report(args: &BackupArgs, manifest: &Manifest, bytes: u64) -> Result<()> {
    let is_stdout = args.file.as_os_str() == "-";
    if args.json {
        let report = serde_json::to_string_pretty(&json!({
            "file": args.file.to_string_lossy(),
            "created": manifest.created,
            "server_version": manifest.server_version,
            "model_versions": manifest.model_versions,
            "files": manifest.files(),
            "bytes": bytes,
        }))?;
        if is_stdout {
            output::note(&report);
            return Ok(());
        }
        return output::line(report);
    }
    let text = format!(
        "{}: {} of {}\n{} model versions in {} files; every digest was checked",
        args.file.display(),
        ByteSize::bytes(bytes),
        manifest.created,
        manifest.model_versions,
        manifest.files()
    );
    if is_stdout {
        output::note(&text);
        return Ok(());
    }
    output::line(text)
}
