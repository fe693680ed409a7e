//! Everything that is made of a file before the first request, and what a request makes of it.

use belljar_guest::Error;
use belljar_guest::tensors::{Metadata, Request, Response, TensorInfo};
use rten::RunErrorKind;
use rten_onnx::onnx::{GraphProto, ValueInfoProto};

use crate::check;
use crate::file;
use crate::plan::{Fault, Plan};
use crate::port::Port;

/// The greatest version of the operators that a file may name. The newest that is published is a
/// fortieth of it; what is above has never been.
const OPERATORS_MAX: i64 = 1000;

/// A model that can be asked.
pub struct Runtime {
    plan: Plan,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl Runtime {
    /// Reads the asset of that name.
    ///
    /// # Errors
    ///
    /// A text for a person, with the node, the tensor or the input.
    pub fn read(asset: &str) -> Result<Self, String> {
        let mut file = file::read(asset)?;
        for set in &file.model.opset_import {
            let version = set.version.unwrap_or_default();
            if !(1..=OPERATORS_MAX).contains(&version) {
                let domain = set.domain.as_deref().unwrap_or_default();
                return Err(format!(
                    "the file asks for version {version} of the operators of the domain \
                     `{domain}`, and there is none"
                ));
            }
        }
        let mut graph = file.model.graph.take().unwrap_or_default();
        check::check(&mut graph)?;
        let inputs = inputs(&mut graph)?;
        let outputs = outputs(&mut graph)?;
        file.model.graph = Some(graph);
        // Without it the library takes the bytes for another format.
        file.model.ir_version.get_or_insert(0);
        Ok(Self {
            plan: Plan::new(file)?,
            inputs,
            outputs,
        })
    }

    /// What the file says of its inputs and outputs. Where it does not say how many dimensions one
    /// has, the list is empty, which stands for any.
    pub fn metadata(&self) -> Metadata {
        let all = |ports: &[Port]| {
            let infos: Option<Vec<TensorInfo>> = ports.iter().map(Port::info).collect();
            infos.unwrap_or_default()
        };
        Metadata::new(all(&self.inputs), all(&self.outputs))
    }

    /// Runs the model once.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] with the name of the input, the output or the node.
    pub fn infer(&self, request: &Request) -> Result<Response, Error> {
        for tensor in &request.inputs {
            if !self.inputs.iter().any(|port| port.name == tensor.name) {
                return Err(Error::invalid_input(format!(
                    "`{}` is no input of this model, which has: {}",
                    tensor.name,
                    names(&self.inputs)
                )));
            }
        }
        for name in &request.outputs {
            if !self.outputs.iter().any(|port| port.name == *name) {
                return Err(Error::invalid_input(format!(
                    "`{name}` is no output of this model, which has: {}",
                    names(&self.outputs)
                )));
            }
        }
        let mut values = Vec::with_capacity(self.inputs.len());
        for port in &self.inputs {
            values.push(port.value(request.input(&port.name)?)?);
        }
        let results = self.plan.run(values).map_err(blame)?;
        let outputs = results.into_iter().zip(&self.outputs);
        let wanted = outputs.filter(|(_, port)| request.wants(&port.name));
        let outputs: Result<Vec<_>, Error> =
            wanted.map(|(value, port)| port.tensor(value)).collect();
        Ok(Response::from(outputs?))
    }
}

fn names(ports: &[Port]) -> String {
    let names: Vec<String> = ports
        .iter()
        .map(|port| format!("`{}`", port.name))
        .collect();
    names.join(", ")
}

/// What goes wrong in a node does so for what the caller sent: shapes that do not go together, an
/// index that is not there. The same model with the same inputs does it again.
fn blame(fault: Fault) -> Error {
    let text = match fault {
        Fault::Here(text) => text,
        Fault::Library(error) => match error.kind() {
            RunErrorKind::InvalidInput | RunErrorKind::OperatorError => error.to_string(),
            _ => return Error::failed(error.to_string()),
        },
        Fault::Lost => return Error::failed("a value on the way was lost"),
    };
    Error::invalid_input(format!(
        "the model cannot compute with these inputs: {text}"
    ))
}

/// The inputs that a request has, as the runtime shall hold them: those without a default.
fn inputs(graph: &mut GraphProto) -> Result<Vec<Port>, String> {
    let mut ports = Vec::new();
    for value in &mut graph.input {
        let tensors = &graph.initializer;
        if tensors.iter().any(|tensor| tensor.name == value.name) {
            continue;
        }
        let port = Port::read("input", value)?;
        hold(value, &port);
        ports.push(port);
    }
    Ok(ports)
}

fn outputs(graph: &mut GraphProto) -> Result<Vec<Port>, String> {
    if graph.output.is_empty() {
        return Err("the graph has no output".to_owned());
    }
    let mut ports = Vec::new();
    for value in &mut graph.output {
        let port = Port::read("output", value)?;
        hold(value, &port);
        ports.push(port);
    }
    Ok(ports)
}

/// Writes into the graph what the runtime shall take a value for.
fn hold(value: &mut ValueInfoProto, port: &Port) {
    let Some(tensor) = value
        .r#type
        .as_mut()
        .and_then(|kind| kind.tensor_type.as_mut())
    else {
        return;
    };
    tensor.elem_type = Some(port.held_as());
    for dim in tensor.shape.iter_mut().flat_map(|shape| &mut shape.dim) {
        // A dimension of no elements is one of any number, of which some exporters write so.
        dim.dim_value = dim.dim_value.filter(|&size| size > 0);
    }
}
