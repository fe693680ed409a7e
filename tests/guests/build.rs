//! Builds the hostile guests: those in Rust by a cargo of their own, those in the text format with
//! an assembler. Only packages under test depend on this one, so that building the server never
//! waits for them.

#[path = "../../guest-models/build/guests.rs"]
mod guests;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use guests::{Build, build_guests, variable};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Err(message) = build() {
        for line in message.lines() {
            println!("cargo::error={line}");
        }
    }
}

fn build() -> Result<(), String> {
    let manifest_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = manifest_dir
        .ancestors()
        .nth(2)
        .ok_or("this package lies two folders deep")?;
    let workspace = root.join("guest-models");
    let out_dir = PathBuf::from(variable("OUT_DIR")?);

    let release = build_guests(&Build {
        workspace: &workspace,
        packages: &["hostile"],
        // Their speed does not matter, and thirty of them should not take minutes.
        options: &[
            "--examples",
            "--config=profile.release.lto=\"off\"",
            "--config=profile.release.opt-level=1",
            "--config=profile.release.codegen-units=16",
            // Failures and profiles tell lines where a component has them.
            "--config=profile.release.debug=\"line-tables-only\"",
            "--config=profile.release.strip=\"none\"",
        ],
        watched: &["hostile"],
    })?;

    let mut names = Vec::new();
    for source in files(&workspace.join("hostile/examples"), "rs")? {
        let name = stem(&source)?;
        let from = release.join("examples").join(format!("{name}.wasm"));
        fs::copy(&from, out_dir.join(format!("{name}.wasm")))
            .map_err(|e| format!("cannot copy {}: {e}", from.display()))?;
        names.push(name);
    }
    for source in files(&workspace.join("hostile/wat"), "wat")? {
        let name = stem(&source)?;
        let component = wat::parse_str(with_parts(&source)?)
            .map_err(|e| format!("{} is wrong: {e}", source.display()))?;
        fs::write(out_dir.join(format!("{name}.wasm")), component)
            .map_err(|e| format!("cannot write {name}.wasm: {e}"))?;
        names.push(name);
    }
    names.sort();

    let mut list =
        String::from("/// The names of all guests, sorted.\npub const NAMES: &[&str] = &[\n");
    for name in &names {
        // Writing to a string cannot fail.
        let _ = writeln!(list, "    {name:?},");
    }
    list.push_str("];\n");
    fs::write(out_dir.join("names.rs"), list).map_err(|e| format!("cannot write names.rs: {e}"))?;
    println!("cargo:rustc-env=BELLJAR_GUESTS_DIR={}", out_dir.display());
    Ok(())
}

/// The text of a guest, with the parts that it includes in their places.
fn with_parts(source: &Path) -> Result<String, String> {
    let read = |path: &Path| {
        fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
    };
    let mut whole = String::new();
    for line in read(source)?.lines() {
        match line.trim().strip_prefix(";; @include ") {
            Some(part) => whole.push_str(&read(&source.with_file_name(part))?),
            None => whole.push_str(line),
        }
        whole.push('\n');
    }
    Ok(whole)
}

fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, String> {
    let entries =
        fs::read_dir(folder).map_err(|e| format!("cannot list {}: {e}", folder.display()))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    Ok(paths
        .filter(|path| path.extension().is_some_and(|have| have == extension))
        .collect())
}

fn stem(path: &Path) -> Result<String, String> {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    stem.map(str::to_owned)
        .ok_or_else(|| format!("{} is no name for a guest", path.display()))
}
