//! What a compiling process hands out: responses, files, and errors by whose fault they are.

use crate::{
    Cap, CapHit, CompileError,
    compiler::{CompileRequest, CompileResponse},
    engine_text::EngineText,
    fault::short,
};
use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

/// Tells the host something.
pub(crate) fn send(response: &CompileResponse) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, response)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// What failed of the host's own.
pub(crate) fn host(what: &'static str) -> impl Fn(io::Error) -> CompileError {
    move |error| CompileError::Host {
        detail: format!("{what}: {error}"),
    }
}

/// Writes a file that the host has made for it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::options().write(true).open(path)?;
    file.write_all(bytes)
}

/// An error of the engine: out of address space, or a component that it does not take.
pub(crate) fn engine_error(request: &CompileRequest, error: &wasmtime::Error) -> CompileError {
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
pub(crate) fn unlinked(error: &wasmtime::Error) -> CompileError {
    let text = format!("{error:#}");
    match EngineText::read(&text) {
        EngineText::NoImport(name) => CompileError::RefusedImport { name: short(name) },
        _ => CompileError::Invalid {
            reason: short(&text),
        },
    }
}
