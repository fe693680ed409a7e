//! `load`, run once in a compiling process, and the component as it is afterwards.

use crate::{
    Budget, Cap, CapHit, CompileError, GuestLine, LoadCost, Loudness, RunError, RunLabel,
    RunOrigin,
    after_load::{AfterLoad, ROOM_BYTES},
    artefact,
    base::{self, BaseWork},
    compiler::{CompileJob, CompileRequest, CompileResponse, Phase},
    engine,
    fault::{classify, lack_of_memory, short},
    fit::WASM_PAGE_BYTES,
    guest_log::LogShare,
    imports,
    memory_pool::MemoryPool,
    outcome::{engine_error, host, send, unlinked, write},
    pace::Pace,
    run,
    state::{GuestState, ModelFacts},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use wasmtime::{
    Engine, Store,
    component::{Component, InstancePre, Linker},
};
use wasmtime_wizer::{ComponentContext, Wizer};

/// How often `load` yields so that its deadline can be looked at.
const LOAD_TICK: Duration = Duration::from_millis(10);
/// The interface that is called once, before the snapshot.
const LIFECYCLE: &str = "belljar:model/lifecycle@0.1.0";

/// A component that is compiled for `load`.
struct Loading<'a> {
    request: &'a CompileRequest,
    engine: Engine,
    wizer: Wizer,
    context: ComponentContext<'a>,
    pre: InstancePre<GuestState>,
}

/// Runs `load` and gives back the component as it is then, and what that has taken.
pub(crate) fn load(
    request: &CompileRequest,
    component: &[u8],
) -> Result<(Vec<u8>, LoadCost), CompileError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| CompileError::Host {
            detail: error.to_string(),
        })?;
    let loading = Loading::new(request, component)?;
    send(&CompileResponse::Phase(Phase::Loading)).map_err(host("reporting"))?;
    runtime.block_on(loading.run())
}

impl<'a> Loading<'a> {
    /// Compiles the component, or maps what was compiled of its base, which is written where it is to
    /// be made.
    fn new(request: &'a CompileRequest, component: &'a [u8]) -> Result<Self, CompileError> {
        let memory_bytes_max = request.job.budget.memory_bytes_max;
        let reservation = match &request.base {
            Some(_) => base::RESERVATION_BYTES,
            None => memory_bytes_max.saturating_add(ROOM_BYTES),
        };
        let engine = engine::loading(reservation, request.codegen)
            .map_err(|error| engine_error(request, &error))?;
        let wizer = Wizer::new();
        let (context, instrumented) =
            wizer
                .instrument_component(component)
                .map_err(|error| CompileError::Unsupported {
                    reason: short(&format!(
                        "the component cannot be captured after `load`: {error:#}"
                    )),
                })?;
        let compiled = match &request.base {
            Some(BaseWork::Use(files, _)) => artefact::map_file(&engine, &files.loading),
            Some(BaseWork::Make(_)) | None => Component::from_binary(&engine, &instrumented),
        };
        let compiled = compiled.map_err(|error| engine_error(request, &error))?;
        if let Some(BaseWork::Make(loading)) = &request.base {
            let bytes = compiled
                .serialize()
                .map_err(|error| engine_error(request, &error))?;
            write(loading, &bytes).map_err(host("writing a base"))?;
        }
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker).map_err(|error| engine_error(request, &error))?;
        let pre = linker
            .instantiate_pre(&compiled)
            .map_err(|error| unlinked(&error))?;
        Ok(Self {
            request,
            engine,
            wizer,
            context,
            pre,
        })
    }

    /// Runs `load` in a fresh instance, and captures the component.
    async fn run(&self) -> Result<(Vec<u8>, LoadCost), CompileError> {
        let job = &self.request.job;
        let budget = load_budget(job);
        let mut store = run::store(&self.engine, load_state(job, &budget)).map_err(failed)?;
        tick(&self.engine);
        let instance = match self.pre.instantiate_async(&mut store).await {
            Ok(instance) => instance,
            Err(error) => {
                store.data_mut().flush_stdio();
                return Err(failed(classify(&error, store.data())));
            }
        };
        let load = instance
            .get_export_index(&mut store, None, LIFECYCLE)
            .and_then(|interface| instance.get_export_index(&mut store, Some(&interface), "load"))
            .ok_or_else(|| CompileError::Invalid {
                reason: format!("`{LIFECYCLE}` has no function `load`"),
            })?;
        let load = instance
            .get_typed_func::<(), (Result<(), crate::wit::types::Error>,)>(&mut store, load)
            .map_err(|error| CompileError::Invalid {
                reason: short(&format!(
                    "`load` has another type than the contract's: {error:#}"
                )),
            })?;
        let called = tokio::time::timeout(budget.wall_time, load.call_async(&mut store, ())).await;
        store.data_mut().flush_stdio();
        if let Ok(Err(error)) = &called {
            // Nobody reads this but the author: the functions are named, as the log does at its
            // closest.
            heard(&GuestLine::new(
                Loudness::Error,
                "trap",
                &format!("it failed in {}", run::functions(error)),
            ));
        }
        match called {
            Err(_) => {
                let hit = CapHit::used_up(Cap::WallTimeMs, budget.wall_time_ms());
                return Err(CompileError::Cap(hit));
            }
            Ok(Err(error)) => return Err(failed(classify(&error, store.data()))),
            Ok(Ok((Err(error),))) => {
                use crate::wit::types::Error;
                let (Error::InvalidInput(reason)
                | Error::Unsupported(reason)
                | Error::Failed(reason)) = error;
                if let Some(lack) = lack_of_memory(store.data()) {
                    heard(&GuestLine::new(Loudness::Error, "load", &reason));
                    return Err(failed(lack));
                }
                return Err(CompileError::LoadFailed {
                    reason: short(&reason),
                });
            }
            Ok(Ok((Ok(()),))) => {}
        }
        let left = store.get_fuel().map_err(|error| CompileError::Host {
            detail: error.to_string(),
        })?;
        let cost = LoadCost {
            fuel: budget.fuel.saturating_sub(left),
            memory_bytes: store.data().limiter.memory_bytes(),
        };
        // Taking the snapshot calls accessors that the instrumentation added. They are ours, so the
        // guest's budget does not bind them.
        let unbounded = store.set_fuel(u64::MAX / 2);
        unbounded.map_err(|error| CompileError::Host {
            detail: error.to_string(),
        })?;
        store.data_mut().deadline = Instant::now() + UNBOUNDED;
        store.data_mut().limiter.lift();
        store.set_hostcall_fuel(usize::MAX);
        let (mut after_load, failure) = AfterLoad::new(&mut store, instance);
        let captured = tokio::select! {
            captured = self.wizer.snapshot_component(&self.context, &mut after_load) => captured,
            Ok(error) = failure => Err(error),
        };
        drop(after_load);
        match captured {
            Ok(component) => Ok((component, cost)),
            Err(error) => Err(not_captured(self.request, &store, &error)),
        }
    }
}

/// Why the memory of a component cannot be kept after `load`.
fn not_captured(
    request: &CompileRequest,
    store: &Store<GuestState>,
    error: &wasmtime::Error,
) -> CompileError {
    let Some(bytes) = store.data().limiter.declared_max() else {
        return engine_error(request, error);
    };
    let pages = bytes / WASM_PAGE_BYTES;
    let room = ROOM_BYTES / WASM_PAGE_BYTES;
    CompileError::Unsupported {
        reason: format!(
            "the component cannot be captured after `load`: its memory is of {bytes} bytes ({pages} \
             pages), and the component itself declares that it never gets larger; taking the snapshot \
             needs room for {room} more pages: let it declare more (clang: \
             -Wl,--max-memory={}), or no maximum",
            bytes.saturating_add(ROOM_BYTES)
        ),
    }
}

/// Longer than any compilation may take.
const UNBOUNDED: Duration = Duration::from_secs(24 * 60 * 60);

/// `load` has the caps of a run, but for its own fuel and time.
fn load_budget(job: &CompileJob) -> Budget {
    Budget {
        fuel: job.load.fuel,
        wall_time: job.load.wall_time,
        ..job.budget
    }
}

fn load_state(job: &CompileJob, budget: &Budget) -> GuestState {
    let facts = ModelFacts {
        label: "load".into(),
        assets: job.assets.clone(),
        pace: Pace::default(),
        log_share: LogShare::default(),
        ear: None,
    };
    // The process's own cap on its address space is what binds here.
    let memory_pool = MemoryPool::new(u64::MAX);
    GuestState::new(
        Arc::new(facts),
        RunLabel::of_origin(RunOrigin::of_content(&job.content), "load"),
        0,
        budget,
        memory_pool,
        Instant::now(),
    )
    .heard_by(Box::new(|line| heard(&line)))
}

/// Bytes of what `load` says that are told to the host, which reads no more of this process than
/// a response may have.
const SAID_BYTES_MAX: usize = 256 << 10;

static SAID_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Tells the host what the guest has said in `load`: the log of this process is read by nobody.
fn heard(line: &GuestLine) {
    let before = SAID_BYTES.fetch_add(line.text.len(), Ordering::Relaxed);
    if before < SAID_BYTES_MAX {
        // A host that is gone needs no response.
        let _ = send(&CompileResponse::Said(line.clone()));
    }
}

fn failed(error: RunError) -> CompileError {
    match error {
        RunError::Cap(hit) => CompileError::Cap(hit),
        RunError::Host { detail } => CompileError::Host { detail },
        RunError::Trap { .. }
        | RunError::InvalidOutput { .. }
        | RunError::Guest(_)
        | RunError::NoCapability { .. }
        | RunError::Overloaded { .. } => CompileError::LoadFailed {
            reason: error.to_string(),
        },
    }
}

/// Counts the epoch up for as long as the process lives.
fn tick(engine: &Engine) {
    let engine = engine.clone();
    thread::spawn(move || {
        loop {
            thread::sleep(LOAD_TICK);
            engine.increment_epoch();
        }
    });
}
