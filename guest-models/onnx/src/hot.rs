//! Which nodes of a graph are computed here and not by the library: products with weights of some
//! size, which are where models spend their time.

use std::collections::HashMap;

use rten::Value;
use rten_onnx::onnx::{AttributeProto, DataType, GraphProto, NodeProto, TensorProto};
use rten_tensor::{Layout, Tensor};

use crate::check::label;
use crate::convolution::{self, Convolution, Padding};
use crate::product::Packed;
use crate::weights::Weights;
use crate::winograd::Filters;

/// Below so many weights the way here and back costs more than it brings.
const WEIGHTS_MIN: i64 = 1 << 10;

/// The same for weights that each channel has of its own, which are few.
const CHANNELS_MIN: i64 = 16;

/// A node that is computed here.
pub(crate) struct Hot {
    /// What it is called in messages.
    label: String,
    /// What it takes and gives.
    pub(crate) input: String,
    pub(crate) output: String,
    kind: Kind,
}

enum Kind {
    /// Its input has two dimensions behind channels and batch, or one.
    Convolution(Convolution, usize),
    Matrix(Packed),
    Chosen(Chosen),
}

/// What a graph of `Equal`, `Cast` and `MatMul` computes, which is how some exporters write that
/// rows of a table are looked up: the sum of those rows whose number is the element in their place.
struct Chosen {
    numbers: Vec<i32>,
    /// Row after row.
    table: Vec<f32>,
    columns: usize,
}

/// The constants of a graph, by their names.
pub(crate) fn constants(graph: &GraphProto) -> HashMap<&str, &TensorProto> {
    let tensors = graph.initializer.iter();
    let named = tensors.filter_map(|tensor| Some((tensor.name.as_deref()?, tensor)));
    let nodes = graph.node.iter().filter(|node| kind(node) == "Constant");
    let given = nodes.filter_map(|node| {
        let tensor = node
            .attribute
            .iter()
            .find_map(|attribute| attribute.t.as_ref())?;
        Some((node.output.first()?.as_str(), tensor))
    });
    named.chain(given).collect()
}

pub(crate) fn kind(node: &NodeProto) -> &str {
    let standard = matches!(node.domain.as_deref(), None | Some("" | "ai.onnx"));
    if standard {
        node.op_type.as_deref().unwrap_or_default()
    } else {
        ""
    }
}

/// Which node gives a value.
pub(crate) type Givers<'a> = HashMap<&'a str, &'a NodeProto>;

/// The nodes of a graph by what they give.
pub(crate) fn givers(graph: &GraphProto) -> Givers<'_> {
    let all = graph.node.iter();
    all.flat_map(|node| node.output.iter().map(move |name| (name.as_str(), node)))
        .collect()
}

/// The node as one that is computed here; none where the library does it.
///
/// # Errors
///
/// A text for a person, where its weights cannot be read.
pub(crate) fn read(
    node: &NodeProto,
    constants: &HashMap<&str, &TensorProto>,
    givers: &Givers<'_>,
    weights: &Weights,
) -> Result<Option<Hot>, String> {
    let constant = |index: usize| {
        let name = node.input.get(index)?;
        let tensor = constants.get(name.as_str())?;
        (tensor.data_type == Some(DataType::FLOAT)).then_some(*tensor)
    };
    let (Some(input), [output], Some(tensor)) = (node.input.first(), &node.output[..], constant(1))
    else {
        return Ok(None);
    };
    let count = tensor
        .dims
        .iter()
        .try_fold(1i64, |all, &size| all.checked_mul(size));
    let depthwise = kind(node) == "Conv"
        && groups(node) > 1
        && tensor
            .dims
            .first()
            .is_some_and(|&channels| channels >= CHANNELS_MIN);
    if constants.contains_key(input.as_str())
        || count.is_none_or(|count| count < WEIGHTS_MIN && !depthwise || count == 0)
    {
        return Ok(None);
    }
    if kind(node) == "MatMul"
        && let Some((input, numbers)) = compared(input, constants, givers, weights)
        && let [depth, columns] = tensor.dims[..]
        && usize::try_from(depth) == Ok(numbers.len())
    {
        return Ok(Some(Hot {
            label: label(node),
            input,
            output: output.clone(),
            kind: Kind::Chosen(Chosen {
                numbers,
                table: weights.numbers(tensor)?,
                columns: columns as usize,
            }),
        }));
    }
    let found = match (kind(node), node.input.len()) {
        ("MatMul", 2) => matrix(tensor, weights)?,
        ("Conv", 2) => convolution(node, tensor, None, weights)?,
        ("Conv", 3) => match constant(2) {
            Some(bias) => convolution(node, tensor, Some(bias), weights)?,
            None => None,
        },
        _ => None,
    };
    Ok(found.map(|kind| Hot {
        label: label(node),
        input: input.clone(),
        output: output.clone(),
        kind,
    }))
}

/// What a value of zeros and ones says is equal to which whole numbers, in a row; none where it is
/// no such value.
fn compared(
    name: &str,
    constants: &HashMap<&str, &TensorProto>,
    givers: &Givers<'_>,
    weights: &Weights,
) -> Option<(String, Vec<i32>)> {
    let cast = *givers.get(name)?;
    let to = cast
        .attribute
        .iter()
        .find(|attribute| attribute.name.as_deref() == Some("to"))?;
    if kind(cast) != "Cast" || to.i != Some(i64::from(DataType::FLOAT.0)) {
        return None;
    }
    let equal = *givers.get(cast.input.first()?.as_str())?;
    let [left, right] = &equal.input[..] else {
        return None;
    };
    if kind(equal) != "Equal" || constants.contains_key(left.as_str()) {
        return None;
    }
    let tensor = constants.get(right.as_str())?;
    let (last, around) = tensor.dims.split_last()?;
    if around.iter().any(|&size| size != 1) || tensor.data_type != Some(DataType::INT32) {
        return None;
    }
    let bytes = weights.bytes(tensor).ok()??;
    let (numbers, _) = bytes.as_chunks::<4>();
    let numbers: Vec<i32> = numbers
        .iter()
        .map(|&bytes| i32::from_le_bytes(bytes))
        .collect();
    (usize::try_from(*last) == Ok(numbers.len())).then(|| (left.clone(), numbers))
}

fn matrix(tensor: &TensorProto, weights: &Weights) -> Result<Option<Kind>, String> {
    let [depth, rows] = tensor.dims[..] else {
        return Ok(None);
    };
    let (depth, rows) = (depth as usize, rows as usize);
    let numbers = weights.numbers(tensor)?;
    let at = |row: usize, k: usize| numbers.get(k * rows + row).copied().unwrap_or_default();
    Ok(Some(Kind::Matrix(Packed::new(rows, depth, at))))
}

fn convolution(
    node: &NodeProto,
    tensor: &TensorProto,
    bias: Option<&TensorProto>,
    weights: &Weights,
) -> Result<Option<Kind>, String> {
    let attribute = |name: &str| attribute(node, name);
    let padded = attribute("auto_pad").and_then(|attribute| attribute.s.as_deref());
    let [rows, channels, kernel @ ..] = &tensor.dims[..] else {
        return Ok(None);
    };
    let axes = kernel.len();
    // Over one dimension it is one over two, the first of which has the size of one.
    let Some((kernel, strides, dilations, padding)) = (|| {
        Some((
            spread(kernel, 1)?,
            spread(&ints(attribute("strides"), axes, 1)?, 1)?,
            spread(&ints(attribute("dilations"), axes, 1)?, 1)?,
            match padded {
                None | Some("NOTSET") => {
                    let pads = ints(attribute("pads"), 2 * axes, 0)?;
                    let (before, behind) = pads.split_at(axes);
                    Padding::Fixed([spread(before, 0)?, spread(behind, 0)?])
                }
                Some("SAME_UPPER") => Padding::Same { odd_behind: true },
                Some("SAME_LOWER") => Padding::Same { odd_behind: false },
                Some("VALID") => Padding::Fixed([[0; 2]; 2]),
                Some(_) => return None,
            },
        ))
    })() else {
        return Ok(None);
    };
    if strides.contains(&0) || dilations.contains(&0) || kernel.contains(&0) {
        return Ok(None);
    }
    let (rows, channels) = (*rows as usize, *channels as usize);
    let groups = groups(node) as usize;
    let (kind, inputs) = if groups == 1 {
        let depth = channels * kernel[0] * kernel[1];
        let numbers = weights.numbers(tensor)?;
        let at = |row: usize, k: usize| numbers.get(row * depth + k).copied().unwrap_or_default();
        let fast = (strides == [1; 2] && dilations == [1; 2]).then(|| {
            Filters::new(rows, channels, kernel, |row, channel, [y, x]| {
                at(row, (channel * kernel[0] + y) * kernel[1] + x)
            })
        });
        let kind = match fast.flatten() {
            Some(filters) => convolution::Kind::Fast(filters),
            None => convolution::Kind::Full(Packed::new(rows, depth, at)),
        };
        (kind, channels)
    } else if channels == 1 && groups == rows {
        (convolution::Kind::Depthwise(weights.numbers(tensor)?), rows)
    } else {
        return Ok(None);
    };
    let convolution = Convolution {
        kind,
        bias: bias.map(|bias| weights.numbers(bias)).transpose()?,
        channels: [inputs, rows],
        kernel,
        strides,
        dilations,
        padding,
    };
    Ok(Some(Kind::Convolution(convolution, axes)))
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    let mut all = node.attribute.iter();
    all.find(|attribute| attribute.name.as_deref() == Some(name))
}

/// Of how many groups of channels a convolution is; 0 for a number that is none.
fn groups(node: &NodeProto) -> u32 {
    let groups = attribute(node, "group").and_then(|attribute| attribute.i);
    groups.map_or(1, |groups| u32::try_from(groups).unwrap_or_default())
}

/// An attribute of so many numbers; none where it has others.
fn ints(attribute: Option<&AttributeProto>, count: usize, default: i64) -> Option<Vec<i64>> {
    match attribute {
        None => Some(vec![default; count]),
        Some(attribute) if attribute.ints.len() == count => Some(attribute.ints.clone()),
        Some(_) => None,
    }
}

/// One or two numbers as two, within what sizes can be.
fn spread(numbers: &[i64], first: i64) -> Option<[usize; 2]> {
    let [y, x] = match *numbers {
        [x] => [first, x],
        [y, x] => [y, x],
        _ => return None,
    };
    let size = |number: i64| u32::try_from(number).ok().map(|number| number as usize);
    Some([size(y)?, size(x)?])
}

impl Hot {
    /// What the node gives for what it takes.
    ///
    /// # Errors
    ///
    /// A text for a person, with the node, where the shapes do not go together.
    pub(crate) fn run(&self, value: &Value) -> Result<Value, String> {
        if let Kind::Chosen(chosen) = &self.kind {
            let found = value.as_tensor_view::<i32>().and_then(|view| {
                let numbers = view.to_contiguous();
                chosen.sums(view.shape(), numbers.data())
            });
            return found.ok_or_else(|| self.wrong("takes another kind of tensor"));
        }
        let Some(view) = value.as_tensor_view::<f32>() else {
            return Err(self.wrong(&format!("takes {}", value.dtype())));
        };
        let shape: Vec<usize> = view.shape().to_vec();
        let numbers = view.to_contiguous();
        let numbers = numbers.data();
        let result = match &self.kind {
            Kind::Matrix(packed) => matrix_product(packed, &shape, numbers),
            Kind::Chosen(_) => None,
            Kind::Convolution(convolution, axes) => convolved(convolution, *axes, &shape, numbers),
        };
        let Some((shape, numbers)) = result else {
            return Err(self.wrong(&format!("takes a tensor of the shape {shape:?}")));
        };
        let tensor = Tensor::try_from_data(&shape[..], numbers);
        tensor
            .map(Value::from)
            .map_err(|error| self.wrong(&error.to_string()))
    }

    fn wrong(&self, what: &str) -> String {
        format!(
            "node {} {what}, which does not go with its weights",
            self.label
        )
    }
}

impl Chosen {
    fn sums(&self, shape: &[usize], elements: &[i32]) -> Option<Value> {
        const LANES: usize = 16;
        let (&last, around) = shape.split_last()?;
        if last != self.numbers.len() && last != 1 || self.columns == 0 {
            return None;
        }
        let rows: usize = around.iter().product();
        let mut sums = vec![0.0; rows.checked_mul(self.columns)?];
        for (elements, sums) in elements
            .chunks_exact(last)
            .zip(sums.chunks_exact_mut(self.columns))
        {
            let mut add = |row: usize| {
                let from = row * self.columns;
                let table = self
                    .table
                    .get(from..from + self.columns)
                    .unwrap_or_default();
                for (sum, number) in sums.iter_mut().zip(table) {
                    *sum += number;
                }
            };
            if let (1, [element]) = (last, elements) {
                let found = self.numbers.iter().enumerate();
                found
                    .filter(|(_, number)| *number == element)
                    .for_each(|(row, _)| add(row));
                continue;
            }
            let blocks = elements.chunks(LANES).zip(self.numbers.chunks(LANES));
            for (block, (elements, numbers)) in blocks.enumerate() {
                let pairs = || elements.iter().zip(numbers);
                if pairs().fold(false, |any, (element, number)| any | (element == number)) {
                    let all = pairs().enumerate();
                    all.filter(|(_, (element, number))| element == number)
                        .for_each(|(lane, _)| add(block * LANES + lane));
                }
            }
        }
        let shape = [around, &[self.columns]].concat();
        Some(Tensor::try_from_data(&shape[..], sums).ok()?.into())
    }
}

fn matrix_product(
    packed: &Packed,
    shape: &[usize],
    numbers: &[f32],
) -> Option<(Vec<usize>, Vec<f32>)> {
    let (&depth, batch) = shape.split_last()?;
    if depth != packed.depth() {
        return None;
    }
    let shape = [batch, &[packed.rows()]].concat();
    Some((shape, packed.times_rows(numbers, None)))
}

fn convolved(
    convolution: &Convolution,
    axes: usize,
    shape: &[usize],
    numbers: &[f32],
) -> Option<(Vec<usize>, Vec<f32>)> {
    let (batch, channels, size) = match (axes, shape) {
        (1, &[batch, channels, x]) => (batch, channels, [1, x]),
        (2, &[batch, channels, y, x]) => (batch, channels, [y, x]),
        _ => return None,
    };
    let [wanted, rows] = convolution.channels;
    if channels != wanted {
        return None;
    }
    let out = convolution.size(size)?;
    let taken = channels.checked_mul(size[0])?.checked_mul(size[1])?;
    let given = rows.checked_mul(out[0])?.checked_mul(out[1])?;
    let mut output = vec![0.0; batch.checked_mul(given)?];
    for picture in 0..batch {
        let input = numbers.get(picture * taken..(picture + 1) * taken)?;
        let output = output.get_mut(picture * given..(picture + 1) * given)?;
        convolution.run(input, size, output)?;
    }
    let shape = match axes {
        1 => vec![batch, rows, out[1]],
        _ => vec![batch, rows, out[0], out[1]],
    };
    Some((shape, output))
}
