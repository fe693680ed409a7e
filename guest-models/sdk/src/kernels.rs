//! The inner loops of most models, unrolled.
//!
//! The host meters each loop iteration, and a loop with a single accumulator also waits for its
//! own last addition: both make the obvious loop several times slower in the sandbox than these,
//! which keep four to eight accumulators busy. With the target features `simd128` and `relaxed-simd` they use
//! 128-bit vectors and fused multiply-add; without, they are unrolled scalar loops.
//!
//! The order of additions differs from a plain loop's, so the last bits of `f32` results do too,
//! and with `relaxed-simd` they may differ between kinds of hosts.
//!
//! [`Matrix`] multiplies weights as they lie in a GGUF file, [`Packed`] those that were laid out for
//! it, [`multiply_tile`] matrices that were cut into tiles, and the rest is what a transformer does
//! between its matrices.

#[cfg(test)]
mod against_loops;
mod formats;
mod lanes;
mod layers;
mod matrix;
mod packed;
mod tiles;

pub use formats::Format;
pub use layers::{
    add_weighted_rows, dot_rows, exp_less, gelu, gelu_tanh, greatest, layer_norm, rms_norm,
    softmax, swiglu,
};
pub use matrix::{Input, Matrix, MatrixError};
pub use packed::{Packed, PackedError, PackedInput, Precision};
pub use tiles::{TILE_COLUMNS, TILE_ROWS, Tile, multiply_tile};

/// The sum of `a[i] * b[i]`, over the shorter of the two.
///
/// ```
/// assert_eq!(belljar_guest::kernels::dot_f32(&[1.0, 2.0], &[3.0, 4.0]), 11.0);
/// ```
pub fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    let length = a.len().min(b.len());
    let (a, b) = (a.split_at(length).0, b.split_at(length).0);
    let (a_blocks, a_rest) = a.as_chunks::<BLOCK_F32>();
    let (b_blocks, b_rest) = b.as_chunks::<BLOCK_F32>();
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    blocks::dot_f32(a_blocks, b_blocks) + rest
}

/// `y[i] += alpha * x[i]`, over the shorter of the two.
///
/// ```
/// let mut y = [1.0, 1.0];
/// belljar_guest::kernels::axpy_f32(2.0, &[3.0, 4.0], &mut y);
/// assert_eq!(y, [7.0, 9.0]);
/// ```
pub fn axpy_f32(alpha: f32, x: &[f32], y: &mut [f32]) {
    let length = x.len().min(y.len());
    let (x_blocks, x_rest) = x.split_at(length).0.as_chunks::<BLOCK_F32>();
    let (y_blocks, y_rest) = y.split_at_mut(length).0.as_chunks_mut::<BLOCK_F32>();
    blocks::axpy_f32(alpha, x_blocks, y_blocks);
    for (x, y) in x_rest.iter().zip(y_rest) {
        *y += alpha * x;
    }
}

/// The sum of `a[i] * b[i]`, exactly, over the shorter of the two. It wraps above 131 071
/// elements of the greatest magnitude.
///
/// ```
/// assert_eq!(belljar_guest::kernels::dot_i8(&[-128, 2], &[-128, 3]), 16_390);
/// ```
pub fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    dot_i8_by(a, b, blocks::dot_i8)
}

/// As [`dot_i8`], and faster, where each element of `b` is from 0 to 127. Outside of that range
/// the result depends on the host.
///
/// ```
/// assert_eq!(belljar_guest::kernels::dot_i8_i7(&[-128, 2], &[127, 3]), -16_250);
/// ```
pub fn dot_i8_i7(a: &[i8], b: &[i8]) -> i32 {
    debug_assert!(
        b.iter().all(|&element| element >= 0),
        "an element of `b` is negative"
    );
    dot_i8_by(a, b, blocks::dot_i8_i7)
}

fn dot_i8_by(a: &[i8], b: &[i8], whole_blocks: fn(&[BytesBlock], &[BytesBlock]) -> i32) -> i32 {
    let length = a.len().min(b.len());
    let (a_blocks, a_rest) = a.split_at(length).0.as_chunks::<BLOCK_I8>();
    let (b_blocks, b_rest) = b.split_at(length).0.as_chunks::<BLOCK_I8>();
    let rest = a_rest.iter().zip(b_rest).fold(0i32, |sum, (&x, &y)| {
        sum.wrapping_add(i32::from(x) * i32::from(y))
    });
    whole_blocks(a_blocks, b_blocks).wrapping_add(rest)
}

/// Eight vectors of four.
const BLOCK_F32: usize = 32;
/// Four vectors of sixteen: a product of bytes needs two accumulators a vector.
const BLOCK_I8: usize = 64;

type BytesBlock = [i8; BLOCK_I8];

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod blocks {
    use core::arch::wasm32::*;

    use super::{BLOCK_F32, BLOCK_I8};

    #[cfg(target_feature = "relaxed-simd")]
    fn multiply_add(x: v128, y: v128, sum: v128) -> v128 {
        f32x4_relaxed_madd(x, y, sum)
    }

    #[cfg(not(target_feature = "relaxed-simd"))]
    fn multiply_add(x: v128, y: v128, sum: v128) -> v128 {
        f32x4_add(f32x4_mul(x, y), sum)
    }

    /// The vector at `elements[4 * index..]`.
    fn load_f32<const N: usize>(elements: &[f32; N], index: usize) -> v128 {
        debug_assert!(4 * index + 4 <= N, "the vector lies within the block");
        // SAFETY: each caller's index is below N / 4, and a load needs no alignment.
        unsafe { v128_load(elements.as_ptr().add(4 * index).cast()) }
    }

    /// The vector at `elements[16 * index..]`.
    fn load_i8<const N: usize>(elements: &[i8; N], index: usize) -> v128 {
        debug_assert!(16 * index + 16 <= N, "the vector lies within the block");
        // SAFETY: each caller's index is below N / 16, and a load needs no alignment.
        unsafe { v128_load(elements.as_ptr().add(16 * index).cast()) }
    }

    pub(super) fn dot_f32(a: &[[f32; BLOCK_F32]], b: &[[f32; BLOCK_F32]]) -> f32 {
        let mut sums = [f32x4_splat(0.0); 8];
        for (a, b) in a.iter().zip(b) {
            for (index, sum) in sums.iter_mut().enumerate() {
                *sum = multiply_add(load_f32(a, index), load_f32(b, index), *sum);
            }
        }
        let [s0, s1, s2, s3, s4, s5, s6, s7] = sums;
        let low = f32x4_add(f32x4_add(s0, s1), f32x4_add(s2, s3));
        let high = f32x4_add(f32x4_add(s4, s5), f32x4_add(s6, s7));
        let all = f32x4_add(low, high);
        (f32x4_extract_lane::<0>(all) + f32x4_extract_lane::<1>(all))
            + (f32x4_extract_lane::<2>(all) + f32x4_extract_lane::<3>(all))
    }

    pub(super) fn axpy_f32(alpha: f32, x: &[[f32; BLOCK_F32]], y: &mut [[f32; BLOCK_F32]]) {
        let alpha = f32x4_splat(alpha);
        for (x, y) in x.iter().zip(y) {
            for index in 0..BLOCK_F32 / 4 {
                let sum = multiply_add(alpha, load_f32(x, index), load_f32(y, index));
                // SAFETY: the index is below BLOCK_F32 / 4, and a store needs no alignment.
                unsafe { v128_store(y.as_mut_ptr().add(4 * index).cast(), sum) }
            }
        }
    }

    pub(super) fn dot_i8(a: &[[i8; BLOCK_I8]], b: &[[i8; BLOCK_I8]]) -> i32 {
        let mut sums = [i32x4_splat(0); 8];
        for (a, b) in a.iter().zip(b) {
            for (index, pair) in sums.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                let (x, y) = (load_i8(a, index), load_i8(b, index));
                let low = i32x4_dot_i16x8(i16x8_extend_low_i8x16(x), i16x8_extend_low_i8x16(y));
                let high = i32x4_dot_i16x8(i16x8_extend_high_i8x16(x), i16x8_extend_high_i8x16(y));
                let [first, second] = pair;
                *first = i32x4_add(*first, low);
                *second = i32x4_add(*second, high);
            }
        }
        sum_i32(sums)
    }

    #[cfg(not(target_feature = "relaxed-simd"))]
    pub(super) use dot_i8 as dot_i8_i7;

    #[cfg(target_feature = "relaxed-simd")]
    pub(super) fn dot_i8_i7(a: &[[i8; BLOCK_I8]], b: &[[i8; BLOCK_I8]]) -> i32 {
        let mut sums = [i32x4_splat(0); 4];
        for (a, b) in a.iter().zip(b) {
            for (index, sum) in sums.iter_mut().enumerate() {
                *sum =
                    i32x4_relaxed_dot_i8x16_i7x16_add(load_i8(a, index), load_i8(b, index), *sum);
            }
        }
        let [s0, s1, s2, s3] = sums;
        let none = i32x4_splat(0);
        sum_i32([s0, s1, s2, s3, none, none, none, none])
    }

    fn sum_i32(sums: [v128; 8]) -> i32 {
        let [s0, s1, s2, s3, s4, s5, s6, s7] = sums;
        let low = i32x4_add(i32x4_add(s0, s1), i32x4_add(s2, s3));
        let high = i32x4_add(i32x4_add(s4, s5), i32x4_add(s6, s7));
        let all = i32x4_add(low, high);
        (i32x4_extract_lane::<0>(all).wrapping_add(i32x4_extract_lane::<1>(all)))
            .wrapping_add(i32x4_extract_lane::<2>(all))
            .wrapping_add(i32x4_extract_lane::<3>(all))
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod blocks {
    use super::{BLOCK_F32, BLOCK_I8};

    pub(super) fn dot_f32(a: &[[f32; BLOCK_F32]], b: &[[f32; BLOCK_F32]]) -> f32 {
        let mut sums = [0f32; 8];
        for (a, b) in a.iter().zip(b) {
            for (a, b) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
                for ((sum, x), y) in sums.iter_mut().zip(a).zip(b) {
                    *sum += x * y;
                }
            }
        }
        sums.iter().sum()
    }

    pub(super) fn axpy_f32(alpha: f32, x: &[[f32; BLOCK_F32]], y: &mut [[f32; BLOCK_F32]]) {
        for (x, y) in x.iter().zip(y) {
            for (x, y) in x.iter().zip(y) {
                *y += alpha * x;
            }
        }
    }

    pub(super) fn dot_i8(a: &[[i8; BLOCK_I8]], b: &[[i8; BLOCK_I8]]) -> i32 {
        let mut sums = [0i32; 8];
        for (a, b) in a.iter().zip(b) {
            for (a, b) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
                for ((sum, &x), &y) in sums.iter_mut().zip(a).zip(b) {
                    *sum = sum.wrapping_add(i32::from(x) * i32::from(y));
                }
            }
        }
        sums.iter().fold(0, |sum, &part| sum.wrapping_add(part))
    }

    pub(super) use dot_i8 as dot_i8_i7;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths around each block's edges.
    const LENGTHS: [usize; 12] = [0, 1, 3, 31, 32, 33, 63, 64, 65, 127, 192, 1000];

    fn noise(length: usize, seed: u64) -> impl Iterator<Item = u64> {
        let mut state = seed;
        (0..length).map(move |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        })
    }

    fn floats(length: usize, seed: u64) -> Vec<f32> {
        noise(length, seed)
            .map(|bits| (bits % 2001) as f32 / 1000.0 - 1.0)
            .collect()
    }

    fn bytes(length: usize, seed: u64) -> Vec<i8> {
        noise(length, seed).map(|bits| bits as i8).collect()
    }

    #[test]
    fn dot_f32_agrees_with_the_plain_loop() {
        for length in LENGTHS {
            let (a, b) = (floats(length, 1), floats(length, 2));
            let plain: f64 = a
                .iter()
                .zip(&b)
                .map(|(&x, &y)| f64::from(x) * f64::from(y))
                .sum();
            let unrolled = f64::from(dot_f32(&a, &b));
            assert!(
                (plain - unrolled).abs() < 1e-3,
                "{length}: {plain} and {unrolled}"
            );
        }
    }

    #[test]
    fn axpy_f32_agrees_with_the_plain_loop() {
        for length in LENGTHS {
            let (x, mut y) = (floats(length, 3), floats(length, 4));
            let plain: Vec<f32> = x.iter().zip(&y).map(|(x, y)| y + 0.5 * x).collect();
            axpy_f32(0.5, &x, &mut y);
            assert_eq!(y, plain, "{length}");
        }
    }

    #[test]
    fn dot_i8_agrees_with_the_plain_loop() {
        for length in LENGTHS {
            let (a, mut b) = (bytes(length, 5), bytes(length, 6));
            let plain = |a: &[i8], b: &[i8]| -> i32 {
                a.iter()
                    .zip(b)
                    .map(|(&x, &y)| i32::from(x) * i32::from(y))
                    .sum()
            };
            assert_eq!(dot_i8(&a, &b), plain(&a, &b), "{length}");
            b.iter_mut().for_each(|element| *element &= 0x7f);
            assert_eq!(dot_i8_i7(&a, &b), plain(&a, &b), "{length}");
        }
        assert_eq!(dot_i8(&[-128; 1000], &[-128; 1000]), 16_384_000);
    }

    #[test]
    fn the_shorter_side_decides() {
        assert_eq!(dot_f32(&[1.0; 40], &[2.0; 33]), 66.0);
        assert_eq!(dot_i8(&[1; 70], &[2; 65]), 130);
        let mut y = [0.0; 3];
        axpy_f32(1.0, &[1.0; 2], &mut y);
        assert_eq!(y, [1.0, 1.0, 0.0]);
    }
}
