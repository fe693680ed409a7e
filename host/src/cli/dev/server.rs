//! The server that `belljar dev` starts where none is there: on this machine alone, over its data
//! directory, and gone with the command.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::app::DiscoveryFile;
use crate::cli::output;

/// Where it listens, where nobody else does.
const ADDRESS: &str = "127.0.0.1:8000";
/// Any port that is free.
const ANY_ADDRESS: &str = "127.0.0.1:0";
/// How long it may take to say where it is: the first start compiles the built-in models.
const START_MAX: Duration = Duration::from_secs(120);
/// How long it may take to end.
const END_MAX: Duration = Duration::from_secs(10);
/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// What it logs: what models write, and what is wrong.
const LOG: &str = "warn,guest=info,belljar_sandbox::run=debug";

/// A server of this command's own.
pub(super) struct OwnServer(Child);

impl OwnServer {
    /// Starts one, and waits until it says where it is.
    pub(super) async fn start(data_dir: &Path, config: Option<&PathBuf>) -> Result<Self> {
        let is_free = TcpListener::bind(ADDRESS).is_ok();
        let address = if is_free { ADDRESS } else { ANY_ADDRESS };
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["serve", "--listen", address, "--log-level", LOG])
            .args(["--set", "log.access=false", "--data-dir"])
            .arg(data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // Ctrl-C is for the command, which ends it when it has no more use for it.
            .process_group(0)
            .kill_on_drop(true);
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        let spinner = output::spinner();
        spinner.set_message("starting a server");
        let child = command.spawn().context("a server cannot be started")?;
        let mut server = Self(child);
        let since = Instant::now();
        loop {
            let file = DiscoveryFile::read(data_dir);
            if file.is_some_and(|file| Some(file.pid) == server.0.id()) {
                break;
            }
            if let Some(status) = server.0.try_wait()? {
                bail!("the server has not started ({status}); it says why above");
            }
            if since.elapsed() > START_MAX {
                bail!(
                    "the server has not started within {} s",
                    START_MAX.as_secs()
                );
            }
            tokio::time::sleep(LOOK).await;
        }
        spinner.finish_and_clear();
        Ok(server)
    }

    /// Waits until it has ended by itself.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        match self.0.wait().await {
            Ok(status) => anyhow::anyhow!("the server has ended ({status})"),
            Err(error) => error.into(),
        }
    }

    /// Ends it as a signal does, and waits.
    pub(super) async fn end(mut self) {
        let pid = self.0.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(END_MAX, self.0.wait()).await.is_err() {
            let _ = self.0.kill().await;
        }
    }
}
