//! Vectors of WebAssembly.

use core::arch::wasm32::*;

/// Four numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct F32x4(v128);

/// Four whole numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct I32x4(v128);

/// Sixteen bytes, with or without a sign as the operation says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes(v128);

/// Eight whole numbers of sixteen bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words(v128);

impl Words {
    /// The signed bytes `bytes[AT..AT + 8]`.
    #[inline(always)]
    pub(crate) fn widen<const AT: usize, const N: usize>(bytes: &[u8; N]) -> Self {
        const { assert!(AT + 8 <= N) }
        // SAFETY: the assertion above, and a load needs no alignment.
        Self(unsafe { i16x8_load_extend_i8x8(bytes.as_ptr().add(AT).cast()) })
    }
}

impl F32x4 {
    #[inline(always)]
    pub(crate) fn splat(value: f32) -> Self {
        Self(f32x4_splat(value))
    }

    #[inline(always)]
    pub(crate) fn new([a, b, c, d]: [f32; 4]) -> Self {
        Self(f32x4(a, b, c, d))
    }

    /// The numbers `numbers[AT..AT + 4]`.
    #[inline(always)]
    pub(crate) fn load<const AT: usize, const N: usize>(numbers: &[f32; N]) -> Self {
        const { assert!(AT + 4 <= N) }
        // SAFETY: the assertion above, and a load needs no alignment.
        Self(unsafe { v128_load(numbers.as_ptr().add(AT).cast()) })
    }

    #[inline(always)]
    pub(crate) fn store(self, numbers: &mut [f32; 4]) {
        // SAFETY: four numbers are sixteen bytes, and a store needs no alignment.
        unsafe { v128_store(numbers.as_mut_ptr().cast(), self.0) }
    }

    /// Four little-endian numbers.
    #[inline(always)]
    pub(crate) fn from_bytes(bytes: &[u8; 16]) -> Self {
        // SAFETY: the array has sixteen bytes, and a load needs no alignment.
        Self(unsafe { v128_load(bytes.as_ptr().cast()) })
    }

    /// Four little-endian numbers of IEEE 754 binary16. An infinity or a NaN becomes a
    /// number from 65 536 to 131 008.
    #[inline(always)]
    pub(crate) fn from_f16(halves: &[u8; 8]) -> Self {
        // SAFETY: the array has eight bytes, and a load needs no alignment.
        Self::from_extended_f16(unsafe { i32x4_load_extend_i16x4(halves.as_ptr().cast()) })
    }

    /// Four numbers of IEEE 754 binary16, extended by their signs.
    #[inline(always)]
    fn from_extended_f16(signed: v128) -> Self {
        let bits = v128_and(i32x4_shl(signed, 13), i32x4_splat(0x8fff_e000_u32 as i32));
        // What was the exponent of a half counts from another zero: 2^112 is between them.
        Self(f32x4_mul(bits, f32x4_splat(f32::from_bits(0x7780_0000))))
    }

    /// The numbers of IEEE 754 binary16 in the lower and in the upper halves of the words that four
    /// arrays begin with.
    #[inline(always)]
    pub(crate) fn from_f16_pairs<const N: usize>(arrays: [&[u8; N]; 4]) -> [Self; 2] {
        const { assert!(N >= 16) }
        // SAFETY: the assertion above, and a load needs no alignment.
        let [a, b, c, d] = arrays.map(|array| unsafe { v128_load(array.as_ptr().cast()) });
        let (first, last) = (
            i32x4_shuffle::<0, 4, 1, 5>(a, b),
            i32x4_shuffle::<0, 4, 1, 5>(c, d),
        );
        let words = i64x2_shuffle::<0, 2>(first, last);
        let mask = i32x4_splat(0x8fff_e000_u32 as i32);
        let scale = f32x4_splat(f32::from_bits(0x7780_0000));
        let low = v128_and(i32x4_shr(i32x4_shl(words, 16), 3), mask);
        let high = v128_and(i32x4_shr(words, 3), mask);
        [Self(f32x4_mul(low, scale)), Self(f32x4_mul(high, scale))]
    }

    /// Four numbers of IEEE 754 binary16.
    #[inline(always)]
    pub(crate) fn from_f16_bits(halves: [u16; 4]) -> Self {
        let [a, b, c, d] = halves.map(|half| i32::from(half as i16));
        Self::from_extended_f16(i32x4(a, b, c, d))
    }

    /// Four little-endian bfloat16 numbers.
    #[inline(always)]
    pub(crate) fn from_bf16(halves: &[u8; 8]) -> Self {
        // SAFETY: the array has eight bytes, and a load needs no alignment.
        let halves = unsafe { u32x4_load_extend_u16x4(halves.as_ptr().cast()) };
        Self(i32x4_shl(halves, 16))
    }

    #[inline(always)]
    pub(crate) fn to_array(self) -> [f32; 4] {
        [
            f32x4_extract_lane::<0>(self.0),
            f32x4_extract_lane::<1>(self.0),
            f32x4_extract_lane::<2>(self.0),
            f32x4_extract_lane::<3>(self.0),
        ]
    }

    #[inline(always)]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self(f32x4_add(self.0, other.0))
    }

    #[inline(always)]
    pub(crate) fn minus(self, other: Self) -> Self {
        Self(f32x4_sub(self.0, other.0))
    }

    #[inline(always)]
    pub(crate) fn times(self, other: Self) -> Self {
        Self(f32x4_mul(self.0, other.0))
    }

    #[inline(always)]
    pub(crate) fn over(self, other: Self) -> Self {
        Self(f32x4_div(self.0, other.0))
    }

    /// `self * factor + sum`.
    #[inline(always)]
    pub(crate) fn times_plus(self, factor: Self, sum: Self) -> Self {
        #[cfg(target_feature = "relaxed-simd")]
        return Self(f32x4_relaxed_madd(self.0, factor.0, sum.0));
        #[cfg(not(target_feature = "relaxed-simd"))]
        return Self(f32x4_add(f32x4_mul(self.0, factor.0), sum.0));
    }

    /// The greater of each two lanes, of which `other` has the word where one is NaN.
    #[inline(always)]
    pub(crate) fn max(self, other: Self) -> Self {
        Self(f32x4_pmax(other.0, self.0))
    }

    /// The lesser of each two lanes, of which `other` has the word where one is NaN.
    #[inline(always)]
    pub(crate) fn min(self, other: Self) -> Self {
        Self(f32x4_pmin(other.0, self.0))
    }

    #[inline(always)]
    pub(crate) fn magnitude(self) -> Self {
        Self(f32x4_abs(self.0))
    }

    #[inline(always)]
    pub(crate) fn sqrt(self) -> Self {
        Self(f32x4_sqrt(self.0))
    }

    /// Each lane rounded to the nearest whole number, halves to even ones.
    #[inline(always)]
    pub(crate) fn nearest(self) -> Self {
        Self(f32x4_nearest(self.0))
    }

    /// Two to the power of each lane, which is a whole number from -126 to 127.
    #[inline(always)]
    pub(crate) fn power_of_two(self) -> Self {
        let n = i32x4_trunc_sat_f32x4(self.0);
        Self(i32x4_shl(i32x4_add(n, i32x4_splat(127)), 23))
    }

    /// The same lane four times.
    #[inline(always)]
    pub(crate) fn lane<const LANE: usize>(self) -> Self {
        Self(i32x4_shuffle::<LANE, LANE, LANE, LANE>(self.0, self.0))
    }

    /// Sixteen whole numbers from -127 to 127 in four vectors, as bytes.
    #[inline(always)]
    pub(crate) fn to_bytes(parts: [Self; 4]) -> Bytes {
        let [a, b, c, d] = parts.map(|part| i32x4_trunc_sat_f32x4(part.0));
        Bytes(i8x16_narrow_i16x8(
            i16x8_narrow_i32x4(a, b),
            i16x8_narrow_i32x4(c, d),
        ))
    }
}

impl I32x4 {
    #[inline(always)]
    pub(crate) fn zero() -> Self {
        Self(i32x4_splat(0))
    }

    #[inline(always)]
    pub(crate) fn new([a, b, c, d]: [i32; 4]) -> Self {
        Self(i32x4(a, b, c, d))
    }

    /// The same lane four times.
    #[inline(always)]
    pub(crate) fn lane<const LANE: usize>(self) -> Self {
        Self(i32x4_shuffle::<LANE, LANE, LANE, LANE>(self.0, self.0))
    }

    #[inline(always)]
    pub(crate) fn to_f32(self) -> F32x4 {
        F32x4(f32x4_convert_i32x4(self.0))
    }

    /// Adds products of bytes: `x` from -127 to 127, `w` from 0 to 127. A lane gets the products
    /// of the four bytes that are in its place.
    #[inline(always)]
    pub(crate) fn plus_products_u7(self, x: Bytes, w: Bytes) -> Self {
        #[cfg(target_feature = "relaxed-simd")]
        return Self(i32x4_relaxed_dot_i8x16_i7x16_add(x.0, w.0, self.0));
        #[cfg(not(target_feature = "relaxed-simd"))]
        {
            let low = i16x8_extmul_low_i8x16(x.0, w.0);
            let high = i16x8_extmul_high_i8x16(x.0, w.0);
            let (low, high) = (
                i32x4_extadd_pairwise_i16x8(low),
                i32x4_extadd_pairwise_i16x8(high),
            );
            let even = i32x4_shuffle::<0, 2, 4, 6>(low, high);
            let odd = i32x4_shuffle::<1, 3, 5, 7>(low, high);
            Self(i32x4_add(self.0, i32x4_add(even, odd)))
        }
    }

    /// Products of bytes: `x` from -127 to 127, `w` from 0 to 63. A lane gets the products of the
    /// four bytes of either pair that are in its place: few enough to be added in sixteen bits.
    #[inline(always)]
    pub(crate) fn small_products(x: [Bytes; 2], w: [Bytes; 2]) -> Self {
        #[cfg(target_feature = "relaxed-simd")]
        return Self(i32x4_extadd_pairwise_i16x8(i16x8_add(
            i16x8_relaxed_dot_i8x16_i7x16(x[0].0, w[0].0),
            i16x8_relaxed_dot_i8x16_i7x16(x[1].0, w[1].0),
        )));
        #[cfg(not(target_feature = "relaxed-simd"))]
        return Self::zero()
            .plus_products_u7(x[0], w[0])
            .plus_products_u7(x[1], w[1]);
    }

    /// Adds products of words that are signed bytes. A lane gets the products of the two words that
    /// are in its place.
    #[inline(always)]
    pub(crate) fn plus_word_products(self, x: Words, w: Words) -> Self {
        Self(i32x4_add(self.0, i32x4_dot_i16x8(x.0, w.0)))
    }

    /// Adds products of signed bytes. Which lane gets which product is not said.
    #[inline(always)]
    pub(crate) fn plus_products(self, x: Bytes, w: Bytes) -> Self {
        let low = i32x4_dot_i16x8(i16x8_extend_low_i8x16(x.0), i16x8_extend_low_i8x16(w.0));
        let high = i32x4_dot_i16x8(i16x8_extend_high_i8x16(x.0), i16x8_extend_high_i8x16(w.0));
        Self(i32x4_add(self.0, i32x4_add(low, high)))
    }
}

impl Bytes {
    /// The bytes `bytes[AT..AT + 16]`.
    #[inline(always)]
    pub(crate) fn load<const AT: usize, const N: usize>(bytes: &[u8; N]) -> Self {
        const { assert!(AT + 16 <= N) }
        // SAFETY: the assertion above, and a load needs no alignment.
        Self(unsafe { v128_load(bytes.as_ptr().add(AT).cast()) })
    }

    #[inline(always)]
    pub(crate) fn to_array(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        // SAFETY: the array has sixteen bytes, and a store needs no alignment.
        unsafe { v128_store(bytes.as_mut_ptr().cast(), self.0) }
        bytes
    }

    #[inline(always)]
    pub(crate) fn and(self, mask: u8) -> Self {
        Self(v128_and(self.0, u8x16_splat(mask)))
    }

    #[inline(always)]
    pub(crate) fn or(self, other: Self) -> Self {
        Self(v128_or(self.0, other.0))
    }

    /// The same four bytes four times.
    #[inline(always)]
    pub(crate) fn four<const AT: usize>(self) -> Self {
        Self(i32x4_shuffle::<AT, AT, AT, AT>(self.0, self.0))
    }

    /// Each byte shifted to the right.
    #[inline(always)]
    pub(crate) fn shift_right<const BITS: u32>(self) -> Self {
        Self(v128_and(u16x8_shr(self.0, BITS), u8x16_splat(0xff >> BITS)))
    }

    /// The two bits of each byte from that one on.
    #[inline(always)]
    pub(crate) fn two_bits_from(self, bit: u32) -> Self {
        Self(v128_and(u16x8_shr(self.0, bit), u8x16_splat(3)))
    }

    /// `value` for each byte in which a bit of `mask` is set, and 0 elsewhere.
    #[inline(always)]
    pub(crate) fn where_set(self, mask: u8, value: u8) -> Self {
        let unset = i8x16_eq(v128_and(self.0, u8x16_splat(mask)), u8x16_splat(0));
        Self(v128_andnot(u8x16_splat(value), unset))
    }

    /// Each byte shifted to the left.
    #[inline(always)]
    pub(crate) fn shift_left<const BITS: u32>(self) -> Self {
        Self(v128_and(
            i16x8_shl(self.0, BITS),
            u8x16_splat((0xff_u32 << BITS) as u8),
        ))
    }

    /// `value` where a bit of `bits` is set, and 0 elsewhere: byte `i` for bit `i`.
    #[inline(always)]
    pub(crate) fn from_bits(bits: u16, value: u8) -> Self {
        let [low, high] = bits.to_le_bytes();
        let spread = i8x16_shuffle::<0, 0, 0, 0, 0, 0, 0, 0, 16, 16, 16, 16, 16, 16, 16, 16>(
            u8x16_splat(low),
            u8x16_splat(high),
        );
        let each = u8x16(1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128);
        let set = i8x16_eq(v128_and(spread, each), each);
        Self(v128_and(set, u8x16_splat(value)))
    }
}
