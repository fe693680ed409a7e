//! Products of matrices with weights.
//!
//! The library's own loop for WebAssembly keeps more sums at once than the processor has
//! registers, and copies its weights into order for each request. Here the weights lie in the
//! order in which [`multiply_tile`] takes them, from `load` on, and in no other.

use belljar_guest::kernels::{TILE_COLUMNS, TILE_ROWS, Tile, multiply_tile};

/// How many steps of the sums are taken at a time, so that what they read stays near the
/// processor.
const DEPTH_BLOCK: usize = 256;

/// How many columns are computed at a time, for the same reason.
const COLUMNS_BLOCK: usize = 512;

/// Weights in the order of tiles: of four rows each the first elements, then the second ones.
pub(crate) struct Packed {
    rows: usize,
    depth: usize,
    panels: Vec<[f32; TILE_ROWS]>,
}

impl Packed {
    /// Weights of so many rows, of which `at` tells the elements.
    pub(crate) fn new(rows: usize, depth: usize, at: impl Fn(usize, usize) -> f32) -> Self {
        let mut panels = Vec::with_capacity(rows.div_ceil(TILE_ROWS) * depth);
        for first in (0..rows).step_by(TILE_ROWS) {
            panels.extend((0..depth).map(|k| {
                std::array::from_fn(|i| {
                    let row = first + i;
                    if row < rows { at(row, k) } else { 0.0 }
                })
            }));
        }
        Self {
            rows,
            depth,
            panels,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Multiplies by so many columns. `fill` writes eight columns from the first one on, and of
    /// them the elements from one on, as many as there is room for; `store` takes a tile of sums
    /// with the places of its first row and column.
    pub(crate) fn multiply(
        &self,
        columns: usize,
        mut fill: impl FnMut(usize, usize, &mut [[f32; TILE_COLUMNS]]),
        mut store: impl FnMut(usize, usize, &Tile),
    ) {
        let tall = self.rows.div_ceil(TILE_ROWS);
        let mut right = Vec::new();
        let mut sums: Vec<Tile> = Vec::new();
        for first in (0..columns).step_by(COLUMNS_BLOCK) {
            let wide = (columns - first).min(COLUMNS_BLOCK).div_ceil(TILE_COLUMNS);
            sums.clear();
            sums.resize(tall * wide, [[0.0; TILE_COLUMNS]; TILE_ROWS]);
            for start in (0..self.depth).step_by(DEPTH_BLOCK) {
                let depth = (self.depth - start).min(DEPTH_BLOCK);
                right.clear();
                right.resize(wide * depth, [0.0; TILE_COLUMNS]);
                for (index, panel) in right.chunks_exact_mut(depth).enumerate() {
                    fill(first + index * TILE_COLUMNS, start, panel);
                }
                let lefts = self.panels.chunks_exact(self.depth);
                for (left, sums) in lefts.zip(sums.chunks_exact_mut(wide)) {
                    let left = left.get(start..start + depth).unwrap_or_default();
                    for (right, sums) in right.chunks_exact(depth).zip(sums) {
                        multiply_tile(left, right, sums);
                    }
                }
            }
            for (row, sums) in sums.chunks_exact(wide).enumerate() {
                for (column, sums) in sums.iter().enumerate() {
                    store(row * TILE_ROWS, first + column * TILE_COLUMNS, sums);
                }
            }
        }
    }

    /// Rows of numbers times the weights: for each row of `input` one of as many numbers as the
    /// weights have rows.
    pub(crate) fn times_rows(&self, input: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let columns = input.len().checked_div(self.depth).unwrap_or_default();
        let mut output = vec![0.0; columns * self.rows];
        if columns == 1 {
            self.times_row(input, &mut output);
            add_bias(&mut output, bias);
            return output;
        }
        let fill = |column: usize, start: usize, panel: &mut [[f32; TILE_COLUMNS]]| {
            for lane in 0..TILE_COLUMNS.min(columns - column) {
                let from = (column + lane) * self.depth + start;
                let row = input.get(from..from + panel.len()).unwrap_or_default();
                for (numbers, number) in panel.iter_mut().zip(row) {
                    if let Some(place) = numbers.get_mut(lane) {
                        *place = *number;
                    }
                }
            }
        };
        let store = |row: usize, column: usize, tile: &Tile| {
            let wanted = TILE_ROWS.min(self.rows - row);
            for lane in 0..TILE_COLUMNS.min(columns - column) {
                let to = (column + lane) * self.rows + row;
                let out = output.get_mut(to..to + wanted).unwrap_or_default();
                for (out, sums) in out.iter_mut().zip(tile) {
                    *out = sums.get(lane).copied().unwrap_or_default();
                }
            }
        };
        self.multiply(columns, fill, store);
        for row in output.chunks_exact_mut(self.rows.max(1)) {
            add_bias(row, bias);
        }
        output
    }

    /// One row alone, for which a tile would be empty but for one column.
    fn times_row(&self, input: &[f32], output: &mut [f32]) {
        let panels = self.panels.chunks_exact(self.depth.max(1));
        for (panel, out) in panels.zip(output.chunks_mut(TILE_ROWS)) {
            let mut sums = [0.0; TILE_ROWS];
            for (weights, number) in panel.iter().zip(input) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += weight * number;
                }
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = sum;
            }
        }
    }
}

fn add_bias(row: &mut [f32], bias: Option<&[f32]>) {
    for (number, bias) in row.iter_mut().zip(bias.unwrap_or_default()) {
        *number += bias;
    }
}
