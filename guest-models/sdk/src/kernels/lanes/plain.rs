//! Vectors as arrays, lane by lane.

use core::array;

/// Four numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct F32x4([f32; 4]);

/// Four whole numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct I32x4([i32; 4]);

/// Sixteen bytes, with or without a sign as the operation says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes([u8; 16]);

/// Eight whole numbers of sixteen bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words([i16; 8]);

/// The number of IEEE 754 binary16.
#[inline(always)]
fn from_f16(half: u16) -> f32 {
    let bits = (i32::from(half as i16) << 13) as u32 & 0x8fff_e000;
    f32::from_bits(bits) * f32::from_bits(0x7780_0000)
}

impl Words {
    /// The signed bytes `bytes[AT..AT + 8]`.
    #[inline(always)]
    pub(crate) fn widen<const AT: usize, const N: usize>(bytes: &[u8; N]) -> Self {
        const { assert!(AT + 8 <= N) }
        Self(array::from_fn(|at| i16::from(bytes[AT + at] as i8)))
    }
}

impl F32x4 {
    #[inline(always)]
    pub(crate) fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    pub(crate) fn new(numbers: [f32; 4]) -> Self {
        Self(numbers)
    }

    /// The numbers `numbers[AT..AT + 4]`.
    #[inline(always)]
    pub(crate) fn load<const AT: usize, const N: usize>(numbers: &[f32; N]) -> Self {
        const { assert!(AT + 4 <= N) }
        Self(array::from_fn(|lane| numbers[AT + lane]))
    }

    #[inline(always)]
    pub(crate) fn store(self, numbers: &mut [f32; 4]) {
        *numbers = self.0;
    }

    /// Four little-endian numbers.
    #[inline(always)]
    pub(crate) fn from_bytes(bytes: &[u8; 16]) -> Self {
        let (numbers, _) = bytes.as_chunks::<4>();
        Self(array::from_fn(|lane| f32::from_le_bytes(numbers[lane])))
    }

    /// Four little-endian numbers of IEEE 754 binary16. An infinity or a NaN becomes a
    /// number from 65 536 to 131 008.
    #[inline(always)]
    pub(crate) fn from_f16(halves: &[u8; 8]) -> Self {
        let (halves, _) = halves.as_chunks::<2>();
        Self(array::from_fn(|lane| {
            from_f16(u16::from_le_bytes(halves[lane]))
        }))
    }

    /// The numbers of IEEE 754 binary16 in the lower and in the upper halves of the words that four
    /// arrays begin with.
    #[inline(always)]
    pub(crate) fn from_f16_pairs<const N: usize>(arrays: [&[u8; N]; 4]) -> [Self; 2] {
        const { assert!(N >= 16) }
        let number = |low: u8, high: u8| from_f16(u16::from_le_bytes([low, high]));
        [
            Self(arrays.map(|array| number(array[0], array[1]))),
            Self(arrays.map(|array| number(array[2], array[3]))),
        ]
    }

    /// Four numbers of IEEE 754 binary16.
    #[inline(always)]
    pub(crate) fn from_f16_bits(halves: [u16; 4]) -> Self {
        Self(halves.map(from_f16))
    }

    /// Four little-endian bfloat16 numbers.
    #[inline(always)]
    pub(crate) fn from_bf16(halves: &[u8; 8]) -> Self {
        let (halves, _) = halves.as_chunks::<2>();
        Self(array::from_fn(|lane| {
            f32::from_bits(u32::from(u16::from_le_bytes(halves[lane])) << 16)
        }))
    }

    #[inline(always)]
    pub(crate) fn to_array(self) -> [f32; 4] {
        self.0
    }

    #[inline(always)]
    fn with(self, other: Self, operation: impl Fn(f32, f32) -> f32) -> Self {
        Self(array::from_fn(|lane| {
            operation(self.0[lane], other.0[lane])
        }))
    }

    #[inline(always)]
    pub(crate) fn plus(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }

    #[inline(always)]
    pub(crate) fn minus(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }

    #[inline(always)]
    pub(crate) fn times(self, other: Self) -> Self {
        self.with(other, |a, b| a * b)
    }

    #[inline(always)]
    pub(crate) fn over(self, other: Self) -> Self {
        self.with(other, |a, b| a / b)
    }

    /// `self * factor + sum`.
    #[inline(always)]
    pub(crate) fn times_plus(self, factor: Self, sum: Self) -> Self {
        self.times(factor).plus(sum)
    }

    /// The greater of each two lanes, of which `other` has the word where one is NaN.
    #[inline(always)]
    pub(crate) fn max(self, other: Self) -> Self {
        self.with(other, |a, b| if b < a { a } else { b })
    }

    /// The lesser of each two lanes, of which `other` has the word where one is NaN.
    #[inline(always)]
    pub(crate) fn min(self, other: Self) -> Self {
        self.with(other, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    pub(crate) fn magnitude(self) -> Self {
        Self(self.0.map(f32::abs))
    }

    #[inline(always)]
    pub(crate) fn sqrt(self) -> Self {
        Self(self.0.map(square_root))
    }

    /// Each lane rounded to the nearest whole number, halves to even ones.
    #[inline(always)]
    pub(crate) fn nearest(self) -> Self {
        // Beyond this magnitude every number is whole; adding it rounds all others.
        const WHOLE: f32 = 12_582_912.0;
        Self(self.0.map(|x| {
            if x.abs() < 4_194_304.0 {
                (x + WHOLE) - WHOLE
            } else {
                x
            }
        }))
    }

    /// Two to the power of each lane, which is a whole number from -126 to 127.
    #[inline(always)]
    pub(crate) fn power_of_two(self) -> Self {
        Self(
            self.0
                .map(|n| f32::from_bits(((n as i32 + 127) << 23) as u32)),
        )
    }

    /// The same lane four times.
    #[inline(always)]
    pub(crate) fn lane<const LANE: usize>(self) -> Self {
        Self([self.0[LANE]; 4])
    }

    /// Sixteen whole numbers from -127 to 127 in four vectors, as bytes.
    #[inline(always)]
    pub(crate) fn to_bytes(parts: [Self; 4]) -> Bytes {
        Bytes(array::from_fn(|at| parts[at / 4].0[at % 4] as i8 as u8))
    }
}

#[cfg(not(target_family = "wasm"))]
fn square_root(x: f32) -> f32 {
    x.sqrt()
}

/// By Newton's method in twice the precision: there is no standard library here.
#[cfg(target_family = "wasm")]
fn square_root(x: f32) -> f32 {
    if !(x > 0.0 && x < f32::INFINITY) {
        return if x == 0.0 || x > 0.0 { x } else { f32::NAN };
    }
    let x = f64::from(x);
    let mut root = f64::from_bits((x.to_bits() >> 1) + (0x3ff0_0000_0000_0000 >> 1));
    for _ in 0..5 {
        root = 0.5 * (root + x / root);
    }
    root as f32
}

impl I32x4 {
    #[inline(always)]
    pub(crate) fn zero() -> Self {
        Self([0; 4])
    }

    #[inline(always)]
    pub(crate) fn new(numbers: [i32; 4]) -> Self {
        Self(numbers)
    }

    /// The same lane four times.
    #[inline(always)]
    pub(crate) fn lane<const LANE: usize>(self) -> Self {
        Self([self.0[LANE]; 4])
    }

    #[inline(always)]
    pub(crate) fn to_f32(self) -> F32x4 {
        F32x4(self.0.map(|lane| lane as f32))
    }

    /// Adds products of bytes: `x` from -127 to 127, `w` from 0 to 127. A lane gets the products
    /// of the four bytes that are in its place.
    #[inline(always)]
    pub(crate) fn plus_products_u7(self, x: Bytes, w: Bytes) -> Self {
        let mut sums = self.0;
        for (lane, sum) in sums.iter_mut().enumerate() {
            for at in 4 * lane..4 * lane + 4 {
                *sum += i32::from(x.0[at] as i8) * i32::from(w.0[at] as i8);
            }
        }
        Self(sums)
    }

    /// Products of bytes: `x` from -127 to 127, `w` from 0 to 63. A lane gets the products of the
    /// four bytes of either pair that are in its place.
    #[inline(always)]
    pub(crate) fn small_products(x: [Bytes; 2], w: [Bytes; 2]) -> Self {
        let first = Self::zero().plus_products_u7(x[0], w[0]);
        first.plus_products_u7(x[1], w[1])
    }

    /// Adds products of words that are signed bytes. A lane gets the products of the two words that
    /// are in its place.
    #[inline(always)]
    pub(crate) fn plus_word_products(self, x: Words, w: Words) -> Self {
        let mut sums = self.0;
        for (lane, sum) in sums.iter_mut().enumerate() {
            for at in [2 * lane, 2 * lane + 1] {
                *sum += i32::from(x.0[at]) * i32::from(w.0[at]);
            }
        }
        Self(sums)
    }

    /// Adds products of signed bytes. Which lane gets which product is not said.
    #[inline(always)]
    pub(crate) fn plus_products(self, x: Bytes, w: Bytes) -> Self {
        let mut sums = self.0;
        for (lane, sum) in sums.iter_mut().enumerate() {
            for at in [2 * lane, 2 * lane + 1, 2 * lane + 8, 2 * lane + 9] {
                *sum += i32::from(x.0[at] as i8) * i32::from(w.0[at] as i8);
            }
        }
        Self(sums)
    }
}

impl Bytes {
    /// The bytes `bytes[AT..AT + 16]`.
    #[inline(always)]
    pub(crate) fn load<const AT: usize, const N: usize>(bytes: &[u8; N]) -> Self {
        const { assert!(AT + 16 <= N) }
        Self(array::from_fn(|at| bytes[AT + at]))
    }

    #[inline(always)]
    pub(crate) fn to_array(self) -> [u8; 16] {
        self.0
    }

    #[inline(always)]
    pub(crate) fn and(self, mask: u8) -> Self {
        Self(self.0.map(|byte| byte & mask))
    }

    #[inline(always)]
    pub(crate) fn or(self, other: Self) -> Self {
        Self(array::from_fn(|at| self.0[at] | other.0[at]))
    }

    /// The same four bytes four times.
    #[inline(always)]
    pub(crate) fn four<const AT: usize>(self) -> Self {
        const { assert!(AT < 4) }
        Self(array::from_fn(|at| self.0[4 * AT + at % 4]))
    }

    /// Each byte shifted to the right.
    #[inline(always)]
    pub(crate) fn shift_right<const BITS: u32>(self) -> Self {
        Self(self.0.map(|byte| byte >> BITS))
    }

    /// The two bits of each byte from that one on.
    #[inline(always)]
    pub(crate) fn two_bits_from(self, bit: u32) -> Self {
        Self(self.0.map(|byte| (byte >> bit) & 3))
    }

    /// `value` for each byte in which a bit of `mask` is set, and 0 elsewhere.
    #[inline(always)]
    pub(crate) fn where_set(self, mask: u8, value: u8) -> Self {
        Self(self.0.map(|byte| if byte & mask == 0 { 0 } else { value }))
    }

    /// Each byte shifted to the left.
    #[inline(always)]
    pub(crate) fn shift_left<const BITS: u32>(self) -> Self {
        Self(self.0.map(|byte| byte << BITS))
    }

    /// `value` where a bit of `bits` is set, and 0 elsewhere: byte `i` for bit `i`.
    #[inline(always)]
    pub(crate) fn from_bits(bits: u16, value: u8) -> Self {
        Self(array::from_fn(
            |at| if bits >> at & 1 == 1 { value } else { 0 },
        ))
    }
}
