//! Runs the tests of the guests' own workspace, which `cargo test` here would not reach: their
//! logic is plain Rust, and its tests run natively.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::env;
use std::path::Path;
use std::process::Command;

#[test]
fn the_tests_of_the_guests_pass() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package has a parent");
    // The build scripts put the guests there too, so a checkout has one target directory.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("it is `<target>/tmp`");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root.join("guest-models"))
        .args(["test", "--workspace", "--locked", "--target-dir"])
        .arg(target.join("guests"))
        // What an outer cargo set for coverage or lints is not meant for these.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .output()
        .expect("cargo runs, for it runs this");
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
