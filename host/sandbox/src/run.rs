//! One run: a fresh store inside a budget, on this thread for its first tick and on the guest
//! threads from then on.

use crate::{
    Budget, Cap, CapHit, RunError,
    fault::{EngineCaps, classify},
    gate::Pass,
    model::Loaded,
    sandbox::Ticking,
    state::GuestState,
    threads::GuestTask,
};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use wasmtime::{Store, UpdateDeadline, component::Instance};

/// Ticks until the first yield: at least one whole tick, however late in the present one a run
/// begins.
const FIRST_YIELD_TICKS: u64 = 2;
/// Ticks between the yields after that.
const YIELD_TICKS: u64 = 1;

/// Who is running, for the log, and what the run spent, for whoever keeps a clone.
#[derive(Clone, Debug)]
pub struct RunLabel {
    request_id: Arc<str>,
    meter: Arc<Meter>,
    report: Option<Arc<dyn RunReport>>,
}

/// Is told of each run under a label when it has ended, however it did: also of one whose caller
/// left before.
pub trait RunReport: std::fmt::Debug + Send + Sync {
    /// Notes what the run has spent. Called where runs end, so it must not wait.
    fn run_ended(&self, spent: &Spent);
}

impl RunLabel {
    /// A label with a meter at zero.
    #[must_use]
    pub fn new(request_id: impl Into<Arc<str>>) -> Self {
        Self {
            request_id: request_id.into(),
            meter: Arc::default(),
            report: None,
        }
    }

    /// The label with somebody to tell of each run's end.
    #[must_use]
    pub fn reporting_to(mut self, report: Arc<dyn RunReport>) -> Self {
        self.report = Some(report);
        self
    }

    /// The id of the request.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// What all runs under this label have spent so far, failed and cancelled ones included.
    #[must_use]
    pub fn spent(&self) -> Spent {
        let us = self.meter.wall_us.load(Ordering::Relaxed);
        Spent {
            fuel: self.meter.fuel.load(Ordering::Relaxed),
            memory_bytes: self.meter.memory_bytes.load(Ordering::Relaxed),
            output_bytes: self.meter.output_bytes.load(Ordering::Relaxed),
            wall: Duration::from_micros(us),
        }
    }

    pub(crate) fn count_output(&self, bytes: u64) {
        self.meter.output_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Meter {
    fuel: AtomicU64,
    memory_bytes: AtomicU64,
    output_bytes: AtomicU64,
    wall_us: AtomicU64,
}

/// What a run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Units of wasmtime fuel.
    pub fuel: u64,
    /// Linear memory at the end, in bytes over all memories.
    pub memory_bytes: u64,
    /// Bytes of the answer.
    pub output_bytes: u64,
    /// From the start of the instance to its end; the wait for a slot is not in it.
    pub wall: Duration,
}

/// A result and what it cost.
#[derive(Clone, Debug)]
pub struct Completed<T> {
    /// The result.
    pub value: T,
    /// The cost.
    pub spent: Spent,
}

/// What is done with a fresh instance.
pub(crate) trait Call: Send + 'static {
    type Output: Send + 'static;
    fn call(
        self,
        live: &mut Live,
        instance: Instance,
    ) -> impl Future<Output = Result<Self::Output, RunError>> + Send;
}

/// An instance that is alive, and everything that goes when it goes.
pub(crate) struct Live {
    pub(crate) store: Store<GuestState>,
    pub(crate) label: RunLabel,
    pub(crate) output_bytes: u64,
    budget: Budget,
    start: Instant,
    _ticking: Ticking,
    _passes: (Pass, Pass),
}

impl Live {
    pub(crate) fn spent(&self) -> Spent {
        Spent {
            fuel: self
                .budget
                .fuel
                .saturating_sub(self.store.get_fuel().unwrap_or(0)),
            memory_bytes: self.store.data().ledger.memory_bytes(),
            output_bytes: self.output_bytes,
            wall: self.start.elapsed(),
        }
    }

    /// Adds to the answer's size.
    pub(crate) fn add_output(&mut self, bytes: u64) -> Result<(), RunError> {
        self.output_bytes = self.output_bytes.saturating_add(bytes);
        self.label.count_output(bytes);
        if self.output_bytes > self.budget.output_bytes_max {
            return Err(RunError::Cap(CapHit {
                cap: Cap::OutputBytes,
                limit: self.budget.output_bytes_max,
                used: self.output_bytes,
            }));
        }
        Ok(())
    }

    /// Whose fault a failed call is. The whole story goes to the log, with the backtrace.
    pub(crate) fn fault(&self, error: &wasmtime::Error) -> RunError {
        report(error, self.store.data(), EngineCaps::from(&self.budget))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.store.data_mut().flush_stdio();
        let spent = self.spent();
        let meter = &self.label.meter;
        meter.fuel.fetch_add(spent.fuel, Ordering::Relaxed);
        meter
            .memory_bytes
            .fetch_max(spent.memory_bytes, Ordering::Relaxed);
        let us = u64::try_from(spent.wall.as_micros()).unwrap_or(u64::MAX);
        meter.wall_us.fetch_add(us, Ordering::Relaxed);
        if let Some(report) = &self.label.report {
            report.run_ended(&spent);
        }
        let state = self.store.data();
        if state.yields == 0 {
            state.facts().quick.store(true, Ordering::Relaxed);
        }
    }
}

fn report(error: &wasmtime::Error, state: &GuestState, caps: EngineCaps) -> RunError {
    let fault = classify(error, state, caps);
    tracing::info!(
        model.id = &*state.facts().label,
        request.id = state.request_id(),
        fault = %fault,
        "a run failed: {error:?}"
    );
    fault
}

/// Makes a store for one run, with every cap set.
pub(crate) fn store(
    engine: &wasmtime::Engine,
    state: GuestState,
    budget: &Budget,
) -> Result<Store<GuestState>, RunError> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.ledger);
    store
        .set_fuel(budget.fuel)
        .map_err(|error| RunError::Host {
            detail: error.to_string(),
        })?;
    store.set_hostcall_fuel(budget.hostcall_bytes_max);
    store.set_max_component_handles(budget.resources_max);
    store.set_epoch_deadline(FIRST_YIELD_TICKS);
    store.epoch_deadline_callback(|mut context| {
        let state = context.data_mut();
        if state.yields == 0 {
            state.facts().quick.store(false, Ordering::Relaxed);
        }
        state.yields = state.yields.saturating_add(1);
        match state.deadline_hit(Instant::now()) {
            Some(hit) => Err(crate::fault::HostStop::Cap(hit).into()),
            None => Ok(UpdateDeadline::Yield(YIELD_TICKS)),
        }
    });
    Ok(store)
}

/// Waits for a slot, then runs.
pub(crate) async fn run<C: Call>(
    model: &Arc<Loaded>,
    call: C,
    budget: &Budget,
    label: &RunLabel,
) -> Result<Completed<C::Output>, RunError> {
    start(model, call, budget, label).await?.await
}

/// Waits for a slot and lets the run begin: it has its first tick on this thread, if its model
/// is known to be quick, and is handed to the guest threads if it wants more.
pub(crate) async fn start<C: Call>(
    model: &Arc<Loaded>,
    call: C,
    budget: &Budget,
    label: &RunLabel,
) -> Result<RunHandle<C::Output>, RunError> {
    let passes = model.enter().await?;
    let whole = whole(Arc::clone(model), call, *budget, label.clone(), passes);
    let mut future = Box::pin(whole);
    if model.facts.quick.load(Ordering::Relaxed) {
        let first = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if let Poll::Ready(result) = first {
            return Ok(RunHandle(Progress::Done(Some(result))));
        }
    }
    let inner = &model.sandbox.0;
    inner.moved.fetch_add(1, Ordering::Relaxed);
    // Fuel and epochs bound what a guest computes; this bounds what it waits for.
    let wall_time = budget.wall_time;
    let limit = u64::try_from(wall_time.as_millis()).unwrap_or(u64::MAX);
    let task = inner.threads.spawn(model.lane, async move {
        match tokio::time::timeout(wall_time, future).await {
            Ok(result) => result,
            Err(_) => Err(RunError::Cap(CapHit {
                cap: Cap::WallTimeMs,
                limit,
                used: limit,
            })),
        }
    });
    Ok(RunHandle(Progress::Offloaded(task)))
}

/// A run that has begun, as a future of its end. Dropping it ends the run.
#[must_use = "dropping it ends the run"]
pub struct RunHandle<T>(Progress<Result<Completed<T>, RunError>>);

enum Progress<T> {
    /// It was over within its first tick. None once that has been told.
    Done(Option<T>),
    /// It goes on on the guest threads.
    Offloaded(GuestTask<T>),
}

// Nothing in here is pinned by its address.
impl<T> Unpin for RunHandle<T> {}

impl<T> Future for RunHandle<T> {
    type Output = Result<Completed<T>, RunError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Progress::Done(result) => match result.take() {
                Some(result) => Poll::Ready(result),
                None => Poll::Pending,
            },
            Progress::Offloaded(task) => Pin::new(task).poll(context),
        }
    }
}

/// From an empty store to the end of the call.
pub(crate) async fn whole<C: Call>(
    model: Arc<Loaded>,
    call: C,
    budget: Budget,
    label: RunLabel,
    passes: (Pass, Pass),
) -> Result<Completed<C::Output>, RunError> {
    let start = Instant::now();
    let inner = &model.sandbox.0;
    let ticking = inner.clock.run();
    let state = GuestState::new(
        Arc::clone(&model.facts),
        Arc::clone(&label.request_id),
        &budget,
        Arc::clone(&inner.pot),
        start,
    );
    let store = store(&inner.engine, state, &budget)?;
    let mut live = Live {
        store,
        label,
        output_bytes: 0,
        budget,
        start,
        _ticking: ticking,
        _passes: passes,
    };
    let instance = model.pre.instantiate_async(&mut live.store).await;
    let instance = instance.map_err(|error| live.fault(&error))?;
    let value = call.call(&mut live, instance).await?;
    Ok(Completed {
        value,
        spent: live.spent(),
    })
}
