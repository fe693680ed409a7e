//! Builds guests from the build scripts of packages that need them, which take this file in as
//! a module. It is no package of its own: it needs the standard library only, and is short.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";
const TARGET_FEATURES: &str = "-Ctarget-feature=+simd128,+relaxed-simd";

/// What to build.
pub(crate) struct Build<'a> {
    /// The guests' workspace.
    pub(crate) workspace: &'a Path,
    /// Packages of it.
    pub(crate) packages: &'a [&'a str],
    /// More arguments for cargo.
    pub(crate) options: &'a [&'a str],
    /// Folders, relative to the workspace, whose change makes the script run again. The lock
    /// file, the SDK and the contract are always watched.
    pub(crate) watched: &'a [&'a str],
}

/// Compiles guests and returns the folder with the components.
pub(crate) fn build_guests(build: &Build<'_>) -> Result<PathBuf, String> {
    let Build {
        workspace,
        packages,
        options,
        watched,
    } = *build;
    for path in ["Cargo.toml", "Cargo.lock", "build", "sdk", "../wit"]
        .iter()
        .chain(watched)
    {
        println!("cargo:rerun-if-changed={}", workspace.join(path).display());
    }
    ensure_target()?;

    let target_dir = outer_target_dir()?.join("guests");
    let mut cargo = Command::new(variable("CARGO")?);
    forget_outer_build(&mut cargo);
    cargo
        .current_dir(workspace)
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(&target_dir)
        .args(options)
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(workspace)?);
    for package in packages {
        cargo.args(["--package", package]);
    }
    let output = cargo
        .output()
        .map_err(|e| format!("cannot run cargo for the guests: {e}"))?;
    if !output.status.success() {
        return Err(format!(
            "the guests do not build:\n{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    Ok(target_dir.join(TARGET).join("release"))
}

/// Takes out of the environment what the outer cargo put there for its own packages: coverage
/// and lint flags, wrappers and profile settings of the host must not change what a guest is
/// compiled to. A compiler cache (`RUSTC_WRAPPER`) may stay.
fn forget_outer_build(cargo: &mut Command) {
    const PREFIXES: [&str; 8] = [
        "CARGO_BUILD_",
        "CARGO_CFG_",
        "CARGO_FEATURE_",
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "CARGO_PROFILE_",
        "CARGO_TARGET_",
        "DEP_",
    ];
    const NAMES: [&str; 6] = [
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_INCREMENTAL",
        "CARGO_UNSTABLE_SPARSE_REGISTRY",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
        "RUSTC_LINKER",
    ];
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if PREFIXES.iter().any(|prefix| text.starts_with(prefix)) || NAMES.contains(&&*text) {
            cargo.env_remove(&name);
        }
    }
}

/// The flags of the guests. The paths of this machine are taken out, so that the same sources
/// give the same component, and so the same digest, wherever they lie.
fn rustflags(workspace: &Path) -> Result<OsString, String> {
    let repository = workspace
        .parent()
        .ok_or("the guests' workspace has no parent")?;
    let mut flags = OsString::from(TARGET_FEATURES);
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let remapped = [
        (Some(repository.to_owned()), "belljar"),
        (cargo_home, "cargo"),
    ];
    for (path, name) in remapped {
        if let Some(path) = path {
            flags.push("\x1f--remap-path-prefix=");
            flags.push(path);
            flags.push("=/");
            flags.push(name);
        }
    }
    Ok(flags)
}

/// Makes sure that the compiler has the guests' target, by asking rustup for it if need be.
fn ensure_target() -> Result<(), String> {
    if has_target()? {
        return Ok(());
    }
    // The variable may be what kept the target away (`RUSTUP_AUTO_INSTALL=0` stops rustup from
    // following rust-toolchain.toml), and an explicit command works under it all the same.
    let command = format!("rustup target add {TARGET}");
    let output = Command::new("rustup")
        .args(["target", "add", TARGET])
        .output();
    let reason = match output {
        Ok(output) if output.status.success() && has_target()? => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Err(format!(
        "the Rust target {TARGET} is missing and could not be installed; run\n\n    {command}\n\nand build again ({reason})"
    ))
}

fn has_target() -> Result<bool, String> {
    let output = Command::new(variable("RUSTC")?)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|e| format!("cannot run rustc: {e}"))?;
    Ok(Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

/// The target directory of the cargo that runs this script: the guests go into a folder of it,
/// so that a checkout has one. Not into it itself, for the outer cargo holds its lock.
fn outer_target_dir() -> Result<PathBuf, String> {
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let marked = out_dir
        .ancestors()
        .filter(|path| path.join("CACHEDIR.TAG").is_file())
        .last();
    // OUT_DIR is <target>/<profile>/build/<package>/out.
    let found = marked.or_else(|| out_dir.ancestors().nth(4));
    found
        .map(Path::to_owned)
        .ok_or_else(|| format!("no target directory above {out_dir:?}"))
}

pub(crate) fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("cargo did not set {name}"))
}
