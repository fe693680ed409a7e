//! Scores rows of three numbers with the weights in assets/weights.bin.

use std::sync::OnceLock;

use belljar_guest::tensors::*;
use belljar_guest::{Error, Lifecycle, Tensors, assets};

struct Model;

const COLUMNS: usize = 3;

/// What `load` leaves here is where each request starts.
static WEIGHTS: OnceLock<Weights> = OnceLock::new();

struct Weights {
    columns: [f32; COLUMNS],
    bias: f32,
}

impl Weights {
    fn read(bytes: &[u8]) -> Result<Self, Error> {
        let numbers: Vec<f32> = bytes
            .as_chunks()
            .0
            .iter()
            .map(|four| f32::from_le_bytes(*four))
            .collect();
        let &[a, b, c, bias] = numbers.as_slice() else {
            return Err(Error::failed(format!(
                "`weights.bin` has {} numbers, and not {COLUMNS} and a bias",
                numbers.len()
            )));
        };
        Ok(Self {
            columns: [a, b, c],
            bias,
        })
    }

    fn score(&self, row: &[f32]) -> f32 {
        let weighted: f32 = row.iter().zip(&self.columns).map(|(x, w)| x * w).sum();
        1.0 / (1.0 + (-(weighted + self.bias)).exp())
    }
}

impl Lifecycle for Model {
    fn load() -> Result<(), Error> {
        let weights = Weights::read(&assets::read_all("weights.bin")?)?;
        let _ = WEIGHTS.set(weights);
        Ok(())
    }
}

impl Tensors for Model {
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
        if x.is_empty() {
            return Err(Error::invalid_input("`x` has no rows"));
        }
        let scores: Vec<f32> = x
            .chunks_exact(COLUMNS)
            .map(|row| weights.score(row))
            .collect();
        let rows = scores.len() as u64;
        Ok(Response::from([Tensor::from_slice(
            "probability",
            [rows],
            &scores,
        )]))
    }
}

belljar_guest::export!(Model: lifecycle, tensors);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_scored() {
        assets::provide("weights.bin", include_bytes!("../assets/weights.bin"));
        Model::load().unwrap();
        let x = Tensor::from_slice("x", [2, 3], &[1.0f32, 2.0, 3.0, 0.0, 0.0, 0.0]);
        let request = Request {
            inputs: vec![x],
            outputs: Vec::new(),
            parameters: Vec::new(),
        };
        let response = Model::infer(request).unwrap();
        let scores = TensorView::<f32>::try_from(&response.outputs[0]).unwrap();
        assert!((scores[0] - 0.983_697_5).abs() < 1e-6, "{scores:?}");
        assert!((scores[1] - 0.524_979_2).abs() < 1e-6, "{scores:?}");
    }
}
