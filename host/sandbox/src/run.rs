//! One run: a fresh store inside a budget, on this thread for its first tick and on the guest
//! threads from then on.

use crate::{
    Budget, Cap, CapHit, GuestError, RunCost, RunEnd, RunError, RunLabel, RunWatch,
    exchange::{Asked, Given},
    fault::{classify, lack_of_memory, short},
    loaded::{Admitted, Loaded},
    profile::{Sampler, readable, source_line},
    state::{GuestState, HostStop},
    threads::GuestTask,
    wit::{embeddings, moderation, ranking, tensors, text, tokenizer, types},
};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Instant,
};
use wasmtime::{Store, StoreContextMut, UpdateDeadline, WasmBacktrace, component::Instance};

/// Ticks after which a run is looked at.
const LOOK_TICKS: u64 = 1;
/// The same for a run that is looked at wherever it can be.
const EVERY_PLACE: u64 = 0;
/// How many times as long such a run may take: being looked at costs more than running.
const PROFILED_TIMES: u32 = 50;

/// A result and what it cost.
#[derive(Clone, Debug)]
pub struct Completed<T> {
    /// The result.
    pub value: T,
    /// The cost.
    pub cost: RunCost,
}

/// What is done with a fresh instance.
pub(crate) trait Call: Send + 'static {
    type Output: Send + 'static;

    /// What the guest is asked; none for what is no request's.
    fn asked(&self) -> Option<Asked>;

    fn call(
        self,
        context: &mut RunContext,
        instance: Instance,
    ) -> impl Future<Output = Result<Self::Output, RunError>> + Send;
}

/// What a run has and is: its store, and everything that goes when it goes.
pub(crate) struct RunContext {
    pub(crate) store: Store<GuestState>,
    output_bytes: u64,
    start: Instant,
    /// Follows the run, until it has been told of its end.
    watch: Option<Box<dyn RunWatch>>,
    /// The last to go: the next run finds what this one had free.
    pub(crate) model: Admitted,
}

impl RunContext {
    /// Units of fuel that were used by now.
    pub(crate) fn fuel_used(&self) -> u64 {
        let left = self.store.get_fuel().unwrap_or(0);
        self.store.data().budget().fuel.saturating_sub(left)
    }

    pub(crate) fn cost(&self) -> RunCost {
        let state = self.store.data();
        RunCost {
            fuel: self.fuel_used(),
            memory_bytes: state.limiter.memory_bytes(),
            output_bytes: self.output_bytes,
            wall: self.start.elapsed(),
        }
    }

    pub(crate) fn label(&self) -> &RunLabel {
        self.store.data().label()
    }

    /// Whoever follows the run and wants to know what is said.
    fn content_watch(&mut self) -> Option<&mut Box<dyn RunWatch>> {
        self.watch.as_mut().filter(|watch| watch.wants_content())
    }

    /// Tells whoever wants to know what the guest has given.
    pub(crate) fn gave(&mut self, given: impl FnOnce() -> Given) {
        if let Some(watch) = self.content_watch() {
            watch.gave(&given());
        }
    }

    /// Tells whoever wants to know how many chunks a call of `next` asks for.
    pub(crate) fn pulls(&mut self, chunks: u32) {
        if let Some(watch) = self.content_watch() {
            watch.pulls(chunks);
        }
    }

    /// Adds to the answer's size.
    pub(crate) fn add_output(&mut self, bytes: u64) -> Result<(), RunError> {
        self.output_bytes = self.output_bytes.saturating_add(bytes);
        self.label().count_output(bytes);
        let limit = self.store.data().budget().output_bytes_max;
        if self.output_bytes > limit {
            return Err(RunError::Cap(CapHit {
                cap: Cap::OutputBytes,
                limit,
                used: self.output_bytes,
            }));
        }
        Ok(())
    }

    /// What a call of the guest gave, or whose fault it is that it gave nothing.
    pub(crate) fn answer<T>(
        &self,
        given: wasmtime::Result<Result<T, types::Error>>,
    ) -> Result<T, RunError> {
        given
            .map_err(|error| self.fault(&error))?
            .map_err(|error| self.guest_error(error))
    }

    /// The guest's own error, cut to what a caller may read; that it lacked memory, where it did.
    fn guest_error(&self, error: types::Error) -> RunError {
        RunError::Guest(match error {
            types::Error::InvalidInput(text) => GuestError::InvalidInput(short(&text)),
            types::Error::Unsupported(text) => GuestError::Unsupported(short(&text)),
            types::Error::Failed(text) => {
                let text = short(&text);
                let state = self.store.data();
                let model = &*state.facts().label;
                if state.facts().log_share.admits_fault(model) {
                    tracing::info!(
                        model.id = model,
                        request.id = state.request_id(),
                        trace_id = state.label().trace_id(),
                        "the model failed: {text}"
                    );
                }
                state.tell_failure(|| format!("the model failed: {text}"));
                if let Some(lack) = lack_of_memory(state) {
                    state.tell_failure(|| lack.to_string());
                    return lack;
                }
                GuestError::Failed(text)
            }
        })
    }

    /// The guest's functions of `tensors`.
    pub(crate) fn tensors(&mut self, instance: &Instance) -> Result<tensors::Guest, RunError> {
        let indices = self.model.functions.tensors()?;
        let guest = indices.load(&mut self.store, instance);
        guest.map_err(|error| self.fault(&error))
    }

    /// The guest's functions of `text`.
    pub(crate) fn text(&mut self, instance: &Instance) -> Result<text::Guest, RunError> {
        let indices = self.model.functions.text()?;
        let guest = indices.load(&mut self.store, instance);
        guest.map_err(|error| self.fault(&error))
    }

    /// The guest's functions of `embeddings`.
    pub(crate) fn embeddings(
        &mut self,
        instance: &Instance,
    ) -> Result<embeddings::Guest, RunError> {
        let indices = self.model.functions.embeddings()?;
        let guest = indices.load(&mut self.store, instance);
        guest.map_err(|error| self.fault(&error))
    }

    /// The guest's functions of `moderation`.
    pub(crate) fn moderation(
        &mut self,
        instance: &Instance,
    ) -> Result<moderation::Guest, RunError> {
        let indices = self.model.functions.moderation()?;
        let guest = indices.load(&mut self.store, instance);
        guest.map_err(|error| self.fault(&error))
    }

    /// The guest's functions of `ranking`.
    pub(crate) fn ranking(&mut self, instance: &Instance) -> Result<ranking::Guest, RunError> {
        let indices = self.model.functions.ranking()?;
        let guest = indices.load(&mut self.store, instance);
        guest.map_err(|error| self.fault(&error))
    }

    /// The guest's functions of `tokenizer`.
    pub(crate) fn tokenizer(&mut self, instance: &Instance) -> Result<tokenizer::Guest, RunError> {
        let indices = self.model.functions.tokenizer()?;
        let guest = indices.load(&mut self.store, instance);
        guest.map_err(|error| self.fault(&error))
    }

    /// Whose fault a failed call is. Costs the log a line, and for whoever looks closer another
    /// with the functions that led there.
    pub(crate) fn fault(&self, error: &wasmtime::Error) -> RunError {
        let state = self.store.data();
        let fault = classify(error, state);
        // A panic's message comes over stderr, and before what it led to.
        state.flush_stdio();
        if let Some(catcher) = state.label().stack_catcher() {
            // Whoever stops a run to look at it has not seen it fail.
            catcher.catch(error);
            return fault;
        }
        if fault.is_of_guest() {
            state.tell_failure(|| format!("{fault}; it failed in {}", functions(error)));
        }
        let (model, request) = (&*state.facts().label, state.request_id());
        if state.facts().log_share.admits_fault(model) {
            tracing::info!(
                model.id = model,
                request.id = request,
                trace_id = state.label().trace_id(),
                "a run failed: {fault}"
            );
            if tracing::enabled!(tracing::Level::DEBUG) {
                let way = functions(error);
                tracing::debug!(model.id = model, request.id = request, "it failed in {way}");
            }
        }
        fault
    }
}

/// Functions of the guest that are named when a run has failed.
const FUNCTIONS_MAX: usize = 32;

/// The functions of the guest that led to a failure, the innermost first, on one line. Their
/// names are the guest's own, and no frame of the host is among them.
pub(crate) fn functions(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return "no function".to_owned();
    };
    let frames = backtrace.frames().iter().take(FUNCTIONS_MAX).map(|frame| {
        let name = match frame.func_name() {
            Some(name) => readable(name),
            None => format!("function {}", frame.func_index()),
        };
        match frame.symbols().first().and_then(source_line) {
            Some(line) => format!("{name} ({line})"),
            None => name,
        }
    });
    let way = frames.collect::<Vec<_>>().join(" < ");
    let files = backtrace.frames().iter().flat_map(|frame| frame.symbols());
    // The outermost: what a language's own library is written in is nobody's concern.
    let language = files
        .filter_map(|symbol| language(symbol.file()?))
        .next_back();
    match language {
        Some(language) => format!("{way} ({language})"),
        None => way,
    }
}

/// The language of a source file, by what its name ends with.
fn language(file: &str) -> Option<&'static str> {
    let (_, ending) = file.rsplit_once('.')?;
    Some(match ending {
        "rs" => "Rust",
        "c" | "h" => "C",
        "cc" | "cpp" | "cxx" | "hpp" => "C++",
        "py" => "Python",
        "js" | "mjs" => "JavaScript",
        "ts" => "TypeScript",
        "go" => "Go",
        "zig" => "Zig",
        _ => return None,
    })
}

impl Drop for RunContext {
    fn drop(&mut self) {
        self.store.data().flush_stdio();
        if let Some(sampler) = self.store.data_mut().sampler.take() {
            sampler.end(self.store.get_fuel().unwrap_or(0));
        }
        let cost = self.cost();
        self.label().count_run(&cost);
        if let Some(mut watch) = self.watch.take() {
            // It was cut short from outside: by the clock, or because its caller has left.
            let budget = self.store.data().budget();
            let late = RunError::Cap(CapHit::used_up(Cap::WallTimeMs, budget.wall_time_ms()));
            let is_late = cost.wall >= budget.wall_time;
            let end = if is_late {
                RunEnd::Failed(&late)
            } else {
                RunEnd::Left
            };
            watch.ended(&cost, end);
        }
        let state = self.store.data();
        if state.slices.is_quick() {
            state.facts().pace.note_quick();
        }
    }
}

/// Makes a store for one run, with every cap set.
pub(crate) fn store(
    engine: &wasmtime::Engine,
    state: GuestState,
) -> Result<Store<GuestState>, RunError> {
    let budget = *state.budget();
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store
        .set_fuel(budget.fuel)
        .map_err(|error| RunError::Host {
            detail: error.to_string(),
        })?;
    store.set_hostcall_fuel(budget.hostcall_bytes_max);
    store.set_max_component_handles(budget.resources_max);
    if let Some(profiler) = store.data().label().profiler() {
        store.data_mut().sampler = Some(Box::new(Sampler::new(profiler, budget.fuel)));
        store.set_epoch_deadline(EVERY_PLACE);
        store.epoch_deadline_callback(sample);
        return Ok(store);
    }
    store.set_epoch_deadline(LOOK_TICKS);
    store.epoch_deadline_callback(|mut context| {
        let state = context.data_mut();
        if let Some(hit) = state.deadline_hit(Instant::now()) {
            return Err(HostStop::Cap(hit).into());
        }
        let was_quick = state.slices.is_quick();
        if !state.slices.tick() {
            return Ok(UpdateDeadline::Continue(LOOK_TICKS));
        }
        if was_quick {
            state.facts().pace.note_slow();
        }
        Ok(UpdateDeadline::Yield(LOOK_TICKS))
    });
    Ok(store)
}

/// Looks at a run that is profiled, wherever one of its functions begins or a loop turns.
fn sample(mut context: StoreContextMut<'_, GuestState>) -> wasmtime::Result<UpdateDeadline> {
    let Some(mut sampler) = context.data_mut().sampler.take() else {
        return Ok(UpdateDeadline::Continue(LOOK_TICKS));
    };
    if sampler.is_due() {
        let fuel_left = context.get_fuel()?;
        sampler.look(&WasmBacktrace::force_capture(&context), fuel_left);
    }
    let state = context.data_mut();
    let is_clock_due = sampler.is_clock_due();
    state.sampler = Some(sampler);
    if !is_clock_due {
        return Ok(UpdateDeadline::Continue(EVERY_PLACE));
    }
    match state.deadline_hit(Instant::now()) {
        Some(hit) => Err(HostStop::Cap(hit).into()),
        None => Ok(UpdateDeadline::Yield(EVERY_PLACE)),
    }
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
    let mut budget = *budget;
    if label.profiler().is_some() {
        budget.wall_time = budget.wall_time.saturating_mul(PROFILED_TIMES);
    }
    // Before anything is waited for, so that it does not depend on who waits how long.
    let place = label.next_run();
    let mut watch = label.watch(place);
    let admitted = model.admit().await;
    if let Some(watch) = &mut watch {
        match &admitted {
            Ok(_) => watch.admitted(),
            Err(error) => watch.refused(error),
        }
    }
    let run = run_call(admitted?, call, budget, (label.clone(), place), watch);
    let mut future = Box::pin(run);
    if model.facts.pace.may_be_quick() {
        let first = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if let Poll::Ready(result) = first {
            return Ok(RunHandle(Progress::Done(Some(result))));
        }
    }
    let shared = &model.shared;
    shared.moved.fetch_add(1, Ordering::Relaxed);
    // Fuel and epochs bound what a guest computes; this bounds what it waits for.
    let (wall_time, limit) = (budget.wall_time, budget.wall_time_ms());
    let fine_ticks = shared.ticker.tick_finely();
    let task = shared.threads.spawn(model.queue_id, async move {
        let _fine_ticks = fine_ticks;
        match tokio::time::timeout(wall_time, future).await {
            Ok(result) => result,
            Err(_) => Err(RunError::Cap(CapHit::used_up(Cap::WallTimeMs, limit))),
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
async fn run_call<C: Call>(
    model: Admitted,
    call: C,
    budget: Budget,
    (label, place): (RunLabel, u64),
    watch: Option<Box<dyn RunWatch>>,
) -> Result<Completed<C::Output>, RunError> {
    let start = Instant::now();
    let shared = &model.shared;
    let state = GuestState::new(
        Arc::clone(&model.facts),
        label,
        place,
        &budget,
        Arc::clone(&shared.memory_pool),
        start,
    );
    let store = store(&shared.engine, state)?;
    let mut context = RunContext {
        store,
        output_bytes: 0,
        start,
        watch,
        model,
    };
    let value = instantiate_and_call(call, &mut context).await;
    let cost = context.cost();
    if let Some(mut watch) = context.watch.take() {
        watch.ended(
            &cost,
            match &value {
                Ok(_) => RunEnd::Done,
                Err(error) => RunEnd::Failed(error),
            },
        );
    }
    Ok(Completed {
        value: value?,
        cost,
    })
}

async fn instantiate_and_call<C: Call>(
    call: C,
    context: &mut RunContext,
) -> Result<C::Output, RunError> {
    if let Some(watch) = context.content_watch()
        && let Some(asked) = call.asked()
    {
        watch.asked(&asked);
    }
    let pre = &context.model.pre;
    let instance = pre.instantiate_async(&mut context.store).await;
    let instance = instance.map_err(|error| context.fault(&error))?;
    call.call(context, instance).await
}
