//! What a model takes and gives: names, datatypes and shapes as its file has them, and the way from
//! a request's bytes to what the runtime computes with, and back.
//!
//! The runtime has four kinds of numbers: `f32`, `i32`, `i8` and `u8`. All others are one of these
//! inside: the wider ones as long as their values fit.

use belljar_guest::Error;
use belljar_guest::tensors::{Bf16, Datatype, F16, Tensor, TensorInfo, TensorView};
use rten::Value;
use rten_onnx::onnx::{DataType, ValueInfoProto};

/// An input or an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// As the file has it.
    pub name: String,
    /// As requests and answers have it.
    pub datatype: Datatype,
    /// -1 for a dimension of any size; none where the file does not say how many there are.
    pub shape: Option<Vec<i64>>,
}

impl Port {
    /// What the file says of a value.
    ///
    /// # Errors
    ///
    /// A text for a person, where no request could have it.
    pub fn read(kind: &str, value: &ValueInfoProto) -> Result<Self, String> {
        let name = value.name.clone().unwrap_or_default();
        let tensor = value
            .r#type
            .as_ref()
            .and_then(|kind| kind.tensor_type.as_ref());
        let Some(tensor) = tensor else {
            return Err(format!("{kind} `{name}` is no tensor, or of no known type"));
        };
        let datatype = match tensor.elem_type.unwrap_or(DataType(0)) {
            DataType::FLOAT => Datatype::Fp32,
            DataType::DOUBLE => Datatype::Fp64,
            DataType::FLOAT16 => Datatype::Fp16,
            DataType::BFLOAT16 => Datatype::Bf16,
            DataType::BOOL => Datatype::Boolean,
            DataType::INT8 => Datatype::Int8,
            DataType::INT16 => Datatype::Int16,
            DataType::INT32 => Datatype::Int32,
            DataType::INT64 => Datatype::Int64,
            DataType::UINT8 => Datatype::Uint8,
            DataType::UINT16 => Datatype::Uint16,
            DataType::UINT32 => Datatype::Uint32,
            DataType::UINT64 => Datatype::Uint64,
            other => {
                return Err(format!(
                    "{kind} `{name}` is of the datatype {other}, which is not supported"
                ));
            }
        };
        let shape = tensor.shape.as_ref().map(|shape| {
            let size = |size: Option<i64>| size.filter(|&size| size > 0).unwrap_or(-1);
            shape.dim.iter().map(|dim| size(dim.dim_value)).collect()
        });
        Ok(Self {
            name,
            datatype,
            shape,
        })
    }

    /// As the runtime holds it.
    pub(crate) fn held_as(&self) -> DataType {
        match self.datatype {
            Datatype::Fp32 | Datatype::Fp64 | Datatype::Fp16 | Datatype::Bf16 => DataType::FLOAT,
            Datatype::Int8 => DataType::INT8,
            Datatype::Uint8 => DataType::UINT8,
            _ => DataType::INT32,
        }
    }

    /// As `metadata` tells it; none where the file does not say how many dimensions there are.
    pub(crate) fn info(&self) -> Option<TensorInfo> {
        let shape = self.shape.clone()?;
        Some(TensorInfo::new(&self.name, self.datatype, shape))
    }

    /// What the runtime computes with.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] with the name of the input.
    pub fn value(&self, tensor: &Tensor) -> Result<Value, Error> {
        self.check_shape(&tensor.shape)?;
        if tensor.datatype != self.datatype {
            return Err(Error::invalid_input(format!(
                "input `{}` is {}, and this model wants {}",
                self.name,
                tensor.datatype.name(),
                self.datatype.name()
            )));
        }
        let shape: Vec<usize> = tensor.shape.iter().map(|&size| size as usize).collect();
        match self.datatype {
            Datatype::Fp32 => self.held(shape, view::<f32>(tensor)?.into_vec()),
            Datatype::Int8 => self.held(shape, view::<i8>(tensor)?.into_vec()),
            Datatype::Uint8 => self.held(shape, view::<u8>(tensor)?.into_vec()),
            Datatype::Int32 => self.held(shape, view::<i32>(tensor)?.into_vec()),
            Datatype::Fp64 => {
                let numbers = view::<f64>(tensor)?.iter().map(|&x| x as f32).collect();
                self.held::<f32>(shape, numbers)
            }
            Datatype::Fp16 => {
                let numbers = view::<F16>(tensor)?.iter().map(|x| x.to_f32()).collect();
                self.held::<f32>(shape, numbers)
            }
            Datatype::Bf16 => {
                let numbers = view::<Bf16>(tensor)?.iter().map(|x| x.to_f32()).collect();
                self.held::<f32>(shape, numbers)
            }
            Datatype::Boolean => self.held(shape, tensor.bools()?.map(i32::from).collect()),
            Datatype::Int16 => self.held(shape, self.narrow(&view::<i16>(tensor)?)?),
            Datatype::Int64 => self.held(shape, self.narrow(&view::<i64>(tensor)?)?),
            Datatype::Uint16 => self.held(shape, self.narrow(&view::<u16>(tensor)?)?),
            Datatype::Uint32 => self.held(shape, self.narrow(&view::<u32>(tensor)?)?),
            Datatype::Uint64 => self.held(shape, self.narrow(&view::<u64>(tensor)?)?),
            Datatype::Bytes => Err(Error::unsupported("tensors of byte strings")),
        }
    }

    fn check_shape(&self, shape: &[u64]) -> Result<(), Error> {
        let Some(wanted) = &self.shape else {
            return Ok(());
        };
        let fits = wanted.len() == shape.len()
            && wanted
                .iter()
                .zip(shape)
                .all(|(&wanted, &size)| wanted < 0 || wanted as u64 == size);
        if fits {
            return Ok(());
        }
        Err(Error::invalid_input(format!(
            "input `{}` has the shape {shape:?}, and this model wants {wanted:?}",
            self.name
        )))
    }

    fn held<T>(&self, shape: Vec<usize>, numbers: Vec<T>) -> Result<Value, Error>
    where
        Value: From<rten_tensor::Tensor<T>>,
    {
        Value::from_shape(shape, numbers)
            .map_err(|error| Error::invalid_input(format!("input `{}`: {error}", self.name)))
    }

    fn narrow<T: Copy + Into<i128>>(&self, numbers: &[T]) -> Result<Vec<i32>, Error> {
        let narrowed = numbers.iter().map(|&number| {
            let number: i128 = number.into();
            i32::try_from(number).map_err(|_| {
                Error::invalid_input(format!(
                    "input `{}` has the value {number}, and this runtime computes with whole \
                     numbers from {} to {}",
                    self.name,
                    i32::MIN,
                    i32::MAX
                ))
            })
        });
        narrowed.collect()
    }

    /// What a caller reads.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] where the model gives something else than its file says.
    pub fn tensor(&self, value: Value) -> Result<Tensor, Error> {
        match (value, self.held_as()) {
            (Value::FloatTensor(tensor), DataType::FLOAT) => {
                let (shape, numbers) = parts(tensor);
                Ok(match self.datatype {
                    Datatype::Fp64 => self.given(shape, numbers, f64::from),
                    Datatype::Fp16 => self.given(shape, numbers, F16::from_f32),
                    Datatype::Bf16 => self.given(shape, numbers, Bf16::from_f32),
                    _ => Tensor::from_slice(&self.name, shape, &numbers),
                })
            }
            (Value::Int8Tensor(tensor), DataType::INT8) => {
                let (shape, numbers) = parts(tensor);
                Ok(Tensor::from_slice(&self.name, shape, &numbers))
            }
            (Value::UInt8Tensor(tensor), DataType::UINT8) => {
                let (shape, numbers) = parts(tensor);
                Ok(Tensor::from_slice(&self.name, shape, &numbers))
            }
            (Value::Int32Tensor(tensor), DataType::INT32) => {
                let (shape, numbers) = parts(tensor);
                Ok(match self.datatype {
                    Datatype::Boolean => {
                        let bools: Vec<bool> = numbers.iter().map(|&x| x != 0).collect();
                        Tensor::from_bools(&self.name, shape, &bools)
                    }
                    Datatype::Int64 => self.given(shape, numbers, i64::from),
                    // What does not fit wraps, as it does in other runtimes.
                    Datatype::Int16 => self.given(shape, numbers, |x| x as i16),
                    Datatype::Uint16 => self.given(shape, numbers, |x| x as u16),
                    Datatype::Uint32 => self.given(shape, numbers, |x| x as u32),
                    Datatype::Uint64 => self.given(shape, numbers, |x| x as u64),
                    _ => Tensor::from_slice(&self.name, shape, &numbers),
                })
            }
            (other, _) => Err(Error::failed(format!(
                "output `{}` is {} inside, and the file says {}",
                self.name,
                other.dtype(),
                self.datatype.name()
            ))),
        }
    }

    fn given<T, U: belljar_guest::tensors::Element>(
        &self,
        shape: Vec<u64>,
        numbers: Vec<T>,
        convert: impl Fn(T) -> U,
    ) -> Tensor {
        let numbers: Vec<U> = numbers.into_iter().map(convert).collect();
        Tensor::from_slice(&self.name, shape, &numbers)
    }
}

fn view<T: belljar_guest::tensors::Element>(tensor: &Tensor) -> Result<TensorView<'_, T>, Error> {
    TensorView::try_from(tensor)
}

fn parts<T: Clone>(tensor: rten_tensor::Tensor<T>) -> (Vec<u64>, Vec<T>) {
    use rten_tensor::Layout;
    let shape = tensor.shape().iter().map(|&size| size as u64).collect();
    (shape, tensor.into_data())
}
