//! All that a model asks for and the runtime does not have, at once.
//!
//! The runtime ends at the first operator that it does not know. So each node is loaded as a graph
//! of its own, which asks the runtime itself and needs no second list of what it can do.

use rten::ModelOptions;
use rten_onnx::onnx::{GraphProto, ModelProto, NodeProto};

use crate::check::{graphs, label};

/// How many are named: an upload's answer is read by a person.
const NAMED_MAX: usize = 32;

/// The nodes that the runtime refuses, with its reasons; empty where it takes each by itself.
pub(crate) fn refused(model: &ModelProto, options: &ModelOptions) -> Vec<String> {
    let mut alone = options.clone();
    alone.enable_optimization(false).prepack_weights(false);
    let mut found = Vec::new();
    if let Some(graph) = &model.graph {
        collect(graph, model, &alone, &mut found);
    }
    let more = found.len().saturating_sub(NAMED_MAX);
    found.truncate(NAMED_MAX);
    if more > 0 {
        found.push(format!("and {more} more nodes"));
    }
    found
}

fn collect(
    graph: &GraphProto,
    model: &ModelProto,
    options: &ModelOptions,
    found: &mut Vec<String>,
) {
    for node in &graph.node {
        if let Some(reason) = refusal(node, model, options) {
            found.push(format!("node {}: {reason}", label(node)));
        }
        for inner in graphs(node) {
            collect(inner, model, options, found);
        }
    }
}

fn refusal(node: &NodeProto, model: &ModelProto, options: &ModelOptions) -> Option<String> {
    let mut node = node.clone();
    // Those are looked at by themselves.
    for attribute in &mut node.attribute {
        if attribute.g.is_some() {
            attribute.g = Some(GraphProto::default());
        }
    }
    let alone = ModelProto {
        ir_version: Some(model.ir_version.unwrap_or_default()),
        opset_import: model.opset_import.clone(),
        graph: Some(GraphProto {
            node: vec![node],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    };
    let bytes = alone.write_buf().ok()?;
    let error = options.load(bytes).err()?;
    // The node is named already.
    let text = error.to_string();
    let reason = text
        .split_once("operator error: ")
        .map_or(&*text, |(_, reason)| reason);
    Some(reason.to_owned())
}
