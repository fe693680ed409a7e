//! Requests and responses of [`Tensors`](crate::Tensors), and typed views of their bytes.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Deref;
use core::{mem, slice};

pub use crate::bindings::tensors::exports::belljar::model::tensors::{
    Datatype, MetadataInfo as Metadata, Request, Response, Tensor, TensorInfo,
};
use crate::{Error, Parameter, Value};

#[cfg(target_endian = "big")]
compile_error!("tensors are little-endian, and views of them are not converted");

/// A number that a tensor can be made of.
///
/// Sealed: a view reinterprets bytes, which is sound only for types without padding or invalid
/// values.
pub trait Element: Copy + sealed::Sealed + 'static {
    /// The datatype of a tensor of these.
    const DATATYPE: Datatype;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! element {
    ($($rust:ty => $datatype:ident),+ $(,)?) => {
        $(
            impl sealed::Sealed for $rust {}
            impl Element for $rust {
                const DATATYPE: Datatype = Datatype::$datatype;
            }
        )+
    };
}

element! {
    u8 => Uint8, u16 => Uint16, u32 => Uint32, u64 => Uint64,
    i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64,
    f32 => Fp32, f64 => Fp64, F16 => Fp16, Bf16 => Bf16,
}

/// An IEEE 754 binary16, as its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct F16(pub u16);

/// The upper half of an IEEE 754 binary32, as its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl F16 {
    /// The value, exactly.
    pub fn to_f32(self) -> f32 {
        let sign = u32::from(self.0 & 0x8000) << 16;
        let magnitude = u32::from(self.0 & 0x7fff);
        let bits = match magnitude {
            // Infinity and NaN: all exponent bits set, here and there.
            0x7c00.. => 0x7f80_0000 | (magnitude & 0x3ff) << 13,
            // Normal: move the fields up and correct the bias (127 - 15).
            0x0400.. => (magnitude << 13) + (112 << 23),
            // Subnormal: a multiple of 2^-24, which binary32 holds exactly.
            _ => (magnitude as f32 * f32::from_bits(0x3380_0000)).to_bits(),
        };
        f32::from_bits(sign | bits)
    }

    /// The nearest value, ties to even; what is too large becomes infinity.
    pub fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        let sign = (bits >> 16) as u16 & 0x8000;
        let magnitude = bits & 0x7fff_ffff;
        let half = if magnitude > 0x7f80_0000 {
            0x7e00
        } else if magnitude >= 0x4780_0000 {
            0x7c00
        } else if magnitude >= 0x3880_0000 {
            // Rounding may carry into the exponent, up to infinity, which is as it should be.
            let rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
            ((rounded - (112 << 23)) >> 13) as u16
        } else {
            // Adding 0.5 leaves the multiple of 2^-24 in the low bits, rounded by the addition.
            let sum = f32::from_bits(magnitude) + 0.5;
            (sum.to_bits() - 0.5f32.to_bits()) as u16
        };
        Self(sign | half)
    }
}

impl Bf16 {
    /// The value, exactly.
    pub fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    /// The nearest value, ties to even.
    pub fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        if value.is_nan() {
            // Rounding could carry a NaN's payload away and leave infinity.
            return Self((bits >> 16) as u16 | 0x40);
        }
        Self(((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16)
    }
}

/// A tensor's elements as numbers: borrowed where the bytes are aligned, else copied once.
///
/// ```
/// use belljar_guest::tensors::{Tensor, TensorView};
///
/// let tensor = Tensor::from_slice("x", [2, 2], &[1.0f32, 2.0, 3.0, 4.0]);
/// let view = TensorView::<f32>::try_from(&tensor)?;
/// assert_eq!(view.shape(), [2, 2]);
/// assert_eq!(view.iter().sum::<f32>(), 10.0);
/// assert!(TensorView::<i64>::try_from(&tensor).is_err());
/// # Ok::<(), belljar_guest::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TensorView<'a, T: Element> {
    shape: &'a [u64],
    elements: Cow<'a, [T]>,
}

impl<'a, T: Element> TensorView<'a, T> {
    /// The tensor's shape; empty for a scalar.
    pub fn shape(&self) -> &'a [u64] {
        self.shape
    }

    /// The elements, row-major.
    pub fn into_vec(self) -> Vec<T> {
        self.elements.into_owned()
    }
}

impl<T: Element> Deref for TensorView<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.elements
    }
}

impl<'a, T: Element> TryFrom<&'a Tensor> for TensorView<'a, T> {
    type Error = Error;

    /// # Errors
    ///
    /// [`Error::InvalidInput`] where the tensor is of another datatype.
    fn try_from(tensor: &'a Tensor) -> Result<Self, Error> {
        tensor.expect_datatype(T::DATATYPE)?;
        let elements = elements_of(&tensor.data);
        Ok(Self {
            shape: &tensor.shape,
            elements,
        })
    }
}

/// The bytes as numbers; what is left over at the end is dropped.
fn elements_of<T: Element>(bytes: &[u8]) -> Cow<'_, [T]> {
    let count = bytes.len() / mem::size_of::<T>();
    let start = bytes.as_ptr().cast::<T>();
    if start.is_aligned() {
        // SAFETY: the pointer is aligned, `count` elements lie within `bytes`, and each bit
        // pattern is a value of a sealed `Element`.
        return Cow::Borrowed(unsafe { slice::from_raw_parts(start, count) });
    }
    let mut copy = Vec::<T>::with_capacity(count);
    // SAFETY: the capacity is `count` elements, as many bytes are read, and each bit pattern is a
    // value of a sealed `Element`.
    unsafe {
        let length = count * mem::size_of::<T>();
        core::ptr::copy_nonoverlapping(bytes.as_ptr(), copy.as_mut_ptr().cast(), length);
        copy.set_len(count);
    }
    Cow::Owned(copy)
}

impl Tensor {
    /// A tensor of numbers, row-major. The host refuses a response whose shape and element count
    /// disagree.
    ///
    /// ```
    /// # use belljar_guest::tensors::{Datatype, Tensor};
    /// let tensor = Tensor::from_slice("ids", [3], &[7i64, 8, 9]);
    /// assert_eq!((tensor.datatype, tensor.data.len()), (Datatype::Int64, 24));
    /// ```
    pub fn from_slice<T: Element>(
        name: impl Into<String>,
        shape: impl Into<Vec<u64>>,
        elements: &[T],
    ) -> Self {
        // SAFETY: a sealed `Element` has no padding, so all its bytes are initialised.
        let bytes = unsafe {
            slice::from_raw_parts(elements.as_ptr().cast::<u8>(), mem::size_of_val(elements))
        };
        Self {
            name: name.into(),
            datatype: T::DATATYPE,
            shape: shape.into(),
            data: bytes.to_vec(),
        }
    }

    /// A tensor of booleans, row-major.
    pub fn from_bools(
        name: impl Into<String>,
        shape: impl Into<Vec<u64>>,
        elements: &[bool],
    ) -> Self {
        let data = elements.iter().map(|&element| u8::from(element)).collect();
        Self {
            name: name.into(),
            datatype: Datatype::Boolean,
            shape: shape.into(),
            data,
        }
    }

    /// A tensor of byte strings, row-major.
    ///
    /// ```
    /// # use belljar_guest::tensors::Tensor;
    /// let tensor = Tensor::from_byte_strings("labels", [2], ["cat", "dog"]);
    /// assert_eq!(tensor.byte_strings()?.collect::<Vec<_>>(), [b"cat", b"dog"]);
    /// # Ok::<(), belljar_guest::Error>(())
    /// ```
    pub fn from_byte_strings<S: AsRef<[u8]>>(
        name: impl Into<String>,
        shape: impl Into<Vec<u64>>,
        elements: impl IntoIterator<Item = S>,
    ) -> Self {
        let mut data = Vec::new();
        for element in elements {
            let bytes = element.as_ref();
            data.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            data.extend_from_slice(bytes);
        }
        Self {
            name: name.into(),
            datatype: Datatype::Bytes,
            shape: shape.into(),
            data,
        }
    }

    /// The elements of a tensor of booleans.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] where the tensor is of another datatype.
    pub fn bools(&self) -> Result<impl Iterator<Item = bool> + '_, Error> {
        self.expect_datatype(Datatype::Boolean)?;
        Ok(self.data.iter().map(|&byte| byte != 0))
    }

    /// The elements of a tensor of byte strings.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] where the tensor is of another datatype, or a length runs past
    /// its end.
    pub fn byte_strings(&self) -> Result<ByteStrings<'_>, Error> {
        self.expect_datatype(Datatype::Bytes)?;
        let mut rest = self.data.as_slice();
        while !rest.is_empty() {
            let Some((_, after)) = split_byte_string(rest) else {
                let name = &self.name;
                return Err(Error::InvalidInput(format!(
                    "tensor `{name}` ends inside an element"
                )));
            };
            rest = after;
        }
        Ok(ByteStrings { rest: &self.data })
    }

    fn expect_datatype(&self, wanted: Datatype) -> Result<(), Error> {
        if self.datatype == wanted {
            return Ok(());
        }
        let (name, is, wants) = (&self.name, self.datatype.name(), wanted.name());
        Err(Error::InvalidInput(format!(
            "tensor `{name}` is {is}, and this model wants {wants}"
        )))
    }
}

/// The elements of a tensor of byte strings. See [`Tensor::byte_strings`].
#[derive(Clone, Debug)]
pub struct ByteStrings<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for ByteStrings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (element, rest) = split_byte_string(self.rest)?;
        self.rest = rest;
        Some(element)
    }
}

/// The first element and what follows it; none at the end, and none where a length lies.
fn split_byte_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

impl Datatype {
    /// The name in the Open Inference Protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp16 => "FP16",
            Self::Bf16 => "BF16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }
}

impl Metadata {
    /// What a model takes and gives.
    ///
    /// ```
    /// # use belljar_guest::tensors::{Datatype, Metadata, TensorInfo};
    /// let batch = |name| TensorInfo::new(name, Datatype::Fp32, [-1, 10]);
    /// let metadata = Metadata::new([batch("x")], [batch("y")]);
    /// assert_eq!(metadata.inputs[0].shape, [-1, 10]);
    /// ```
    pub fn new(inputs: impl Into<Vec<TensorInfo>>, outputs: impl Into<Vec<TensorInfo>>) -> Self {
        Self {
            inputs: inputs.into(),
            outputs: outputs.into(),
        }
    }
}

impl TensorInfo {
    /// What a tensor of that name looks like. A dimension of any size is -1.
    pub fn new(name: impl Into<String>, datatype: Datatype, shape: impl Into<Vec<i64>>) -> Self {
        Self {
            name: name.into(),
            datatype,
            shape: shape.into(),
        }
    }
}

impl Request {
    /// The input of that name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] where the caller sent none.
    pub fn input(&self, name: &str) -> Result<&Tensor, Error> {
        self.inputs
            .iter()
            .find(|tensor| tensor.name == name)
            .ok_or_else(|| Error::InvalidInput(format!("input `{name}` is missing")))
    }

    /// Whether the caller wants the output of that name.
    pub fn wants(&self, output: &str) -> bool {
        self.outputs.is_empty() || self.outputs.iter().any(|name| name == output)
    }

    /// The value of a free-form option.
    pub fn parameter(&self, name: &str) -> Option<&Value> {
        find_parameter(&self.parameters, name)
    }
}

/// The value of the option of that name.
pub(crate) fn find_parameter<'a>(parameters: &'a [Parameter], name: &str) -> Option<&'a Value> {
    parameters
        .iter()
        .find(|parameter| parameter.name == name)
        .map(|parameter| &parameter.value)
}

impl From<Vec<Tensor>> for Response {
    fn from(outputs: Vec<Tensor>) -> Self {
        Self {
            outputs,
            parameters: Vec::new(),
        }
    }
}

impl<const N: usize> From<[Tensor; N]> for Response {
    fn from(outputs: [Tensor; N]) -> Self {
        Self::from(Vec::from(outputs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_of_unaligned_bytes_equals_the_aligned_one() {
        let values = [1.5f64, -2.0, 3.25];
        let bytes = Tensor::from_slice("x", [3], &values).data;
        for shift in 0..8 {
            let mut moved = vec![0u8; shift];
            moved.extend_from_slice(&bytes);
            let view = elements_of::<f64>(moved.get(shift..).expect("the vector is longer"));
            assert_eq!(&*view, values);
            assert_eq!(matches!(view, Cow::Borrowed(_)), shift == 0);
        }
    }

    #[test]
    fn another_datatype_is_named_in_the_error() {
        let tensor = Tensor::from_slice("x", [1], &[1i32]);
        let error = TensorView::<f32>::try_from(&tensor).unwrap_err();
        assert_eq!(
            error,
            Error::invalid_input("tensor `x` is INT32, and this model wants FP32")
        );
    }

    #[test]
    fn byte_strings_survive_and_lies_are_refused() {
        let tensor = Tensor::from_byte_strings("s", [3], ["", "a", "longer"]);
        let back: Vec<_> = tensor.byte_strings().unwrap().collect();
        assert_eq!(back, [&b""[..], b"a", b"longer"]);
        for cut in 1..tensor.data.len() {
            let mut broken = tensor.clone();
            broken.data.truncate(cut);
            let whole = [4, 9].contains(&cut);
            assert_eq!(broken.byte_strings().is_ok(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn half_floats_round_to_nearest_even_and_back() {
        for bits in 0..=u16::MAX {
            let half = F16(bits);
            let value = half.to_f32();
            if value.is_nan() {
                assert!(F16::from_f32(value).to_f32().is_nan());
            } else {
                assert_eq!(F16::from_f32(value), half, "{bits:#x} is {value}");
            }
            let brain = Bf16(bits);
            if !brain.to_f32().is_nan() {
                assert_eq!(Bf16::from_f32(brain.to_f32()), brain);
            }
        }
        assert_eq!(F16::from_f32(65519.0).to_f32(), 65504.0);
        assert_eq!(F16::from_f32(65520.0).to_f32(), f32::INFINITY);
        assert_eq!(F16::from_f32(1.0 + 1.0 / 2048.0), F16(0x3c00));
        assert_eq!(F16::from_f32(1.0 + 3.0 / 2048.0), F16(0x3c02));
        assert!(Bf16::from_f32(f32::NAN).to_f32().is_nan());
    }

    #[test]
    fn outputs_are_all_wanted_unless_some_are_named() {
        let mut request = Request {
            inputs: vec![],
            outputs: vec![],
            parameters: vec![],
        };
        assert!(request.wants("y"));
        request.outputs.push("z".into());
        assert!(!request.wants("y"));
        assert!(request.wants("z"));
    }
}
