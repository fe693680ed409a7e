//! Builds the guests that the binary embeds, and tells `src/embedded.rs` where they are.

#[path = "../guest-models/build/guests.rs"]
mod guests;

use std::path::PathBuf;

use guests::{Build, build_guests, variable};

/// The packages that are embedded.
const EMBEDDED: [&str; 2] = ["echo", "fake"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // They are compiled into the binary by a macro that cargo does not see through.
    println!("cargo:rerun-if-changed=migrations");
    if let Err(message) = embed() {
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
