//! Reads the settings, and what of them stands in Vault.

use std::time::{Duration, Instant};

use super::ServeArgs;
use crate::cli::Failure;
use crate::config::{Resolved, SystemEnvironment, WithVault};
use crate::secrets::{Vault, VaultError, VaultRef, VaultSecrets};

/// The shortest pause before a token is seen to again that Vault would not renew.
const TEND_AGAIN: Duration = Duration::from_secs(5);

/// What reads the settings of a server, as often as they are wanted.
pub(super) struct SettingsReader {
    args: ServeArgs,
    vault: Option<Watched>,
}

/// Vault, and what was read from it last.
struct Watched {
    vault: Vault,
    places: Vec<VaultRef>,
    secrets: VaultSecrets,
    read_at: Instant,
    /// Whether the last look has failed, which is told once.
    is_failing: bool,
    /// When the token may be seen to again.
    tended_at: Option<Instant>,
}

impl SettingsReader {
    pub(super) fn new(args: ServeArgs) -> Self {
        Self { args, vault: None }
    }

    /// Reads everything.
    pub(super) async fn read(&mut self) -> Result<Resolved, Failure> {
        let without = self.args.resolve(&SystemEnvironment)?;
        if without.in_vault.is_empty() {
            self.vault = None;
            return Ok(without);
        }
        let config = &without.settings.vault;
        let known = self.vault.take();
        let vault = match known {
            Some(known) if known.vault.config() == config => known.vault,
            _ => Vault::new(config.clone()).map_err(failed)?,
        };
        let watched = self.vault.insert(Watched {
            vault,
            places: without.in_vault,
            secrets: VaultSecrets::default(),
            read_at: Instant::now(),
            is_failing: false,
            tended_at: None,
        });
        watched.secrets = watched.vault.read(&watched.places).await.map_err(failed)?;
        self.args.resolve(&WithVault {
            environment: SystemEnvironment,
            secrets: &watched.secrets,
        })
    }

    /// Waits until something in Vault is another than what was read, and keeps the token alive
    /// meanwhile. Forever where nothing stands there.
    pub(super) async fn changed(&mut self) {
        let Some(watched) = &mut self.vault else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(watched.pause()).await;
            if watched.look().await {
                return;
            }
        }
    }
}

impl Watched {
    /// How long there is nothing to do.
    fn pause(&self) -> Duration {
        let refresh = self.vault.config().refresh;
        let refresh = refresh.saturating_sub(self.read_at.elapsed());
        let again = self
            .tended_at
            .map_or(Duration::ZERO, |at| TEND_AGAIN.saturating_sub(at.elapsed()));
        let tend = self.vault.due_in().map(|due| due.max(again));
        tend.map_or(refresh, |tend| tend.min(refresh))
    }

    /// Does what is due. Whether something has changed.
    async fn look(&mut self) -> bool {
        if self.vault.due_in().is_some_and(|due| due.is_zero()) {
            self.tended_at = Some(Instant::now());
            let outcome = self.vault.tend().await;
            self.tell(outcome.as_ref().err());
        }
        if self.read_at.elapsed() < self.vault.config().refresh {
            return false;
        }
        self.read_at = Instant::now();
        let read = self.vault.read(&self.places).await;
        self.tell(read.as_ref().err());
        read.is_ok_and(|read| read != self.secrets)
    }

    /// Tells that Vault cannot be read any more, or that it can again.
    fn tell(&mut self, error: Option<&VaultError>) {
        match error {
            Some(error) if !self.is_failing => {
                tracing::warn!("secrets stay as they were read last: {error}");
            }
            None if self.is_failing => tracing::info!("secrets can be read from Vault again"),
            _ => {}
        }
        self.is_failing = error.is_some();
    }
}

fn failed(error: VaultError) -> Failure {
    anyhow::Error::from(error).into()
}
