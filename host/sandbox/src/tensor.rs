//! The rules of tensors: datatypes, names, shapes, sizes and counts, the same for requests and
//! for answers. How tensors are written down is not told here.

use crate::wit::tensors::{Datatype, MetadataInfo, Request, Tensor, TensorInfo};
use std::collections::HashSet;

/// Tensors of one request, of one answer, and of each side that a model declares.
pub const TENSORS_MAX: usize = 1_024;
/// Dimensions of one tensor.
pub const TENSOR_DIMENSIONS_MAX: usize = 16;
/// Bytes of a tensor's name.
pub const TENSOR_NAME_BYTES_MAX: usize = 512;

/// Tensors up to which names are compared one by one, which needs no memory.
const FEW_TENSORS: usize = 8;

/// Makes the functions over the table of datatypes. A datatype of the contract that the table
/// leaves out does not compile.
macro_rules! datatypes {
    ($($datatype:ident, $name:literal, $bytes:expr;)*) => {
        const DATATYPES: &[Datatype] = &[$(Datatype::$datatype),*];

        /// The name of a datatype in the Open Inference Protocol, for example `FP32`.
        #[must_use]
        pub const fn datatype_name(datatype: Datatype) -> &'static str {
            match datatype {
                $(Datatype::$datatype => $name,)*
            }
        }

        /// Bytes of one element; none for byte strings, each of which says its own length.
        #[must_use]
        pub const fn element_bytes(datatype: Datatype) -> Option<usize> {
            match datatype {
                $(Datatype::$datatype => $bytes,)*
            }
        }
    };
}

datatypes! {
    Boolean, "BOOL", Some(1);
    Uint8, "UINT8", Some(1);
    Uint16, "UINT16", Some(2);
    Uint32, "UINT32", Some(4);
    Uint64, "UINT64", Some(8);
    Int8, "INT8", Some(1);
    Int16, "INT16", Some(2);
    Int32, "INT32", Some(4);
    Int64, "INT64", Some(8);
    Fp16, "FP16", Some(2);
    Bf16, "BF16", Some(2);
    Fp32, "FP32", Some(4);
    Fp64, "FP64", Some(8);
    Bytes, "BYTES", None;
}

/// The names of all datatypes, in the order of the contract.
pub fn datatype_names() -> impl Iterator<Item = &'static str> {
    DATATYPES.iter().map(|datatype| datatype_name(*datatype))
}

/// The datatype of that name.
#[must_use]
pub fn datatype_named(name: &str) -> Option<Datatype> {
    DATATYPES
        .iter()
        .copied()
        .find(|datatype| datatype_name(*datatype) == name)
}

/// What is wrong with a list of tensors. Holds names and none of the content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// More than [`TENSORS_MAX`].
    #[error("{count} tensors; at most {TENSORS_MAX} are allowed")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// Two tensors of one name.
    #[error("two tensors are named `{name}`")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// One of them breaks a rule.
    #[error("tensor `{name}` {fault}")]
    Tensor {
        /// The name of the tensor.
        name: String,
        /// The rule that it breaks.
        fault: TensorFault,
    },
}

/// What is wrong with one tensor; the text goes on where the name of the tensor ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorFault {
    /// No name, one over [`TENSOR_NAME_BYTES_MAX`], or one with control characters.
    #[error("needs a name of 1 to {TENSOR_NAME_BYTES_MAX} bytes without a control character")]
    Name,
    /// More than [`TENSOR_DIMENSIONS_MAX`].
    #[error("has {dimensions} dimensions; at most {TENSOR_DIMENSIONS_MAX} are allowed")]
    Dimensions {
        /// How many it has.
        dimensions: usize,
    },
    /// A declared dimension that is neither a size nor -1.
    #[error("declares a dimension of {dimension}")]
    Dimension {
        /// The dimension.
        dimension: i64,
    },
    /// The shape's product, or that many elements in bytes, does not fit 64 bits.
    #[error("takes more in the shape {shape:?} than can be counted")]
    Uncountable {
        /// The shape.
        shape: Vec<u64>,
    },
    /// The bytes do not agree with the shape and the datatype.
    #[error("has {got} bytes, and {} in the shape {shape:?} takes {expected}", datatype_name(*.datatype))]
    Bytes {
        /// The datatype.
        datatype: Datatype,
        /// The shape.
        shape: Vec<u64>,
        /// Bytes that these two take.
        expected: u64,
        /// Bytes that there are.
        got: u64,
    },
    /// Byte strings that are not as many as the shape says.
    #[error("has {got} strings, and the shape {shape:?} takes {expected}")]
    Strings {
        /// The shape.
        shape: Vec<u64>,
        /// Strings that it takes.
        expected: u64,
        /// Strings that there are.
        got: u64,
    },
    /// A byte string that ends after the data does.
    #[error("is cut off in the middle of a string")]
    CutString,
    /// A boolean that is neither 0 nor 1.
    #[error("holds a boolean that is neither 0 nor 1")]
    Boolean,
}

/// A request whose tensors have passed [`check_tensors`]. Models are asked with nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedRequest(Request);

impl CheckedRequest {
    /// The request, if its tensors keep the rules.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn new(request: Request) -> Result<Self, TensorError> {
        check_tensors(&request.inputs)?;
        Ok(Self(request))
    }

    /// The request that was checked.
    #[must_use]
    pub fn as_request(&self) -> &Request {
        &self.0
    }

    /// The request, to be changed and checked anew.
    #[must_use]
    pub fn into_request(self) -> Request {
        self.0
    }
}

/// Checks the tensors of a request or of an answer: names, counts, shapes, and that the data is
/// as long as these say.
///
/// # Errors
/// The first rule that is broken.
pub fn check_tensors(tensors: &[Tensor]) -> Result<(), TensorError> {
    check_list(tensors, |tensor| tensor.name.as_str(), check_tensor)
}

/// Checks what a model declares: names, counts, and shapes in which -1 stands for any size.
///
/// # Errors
/// The first rule that is broken.
pub(crate) fn check_metadata(metadata: &MetadataInfo) -> Result<(), TensorError> {
    for infos in [&metadata.inputs, &metadata.outputs] {
        check_list(infos, |info| info.name.as_str(), check_info)?;
    }
    Ok(())
}

fn check_list<T>(
    list: &[T],
    name: impl Fn(&T) -> &str,
    check: impl Fn(&T) -> Result<(), TensorFault>,
) -> Result<(), TensorError> {
    if list.len() > TENSORS_MAX {
        return Err(TensorError::TooMany { count: list.len() });
    }
    for one in list {
        check(one).map_err(|fault| TensorError::Tensor {
            name: name(one).to_owned(),
            fault,
        })?;
    }
    let names = || list.iter().map(&name);
    let duplicate = if list.len() <= FEW_TENSORS {
        names()
            .enumerate()
            .find(|(index, name)| names().take(*index).any(|earlier| earlier == *name))
            .map(|(_, name)| name)
    } else {
        let mut seen = HashSet::with_capacity(list.len());
        names().find(|name| !seen.insert(*name))
    };
    match duplicate {
        Some(name) => Err(TensorError::Duplicate {
            name: name.to_owned(),
        }),
        None => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), TensorFault> {
    if name.is_empty() || name.len() > TENSOR_NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(TensorFault::Name);
    }
    Ok(())
}

fn check_dimensions(dimensions: usize) -> Result<(), TensorFault> {
    if dimensions > TENSOR_DIMENSIONS_MAX {
        return Err(TensorFault::Dimensions { dimensions });
    }
    Ok(())
}

fn check_info(info: &TensorInfo) -> Result<(), TensorFault> {
    check_name(&info.name)?;
    check_dimensions(info.shape.len())?;
    match info.shape.iter().find(|dimension| **dimension < -1) {
        Some(dimension) => Err(TensorFault::Dimension {
            dimension: *dimension,
        }),
        None => Ok(()),
    }
}

fn check_tensor(tensor: &Tensor) -> Result<(), TensorFault> {
    check_name(&tensor.name)?;
    check_dimensions(tensor.shape.len())?;
    let shape = || tensor.shape.clone();
    let uncountable = || TensorFault::Uncountable { shape: shape() };
    let elements = element_count(&tensor.shape).ok_or_else(uncountable)?;
    match element_bytes(tensor.datatype) {
        Some(each) => {
            let expected = elements.checked_mul(each as u64).ok_or_else(uncountable)?;
            let got = tensor.data.len() as u64;
            if expected != got {
                return Err(TensorFault::Bytes {
                    datatype: tensor.datatype,
                    shape: shape(),
                    expected,
                    got,
                });
            }
            if tensor.datatype == Datatype::Boolean && tensor.data.iter().any(|byte| *byte > 1) {
                return Err(TensorFault::Boolean);
            }
        }
        None => match string_count(&tensor.data) {
            Some(got) if got == elements => {}
            Some(got) => {
                return Err(TensorFault::Strings {
                    shape: shape(),
                    expected: elements,
                    got,
                });
            }
            None => return Err(TensorFault::CutString),
        },
    }
    Ok(())
}

/// The product of a shape: one for a scalar, zero where any dimension is, whatever the others
/// are. None where it does not fit.
#[must_use]
pub fn element_count(shape: &[u64]) -> Option<u64> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape
        .iter()
        .try_fold(1_u64, |product, dimension| product.checked_mul(*dimension))
}

/// How many byte strings the data of a tensor of these holds; none where the last one is cut off.
#[must_use]
pub fn string_count(data: &[u8]) -> Option<u64> {
    let mut elements = ElementBytes {
        rest: data,
        bytes: None,
    };
    let count = elements.by_ref().count();
    elements.rest.is_empty().then_some(count as u64)
}

/// The bytes of each element of a tensor, in order.
#[must_use]
pub fn elements(tensor: &Tensor) -> ElementBytes<'_> {
    ElementBytes {
        rest: &tensor.data,
        bytes: element_bytes(tensor.datatype),
    }
}

/// The iterator that [`elements`] makes.
#[derive(Clone, Debug)]
pub struct ElementBytes<'a> {
    rest: &'a [u8],
    bytes: Option<usize>,
}

impl<'a> Iterator for ElementBytes<'a> {
    type Item = &'a [u8];

    /// Ends early where a string is cut off, which no checked tensor has.
    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (bytes, rest) = match self.bytes {
            Some(bytes) => (bytes, self.rest),
            None => {
                let (length, rest) = self.rest.split_first_chunk::<4>()?;
                (usize::try_from(u32::from_le_bytes(*length)).ok()?, rest)
            }
        };
        let (element, rest) = rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(element)
    }
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

    fn check(datatype: Datatype, shape: &[u64], data: &[u8]) -> Result<(), TensorFault> {
        check_tensor(&tensor(datatype, shape, data))
    }

    fn named(name: impl Into<String>) -> Tensor {
        Tensor {
            name: name.into(),
            ..tensor(Datatype::Uint8, &[1], &[1])
        }
    }

    #[test]
    fn each_datatype_has_a_name_of_its_own() {
        for datatype in DATATYPES {
            assert_eq!(datatype_named(datatype_name(*datatype)), Some(*datatype));
        }
        assert_eq!(datatype_named("fp32"), None);
    }

    #[test]
    fn data_must_be_as_long_as_the_shape_says() {
        assert_eq!(check(Datatype::Fp32, &[2, 3], &[0; 24]), Ok(()));
        assert_eq!(check(Datatype::Fp32, &[], &[0; 4]), Ok(()));
        assert_eq!(check(Datatype::Fp32, &[0, u64::MAX], &[]), Ok(()));
        assert_eq!(check(Datatype::Fp32, &[u64::MAX, 2, 0], &[]), Ok(()));
        let short = check(Datatype::Fp32, &[2, 3], &[0; 23]).unwrap_err();
        assert_eq!(
            short.to_string(),
            "has 23 bytes, and FP32 in the shape [2, 3] takes 24"
        );
        for (datatype, shape) in [
            (Datatype::Uint8, &[u64::MAX, 2][..]),
            (Datatype::Fp64, &[1 << 62]),
        ] {
            let shape = shape.to_vec();
            assert_eq!(
                check(datatype, &shape, &[]),
                Err(TensorFault::Uncountable { shape })
            );
        }
    }

    #[test]
    fn byte_strings_must_end_where_the_data_ends() {
        assert_eq!(check(Datatype::Bytes, &[2], b"\x01\0\0\0a\0\0\0\0"), Ok(()));
        for cut in [&b"\xff\xff\xff\xffa"[..], b"\x01\0\0\0a\0"] {
            assert_eq!(
                check(Datatype::Bytes, &[1], cut),
                Err(TensorFault::CutString)
            );
        }
        assert_eq!(
            check(Datatype::Bytes, &[2], b"\x01\0\0\0a"),
            Err(TensorFault::Strings {
                shape: vec![2],
                expected: 2,
                got: 1
            })
        );
    }

    #[test]
    fn elements_are_cut_by_size_or_by_their_own_length() {
        let numbers = tensor(Datatype::Uint16, &[2], &[1, 2, 3, 4]);
        assert!(elements(&numbers).eq([&[1_u8, 2][..], &[3, 4]]));
        let strings = tensor(Datatype::Bytes, &[2], b"\x01\0\0\0a\0\0\0\0");
        assert!(elements(&strings).eq([&b"a"[..], b""]));
    }

    #[test]
    fn names_are_present_printable_and_bounded() {
        let longest = "x".repeat(TENSOR_NAME_BYTES_MAX);
        assert_eq!(check_tensors(&[named("a"), named(&longest)]), Ok(()));
        for name in [String::new(), "a\n".into(), longest + "x"] {
            assert_eq!(
                check_tensors(&[named(&name)]),
                Err(TensorError::Tensor {
                    name,
                    fault: TensorFault::Name
                })
            );
        }
    }

    #[test]
    fn names_are_unique_in_short_lists_and_in_long_ones() {
        for count in [2, FEW_TENSORS, FEW_TENSORS + 1, TENSORS_MAX] {
            let mut list: Vec<_> = (0..count).map(|index| named(index.to_string())).collect();
            assert_eq!(check_tensors(&list), Ok(()));
            let last = list.len() - 1;
            list[last] = named("0");
            let duplicate = TensorError::Duplicate { name: "0".into() };
            assert_eq!(check_tensors(&list), Err(duplicate));
        }
    }

    #[test]
    fn a_list_has_a_bound() {
        let list: Vec<_> = (0..=TENSORS_MAX)
            .map(|index| named(index.to_string()))
            .collect();
        assert_eq!(check_tensors(&list[1..]), Ok(()));
        let count = list.len();
        assert_eq!(check_tensors(&list), Err(TensorError::TooMany { count }));
    }

    #[test]
    fn booleans_are_zero_or_one() {
        assert_eq!(check(Datatype::Boolean, &[2], &[0, 1]), Ok(()));
        assert_eq!(
            check(Datatype::Boolean, &[1], &[2]),
            Err(TensorFault::Boolean)
        );
    }

    #[test]
    fn declared_tensors_keep_the_same_rules() {
        let info = |name: &str, shape: &[i64]| TensorInfo {
            name: name.into(),
            datatype: Datatype::Fp32,
            shape: shape.to_vec(),
        };
        let check = |infos: Vec<TensorInfo>| {
            let (inputs, outputs) = (vec![info("x", &[-1, 3])], infos);
            check_metadata(&MetadataInfo { inputs, outputs })
        };
        assert_eq!(check(vec![info("x", &[-1, 0]), info("y", &[])]), Ok(()));
        let many = (0..=TENSORS_MAX).map(|index| info(&index.to_string(), &[]));
        for broken in [
            vec![info("", &[])],
            vec![info("x", &[-2])],
            vec![info("x", &[1; TENSOR_DIMENSIONS_MAX + 1])],
            vec![info("x", &[]), info("x", &[])],
            many.collect(),
        ] {
            assert!(check(broken).is_err());
        }
    }
}
