//! Products of matrices in tiles whose sums stay in registers.
//!
//! Four things that the compilers do shape the loops below. The host's computes a sum no earlier
//! than where the way through the code may part, and loads everything before it: after each step
//! stands a way out that is never taken, or the factors of many steps would wait in registers. It
//! also stores all sums around each look at the fuel: a turn has many steps. It adds a constant to
//! an address for nothing where the load says so, which rustc's has it say of what it knows to be
//! an array, but not of a place that a loop moves on: each turn begins with pointers of which it
//! knows nothing. And sums that a function shares with other work do not stay in registers.

use core::hint::black_box;

use super::lanes::{Bytes, F32x4, I32x4};

/// The rows of a tile. With its columns they are as many sums as sixteen registers of 128 bits
/// hold beside what is multiplied.
pub const TILE_ROWS: usize = 4;

/// The columns of a tile.
pub const TILE_COLUMNS: usize = 8;

/// A tile of a product: rows of sums.
pub type Tile = [[f32; TILE_COLUMNS]; TILE_ROWS];

/// Steps of a turn.
const STEPS: usize = 16;

/// Elements that share a scale where they are rounded.
pub(super) const BLOCK: usize = 32;

/// Elements whose products are one operation.
const GROUP: usize = 4;

/// Steps through a block.
pub(super) const GROUPS: usize = BLOCK / GROUP;

/// What is added to a rounded weight, so that none is below zero.
pub(super) const WEIGHT_ZERO: i32 = 64;

/// A block of as many rows of weights as a tile has columns, rounded to whole numbers from 1 to
/// 127: a weight is `scale * (number - WEIGHT_ZERO)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    /// Four elements of the first row, of the second, and so on, for each group of four.
    pub(super) weights: [[u8; GROUP * TILE_COLUMNS]; GROUPS],
    /// By row.
    pub(super) scales: [f32; TILE_COLUMNS],
}

/// A block of as many vectors as a tile has rows, rounded to whole numbers from -127 to 127: an
/// element is `scale * number`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounded {
    /// Four elements of the first vector, of the second, and so on, for each group of four.
    pub(super) values: [[u8; GROUP * TILE_ROWS]; GROUPS],
    /// By vector.
    pub(super) scales: [f32; TILE_ROWS],
    /// By vector, the sum of its numbers times `-WEIGHT_ZERO`: what their products with weights
    /// that have that added begin from.
    pub(super) starts: [i32; TILE_ROWS],
}

/// Adds to `sums[i][j]` all `left[k][i] * right[k][j]`, over the shorter of the two.
///
/// ```
/// use belljar_guest::kernels::{TILE_COLUMNS, TILE_ROWS, multiply_tile};
///
/// let mut sums = [[1.0; TILE_COLUMNS]; TILE_ROWS];
/// multiply_tile(&[[2.0; TILE_ROWS]; 3], &[[5.0; TILE_COLUMNS]; 3], &mut sums);
/// assert_eq!(sums, [[31.0; TILE_COLUMNS]; TILE_ROWS]);
/// ```
#[inline(never)]
pub fn multiply_tile(left: &[[f32; TILE_ROWS]], right: &[[f32; TILE_COLUMNS]], sums: &mut Tile) {
    let length = left.len().min(right.len());
    let (left_turns, left_rest) = left.split_at(length).0.as_chunks::<STEPS>();
    let (right_turns, right_rest) = right.split_at(length).0.as_chunks::<STEPS>();
    let mut lanes = sums.map(|row| [F32x4::load::<0, _>(&row), F32x4::load::<4, _>(&row)]);
    let mut left_over = black_box(length);
    'turns: for (left, right) in left_turns.iter().zip(right_turns) {
        let (left, right) = (black_box(left), black_box(right));
        macro_rules! steps {
            ($($at:literal)*) => {$(
                // There are as many steps as a turn has.
                if left_over == $at {
                    break 'turns;
                }
                lanes = step(&left[$at], &right[$at], lanes);
            )*};
        }
        steps!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        left_over = left_over.wrapping_sub(STEPS);
    }
    for (left, right) in left_rest.iter().zip(right_rest) {
        lanes = step(left, right, lanes);
    }
    store(lanes, sums);
}

/// Sets `sums[i][j]` to the product of vector `i` with row `j` of the weights, over the fewer of
/// the blocks.
#[inline(never)]
pub(super) fn multiply_rounded_tile(vectors: &[Rounded], weights: &[Panel], sums: &mut Tile) {
    let mut totals: Lanes = [[F32x4::splat(0.0); 2]; TILE_ROWS];
    let mut left_over = black_box(vectors.len().min(weights.len()).wrapping_mul(GROUPS));
    for (vectors, weights) in vectors.iter().zip(weights) {
        let (vectors, weights) = (black_box(vectors), black_box(weights));
        let starts = I32x4::new(vectors.starts);
        let mut wholes = [
            [starts.lane::<0>(); 2],
            [starts.lane::<1>(); 2],
            [starts.lane::<2>(); 2],
            [starts.lane::<3>(); 2],
        ];
        macro_rules! steps {
            ($($at:literal)*) => {'block: {$(
                // There are as many steps as a block has.
                if left_over == $at {
                    break 'block;
                }
                wholes = rounded_step(&vectors.values[$at], &weights.weights[$at], wholes);
            )*}};
        }
        steps!(0 1 2 3 4 5 6 7);
        left_over = left_over.wrapping_sub(GROUPS);
        let scales = F32x4::load::<0, _>(&vectors.scales);
        let (low, high) = (
            F32x4::load::<0, _>(&weights.scales),
            F32x4::load::<4, _>(&weights.scales),
        );
        let row = |scale: F32x4, [first, second]: [I32x4; 2], [one, other]: [F32x4; 2]| {
            [
                first.to_f32().times_plus(low.times(scale), one),
                second.to_f32().times_plus(high.times(scale), other),
            ]
        };
        let ([a, b, c, d], [w, x, y, z]) = (wholes, totals);
        totals = [
            row(scales.lane::<0>(), a, w),
            row(scales.lane::<1>(), b, x),
            row(scales.lane::<2>(), c, y),
            row(scales.lane::<3>(), d, z),
        ];
    }
    store(totals, sums);
}

type Lanes = [[F32x4; 2]; TILE_ROWS];
type Wholes = [[I32x4; 2]; TILE_ROWS];

/// Written out, as is the next, because sums in an array that a loop goes over are not kept in
/// registers.
#[inline(always)]
fn step(left: &[f32; TILE_ROWS], right: &[f32; TILE_COLUMNS], sums: Lanes) -> Lanes {
    let (low, high) = (F32x4::load::<0, _>(right), F32x4::load::<4, _>(right));
    let row = |factor: F32x4, [first, second]: [F32x4; 2]| {
        [
            factor.times_plus(low, first),
            factor.times_plus(high, second),
        ]
    };
    let factors = F32x4::load::<0, _>(left);
    let [a, b, c, d] = sums;
    [
        row(factors.lane::<0>(), a),
        row(factors.lane::<1>(), b),
        row(factors.lane::<2>(), c),
        row(factors.lane::<3>(), d),
    ]
}

#[inline(always)]
fn rounded_step(
    vectors: &[u8; GROUP * TILE_ROWS],
    weights: &[u8; GROUP * TILE_COLUMNS],
    sums: Wholes,
) -> Wholes {
    let (low, high) = (Bytes::load::<0, _>(weights), Bytes::load::<16, _>(weights));
    let row = |x: Bytes, [first, second]: [I32x4; 2]| {
        [
            first.plus_products_u7(x, low),
            second.plus_products_u7(x, high),
        ]
    };
    let values = Bytes::load::<0, _>(vectors);
    let [a, b, c, d] = sums;
    [
        row(values.four::<0>(), a),
        row(values.four::<1>(), b),
        row(values.four::<2>(), c),
        row(values.four::<3>(), d),
    ]
}

#[inline(always)]
fn store(lanes: Lanes, sums: &mut Tile) {
    for (row, [low, high]) in sums.iter_mut().zip(lanes) {
        let (first, second) = row.split_at_mut(4);
        for (half, lanes) in [(first, low), (second, high)] {
            if let Some(half) = half.first_chunk_mut::<4>() {
                lanes.store(half);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_is_the_sum_of_its_products() {
        for length in [0, 1, 3, 4, 5, 9, 15, 16, 17, 32, 50] {
            let left: std::vec::Vec<[f32; TILE_ROWS]> = (0..length)
                .map(|k| core::array::from_fn(|i| (k * 7 + i) as f32))
                .collect();
            let right: std::vec::Vec<[f32; TILE_COLUMNS]> = (0..length)
                .map(|k| core::array::from_fn(|j| (k * 3 + j) as f32 - 4.0))
                .collect();
            let mut sums = [[0.5; TILE_COLUMNS]; TILE_ROWS];
            multiply_tile(&left, &right, &mut sums);
            for (i, row) in sums.iter().enumerate() {
                for (j, sum) in row.iter().enumerate() {
                    let pairs = left.iter().zip(&right);
                    let expected: f32 = pairs.map(|(left, right)| left[i] * right[j]).sum();
                    assert_eq!(*sum, expected + 0.5, "{length}: {i}, {j}");
                }
            }
        }
    }

    #[test]
    fn a_rounded_tile_is_the_sum_of_its_products() {
        for length in [0, 1, 2, 5] {
            let vectors: std::vec::Vec<Rounded> = (0..length)
                .map(|k| {
                    let values = core::array::from_fn(|group| {
                        core::array::from_fn(|at| ((k * 31 + group * 17 + at * 5) % 255) as u8)
                            .map(|byte: u8| byte.wrapping_sub(127))
                    });
                    let starts = core::array::from_fn(|i| {
                        let of_one = |group: &[u8; 16]| -> i32 {
                            group[4 * i..4 * i + 4]
                                .iter()
                                .map(|byte| i32::from(*byte as i8))
                                .sum()
                        };
                        -WEIGHT_ZERO * values.iter().map(of_one).sum::<i32>()
                    });
                    Rounded {
                        values,
                        scales: [0.5, 1.0, 2.0, 0.25],
                        starts,
                    }
                })
                .collect();
            let weights: std::vec::Vec<Panel> = (0..length)
                .map(|k| Panel {
                    weights: core::array::from_fn(|group| {
                        core::array::from_fn(|at| 1 + ((k * 13 + group * 7 + at * 3) % 127) as u8)
                    }),
                    scales: core::array::from_fn(|j| 0.5 * j as f32),
                })
                .collect();
            let mut sums = [[7.0; TILE_COLUMNS]; TILE_ROWS];
            multiply_rounded_tile(&vectors, &weights, &mut sums);
            for (i, row) in sums.iter().enumerate() {
                for (j, sum) in row.iter().enumerate() {
                    let mut expected = 0.0;
                    for (x, w) in vectors.iter().zip(&weights) {
                        let mut whole = 0;
                        for (x, w) in x.values.iter().zip(&w.weights) {
                            for at in 0..4 {
                                let x = i32::from(x[4 * i + at] as i8);
                                whole += x * (i32::from(w[4 * j + at]) - WEIGHT_ZERO);
                            }
                        }
                        expected += whole as f32 * x.scales[i] * w.scales[j];
                    }
                    assert_eq!(*sum, expected, "{length}: {i}, {j}");
                }
            }
        }
    }
}
