//! A file of any bytes is read or refused. What is read has its nodes in an order in which each
//! takes what was given before it, and no more weights than the file has bytes for.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../src/check.rs"]
mod check;
#[allow(dead_code)]
#[path = "../../src/file.rs"]
mod file;
#[allow(dead_code)]
#[path = "../../src/weights.rs"]
mod weights;
#[allow(dead_code)]
#[path = "../../src/window.rs"]
mod window;
#[allow(dead_code)]
#[path = "../../src/wire.rs"]
mod wire;

const ASSET: &str = "model.onnx";

fuzz_target!(|bytes: &[u8]| {
    belljar_guest::assets::provide(ASSET, bytes);
    let Ok(mut read) = file::read(ASSET) else {
        return;
    };
    let mut graph = read.model.graph.take().unwrap_or_default();
    if check::check(&mut graph).is_err() {
        return;
    }
    let named = graph
        .initializer
        .iter()
        .filter_map(|tensor| tensor.name.as_deref());
    let inputs = graph.input.iter().filter_map(|value| value.name.as_deref());
    let mut there: HashSet<&str> = named.chain(inputs).collect();
    for node in &graph.node {
        for name in check::taken(node) {
            assert!(there.contains(name), "`{name}` is given later");
        }
        there.extend(node.output.iter().map(String::as_str));
    }
    // A weight in half precision takes twice its bytes, and each begins a line of the cache. One
    // that lies in another file may be named by every tensor, of which each takes two bytes.
    if let Ok(buffer) = read.weights.gather(&mut graph) {
        let most = (2 * bytes.len() + 64) * (bytes.len() / 2 + 1);
        assert!(buffer.len() <= most, "{} bytes of weights", buffer.len());
    }
});
