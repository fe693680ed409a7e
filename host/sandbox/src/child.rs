//! Compilation, from the child's side: bind the own process, read the request, inspect, have `load`
//! run, compile, write.

use crate::{
    Capabilities, Capability, CompileError, Inspection, SlotCaps,
    base::{self, BaseFacts, BaseFiles, BaseWork},
    compiler::{CompileRequest, CompileResponse, Phase},
    determinism::Determinism,
    engine,
    fault::short,
    fit::{fits, needs},
    imports, inspect, loading,
    mould::{Parted, find_filling},
    outcome::{engine_error, host, send, unlinked, write},
};
use belljar_wall::{Calls, Hardening, Reach, Wall};
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    io::{self, Read as _},
    process::ExitCode,
};
use wasmtime::component::{Component, Linker};

/// Bytes of a request.
const REQUEST_BYTES_MAX: u64 = 64 << 20;
/// Files that the process may have open.
const OPEN_FILES_MAX: u64 = 64;
/// How far the process stands back for others on the same cores.
const NICE: i32 = 10;
/// The highest there is: the first to be killed.
const OOM_SCORE_ADJUSTMENT: &str = "1000";

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
        Ok(request) => handle(&request).unwrap_or_else(CompileResponse::Failed),
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

fn handle(request: &CompileRequest) -> Result<CompileResponse, CompileError> {
    bind(request).map_err(host("binding the process"))?;
    wall_in(request)?;
    let component = fs::read(&request.job.component).map_err(host("reading the component"))?;
    let slot = request.slot.smaller(request.job.budget.slot());
    if let Some(BaseWork::Make(_)) = &request.base {
        let made = base_alone(request, slot, component)?;
        return Ok(CompileResponse::Made(made.map(Box::new)));
    }
    // What is known of a base was found out about this component.
    let (capabilities, determinism) = match &request.base {
        Some(BaseWork::Use(_, facts)) => {
            let known = &facts.inspection;
            (known.capabilities, known.determinism.clone())
        }
        _ => looked_at(request, &component)?,
    };
    let (component, load) = if capabilities.has(Capability::Lifecycle) {
        let (component, cost) = loading::load(request, &component)?;
        (component, Some(cost))
    } else {
        (component, None)
    };
    let snapshot_digest = load.map(|_| hex::encode(Sha256::digest(&component)));
    let (bytes, needs) = match on_base(request, slot, &component)? {
        Some(done) => done,
        None => compile(request, slot, &component)?,
    };
    write(&request.output, &bytes).map_err(host("writing the compiled model"))?;
    Ok(CompileResponse::Done(Box::new(Inspection {
        capabilities,
        determinism,
        snapshot: load.is_some(),
        snapshot_digest,
        load,
        artefact_bytes: bytes.len() as u64,
        ..needs
    })))
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

/// Compiles a base: it has run `load` without a model's files, and gets a filling for the memory that
/// this has left. `None` where there is no `load`, no memory to fill, or the filling is not found in
/// what was compiled.
fn base_alone(
    request: &CompileRequest,
    slot: SlotCaps,
    component: Vec<u8>,
) -> Result<Option<BaseFacts>, CompileError> {
    let (capabilities, determinism) = looked_at(request, &component)?;
    if !capabilities.has(Capability::Lifecycle) {
        return Ok(None);
    }
    let (component, _) = loading::load(request, &component)?;
    let Some(parted) = Parted::of(&component) else {
        return Ok(None);
    };
    let (bytes, needs) = compile(request, slot, &parted.filled())?;
    let Some(filling_at) = find_filling(&bytes, parted.memory().len()) else {
        return Ok(None);
    };
    write(&request.output, &bytes).map_err(host("writing a base"))?;
    Ok(Some(BaseFacts {
        inspection: Inspection {
            capabilities,
            determinism,
            ..needs
        },
        skeleton: parted.skeleton().to_hex().to_string(),
        filling_at: filling_at as u64,
    }))
}

/// A component after `load`, taken from its base, with what it needs. `None` where there is no base,
/// or where it differs from that in more than its memory.
fn on_base(
    request: &CompileRequest,
    slot: SlotCaps,
    component: &[u8],
) -> Result<Option<(Vec<u8>, Inspection)>, CompileError> {
    let Some(BaseWork::Use(files, facts)) = &request.base else {
        return Ok(None);
    };
    let mould = fs::read(&files.mould).map_err(host("reading a base"))?;
    let Some(bytes) = base::cast(mould, facts, component) else {
        send(&CompileResponse::Phase(Phase::Compiling)).map_err(host("reporting"))?;
        return Ok(None);
    };
    fits(&facts.inspection, slot)?;
    Ok(Some((bytes, facts.inspection.clone())))
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
    match &request.base {
        None => {}
        Some(BaseWork::Make(loading)) => reach.update.extend([loading.clone()]),
        Some(BaseWork::Use(BaseFiles { loading, mould }, _)) => {
            reach.read.extend([loading.clone(), mould.clone()]);
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
