//! Compilation, from the child's side: bind the own process, read the request, inspect, run
//! `load` and keep its memory, compile, write.

use crate::{
    Budget, Cap, CapHit, Capabilities, Capability, CompileError, GuestLine, Inspection, LoadCost,
    Loudness, RunError, RunLabel, RunOrigin, SlotCaps,
    after_load::{AfterLoad, ROOM_BYTES},
    artefact,
    base::{self, BaseFacts, BaseFiles, BaseWork},
    compiler::{CompileJob, CompileRequest, CompileResponse, Phase},
    determinism::Determinism,
    engine,
    engine_text::EngineText,
    fault::{classify, short},
    fit::{WASM_PAGE_BYTES, fits, needs},
    guest_log::LogShare,
    imports, inspect,
    memory_pool::MemoryPool,
    mould::{Parted, find_filling},
    pace::Pace,
    run,
    state::{GuestState, ModelFacts},
};
use belljar_wall::{Calls, Hardening, Reach, Wall};
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use wasmtime::{
    Engine, Store,
    component::{Component, Linker},
};
use wasmtime_wizer::Wizer;

/// Bytes of a request.
const REQUEST_BYTES_MAX: u64 = 64 << 20;
/// Files that the process may have open.
const OPEN_FILES_MAX: u64 = 64;
/// How far the process stands back for others on the same cores.
const NICE: i32 = 10;
/// The highest there is: the first to be killed.
const OOM_SCORE_ADJUSTMENT: &str = "1000";
/// How often `load` yields so that its deadline can be looked at.
const LOAD_TICK: Duration = Duration::from_millis(10);
/// The interface that is called once, before the snapshot.
const LIFECYCLE: &str = "belljar:model/lifecycle@0.1.0";

/// Runs one compilation in this process, which must have been started for that: it caps its own
/// address space and time. The request comes over stdin, the responses go to stdout.
#[must_use]
pub fn compile_child() -> ExitCode {
    // Without a host there is nobody to report to.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // It is started through a link, whose name would be its own.
    let _ = rustix::thread::set_name(c"belljar-compile");
    give_way();
    let mut text = Vec::new();
    let request = io::stdin()
        .lock()
        .take(REQUEST_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(|error| error.to_string())
        .and_then(|_| {
            serde_json::from_slice::<CompileRequest>(&text).map_err(|error| error.to_string())
        });
    let response = match request {
        Ok(request) => match handle(&request) {
            Ok((inspection, base)) => CompileResponse::Done {
                inspection: Box::new(inspection),
                base: base.map(Box::new),
            },
            Err(error) => CompileResponse::Failed(error),
        },
        Err(error) => CompileResponse::Failed(CompileError::Host {
            detail: format!("the request is unreadable: {error}"),
        }),
    };
    match send(&response) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Lets everything else on the machine go first, and be killed last where memory runs out: a
/// compilation can be done again, and its bytes are a stranger's.
fn give_way() {
    // Neither is worth a failed compilation.
    let _ = rustix::process::nice(NICE);
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJUSTMENT);
}

fn send(response: &CompileResponse) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, response)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn handle(request: &CompileRequest) -> Result<(Inspection, Option<BaseFacts>), CompileError> {
    bind(request).map_err(host("binding the process"))?;
    wall_in(request)?;
    let component = fs::read(&request.job.component).map_err(host("reading the component"))?;
    // What is known of a base was found out about this component.
    let (capabilities, determinism) = match &request.base {
        Some(BaseWork::Use(_, facts)) => {
            let known = &facts.inspection;
            (known.capabilities, known.determinism.clone())
        }
        Some(BaseWork::Make(_)) | None => looked_at(request, &component)?,
    };
    let (component, load) = if capabilities.has(Capability::Lifecycle) {
        let (component, cost) = snapshot(request, component)?;
        (component, Some(cost))
    } else {
        (component, None)
    };
    let snapshot_digest = load.map(|_| hex::encode(Sha256::digest(&component)));
    let Compiled {
        bytes,
        inspection,
        base,
    } = compiled(request, &component)?;
    let inspection = Inspection {
        capabilities,
        determinism,
        snapshot: load.is_some(),
        snapshot_digest,
        load,
        artefact_bytes: bytes.len() as u64,
        ..inspection
    };
    write(&request.output, &bytes).map_err(host("writing the compiled model"))?;
    let base = base.map(|(skeleton, filling_at)| BaseFacts {
        inspection: inspection.clone(),
        skeleton,
        filling_at,
    });
    Ok((inspection, base))
}

fn host(what: &'static str) -> impl Fn(io::Error) -> CompileError {
    move |error| CompileError::Host {
        detail: format!("{what}: {error}"),
    }
}

/// Writes a file that the host has made for it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::options().write(true).open(path)?;
    file.write_all(bytes)
}

/// What can be told of a component before it is compiled.
fn looked_at(
    request: &CompileRequest,
    component: &[u8],
) -> Result<(Capabilities, Determinism), CompileError> {
    let capabilities = inspect::inspect(component, engine::FEATURES)?;
    send(&CompileResponse::Phase(Phase::Compiling)).map_err(host("reporting"))?;
    let determinism =
        Determinism::find(component, request.codegen).map_err(|error| CompileError::Invalid {
            reason: short(&error.to_string()),
        })?;
    Ok((capabilities, determinism))
}

/// A component, compiled for the serving engine.
struct Compiled {
    bytes: Vec<u8>,
    inspection: Inspection,
    /// The skeleton of the base that was made on the way, and where the filling is in its file.
    base: Option<(String, u64)>,
}

/// Compiles what runs requests, or takes it from the base.
fn compiled(request: &CompileRequest, component: &[u8]) -> Result<Compiled, CompileError> {
    let slot = request.slot.smaller(request.job.budget.slot());
    match &request.base {
        Some(BaseWork::Use(files, facts)) => {
            let cast = base::cast(files, facts, component).map_err(host("reading a base"))?;
            if let Some(bytes) = cast {
                fits(&facts.inspection, slot)?;
                return Ok(Compiled {
                    bytes,
                    inspection: facts.inspection.clone(),
                    base: None,
                });
            }
            send(&CompileResponse::Phase(Phase::Compiling)).map_err(host("reporting"))?;
        }
        Some(BaseWork::Make(files)) => {
            if let Some(parted) = Parted::of(component) {
                let (mut bytes, inspection) = compile(request, slot, &parted.filled())?;
                if let Some(at) = find_filling(&bytes, parted.memory().len()) {
                    write(&files.mould, &bytes).map_err(host("writing a base"))?;
                    if base::set_memory(&mut bytes, at as u64, parted.memory()) {
                        return Ok(Compiled {
                            bytes,
                            inspection,
                            base: Some((parted.skeleton().to_hex().to_string(), at as u64)),
                        });
                    }
                }
            }
        }
        None => {}
    }
    let (bytes, inspection) = compile(request, slot, component)?;
    Ok(Compiled {
        bytes,
        inspection,
        base: None,
    })
}

/// Compiles a component, and holds it against what is linked and what a slot has.
fn compile(
    request: &CompileRequest,
    slot: SlotCaps,
    component: &[u8],
) -> Result<(Vec<u8>, Inspection), CompileError> {
    let engine =
        engine::compiling(request.codegen).map_err(|error| engine_error(request, &error))?;
    let compiled = Component::from_binary(&engine, component)
        .map_err(|error| engine_error(request, &error))?;
    // Each import's own items, and their types, against what is linked.
    let mut linker = Linker::new(&engine);
    imports::link(&mut linker).map_err(|error| engine_error(request, &error))?;
    linker
        .instantiate_pre(&compiled)
        .map_err(|error| unlinked(&error))?;
    let inspection = needs(&compiled)?;
    fits(&inspection, slot)?;
    let bytes = compiled
        .serialize()
        .map_err(|error| engine_error(request, &error))?;
    Ok((bytes, inspection))
}

/// Puts the caps on this process.
fn bind(request: &CompileRequest) -> io::Result<()> {
    let cap = |value: u64| Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    setrlimit(Resource::As, cap(request.address_space_bytes_max))?;
    // What is reserved and never written, as for a guest's memory, counts above and not here.
    setrlimit(Resource::Data, cap(request.memory_bytes_max))?;
    setrlimit(Resource::Cpu, cap(request.cpu_time_s))?;
    setrlimit(Resource::Core, cap(0))?;
    setrlimit(Resource::Nofile, cap(OPEN_FILES_MAX))?;
    Ok(())
}

/// Gives away what a compilation has no use for, before the first byte of the component is read:
/// every file but its own, the network, other processes and programs.
fn wall_in(request: &CompileRequest) -> Result<(), CompileError> {
    if request.hardening == Hardening::Off {
        return Ok(());
    }
    let job = &request.job;
    let assets = job.assets.iter().map(|asset| asset.path.clone());
    let mut reach = Reach {
        read: assets.chain([job.component.clone()]).collect(),
        update: [request.output.clone()].into(),
        ..Reach::default()
    };
    if let Some(base) = &request.base {
        let BaseFiles { loading, mould } = base.files();
        let files = [loading.clone(), mould.clone()];
        match base {
            BaseWork::Make(_) => reach.update.extend(files),
            BaseWork::Use(..) => reach.read.extend(files),
        }
    }
    let wall = Wall::raise(&reach, Calls::Compiler);
    match wall.missing().first() {
        Some(missing) if request.hardening == Hardening::Required => Err(CompileError::Host {
            detail: format!("`hardening` is required, and for the compiling process {missing}"),
        }),
        // The host has said at its start what the kernel lacks.
        _ => Ok(()),
    }
}

/// An error of the engine: out of address space, or a component that it does not take.
fn engine_error(request: &CompileRequest, error: &wasmtime::Error) -> CompileError {
    let text = format!("{error:#}");
    if EngineText::read(&text) == EngineText::NoAddressSpace {
        let limit = request
            .memory_bytes_max
            .min(request.address_space_bytes_max);
        return CompileError::Cap(CapHit::used_up(Cap::CompileAddressSpaceBytes, limit));
    }
    CompileError::Invalid {
        reason: short(&text),
    }
}

/// An import that the linker does not have, by name where the engine gives one.
fn unlinked(error: &wasmtime::Error) -> CompileError {
    let text = format!("{error:#}");
    match EngineText::read(&text) {
        EngineText::NoImport(name) => CompileError::RefusedImport { name: short(name) },
        _ => CompileError::Invalid {
            reason: short(&text),
        },
    }
}

/// Runs `load` and gives back the component as it is then, and what that has taken.
fn snapshot(
    request: &CompileRequest,
    component: Vec<u8>,
) -> Result<(Vec<u8>, LoadCost), CompileError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| CompileError::Host {
            detail: error.to_string(),
        })?;
    runtime.block_on(loaded(request, component))
}

async fn loaded(
    request: &CompileRequest,
    component: Vec<u8>,
) -> Result<(Vec<u8>, LoadCost), CompileError> {
    let job = &request.job;
    let memory_bytes_max = job.budget.memory_bytes_max;
    let reservation = match &request.base {
        Some(_) => base::RESERVATION_BYTES,
        None => memory_bytes_max.saturating_add(ROOM_BYTES),
    };
    let engine = engine::loading(reservation, request.codegen)
        .map_err(|error| engine_error(request, &error))?;
    let wizer = Wizer::new();
    let (context, instrumented) =
        wizer
            .instrument_component(&component)
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
    drop(instrumented);
    if let Some(BaseWork::Make(files)) = &request.base {
        let bytes = compiled
            .serialize()
            .map_err(|error| engine_error(request, &error))?;
        write(&files.loading, &bytes).map_err(host("writing a base"))?;
    }
    let mut linker = Linker::new(&engine);
    imports::link(&mut linker).map_err(|error| engine_error(request, &error))?;
    let pre = linker
        .instantiate_pre(&compiled)
        .map_err(|error| unlinked(&error))?;
    send(&CompileResponse::Phase(Phase::Loading)).map_err(|error| CompileError::Host {
        detail: error.to_string(),
    })?;

    let budget = load_budget(job);
    let mut store = run::store(&engine, load_state(job, &budget)).map_err(failed)?;
    tick(&engine);
    let instance = match pre.instantiate_async(&mut store).await {
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
            let (Error::InvalidInput(reason) | Error::Unsupported(reason) | Error::Failed(reason)) =
                error;
            // A guest that can do without the memory it was refused says what it cannot do then,
            // and not why.
            if let Some(hit) = store.data().limiter.refused() {
                heard(&GuestLine::new(Loudness::Error, "load", &reason));
                return Err(CompileError::Cap(hit.clone()));
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
        captured = wizer.snapshot_component(&context, &mut after_load) => captured,
        Ok(error) = failure => Err(error),
    };
    drop(after_load);
    match captured {
        Ok(component) => Ok((component, cost)),
        Err(error) => Err(not_captured(request, &store, &error)),
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
