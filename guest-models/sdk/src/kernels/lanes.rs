//! Vectors of 128 bits: the processor's own under WebAssembly, arrays elsewhere.
//!
//! Both do the same operations in the same order. Only [`F32x4::times_plus`] may differ: with
//! `relaxed-simd` it is one fused operation on hosts that have it, with one rounding less.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod plain;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) use wasm::{Bytes, F32x4, I32x4, Words};

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub(crate) use plain::{Bytes, F32x4, I32x4, Words};

impl F32x4 {
    /// The exponential of each lane, within two units in the last place from -87 to 88; outside
    /// of that it is that of the nearer bound.
    ///
    /// By `exp(x) = 2^n * exp(r)` with `|r| <= ln(2) / 2`, and the polynomial of degree 6 of the
    /// exponential around 0, in which the coefficients of Cephes' `expf` take up the rest.
    #[inline(always)]
    pub(crate) fn exp(self) -> Self {
        // ln(2) in two parts, the first of which has so few bits that products with it are exact.
        const LN_2_HIGH: f32 = 0.693_359_4;
        const LN_2_LOW: f32 = -2.121_944_4e-4;
        const COEFFICIENTS: [f32; 6] = [
            1.987_569_1e-4,
            1.398_2e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            1.666_666_5e-1,
            5e-1,
        ];
        let x = self.max(Self::splat(-87.0)).min(Self::splat(88.0));
        let n = x.times(Self::splat(core::f32::consts::LOG2_E)).nearest();
        let r = x
            .minus(n.times(Self::splat(LN_2_HIGH)))
            .minus(n.times(Self::splat(LN_2_LOW)));
        let mut sum = Self::splat(COEFFICIENTS[0]);
        for coefficient in COEFFICIENTS.into_iter().skip(1) {
            sum = sum.times_plus(r, Self::splat(coefficient));
        }
        let sum = sum.times_plus(r.times(r), r).plus(Self::splat(1.0));
        sum.times(n.power_of_two())
    }

    /// The sum of the lanes, in a fixed order.
    #[inline(always)]
    pub(crate) fn sum(self) -> f32 {
        let [a, b, c, d] = self.to_array();
        (a + b) + (c + d)
    }

    /// The greatest of the lanes.
    #[inline(always)]
    pub(crate) fn greatest(self) -> f32 {
        let [a, b, c, d] = self.to_array();
        a.max(b).max(c.max(d))
    }
}
