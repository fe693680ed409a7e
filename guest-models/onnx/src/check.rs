//! What must hold of a graph before the runtime sees it: everything that a node takes is given by
//! something, once, and nothing waits for itself.
//!
//! Nodes come out in an order in which each stands behind those that it takes from, which the
//! format demands and not every file has.

use std::collections::{BTreeSet, HashMap, HashSet};

use rten_onnx::onnx::{GraphProto, NodeProto};

/// How many nodes may wait for each other in a row. The runtime follows them by calls of itself,
/// on a stack of [a known size](crate).
pub const CHAIN_MAX: usize = 4096;

/// How deep graphs may lie in each other, for the same reason.
pub const GRAPHS_MAX: usize = 12;

/// How a node is named in messages: by its name, or by its operator and what it gives.
pub fn label(node: &NodeProto) -> String {
    let kind = node.op_type.as_deref().unwrap_or_default();
    match node.name.as_deref() {
        Some(name) if !name.is_empty() => format!("`{name}` ({kind})"),
        _ => {
            let gives = node.output.iter().find(|name| !name.is_empty());
            format!("{kind}, which gives `{}`", gives.map_or("", String::as_str))
        }
    }
}

/// Checks a graph with all graphs in it, and puts its nodes in order.
///
/// # Errors
///
/// A text for a person, with the node or the value.
pub fn check(graph: &mut GraphProto) -> Result<(), String> {
    check_within(graph, &HashSet::new(), 1)
}

fn check_within(
    graph: &mut GraphProto,
    around: &HashSet<String>,
    depth: usize,
) -> Result<(), String> {
    if depth > GRAPHS_MAX {
        return Err(format!("more than {GRAPHS_MAX} graphs lie in each other"));
    }
    let mut known: HashSet<String> = HashSet::new();
    for tensor in &graph.initializer {
        let name = tensor.name.as_deref().unwrap_or_default();
        if name.is_empty() {
            return Err("a tensor of the graph has no name".to_owned());
        }
        if !known.insert(name.to_owned()) {
            return Err(format!("tensor `{name}` is there twice"));
        }
    }
    let mut inputs = HashSet::new();
    for input in &graph.input {
        let name = input.name.as_deref().unwrap_or_default();
        if name.is_empty() {
            return Err("an input of the graph has no name".to_owned());
        }
        if !inputs.insert(name) {
            return Err(format!("input `{name}` is there twice"));
        }
        // A tensor of that name is its default.
        known.insert(name.to_owned());
    }
    order(graph, &known, around)?;
    known.extend(given(graph).map(str::to_owned));
    let mut outputs = HashSet::new();
    for output in &graph.output {
        let name = output.name.as_deref().unwrap_or_default();
        if !known.contains(name) && !around.contains(name) {
            return Err(format!("output `{name}` is given by no node"));
        }
        if !outputs.insert(name) {
            return Err(format!("output `{name}` is there twice"));
        }
    }
    if graph.node.iter().any(|node| graphs(node).next().is_some()) {
        known.extend(around.iter().cloned());
        for node in &mut graph.node {
            let of = label(node);
            for attribute in &mut node.attribute {
                if let Some(inner) = &mut attribute.g {
                    check_within(inner, &known, depth + 1)
                        .map_err(|problem| format!("in a graph of node {of}: {problem}"))?;
                }
            }
        }
    }
    Ok(())
}

/// The graphs within a node: the branches of a condition, the body of a loop.
pub(crate) fn graphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute
        .iter()
        .filter_map(|attribute| attribute.g.as_ref())
}

/// What the nodes of a graph give.
fn given(graph: &GraphProto) -> impl Iterator<Item = &str> {
    let all = graph.node.iter().flat_map(|node| &node.output);
    all.filter(|name| !name.is_empty()).map(String::as_str)
}

/// What a node takes, the graphs within it included.
pub(crate) fn taken(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> = node
        .input
        .iter()
        .filter(|name| !name.is_empty())
        .map(String::as_str)
        .collect();
    for graph in graphs(node) {
        let inputs = graph.input.iter().filter_map(|value| value.name.as_deref());
        let tensors = graph
            .initializer
            .iter()
            .filter_map(|tensor| tensor.name.as_deref());
        let own: HashSet<&str> = inputs.chain(tensors).chain(given(graph)).collect();
        let outputs = graph
            .output
            .iter()
            .filter_map(|value| value.name.as_deref());
        let all = graph.node.iter().flat_map(taken).chain(outputs);
        names.extend(all.filter(|name| !own.contains(name)));
    }
    names
}

fn order(
    graph: &mut GraphProto,
    known: &HashSet<String>,
    around: &HashSet<String>,
) -> Result<(), String> {
    let mut giver: HashMap<&str, usize> = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            let twice = giver.insert(name, index).is_some() || known.contains(name);
            if twice {
                return Err(format!(
                    "`{name}` is given twice, the second time by node {}",
                    label(node)
                ));
            }
        }
    }
    // For each node who waits for it, and how many it waits for.
    let count = graph.node.len();
    let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut open = vec![0usize; count];
    for (index, (node, open)) in graph.node.iter().zip(&mut open).enumerate() {
        for name in taken(node) {
            if let Some(&from) = giver.get(name) {
                if let Some(waiting) = waiting.get_mut(from) {
                    waiting.push(index);
                }
                *open += 1;
            } else if !known.contains(name) && !around.contains(name) {
                return Err(format!(
                    "node {} takes `{name}`, which nothing gives",
                    label(node)
                ));
            }
        }
    }
    let mut ready: BTreeSet<usize> = (0..count)
        .filter(|&index| open.get(index) == Some(&0))
        .collect();
    let mut row = vec![1usize; count];
    let mut sorted = Vec::with_capacity(count);
    while let Some(index) = ready.pop_first() {
        sorted.push(index);
        let length = row.get(index).copied().unwrap_or_default();
        if length > CHAIN_MAX {
            let node = graph.node.get(index).map(label).unwrap_or_default();
            return Err(format!(
                "more than {CHAIN_MAX} nodes wait for each other in a row, up to node {node}"
            ));
        }
        for &next in waiting.get(index).into_iter().flatten() {
            if let (Some(open), Some(row)) = (open.get_mut(next), row.get_mut(next)) {
                *open -= 1;
                *row = (*row).max(length + 1);
                if *open == 0 {
                    ready.insert(next);
                }
            }
        }
    }
    if sorted.len() < count {
        const NAMED_MAX: usize = 5;
        let stuck = (0..count).filter(|&index| open.get(index).is_some_and(|&open| open > 0));
        let names: Vec<String> = stuck
            .filter_map(|index| graph.node.get(index).map(label))
            .take(NAMED_MAX)
            .collect();
        return Err(format!(
            "the graph has a cycle: these nodes wait for each other, or for those that do: {}",
            names.join(", ")
        ));
    }
    let mut nodes: Vec<Option<NodeProto>> = graph.node.drain(..).map(Some).collect();
    let place = |index: usize| nodes.get_mut(index).and_then(Option::take);
    graph.node = sorted.into_iter().filter_map(place).collect();
    Ok(())
}
