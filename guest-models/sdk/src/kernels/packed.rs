//! Matrices of weights laid out for the processor, times vectors.
//!
//! Eight rows lie side by side, and four vectors, so that what is loaded once meets several others
//! in tiles. This costs a pass over the weights when a model is loaded;
//! [`Matrix`](super::Matrix) takes them as they lie in a file. What an element of the result is
//! does not depend on how many vectors there are.

use alloc::vec::Vec;
use core::fmt;

use super::matrix::round;
use super::tiles::{
    BLOCK, GROUPS, Panel, Rounded, TILE_COLUMNS, TILE_ROWS, Tile, WEIGHT_ZERO,
    multiply_rounded_tile, multiply_tile,
};

/// Elements of a row that are multiplied before those of another: as many as stay in the
/// processor's nearest memory with those of the vectors.
const DEPTH: usize = 512;

/// What weights are held as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// IEEE 754 binary32; vectors are taken as they are.
    F32,
    /// Whole numbers from -63 to 63 with a scale for each 32 of a row; vectors are rounded to
    /// eight bits with a scale for each 32.
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
    /// An element of each of eight rows.
    F32(Vec<[f32; TILE_COLUMNS]>),
    Int8(Vec<Panel>),
}

/// The greatest of the whole numbers that stand for weights, before what is added to them.
const WEIGHT_MAX: f32 = 63.0;

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
    /// use belljar_guest::kernels::{Packed, PackedInput, Precision};
    ///
    /// let mut matrix = Packed::zeros(Precision::F32, 2, 2)?;
    /// matrix.set_row(0, &[1.0, 2.0]);
    /// matrix.set_row(1, &[3.0, 4.0]);
    /// let mut input = PackedInput::new();
    /// matrix.set_input(&mut input, &[1.0, 10.0]);
    /// let mut product = [0.0; 2];
    /// matrix.multiply(&input, &mut product);
    /// assert_eq!(product, [21.0, 43.0]);
    /// # Ok::<(), belljar_guest::kernels::PackedError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PackedError`] where there is no room, or a row cannot be rounded in whole blocks.
    pub fn zeros(precision: Precision, rows: usize, columns: usize) -> Result<Self, PackedError> {
        let too_large = || PackedError::Size { rows, columns };
        let groups = rows.div_ceil(TILE_COLUMNS);
        let weights = match precision {
            Precision::F32 => {
                let count = groups.checked_mul(columns);
                Weights::F32(filled([0.0; TILE_COLUMNS], count).ok_or_else(too_large)?)
            }
            Precision::Int8 => {
                if !columns.is_multiple_of(BLOCK) {
                    return Err(PackedError::Columns {
                        columns,
                        block: BLOCK,
                    });
                }
                let zeros = Panel {
                    weights: [[WEIGHT_ZERO as u8; 4 * TILE_COLUMNS]; GROUPS],
                    scales: [0.0; TILE_COLUMNS],
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
        let (group, lane) = (index / TILE_COLUMNS, index % TILE_COLUMNS);
        let columns = self.columns;
        match &mut self.weights {
            Weights::F32(parts) => {
                let parts = group_mut(parts, group, columns);
                for (part, number) in parts.iter_mut().zip(numbers) {
                    if let Some(place) = part.get_mut(lane) {
                        *place = *number;
                    }
                }
            }
            Weights::Int8(panels) => {
                let panels = group_mut(panels, group, columns / BLOCK);
                for (panel, block) in panels.iter_mut().zip(numbers.chunks(BLOCK)) {
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
        let (group, lane) = (index / TILE_COLUMNS, index % TILE_COLUMNS);
        match &self.weights {
            Weights::F32(parts) => {
                let parts = self::group(parts, group, self.columns);
                for (part, place) in parts.iter().zip(numbers) {
                    *place = part.get(lane).copied().unwrap_or_default();
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

    /// Gives an input vectors that this matrix takes, and each other of its columns and precision.
    ///
    /// # Panics
    ///
    /// Where the numbers are no whole vectors.
    pub fn set_input(&self, input: &mut PackedInput, numbers: &[f32]) {
        assert!(
            self.columns > 0 && numbers.len().is_multiple_of(self.columns),
            "numbers are whole vectors"
        );
        input.columns = self.columns;
        input.count = numbers.len() / self.columns;
        input.exact.clear();
        input.rounded.clear();
        for four in numbers.chunks(TILE_ROWS * self.columns) {
            match self.weights {
                Weights::F32(_) => lay_exact(four, self.columns, &mut input.exact),
                Weights::Int8(_) => lay_rounded(four, self.columns, &mut input.rounded),
            }
        }
    }

    /// Multiplies the matrix by each vector of the input. The result has an element for each row,
    /// vector after vector.
    ///
    /// # Panics
    ///
    /// Where the vectors were set for matrices of another size or precision, or `products` is not
    /// as long as the result.
    pub fn multiply(&self, input: &PackedInput, products: &mut [f32]) {
        let (rows, columns) = (self.rows, self.columns);
        assert_eq!(input.columns, columns, "vectors are as long as rows");
        assert_eq!(
            products.len(),
            input.count * rows,
            "a product for each row and vector"
        );
        let fours = input.count.div_ceil(TILE_ROWS);
        if columns == 0 || rows == 0 || fours == 0 {
            return products.fill(0.0);
        }
        match &self.weights {
            Weights::F32(parts) => {
                assert_eq!(input.exact.len(), fours * columns, "vectors are exact");
                for start in (0..columns).step_by(DEPTH) {
                    let end = columns.min(start + DEPTH);
                    for (group, weights) in parts.chunks_exact(columns).enumerate() {
                        let weights = weights.get(start..end).unwrap_or_default();
                        let vectors = input.exact.chunks_exact(columns);
                        let four_rows = products.chunks_mut(TILE_ROWS * rows);
                        for (vectors, products) in vectors.zip(four_rows) {
                            let vectors = vectors.get(start..end).unwrap_or_default();
                            let mut places = Places::new(products, rows, group);
                            let mut sums = match start {
                                0 => Tile::default(),
                                _ => places.load(),
                            };
                            multiply_tile(vectors, weights, &mut sums);
                            places.store(&sums);
                        }
                    }
                }
            }
            Weights::Int8(panels) => {
                let blocks = columns / BLOCK;
                assert_eq!(input.rounded.len(), fours * blocks, "vectors are rounded");
                for (group, weights) in panels.chunks_exact(blocks).enumerate() {
                    let vectors = input.rounded.chunks_exact(blocks);
                    for (vectors, products) in vectors.zip(products.chunks_mut(TILE_ROWS * rows)) {
                        let mut sums = Tile::default();
                        multiply_rounded_tile(vectors, weights, &mut sums);
                        Places::new(products, rows, group).store(&sums);
                    }
                }
            }
        }
    }
}

/// Vectors to multiply matrices by, laid out for those of one size and precision.
#[derive(Clone, Debug, Default)]
pub struct PackedInput {
    columns: usize,
    count: usize,
    /// An element of each of four vectors.
    exact: Vec<[f32; TILE_ROWS]>,
    rounded: Vec<Rounded>,
}

impl PackedInput {
    /// No vectors. [`Packed::set_input`] gives it some, in the memory of those before.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many vectors there are.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// Lays up to four vectors side by side, and zeros for those that are missing.
fn lay_exact(numbers: &[f32], columns: usize, to: &mut Vec<[f32; TILE_ROWS]>) {
    let start = to.len();
    to.resize(start + columns, [0.0; TILE_ROWS]);
    let places = to.get_mut(start..).unwrap_or_default();
    let mut vectors = numbers.chunks_exact(columns);
    if let [Some(a), Some(b), Some(c), Some(d)] = core::array::from_fn(|_| vectors.next()) {
        for ((((place, a), b), c), d) in places.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *place = [*a, *b, *c, *d];
        }
        return;
    }
    for (lane, vector) in numbers.chunks_exact(columns).enumerate() {
        for (place, number) in places.iter_mut().zip(vector) {
            if let Some(place) = place.get_mut(lane) {
                *place = *number;
            }
        }
    }
}

/// Rounds up to four vectors, side by side, with zeros for those that are missing.
fn lay_rounded(numbers: &[f32], columns: usize, to: &mut Vec<Rounded>) {
    let start = to.len();
    let zeros = Rounded {
        values: [[0; 4 * TILE_ROWS]; GROUPS],
        scales: [0.0; TILE_ROWS],
        starts: [0; TILE_ROWS],
    };
    to.resize(start + columns / BLOCK, zeros);
    let places = to.get_mut(start..).unwrap_or_default();
    for (lane, vector) in numbers.chunks_exact(columns).enumerate() {
        let (blocks, _) = vector.as_chunks::<BLOCK>();
        for (place, block) in places.iter_mut().zip(blocks) {
            let (values, scale, [first, last]) = round(block);
            let (fours, _) = values.as_chunks::<4>();
            for (group, four) in place.values.iter_mut().zip(fours) {
                if let Some(to) = group.as_chunks_mut::<4>().0.get_mut(lane) {
                    *to = *four;
                }
            }
            if let Some(to) = place.scales.get_mut(lane) {
                *to = scale;
            }
            if let Some(to) = place.starts.get_mut(lane) {
                // Whole numbers, and few enough for a float to count them.
                *to = -WEIGHT_ZERO * (first + last) as i32;
            }
        }
    }
}

/// Where a tile lies in the products of up to four vectors.
struct Places<'a> {
    products: &'a mut [f32],
    rows: usize,
    first: usize,
}

impl<'a> Places<'a> {
    fn new(products: &'a mut [f32], rows: usize, group: usize) -> Self {
        Self {
            products,
            rows,
            first: group * TILE_COLUMNS,
        }
    }

    fn each(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let Self {
            ref mut products,
            rows,
            first,
        } = *self;
        let end = rows.min(first + TILE_COLUMNS);
        let vectors = products.chunks_exact_mut(rows);
        vectors.map(move |vector| vector.get_mut(first..end).unwrap_or_default())
    }

    fn load(&mut self) -> Tile {
        let mut sums = Tile::default();
        for (row, places) in sums.iter_mut().zip(self.each()) {
            row.iter_mut()
                .zip(places)
                .for_each(|(to, from)| *to = *from);
        }
        sums
    }

    fn store(&mut self, sums: &Tile) {
        for (row, places) in sums.iter().zip(self.each()) {
            match places.first_chunk_mut() {
                Some(whole) => *whole = *row,
                None => places
                    .iter_mut()
                    .zip(row)
                    .for_each(|(to, from)| *to = *from),
            }
        }
    }
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
        let greatest = numbers.iter().fold(0f32, |most, x| most.max(x.abs()));
        let scale = greatest / WEIGHT_MAX;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        if let Some(place) = self.scales.get_mut(lane) {
            *place = scale;
        }
        for (weights, four) in self.weights.iter_mut().zip(numbers.chunks(4)) {
            for (place, number) in weights.iter_mut().skip(4 * lane).zip(four) {
                // Rounded by adding a half: what is cast is never below zero.
                let whole = (number * inverse).clamp(-WEIGHT_MAX, WEIGHT_MAX);
                *place = (whole + (WEIGHT_ZERO as f32 + 0.5)) as u8;
            }
        }
    }

    fn write(&self, lane: usize, numbers: &mut [f32]) {
        let scale = self.scales.get(lane).copied().unwrap_or_default();
        for (weights, four) in self.weights.iter().zip(numbers.chunks_mut(4)) {
            for (weight, place) in weights.iter().skip(4 * lane).zip(four) {
                *place = scale * (i32::from(*weight) - WEIGHT_ZERO) as f32;
            }
        }
    }
}
