//! Gives the component a stack on which the library can follow long rows of nodes.

/// Half of it is for `CHAIN_MAX` nodes in a row, with 512 bytes each.
const STACK_BYTES: usize = 4 << 20;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = std::env::var("CARGO_CFG_TARGET_FAMILY").unwrap_or_default();
    if target == "wasm" {
        println!("cargo:rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
    }
}
