//! Scores rows of numbers with weights from an asset: read once, in `load`, and there for each
//! request.

use std::sync::OnceLock;

use belljar_guest::tensors::*;
use belljar_guest::{Error, Lifecycle, Tensors, assets, info};

struct Scores;

/// What `load` has read. Each request starts from the memory that `load` left.
static WEIGHTS: OnceLock<Weights> = OnceLock::new();

const COLUMNS: usize = 3;

struct Weights {
    columns: [f32; COLUMNS],
    bias: f32,
}

impl Lifecycle for Scores {
    fn load() -> Result<(), Error> {
        let bytes = assets::read_all("weights.bin")?;
        let numbers: Vec<f32> = bytes
            .as_chunks()
            .0
            .iter()
            .map(|four| f32::from_le_bytes(*four))
            .collect();
        let [columns @ .., bias] = numbers.as_slice() else {
            return Err(Error::failed("`weights.bin` is empty"));
        };
        let columns = columns.try_into().map_err(|_| {
            Error::failed(format!(
                "`weights.bin` has {} numbers, and not {COLUMNS} and a bias",
                numbers.len()
            ))
        })?;
        info!("{} weights read", numbers.len());
        let _ = WEIGHTS.set(Weights {
            columns,
            bias: *bias,
        });
        Ok(())
    }
}

impl Tensors for Scores {
    fn metadata() -> Metadata {
        let x = TensorInfo::new("x", Datatype::Fp32, [-1, COLUMNS as i64]);
        let probability = TensorInfo::new("probability", Datatype::Fp32, [-1]);
        Metadata::new([x], [probability])
    }

    fn infer(request: Request) -> Result<Response, Error> {
        let weights = WEIGHTS
            .get()
            .ok_or_else(|| Error::failed("`load` did not run"))?;
        let x = TensorView::<f32>::try_from(request.input("x")?)?;
        let scores: Vec<f32> = x
            .chunks_exact(COLUMNS)
            .map(|row| {
                let weighted = row.iter().zip(&weights.columns).map(|(x, w)| x * w);
                1.0 / (1.0 + (-(weighted.sum::<f32>() + weights.bias)).exp())
            })
            .collect();
        let rows = scores.len() as u64;
        Ok(Response::from([Tensor::from_slice(
            "probability",
            [rows],
            &scores,
        )]))
    }
}

belljar_guest::export!(Scores: lifecycle, tensors);
