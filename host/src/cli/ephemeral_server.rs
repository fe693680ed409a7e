//! A server without sockets in a temporary folder, for commands that try a bundle: it goes
//! through the code that a real server runs, under the settings of this machine.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use belljar_bundle::pack::{Parts, pack_parts};
use belljar_sandbox::SandboxConfig;

use super::packing::pack_project;
use super::{SettingArgs, output, temporary};
use crate::app::{self, App};
use crate::auth::{Caller, PresentedKey};
use crate::db;
use crate::models::{Policy, UploadRequest, VersionState, VersionStatus};
use crate::telemetry;

/// A server whose folder goes when the value does.
pub(super) struct EphemeralServer {
    app: App,
    policy: Policy,
    folder: tempfile::TempDir,
}

impl EphemeralServer {
    pub(super) async fn open(settings: &SettingArgs) -> Result<Self, super::Failure> {
        // One bundle and one run at a time.
        const RUNS: u32 = 4;
        let mut resolved = settings.resolve()?;
        let folder = temporary::folder()?;
        let own = &mut resolved.settings;
        own.compiler.cache_of = db::private_directory(&own.data_dir)
            .ok()
            .map(|()| own.data_dir.clone());
        own.data_dir = folder.path().to_owned();
        own.auth.require_key = false;
        own.models.fake = false;
        own.models.echo = false;
        own.sandbox = SandboxConfig {
            runs_max: RUNS,
            model_runs_max: RUNS,
            ..own.sandbox.clone()
        };
        let policy = own.models.policy.clone();
        let app = app::build(resolved, std::env::current_exe()?).await?;
        Ok(Self {
            app,
            policy,
            folder,
        })
    }

    pub(super) fn app(&self) -> &App {
        &self.app
    }

    /// The most that a model may be given here.
    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes a bundle, or a project folder, through the whole lifecycle.
    pub(super) async fn admit(&self, path: &Path) -> Result<VersionStatus> {
        self.admit_file(&self.bundle(path)?).await
    }

    /// The same for a bundle of which there are the parts.
    pub(super) async fn admit_parts(&self, parts: &Parts) -> Result<VersionStatus> {
        let packed = self.folder.path().join("parts.tar");
        let out =
            File::create(&packed).with_context(|| format!("cannot write {}", packed.display()))?;
        let written = tokio::task::block_in_place(|| pack_parts(parts, None, out));
        written.context("the weights cannot be packed")?;
        let admitted = self.admit_file(&packed).await;
        // Weights are large, and the store has them now.
        let _ = std::fs::remove_file(&packed);
        admitted
    }

    async fn admit_file(&self, bundle: &Path) -> Result<VersionStatus> {
        let body = tokio::fs::File::open(bundle)
            .await
            .with_context(|| format!("cannot read {}", bundle.display()))?;
        let spinner = output::spinner();
        spinner.set_message("checking");
        let registry = self.app.registry();
        let received = registry
            .upload(
                body,
                UploadRequest {
                    caller: self.owner()?,
                    quota: Default::default(),
                    activate: true,
                },
            )
            .await?;
        spinner.set_message("compiling and loading");
        let status = VersionStatus {
            notes: received.notes,
            ..registry.settled(&received.id).await?
        };
        spinner.finish_and_clear();
        match (&status.state, &status.error) {
            (VersionState::Ready | VersionState::Active, _) => Ok(status),
            (_, Some(failure)) => {
                let reason = output::with_code(&failure.message, &failure.code);
                bail!("{}: {reason}", status.id)
            }
            (state, None) => Err(anyhow!("{} ended as {state}", status.id)),
        }
    }

    /// The owner of this server, whose admin key is in its folder, as with every other.
    fn owner(&self) -> Result<Caller> {
        let key = std::fs::read_to_string(self.folder.path().join(app::ADMIN_KEY_FILE))?;
        let key = PresentedKey::parse(key.trim().as_bytes())?;
        Ok(self.app.keys().authenticate(Some(&key))?)
    }

    /// A bundle file: the path itself, or the project folder there packed into one.
    fn bundle(&self, path: &Path) -> Result<PathBuf> {
        if !path.is_dir() {
            return Ok(path.to_owned());
        }
        let packed = self.folder.path().join("project.tar");
        let out =
            File::create(&packed).with_context(|| format!("cannot write {}", packed.display()))?;
        pack_project(path, None, out)?;
        Ok(packed)
    }

    pub(super) async fn close(self) {
        self.app.close().await;
    }
}

/// Logs what matters to somebody who tries a model, or everything that is set up.
pub(super) fn log(
    verbose: bool,
    settings: &SettingArgs,
) -> Result<telemetry::LogGuard, super::Failure> {
    let mut config = settings.resolve()?.settings.log;
    config.access_log = false;
    if !verbose {
        // What a model says, and why its run failed, is what its author tries it for.
        config.filter = "warn,guest=info,belljar_sandbox::run=info".parse()?;
    }
    Ok(telemetry::init(&config))
}
