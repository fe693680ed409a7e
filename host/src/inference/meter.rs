//! What runs are counted as: the metrics of their model, the fuel of their key, and their line of
//! the ledger.

use super::outcome;
use super::recording::{Notebook, Page, RequestRecord};
use crate::auth::KeyUsage;
use crate::ids::KeyId;
use crate::ledger::Line;
use crate::models::LiveModel;
use crate::traces::{Span, Trace, attributes, spans};
use belljar_sandbox::{
    Asked, BlockStore, Given, Profiler, RunCost, RunEnd, RunError, RunReport, RunWatch,
    StackCatcher,
};
use std::error::Error;
use std::sync::Arc;

/// Notes a run that ended well.
pub(super) fn note_end(model: &LiveModel, cost: &RunCost) {
    model.metrics.note_ok(cost.wall);
}

/// Counts what the runs of one request use, when each of them really ends.
#[derive(Debug)]
pub(super) struct FuelCount {
    pub(super) model: Arc<LiveModel>,
    pub(super) usage: Option<Arc<KeyUsage>>,
    pub(super) line: Option<Line>,
    pub(super) trace: Option<Trace>,
    /// Whose prompts are kept; none for callers without a key, and where nothing that was kept
    /// may be found.
    pub(super) key: Option<KeyId>,
    /// Where it is added up what the fuel goes for; none where nobody asks.
    pub(super) profiler: Option<Profiler>,
    /// Where the stack is kept at which a run fails; none where nobody asks.
    pub(super) catcher: Option<StackCatcher>,
    /// What takes its runs down; none where nobody does.
    pub(super) notebook: Option<Notebook>,
    /// What becomes of that when the last run is over, which is when this goes.
    #[expect(dead_code, reason = "it acts when it is dropped")]
    pub(super) record: Option<RequestRecord>,
}

impl RunReport for FuelCount {
    fn run_ended(&self, cost: &RunCost) {
        self.model.metrics.note_fuel(cost.fuel);
        if let Some(usage) = &self.usage {
            usage.add_fuel(cost.fuel);
        }
        if let Some(line) = &self.line {
            line.add_run(cost.fuel, cost.wall);
        }
    }

    fn trace_id(&self) -> Option<String> {
        let trace = self.trace.as_ref()?;
        Some(trace.context().trace_id().to_string())
    }

    fn profiler(&self) -> Option<Profiler> {
        self.profiler.clone()
    }

    fn stack_catcher(&self) -> Option<StackCatcher> {
        self.catcher.clone()
    }

    fn blocks(&self) -> Option<Box<dyn BlockStore>> {
        let store = self.model.prefixes(self.key.as_ref()?)?;
        Some(match &self.notebook {
            Some(notebook) => notebook.watch_blocks(store),
            None => store,
        })
    }

    fn watch(&self, place: u64) -> Option<Box<dyn RunWatch>> {
        let page = self.notebook.as_ref().map(|notebook| notebook.page(place));
        match (self.spans(), page) {
            (Some(spans), Some(page)) => Some(Box::new(Both(spans, page))),
            (Some(spans), None) => Some(Box::new(spans)),
            (None, Some(page)) => Some(Box::new(page)),
            (None, None) => None,
        }
    }
}

impl FuelCount {
    /// The spans of a run that is about to wait. None where nothing is kept of them.
    fn spans(&self) -> Option<RunSpans> {
        let trace = self.trace.clone()?;
        Some(RunSpans {
            queue: Some(trace.begin(&spans::QUEUE)?),
            run: None,
            model: Arc::clone(&self.model),
            trace,
        })
    }
}

/// Both follow the run; the page hears what is said.
struct Both(RunSpans, Page);

impl RunWatch for Both {
    fn refused(&mut self, error: &(dyn Error + 'static)) {
        self.0.refused(error);
        self.1.refused(error);
    }

    fn admitted(&mut self) {
        self.0.admitted();
        self.1.admitted();
    }

    fn wants_content(&self) -> bool {
        self.1.wants_content()
    }

    fn asked(&mut self, asked: &Asked) {
        self.1.asked(asked);
    }

    fn pulls(&mut self, chunks: u32) {
        self.1.pulls(chunks);
    }

    fn gave(&mut self, given: &Given) {
        self.1.gave(given);
    }

    fn ended(&mut self, cost: &RunCost, end: RunEnd<'_>) {
        self.0.ended(cost, end);
        self.1.ended(cost, end);
    }
}

/// The spans of one run: of its wait, and of itself.
struct RunSpans {
    trace: Trace,
    model: Arc<LiveModel>,
    queue: Option<Span>,
    run: Option<Span>,
}

impl RunWatch for RunSpans {
    fn refused(&mut self, error: &(dyn Error + 'static)) {
        if let Some(mut queue) = self.queue.take() {
            queue.fail(code(error));
        }
    }

    fn admitted(&mut self) {
        if let Some(queue) = self.queue.take() {
            queue.pass();
        }
        self.run = self.trace.begin(&spans::RUN);
    }

    fn ended(&mut self, cost: &RunCost, end: RunEnd<'_>) {
        let Some(mut run) = self.run.take() else {
            return;
        };
        run.set(&attributes::MODEL, &*self.model.label);
        run.set(&attributes::FUEL, cost.fuel);
        run.set(&attributes::MEMORY, cost.memory_bytes);
        run.set(&attributes::OUTPUT, cost.output_bytes);
        match end {
            RunEnd::Done => run.pass(),
            RunEnd::Failed(error) => run.fail(code(error)),
            RunEnd::Left => {}
        }
    }
}

/// The code of a run's error.
fn code(error: &(dyn Error + 'static)) -> &'static str {
    error
        .downcast_ref::<RunError>()
        .map_or("internal_error", outcome::code)
}
