//! Keeps the component's memory small: what a fresh instance has to clean grows with it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The usual stack is 1 MiB, and cleaning it costs more than a whole request. What calls
    // itself here has a depth of its own that ends before this does.
    println!("cargo:rustc-link-arg-cdylib=-zstack-size=65536");
    // Six pages: the stack, the tables, and what a usual request needs. What is asked for while
    // a request runs costs two calls of the system that every other request waits for.
    println!("cargo:rustc-link-arg-cdylib=--initial-memory=393216");
}
