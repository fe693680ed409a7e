//! What each model has to do right now.

use std::time::Duration;

use belljar_bundle::{ModelName, ModelVersion};

use super::catalog::Model;
use super::live::Served;
use super::registry::Registry;
use super::run_window::RunCounts;
use super::status::VersionState;

/// What one model has to do right now, with all its versions.
#[derive(Clone, Debug)]
pub struct ModelLoad {
    /// Its name.
    pub name: ModelName,
    /// The version that requests for the bare name get.
    pub active: Option<ModelVersion>,
    /// The state of that version, or of the one that is to be; none where there is neither, and
    /// where all have failed `failed`.
    pub state: Option<VersionState>,
    /// Versions that there are.
    pub versions: usize,
    /// Runs going on.
    pub running: u32,
    /// Runs that wait in its queue.
    pub waiting: u32,
    /// What has ended within the last minute.
    pub last_minute: RunCounts,
}

impl Registry {
    /// What each model has to do right now, by name.
    #[must_use]
    pub fn load(&self) -> Vec<ModelLoad> {
        let inner = self.inner();
        let now = inner.clock.elapsed();
        let catalog = inner.catalog.lock();
        let models = catalog.models();
        models.map(|(name, model)| load(name, model, now)).collect()
    }

    /// Takes note of what has been counted by now, which has to be done about once a second.
    pub fn sample_runs(&self) {
        let now = self.inner().clock.elapsed();
        for served in self.served() {
            served.metrics.sample(now);
        }
    }

    /// Drops what models have kept of prompts and nobody has asked for in its time.
    pub fn expire_prefixes(&self) {
        self.inner().prefixes.expire();
    }
}

fn load(name: &ModelName, model: &Model, now: Duration) -> ModelLoad {
    let pointers = &model.pointers;
    let chosen = pointers.active.as_ref().or(pointers.pending.as_ref());
    let state = match chosen.and_then(|number| model.versions.get(number)) {
        Some(version) => Some(version.state(pointers)),
        None => model.newest_failure().map(|_| VersionState::Failed),
    };
    let mut load = ModelLoad {
        name: name.clone(),
        active: pointers.active.clone(),
        state,
        versions: model.versions.len(),
        running: 0,
        waiting: 0,
        last_minute: RunCounts::default(),
    };
    for served in model
        .versions
        .values()
        .filter_map(|version| version.served())
    {
        if let Served::Live(live) = served {
            load.running = load.running.saturating_add(live.model.running());
            load.waiting = load.waiting.saturating_add(live.model.waiting());
        }
        let ended = served.metrics.last_minute(now);
        load.last_minute = load.last_minute.plus(ended);
    }
    load
}
