//! Matrices of weights laid out for the processor, times vectors.
//!
//! Four rows lie side by side, so that what is loaded once meets several vectors. This costs a pass
//! over the weights when a model is loaded; [`Matrix`](super::Matrix) takes them as they lie in a
//! file. What an element of the result is does not depend on how many vectors there are.

use alloc::vec::Vec;
use core::fmt;

use super::lanes::{Bytes, F32x4, I32x4};
use super::matrix::{BLOCK, Block, Input};

/// Rows that lie side by side.
const ROWS: usize = 4;
/// Vectors that meet the same weights. With more the sums no longer fit into the registers.
const TOGETHER: usize = 2;
/// Steps between two looks of the host at the fuel, where sums leave the registers.
const UNROLLED: usize = 8;

/// What weights are held as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// IEEE 754 binary32; vectors are taken as they are.
    F32,
    /// Whole numbers from 0 to 127 with a scale and a minimum for each 32 of a row; vectors are
    /// rounded to eight bits with a scale for each 32.
    Int8,
}

/// A matrix of weights for many vectors.
#[derive(Clone, Debug)]
pub struct Packed {
    rows: usize,
    columns: usize,
    weights: Weights,
}

#[derive(Clone, Debug)]
enum Weights {
    /// Four elements of each of four rows.
    F32(Vec<[f32; 4 * ROWS]>),
    Int8(Vec<Panel>),
}

/// Thirty-two elements of each of four rows: an element is `scale * weight + minimum`.
#[derive(Clone, Copy, Debug)]
struct Panel {
    /// Four elements of the first row, of the second, and so on, eight times. They are from 0 to
    /// 127, for which products of bytes are fastest.
    weights: [[u8; 4 * ROWS]; BLOCK / 4],
    /// By row.
    scales: [f32; ROWS],
    /// By row.
    minimums: [f32; ROWS],
}

/// The greatest of the whole numbers that stand for weights.
const WEIGHT_MAX: f32 = 127.0;

/// Why there is no such matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackedError {
    /// It does not fit into memory.
    Size {
        /// Its rows.
        rows: usize,
        /// Its columns.
        columns: usize,
    },
    /// A row of [`Precision::Int8`] is no whole number of blocks.
    Columns {
        /// The elements of a row.
        columns: usize,
        /// The elements of a block.
        block: usize,
    },
}

impl fmt::Display for PackedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Size { rows, columns } => {
                write!(
                    f,
                    "{rows} rows of {columns} elements do not fit into memory"
                )
            }
            Self::Columns { columns, block } => write!(
                f,
                "a row of {columns} elements is not made of blocks of {block}"
            ),
        }
    }
}

impl core::error::Error for PackedError {}

impl Packed {
    /// A matrix of zeros.
    ///
    /// ```
    /// use belljar_guest::kernels::{Input, Packed, Precision};
    ///
    /// let mut matrix = Packed::zeros(Precision::F32, 2, 2)?;
    /// matrix.set_row(0, &[1.0, 2.0]);
    /// matrix.set_row(1, &[3.0, 4.0]);
    /// let mut product = [0.0; 2];
    /// matrix.multiply(&Input::from_rows(2, &[1.0, 10.0]), &mut product);
    /// assert_eq!(product, [21.0, 43.0]);
    /// # Ok::<(), belljar_guest::kernels::PackedError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PackedError`] where there is no room, or a row cannot be rounded in whole blocks.
    pub fn zeros(precision: Precision, rows: usize, columns: usize) -> Result<Self, PackedError> {
        let too_large = || PackedError::Size { rows, columns };
        let groups = rows.div_ceil(ROWS);
        let weights = match precision {
            Precision::F32 => {
                let count = groups.checked_mul(columns.div_ceil(4));
                Weights::F32(filled([0.0; 4 * ROWS], count).ok_or_else(too_large)?)
            }
            Precision::Int8 => {
                if !columns.is_multiple_of(BLOCK) {
                    return Err(PackedError::Columns {
                        columns,
                        block: BLOCK,
                    });
                }
                let zeros = Panel {
                    weights: [[0; 4 * ROWS]; BLOCK / 4],
                    scales: [0.0; ROWS],
                    minimums: [0.0; ROWS],
                };
                let count = groups.checked_mul(columns / BLOCK);
                Weights::Int8(filled(zeros, count).ok_or_else(too_large)?)
            }
        };
        Ok(Self {
            rows,
            columns,
            weights,
        })
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many elements a row has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Sets a row, as far as `numbers` goes; whether there is such a row.
    pub fn set_row(&mut self, index: usize, numbers: &[f32]) -> bool {
        if index >= self.rows {
            return false;
        }
        let (group, lane) = (index / ROWS, index % ROWS);
        let columns = self.columns;
        match &mut self.weights {
            Weights::F32(parts) => {
                let numbers = numbers.get(..columns).unwrap_or(numbers);
                for (part, four) in group_mut(parts, group, columns.div_ceil(4))
                    .iter_mut()
                    .zip(numbers.chunks(4))
                {
                    let places = part.iter_mut().skip(4 * lane);
                    places.zip(four).for_each(|(to, from)| *to = *from);
                }
            }
            Weights::Int8(panels) => {
                for (panel, block) in group_mut(panels, group, columns / BLOCK)
                    .iter_mut()
                    .zip(numbers.chunks(BLOCK))
                {
                    panel.set(lane, block);
                }
            }
        }
        true
    }

    /// Writes a row as numbers, as far as `numbers` goes; whether there is such a row.
    pub fn write_row(&self, index: usize, numbers: &mut [f32]) -> bool {
        if index >= self.rows {
            return false;
        }
        let (group, lane) = (index / ROWS, index % ROWS);
        match &self.weights {
            Weights::F32(parts) => {
                let parts = self::group(parts, group, self.columns.div_ceil(4));
                for (part, four) in parts.iter().zip(numbers.chunks_mut(4)) {
                    let places = part.iter().skip(4 * lane);
                    four.iter_mut()
                        .zip(places)
                        .for_each(|(to, from)| *to = *from);
                }
            }
            Weights::Int8(panels) => {
                let panels = self::group(panels, group, self.columns / BLOCK);
                for (panel, block) in panels.iter().zip(numbers.chunks_mut(BLOCK)) {
                    panel.write(lane, block);
                }
            }
        }
        true
    }

    /// Gives an input vectors that this matrix and others of its columns and precision take. Those
    /// of [`Precision::F32`] take any input; this leaves out the rounding that they do not need.
    ///
    /// # Panics
    ///
    /// Where the numbers are no whole vectors.
    pub fn set_input(&self, input: &mut Input, numbers: &[f32]) {
        match self.weights {
            Weights::F32(_) => input.set_exact(self.columns, numbers),
            Weights::Int8(_) => input.set(self.columns, numbers),
        }
    }

    /// Multiplies the matrix by each vector of the input. The result has an element for each row,
    /// vector after vector.
    ///
    /// # Panics
    ///
    /// Where the vectors are not as long as a row or were set for matrices of another precision, or
    /// `products` is not as long as the result.
    pub fn multiply(&self, input: &Input, products: &mut [f32]) {
        assert_eq!(input.columns(), self.columns, "vectors are as long as rows");
        assert_eq!(
            products.len(),
            input.count() * self.rows,
            "a product for each row and vector"
        );
        match &self.weights {
            Weights::F32(parts) => self.each_tile(
                parts,
                self.columns.div_ceil(4),
                input.numbers(),
                self.columns,
                products,
                (tile_f32::<TOGETHER>, tile_f32::<1>),
            ),
            Weights::Int8(panels) => {
                let length = self.columns / BLOCK;
                let rounded = input.blocks();
                assert_eq!(rounded.len(), input.count() * length, "vectors are rounded");
                self.each_tile(
                    panels,
                    length,
                    rounded,
                    length,
                    products,
                    (tile_int8::<TOGETHER>, tile_int8::<1>),
                );
            }
        }
    }

    /// Computes the products of four rows with several vectors at a time, and of the vectors that
    /// are left one by one. A row has `length` parts, a vector `step`.
    fn each_tile<W, X>(
        &self,
        parts: &[W],
        length: usize,
        vectors: &[X],
        step: usize,
        products: &mut [f32],
        (several, one): (Tile<W, X, TOGETHER>, Tile<W, X, 1>),
    ) {
        let rows = self.rows;
        if length == 0 || rows == 0 {
            return products.fill(0.0);
        }
        for (group, weights) in parts.chunks_exact(length).enumerate() {
            let first = group * ROWS;
            let write = |found: &[f32; ROWS], products: &mut [f32]| {
                let places = products.iter_mut().skip(first);
                places.zip(found).for_each(|(to, from)| *to = *from);
            };
            let mut products = products.chunks_exact_mut(TOGETHER * rows);
            let mut vectors = vectors.chunks_exact(TOGETHER * step);
            for (products, vectors) in products.by_ref().zip(vectors.by_ref()) {
                let found = several(weights, split(vectors, step));
                for (products, found) in products.chunks_exact_mut(rows).zip(&found) {
                    write(found, products);
                }
            }
            let rest = products.into_remainder().chunks_exact_mut(rows);
            for (products, vector) in rest.zip(vectors.remainder().chunks_exact(step)) {
                let [found] = one(weights, [vector]);
                write(&found, products);
            }
        }
    }
}

/// The products of four rows with vectors, vector by vector.
type Tile<W, X, const N: usize> = fn(&[W], [&[X]; N]) -> [[f32; ROWS]; N];

fn split<X, const N: usize>(vectors: &[X], step: usize) -> [&[X]; N] {
    let mut parts = vectors.chunks_exact(step);
    core::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// So many times the same, where they fit into memory.
fn filled<T: Copy>(value: T, count: Option<usize>) -> Option<Vec<T>> {
    let count = count?;
    let mut all = Vec::new();
    all.try_reserve_exact(count).ok()?;
    all.resize(count, value);
    Some(all)
}

fn group<T>(parts: &[T], group: usize, length: usize) -> &[T] {
    let start = group * length;
    parts.get(start..start + length).unwrap_or_default()
}

fn group_mut<T>(parts: &mut [T], group: usize, length: usize) -> &mut [T] {
    let start = group * length;
    parts.get_mut(start..start + length).unwrap_or_default()
}

impl Panel {
    /// Rounds up to thirty-two elements of a row.
    fn set(&mut self, lane: usize, numbers: &[f32]) {
        let least = numbers.iter().copied().fold(f32::INFINITY, f32::min);
        let greatest = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scale = (greatest - least) / WEIGHT_MAX;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        for (places, value) in [(&mut self.scales, scale), (&mut self.minimums, least)] {
            if let Some(place) = places.get_mut(lane) {
                *place = value;
            }
        }
        for (weights, four) in self.weights.iter_mut().zip(numbers.chunks(4)) {
            for (place, number) in weights.iter_mut().skip(4 * lane).zip(four) {
                // Rounded by adding a half: what is cast is never below zero.
                *place = ((number - least) * inverse + 0.5).min(WEIGHT_MAX) as u8;
            }
        }
    }

    fn write(&self, lane: usize, numbers: &mut [f32]) {
        let of = |places: &[f32; ROWS]| places.get(lane).copied().unwrap_or_default();
        let (scale, minimum) = (of(&self.scales), of(&self.minimums));
        for (weights, four) in self.weights.iter().zip(numbers.chunks_mut(4)) {
            for (weight, place) in weights.iter().skip(4 * lane).zip(four) {
                *place = scale * f32::from(*weight) + minimum;
            }
        }
    }
}

// A function of its own, as is the next: in a larger one the sums would not stay in registers.
#[inline(never)]
fn tile_f32<const N: usize>(weights: &[[f32; 4 * ROWS]], vectors: [&[f32]; N]) -> [[f32; ROWS]; N] {
    let mut sums = [[F32x4::splat(0.0); ROWS]; N];
    let vectors = vectors.map(|vector| vector.as_chunks::<4>());
    let mut at = 0;
    'all: loop {
        // The look at each length parts the steps for the compiler, which otherwise loads
        // everything first and then has no register left.
        for _ in 0..UNROLLED {
            let Some(weights) = weights.get(at) else {
                break 'all;
            };
            let mut x = [F32x4::splat(0.0); N];
            for (x, (fours, _)) in x.iter_mut().zip(&vectors) {
                let Some(four) = fours.get(at) else {
                    break 'all;
                };
                *x = F32x4::load::<0, 4>(four);
            }
            add(&mut sums, weights, x);
            at += 1;
        }
    }
    if let Some(weights) = weights.get(at) {
        let x = vectors.map(|(_, rest)| {
            let mut four = [0.0; 4];
            four.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            F32x4::new(four)
        });
        add(&mut sums, weights, x);
    }
    sums.map(|rows| rows.map(F32x4::sum))
}

#[inline(always)]
fn add<const N: usize>(sums: &mut [[F32x4; ROWS]; N], weights: &[f32; 4 * ROWS], x: [F32x4; N]) {
    let weights = [
        F32x4::load::<0, 16>(weights),
        F32x4::load::<4, 16>(weights),
        F32x4::load::<8, 16>(weights),
        F32x4::load::<12, 16>(weights),
    ];
    for (sums, x) in sums.iter_mut().zip(x) {
        for (sum, weights) in sums.iter_mut().zip(weights) {
            *sum = weights.times_plus(x, *sum);
        }
    }
}

#[inline(never)]
fn tile_int8<const N: usize>(panels: &[Panel], vectors: [&[Block]; N]) -> [[f32; ROWS]; N] {
    let mut sums = [F32x4::splat(0.0); N];
    for (at, panel) in panels.iter().enumerate() {
        let mut blocks = [&Block::ZERO; N];
        for (block, vector) in blocks.iter_mut().zip(vectors) {
            let Some(found) = vector.get(at) else {
                break;
            };
            *block = found;
        }
        let [w0, w1, w2, w3, w4, w5, w6, w7] = &panel.weights;
        let mut wholes = [I32x4::zero(); N];
        for (whole, block) in wholes.iter_mut().zip(blocks) {
            let x = block.first();
            *whole = whole
                .plus_products_u7(x.four::<0>(), Bytes::load::<0, 16>(w0))
                .plus_products_u7(x.four::<1>(), Bytes::load::<0, 16>(w1))
                .plus_products_u7(x.four::<2>(), Bytes::load::<0, 16>(w2))
                .plus_products_u7(x.four::<3>(), Bytes::load::<0, 16>(w3));
        }
        for (whole, block) in wholes.iter_mut().zip(blocks) {
            let x = block.last();
            *whole = whole
                .plus_products_u7(x.four::<0>(), Bytes::load::<0, 16>(w4))
                .plus_products_u7(x.four::<1>(), Bytes::load::<0, 16>(w5))
                .plus_products_u7(x.four::<2>(), Bytes::load::<0, 16>(w6))
                .plus_products_u7(x.four::<3>(), Bytes::load::<0, 16>(w7));
        }
        let scales = F32x4::new(panel.scales);
        let minimums = F32x4::new(panel.minimums);
        for ((sum, whole), block) in sums.iter_mut().zip(wholes).zip(blocks) {
            let scaled = whole.to_f32().times(F32x4::splat(block.scale()));
            *sum = minimums.times_plus(F32x4::splat(block.sum()), *sum);
            *sum = scaled.times_plus(scales, *sum);
        }
    }
    sums.map(F32x4::to_array)
}
