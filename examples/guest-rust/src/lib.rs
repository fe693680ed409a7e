//! Doubles a matrix.

use belljar_guest::tensors::*;
use belljar_guest::{Error, Tensors};

struct Double;

impl Tensors for Double {
    fn metadata() -> Metadata {
        let matrix = |name| TensorInfo::new(name, Datatype::Fp32, [-1, -1]);
        Metadata::new([matrix("x")], [matrix("y")])
    }

    fn infer(request: Request) -> Result<Response, Error> {
        let x = request.input("x")?;
        let values = TensorView::<f32>::try_from(x)?;
        let doubled: Vec<f32> = values.iter().map(|v| v * 2.0).collect();
        let y = Tensor::from_slice("y", x.shape.clone(), &doubled);
        Ok(Response::from([y]))
    }
}

belljar_guest::export!(Double: tensors);
