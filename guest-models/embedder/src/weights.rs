//! The tensors of a model, by what they do, each read into the place where it stays.

use belljar_guest::assets;
use belljar_guest::kernels::{Packed, Precision};

use crate::error::LoadError;
use crate::safetensors::{self, Dtype, PREFIX_BYTES, Safetensors, Tensor};
use crate::shape::{Architecture, Head, Shape};
use crate::table::Table;

/// The file of the weights.
pub const FILE: &str = "model.safetensors";

/// How much of a tensor is read at a time: little beside the tensors, so that the memory of `load`
/// is about that of the weights.
const READ_BYTES: u64 = 1 << 20;

/// All weights of a model.
#[derive(Debug)]
pub struct Weights {
    /// A row for each token.
    pub(crate) tokens: Table,
    /// A row for each position.
    pub(crate) positions: Table,
    /// A row for each part of a text that is told apart.
    pub(crate) types: Option<Table>,
    /// What comes before the first layer.
    pub(crate) norm: Norm,
    /// The layers, from the first to the last.
    pub(crate) layers: Vec<Layer>,
    /// From the first token to a number, where the model is a cross-encoder.
    pub(crate) classifier: Option<Classifier>,
}

/// The weights of a layer.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) query: Linear,
    pub(crate) key: Linear,
    pub(crate) value: Linear,
    pub(crate) output: Linear,
    pub(crate) attention_norm: Norm,
    pub(crate) up: Linear,
    pub(crate) down: Linear,
    pub(crate) norm: Norm,
}

/// A matrix and what is added to its products.
#[derive(Debug)]
pub(crate) struct Linear {
    pub(crate) matrix: Packed,
    pub(crate) bias: Vec<f32>,
}

/// What a normalisation scales by and adds.
#[derive(Debug)]
pub(crate) struct Norm {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// What stands between the first token and the number of a cross-encoder.
#[derive(Debug)]
pub(crate) struct Classifier {
    pub(crate) dense: Linear,
    /// By which the products of `dense` are bent.
    pub(crate) bend: Bend,
    pub(crate) output: Linear,
}

/// A function of each number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bend {
    Tanh,
    Relu,
}

impl Weights {
    /// Reads the weights of a bundle's model.
    ///
    /// # Errors
    ///
    /// [`LoadError`] with the name of a tensor that is missing, of another size or type, or no part
    /// of the architecture.
    pub fn read(shape: &Shape, precision: Precision) -> Result<Self, LoadError> {
        let header = header()?;
        let mut tensors = Tensors::new(&header, shape, precision);
        let names = Names::of(shape.architecture);
        let positions = tensors.table(
            names.positions,
            Precision::F32,
            shape.positions,
            shape.width,
        )?;
        let tokens = tensors.table(names.tokens, precision, shape.vocabulary, shape.width)?;
        let types = match (shape.architecture, shape.types) {
            (Architecture::DistilBert, _) | (_, 0) => None,
            (Architecture::Bert, types) => {
                let table = tensors.table(names.types, Precision::F32, types, shape.width)?;
                Some(table)
            }
        };
        let norm = tensors.norm(names.norm)?;
        let layers = (0..shape.layers)
            .map(|index| tensors.layer(index, &names))
            .collect::<Result<_, _>>()?;
        let classifier = match shape.head {
            Head::Vectors => None,
            Head::Logit | Head::Probability => Some(tensors.classifier()?),
        };
        tensors.refuse_others()?;
        Ok(Self {
            tokens,
            positions,
            types,
            norm,
            layers,
            classifier,
        })
    }
}

/// The header of the file, read by itself.
fn header() -> Result<Safetensors, LoadError> {
    let size =
        assets::size(FILE).map_err(|_| LoadError::file(FILE, "is missing in this bundle"))?;
    let read = |offset, length| {
        assets::read(FILE, offset, length)
            .map_err(|error| LoadError::file(FILE, format!("cannot be read: {error}")))
    };
    let prefix = read(0, PREFIX_BYTES as u64)?;
    let bytes = safetensors::header_bytes(&prefix, size)?;
    let header = read(PREFIX_BYTES as u64, bytes)?;
    Ok(Safetensors::read(&header, size)?)
}

/// What the tensors are called.
struct Names {
    tokens: &'static str,
    positions: &'static str,
    types: &'static str,
    norm: &'static str,
    layer: &'static str,
    query: &'static str,
    key: &'static str,
    value: &'static str,
    output: &'static str,
    attention_norm: &'static str,
    up: &'static str,
    down: &'static str,
    layer_norm: &'static str,
}

impl Names {
    fn of(architecture: Architecture) -> Self {
        let (tokens, positions, types, norm) = (
            "embeddings.word_embeddings.weight",
            "embeddings.position_embeddings.weight",
            "embeddings.token_type_embeddings.weight",
            "embeddings.LayerNorm",
        );
        match architecture {
            Architecture::Bert => Self {
                tokens,
                positions,
                types,
                norm,
                layer: "encoder.layer.",
                query: "attention.self.query",
                key: "attention.self.key",
                value: "attention.self.value",
                output: "attention.output.dense",
                attention_norm: "attention.output.LayerNorm",
                up: "intermediate.dense",
                down: "output.dense",
                layer_norm: "output.LayerNorm",
            },
            Architecture::DistilBert => Self {
                tokens,
                positions,
                types,
                norm,
                layer: "transformer.layer.",
                query: "attention.q_lin",
                key: "attention.k_lin",
                value: "attention.v_lin",
                output: "attention.out_lin",
                attention_norm: "sa_layer_norm",
                up: "ffn.lin1",
                down: "ffn.lin2",
                layer_norm: "output_layer_norm",
            },
        }
    }
}

/// The tensors of a file, and which of them have found their place.
struct Tensors<'a> {
    file: &'a Safetensors,
    shape: &'a Shape,
    precision: Precision,
    /// What stands before the names of all but the classifier.
    prefix: &'static str,
    taken: Vec<String>,
}

impl<'a> Tensors<'a> {
    fn new(file: &'a Safetensors, shape: &'a Shape, precision: Precision) -> Self {
        let prefix = match shape.architecture {
            Architecture::Bert => "bert.",
            Architecture::DistilBert => "distilbert.",
        };
        let is_prefixed = file.names().any(|name| name.starts_with(prefix));
        Self {
            file,
            shape,
            precision,
            prefix: if is_prefixed { prefix } else { "" },
            taken: Vec::new(),
        }
    }

    fn layer(&mut self, index: usize, names: &Names) -> Result<Layer, LoadError> {
        let (width, inner) = (self.shape.width, self.shape.inner_width);
        let name = |part: &str| format!("{}{index}.{part}", names.layer);
        Ok(Layer {
            query: self.linear(&name(names.query), width, width)?,
            key: self.linear(&name(names.key), width, width)?,
            value: self.linear(&name(names.value), width, width)?,
            output: self.linear(&name(names.output), width, width)?,
            attention_norm: self.norm(&name(names.attention_norm))?,
            up: self.linear(&name(names.up), inner, width)?,
            down: self.linear(&name(names.down), width, inner)?,
            norm: self.norm(&name(names.layer_norm))?,
        })
    }

    fn classifier(&mut self) -> Result<Classifier, LoadError> {
        let width = self.shape.width;
        let (dense, bend) = match self.shape.architecture {
            Architecture::Bert => (self.linear("pooler.dense", width, width)?, Bend::Tanh),
            Architecture::DistilBert => {
                self.prefix = "";
                (self.linear("pre_classifier", width, width)?, Bend::Relu)
            }
        };
        self.prefix = "";
        Ok(Classifier {
            dense,
            bend,
            output: self.linear("classifier", 1, width)?,
        })
    }

    fn linear(&mut self, name: &str, rows: usize, columns: usize) -> Result<Linear, LoadError> {
        Ok(Linear {
            matrix: self.matrix(&format!("{name}.weight"), rows, columns)?,
            bias: self.vector(&format!("{name}.bias"), rows)?,
        })
    }

    fn norm(&mut self, name: &str) -> Result<Norm, LoadError> {
        let width = self.shape.width;
        Ok(Norm {
            weight: self.vector(&format!("{name}.weight"), width)?,
            bias: self.vector(&format!("{name}.bias"), width)?,
        })
    }

    fn table(
        &mut self,
        name: &str,
        precision: Precision,
        rows: usize,
        columns: usize,
    ) -> Result<Table, LoadError> {
        let (name, tensor) = self.take(name, &[rows, columns])?;
        let mut table = Table::with_room(precision, rows, columns).ok_or_else(|| {
            let said = format!("cannot be held: {rows} rows of {columns} elements");
            LoadError::tensor(name.as_str(), said)
        })?;
        each_row(&name, tensor, columns, |row| table.push(row))?;
        Ok(table)
    }

    fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<Packed, LoadError> {
        let (name, tensor) = self.take(name, &[rows, columns])?;
        let wrong = |problem: String| LoadError::tensor(name.as_str(), problem);
        let mut matrix = Packed::zeros(self.precision, rows, columns)
            .map_err(|error| wrong(format!("cannot be held: {error}")))?;
        let mut index = 0;
        each_row(&name, tensor, columns, |row| {
            matrix.set_row(index, row);
            index += 1;
        })?;
        Ok(matrix)
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, LoadError> {
        let (name, tensor) = self.take(name, &[length])?;
        let mut numbers = Vec::new();
        each_row(&name, tensor, length, |row| numbers.extend_from_slice(row))?;
        Ok(numbers)
    }

    /// Finds a tensor that has to be there in that shape.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<(String, &'a Tensor), LoadError> {
        let name = format!("{}{name}", self.prefix);
        let Some(tensor) = self.file.tensor(&name) else {
            return Err(LoadError::tensor(name, "is missing"));
        };
        let is_same = tensor.shape.len() == shape.len()
            && tensor.shape.iter().zip(shape).all(|(a, b)| *a == *b as u64);
        if !is_same {
            let problem = format!(
                "has the shape {:?}, and by the configuration it is {shape:?}",
                tensor.shape
            );
            return Err(LoadError::tensor(name, problem));
        }
        self.taken.push(name.clone());
        Ok((name, tensor))
    }

    /// A tensor that nothing here asks for would be left out of every answer.
    fn refuse_others(&self) -> Result<(), LoadError> {
        /// What files have beside what an answer is made of: positions counted out, heads of the
        /// tasks by which a model was first trained.
        const HARMLESS: [&str; 5] = [
            "embeddings.position_ids",
            "pooler.dense.",
            "cls.",
            "vocab_",
            "mlm.",
        ];
        let is_harmless = |name: &str| {
            let bare = name
                .strip_prefix("bert.")
                .or_else(|| name.strip_prefix("distilbert."))
                .unwrap_or(name);
            HARMLESS.iter().any(|known| bare.starts_with(known))
        };
        let is_taken = |name: &str| self.taken.iter().any(|taken| taken == name);
        match self
            .file
            .names()
            .find(|name| !is_taken(name) && !is_harmless(name))
        {
            None => Ok(()),
            Some(name) => Err(LoadError::tensor(name, "is no part of this architecture")),
        }
    }
}

/// Reads a tensor as rows of numbers.
fn each_row(
    name: &str,
    tensor: &Tensor,
    columns: usize,
    mut take: impl FnMut(&[f32]),
) -> Result<(), LoadError> {
    let wrong = |problem: String| LoadError::tensor(name, problem);
    let decode: fn(&[u8], &mut Vec<f32>) = match tensor.dtype {
        Dtype::F32 => floats::<4>,
        Dtype::F16 => halves,
        Dtype::Bf16 => floats::<2>,
        other => {
            return Err(wrong(format!(
                "is of the type {}, which is not supported; F32, F16, BF16 are",
                other.name()
            )));
        }
    };
    let row_bytes = columns as u64 * tensor.dtype.bytes();
    // Whole rows at a time; at least one, however long it is.
    let step = (READ_BYTES / row_bytes.max(1)).max(1) * row_bytes;
    let mut numbers = Vec::new();
    let mut offset = tensor.range.start;
    while offset < tensor.range.end {
        let length = step.min(tensor.range.end - offset);
        let bytes = assets::read(FILE, offset, length)
            .map_err(|error| wrong(format!("cannot be read: {error}")))?;
        if bytes.len() as u64 != length {
            return Err(wrong(format!("ends at {}", offset + bytes.len() as u64)));
        }
        numbers.clear();
        decode(&bytes, &mut numbers);
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(wrong("has an element that is not finite".to_owned()));
        }
        numbers.chunks_exact(columns.max(1)).for_each(&mut take);
        offset += length;
    }
    Ok(())
}

/// The upper bytes of little-endian binary32 numbers.
fn floats<const BYTES: usize>(bytes: &[u8], numbers: &mut Vec<f32>) {
    let (all, _) = bytes.as_chunks::<BYTES>();
    numbers.extend(all.iter().map(|upper| {
        let mut whole = [0; 4];
        let (_, places) = whole.split_at_mut(4 - BYTES);
        places.copy_from_slice(upper);
        f32::from_le_bytes(whole)
    }));
}

/// Little-endian numbers of IEEE 754 binary16.
fn halves(bytes: &[u8], numbers: &mut Vec<f32>) {
    let (all, _) = bytes.as_chunks::<2>();
    numbers.extend(all.iter().map(|half| {
        let half = u32::from(u16::from_le_bytes(*half));
        let (sign, magnitude) = (half >> 15 << 31, half & 0x7fff);
        if magnitude >= 0x7c00 {
            return f32::NAN;
        }
        // The exponent of a half counts from another zero: 2^112 is between them.
        f32::from_bits(sign | magnitude << 13) * f32::from_bits(0x7780_0000)
    }));
}
