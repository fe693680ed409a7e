//! Builds the guests that the binary embeds, and tells `src/embedded.rs` where they are. Makes the
//! messages of gRPC's calls.

#[path = "../guest-models/build/guests.rs"]
mod guests;

use std::path::PathBuf;

use guests::{Build, build_guests, variable};
use protox::prost::Message as _;

/// The packages that are embedded.
const EMBEDDED: [&str; 2] = ["echo", "fake"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // They are compiled into the binary by a macro that cargo does not see through.
    println!("cargo:rerun-if-changed=migrations");
    if let Err(message) = embed().and_then(|()| messages()) {
        for line in message.lines() {
            println!("cargo::error={line}");
        }
    }
}

fn embed() -> Result<(), String> {
    let manifest_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let workspace = manifest_dir
        .parent()
        .ok_or("the host has no parent folder")?
        .join("guest-models");
    let built = build_guests(&Build {
        workspace: &workspace,
        packages: &EMBEDDED,
        options: &[],
        watched: &EMBEDDED,
    })?;
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    for package in EMBEDDED {
        // Copied, because the next build of a guest would change the original under us.
        let file = format!("{package}.wasm");
        std::fs::copy(built.join(&file), out_dir.join(&file))
            .map_err(|e| format!("cannot copy {file} from {}: {e}", built.display()))?;
    }
    Ok(())
}

/// The calls that are served, by what they are described in.
const PROTOS: [&str; 4] = [
    "proto/inference.proto",
    "proto/health.proto",
    "proto/reflection_v1.proto",
    "proto/reflection_v1alpha.proto",
];

/// Makes the messages of `src/api/grpc/wire.rs`, and what is told of them to clients that ask. The
/// calls themselves are routes like all others.
fn messages() -> Result<(), String> {
    println!("cargo:rerun-if-changed=proto");
    let described = protox::compile(PROTOS, ["proto"]).map_err(|e| format!("{e:?}"))?;
    let mut told = described.clone();
    for file in &mut told.file {
        // The comments, and where everything stands.
        file.source_code_info = None;
    }
    let file = PathBuf::from(variable("OUT_DIR")?).join("descriptors.bin");
    std::fs::write(&file, told.encode_to_vec())
        .map_err(|e| format!("cannot write {}: {e}", file.display()))?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_server(false)
        .bytes(".inference")
        .btree_map(".inference")
        .compile_fds(described)
        .map_err(|e| format!("cannot make the messages of gRPC: {e}"))
}
