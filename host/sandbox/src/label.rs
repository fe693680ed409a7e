//! Who is running, and what it has cost.

use crate::{
    BlockStore, Profiler, RunOrigin, RunTime, StackCatcher,
    exchange::{Asked, Given},
};
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Who is running, for the log, and what the run cost, for whoever keeps a clone.
#[derive(Clone, Debug)]
pub struct RunLabel(Arc<Label>);

#[derive(Debug)]
struct Label {
    request_id: Arc<str>,
    origin: Arc<RunOrigin>,
    /// Runs that have begun.
    runs: AtomicU64,
    meter: Meter,
    report: Option<Arc<dyn RunReport>>,
}

/// Is told of each run under a label when it has ended, however it did: also of one whose caller
/// left before.
pub trait RunReport: std::fmt::Debug + Send + Sync {
    /// Notes what the run has cost. Called where runs end, so it must not wait.
    fn run_ended(&self, cost: &RunCost);

    /// What is kept for the caller from one run to the next; none where nothing is. Asked at most
    /// once a run, and only for guests that want it.
    fn blocks(&self) -> Option<Box<dyn BlockStore>> {
        None
    }

    /// The id of the trace that the request is part of; none where there is none.
    fn trace_id(&self) -> Option<String> {
        None
    }

    /// Where it is added up what the fuel of the run goes for; none where nobody asks.
    fn profiler(&self) -> Option<Profiler> {
        None
    }

    /// Where the stack is kept at which a run fails; none where nobody asks.
    fn stack_catcher(&self) -> Option<StackCatcher> {
        None
    }

    /// Something that follows a run which is about to wait for its slot, by its place among those
    /// of its label; none where nobody does.
    fn watch(&self, place: u64) -> Option<Box<dyn RunWatch>> {
        let _ = place;
        None
    }
}

/// Follows one run from its wait on. Dropped in between, the run was turned away or its caller
/// has left. Nothing here may wait.
pub trait RunWatch: Send {
    /// Notes that the run was turned away.
    fn refused(&mut self, error: &(dyn Error + 'static));

    /// Notes that it has its slot.
    fn admitted(&mut self);

    /// Whether it wants to know what is said: that costs a copy.
    fn wants_content(&self) -> bool {
        false
    }

    /// Notes what the guest is about to be asked.
    fn asked(&mut self, asked: &Asked) {
        let _ = asked;
    }

    /// Notes that a call of `next` asks for so many chunks at most; 0 is the call for its usage.
    fn pulls(&mut self, chunks: u32) {
        let _ = chunks;
    }

    /// Notes what the guest has given, a part of it for a text.
    fn gave(&mut self, given: &Given) {
        let _ = given;
    }

    /// Notes that it has ended, how, and what it has cost.
    fn ended(&mut self, cost: &RunCost, end: RunEnd<'_>);
}

/// How a run has ended. Its error is a [`RunError`](crate::RunError), here as any: that one is made of
/// what labels are part of.
#[derive(Clone, Copy, Debug)]
pub enum RunEnd<'a> {
    /// It has given its result.
    Done,
    /// It gave none.
    Failed(&'a (dyn Error + 'static)),
    /// Nobody waits for it any more.
    Left,
}

impl RunLabel {
    /// A label with a meter at zero, for runs at this moment.
    #[must_use]
    pub fn new(request_id: impl Into<Arc<str>>) -> Self {
        Self::of_origin(RunOrigin::at(RunTime::now()), request_id)
    }

    /// A label with a meter at zero, for runs whose time and chance come from `origin`.
    #[must_use]
    pub fn of_origin(origin: RunOrigin, request_id: impl Into<Arc<str>>) -> Self {
        Self::with(request_id.into(), Arc::new(origin), None)
    }

    /// A label with a meter at zero and somebody to tell of each run's end.
    #[must_use]
    pub fn reporting_to(
        report: Arc<dyn RunReport>,
        origin: Arc<RunOrigin>,
        request_id: impl Into<Arc<str>>,
    ) -> Self {
        Self::with(request_id.into(), origin, Some(report))
    }

    fn with(
        request_id: Arc<str>,
        origin: Arc<RunOrigin>,
        report: Option<Arc<dyn RunReport>>,
    ) -> Self {
        Self(Arc::new(Label {
            request_id,
            origin,
            runs: AtomicU64::new(0),
            meter: Meter::default(),
            report,
        }))
    }

    /// Where the time and the chance of its runs come from.
    #[must_use]
    pub fn origin(&self) -> &RunOrigin {
        &self.0.origin
    }

    /// Gives the next run this place among all.
    pub fn go_on_at(&self, place: u64) {
        self.0.runs.store(place, Ordering::Relaxed);
    }

    /// The place of the next run among all.
    pub(crate) fn next_run(&self) -> u64 {
        self.0.runs.fetch_add(1, Ordering::Relaxed)
    }

    /// The id of the request.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// What all runs under this label have cost so far, failed and cancelled ones included.
    #[must_use]
    pub fn cost(&self) -> RunCost {
        let us = self.0.meter.wall_us.load(Ordering::Relaxed);
        RunCost {
            fuel: self.0.meter.fuel.load(Ordering::Relaxed),
            memory_bytes: self.0.meter.memory_bytes.load(Ordering::Relaxed),
            output_bytes: self.0.meter.output_bytes.load(Ordering::Relaxed),
            wall: Duration::from_micros(us),
        }
    }

    /// What follows the next run.
    pub(crate) fn watch(&self, place: u64) -> Option<Box<dyn RunWatch>> {
        self.0.report.as_ref()?.watch(place)
    }

    /// Where the profile of the run goes.
    pub(crate) fn profiler(&self) -> Option<Profiler> {
        self.0.report.as_ref()?.profiler()
    }

    /// Where the stack is kept at which a run fails.
    pub(crate) fn stack_catcher(&self) -> Option<StackCatcher> {
        self.0.report.as_ref()?.stack_catcher()
    }

    /// What is kept for the caller from one run to the next.
    pub(crate) fn blocks(&self) -> Option<Box<dyn BlockStore>> {
        self.0.report.as_ref()?.blocks()
    }

    /// The id of the trace that the request is part of, for lines of the log.
    pub(crate) fn trace_id(&self) -> Option<String> {
        self.0.report.as_ref()?.trace_id()
    }

    /// Adds to the bytes of answers.
    pub(crate) fn count_output(&self, bytes: u64) {
        self.0
            .meter
            .output_bytes
            .fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds a run that has ended, and tells whoever is to be told.
    pub(crate) fn count_run(&self, cost: &RunCost) {
        let meter = &self.0.meter;
        meter.fuel.fetch_add(cost.fuel, Ordering::Relaxed);
        meter
            .memory_bytes
            .fetch_max(cost.memory_bytes, Ordering::Relaxed);
        let us = u64::try_from(cost.wall.as_micros()).unwrap_or(u64::MAX);
        meter.wall_us.fetch_add(us, Ordering::Relaxed);
        if let Some(report) = &self.0.report {
            report.run_ended(cost);
        }
    }
}

#[derive(Debug, Default)]
struct Meter {
    fuel: AtomicU64,
    memory_bytes: AtomicU64,
    output_bytes: AtomicU64,
    wall_us: AtomicU64,
}

/// What a run has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCost {
    /// Units of wasmtime fuel.
    pub fuel: u64,
    /// Linear memory at the end, in bytes over all memories.
    pub memory_bytes: u64,
    /// Bytes of the answer.
    pub output_bytes: u64,
    /// From the start of the instance to its end; the wait for a slot is not in it.
    pub wall: Duration,
}
