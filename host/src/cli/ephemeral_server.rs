//! A server without sockets in a temporary folder, for commands that try a bundle: it goes
//! through the code that a real server runs, under the settings of this machine.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use belljar_bundle::pack::{Parts, pack_parts};
use belljar_sandbox::{Codegen, SandboxConfig};

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

/// What one of these servers has beyond what all have.
#[derive(Default)]
struct Beyond {
    /// Source lines in what it compiles.
    source_lines: bool,
    /// So many of its last runs on record.
    runs: u32,
    /// Versions held to their examples, as a server does.
    examines: bool,
}

impl EphemeralServer {
    pub(super) async fn open(settings: &SettingArgs) -> Result<Self, super::Failure> {
        Self::opened(settings, Beyond::default()).await
    }

    /// One that takes no version which a server would not have serve.
    pub(super) async fn strict(settings: &SettingArgs) -> Result<Self, super::Failure> {
        let beyond = Beyond {
            examines: true,
            ..Beyond::default()
        };
        Self::opened(settings, beyond).await
    }

    /// One that names source lines where the bundle or the project at `path` has them. What is
    /// compiled for it is of no use to a server, which keeps none.
    pub(super) async fn open_for(
        path: &Path,
        settings: &SettingArgs,
    ) -> Result<Self, super::Failure> {
        let beyond = Beyond {
            source_lines: has_source_lines(path),
            ..Beyond::default()
        };
        Self::opened(settings, beyond).await
    }

    /// A server that keeps so many of its last runs.
    pub(super) async fn keeping_runs(
        settings: &SettingArgs,
        runs: u32,
    ) -> Result<Self, super::Failure> {
        let beyond = Beyond {
            runs,
            ..Beyond::default()
        };
        Self::opened(settings, beyond).await
    }

    async fn opened(settings: &SettingArgs, beyond: Beyond) -> Result<Self, super::Failure> {
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
        own.runs.keep = beyond.runs;
        own.models.fake = false;
        own.models.examines = beyond.examines;
        own.models.echo = false;
        own.sandbox = SandboxConfig {
            runs_max: RUNS,
            model_runs_max: RUNS,
            codegen: Codegen {
                source_lines: beyond.source_lines,
                ..own.sandbox.codegen
            },
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
        pack_project(path, None, None, out)?;
        Ok(packed)
    }

    pub(super) async fn close(self) {
        self.app.close().await;
    }
}

/// Whether the component of a bundle or a project says what source lines it is made of.
fn has_source_lines(path: &Path) -> bool {
    let component = if path.is_dir() {
        // Packing says what is wrong with a manifest that cannot be read.
        let text = std::fs::read_to_string(path.join("model.toml")).unwrap_or_default();
        let manifest: toml::Table = text.parse().unwrap_or_default();
        let component = manifest.get("component").and_then(toml::Value::as_str);
        match component {
            Some(component) => path.join(component),
            None => return false,
        }
    } else {
        path.to_owned()
    };
    // In a bundle it comes first, and what weights there are come after it.
    File::open(component).is_ok_and(|file| {
        let beginning = file.take(SEARCHED_BYTES_MAX);
        holds(beginning, SOURCE_LINES).unwrap_or(false)
    })
}

/// Bytes of a component, or of the beginning of a bundle, in which source lines are looked for.
const SEARCHED_BYTES_MAX: u64 = 64 << 20;

/// The name of the section with source lines, in a component that is not compressed.
const SOURCE_LINES: &[u8] = b".debug_line";

/// Whether bytes are in a file.
fn holds(mut file: impl Read, wanted: &[u8]) -> io::Result<bool> {
    const PIECE: usize = 1 << 16;
    let mut bytes = Vec::with_capacity(2 * PIECE);
    loop {
        let kept = bytes.len().saturating_sub(wanted.len().saturating_sub(1));
        bytes.drain(..kept);
        let more = file.by_ref().take(PIECE as u64).read_to_end(&mut bytes)?;
        if bytes.windows(wanted.len()).any(|window| window == wanted) {
            return Ok(true);
        }
        if more == 0 {
            return Ok(false);
        }
    }
}

/// Logs what matters to somebody who tries a model, or everything that is set up.
pub(super) fn log(
    verbose: bool,
    settings: &SettingArgs,
) -> Result<telemetry::LogGuard, super::Failure> {
    let mut config = settings.resolve()?.settings.log;
    config.access_log = false;
    // What a model says, and where its run failed, is what its author tries it for.
    config.filter = if verbose {
        format!("{},belljar_sandbox::run=debug", config.filter).parse()?
    } else {
        "warn,guest=info,belljar_sandbox::run=debug".parse()?
    };
    Ok(telemetry::init(&config))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bytes_are_found_wherever_they_lie() {
        for before in [0, 1, (1 << 16) - 5, 1 << 16, 200_000] {
            let mut file = vec![b'.'; before];
            assert!(!holds(file.as_slice(), SOURCE_LINES).unwrap());
            file.extend_from_slice(SOURCE_LINES);
            assert!(holds(file.as_slice(), SOURCE_LINES).unwrap(), "{before}");
            file.pop();
            assert!(!holds(file.as_slice(), SOURCE_LINES).unwrap());
        }
    }
}
