//! Matrices of weights as they lie in a file, times vectors.
//!
//! Rows of small whole numbers meet vectors that are rounded to eight bits in blocks of 32, so
//! that sixteen products are one instruction; rows of floating-point numbers meet the vectors as
//! they are. What an element of the result is does not depend on how many vectors there are: the
//! same operations in the same order make it.

use alloc::vec::Vec;
use core::fmt;

use super::formats::{self, Blocks, Floats, Format, Panel};
use super::lanes::{Bytes, F32x4, I32x4, Words};
use super::tiles::BLOCK;

mod one;

use one::{one_vector, one_vector_of_bytes};

/// A matrix in a format of GGUF, a row after the other.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    format: Format,
    rows: usize,
    columns: usize,
    bytes: &'a [u8],
}

/// Why bytes are no matrix of that size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatrixError {
    /// A row is no whole number of blocks.
    Columns {
        /// The elements of a row.
        columns: usize,
        /// The elements of a block.
        block: usize,
    },
    /// The bytes are more or fewer than the matrix has.
    Bytes {
        /// The bytes that such a matrix has; none where no machine has so many.
        needed: Option<usize>,
        /// The bytes there are.
        found: usize,
    },
}

impl fmt::Display for MatrixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Columns { columns, block } => {
                write!(
                    f,
                    "a row of {columns} elements is not made of blocks of {block}"
                )
            }
            Self::Bytes {
                needed: Some(needed),
                found,
            } => write!(f, "{found} bytes, where the matrix has {needed}"),
            Self::Bytes {
                needed: None,
                found,
            } => write!(
                f,
                "{found} bytes, where the matrix has more than can be counted"
            ),
        }
    }
}

impl core::error::Error for MatrixError {}

impl<'a> Matrix<'a> {
    /// A matrix over bytes, which have to be exactly as many as it has.
    ///
    /// ```
    /// use belljar_guest::kernels::{Format, Input, Matrix};
    ///
    /// let bytes: Vec<u8> = [1f32, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    /// let matrix = Matrix::new(Format::F32, 2, 2, &bytes)?;
    /// let mut product = [0.0; 2];
    /// matrix.multiply(&Input::from_rows(2, &[1.0, 10.0]), &mut product);
    /// assert_eq!(product, [21.0, 43.0]);
    /// # Ok::<(), belljar_guest::kernels::MatrixError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`MatrixError`] where they are not.
    pub fn new(
        format: Format,
        rows: usize,
        columns: usize,
        bytes: &'a [u8],
    ) -> Result<Self, MatrixError> {
        let block = format.block_elements();
        if !columns.is_multiple_of(block) {
            return Err(MatrixError::Columns { columns, block });
        }
        let needed = (columns / block)
            .checked_mul(format.block_bytes())
            .and_then(|row| row.checked_mul(rows));
        if needed != Some(bytes.len()) {
            return Err(MatrixError::Bytes {
                needed,
                found: bytes.len(),
            });
        }
        Ok(Self {
            format,
            rows,
            columns,
            bytes,
        })
    }

    /// How its elements are stored.
    pub fn format(&self) -> Format {
        self.format
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many elements a row has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The bytes of a row; none past the last.
    fn row(&self, index: usize) -> &'a [u8] {
        let bytes = self.columns / self.format.block_elements() * self.format.block_bytes();
        let start = index.saturating_mul(bytes);
        self.bytes
            .get(start..start.saturating_add(bytes))
            .unwrap_or_default()
    }

    /// The bytes of four rows from that one on, the last of them again past the end.
    fn four_rows(&self, first: usize) -> [&'a [u8]; 4] {
        [0, 1, 2, 3].map(|offset| self.row((first + offset).min(self.rows.saturating_sub(1))))
    }

    /// Writes a row as numbers, as far as `numbers` goes; whether there is such a row.
    pub fn write_row(&self, index: usize, numbers: &mut [f32]) -> bool {
        if index >= self.rows {
            return false;
        }
        let row = self.row(index);
        match self.format {
            Format::F32 => write_floats::<formats::F32>(row, numbers),
            Format::F16 => write_floats::<formats::F16>(row, numbers),
            Format::Bf16 => write_floats::<formats::Bf16>(row, numbers),
            Format::Q4_0 => write_blocks::<formats::Q4_0>(row, numbers),
            Format::Q4_1 => write_blocks::<formats::Q4_1>(row, numbers),
            Format::Q5_0 => write_blocks::<formats::Q5_0>(row, numbers),
            Format::Q5_1 => write_blocks::<formats::Q5_1>(row, numbers),
            Format::Q8_0 => write_blocks::<formats::Q8_0>(row, numbers),
            Format::Q4K => write_blocks::<formats::Q4K>(row, numbers),
            Format::Q5K => write_blocks::<formats::Q5K>(row, numbers),
            Format::Q6K => write_blocks::<formats::Q6K>(row, numbers),
        }
        true
    }

    /// Multiplies the matrix by each vector of the input. The result has an element for each row,
    /// vector after vector.
    ///
    /// # Panics
    ///
    /// Where the vectors are not as long as a row, or `products` is not as long as the result.
    pub fn multiply(&self, input: &Input, products: &mut [f32]) {
        assert_eq!(input.columns, self.columns, "vectors are as long as rows");
        assert_eq!(
            products.len(),
            input.count() * self.rows,
            "a product for each row and vector"
        );
        match self.format {
            Format::F32 => self.multiply_floats::<formats::F32>(input, products),
            Format::F16 => self.multiply_floats::<formats::F16>(input, products),
            Format::Bf16 => self.multiply_floats::<formats::Bf16>(input, products),
            Format::Q4_0 => self.multiply_blocks::<formats::Q4_0>(input, products),
            Format::Q4_1 => self.multiply_blocks::<formats::Q4_1>(input, products),
            Format::Q5_0 => self.multiply_blocks::<formats::Q5_0>(input, products),
            Format::Q5_1 => self.multiply_blocks::<formats::Q5_1>(input, products),
            Format::Q8_0 => {
                self.multiply_blocks_by::<formats::Q8_0>(input, products, one_vector_of_bytes)
            }
            Format::Q4K => self.multiply_blocks::<formats::Q4K>(input, products),
            Format::Q5K => self.multiply_blocks::<formats::Q5K>(input, products),
            Format::Q6K => self.multiply_blocks::<formats::Q6K>(input, products),
        }
    }

    fn multiply_blocks<F: Blocks>(&self, input: &Input, products: &mut [f32]) {
        self.multiply_blocks_by::<F>(input, products, one_vector::<F>);
    }

    /// The same, with what is done for a single vector.
    fn multiply_blocks_by<F: Blocks>(
        &self,
        input: &Input,
        products: &mut [f32],
        one_vector: fn([&[u8]; 4], &[Block]) -> [f32; 4],
    ) {
        if input.count() == 1 {
            for (group, products) in products.chunks_mut(4).enumerate() {
                let four = one_vector(self.four_rows(4 * group), &input.blocks);
                write_four(four, products);
            }
            return;
        }
        // Taking rows apart costs as much as a vector, so it is done once for all of them.
        let mut panels: Vec<Panel> = Vec::with_capacity(self.columns / BLOCK);
        for first in (0..self.rows).step_by(4) {
            panels.clear();
            each_panel::<F>(self.four_rows(first), |panel| panels.push(panel));
            let vectors = input.blocks.chunks_exact(self.columns / BLOCK);
            for (products, vector) in products.chunks_exact_mut(self.rows).zip(vectors) {
                let mut sums = Sums::new();
                for (panel, block) in panels.iter().zip(vector) {
                    sums.add::<F>(panel, block);
                }
                let products = products.get_mut(first..).unwrap_or_default();
                write_four(sums.finish(), products);
            }
        }
    }

    fn multiply_floats<F: Floats>(&self, input: &Input, products: &mut [f32]) {
        for first in (0..self.rows).step_by(4) {
            let rows = self.four_rows(first);
            let vectors = input.numbers.chunks_exact(self.columns.max(1));
            for (products, vector) in products.chunks_exact_mut(self.rows).zip(vectors) {
                let products = products.get_mut(first..).unwrap_or_default();
                write_four(four_dots::<F>(rows, vector), products);
            }
        }
    }
}

/// Vectors to multiply matrices by, and the same rounded to eight bits.
#[derive(Clone, Debug, Default)]
pub struct Input {
    columns: usize,
    numbers: Vec<f32>,
    blocks: Vec<Block>,
}

/// Thirty-two elements of a vector, rounded: an element is `scale * value`.
#[derive(Clone, Copy, Debug)]
struct Block {
    values: [u8; BLOCK],
    scale: f32,
    /// The sums of the first sixteen elements, the last, and all.
    sums: [f32; 3],
}

impl Input {
    /// No vectors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Vectors of so many elements each, one after the other.
    ///
    /// # Panics
    ///
    /// Where the numbers are no whole vectors.
    pub fn from_rows(columns: usize, numbers: &[f32]) -> Self {
        let mut input = Self::new();
        input.set(columns, numbers);
        input
    }

    /// Takes other vectors, in the memory of those before.
    ///
    /// # Panics
    ///
    /// Where the numbers are no whole vectors.
    pub fn set(&mut self, columns: usize, numbers: &[f32]) {
        assert!(
            columns > 0 && numbers.len().is_multiple_of(columns),
            "numbers are whole vectors"
        );
        self.columns = columns;
        self.numbers.clear();
        self.numbers.extend_from_slice(numbers);
        self.blocks.clear();
        // A vector that is not made of blocks meets no matrix whose rows are.
        if columns.is_multiple_of(BLOCK) {
            let (blocks, _) = numbers.as_chunks::<BLOCK>();
            self.blocks.extend(blocks.iter().map(Block::round));
        }
    }

    /// How many vectors there are.
    pub fn count(&self) -> usize {
        self.numbers.len().checked_div(self.columns).unwrap_or(0)
    }
}

impl Block {
    /// The elements, rounded, eight at a time.
    #[inline(always)]
    fn words(&self) -> [Words; 4] {
        [
            Words::widen::<0, BLOCK>(&self.values),
            Words::widen::<8, BLOCK>(&self.values),
            Words::widen::<16, BLOCK>(&self.values),
            Words::widen::<24, BLOCK>(&self.values),
        ]
    }

    #[inline(always)]
    fn round(numbers: &[f32; BLOCK]) -> Self {
        let (values, scale, [first, last]) = round(numbers);
        let (first, last) = (scale * first, scale * last);
        Self {
            values,
            scale,
            sums: [first, last, first + last],
        }
    }
}

/// Rounds a block of a vector to whole numbers from -127 to 127, signed bytes; the scale that an
/// element is a number times of, and the sums of the first sixteen numbers and of the last.
#[inline(always)]
pub(super) fn round(numbers: &[f32; BLOCK]) -> ([u8; BLOCK], f32, [f32; 2]) {
    let parts = [
        F32x4::load::<0, BLOCK>(numbers),
        F32x4::load::<4, BLOCK>(numbers),
        F32x4::load::<8, BLOCK>(numbers),
        F32x4::load::<12, BLOCK>(numbers),
        F32x4::load::<16, BLOCK>(numbers),
        F32x4::load::<20, BLOCK>(numbers),
        F32x4::load::<24, BLOCK>(numbers),
        F32x4::load::<28, BLOCK>(numbers),
    ];
    let greatest = parts
        .iter()
        .fold(F32x4::splat(0.0), |greatest, part| {
            part.magnitude().max(greatest)
        })
        .greatest();
    let scale = greatest / 127.0;
    let inverse = F32x4::splat(if scale > 0.0 { 1.0 / scale } else { 0.0 });
    let bound = F32x4::splat(127.0);
    let [a, b, c, d, e, f, g, h] = parts.map(|part| {
        // The bound counts where the inverse was rounded up, or a number was not finite.
        let rounded = part.times(inverse).nearest();
        rounded.min(bound).max(F32x4::splat(-127.0))
    });
    let sum = |parts: [F32x4; 4]| {
        let [a, b, c, d] = parts;
        a.plus(b).plus(c.plus(d)).sum()
    };
    let sums = [sum([a, b, c, d]), sum([e, f, g, h])];
    let mut values = [0; BLOCK];
    let halves = [
        F32x4::to_bytes([a, b, c, d]).to_array(),
        F32x4::to_bytes([e, f, g, h]).to_array(),
    ];
    for (to, from) in values.iter_mut().zip(halves.as_flattened()) {
        *to = *from;
    }
    (values, scale, sums)
}

/// The products of four rows with one vector, in the making.
#[derive(Clone, Copy)]
struct Sums {
    rows: [F32x4; 4],
    minimums: F32x4,
}

impl Sums {
    #[inline(always)]
    fn new() -> Self {
        Self {
            rows: [F32x4::splat(0.0); 4],
            minimums: F32x4::splat(0.0),
        }
    }

    #[inline(always)]
    fn add<F: Blocks>(&mut self, panel: &Panel, block: &Block) {
        let x = [
            Bytes::load::<0, BLOCK>(&block.values),
            Bytes::load::<16, BLOCK>(&block.values),
        ];
        let [first, last] = panel
            .scales
            .map(|scales| scales.times(F32x4::splat(block.scale)));
        let dot = |sum: I32x4, x: Bytes, w: Bytes| {
            if F::SIGNED {
                sum.plus_products(x, w)
            } else {
                sum.plus_products_u7(x, w)
            }
        };
        let [r0, r1, r2, r3] = &mut self.rows;
        let [w0, w1, w2, w3] = panel.weights;
        if F::HALVES {
            let row = |sum: &mut F32x4, w: [Bytes; 2], first: F32x4, last: F32x4| {
                let half = dot(I32x4::zero(), x[0], w[0]).to_f32();
                *sum = half.times_plus(first, *sum);
                let half = dot(I32x4::zero(), x[1], w[1]).to_f32();
                *sum = half.times_plus(last, *sum);
            };
            row(r0, w0, first.lane::<0>(), last.lane::<0>());
            row(r1, w1, first.lane::<1>(), last.lane::<1>());
            row(r2, w2, first.lane::<2>(), last.lane::<2>());
            row(r3, w3, first.lane::<3>(), last.lane::<3>());
        } else {
            let row = |sum: &mut F32x4, w: [Bytes; 2], scale: F32x4| {
                let all = if F::SIGNED {
                    dot(dot(I32x4::zero(), x[0], w[0]), x[1], w[1])
                } else {
                    I32x4::small_products(x, w)
                };
                let all = all.to_f32();
                *sum = all.times_plus(scale, *sum);
            };
            row(r0, w0, first.lane::<0>());
            row(r1, w1, first.lane::<1>());
            row(r2, w2, first.lane::<2>());
            row(r3, w3, first.lane::<3>());
        }
        if F::MINIMUM {
            let [first, last, all] = block.sums.map(F32x4::splat);
            self.minimums = if F::HALVES {
                let sum = panel.minimums[0].times_plus(first, self.minimums);
                panel.minimums[1].times_plus(last, sum)
            } else {
                panel.minimums[0].times_plus(all, self.minimums)
            };
        }
    }

    #[inline(always)]
    fn finish(self) -> [f32; 4] {
        let [a, b, c, d] = self.rows.map(F32x4::sum);
        self.minimums.plus(F32x4::new([a, b, c, d])).to_array()
    }
}

fn write_four(four: [f32; 4], products: &mut [f32]) {
    for (to, from) in products.iter_mut().zip(four) {
        *to = from;
    }
}

/// Takes four rows apart, part by part.
#[inline(always)]
fn each_panel<F: Blocks>(rows: [&[u8]; 4], mut take: impl FnMut(Panel)) {
    let [r0, r1, r2, r3] = rows.map(F::blocks);
    for (((r0, r1), r2), r3) in r0.iter().zip(r1).zip(r2).zip(r3) {
        for part in 0..F::PARTS {
            take(F::panel([r0, r1, r2, r3], part));
        }
    }
}

/// The products of four rows of floating-point numbers with one vector.
#[inline(always)]
pub(super) fn four_dots<F: Floats>(rows: [&[u8]; 4], vector: &[f32]) -> [f32; 4] {
    let (x_eights, x_rest) = vector.as_chunks::<8>();
    let mut sums = [[F32x4::splat(0.0); 2]; 4];
    let [(r0, rest0), (r1, rest1), (r2, rest2), (r3, rest3)] = rows.map(F::eights);
    let add = |sums: &mut [F32x4; 2], w: [F32x4; 2], x: [F32x4; 2]| {
        sums[0] = w[0].times_plus(x[0], sums[0]);
        sums[1] = w[1].times_plus(x[1], sums[1]);
    };
    for ((((r0, r1), r2), r3), x) in r0.iter().zip(r1).zip(r2).zip(r3).zip(x_eights) {
        let x = [F32x4::load::<0, 8>(x), F32x4::load::<4, 8>(x)];
        let [s0, s1, s2, s3] = &mut sums;
        add(s0, F::load(r0), x);
        add(s1, F::load(r1), x);
        add(s2, F::load(r2), x);
        add(s3, F::load(r3), x);
    }
    if !x_rest.is_empty() {
        let mut eight = [0.0; 8];
        for (to, from) in eight.iter_mut().zip(x_rest) {
            *to = *from;
        }
        let x = [F32x4::load::<0, 8>(&eight), F32x4::load::<4, 8>(&eight)];
        for (sums, rest) in sums.iter_mut().zip([rest0, rest1, rest2, rest3]) {
            add(sums, F::load_rest(rest), x);
        }
    }
    sums.map(|[a, b]| a.plus(b).sum())
}

fn write_floats<F: Floats>(row: &[u8], numbers: &mut [f32]) {
    let (eights, rest) = F::eights(row);
    let whole = eights.iter().map(F::load);
    let parts = whole.chain([F::load_rest(rest)]);
    let all = parts.flat_map(|parts| parts.into_iter().flat_map(F32x4::to_array));
    let count = eights.len() * 8 + 7;
    for (to, from) in numbers.iter_mut().zip(all.take(count)) {
        *to = from;
    }
}

fn write_blocks<F: Blocks>(row: &[u8], numbers: &mut [f32]) {
    let mut places = numbers.iter_mut();
    each_panel::<F>([row; 4], |panel| {
        let [weights, ..] = panel.weights;
        for (half, weights) in weights.into_iter().enumerate() {
            let of_half = if F::HALVES { half } else { 0 };
            let scale = panel.scales[of_half].to_array()[0];
            let minimum = panel.minimums[of_half].to_array()[0];
            for byte in weights.to_array() {
                let Some(place) = places.next() else { return };
                *place = scale * f32::from(byte as i8) + minimum;
            }
        }
    });
}
