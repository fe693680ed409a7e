//! Takes up settings that were read again, while the server serves.
//!
//! Which settings that can be is said in their table. Each part swaps what it goes by in one step,
//! so a request is held to the old values or to the new ones.

use std::collections::BTreeSet;

use serde_json::json;
use tokio::sync::mpsc;
use tracing::Level;

use super::configuration;
use crate::audit::{Event, EventKind};
use crate::auth::KeyError;
use crate::config::{Change, ConfigError, Reread, Resolved, Settings};
use crate::http::{HttpState, ReloadOutcome, ReloadRequest, SettingChange};
use crate::telemetry;
use crate::telemetry::metrics;
use crate::testing::RuleFileError;
use crate::tls::{Tls, TlsError};
use crate::webhook::{PreparedWebhook, WebhookError, WebhookSettings};

/// The parts of a running server that can take other settings.
pub struct Reloader {
    pub(super) state: HttpState,
    pub(super) tls: Option<Tls>,
    pub(super) webhook: WebhookSettings,
    /// The ports of other machines that the wall around the server lets it connect to; none where
    /// it lets it connect to all.
    pub(super) ports: Option<BTreeSet<u16>>,
    /// The settings that hold.
    pub(super) resolved: Resolved,
    /// Who wants them to be read again.
    pub(super) requests: mpsc::Receiver<ReloadRequest>,
}

/// Why nothing was taken up.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The settings contradict one another.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keys of the configuration could not be replaced, or what vouches for tokens not be
    /// read.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The rules of testers cannot be used.
    #[error(transparent)]
    Rules(#[from] RuleFileError),
    /// The secret of the webhook cannot be used.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// A machine that the wall does not let the server reach.
    #[error(
        "the wall around this server was put up before a setting named port {port} of another \
         machine: that takes a start"
    )]
    BeyondWall {
        /// The port.
        port: u16,
    },
    /// Whether connections are encrypted cannot change under them.
    #[error("`tls.cert`: TLS is turned on and off by a start, not by a reload")]
    TlsSwitch,
}

impl ReloadError {
    /// What is wrong, a text for each thing.
    fn problems(&self) -> Vec<String> {
        match self {
            Self::Config(error) => error.0.iter().map(ToString::to_string).collect(),
            error => vec![error.to_string()],
        }
    }
}

impl Reloader {
    /// Takes up no setting that names another port of another machine than these: the wall around
    /// the server stands.
    pub fn keep_within(&mut self, ports: BTreeSet<u16>) {
        self.ports = Some(ports);
    }

    /// The next wish that the settings are read again. None when nobody can have one any more.
    pub async fn asked(&mut self) -> Option<ReloadRequest> {
        self.requests.recv().await
    }

    /// Takes up what can change of settings that were read, or of what is wrong with them; tells
    /// the outcome to the log, to the audit log and to whoever has asked.
    pub async fn reload(&mut self, read: Result<Resolved, Vec<String>>, request: ReloadRequest) {
        let taken = match &read {
            Ok(read) => self.take_up(read).await.map_err(|error| error.problems()),
            Err(problems) => Err(problems.clone()),
        };
        let ((changed, waiting), problems) = match taken {
            Ok(changes) => (changes, Vec::new()),
            Err(problems) => {
                let all = problems.join("; ");
                tracing::error!("reload: the settings stay as they are: {all}");
                (Default::default(), problems)
            }
        };
        let outcome = ReloadOutcome {
            time: self.state.clock().now(),
            actor: request.actor.clone(),
            changed: changed.into_iter().map(told).collect(),
            waiting: waiting.into_iter().map(told).collect(),
            problems,
        };
        metrics::RELOADS
            .with([("outcome", outcome.name().into())])
            .increment(1);
        let keys = |changes: &[SettingChange]| -> Vec<_> {
            changes.iter().map(|change| change.key).collect()
        };
        let about = [
            ("outcome", json!(outcome.name())),
            ("changed", json!(keys(&outcome.changed))),
            ("waiting", json!(keys(&outcome.waiting))),
        ];
        let event = Event::new(EventKind::Reload, request.actor.clone(), &about);
        self.state.audit().record(&event);
        self.state.reloads().done(request, outcome);
    }

    /// Takes up what can change, and logs what has changed and what waits for the next start.
    ///
    /// # Errors
    ///
    /// When what would hold then contradicts itself, or the database fails. Everything is as it
    /// was then.
    async fn take_up(
        &mut self,
        read: &Resolved,
    ) -> Result<(Vec<Change>, Vec<Change>), ReloadError> {
        let Reread {
            resolved,
            changed,
            waiting,
        } = self.resolved.take_up(read)?;
        let settings = &resolved.settings;
        if let Some(open) = &self.ports
            && let Some(port) = resolved.reach().connect.difference(open).next()
        {
            return Err(ReloadError::BeyondWall { port: *port });
        }
        // All first, because nothing else can fail. Files may have changed where no setting has.
        let token_files = self.state.keys().read_files(&settings.auth.jwt).await?;
        let webhook = PreparedWebhook::of(&settings.webhook)?;
        let testing = self.state.testing();
        let rules =
            testing.map(|testing| testing.read_rule_file(settings.testing.rules.as_deref()));
        let rules = rules.transpose()?;
        match &self.tls {
            Some(tls) if settings.tls.is_on() => tls.reload(&settings.tls)?,
            None if !settings.tls.is_on() => {}
            _ => return Err(ReloadError::TlsSwitch),
        }
        self.state.keys().take_up_files(token_files);
        if settings.auth.keys != self.resolved.settings.auth.keys {
            let keys = self.state.keys();
            keys.set_configured(&settings.auth.keys).await?;
        }
        self.webhook.take_up(webhook);
        if let (Some(testing), Some(rules)) = (self.state.testing(), rules) {
            testing.set_rules(rules);
        }
        let anomalies = self.state.anomalies();
        anomalies.set_config(settings.anomaly.clone()).await;
        self.apply(settings);
        // The log may be about to fall silent, or to begin to speak.
        let is_heard = tracing::enabled!(Level::INFO);
        if is_heard {
            tell(&changed, &waiting);
        }
        telemetry::change_log(&settings.log);
        if !is_heard {
            tell(&changed, &waiting);
        }
        let effective = resolved.effective();
        if !changed.is_empty() {
            self.state.audit().record(&configuration(&effective));
        }
        self.state.set_effective_config(json!(effective));
        self.resolved = resolved;
        Ok((changed, waiting))
    }

    /// Hands each part its settings; the log's come last.
    fn apply(&self, settings: &Settings) {
        let state = &self.state;
        state.set_acl(settings.http.acl.clone());
        state.screening().set_config(&settings.injection);
        state.bans().set_config(settings.abuse.clone());
        state.limiter().rates().set_config(settings.limits.clone());
        state.limiter().quotas().set_config(settings.limits.quota);
        state.registry().set_aliases(&settings.models);
        state.registry().set_memory_budget(&settings.models);
    }
}

/// A change, for whoever asks.
fn told(change: Change) -> SettingChange {
    let Change { key, before, after } = change;
    SettingChange { key, before, after }
}

fn tell(changed: &[Change], waiting: &[Change]) {
    for Change { key, before, after } in changed {
        tracing::info!("reload: `{key}` is `{after}` now; it was `{before}`");
    }
    for Change { key, before, after } in waiting {
        tracing::warn!(
            "reload: `{key}` stays `{before}` until the next start, and is `{after}` then"
        );
    }
    tracing::info!(
        changed = changed.len(),
        waiting = waiting.len(),
        "the settings have been read again"
    );
}
