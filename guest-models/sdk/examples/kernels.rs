//! The kernels beside the loops that one would write without them, for `tests/load/kernels`, which
//! tells what both cost in the sandbox. Each function does its work as often as it is told.

use std::hint::black_box;
use std::sync::LazyLock;

use belljar_guest::kernels::{
    self, Format, Input, Matrix, Packed, PackedInput, Precision, TILE_COLUMNS, TILE_ROWS,
};

/// Elements of a row, those of a small encoder.
const COLUMNS: usize = 384;
const ROWS: usize = 384;
/// Vectors that meet a packed matrix.
const VECTORS: usize = 16;
/// The elements of a head, and the tokens that it looks at.
const HEAD: usize = 64;
const TOKENS: usize = 128;

/// What the functions work on.
struct Work {
    numbers: Vec<f32>,
    others: Vec<f32>,
    bytes: Vec<i8>,
    small_bytes: Vec<i8>,
    left: Vec<[f32; TILE_ROWS]>,
    right: Vec<[f32; TILE_COLUMNS]>,
    weights: Vec<f32>,
    vectors: Vec<f32>,
    exact: (Packed, PackedInput),
    rounded: (Packed, PackedInput),
    /// A matrix in a format of GGUF, of blocks with a scale and a minimum.
    blocks: Vec<u8>,
    /// One of blocks of signed bytes with a scale.
    byte_blocks: Vec<u8>,
    input: Input,
}

static WORK: LazyLock<Work> = LazyLock::new(|| {
    let numbers = |count: usize, step: f32| -> Vec<f32> {
        (0..count).map(|at| (at as f32 * step).sin()).collect()
    };
    let bytes = |count: usize, least: i32, most: i32| -> Vec<i8> {
        let all = (0..count).map(|at| least + (at as i32 * 37) % (most - least + 1));
        all.map(|byte| byte as i8).collect()
    };
    let weights = numbers(ROWS * COLUMNS, 0.37);
    let vectors = numbers(VECTORS * COLUMNS, 0.11);
    let packed = |precision| {
        let mut matrix = Packed::zeros(precision, ROWS, COLUMNS).expect("rows are whole blocks");
        for (index, row) in weights.chunks_exact(COLUMNS).enumerate() {
            matrix.set_row(index, row);
        }
        let mut input = PackedInput::new();
        matrix.set_input(&mut input, &vectors);
        (matrix, input)
    };
    let block_bytes = Format::Q4_1.block_bytes();
    Work {
        numbers: numbers(4 * COLUMNS, 0.7),
        others: numbers(4 * COLUMNS, 0.3),
        bytes: bytes(4 * COLUMNS, -127, 127),
        small_bytes: bytes(4 * COLUMNS, 0, 127),
        left: vec![[0.5; TILE_ROWS]; COLUMNS],
        right: vec![[0.25; TILE_COLUMNS]; COLUMNS],
        exact: packed(Precision::F32),
        rounded: packed(Precision::Int8),
        blocks: (0..ROWS * COLUMNS / 32 * block_bytes)
            .map(|at| match at % block_bytes {
                // The upper bytes of binary16 numbers between one and two.
                1 | 3 => 0x3c,
                _ => (at * 31) as u8,
            })
            .collect(),
        byte_blocks: (0..ROWS * COLUMNS / 32 * Format::Q8_0.block_bytes())
            .map(|at| match at % Format::Q8_0.block_bytes() {
                1 => 0x3c,
                _ => (at * 31) as u8,
            })
            .collect(),
        input: Input::from_rows(COLUMNS, vectors.get(..COLUMNS).unwrap_or_default()),
        weights,
        vectors,
    }
});

/// Makes what the functions work on, so that none of them pays for it.
#[unsafe(no_mangle)]
pub extern "C" fn prepare() {
    LazyLock::force(&WORK);
}

/// Two functions for each kernel.
macro_rules! beside {
    ($($kernel:ident $naive:ident |$work:ident| $with:expr, $without:expr;)*) => {$(
        #[doc = "The kernel."]
        #[unsafe(no_mangle)]
        pub extern "C" fn $kernel(times: u32) {
            for _ in 0..times {
                let $work = black_box(&*WORK);
                black_box($with);
            }
        }

        #[doc = "The loop."]
        #[unsafe(no_mangle)]
        pub extern "C" fn $naive(times: u32) {
            for _ in 0..times {
                let $work = black_box(&*WORK);
                black_box($without);
            }
        }
    )*};
}

beside! {
    kernel_dot_f32 naive_dot_f32 |work|
        kernels::dot_f32(&work.numbers, &work.others),
        dot(&work.numbers, &work.others);
    kernel_axpy_f32 naive_axpy_f32 |work|
        changed(&work.numbers, |y| kernels::axpy_f32(0.5, &work.others, y)),
        changed(&work.numbers, |y| y.iter_mut().zip(&work.others).for_each(|(y, x)| *y += 0.5 * x));
    kernel_dot_i8 naive_dot_i8 |work|
        kernels::dot_i8(&work.bytes, &work.bytes),
        dot_bytes(&work.bytes, &work.bytes);
    kernel_dot_i8_i7 naive_dot_i8_i7 |work|
        kernels::dot_i8_i7(&work.bytes, &work.small_bytes),
        dot_bytes(&work.bytes, &work.small_bytes);
    kernel_multiply_tile naive_multiply_tile |work|
        {
            let mut sums = [[0.0; TILE_COLUMNS]; TILE_ROWS];
            kernels::multiply_tile(&work.left, &work.right, &mut sums);
            sums
        },
        {
            let mut sums = [[0.0; TILE_COLUMNS]; TILE_ROWS];
            for (left, right) in work.left.iter().zip(&work.right) {
                for (sums, left) in sums.iter_mut().zip(left) {
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum += left * right;
                    }
                }
            }
            sums
        };
    kernel_packed_f32 naive_packed_f32 |work|
        multiply(&work.exact),
        products(work);
    kernel_packed_int8 naive_packed_int8 |work|
        multiply(&work.rounded),
        products(work);
    kernel_matrix_q4_1 naive_matrix_q4_1 |work|
        {
            let matrix = Matrix::new(Format::Q4_1, ROWS, COLUMNS, &work.blocks);
            let mut products = vec![0.0; ROWS];
            matrix.expect("the size is that of the bytes").multiply(&work.input, &mut products);
            products
        },
        blocks_by_vector(work);
    kernel_matrix_q8_0 naive_matrix_q8_0 |work|
        {
            let matrix = Matrix::new(Format::Q8_0, ROWS, COLUMNS, &work.byte_blocks);
            let mut products = vec![0.0; ROWS];
            matrix.expect("the size is that of the bytes").multiply(&work.input, &mut products);
            products
        },
        byte_blocks_by_vector(work);
    kernel_rms_norm naive_rms_norm |work|
        changed(&work.numbers, |x| kernels::rms_norm(x, &work.others, 1e-5)),
        changed(&work.numbers, |x| {
            let root = (dot(x, x) / x.len() as f32 + 1e-5).sqrt();
            x.iter_mut().zip(&work.others).for_each(|(x, weight)| *x = *x / root * weight);
        });
    kernel_layer_norm naive_layer_norm |work|
        changed(&work.numbers, |x| kernels::layer_norm(x, &work.others, &work.others, 1e-5)),
        changed(&work.numbers, |x| {
            let count = x.len() as f32;
            let mean = x.iter().sum::<f32>() / count;
            let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / count;
            let root = (variance + 1e-5).sqrt();
            x.iter_mut().zip(&work.others).for_each(|(x, w)| *x = (*x - mean) / root * w + w);
        });
    kernel_softmax naive_softmax |work|
        changed(&work.numbers, kernels::softmax),
        changed(&work.numbers, |x| {
            let greatest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            x.iter_mut().for_each(|x| *x = (*x - greatest).exp());
            let sum: f32 = x.iter().sum();
            x.iter_mut().for_each(|x| *x /= sum);
        });
    kernel_gelu_tanh naive_gelu_tanh |work|
        changed(&work.numbers, kernels::gelu_tanh),
        changed(&work.numbers, |x| x.iter_mut().for_each(|x| {
            let inner = 0.797_884_6 * (*x + 0.044_715 * *x * *x * *x);
            *x = 0.5 * *x * (1.0 + inner.tanh());
        }));
    kernel_swiglu naive_swiglu |work|
        changed(&work.numbers, |x| kernels::swiglu(x, &work.others)),
        changed(&work.numbers, |x| {
            x.iter_mut().zip(&work.others).for_each(|(x, up)| *x = *x / (1.0 + (-*x).exp()) * up);
        });
    kernel_dot_rows naive_dot_rows |work|
        {
            let mut products = vec![0.0; TOKENS];
            kernels::dot_rows(rows(work), head(work), &mut products);
            products
        },
        rows(work).chunks_exact(HEAD).map(|row| dot(row, head(work))).collect::<Vec<f32>>();
    kernel_add_weighted_rows naive_add_weighted_rows |work|
        changed(head(work), |sum| kernels::add_weighted_rows(rows(work), &work.numbers, sum)),
        changed(head(work), |sum| {
            for (row, weight) in rows(work).chunks_exact(HEAD).zip(&work.numbers) {
                sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
            }
        });
}

fn changed(numbers: &[f32], change: impl FnOnce(&mut [f32])) -> Vec<f32> {
    let mut numbers = numbers.to_vec();
    change(&mut numbers);
    numbers
}

fn rows(work: &Work) -> &[f32] {
    work.weights.get(..TOKENS * HEAD).unwrap_or_default()
}

fn head(work: &Work) -> &[f32] {
    work.others.get(..HEAD).unwrap_or_default()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn dot_bytes(a: &[i8], b: &[i8]) -> i32 {
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

fn multiply((matrix, input): &(Packed, PackedInput)) -> Vec<f32> {
    let mut products = vec![0.0; VECTORS * ROWS];
    matrix.multiply(input, &mut products);
    products
}

fn products(work: &Work) -> Vec<f32> {
    let vectors = work.vectors.chunks_exact(COLUMNS);
    let each = |vector| {
        let rows = work.weights.chunks_exact(COLUMNS);
        rows.map(move |row| dot(row, vector))
    };
    vectors.flat_map(each).collect()
}

/// A binary16 number between one and two.
fn half(bytes: &[u8]) -> f32 {
    match *bytes {
        [low, high, ..] => 1.0 + f32::from(u16::from_le_bytes([low, high]) & 0x3ff) / 1024.0,
        _ => 0.0,
    }
}

fn byte_blocks_by_vector(work: &Work) -> Vec<f32> {
    let block_bytes = Format::Q8_0.block_bytes();
    let rows = work.byte_blocks.chunks_exact(COLUMNS / 32 * block_bytes);
    rows.map(|row| {
        let mut sum = 0.0;
        for (block, x) in row
            .chunks_exact(block_bytes)
            .zip(work.vectors.chunks_exact(32))
        {
            let (head, weights) = block.split_at(2);
            for (byte, x) in weights.iter().zip(x) {
                sum += half(head) * f32::from(*byte as i8) * x;
            }
        }
        sum
    })
    .collect()
}

fn blocks_by_vector(work: &Work) -> Vec<f32> {
    let row_bytes = COLUMNS / 32 * Format::Q4_1.block_bytes();
    let rows = work.blocks.chunks_exact(row_bytes);
    rows.map(|row| {
        let mut sum = 0.0;
        let blocks = row.chunks_exact(Format::Q4_1.block_bytes());
        for (block, x) in blocks.zip(work.vectors.chunks_exact(32)) {
            let (head, weights) = block.split_at(4);
            let (scale, minimum) = (half(head), half(head.get(2..).unwrap_or_default()));
            let (low, high) = x.split_at(16);
            for ((byte, low), high) in weights.iter().zip(low).zip(high) {
                sum += (scale * f32::from(byte & 15) + minimum) * low;
                sum += (scale * f32::from(byte >> 4) + minimum) * high;
            }
        }
        sum
    })
    .collect()
}
