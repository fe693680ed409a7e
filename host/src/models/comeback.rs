//! Models that come back into memory: read, held against the seal and mapped once, however many ask,
//! by a thread that stands back for those that serve. Requests for models in memory see nothing of
//! it.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::ModelError;
use super::catalog::Stage;
use super::config::Config;
use super::lifecycle;
use super::live::{LiveModel, Served, ServedModel};
use super::memory::Awaited;
use super::registry::Registry;
use super::remap::remapping;
use super::state::{Current, Inner};
use super::status::VersionState;
use crate::telemetry::metrics;

/// How long a request waits for its model, the turns of others before it included.
const COMING_TIME_MAX: Duration = Duration::from_secs(120);
/// How far the threads that bring models back stand behind those that serve.
const NICE: i32 = 10;

/// Where a model is that somebody asks for.
enum Back {
    Live(Arc<LiveModel>),
    Coming(Awaited),
    /// Removed, or the server is stopping.
    Gone,
}

impl Registry {
    /// The model in memory: at once where it is, else when it has come back.
    ///
    /// # Errors
    ///
    /// When the version was removed meanwhile, when it can be mapped no more, and when it takes
    /// too long.
    pub async fn in_memory(&self, served: Served) -> Result<Arc<LiveModel>, ModelError> {
        let served = match served {
            Served::Live(live) => return Ok(live),
            Served::Away(served) => served,
            Served::Recorded(recorded) => {
                let id = Served::Recorded(recorded).id.clone();
                return Err(ModelError::Recording { id });
            }
        };
        let inner = self.inner();
        let missing = || ModelError::NotReady {
            id: served.id.clone(),
            state: VersionState::Loading,
        };
        let mut awaited = match inner.bring_back(&served) {
            Back::Live(live) => return Ok(live),
            Back::Coming(awaited) => awaited,
            Back::Gone => return Err(missing()),
        };
        let come = awaited.wait_for(Option::is_some);
        let come = tokio::time::timeout(COMING_TIME_MAX, come).await;
        // An error of the channel says that it could not be brought back.
        let come = come.ok().and_then(Result::ok);
        come.and_then(|live| live.clone()).ok_or_else(missing)
    }

    /// Notes that somebody asks for a model, which then stays in memory for longer than others.
    pub(crate) fn note_asked(&self, model: &ServedModel) {
        model.asked.note(self.inner().memory.eras.now());
    }

    /// Bytes that models may take of memory, if there is a bound.
    #[must_use]
    pub fn memory_budget(&self) -> Option<u64> {
        self.inner().memory.budget()
    }

    /// How many versions are in memory, and how many are out of it until somebody asks.
    #[must_use]
    pub fn residents(&self) -> (usize, usize) {
        let catalog = self.inner().catalog.lock();
        let served = catalog
            .versions()
            .filter_map(|(_, version)| version.served());
        served.fold((0, 0), |(live, away), served| match served {
            Served::Live(_) | Served::Recorded(_) => (live + 1, away),
            Served::Away(_) => (live, away + 1),
        })
    }

    /// Takes another budget from now on. Models leave in the background.
    pub fn set_memory_budget(&self, config: &Config) {
        let inner = self.inner();
        inner.memory.set_budget(config.memory_budget_bytes);
        self.keep_to_memory_budget();
    }

    /// Lets another era of asking begin, and models leave that were busy when there was no room for
    /// them. Has to be done about once a second.
    pub fn keep_to_memory_budget(&self) {
        let inner = self.inner();
        inner.memory.eras.begin();
        if inner.memory.budget().is_some() {
            let inner = inner.clone();
            self.inner()
                .tasks
                .spawn(async move { inner.make_room(true).await });
        }
    }
}

impl Inner {
    /// Begins to bring a model back, unless that goes on.
    fn bring_back(self: &Arc<Self>, served: &Arc<ServedModel>) -> Back {
        // One at a time looks and begins; what comes shows before it is awaited no more.
        let catalog = self.catalog.lock();
        let version = catalog.version(&served.id);
        if let Some(Served::Live(live)) = version.and_then(|version| version.served())
            && Arc::ptr_eq(live.served(), served)
        {
            return Back::Live(live.clone());
        }
        if version.is_none() || self.closing.is_cancelled() {
            return Back::Gone;
        }
        let mut coming = self.memory.coming.lock();
        let awaited = match coming.back.entry(served.digest) {
            Entry::Occupied(occupied) => occupied.get().clone(),
            Entry::Vacant(vacant) => {
                let (show, awaited) = watch::channel(None);
                let (inner, served) = (self.clone(), served.clone());
                self.tasks
                    .spawn(async move { come_back(&inner, &served, show).await });
                vacant.insert(awaited).clone()
            }
        };
        Back::Coming(awaited)
    }
}

/// Brings a model back, and shows it to those that wait for it.
async fn come_back(
    inner: &Arc<Inner>,
    served: &Arc<ServedModel>,
    show: watch::Sender<Option<Arc<LiveModel>>>,
) {
    let begun = Instant::now();
    let (live, outcome) = match mapped_again(inner, served).await {
        Ok(live) => (Some(live), "ok"),
        Err(error) => {
            tracing::error!(model.id = %served.label, ?error, "a model could not come back into memory; it is prepared anew");
            (prepared_anew(inner, served).await, "failed")
        }
    };
    metrics::MODEL_LOAD_DURATION
        .with([("outcome", outcome.into())])
        .record(begun.elapsed());
    // To those that wait first: however little room there is, they run it.
    show.send_replace(live);
    inner.memory.coming.lock().back.remove(&served.digest);
}

/// Maps a model again and lets requests see it.
async fn mapped_again(
    inner: &Arc<Inner>,
    served: &Arc<ServedModel>,
) -> Result<Arc<LiveModel>, ModelError> {
    let _place = inner
        .memory
        .places
        .acquire()
        .await
        .map_err(ModelError::host)?;
    // Its turn has come: room is made for those alone that are being mapped.
    let room = inner.room_for(served);
    inner.memory.eras.begin();
    inner.make_room(false).await;
    loop {
        let Current {
            generation,
            sandbox,
        } = inner.sandbox.lock().clone();
        let model = standing_back(remapping(inner, sandbox, served)).await??;
        let live = Arc::new(LiveModel::new(served.clone(), model));
        live.asked.note(inner.memory.eras.now());
        let mut is_stale = false;
        inner.change(|catalog| {
            // The sandbox is replaced before its models are: either this sees it, or the
            // replacement sees this.
            is_stale = inner.sandbox.lock().generation != generation;
            if !is_stale {
                let stage = Stage::Serves(Served::Live(live.clone()));
                catalog.replace(served, stage);
            }
        });
        if !is_stale {
            drop(room);
            return Ok(live);
        }
    }
}

/// Takes a version whose artefact cannot be used through its whole lifecycle, as a start would.
async fn prepared_anew(inner: &Arc<Inner>, served: &ServedModel) -> Option<Arc<LiveModel>> {
    lifecycle::activation(inner, &served.id)?.await;
    let prepared = {
        let catalog = inner.catalog.lock();
        catalog.version(&served.id)?.served()?.clone()
    };
    match prepared {
        Served::Live(live) => Some(live),
        // As at a start, it waits to be asked for where there is no room. It has been.
        Served::Away(served) => mapped_again(inner, &served).await.ok(),
        Served::Recorded(_) => None,
    }
}

/// Runs work on a thread that gives way to those that serve, and is gone after it.
async fn standing_back<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ModelError> {
    let (give, given) = oneshot::channel();
    let thread = std::thread::Builder::new().name("belljar-memory".to_owned());
    let begun = thread.spawn(move || {
        // Not worth a model.
        let _ = rustix::process::nice(NICE);
        let _ = give.send(work());
    });
    begun.map_err(ModelError::host)?;
    given.await.map_err(ModelError::host)
}
