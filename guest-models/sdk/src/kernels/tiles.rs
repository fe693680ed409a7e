//! Products of matrices of `f32` in tiles that stay in registers.

use super::lanes::F32x4;

/// The rows of a tile. With its columns they are as many sums as sixteen registers of 128 bits
/// hold beside what is multiplied.
pub const TILE_ROWS: usize = 4;

/// The columns of a tile.
pub const TILE_COLUMNS: usize = 8;

/// A tile of a product: rows of sums.
pub type Tile = [[f32; TILE_COLUMNS]; TILE_ROWS];

/// Adds to `sums[i][j]` all `left[k][i] * right[k][j]`, over the shorter of the two.
///
/// ```
/// use belljar_guest::kernels::{TILE_COLUMNS, TILE_ROWS, multiply_tile};
///
/// let mut sums = [[1.0; TILE_COLUMNS]; TILE_ROWS];
/// multiply_tile(&[[2.0; TILE_ROWS]; 3], &[[5.0; TILE_COLUMNS]; 3], &mut sums);
/// assert_eq!(sums, [[31.0; TILE_COLUMNS]; TILE_ROWS]);
/// ```
pub fn multiply_tile(left: &[[f32; TILE_ROWS]], right: &[[f32; TILE_COLUMNS]], sums: &mut Tile) {
    let length = left.len().min(right.len());
    let (left, right) = (left.split_at(length).0, right.split_at(length).0);
    let mut lanes = sums.map(|row| [F32x4::load::<0, _>(&row), F32x4::load::<4, _>(&row)]);
    // One step a turn: of several the compiler would make one long expression a sum, for which it
    // needs the factors of all of them at once, and the registers are too few.
    for (left, right) in left.iter().zip(right) {
        lanes = step(left, right, lanes);
    }
    for (row, [low, high]) in sums.iter_mut().zip(lanes) {
        let (first, second) = row.split_at_mut(4);
        for (half, lanes) in [(first, low), (second, high)] {
            if let Some(half) = half.first_chunk_mut::<4>() {
                lanes.store(half);
            }
        }
    }
}

type Lanes = [[F32x4; 2]; TILE_ROWS];

/// Written out, because sums in an array that a loop goes over are not kept in registers.
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
        row(factors.splat_lane::<0>(), a),
        row(factors.splat_lane::<1>(), b),
        row(factors.splat_lane::<2>(), c),
        row(factors.splat_lane::<3>(), d),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_is_the_sum_of_its_products() {
        for length in [0, 1, 3, 4, 5, 9] {
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
}
