//! Whether a tensor is what it says: checked for requests by who parses them, and for
//! responses here.

use crate::wit::tensors::{Datatype, Tensor};

/// Dimensions of one tensor.
pub const TENSOR_DIMENSIONS_MAX: usize = 16;
/// Tensors of one request or response.
pub const TENSORS_MAX: usize = 256;
/// Bytes of a tensor's name.
pub const TENSOR_NAME_BYTES_MAX: usize = 256;

/// What is wrong with a tensor. Holds none of its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// No name, or one over [`TENSOR_NAME_BYTES_MAX`] or with control characters.
    #[error(
        "a tensor's name must have 1 to {TENSOR_NAME_BYTES_MAX} bytes and no control characters"
    )]
    Name,
    /// Two tensors of one name.
    #[error("two tensors are named `{name}`")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// More than [`TENSORS_MAX`].
    #[error("{count} tensors; at most {TENSORS_MAX} are allowed")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// More than [`TENSOR_DIMENSIONS_MAX`].
    #[error(
        "tensor `{name}` has {dimensions} dimensions; at most {TENSOR_DIMENSIONS_MAX} are allowed"
    )]
    Dimensions {
        /// The tensor.
        name: String,
        /// How many it has.
        dimensions: usize,
    },
    /// The shape's product does not fit 64 bits.
    #[error("the shape of tensor `{name}` is too large")]
    Shape {
        /// The tensor.
        name: String,
    },
    /// The bytes do not agree with the shape and the datatype.
    #[error("tensor `{name}` has {got} bytes of data; its shape and datatype need {expected}")]
    Length {
        /// The tensor.
        name: String,
        /// What the shape and the datatype say.
        expected: u64,
        /// What there is.
        got: u64,
    },
    /// A tensor of byte strings whose lengths do not add up.
    #[error(
        "tensor `{name}` holds {got} byte strings that end where the data ends; its shape needs {expected}"
    )]
    Strings {
        /// The tensor.
        name: String,
        /// What the shape says.
        expected: u64,
        /// How many whole ones there are.
        got: u64,
    },
    /// A boolean that is neither 0 nor 1.
    #[error("tensor `{name}` holds a boolean that is neither 0 nor 1")]
    Boolean {
        /// The tensor.
        name: String,
    },
}

/// Bytes of one element, or none for byte strings, each of which says its own length.
#[must_use]
pub const fn element_bytes(datatype: Datatype) -> Option<u64> {
    Some(match datatype {
        Datatype::Boolean | Datatype::Uint8 | Datatype::Int8 => 1,
        Datatype::Uint16 | Datatype::Int16 | Datatype::Fp16 | Datatype::Bf16 => 2,
        Datatype::Uint32 | Datatype::Int32 | Datatype::Fp32 => 4,
        Datatype::Uint64 | Datatype::Int64 | Datatype::Fp64 => 8,
        Datatype::Bytes => return None,
    })
}

const NAMES: [(Datatype, &str); 14] = [
    (Datatype::Boolean, "BOOL"),
    (Datatype::Uint8, "UINT8"),
    (Datatype::Uint16, "UINT16"),
    (Datatype::Uint32, "UINT32"),
    (Datatype::Uint64, "UINT64"),
    (Datatype::Int8, "INT8"),
    (Datatype::Int16, "INT16"),
    (Datatype::Int32, "INT32"),
    (Datatype::Int64, "INT64"),
    (Datatype::Fp16, "FP16"),
    (Datatype::Bf16, "BF16"),
    (Datatype::Fp32, "FP32"),
    (Datatype::Fp64, "FP64"),
    (Datatype::Bytes, "BYTES"),
];

/// The name of a datatype in the Open Inference Protocol, for example `FP32`.
#[must_use]
pub fn datatype_name(datatype: Datatype) -> &'static str {
    NAMES
        .iter()
        .find(|(known, _)| *known == datatype)
        .map_or("BYTES", |(_, name)| name)
}

/// The datatype of that name.
#[must_use]
pub fn datatype_named(name: &str) -> Option<Datatype> {
    NAMES
        .iter()
        .find(|(_, known)| *known == name)
        .map(|(datatype, _)| *datatype)
}

/// Checks a request's or a response's tensors: names, counts, shapes, and that the data is as
/// long as these say.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_tensors(tensors: &[Tensor]) -> Result<(), TensorError> {
    if tensors.len() > TENSORS_MAX {
        return Err(TensorError::TooMany {
            count: tensors.len(),
        });
    }
    for (index, tensor) in tensors.iter().enumerate() {
        check_tensor(tensor)?;
        if tensors
            .iter()
            .take(index)
            .any(|earlier| earlier.name == tensor.name)
        {
            return Err(TensorError::Duplicate {
                name: tensor.name.clone(),
            });
        }
    }
    Ok(())
}

/// Checks one tensor.
///
/// # Errors
/// What is wrong.
pub fn check_tensor(tensor: &Tensor) -> Result<(), TensorError> {
    let name = || tensor.name.clone();
    if tensor.name.is_empty()
        || tensor.name.len() > TENSOR_NAME_BYTES_MAX
        || tensor.name.chars().any(char::is_control)
    {
        return Err(TensorError::Name);
    }
    if tensor.shape.len() > TENSOR_DIMENSIONS_MAX {
        return Err(TensorError::Dimensions {
            name: name(),
            dimensions: tensor.shape.len(),
        });
    }
    let elements = elements(&tensor.shape).ok_or_else(|| TensorError::Shape { name: name() })?;
    let got = tensor.data.len() as u64;
    match element_bytes(tensor.datatype) {
        Some(each) => {
            let expected = elements
                .checked_mul(each)
                .ok_or_else(|| TensorError::Shape { name: name() })?;
            if expected != got {
                return Err(TensorError::Length {
                    name: name(),
                    expected,
                    got,
                });
            }
            if tensor.datatype == Datatype::Boolean && tensor.data.iter().any(|byte| *byte > 1) {
                return Err(TensorError::Boolean { name: name() });
            }
        }
        None => match count_strings(&tensor.data) {
            Ok(count) if count == elements => {}
            Ok(got) | Err(got) => {
                return Err(TensorError::Strings {
                    name: name(),
                    expected: elements,
                    got,
                });
            }
        },
    }
    Ok(())
}

/// The product of a shape; one for a scalar. None where it does not fit, whatever zeroes follow:
/// a shape is refused for what it claims.
fn elements(shape: &[u64]) -> Option<u64> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape
        .iter()
        .try_fold(1u64, |product, dimension| product.checked_mul(*dimension))
}

/// How many byte strings the data holds; the count so far as the error where the last one is
/// cut short.
fn count_strings(data: &[u8]) -> Result<u64, u64> {
    let mut rest = data;
    let mut count = 0;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>().ok_or(count)?;
        let length = u32::from_le_bytes(*length) as usize;
        rest = after.get(length..).ok_or(count)?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(datatype: Datatype, shape: &[u64], data: &[u8]) -> Tensor {
        Tensor {
            name: "x".into(),
            datatype,
            shape: shape.to_vec(),
            data: data.to_vec(),
        }
    }

    fn check(datatype: Datatype, shape: &[u64], data: &[u8]) -> Result<(), TensorError> {
        check_tensor(&tensor(datatype, shape, data))
    }

    #[test]
    fn data_must_be_as_long_as_the_shape_says() {
        assert_eq!(check(Datatype::Fp32, &[2, 3], &[0; 24]), Ok(()));
        assert_eq!(check(Datatype::Fp32, &[], &[0; 4]), Ok(()));
        assert_eq!(check(Datatype::Fp32, &[0, u64::MAX], &[]), Ok(()));
        assert_eq!(
            check(Datatype::Fp32, &[2, 3], &[0; 23]),
            Err(TensorError::Length {
                name: "x".into(),
                expected: 24,
                got: 23
            })
        );
        let too_large = Err(TensorError::Shape { name: "x".into() });
        assert_eq!(check(Datatype::Uint8, &[u64::MAX, 2], &[]), too_large);
        assert_eq!(check(Datatype::Fp64, &[1 << 62], &[]), too_large);
    }

    #[test]
    fn byte_strings_must_end_where_the_data_ends() {
        assert_eq!(check(Datatype::Bytes, &[2], b"\x01\0\0\0a\0\0\0\0"), Ok(()));
        assert_eq!(
            check(Datatype::Bytes, &[1], b"\xff\xff\xff\xffa"),
            Err(TensorError::Strings {
                name: "x".into(),
                expected: 1,
                got: 0
            })
        );
        assert_eq!(
            check(Datatype::Bytes, &[2], b"\x01\0\0\0a"),
            Err(TensorError::Strings {
                name: "x".into(),
                expected: 2,
                got: 1
            })
        );
    }

    #[test]
    fn names_are_present_printable_and_unique() {
        let named = |name: &str| Tensor {
            name: name.into(),
            ..tensor(Datatype::Uint8, &[1], &[1])
        };
        assert_eq!(check_tensors(&[named("a"), named("b")]), Ok(()));
        assert_eq!(check_tensors(&[named("")]), Err(TensorError::Name));
        assert_eq!(check_tensors(&[named("a\n")]), Err(TensorError::Name));
        assert_eq!(
            check_tensors(&[named("a"), named("a")]),
            Err(TensorError::Duplicate { name: "a".into() })
        );
    }

    #[test]
    fn booleans_are_zero_or_one() {
        assert_eq!(check(Datatype::Boolean, &[2], &[0, 1]), Ok(()));
        assert_eq!(
            check(Datatype::Boolean, &[1], &[2]),
            Err(TensorError::Boolean { name: "x".into() })
        );
    }
}
