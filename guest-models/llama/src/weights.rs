//! The tensors of a model, by what they do.

use belljar_guest::kernels::Matrix;

use crate::gguf::{Gguf, GgufError, Tensor};
use crate::shape::{Architecture, Shape};

/// The most tokens that a vocabulary may have.
pub const VOCABULARY_MAX: usize = 1 << 20;

/// All weights of a model. Matrices lie where the file has them; what is small is unpacked.
#[derive(Debug)]
pub struct Weights<'a> {
    /// A row for each token: what stands for it before the first layer.
    pub embedding: Matrix<'a>,
    /// The layers, from the first to the last.
    pub layers: Vec<Layer<'a>>,
    /// The scales of the last normalisation.
    pub norm: Vec<f32>,
    /// A row for each token: how likely it is. Often the same as `embedding`.
    pub output: Matrix<'a>,
    /// What the frequencies of the positions are divided by, one for each pair of elements.
    pub rope_factors: Option<Vec<f32>>,
}

/// The weights of a layer.
#[derive(Debug)]
pub struct Layer<'a> {
    pub(crate) attention_norm: Vec<f32>,
    pub(crate) query: Linear<'a>,
    pub(crate) key: Linear<'a>,
    pub(crate) value: Linear<'a>,
    /// By which each head that asks is normalised.
    pub(crate) query_norm: Option<Vec<f32>>,
    /// By which each head that answers is normalised.
    pub(crate) key_norm: Option<Vec<f32>>,
    pub(crate) attention_output: Linear<'a>,
    pub(crate) inner_norm: Vec<f32>,
    pub(crate) gate: Linear<'a>,
    pub(crate) up: Linear<'a>,
    pub(crate) down: Linear<'a>,
}

/// A matrix and what is added to its products.
#[derive(Debug)]
pub(crate) struct Linear<'a> {
    pub(crate) matrix: Matrix<'a>,
    pub(crate) bias: Option<Vec<f32>>,
}

impl<'a> Weights<'a> {
    /// Finds the weights of a model in its file.
    ///
    /// # Errors
    ///
    /// [`GgufError::Tensor`] for one that is missing, of another size than the metadata says, or
    /// no part of the architecture.
    pub fn read(file: &Gguf<'a>, shape: &Shape) -> Result<Self, GgufError> {
        let mut tensors = Tensors { file, taken: 0 };
        let embedding = tensors.embedding(shape)?;
        let norm = tensors.vector("output_norm.weight", shape.width)?;
        let output =
            match tensors.optional_matrix("output.weight", embedding.rows(), shape.width)? {
                Some(output) => output,
                None => embedding,
            };
        let rope_factors = tensors.optional_vector("rope_freqs.weight", shape.rope / 2)?;
        if rope_factors
            .iter()
            .flatten()
            .any(|factor| !factor.is_finite() || *factor <= 0.0)
        {
            return Err(GgufError::tensor(
                "rope_freqs.weight",
                "has a factor that is not above zero",
            ));
        }
        let layers = (0..shape.layers)
            .map(|index| tensors.layer(index, shape))
            .collect::<Result<_, _>>()?;
        tensors.refuse_others()?;
        Ok(Self {
            embedding,
            layers,
            norm,
            output,
            rope_factors,
        })
    }

    /// How many tokens there are.
    pub fn vocabulary(&self) -> usize {
        self.embedding.rows()
    }
}

/// The tensors of a file, and how many of them have found their place.
struct Tensors<'f, 'a> {
    file: &'f Gguf<'a>,
    taken: usize,
}

impl<'a> Tensors<'_, 'a> {
    fn layer(&mut self, index: usize, shape: &Shape) -> Result<Layer<'a>, GgufError> {
        let (width, inner) = (shape.width, shape.inner_width);
        let (query, kv) = (shape.query_width(), shape.kv_width());
        let name = |part: &str| format!("blk.{index}.{part}");
        let norm = |this: &mut Self, part: &str| {
            if shape.architecture == Architecture::Qwen3 {
                this.vector(&name(part), shape.head).map(Some)
            } else {
                Ok(None)
            }
        };
        Ok(Layer {
            attention_norm: self.vector(&name("attn_norm.weight"), width)?,
            query: self.linear(&name("attn_q"), query, width)?,
            key: self.linear(&name("attn_k"), kv, width)?,
            value: self.linear(&name("attn_v"), kv, width)?,
            query_norm: norm(self, "attn_q_norm.weight")?,
            key_norm: norm(self, "attn_k_norm.weight")?,
            attention_output: self.linear(&name("attn_output"), width, query)?,
            inner_norm: self.vector(&name("ffn_norm.weight"), width)?,
            gate: self.linear(&name("ffn_gate"), inner, width)?,
            up: self.linear(&name("ffn_up"), inner, width)?,
            down: self.linear(&name("ffn_down"), width, inner)?,
        })
    }

    fn embedding(&mut self, shape: &Shape) -> Result<Matrix<'a>, GgufError> {
        const NAME: &str = "token_embd.weight";
        let rows = self
            .file
            .tensor(NAME)
            .ok_or_else(|| GgufError::tensor(NAME, "is missing"))?
            .rows;
        if rows > VOCABULARY_MAX {
            return Err(GgufError::tensor(
                NAME,
                format!("has {rows} rows; at most {VOCABULARY_MAX} tokens are supported"),
            ));
        }
        self.matrix(NAME, rows, shape.width)
    }

    fn linear(&mut self, name: &str, rows: usize, columns: usize) -> Result<Linear<'a>, GgufError> {
        Ok(Linear {
            matrix: self.matrix(&format!("{name}.weight"), rows, columns)?,
            bias: self.optional_vector(&format!("{name}.bias"), rows)?,
        })
    }

    fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<Matrix<'a>, GgufError> {
        self.optional_matrix(name, rows, columns)?
            .ok_or_else(|| GgufError::tensor(name, "is missing"))
    }

    fn optional_matrix(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Option<Matrix<'a>>, GgufError> {
        let Some(tensor) = self.file.tensor(name) else {
            return Ok(None);
        };
        self.taken += 1;
        if (tensor.rows, tensor.columns) != (rows, columns) {
            return Err(GgufError::tensor(
                name,
                format!(
                    "has {} rows of {}, and the metadata says {rows} of {columns}",
                    tensor.rows, tensor.columns
                ),
            ));
        }
        self.over(name, tensor).map(Some)
    }

    fn over(&self, name: &str, tensor: &Tensor) -> Result<Matrix<'a>, GgufError> {
        let bytes = self.file.bytes_of(tensor);
        Matrix::new(tensor.format, tensor.rows, tensor.columns, bytes)
            .map_err(|error| GgufError::tensor(name, format!("is no matrix: {error}")))
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, GgufError> {
        self.optional_vector(name, length)?
            .ok_or_else(|| GgufError::tensor(name, "is missing"))
    }

    fn optional_vector(
        &mut self,
        name: &str,
        length: usize,
    ) -> Result<Option<Vec<f32>>, GgufError> {
        let matrix = self.optional_matrix(name, 1, length)?;
        Ok(matrix.map(|matrix| {
            let mut numbers = vec![0.0; length];
            matrix.write_row(0, &mut numbers);
            numbers
        }))
    }

    /// A tensor that nothing here asks for would be left out of every answer.
    fn refuse_others(&self) -> Result<(), GgufError> {
        /// What some converters leave behind, and nothing computes with.
        const HARMLESS: &str = ".attn_rot_embd";
        if self.taken == self.file.tensor_names().count() {
            return Ok(());
        }
        let is_known = |name: &str| {
            let parts = [
                "attn_norm.weight",
                "attn_q.weight",
                "attn_q.bias",
                "attn_k.weight",
                "attn_k.bias",
                "attn_v.weight",
                "attn_v.bias",
                "attn_output.weight",
                "attn_output.bias",
                "attn_q_norm.weight",
                "attn_k_norm.weight",
                "ffn_norm.weight",
                "ffn_gate.weight",
                "ffn_gate.bias",
                "ffn_up.weight",
                "ffn_up.bias",
                "ffn_down.weight",
                "ffn_down.bias",
            ];
            let whole = [
                "token_embd.weight",
                "output_norm.weight",
                "output.weight",
                "rope_freqs.weight",
            ];
            whole.contains(&name)
                || name.contains(HARMLESS)
                || parts.iter().any(|part| {
                    name.strip_prefix("blk.")
                        .and_then(|rest| rest.strip_suffix(part))
                        .and_then(|rest| rest.strip_suffix('.'))
                        .is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()))
                })
        };
        match self.file.tensor_names().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => Err(GgufError::tensor(
                name,
                "is no part of the architectures that are supported",
            )),
        }
    }
}
