//! Where a run failed, and the smallest limits that let it pass.

use crate::kit::{Desk, turns};

#[test]
fn a_trap_tells_the_function_and_the_source_line() {
    let desk = Desk::new();
    desk.bundle("panics", "");
    let (_, told) = desk.fails(&["run", "panics.tar", "--input", r#"{"x":[1]}"#, "--verbose"]);
    assert!(
        told.contains("examples/panics.rs:") && told.contains("(Rust)"),
        "{told}"
    );
}

#[test]
fn a_run_that_lacks_fuel_is_told_how_much_lets_it_pass_and_that_does() {
    let desk = Desk::new();
    desk.bundle("slow_infer", "fuel = 5_000");
    let input = turns(100_000);
    let arguments = ["run", "slow_infer.tar", "--input", &input];
    let (_, told) = desk.fails(&arguments);
    let advised = advised(&told);
    assert!(advised.starts_with("fuel = "), "{told}");
    desk.bundle("slow_infer", advised);
    desk.ok(&arguments);
}

#[test]
fn a_run_that_lacks_memory_is_told_how_much_lets_it_pass_and_that_does() {
    let desk = Desk::new();
    desk.bundle("huge_tensor", "memory = \"2 MiB\"");
    let input = r#"{"inputs":{"x":[1]},"parameters":{"bytes":1572864}}"#;
    let arguments = ["run", "huge_tensor.tar", "--input", input];
    let (_, told) = desk.fails(&arguments);
    let advised = advised(&told);
    assert!(advised.starts_with("memory = "), "{told}");
    desk.bundle("huge_tensor", advised);
    desk.ok(&arguments);
}

/// The smallest change of the limits that is told to let a run pass.
#[track_caller]
fn advised(told: &str) -> &str {
    let advised = told.split_once("it passes with `limits.");
    let advised = advised.and_then(|(_, rest)| rest.split_once("` in model.toml"));
    advised.unwrap_or_else(|| panic!("{told}")).0
}

#[test]
fn memory_and_endless_loops_are_told_apart() {
    let desk = Desk::new();
    desk.bundle("burns_fuel", "fuel = 1_000");
    let little = ["--set", "policy.fuel_max=1000000"];
    let run = ["run", "burns_fuel.tar", "--input", r#"{"x":[1]}"#];
    let (_, told) = desk.fails(&[&run[..], &little].concat());
    assert!(
        told.contains("fails as well") && told.contains("loop"),
        "{told}"
    );
    desk.bundle("grows_memory", "memory = \"4 MiB\"");
    let (_, told) = desk.fails(&["run", "grows_memory.tar", "--input", r#"{"x":[1]}"#]);
    assert!(told.contains("memory"), "{told}");
}
