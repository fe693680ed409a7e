//! The end of a compilation that runs in a process of its own, until the whole server has a
//! program to be started by.
fn main() -> std::process::ExitCode {
    belljar_sandbox::compile_child()
}
