//! What is known of one request while it is worked on: who asks from where, which model runs and
//! what it has used, for the log, the metrics and the audit log.

use super::asked_origin::AskedOrigin;
use super::meter::FuelCount;
use super::recording::{Notebook, Recorder, RequestRecord};
use crate::audit::{Actor, AuditLog, Event, EventKind};
use crate::auth::Caller;
use crate::guard::Tally;
use crate::ids::{KeyId, RequestId};
use crate::ledger::{Line, RequestUse};
use crate::limits::{Admitted, Slot};
use crate::models::LiveModel;
use crate::net::ClientAddress;
use crate::runs::RunId;
use crate::testing::TestedRequest;
use crate::traces::{Span, SpanRow, Trace, spans};
use belljar_sandbox::{Budget, Profiler, RunCost, RunLabel, RunOrigin, RunSeed, RunTime};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Findings that one answer names.
const REPORTS_MAX: usize = 8;

/// The context of one request. The layers, the handler, its stream and its runs share it.
#[derive(Clone)]
pub struct RequestContext(Arc<Notes>);

struct Notes {
    id: RequestId,
    audit: AuditLog,
    address: OnceLock<ClientAddress>,
    caller: OnceLock<Caller>,
    model: OnceLock<Arc<LiveModel>>,
    /// When it came.
    came: RunTime,
    /// The time and the seed that its runs are to have; none where nothing was asked for.
    asked: OnceLock<AskedOrigin>,
    /// The id under which its runs are kept; none where they are not.
    run: OnceLock<RunId>,
    /// The label of the request's runs, which also meters them.
    runs: OnceLock<RunLabel>,
    bytes_in: AtomicU64,
    /// The caller's place among its requests at once, until the last byte.
    slot: OnceLock<Arc<Slot>>,
    /// What counts the use of the request, when all that work on it have let go.
    usage: OnceLock<RequestUse>,
    /// What the limiter has admitted, until the handler takes it.
    admitted: Mutex<Option<Admitted>>,
    /// Where the caller's conduct is counted, if it is watched.
    tally: OnceLock<Arc<Tally>>,
    /// How long it waited for its model to come back into memory, where it did.
    load: OnceLock<Duration>,
    /// Where it is added up what the fuel of its runs goes for; none where nobody asks.
    profiler: OnceLock<Profiler>,
    /// What its runs may spend in place of what their model may; none outside of trials.
    budget: OnceLock<Budget>,
    /// What was found in the request and is only reported.
    reports: Mutex<Vec<String>>,
    /// What a tester asks for besides the answer; none for most requests.
    tested: OnceLock<TestedRequest>,
    /// Its trace; none where traces are off.
    trace: Option<Trace>,
    /// Its own span, where it came within another request.
    _span: Option<Span>,
}

impl RequestContext {
    /// The context of a request that has just come.
    pub(crate) fn new(id: RequestId, audit: AuditLog) -> Self {
        Self::traced(id, audit, None, None)
    }

    /// The context of a request that has just come, with its trace and its own span.
    pub(crate) fn traced(
        id: RequestId,
        audit: AuditLog,
        trace: Option<Trace>,
        span: Option<Span>,
    ) -> Self {
        Self(Arc::new(Notes {
            id,
            audit,
            address: OnceLock::new(),
            caller: OnceLock::new(),
            model: OnceLock::new(),
            came: RunTime::now(),
            asked: OnceLock::new(),
            run: OnceLock::new(),
            runs: OnceLock::new(),
            bytes_in: AtomicU64::new(0),
            slot: OnceLock::new(),
            usage: OnceLock::new(),
            admitted: Mutex::new(None),
            tally: OnceLock::new(),
            load: OnceLock::new(),
            profiler: OnceLock::new(),
            budget: OnceLock::new(),
            reports: Mutex::default(),
            tested: OnceLock::new(),
            trace,
            _span: span,
        }))
    }

    /// The context of a request that came within this one: of the same caller, under the same id.
    pub(crate) fn within(&self) -> Self {
        let (trace, span) = match &self.0.trace {
            Some(trace) => {
                let (trace, span) = trace.below(&spans::STREAM_REQUEST);
                (Some(trace), span)
            }
            None => (None, None),
        };
        let one = Self::traced(self.0.id.clone(), self.0.audit.clone(), trace, span);
        if let Some(address) = self.address() {
            one.set_address(address);
        }
        if let Some(caller) = self.caller() {
            one.set_caller(caller.clone());
        }
        if let Some(asked) = self.0.asked.get() {
            one.ask_for(*asked);
        }
        one
    }

    /// The id of the request.
    pub(crate) fn id(&self) -> &RequestId {
        &self.0.id
    }

    /// The trace that it is part of; none where traces are off.
    pub(crate) fn trace(&self) -> Option<&Trace> {
        self.0.trace.as_ref()
    }

    /// Begins a span of this request. None where nothing is kept of it.
    pub(crate) fn span(&self, row: &'static SpanRow) -> Option<Span> {
        self.0.trace.as_ref()?.begin(row)
    }

    /// The id of the trace, for lines of the log.
    pub(crate) fn trace_id(&self) -> Option<impl std::fmt::Display + use<>> {
        self.trace().map(|trace| trace.context().trace_id())
    }

    /// Notes where it comes from.
    pub(crate) fn set_address(&self, address: ClientAddress) {
        // Found out once.
        let _ = self.0.address.set(address);
    }

    /// On whose behalf things happen, for the audit log.
    pub(crate) fn actor(&self) -> Actor {
        Actor {
            key_id: self.key_id().cloned(),
            address: self.0.address.get().map(|address| address.ip()),
            request_id: Some(self.0.id.clone()),
            trace: self.trace().map(|trace| trace.context().clone()),
        }
    }

    /// Records a security event of this request.
    pub(crate) fn security_event(&self, kind: EventKind, about: &[(&str, serde_json::Value)]) {
        self.0.audit.record(&Event::new(kind, self.actor(), about));
    }

    /// Records what an administrator has done, and waits until the record is on disk or has
    /// failed: the answer comes after it.
    pub(crate) async fn act(&self, kind: EventKind, about: &[(&str, serde_json::Value)]) {
        self.security_event(kind, about);
        self.recorded().await;
    }

    /// Waits until all that was recorded is on disk, or has failed.
    pub(crate) async fn recorded(&self) {
        self.0.audit.flush().await;
    }

    /// Where it comes from; none before the layer that finds it out.
    pub(crate) fn address(&self) -> Option<ClientAddress> {
        self.0.address.get().copied()
    }

    /// Who called; none before the authentication, and on open routes.
    pub(crate) fn caller(&self) -> Option<&Caller> {
        self.0.caller.get()
    }

    /// Keeps the admission for the handler.
    pub(crate) fn admit(&self, admitted: Admitted) {
        *self.0.admitted.lock() = Some(admitted);
    }

    /// The admission, once.
    pub(crate) fn take_admitted(&self) -> Option<Admitted> {
        self.0.admitted.lock().take()
    }

    /// Notes where the caller's conduct is counted.
    pub(crate) fn watch(&self, tally: Arc<Tally>) {
        // The watch is passed once.
        let _ = self.0.tally.set(tally);
    }

    /// Where the caller's conduct is counted; none where nobody is watched.
    pub(crate) fn tally(&self) -> Option<&Arc<Tally>> {
        self.0.tally.get()
    }

    /// Notes who called.
    pub(crate) fn set_caller(&self, caller: Caller) {
        // The gate is passed once.
        let _ = self.0.caller.set(caller);
    }

    /// Keeps a place until the request is over, its stream included.
    pub(crate) fn hold(&self, slot: Arc<Slot>) {
        // The limits are passed once.
        let _ = self.0.slot.set(slot);
    }

    /// Counts what the request uses, until it is over.
    pub(crate) fn count(&self, usage: RequestUse) {
        // The limits are passed once.
        let _ = self.0.usage.set(usage);
    }

    /// Notes that it was answered with an error, or broken off by one.
    pub(crate) fn note_failure(&self) {
        if let Some(usage) = self.0.usage.get() {
            usage.note_failure();
        }
    }

    /// The line of the ledger that its use goes on; none before a model is found, and where nothing
    /// is counted.
    pub(super) fn line(&self) -> Option<Line> {
        self.0.usage.get().and_then(RequestUse::line).cloned()
    }

    /// Adds a line to the report that the answer carries.
    pub(crate) fn report(&self, line: String) {
        let mut reports = self.0.reports.lock();
        if reports.len() < REPORTS_MAX {
            reports.push(line);
        }
    }

    /// The report, if there is anything in it.
    pub(crate) fn reports(&self) -> Option<String> {
        let reports = self.0.reports.lock();
        (!reports.is_empty()).then(|| reports.join("; "))
    }

    /// The label for the runs of this request on a model: what they use is counted for the model
    /// and the key, however they end and also when the caller is gone by then.
    pub(super) fn run_label(&self, model: &Arc<LiveModel>, recorder: &Recorder) -> &RunLabel {
        // Several runs of one request are of one model.
        let model = self.0.model.get_or_init(|| Arc::clone(model));
        self.0.runs.get_or_init(|| {
            let asked = self.0.asked.get();
            let origin = asked.copied().unwrap_or_default().origin(self.0.came);
            let origin = Arc::new(match recorder.is_on() {
                true => origin.repeatable(),
                false => origin,
            });
            let record = recorder.is_on().then(|| RequestRecord {
                id: RunId::new(),
                notebook: Notebook::default(),
                recorder: recorder.clone(),
                audit: self.0.audit.clone(),
                actor: self.actor(),
                owner: self.key_id().cloned(),
                request_id: self.0.id.shared(),
                model: Arc::clone(model),
                origin: Arc::clone(&origin),
            });
            if let Some(record) = record.as_ref().filter(|_| recorder.runs.is_on()) {
                let _ = self.0.run.set(record.id.clone());
            }
            let notebook = record.as_ref().map(|record| record.notebook.clone());
            // What was kept of earlier requests is no part of this one, and a run that is to be the
            // same again is made of nothing else.
            let key = self.key_id().filter(|_| asked.is_none()).cloned();
            let count = FuelCount {
                notebook,
                record,
                key,
                ..self.count_for(model)
            };
            RunLabel::reporting_to(Arc::new(count), origin, self.0.id.shared())
        })
    }

    /// The label for runs that are made again, which `notebook` takes down and nobody keeps.
    pub(super) fn replay_label(
        &self,
        model: &Arc<LiveModel>,
        origin: RunOrigin,
        notebook: &Notebook,
    ) -> &RunLabel {
        self.0.runs.get_or_init(|| {
            let count = FuelCount {
                notebook: Some(notebook.clone()),
                ..self.count_for(model)
            };
            RunLabel::reporting_to(Arc::new(count), Arc::new(origin), self.0.id.shared())
        })
    }

    /// What counts the runs of this request, and does nothing else.
    fn count_for(&self, model: &Arc<LiveModel>) -> FuelCount {
        let caller = self.0.caller.get();
        FuelCount {
            model: Arc::clone(model),
            usage: caller.and_then(Caller::usage).cloned(),
            line: self.line(),
            trace: self.0.trace.clone(),
            key: None,
            profiler: self.0.profiler.get().cloned(),
            notebook: None,
            record: None,
        }
    }

    /// The id under which its runs are kept; none where they are not.
    pub(crate) fn run_id(&self) -> Option<&RunId> {
        self.0.run.get()
    }

    /// Has it added up what the fuel of the runs of this request goes for, from now on.
    pub(crate) fn profile(&self) -> Profiler {
        self.0.profiler.get_or_init(Profiler::default).clone()
    }

    /// Lets the runs of this request spend as much, whatever their model may.
    pub(crate) fn try_with(&self, budget: Budget) {
        let _ = self.0.budget.set(budget);
    }

    /// What a run of this request on a model may spend.
    pub(super) fn budget<'a>(&'a self, model: &'a LiveModel) -> &'a Budget {
        self.0.budget.get().unwrap_or(&model.budget)
    }

    /// When it came.
    pub(crate) fn came(&self) -> RunTime {
        self.0.came
    }

    /// Notes what a tester asks for.
    pub(crate) fn set_tested(&self, tested: TestedRequest) {
        // The head is read once.
        let _ = self.0.tested.set(tested);
    }

    /// What a tester asks for besides the answer; none for most requests.
    pub fn tested(&self) -> Option<&TestedRequest> {
        self.0.tested.get()
    }

    /// Notes the time and the seed that its runs are to have.
    pub(crate) fn ask_for(&self, asked: AskedOrigin) {
        // The head is read once.
        let _ = self.0.asked.set(asked);
    }

    /// The seed and the time of its runs, where either was asked for; none where nothing ran.
    pub(crate) fn asked_origin(&self) -> Option<(RunSeed, RunTime)> {
        self.0.asked.get()?;
        let origin = self.0.runs.get()?.origin();
        Some((origin.seed(), origin.time()))
    }

    /// Notes the model that was found for the request.
    pub(super) fn set_model(&self, model: &Arc<LiveModel>) {
        let _ = self.0.model.set(Arc::clone(model));
        if let Some(usage) = self.0.usage.get() {
            usage.runs_on(model.id.name.as_str());
        }
    }

    /// Notes how long the request waited for its model to come back into memory.
    pub(super) fn note_load(&self, took: Duration) {
        // Of several runs of one request the first one waits.
        let _ = self.0.load.set(took);
    }

    /// How long it waited for that; none where the model was there.
    pub(crate) fn load(&self) -> Option<Duration> {
        self.0.load.get().copied()
    }

    /// Adds bytes of the body that were read.
    pub(crate) fn add_bytes_in(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.0.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn key_id(&self) -> Option<&KeyId> {
        self.0.caller.get().and_then(Caller::key_id)
    }

    /// The model that was found for the request, as `name@version`.
    pub(crate) fn model(&self) -> Option<&Arc<str>> {
        self.0.model.get().map(|model| &model.label)
    }

    /// The name of the model that was found for the request, and its version as `name@version`.
    pub(crate) fn model_names(&self) -> Option<(&str, &str)> {
        let model = self.0.model.get()?;
        Some((model.id.name.as_str(), &model.label))
    }

    /// What all runs that have ended by now have cost together; none where nothing ran.
    pub(crate) fn cost(&self) -> Option<RunCost> {
        self.0.runs.get().map(RunLabel::cost)
    }

    /// Fuel of all runs that have ended by now, failed ones included; none where nothing ran. A
    /// run whose caller has left ends a moment after the request.
    pub(crate) fn fuel(&self) -> Option<u64> {
        self.0.runs.get().map(|label| label.cost().fuel)
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.0.bytes_in.load(Ordering::Relaxed)
    }
}

impl Default for RequestContext {
    /// A context under a fresh id, of a request that came over no wire.
    fn default() -> Self {
        Self::new(RequestId::random(), AuditLog::default())
    }
}
