//! Convolutions with fewer products than weights and outputs have pairs.
//!
//! Along one side of its kernel, a convolution with steps of one is a product of polynomials. Eight
//! neighbours of a line, and the taps of the kernel there, are taken to the values of theirs at
//! eight points; those of all channels are multiplied as matrices, a point at a time; and what
//! comes out is taken back to `9 - taps` neighbours of the output. Eight products stand for three to
//! six times three to six: two and a quarter to two and a half times as many.
//!
//! S. Winograd, *Arithmetic Complexity of Computations*, 1980; for networks A. Lavin and S. Gray,
//! *Fast Algorithms for Convolutional Neural Networks*, 2015. The matrices are those of Toom and
//! Cook for the points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity, in 32 bits: sums differ from those
//! by the definition in the sixth digit of the largest. A number that is not finite is seen by all
//! outputs that are taken back with it.

use std::array;

use belljar_guest::kernels::{TILE_COLUMNS, TILE_ROWS, Tile, multiply_tile};

/// At which polynomials are evaluated.
const POINTS: usize = 8;

/// All of them but infinity.
const FINITE: [f64; POINTS - 1] = [0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5];

/// Along the side: with fewer or more, little is saved.
const TAPS: std::ops::RangeInclusive<usize> = 3..=6;

/// Below so many rows, and so many weights at a point of each, the way there and back costs more
/// than it brings.
const ROWS_MIN: usize = 32;
const DEPTH_MIN: usize = 16;

/// The most bytes of weights at the points, which are more than the weights themselves: what does
/// not stay near the processor is waited for.
const WEIGHTS_BYTES_MAX: usize = 8 << 20;

/// How many numbers of the input are at the points at a time, for the same reason.
const RIGHT_NUMBERS: usize = 128 << 10;

/// One number for each of the neighbours, or columns, that are computed side by side.
type Lanes = [f32; TILE_COLUMNS];

/// The weights of a convolution at the points.
pub(crate) struct Filters {
    /// Along which lines lie: 0 from row to row, 1 within a row.
    pub(crate) axis: usize,
    taps: usize,
    rows: usize,
    /// Of a row, at each point: by channel, and by the kernel's places across lines.
    depth: usize,
    /// Of four rows each, at each point, the weights of the four side by side.
    panels: Vec<[f32; TILE_ROWS]>,
}

/// Where lines lie in a picture with zeros around it.
pub(crate) struct Lines<'a> {
    pub(crate) input: &'a [f32],
    /// By the kernel's channels and places across lines: from the beginning of a line.
    pub(crate) offsets: Vec<usize>,
    /// From one element of a line to the next.
    pub(crate) along: usize,
    /// From the beginning of a line to that of the next which the output has.
    pub(crate) across: usize,
    /// Elements of a line.
    pub(crate) length: usize,
    /// Lines that go out, and elements of each.
    pub(crate) out: [usize; 2],
}

/// A part of a line that is taken to the points and back as one.
#[derive(Clone, Copy)]
struct Piece {
    line: usize,
    /// Its first element, of the input as of the output.
    start: usize,
}

impl Filters {
    /// The weights of `rows` channels that go out, each for `channels` that come in and a kernel of
    /// those sides, by `at`; none where the definition is as fast.
    pub(crate) fn new(
        rows: usize,
        channels: usize,
        kernel: [usize; 2],
        at: impl Fn(usize, usize, [usize; 2]) -> f32,
    ) -> Option<Self> {
        let axis = usize::from(kernel[1] >= kernel[0]);
        let (taps, places) = (kernel[axis], kernel[1 - axis]);
        let depth = channels * places;
        let groups = rows.div_ceil(TILE_ROWS);
        let numbers = (groups * TILE_ROWS * POINTS).checked_mul(depth)?;
        let is_worth_it = TAPS.contains(&taps)
            && rows >= ROWS_MIN
            && depth >= DEPTH_MIN
            && numbers <= WEIGHTS_BYTES_MAX / size_of::<f32>();
        if !is_worth_it {
            return None;
        }
        let matrix = to_points(taps);
        let mut panels = Vec::with_capacity(numbers / TILE_ROWS);
        for first in (0..rows).step_by(TILE_ROWS) {
            for point in &matrix {
                for k in 0..depth {
                    let (channel, place) = (k / places, k % places);
                    panels.push(array::from_fn(|i| {
                        let row = first + i;
                        if row >= rows {
                            return 0.0;
                        }
                        let terms = point.iter().enumerate().map(|(tap, factor)| {
                            let mut spot = [place; 2];
                            spot[axis] = tap;
                            factor * f64::from(at(row, channel, spot))
                        });
                        terms.sum::<f64>() as f32
                    }));
                }
            }
        }
        Some(Self {
            axis,
            taps,
            rows,
            depth,
            panels,
        })
    }

    /// Calls `store` with each row, line and place of the output, and its sum.
    pub(crate) fn run(&self, lines: &Lines<'_>, mut store: impl FnMut(usize, usize, usize, f32)) {
        let [count, length] = lines.out;
        let given = POINTS + 1 - self.taps;
        let pieces = length.div_ceil(given);
        let all = count * pieces;
        let piece = |index: usize| Piece {
            line: index / pieces,
            start: index % pieces * given,
        };
        let wide = (RIGHT_NUMBERS / (POINTS * TILE_COLUMNS * self.depth)).max(1);
        let (mut right, mut sums) = (Vec::new(), Vec::new());
        for first in (0..all).step_by(wide * TILE_COLUMNS) {
            let columns: Vec<[Piece; TILE_COLUMNS]> = (first..all)
                .step_by(TILE_COLUMNS)
                .take(wide)
                .map(|at| array::from_fn(|lane| piece((at + lane).min(all - 1))))
                .collect();
            self.evaluate(lines, &columns, &mut right);
            let lefts = self.panels.chunks_exact(POINTS * self.depth);
            for (group, left) in lefts.enumerate() {
                self.multiply(left, &right, columns.len(), &mut sums);
                for (panel, pieces) in columns.iter().enumerate() {
                    let seen = TILE_COLUMNS.min(all - first - panel * TILE_COLUMNS);
                    let pieces = pieces.get(..seen).unwrap_or_default();
                    let tiles: [Tile; POINTS] = array::from_fn(|point| {
                        let tile = sums.get(point * columns.len() + panel);
                        tile.copied().unwrap_or_default()
                    });
                    for i in 0..TILE_ROWS.min(self.rows - group * TILE_ROWS) {
                        let values = self.interpolate(tiles.map(|tile| tile[i]));
                        let values = values.get(..given).unwrap_or_default();
                        each_within(pieces, values, length, |line, place, sum| {
                            store(group * TILE_ROWS + i, line, place, sum);
                        });
                    }
                }
            }
        }
    }

    /// Sets, by point and then by panel of columns, the products of four rows' weights.
    fn multiply(
        &self,
        left: &[[f32; TILE_ROWS]],
        right: &[Lanes],
        panels: usize,
        sums: &mut Vec<Tile>,
    ) {
        sums.clear();
        sums.resize(POINTS * panels, [[0.0; TILE_COLUMNS]; TILE_ROWS]);
        let lefts = left.chunks_exact(self.depth);
        let rights = right.chunks_exact(panels * self.depth);
        for ((left, right), sums) in lefts.zip(rights).zip(sums.chunks_exact_mut(panels)) {
            for (right, sums) in right.chunks_exact(self.depth).zip(sums) {
                multiply_tile(left, right, sums);
            }
        }
    }

    /// Takes pieces of all channels to the points: of each point, of eight pieces each, a row for
    /// each weight.
    fn evaluate(
        &self,
        lines: &Lines<'_>,
        columns: &[[Piece; TILE_COLUMNS]],
        right: &mut Vec<Lanes>,
    ) {
        let size = columns.len() * self.depth;
        right.clear();
        right.resize(POINTS * size, [0.0; TILE_COLUMNS]);
        for (panel, pieces) in columns.iter().enumerate() {
            let starts = pieces.map(|piece| piece.line * lines.across + piece.start * lines.along);
            // What is behind a line is not the line's.
            let there = pieces.map(|piece| POINTS.min(lines.length - piece.start));
            for (k, offset) in lines.offsets.iter().enumerate() {
                let mut numbers = [[0.0; TILE_COLUMNS]; POINTS];
                for (lane, (start, there)) in starts.iter().zip(there).enumerate() {
                    let line = lines.input.get(start + offset..).unwrap_or_default();
                    let line = line.iter().step_by(lines.along).take(there);
                    for (numbers, number) in numbers.iter_mut().zip(line) {
                        numbers[lane] = *number;
                    }
                }
                for (point, values) in evaluated(numbers).into_iter().enumerate() {
                    if let Some(place) = right.get_mut(point * size + panel * self.depth + k) {
                        *place = values;
                    }
                }
            }
        }
    }

    /// From the points back: as many neighbours as the kernel leaves, and no sense behind them.
    #[inline(always)]
    fn interpolate(&self, at: [Lanes; POINTS]) -> [Lanes; POINTS - 2] {
        let [
            zero,
            one,
            minus_one,
            two,
            minus_two,
            half,
            minus_half,
            infinity,
        ] = at;
        let pairs = [[one, minus_one], [two, minus_two], [half, minus_half]];
        let even = pairs.map(|[plus, minus]| lanes(|lane| plus[lane] + minus[lane]));
        let odd = pairs.map(|[plus, minus]| lanes(|lane| plus[lane] - minus[lane]));
        let last = POINTS - self.taps;
        array::from_fn(|power| {
            let [ones, twos, halves] = if power % 2 == 0 { even } else { odd };
            let factor = (1 << power) as f32;
            let inverse = 1.0 / factor;
            lanes(|lane| {
                let sum = ones[lane] + factor * twos[lane] + inverse * halves[lane];
                if power == 0 {
                    sum + zero[lane]
                } else if power == last {
                    sum + infinity[lane]
                } else {
                    sum
                }
            })
        })
    }
}

/// Calls `store` with the line, the place and the number of each neighbour that is within its line.
#[inline(always)]
fn each_within(
    pieces: &[Piece],
    values: &[Lanes],
    length: usize,
    mut store: impl FnMut(usize, usize, f32),
) {
    for (offset, numbers) in values.iter().enumerate() {
        for (piece, number) in pieces.iter().zip(numbers) {
            let place = piece.start + offset;
            if place < length {
                store(piece.line, place, *number);
            }
        }
    }
}

#[inline(always)]
fn lanes(of: impl FnMut(usize) -> f32) -> Lanes {
    array::from_fn(of)
}

/// By point, what the taps are multiplied by.
fn to_points(taps: usize) -> Vec<Vec<f64>> {
    let mut matrix: Vec<Vec<f64>> = FINITE
        .iter()
        .map(|point| {
            let others = FINITE.iter().filter(|other| *other != point);
            let product: f64 = others.map(|other| point - other).product();
            (0..taps)
                .map(|tap| point.powi(tap as i32) / product)
                .collect()
        })
        .collect();
    matrix.push(
        (0..taps)
            .map(|tap| f64::from(u8::from(tap + 1 == taps)))
            .collect(),
    );
    matrix
}

/// Eight neighbours at the points: sums with the coefficients of the product of all `x - point` but
/// one; at infinity, of all.
#[inline(always)]
fn evaluated(d: [Lanes; POINTS]) -> [Lanes; POINTS] {
    let [d0, d1, d2, d3, d4, d5, d6, d7] = d;
    let pair = |even: Lanes, odd: Lanes| {
        [
            lanes(|lane| even[lane] + odd[lane]),
            lanes(|lane| even[lane] - odd[lane]),
        ]
    };
    let [one, minus_one] = pair(
        lanes(|lane| d2[lane] - 4.25 * d4[lane] + d6[lane]),
        lanes(|lane| d1[lane] - 4.25 * d3[lane] + d5[lane]),
    );
    let [two, minus_two] = pair(
        lanes(|lane| 0.25 * d2[lane] - 1.25 * d4[lane] + d6[lane]),
        lanes(|lane| 0.5 * d1[lane] - 2.5 * d3[lane] + 2.0 * d5[lane]),
    );
    let [half, minus_half] = pair(
        lanes(|lane| 4.0 * d2[lane] - 5.0 * d4[lane] + d6[lane]),
        lanes(|lane| 2.0 * d1[lane] - 2.5 * d3[lane] + 0.5 * d5[lane]),
    );
    let zero = lanes(|lane| d6[lane] - d0[lane] + 5.25 * (d2[lane] - d4[lane]));
    let infinity = lanes(|lane| d7[lane] - d1[lane] + 5.25 * (d3[lane] - d5[lane]));
    [
        zero, one, minus_one, two, minus_two, half, minus_half, infinity,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look like chance, between -1 and 1.
    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn sums_are_those_of_the_definition() {
        const CHANNELS: usize = 40;
        const ROWS: usize = 33;
        for taps in TAPS {
            // Lengths of lines that are whole pieces, and not; fewer and more than a turn has.
            for (count, length) in [(1, 1), (1, 9), (3, 20), (1, 508), (41, 12)] {
                let (x, w) = (
                    numbers(CHANNELS * count * (length + taps - 1), taps as u32),
                    numbers(ROWS * CHANNELS * taps, length as u32),
                );
                let filters = Filters::new(ROWS, CHANNELS, [1, taps], |row, channel, spot| {
                    w[(row * CHANNELS + channel) * taps + spot[1]]
                })
                .unwrap();
                let padded = length + taps - 1;
                let lines = Lines {
                    input: &x,
                    offsets: (0..CHANNELS)
                        .map(|channel| channel * count * padded)
                        .collect(),
                    along: 1,
                    across: padded,
                    length: padded,
                    out: [count, length],
                };
                let mut given = vec![None; ROWS * count * length];
                filters.run(&lines, |row, line, place, sum| {
                    given[(row * count + line) * length + place] = Some(sum);
                });
                for (at, given) in given.into_iter().enumerate() {
                    let (row, line, place) =
                        (at / (count * length), at / length % count, at % length);
                    let (mut sum, mut size) = (0.0, 0.0);
                    for channel in 0..CHANNELS {
                        for tap in 0..taps {
                            let from = (channel * count + line) * padded + place + tap;
                            let product = f64::from(x[from])
                                * f64::from(w[(row * CHANNELS + channel) * taps + tap]);
                            sum += product;
                            size += product.abs();
                        }
                    }
                    let error = (f64::from(given.unwrap()) - sum).abs();
                    assert!(
                        error < 2e-6 * size,
                        "{taps}, {count}, {length}, {at}: {error}, {size}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_behind_a_line_is_not_seen() {
        let filters = Filters::new(32, 16, [3, 1], |_, _, _| 1.0).unwrap();
        let mut input = vec![1.0; 16 * 2 * 7];
        // Behind the seventh row, where the next channel begins, nothing may be read as a number.
        input.extend([f32::NAN; 14]);
        let lines = Lines {
            input: &input,
            offsets: (0..16).map(|channel| channel * 14).collect(),
            along: 2,
            across: 1,
            length: 7,
            out: [2, 5],
        };
        let mut seen = 0;
        filters.run(&lines, |_, _, _, sum| {
            assert!((sum - 48.0).abs() < 1e-3, "{sum}");
            seen += 1;
        });
        assert_eq!(seen, 32 * 2 * 5);
    }
}
