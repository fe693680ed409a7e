//! Builds the guests that the binary embeds, and tells `src/embedded.rs` where they are. Lists what
//! authors start from, which is embedded too. Makes the messages of gRPC's calls.

#[path = "../guest-models/build/guests.rs"]
mod guests;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use guests::{Build, build_guests, variable};
use protox::prost::Message as _;

/// The packages that are embedded as they are, because they are served from the first start.
const EMBEDDED: [&str; 2] = ["echo", "fake"];

/// The packages that weights run on. `src/embedded/runtimes.rs` says which runs what.
const RUNTIMES: [&str; 3] = ["embedder", "llama", "onnx"];

/// What authors start from: folders of the repository, and what they are called in the binary.
/// `src/cli/project.rs` says which of their files a project has.
const AUTHORS: [(&str, &str); 6] = [
    ("examples/templates", "templates"),
    ("guest-models/sdk/src", "sdk-rust/src"),
    ("guest-models/sdk-python", "sdk-python"),
    ("guest-models/sdk-js", "sdk-js"),
    ("guest-models/sdk-c", "sdk-c"),
    ("wit", "wit"),
];

/// What a runtime is compressed with. It is done once a build, and read when weights are packed.
const COMPRESSION_LEVEL: i32 = 19;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // They are compiled into the binary by a macro that cargo does not see through.
    println!("cargo:rerun-if-changed=migrations");
    if let Err(message) = embed().and_then(|()| authors()).and_then(|()| messages()) {
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
    // By one cargo and with the options of their workspace, whatever the host is built for: a
    // target directory compiles them once. Those are dear (llama takes 169 s of processor time,
    // 142 s without LTO, 191 s with the thin one) and worth it: without LTO a token of SmolLM2
    // costs 1.37 G units of fuel, with either of them 0.22 G, since the kernels of the SDK are
    // in line then.
    let packages = [&EMBEDDED[..], &RUNTIMES[..]].concat();
    let built = build_guests(&Build {
        workspace: &workspace,
        packages: &packages,
        options: &[],
        watched: &packages,
    })?;
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    for package in EMBEDDED {
        // Copied, because the next build of a guest would change the original under us.
        let file = format!("{package}.wasm");
        std::fs::copy(built.join(&file), out_dir.join(&file))
            .map_err(|e| format!("cannot copy {file} from {}: {e}", built.display()))?;
    }
    for package in RUNTIMES {
        let from = built.join(format!("{package}.wasm"));
        let component =
            std::fs::read(&from).map_err(|e| format!("cannot read {}: {e}", from.display()))?;
        let packed = zstd::encode_all(component.as_slice(), COMPRESSION_LEVEL)
            .map_err(|e| format!("cannot compress {package}: {e}"))?;
        let to = out_dir.join(format!("{package}.wasm.zst"));
        std::fs::write(&to, packed).map_err(|e| format!("cannot write {}: {e}", to.display()))?;
    }
    Ok(())
}

/// Writes the list that `src/embedded/authors.rs` includes: names, and where the bytes are.
fn authors() -> Result<(), String> {
    let manifest_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = manifest_dir
        .parent()
        .ok_or("the host has no parent folder")?;
    let mut rows = String::new();
    for (folder, called) in AUTHORS {
        let folder = root.join(folder);
        println!("cargo:rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        list(&folder, "", &mut files)?;
        files.sort();
        for (inside, path) in files {
            writeln!(rows, "(\"{called}/{inside}\", include_bytes!({path:?})),")
                .map_err(|e| e.to_string())?;
        }
    }
    let file = PathBuf::from(variable("OUT_DIR")?).join("authors.rs");
    std::fs::write(&file, format!("&[\n{rows}]\n"))
        .map_err(|e| format!("cannot write {}: {e}", file.display()))
}

/// The files below a folder, with their names in it. What a tool leaves behind while somebody tries
/// a template or an SDK is none of them.
fn list(folder: &Path, inside: &str, files: &mut Vec<(String, PathBuf)>) -> Result<(), String> {
    let failed = |e| format!("cannot read {}: {e}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(format!("{} is not UTF-8", path.display()));
        };
        let left_behind = ["__pycache__", "node_modules", "target"].contains(&name);
        if left_behind || name.starts_with('.') {
            continue;
        }
        let name = format!("{inside}{name}");
        if path.is_dir() {
            list(&path, &format!("{name}/"), files)?;
        } else {
            files.push((name, path));
        }
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
