//! How settings come to be read again: whoever wants it asks here, one reading comes after another,
//! and the last outcome is known to all.

use crate::audit::Actor;
use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Readings that wait for their turn. One more waits to be let in.
const WAITING_MAX: usize = 8;

/// The way to have the settings read again. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reloads {
    wanted: mpsc::Sender<ReloadRequest>,
    last: Arc<ArcSwapOption<ReloadOutcome>>,
}

/// A wish that the settings are read again.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Whose wish it is; nobody's for a signal, and for secrets that changed where they stand.
    pub actor: Actor,
    /// Whoever waits for the outcome.
    answer: Option<oneshot::Sender<Arc<ReloadOutcome>>>,
}

/// What became of reading the settings again.
#[derive(Debug)]
pub struct ReloadOutcome {
    /// When it was done.
    pub time: Timestamp,
    /// Whose wish it was; nobody's for a signal, and for secrets that changed where they stand.
    pub actor: Actor,
    /// The settings that hold another value from now on.
    pub changed: Vec<SettingChange>,
    /// The settings that were given another value and take it at the next start.
    pub waiting: Vec<SettingChange>,
    /// What is wrong with the settings that were read. Where there is anything, everything is as
    /// it was.
    pub problems: Vec<String>,
}

/// Two values of one setting. Secrets are redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingChange {
    /// The setting.
    pub key: &'static str,
    /// The value that held until now.
    pub before: String,
    /// The other one.
    pub after: String,
}

/// Nobody here reads settings again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this server does not read its settings again")]
pub struct NoReloads;

impl Reloads {
    /// A way to ask, and where the wishes come out.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<ReloadRequest>) {
        let (wanted, requests) = mpsc::channel(WAITING_MAX);
        let last = Arc::default();
        (Self { wanted, last }, requests)
    }

    /// Has the settings read again, after all whose turn comes first, and waits for the outcome.
    /// The reading goes on where the caller does not wait for its end.
    ///
    /// # Errors
    ///
    /// When nobody does so here.
    pub async fn ask(&self, actor: Actor) -> Result<Arc<ReloadOutcome>, NoReloads> {
        let (answer, outcome) = oneshot::channel();
        let request = ReloadRequest {
            actor,
            answer: Some(answer),
        };
        self.wanted.send(request).await.map_err(|_| NoReloads)?;
        outcome.await.map_err(|_| NoReloads)
    }

    /// The last outcome; none where the settings are those of the start.
    #[must_use]
    pub fn last(&self) -> Option<Arc<ReloadOutcome>> {
        self.last.load_full()
    }

    /// Tells the outcome to all who want to know it.
    pub(crate) fn done(&self, request: ReloadRequest, outcome: ReloadOutcome) {
        let outcome = Arc::new(outcome);
        self.last.store(Some(Arc::clone(&outcome)));
        if let Some(answer) = request.answer {
            // Who has left does not want to know it any more.
            let _ = answer.send(outcome);
        }
    }
}

impl ReloadRequest {
    /// The wish of whoever may send signals to this process, and of secrets that changed where they stand.
    #[must_use]
    pub fn of_machine() -> Self {
        Self {
            actor: Actor::default(),
            answer: None,
        }
    }
}

impl ReloadOutcome {
    /// Its name in metrics, in the audit log and in answers.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.problems.is_empty() {
            true => "ok",
            false => "refused",
        }
    }
}
