//! Keeps the component's memory small: what a fresh instance has to clean grows with it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The usual stack is 1 MiB, and cleaning it costs more than a whole request.
    println!("cargo:rustc-link-arg-cdylib=-zstack-size=131072");
}
