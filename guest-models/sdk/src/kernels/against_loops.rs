//! Matrices and layers against plain loops in twice the precision. What a block of a format means
//! is written down here a second time, element by element.

use alloc::vec;
use alloc::vec::Vec;

use super::*;

/// Repeatable numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From -1 to 1.
    fn number(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }

    fn numbers(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.number()).collect()
    }
}

/// The bits of a small binary16 number of either sign, or above zero.
fn half(random: &mut Random, is_signed: bool) -> u16 {
    let exponent = 8 + (random.bits() % 5) as u16;
    let sign = if is_signed {
        (random.bits() & 1) as u16
    } else {
        0
    };
    sign << 15 | exponent << 10 | (random.bits() & 0x3ff) as u16
}

fn half_value(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
    sign * if exponent == 0 {
        fraction * 2f64.powi(-24)
    } else {
        (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15)
    }
}

/// Where the binary16 numbers of a block are, and whether they may be negative.
fn halves_of(format: Format) -> &'static [(usize, bool)] {
    match format {
        Format::Q4_0 | Format::Q5_0 | Format::Q8_0 => &[(0, true)],
        Format::Q4_1 | Format::Q5_1 => &[(0, true), (2, true)],
        Format::Q4K | Format::Q5K => &[(0, false), (2, false)],
        Format::Q6K => &[(208, true)],
        _ => &[],
    }
}

fn random_block(format: Format, random: &mut Random) -> Vec<u8> {
    match format {
        Format::F32 => random.number().to_le_bytes().to_vec(),
        Format::F16 => half(random, true).to_le_bytes().to_vec(),
        Format::Bf16 => random.number().to_le_bytes()[2..].to_vec(),
        _ => {
            let mut block: Vec<u8> = (0..format.block_bytes())
                .map(|_| random.bits() as u8)
                .collect();
            for &(at, is_signed) in halves_of(format) {
                block[at..at + 2].copy_from_slice(&half(random, is_signed).to_le_bytes());
            }
            block
        }
    }
}

/// The elements of a block, by the definition of its format.
fn elements(format: Format, block: &[u8]) -> Vec<f64> {
    let half_at = |at: usize| half_value(u16::from_le_bytes([block[at], block[at + 1]]));
    let nibble = |bytes: &[u8], index: usize| {
        let byte = bytes[index % 16];
        f64::from(if index < 16 { byte & 15 } else { byte >> 4 })
    };
    let fifth = |at: usize, index: usize| {
        let bits = u32::from_le_bytes(block[at..at + 4].try_into().unwrap());
        f64::from(bits >> index & 1) * 16.0
    };
    let six_bits = |part: usize| {
        let at = &block[4..16];
        if part < 4 {
            (at[part] & 63, at[part + 4] & 63)
        } else {
            (
                at[part + 4] & 15 | at[part - 4] >> 6 << 4,
                at[part + 4] >> 4 | at[part] >> 6 << 4,
            )
        }
    };
    let each = |count: usize, element: &dyn Fn(usize) -> f64| (0..count).map(element).collect();
    match format {
        Format::F32 => vec![f64::from(f32::from_le_bytes(block.try_into().unwrap()))],
        Format::F16 => vec![half_at(0)],
        Format::Bf16 => vec![f64::from(f32::from_le_bytes([0, 0, block[0], block[1]]))],
        Format::Q4_0 => each(32, &|i| half_at(0) * (nibble(&block[2..], i) - 8.0)),
        Format::Q4_1 => each(32, &|i| half_at(0) * nibble(&block[4..], i) + half_at(2)),
        Format::Q5_0 => each(32, &|i| {
            half_at(0) * (nibble(&block[6..], i) + fifth(2, i) - 16.0)
        }),
        Format::Q5_1 => each(32, &|i| {
            half_at(0) * (nibble(&block[8..], i) + fifth(4, i)) + half_at(2)
        }),
        Format::Q8_0 => each(32, &|i| half_at(0) * f64::from(block[2 + i] as i8)),
        Format::Q4K | Format::Q5K => each(256, &|i| {
            let (part, within) = (i / 32, i % 32);
            let low_at = if format == Format::Q4K { 16 } else { 48 };
            let byte = block[low_at + 32 * (part / 2) + within];
            let low = if part.is_multiple_of(2) {
                byte & 15
            } else {
                byte >> 4
            };
            let high = if format == Format::Q5K {
                (block[16 + within] >> part & 1) * 16
            } else {
                0
            };
            let (scale, minimum) = six_bits(part);
            half_at(0) * f64::from(scale) * f64::from(low + high) - half_at(2) * f64::from(minimum)
        }),
        Format::Q6K => each(256, &|i| {
            let (half, quarter, within) = (i / 128, i % 128 / 32, i % 32);
            let byte = block[64 * half + 32 * (quarter % 2) + within];
            let low = if quarter < 2 { byte & 15 } else { byte >> 4 };
            let high = block[128 + 32 * half + within] >> (2 * quarter) & 3;
            let scale = f64::from(block[192 + i / 16] as i8);
            half_at(208) * scale * (f64::from(low | high << 4) - 32.0)
        }),
    }
}

fn random_matrix(
    format: Format,
    rows: usize,
    columns: usize,
    random: &mut Random,
) -> (Vec<u8>, Vec<f64>) {
    let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
    for _ in 0..rows * columns / format.block_elements() {
        let block = random_block(format, random);
        numbers.extend(elements(format, &block));
        bytes.extend(block);
    }
    (bytes, numbers)
}

#[test]
fn rows_of_each_format_are_the_numbers_that_it_defines() {
    let mut random = Random(1);
    for format in Format::ALL {
        let (bytes, expected) = random_matrix(format, 3, 512, &mut random);
        let matrix = Matrix::new(format, 3, 512, &bytes).unwrap();
        let mut row = vec![0.0; 512];
        for (index, expected) in expected.chunks_exact(512).enumerate() {
            assert!(matrix.write_row(index, &mut row));
            for (number, expected) in row.iter().zip(expected) {
                let bound = 1e-6 * (1.0 + expected.abs());
                let off = (f64::from(*number) - expected).abs();
                assert!(off <= bound * 4.0, "{format:?}: {number} for {expected}");
            }
        }
        assert!(!matrix.write_row(3, &mut row));
    }
}

/// Products of rounded vectors are off by at most half a step of eight bits an element.
#[test]
fn products_of_each_format_are_those_of_a_plain_loop_within_the_rounding() {
    let mut random = Random(2);
    for format in Format::ALL {
        for (rows, columns, vectors) in [(1, 256, 1), (7, 512, 3), (64, 256, 5)] {
            let (bytes, numbers) = random_matrix(format, rows, columns, &mut random);
            let matrix = Matrix::new(format, rows, columns, &bytes).unwrap();
            let x = random.numbers(columns * vectors);
            let mut products = vec![0.0; rows * vectors];
            matrix.multiply(&Input::from_rows(columns, &x), &mut products);
            let is_rounded = format.block_elements() > 1;
            for (x, products) in x.chunks_exact(columns).zip(products.chunks_exact(rows)) {
                for (row, product) in numbers.chunks_exact(columns).zip(products) {
                    let pairs = || row.iter().zip(x).map(|(w, x)| (*w, f64::from(*x)));
                    let expected: f64 = pairs().map(|(w, x)| w * x).sum();
                    let weight: f64 = pairs().map(|(w, _)| w.abs()).sum();
                    let step = if is_rounded { 0.51 / 127.0 } else { 1e-6 };
                    let off = (f64::from(*product) - expected).abs();
                    assert!(
                        off <= weight * step + 1e-5,
                        "{format:?}: {product} for {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_product_has_the_same_bits_alone_and_among_others() {
    let mut random = Random(3);
    for format in Format::ALL {
        let (rows, columns) = (9, 512);
        let (bytes, _) = random_matrix(format, rows, columns, &mut random);
        let matrix = Matrix::new(format, rows, columns, &bytes).unwrap();
        let x = random.numbers(columns * 6);
        let mut together = vec![0.0; rows * 6];
        matrix.multiply(&Input::from_rows(columns, &x), &mut together);
        let mut alone = Vec::new();
        for x in x.chunks_exact(columns) {
            let mut products = vec![0.0; rows];
            matrix.multiply(&Input::from_rows(columns, x), &mut products);
            alone.extend(products);
        }
        let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&together), bits(&alone), "{format:?}");
    }
}

#[test]
fn rows_of_floating_point_numbers_may_have_any_length() {
    let mut random = Random(4);
    for format in [Format::F32, Format::F16, Format::Bf16] {
        for columns in [1, 3, 8, 13, 31] {
            let (bytes, numbers) = random_matrix(format, 5, columns, &mut random);
            let matrix = Matrix::new(format, 5, columns, &bytes).unwrap();
            let x = random.numbers(columns);
            let mut products = vec![0.0; 5];
            matrix.multiply(&Input::from_rows(columns, &x), &mut products);
            for (row, product) in numbers.chunks_exact(columns).zip(products) {
                let expected: f64 = row.iter().zip(&x).map(|(w, x)| w * f64::from(*x)).sum();
                assert!(
                    (f64::from(product) - expected).abs() < 1e-5,
                    "{format:?} {columns}"
                );
            }
        }
    }
}

#[test]
fn vectors_that_are_not_finite_are_no_panic() {
    let mut random = Random(5);
    for format in Format::ALL {
        let (bytes, _) = random_matrix(format, 4, 256, &mut random);
        let matrix = Matrix::new(format, 4, 256, &bytes).unwrap();
        for x in [f32::NAN, f32::INFINITY, f32::MAX, f32::MIN_POSITIVE, 0.0] {
            let mut products = vec![0.0; 4];
            matrix.multiply(&Input::from_rows(256, &[x; 256]), &mut products);
        }
    }
}

#[test]
fn bytes_that_are_no_matrix_are_refused_with_both_numbers() {
    assert_eq!(
        Matrix::new(Format::Q4_1, 1, 33, &[]).unwrap_err(),
        MatrixError::Columns {
            columns: 33,
            block: 32
        }
    );
    let error = Matrix::new(Format::Q8_0, 2, 32, &[0; 67]).unwrap_err();
    assert_eq!(error.to_string(), "67 bytes, where the matrix has 68");
    let error = Matrix::new(Format::F32, usize::MAX, 4, &[]).unwrap_err();
    assert!(matches!(error, MatrixError::Bytes { needed: None, .. }));
}

#[test]
fn layers_are_those_of_a_plain_loop() {
    let mut random = Random(6);
    for length in [1, 4, 7, 64, 101] {
        let x: Vec<f32> = random.numbers(length).iter().map(|x| x * 9.0).collect();
        let y = random.numbers(length);
        let close = |found: f32, expected: f64| {
            let off = (f64::from(found) - expected).abs();
            assert!(
                off <= 2e-6 * (1.0 + expected.abs()),
                "{found} for {expected}"
            );
        };

        let mut found = x.clone();
        softmax(&mut found);
        let sum: f64 = x.iter().map(|x| f64::from(*x).exp()).sum();
        for (found, x) in found.iter().zip(&x) {
            close(*found, f64::from(*x).exp() / sum);
        }

        let mut found = x.clone();
        rms_norm(&mut found, &y, 1e-5);
        let mean = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / length as f64;
        for ((found, x), y) in found.iter().zip(&x).zip(&y) {
            close(*found, f64::from(*x) / (mean + 1e-5).sqrt() * f64::from(*y));
        }

        let mut found = x.clone();
        swiglu(&mut found, &y);
        for ((found, x), y) in found.iter().zip(&x).zip(&y) {
            let x = f64::from(*x);
            close(*found, x / (1.0 + (-x).exp()) * f64::from(*y));
        }

        let rows = random.numbers(5 * length);
        let mut products = [0.0; 5];
        dot_rows(&rows, &x, &mut products);
        for (product, row) in products.iter().zip(rows.chunks_exact(length)) {
            let expected: f64 = row
                .iter()
                .zip(&x)
                .map(|(w, x)| f64::from(*w) * f64::from(*x))
                .sum();
            assert!((f64::from(*product) - expected).abs() < 1e-3);
        }

        let mut sum = y.clone();
        let weights = random.numbers(5);
        add_weighted_rows(&rows, &weights, &mut sum);
        for (index, sum) in sum.iter().enumerate() {
            let added: f64 = (0..5)
                .map(|row| f64::from(weights[row]) * f64::from(rows[row * length + index]))
                .sum();
            close(*sum, f64::from(y[index]) + added);
        }
    }
}

#[test]
fn what_is_impossible_stays_so() {
    let mut x = [f32::NEG_INFINITY, 1.0, f32::NAN, -1000.0];
    softmax(&mut x);
    assert_eq!(x, [0.0, 1.0, 0.0, 0.0]);
    let mut none = [f32::NEG_INFINITY; 5];
    softmax(&mut none);
    assert_eq!(none, [0.0; 5]);
    assert_eq!(greatest(&[]), f32::NEG_INFINITY);
}

/// A packed matrix of random numbers, and what it stands for.
fn random_packed(
    precision: Precision,
    rows: usize,
    columns: usize,
    random: &mut Random,
) -> (Packed, Vec<f32>) {
    let numbers = random.numbers(rows * columns);
    let mut packed = Packed::zeros(precision, rows, columns).unwrap();
    for (index, row) in numbers.chunks_exact(columns).enumerate() {
        assert!(packed.set_row(index, row));
    }
    assert!(!packed.set_row(rows, &numbers));
    (packed, numbers)
}

fn laid(matrix: &Packed, numbers: &[f32]) -> PackedInput {
    let mut input = PackedInput::new();
    matrix.set_input(&mut input, numbers);
    input
}

#[test]
fn packed_rows_are_the_numbers_that_were_set_within_the_rounding() {
    let mut random = Random(7);
    for (precision, step) in [(Precision::F32, 0.0), (Precision::Int8, 1.01 / 127.0)] {
        let (packed, numbers) = random_packed(precision, 7, 96, &mut random);
        let mut row = vec![0.0; 96];
        for (index, expected) in numbers.chunks_exact(96).enumerate() {
            assert!(packed.write_row(index, &mut row));
            for (number, expected) in row.iter().zip(expected) {
                assert!((number - expected).abs() <= step, "{number} for {expected}");
            }
        }
        assert!(!packed.write_row(7, &mut row));
    }
}

#[test]
fn products_of_packed_rows_are_those_of_a_plain_loop_within_the_rounding() {
    let mut random = Random(8);
    for precision in [Precision::F32, Precision::Int8] {
        for (rows, columns, vectors) in [
            (1, 32, 1),
            (4, 64, 2),
            (9, 384, 5),
            (13, 32, 4),
            (17, 1056, 6),
        ] {
            let (packed, numbers) = random_packed(precision, rows, columns, &mut random);
            let x = random.numbers(columns * vectors);
            let mut products = vec![0.0; rows * vectors];
            packed.multiply(&laid(&packed, &x), &mut products);
            for (x, products) in x.chunks_exact(columns).zip(products.chunks_exact(rows)) {
                for (row, product) in numbers.chunks_exact(columns).zip(products) {
                    let pairs = || {
                        row.iter()
                            .zip(x)
                            .map(|(w, x)| (f64::from(*w), f64::from(*x)))
                    };
                    let expected: f64 = pairs().map(|(w, x)| w * x).sum();
                    // Half a step of weights from -63 to 63, and half a step of eight bits over one.
                    let step = pairs().map(|(w, x)| x.abs() / 127.0 + w.abs() * 0.51 / 127.0);
                    let bound = match precision {
                        Precision::F32 => 1e-6 * pairs().map(|(w, x)| (w * x).abs()).sum::<f64>(),
                        Precision::Int8 => step.sum::<f64>() + 1e-3,
                    };
                    let off = (f64::from(*product) - expected).abs();
                    assert!(off <= bound, "{precision:?}: {product} for {expected}");
                }
            }
        }
    }
}

#[test]
fn packed_rows_of_floating_point_numbers_may_have_any_length() {
    let mut random = Random(9);
    for columns in [1, 3, 4, 13, 31, 39] {
        let (packed, numbers) = random_packed(Precision::F32, 5, columns, &mut random);
        let x = random.numbers(columns * 3);
        let mut products = vec![0.0; 15];
        packed.multiply(&laid(&packed, &x), &mut products);
        for (x, products) in x.chunks_exact(columns).zip(products.chunks_exact(5)) {
            for (row, product) in numbers.chunks_exact(columns).zip(products) {
                let expected: f32 = row.iter().zip(x).map(|(w, x)| w * x).sum();
                assert!((product - expected).abs() < 1e-5, "{columns}");
            }
        }
    }
}

#[test]
fn a_packed_product_has_the_same_bits_alone_and_among_others() {
    let mut random = Random(10);
    for precision in [Precision::F32, Precision::Int8] {
        let (packed, _) = random_packed(precision, 9, 384, &mut random);
        let x = random.numbers(384 * 5);
        let mut together = vec![0.0; 9 * 5];
        packed.multiply(&laid(&packed, &x), &mut together);
        let mut alone = Vec::new();
        for x in x.chunks_exact(384) {
            let mut products = vec![0.0; 9];
            packed.multiply(&laid(&packed, x), &mut products);
            alone.extend(products);
        }
        let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&together), bits(&alone), "{precision:?}");
    }
}

#[test]
fn a_packed_matrix_that_cannot_be_is_refused() {
    let error = Packed::zeros(Precision::Int8, 2, 33).unwrap_err();
    let said = "a row of 33 elements is not made of blocks of 32";
    assert_eq!(error.to_string(), said);
    for precision in [Precision::F32, Precision::Int8] {
        let error = Packed::zeros(precision, usize::MAX, 1 << 20).unwrap_err();
        assert!(matches!(error, PackedError::Size { .. }));
        let error = Packed::zeros(precision, 1 << 40, 1 << 10).unwrap_err();
        assert!(error.to_string().ends_with("do not fit into memory"));
    }
}

#[test]
fn what_stands_between_the_matrices_of_an_encoder_is_that_of_a_plain_loop() {
    let mut random = Random(11);
    for length in [1, 4, 7, 64, 101] {
        let x: Vec<f32> = random.numbers(length).iter().map(|x| x * 9.0).collect();
        let (weights, biases) = (random.numbers(length), random.numbers(length));

        let mut found = x.clone();
        layer_norm(&mut found, &weights, &biases, 1e-5);
        let count = length as f64;
        let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
        let variance = x
            .iter()
            .map(|x| (f64::from(*x) - mean).powi(2))
            .sum::<f64>()
            / count;
        let pairs = weights.iter().zip(&biases);
        for ((found, x), (weight, bias)) in found.iter().zip(&x).zip(pairs) {
            let normal = (f64::from(*x) - mean) / (variance + 1e-5).sqrt();
            let expected = normal * f64::from(*weight) + f64::from(*bias);
            assert!(
                (f64::from(*found) - expected).abs() < 1e-5,
                "{found} for {expected}"
            );
        }

        let mut found = x.clone();
        gelu(&mut found);
        for (found, x) in found.iter().zip(&x) {
            let expected = 0.5 * f64::from(*x) * (1.0 + erf(f64::from(*x) / 2f64.sqrt()));
            let bound = 1e-6 * (1.0 + f64::from(x.abs()));
            assert!(
                (f64::from(*found) - expected).abs() < bound,
                "{found} for {expected}"
            );
        }

        let mut found = x.clone();
        gelu_tanh(&mut found);
        for (found, x) in found.iter().zip(&x) {
            let x = f64::from(*x);
            let inner = (2.0 / core::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            let expected = 0.5 * x * (1.0 + inner.tanh());
            assert!(
                (f64::from(*found) - expected).abs() < 1e-5,
                "{found} for {expected}"
            );
        }
    }
    let mut x = [-40.0, 40.0];
    gelu(&mut x);
    assert!(x[0].abs() < 1e-30 && x[1] == 40.0, "{x:?}");
}

/// The error function by Simpson's rule over its integral.
fn erf(x: f64) -> f64 {
    const PARTS: u32 = 2000;
    let step = x / f64::from(PARTS);
    let sum: f64 = (0..=PARTS)
        .map(|part| {
            let weight = match part {
                0 | PARTS => 1.0,
                _ if part % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight * (-(f64::from(part) * step).powi(2)).exp()
        })
        .sum();
    sum * step / 3.0 * 2.0 / core::f64::consts::PI.sqrt()
}
