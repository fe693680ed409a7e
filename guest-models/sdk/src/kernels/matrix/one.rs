//! Four rows of blocks times one vector: what a language model does for each token that it writes.

use core::hint::black_box;

use super::super::formats::{Blocks, Q8_0};
use super::super::lanes::{F32x4, I32x4, Words};
use super::{Block, Sums};

/// Blocks of a turn, of formats whose blocks have one part. The module of tiles says why there are
/// several, and why between them stands a way out that is never taken.
const TURN: usize = 6;

/// The products of four rows with one vector.
#[inline(never)]
pub(super) fn one_vector<F: Blocks>(rows: [&[u8]; 4], vector: &[Block]) -> [f32; 4] {
    let mut sums = Sums::new();
    let [r0, r1, r2, r3] = rows.map(F::blocks);
    if F::PARTS > 1 {
        let blocks = vector.chunks_exact(F::PARTS);
        for ((((r0, r1), r2), r3), blocks) in r0.iter().zip(r1).zip(r2).zip(r3).zip(blocks) {
            for (part, block) in blocks.iter().enumerate() {
                sums.add::<F>(&F::panel([r0, r1, r2, r3], part), block);
            }
        }
        return sums.finish();
    }
    let [(t0, r0), (t1, r1), (t2, r2), (t3, r3)] = [r0, r1, r2, r3].map(|row| row.as_chunks());
    let (turns, rest) = vector.as_chunks::<TURN>();
    let mut left_over = black_box(vector.len());
    'turns: for ((((r0, r1), r2), r3), blocks) in t0.iter().zip(t1).zip(t2).zip(t3).zip(turns) {
        let [r0, r1, r2, r3]: [&[F::Block; TURN]; 4] = [r0, r1, r2, r3].map(black_box);
        let blocks = black_box(blocks);
        macro_rules! steps {
            ($($at:literal)*) => {$(
                // There are as many blocks as a turn has.
                if left_over == $at {
                    break 'turns;
                }
                let rows = [&r0[$at], &r1[$at], &r2[$at], &r3[$at]];
                sums.add::<F>(&F::panel(rows, 0), &blocks[$at]);
            )*};
        }
        steps!(0 1 2 3 4 5);
        left_over = left_over.wrapping_sub(TURN);
    }
    for ((((r0, r1), r2), r3), block) in r0.iter().zip(r1).zip(r2).zip(r3).zip(rest) {
        sums.add::<F>(&F::panel([r0, r1, r2, r3], 0), block);
    }
    sums.finish()
}

/// The same for rows of signed bytes, which are widened as they are loaded: the same operations in
/// another order. What is loaded for a row meets the vector before the next row is.
#[inline(never)]
pub(super) fn one_vector_of_bytes(rows: [&[u8]; 4], vector: &[Block]) -> [f32; 4] {
    let mut sums = Sums::new();
    let [(t0, r0), (t1, r1), (t2, r2), (t3, r3)] = rows.map(|row| Q8_0::blocks(row).as_chunks());
    let (turns, rest) = vector.as_chunks::<TURN>();
    let row = |sum: F32x4, weights: &[u8; Q8_0::BYTES], x: &[Words; 4], scale: F32x4| {
        let [a, b, c, d] = Q8_0::words(weights);
        let [e, f, g, h] = *x;
        let whole = I32x4::zero().plus_word_products(e, a);
        let whole = whole.plus_word_products(f, b).plus_word_products(g, c);
        let whole = whole.plus_word_products(h, d).to_f32();
        whole.times_plus(scale, sum)
    };
    let mut left_over = black_box(vector.len().wrapping_mul(4));
    'turns: for ((((r0, r1), r2), r3), blocks) in t0.iter().zip(t1).zip(t2).zip(t3).zip(turns) {
        let [r0, r1, r2, r3]: [&[_; TURN]; 4] = [r0, r1, r2, r3].map(black_box);
        let blocks = black_box(blocks);
        macro_rules! steps {
            ($($at:literal $first:literal $second:literal $third:literal $fourth:literal,)*) => {$(
                let [s0, s1, s2, s3] = &mut sums.rows;
                let x = blocks[$at].words();
                let scales = Q8_0::scales([&r0[$at], &r1[$at], &r2[$at], &r3[$at]])
                    .times(F32x4::splat(blocks[$at].scale));
                // There are four rows, and as many blocks as a turn has.
                if left_over == $first {
                    break 'turns;
                }
                *s0 = row(*s0, &r0[$at], &x, scales.lane::<0>());
                if left_over == $second {
                    break 'turns;
                }
                *s1 = row(*s1, &r1[$at], &x, scales.lane::<1>());
                if left_over == $third {
                    break 'turns;
                }
                *s2 = row(*s2, &r2[$at], &x, scales.lane::<2>());
                if left_over == $fourth {
                    break 'turns;
                }
                *s3 = row(*s3, &r3[$at], &x, scales.lane::<3>());
            )*};
        }
        steps!(0 0 1 2 3, 1 4 5 6 7, 2 8 9 10 11, 3 12 13 14 15, 4 16 17 18 19, 5 20 21 22 23,);
        left_over = left_over.wrapping_sub(4 * TURN);
    }
    for ((((r0, r1), r2), r3), block) in r0.iter().zip(r1).zip(r2).zip(r3).zip(rest) {
        sums.add::<Q8_0>(&Q8_0::panel([r0, r1, r2, r3], 0), block);
    }
    sums.finish()
}
