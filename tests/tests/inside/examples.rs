//! Examples in bundles, and what `belljar test` says of them.

use belljar::embedded::ECHO_COMPONENT;

use crate::kit::Desk;

const PROJECT: &str = "schema = 1\nname = 'mine'\nversion = '1.0.0'\ncomponent = 'model.wasm'\n";

const GOOD: &str = r#"
[[example]]
name = "gives back what it gets"
input = { x = [[1, 2], [3, 4]] }
output = { x = [[1, 2], [3, 4]] }
fuel_max = 1_000_000
memory_max = "16 MiB"

[[example]]
name = "takes no text"
input_json = '{"model": "mine", "inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1]}]}'
error = "invalid_value"
"#;

fn project(desk: &Desk) {
    desk.write("mine/model.toml", PROJECT);
    desk.write("mine/model.wasm", ECHO_COMPONENT);
    desk.write("mine/tests/good.toml", GOOD);
    desk.write("mine/tests/notes.md", "not an example");
}

#[test]
fn examples_are_packed_and_run_from_the_project_and_from_its_bundle() {
    let desk = Desk::new();
    project(&desk);
    let (out, told) = desk.ok(&["test", "mine"]);
    assert_eq!(out.matches("ok    tests/good.toml: ").count(), 2, "{out}");
    assert!(told.contains("2 examples passed"), "{told}");
    desk.ok(&["pack", "mine", "--output", "mine.tar"]);
    let (out, _) = desk.ok(&["test", "mine.tar", "--json", "--only", "gives"]);
    let one: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(one["passed"], true);
    assert!(one["fuel"].as_u64().unwrap() > 0);
}

#[test]
fn each_example_that_fails_is_named_with_the_place_that_differs() {
    let desk = Desk::new();
    project(&desk);
    desk.write(
        "mine/tests/bad.toml",
        "[[example]]\ninput = {x = [1, 2]}\noutput = {x = [1, 3]}\n\
         [[example]]\ninput = {x = [1, 2]}\nfuel_max = 1\n\
         [[example]]\nname = \"near\"\ninput = {x = [1, 2]}\noutput = {x = [1.05, 2]}\ntolerance = 0.1\n",
    );
    let (out, told) = desk.fails(&["test", "mine"]);
    assert!(out.contains("FAIL  tests/bad.toml: example 1\n"), "{out}");
    assert!(out.contains("output.x[1] is 2, and not 3"), "{out}");
    assert!(out.contains("FAIL  tests/bad.toml: example 2\n"), "{out}");
    assert!(out.contains("ok    tests/bad.toml: near"), "{out}");
    assert!(told.contains("2 of 5 examples failed"), "{told}");
}

#[test]
fn what_is_no_example_is_told_with_its_line() {
    let desk = Desk::new();
    project(&desk);
    desk.write(
        "mine/tests/wrong.toml",
        "[[example]]\nprompt = 'x'\nexpect = 'y'\n",
    );
    let (_, told) = desk.fails(&["test", "mine"]);
    assert!(
        told.contains("tests/wrong.toml") && told.contains("line 3"),
        "{told}"
    );
    let bare = Desk::new();
    bare.write("mine/model.toml", PROJECT);
    bare.write("mine/model.wasm", ECHO_COMPONENT);
    let (_, told) = bare.fails(&["test", "mine"]);
    assert!(told.contains("no examples"), "{told}");
}
