//! A graph as steps: parts that the library runs, and the nodes between them that are computed
//! here.
//!
//! What is made of constants alone is part of each step that takes it, so that the library works
//! it out once, when it loads.

use std::collections::{HashMap, HashSet};

use rten::{Model, ModelOptions, NodeId, RunError, Value, ValueOrView};
use rten_onnx::onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto};

use crate::check::{graphs, taken};
use crate::file::File;
use crate::hot::{self, Hot};
use crate::{unsupported, weights};

/// The steps of a model, in order.
pub(crate) struct Plan {
    steps: Vec<Step>,
    /// How many values there are on the way.
    slots: usize,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

enum Step {
    Library(Box<Part>),
    Here {
        hot: Box<Hot>,
        input: usize,
        output: usize,
        last: bool,
    },
}

/// A part of the graph.
struct Part {
    model: Model,
    /// Nodes and slots, and whether nobody takes the value after this.
    inputs: Vec<(NodeId, usize, bool)>,
    ids: Vec<NodeId>,
    outputs: Vec<usize>,
}

/// Why a run gave nothing.
pub(crate) enum Fault {
    Library(RunError),
    /// A text for a person, with the node.
    Here(String),
    Lost,
}

impl Plan {
    /// Makes a plan of a checked graph, and loads its parts.
    ///
    /// # Errors
    ///
    /// A text for a person, with the nodes that the library does not have.
    pub(crate) fn new(file: File) -> Result<Self, String> {
        let File { mut model, weights } = file;
        let mut graph = model.graph.take().unwrap_or_default();
        let mut hots: Vec<Option<Hot>> = Vec::new();
        {
            let (constants, givers) = (hot::constants(&graph), hot::givers(&graph));
            for node in &graph.node {
                hots.push(hot::read(node, &constants, &givers, &weights)?);
            }
        }
        let mut parts = Parts::cut(&graph, hots);
        // What only the nodes computed here have used is not kept a second time.
        let used = parts.used(&graph);
        graph
            .initializer
            .retain(|tensor| tensor.name.as_ref().is_some_and(|name| used.contains(name)));
        for node in &mut graph.node {
            if hot::kind(node) == "Constant" && !node.output.iter().any(|name| used.contains(name))
            {
                node.attribute.clear();
            }
        }
        let buffer: &'static [u8] = weights.gather(&mut graph)?.leak();
        let mut options = ModelOptions::with_all_ops();
        options.external_data_static(weights::WEIGHTS, buffer);
        parts.load(&graph, &model, &options).map_err(|error| {
            model.graph = Some(graph);
            let refused = unsupported::refused(&model, &options);
            if refused.is_empty() {
                error
            } else {
                refused.join("; ")
            }
        })
    }

    /// Runs all steps.
    ///
    /// # Errors
    ///
    /// Why one of them gave nothing.
    pub(crate) fn run(&self, inputs: Vec<Value>) -> Result<Vec<Value>, Fault> {
        let mut values: Vec<Option<Value>> = Vec::new();
        values.resize_with(self.slots, || None);
        for (slot, value) in self.inputs.iter().zip(inputs) {
            *values.get_mut(*slot).ok_or(Fault::Lost)? = Some(value);
        }
        for step in &self.steps {
            match step {
                Step::Library(part) => part.run(&mut values)?,
                Step::Here {
                    hot,
                    input,
                    output,
                    last,
                } => {
                    let place = values.get_mut(*input).ok_or(Fault::Lost)?;
                    let result = hot
                        .run(place.as_ref().ok_or(Fault::Lost)?)
                        .map_err(Fault::Here)?;
                    if *last {
                        *place = None;
                    }
                    *values.get_mut(*output).ok_or(Fault::Lost)? = Some(result);
                }
            }
        }
        let take = |slot: &usize| {
            values
                .get_mut(*slot)
                .and_then(Option::take)
                .ok_or(Fault::Lost)
        };
        self.outputs.iter().map(take).collect()
    }
}

impl Part {
    fn run(&self, values: &mut [Option<Value>]) -> Result<(), Fault> {
        let mut owned: HashMap<usize, Value> = HashMap::new();
        for (_, slot, last) in &self.inputs {
            if *last && let Some(value) = values.get_mut(*slot).and_then(Option::take) {
                owned.insert(*slot, value);
            }
        }
        let mut inputs: Vec<(NodeId, ValueOrView)> = Vec::with_capacity(self.inputs.len());
        for (id, slot, _) in &self.inputs {
            let value = match owned.remove(slot) {
                Some(value) => value.into(),
                None => values
                    .get(*slot)
                    .and_then(Option::as_ref)
                    .ok_or(Fault::Lost)?
                    .into(),
            };
            inputs.push((*id, value));
        }
        let results = self
            .model
            .run(inputs, &self.ids, None)
            .map_err(Fault::Library)?;
        for (slot, result) in self.outputs.iter().zip(results) {
            *values.get_mut(*slot).ok_or(Fault::Lost)? = Some(result);
        }
        Ok(())
    }
}

/// How a graph is cut.
struct Parts {
    hots: Vec<Option<Hot>>,
    /// Of each node: the part that it belongs to, or behind which it is computed; none for those
    /// of constants alone.
    stages: Vec<Option<usize>>,
    count: usize,
}

/// The names of the tensors that a graph brings along.
fn names_of_tensors(graph: &GraphProto) -> HashSet<&str> {
    let tensors = graph.initializer.iter();
    tensors
        .filter_map(|tensor| tensor.name.as_deref())
        .collect()
}

/// The names of what a graph gives.
fn names_of_outputs(graph: &GraphProto) -> HashSet<&str> {
    let outputs = graph.output.iter();
    outputs.filter_map(|value| value.name.as_deref()).collect()
}

impl Parts {
    fn cut(graph: &GraphProto, hots: Vec<Option<Hot>>) -> Self {
        let mut constant = names_of_tensors(graph);
        let outputs = names_of_outputs(graph);
        // For each value, the part in which it is there.
        let mut there: HashMap<&str, usize> = HashMap::new();
        let mut stages = Vec::with_capacity(graph.node.len());
        let mut count = 1;
        for (node, hot) in graph.node.iter().zip(&hots) {
            let names = taken(node);
            let is_constant = names.iter().all(|name| constant.contains(name))
                && graphs(node).next().is_none()
                && !hot::kind(node).is_empty()
                && !hot::kind(node).starts_with("Random")
                && !node
                    .output
                    .iter()
                    .any(|name| outputs.contains(name.as_str()));
            if is_constant {
                constant.extend(node.output.iter().map(String::as_str));
                stages.push(None);
                continue;
            }
            let stage = names.iter().filter_map(|name| there.get(name)).max();
            let stage = stage.copied().unwrap_or_default();
            stages.push(Some(stage));
            let from = stage + usize::from(hot.is_some());
            count = count.max(from + 1);
            there.extend(node.output.iter().map(|name| (name.as_str(), from)));
        }
        Self {
            hots,
            stages,
            count,
        }
    }

    /// The nodes of a part in their order, with those of constants that it takes.
    fn nodes<'a>(&self, graph: &'a GraphProto, part: usize) -> Vec<&'a NodeProto> {
        let mut wanted: HashSet<&str> = HashSet::new();
        let mut nodes = Vec::new();
        let all = graph.node.iter().zip(&self.hots).zip(&self.stages);
        for ((node, hot), stage) in all.rev() {
            let is_in = match stage {
                Some(stage) => *stage == part && hot.is_none(),
                None => node
                    .output
                    .iter()
                    .any(|name| wanted.contains(name.as_str())),
            };
            if is_in {
                wanted.extend(taken(node));
                nodes.push(node);
            }
        }
        nodes.reverse();
        nodes
    }

    /// The names of all values that the library's parts take.
    fn used(&self, graph: &GraphProto) -> HashSet<String> {
        let parts = (0..self.count).flat_map(|part| self.nodes(graph, part));
        let names = parts.flat_map(taken).map(str::to_owned);
        let outputs = graph.output.iter().filter_map(|value| value.name.clone());
        names.chain(outputs).collect()
    }

    fn load(
        &mut self,
        graph: &GraphProto,
        model: &ModelProto,
        options: &ModelOptions,
    ) -> Result<Plan, String> {
        let mut slots = Slots::default();
        let inputs = graph.input.iter().filter_map(|value| value.name.as_deref());
        let tensors = names_of_tensors(graph);
        let inputs: Vec<usize> = inputs
            .filter(|name| !tensors.contains(name))
            .map(|name| slots.of(name))
            .collect();
        let outputs = names_of_outputs(graph);
        // What each part takes, before any is loaded: a part gives what others take.
        let mut pieces = Vec::new();
        let mut asked: HashSet<&str> = outputs.clone();
        for part in 0..self.count {
            let nodes = self.nodes(graph, part);
            let piece = Piece::new(graph, nodes);
            asked.extend(piece.takes.iter().copied());
            pieces.push(piece);
        }
        let hot_inputs: Vec<String> = self
            .hots
            .iter()
            .flatten()
            .map(|hot| hot.input.clone())
            .collect();
        asked.extend(hot_inputs.iter().map(String::as_str));

        let mut steps = Vec::new();
        for (part, piece) in pieces.iter().enumerate() {
            let mut gives: Vec<&str> = piece
                .gives
                .iter()
                .copied()
                .filter(|name| asked.contains(name))
                .collect();
            if part == 0 {
                // A tensor of the file that is an output as it is.
                gives.extend(
                    outputs
                        .iter()
                        .copied()
                        .filter(|name| tensors.contains(name)),
                );
            }
            gives.sort_unstable();
            if !gives.is_empty() {
                steps.push(Step::Library(Box::new(
                    piece.load(graph, model, &gives, options, &mut slots)?,
                )));
            }
            for (hot, stage) in self.hots.iter_mut().zip(&self.stages) {
                if *stage == Some(part)
                    && let Some(hot) = hot.take()
                {
                    steps.push(Step::Here {
                        input: slots.of(&hot.input),
                        output: slots.of(&hot.output),
                        hot: Box::new(hot),
                        last: false,
                    });
                }
            }
        }
        let outputs: Vec<usize> = graph
            .output
            .iter()
            .filter_map(|value| Some(slots.of(value.name.as_deref()?)))
            .collect();
        mark_last(&mut steps, &outputs);
        Ok(Plan {
            steps,
            slots: slots.0.len(),
            inputs,
            outputs,
        })
    }
}

/// Marks where a value is taken for the last time.
fn mark_last(steps: &mut [Step], outputs: &[usize]) {
    let mut later: HashSet<usize> = outputs.iter().copied().collect();
    for step in steps.iter_mut().rev() {
        match step {
            Step::Here { input, last, .. } => *last = later.insert(*input),
            Step::Library(part) => {
                for (_, slot, last) in &mut part.inputs {
                    *last = later.insert(*slot);
                }
            }
        }
    }
}

/// A number for each value by its name.
#[derive(Default)]
struct Slots(HashMap<String, usize>);

impl Slots {
    fn of(&mut self, name: &str) -> usize {
        let next = self.0.len();
        *self.0.entry(name.to_owned()).or_insert(next)
    }
}

/// A part of the graph before it is loaded.
struct Piece<'a> {
    nodes: Vec<&'a NodeProto>,
    /// From outside: values of other parts, and constants of the file.
    takes: Vec<&'a str>,
    constants: HashSet<&'a str>,
    gives: HashSet<&'a str>,
}

impl<'a> Piece<'a> {
    fn new(graph: &'a GraphProto, nodes: Vec<&'a NodeProto>) -> Self {
        let tensors = names_of_tensors(graph);
        let gives: HashSet<&str> = nodes
            .iter()
            .flat_map(|node| &node.output)
            .map(String::as_str)
            .collect();
        let (mut takes, mut seen, mut constants) = (Vec::new(), HashSet::new(), HashSet::new());
        for name in nodes.iter().flat_map(|node| taken(node)) {
            if gives.contains(name) || !seen.insert(name) {
                continue;
            }
            if tensors.contains(name) {
                constants.insert(name);
            } else {
                takes.push(name);
            }
        }
        Self {
            nodes,
            takes,
            constants,
            gives,
        }
    }

    fn load(
        &self,
        graph: &GraphProto,
        model: &ModelProto,
        gives: &[&str],
        options: &ModelOptions,
        slots: &mut Slots,
    ) -> Result<Part, String> {
        let known = graph
            .input
            .iter()
            .chain(&graph.output)
            .chain(&graph.value_info);
        let known: HashMap<&str, &ValueInfoProto> = known
            .filter_map(|value| Some((value.name.as_deref()?, value)))
            .collect();
        let info = |name: &&str| match known.get(name) {
            Some(value) => (*value).clone(),
            None => ValueInfoProto {
                name: Some((*name).to_owned()),
                r#type: None,
            },
        };
        let kept = |name: Option<&str>| {
            name.is_some_and(|name| self.constants.contains(name) || gives.contains(&name))
        };
        let whole = ModelProto {
            ir_version: model.ir_version,
            opset_import: model.opset_import.clone(),
            graph: Some(GraphProto {
                node: self.nodes.iter().map(|&node| node.clone()).collect(),
                initializer: graph
                    .initializer
                    .iter()
                    .filter(|tensor| kept(tensor.name.as_deref()))
                    .cloned()
                    .collect(),
                input: self.takes.iter().map(info).collect(),
                output: gives.iter().map(info).collect(),
                value_info: graph
                    .value_info
                    .iter()
                    .filter(|value| {
                        value
                            .name
                            .as_deref()
                            .is_some_and(|name| self.gives.contains(name))
                    })
                    .cloned()
                    .collect(),
            }),
            ..ModelProto::default()
        };
        let loaded = load(&whole, options)?;
        let find = |name: &str| {
            let id = loaded.find_node(name);
            id.ok_or_else(|| format!("`{name}` is lost in the runtime"))
        };
        let mut inputs = Vec::new();
        for name in &self.takes {
            inputs.push((find(name)?, slots.of(name), false));
        }
        let ids = gives
            .iter()
            .map(|name| find(name))
            .collect::<Result<_, _>>()?;
        Ok(Part {
            inputs,
            ids,
            outputs: gives.iter().map(|name| slots.of(name)).collect(),
            model: loaded,
        })
    }
}

fn load(model: &ModelProto, options: &ModelOptions) -> Result<Model, String> {
    let bytes = model.write_buf().map_err(|error| error.to_string())?;
    options.load(bytes).map_err(|error| error.to_string())
}
