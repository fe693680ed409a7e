//! What stands between the matrices of a transformer.

use super::lanes::F32x4;

/// Scales a vector to a root mean square of one, then by a weight for each element: `x[i] *
/// weights[i] / sqrt(mean(x * x) + epsilon)` (Zhang and Sennrich, 2019), over the shorter of the
/// two.
///
/// ```
/// let mut x = [3.0, 4.0];
/// belljar_guest::kernels::rms_norm(&mut x, &[1.0, 2.0], 0.0);
/// assert!((x[1] / x[0] - 8.0 / 3.0).abs() < 1e-6);
/// ```
pub fn rms_norm(x: &mut [f32], weights: &[f32], epsilon: f32) {
    let mean = super::dot_f32(x, x) / x.len().max(1) as f32;
    let [root, ..] = F32x4::splat(mean + epsilon).sqrt().to_array();
    let factor = 1.0 / root;
    for (x, weight) in x.iter_mut().zip(weights) {
        *x = *x * factor * weight;
    }
}

/// Shifts and scales a vector to a mean of zero and a variance of one, then scales and shifts it by
/// a weight and a bias for each element: `(x[i] - mean) / sqrt(variance + epsilon) * weights[i] +
/// biases[i]` (Ba, Kiros and Hinton, 2016), over the shortest of the three.
///
/// ```
/// let mut x = [1.0, 3.0];
/// belljar_guest::kernels::layer_norm(&mut x, &[2.0, 2.0], &[0.0, 10.0], 0.0);
/// assert_eq!(x, [-2.0, 12.0]);
/// ```
pub fn layer_norm(x: &mut [f32], weights: &[f32], biases: &[f32], epsilon: f32) {
    let count = x.len().max(1) as f32;
    let (fours, rest) = x.as_chunks::<4>();
    let whole = fours.iter().fold(F32x4::splat(0.0), |sum, four| {
        sum.plus(F32x4::load::<0, 4>(four))
    });
    let mean = (whole.sum() + rest.iter().sum::<f32>()) / count;
    for x in x.iter_mut() {
        *x -= mean;
    }
    let variance = super::dot_f32(x, x) / count;
    let [root, ..] = F32x4::splat(variance + epsilon).sqrt().to_array();
    let factor = 1.0 / root;
    for ((x, weight), bias) in x.iter_mut().zip(weights).zip(biases) {
        *x = *x * factor * weight + bias;
    }
}

/// Turns numbers into probabilities in their proportion: `exp(x[i])` over the sum of all. None
/// become none, and numbers that are all minus infinity become zeros.
///
/// ```
/// let mut x = [0.0, 0.0];
/// belljar_guest::kernels::softmax(&mut x);
/// assert_eq!(x, [0.5, 0.5]);
/// ```
pub fn softmax(x: &mut [f32]) {
    let greatest = greatest(x);
    if greatest == f32::NEG_INFINITY {
        x.fill(0.0);
        return;
    }
    let sum = exp_less(x, greatest);
    let factor = 1.0 / sum;
    for x in x {
        *x *= factor;
    }
}

/// The greatest of the numbers; minus infinity of none. NaN counts as nothing.
pub fn greatest(x: &[f32]) -> f32 {
    let (fours, rest) = x.as_chunks::<4>();
    let start = F32x4::splat(f32::NEG_INFINITY);
    let vectors = fours.iter().fold(start, |greatest, four| {
        F32x4::load::<0, 4>(four).max(greatest)
    });
    rest.iter().fold(
        vectors.greatest(),
        |greatest, &x| {
            if x > greatest { x } else { greatest }
        },
    )
}

/// Replaces each number by `exp(x[i] - less)` and gives their sum. A number more than 87 below
/// `less` becomes zero.
pub fn exp_less(x: &mut [f32], less: f32) -> f32 {
    let less = F32x4::splat(less);
    // Below this the exponential is no normal number.
    let floor = F32x4::splat(-87.0);
    let zero = F32x4::splat(0.0);
    let exp = |x: F32x4| {
        let x = x.minus(less);
        let above = x.minus(floor).max(zero).times(F32x4::splat(f32::MAX));
        // One above the floor, zero at or below it.
        let kept = above.min(F32x4::splat(1.0));
        x.exp().times(kept)
    };
    let (fours, rest) = x.as_chunks_mut::<4>();
    let mut sums = zero;
    for four in fours {
        let y = exp(F32x4::load::<0, 4>(four));
        y.store(four);
        sums = sums.plus(y);
    }
    let mut sum = sums.sum();
    for x in rest {
        let [y, ..] = exp(F32x4::splat(*x)).to_array();
        *x = y;
        sum += y;
    }
    sum
}

/// The gate of a SwiGLU layer (Shazeer, 2020): `gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i]`,
/// over the shorter of the two.
///
/// ```
/// let mut gate = [0.0, 100.0];
/// belljar_guest::kernels::swiglu(&mut gate, &[5.0, 2.0]);
/// assert_eq!(gate, [0.0, 200.0]);
/// ```
pub fn swiglu(gate: &mut [f32], up: &[f32]) {
    let one = F32x4::splat(1.0);
    let act = |x: F32x4, up: F32x4| {
        let minus = F32x4::splat(0.0).minus(x);
        x.over(one.plus(minus.exp())).times(up)
    };
    let length = gate.len().min(up.len());
    let (fours, rest) = gate.split_at_mut(length).0.as_chunks_mut::<4>();
    let (up_fours, up_rest) = up.split_at(length).0.as_chunks::<4>();
    for (four, up) in fours.iter_mut().zip(up_fours) {
        act(F32x4::load::<0, 4>(four), F32x4::load::<0, 4>(up)).store(four);
    }
    for (x, up) in rest.iter_mut().zip(up_rest) {
        let [y, ..] = act(F32x4::splat(*x), F32x4::splat(*up)).to_array();
        *x = y;
    }
}

/// The Gaussian error linear unit (Hendrycks and Gimpel, 2016), each number times the chance that a
/// normal one is below it: `x[i] * (1 + erf(x[i] / sqrt(2))) / 2`, within 2e-7 times the magnitude.
///
/// ```
/// let mut x = [0.0, 1.0, -20.0];
/// belljar_guest::kernels::gelu(&mut x);
/// assert!(x[0] == 0.0 && (x[1] - 0.841_345).abs() < 1e-6 && x[2].abs() < 1e-6);
/// ```
pub fn gelu(x: &mut [f32]) {
    // Abramowitz and Stegun, 7.1.26: for z >= 0, `erfc(z)` is a polynomial of `1 / (1 + P * z)`
    // times `exp(-z * z)`.
    const P: f32 = 0.327_591_1;
    const COEFFICIENTS: [f32; 5] = [
        1.061_405_4,
        -1.453_152,
        1.421_413_8,
        -0.284_496_72,
        0.254_829_6,
    ];
    let (zero, one) = (F32x4::splat(0.0), F32x4::splat(1.0));
    each_four(x, |x| {
        let magnitude = x.magnitude();
        let z = magnitude.times(F32x4::splat(core::f32::consts::FRAC_1_SQRT_2));
        let t = one.over(z.times_plus(F32x4::splat(P), one));
        let mut sum = zero;
        for coefficient in COEFFICIENTS {
            sum = sum.plus(F32x4::splat(coefficient)).times(t);
        }
        let tail = sum.times(zero.minus(z.times(z)).exp());
        // Above zero the tail is taken off, below it the tail is all there is.
        let half = magnitude.times(F32x4::splat(0.5));
        x.max(zero).minus(half.times(tail))
    });
}

/// The same by a hyperbolic tangent, as some models were trained: `x[i] * (1 + tanh(sqrt(2 / pi) *
/// (x[i] + 0.044715 * x[i]^3))) / 2`.
///
/// ```
/// let mut x = [0.0, 1.0];
/// belljar_guest::kernels::gelu_tanh(&mut x);
/// assert!(x[0] == 0.0 && (x[1] - 0.841_192).abs() < 1e-6);
/// ```
pub fn gelu_tanh(x: &mut [f32]) {
    // Twice the root, for `(1 + tanh(u)) / 2 = 1 / (1 + exp(-2 * u))`.
    const TWICE_ROOT: f32 = 1.595_769;
    let one = F32x4::splat(1.0);
    each_four(x, |x| {
        let cubic = x.times(x).times_plus(F32x4::splat(0.044_715), one);
        let exponent = x.times(cubic).times(F32x4::splat(-TWICE_ROOT));
        x.over(one.plus(exponent.exp()))
    });
}

/// Replaces each number by a function of it.
#[inline(always)]
fn each_four(x: &mut [f32], function: impl Fn(F32x4) -> F32x4) {
    let (fours, rest) = x.as_chunks_mut::<4>();
    for four in fours {
        function(F32x4::load::<0, 4>(four)).store(four);
    }
    for x in rest {
        let [y, ..] = function(F32x4::splat(*x)).to_array();
        *x = y;
    }
}

/// The product of each row with a vector: `products[i] = dot(rows[i], vector)`. A row is as long
/// as the vector, and rows follow each other.
///
/// ```
/// let mut products = [0.0; 2];
/// belljar_guest::kernels::dot_rows(&[1.0, 2.0, 3.0, 4.0], &[1.0, 10.0], &mut products);
/// assert_eq!(products, [21.0, 43.0]);
/// ```
pub fn dot_rows(rows: &[f32], vector: &[f32], products: &mut [f32]) {
    let length = vector.len().max(1);
    let mut rows = rows.chunks_exact(length);
    for products in products.chunks_mut(4) {
        let Some(first) = rows.next() else { return };
        // Past the last row the last one stands in again, and nobody reads what comes of it.
        let mut four = [first; 4];
        let mut last = first;
        for place in four.iter_mut().skip(1) {
            last = rows.next().unwrap_or(last);
            *place = last;
        }
        let found = four_dots(four, vector);
        for (to, from) in products.iter_mut().zip(found) {
            *to = from;
        }
    }
}

/// The dot products of four rows with one vector.
#[inline(always)]
fn four_dots(rows: [&[f32]; 4], vector: &[f32]) -> [f32; 4] {
    let (x_eights, x_rest) = vector.as_chunks::<8>();
    let [(r0, rest0), (r1, rest1), (r2, rest2), (r3, rest3)] = rows.map(|row| row.as_chunks::<8>());
    let mut sums = [[F32x4::splat(0.0); 2]; 4];
    let add = |sums: &mut [F32x4; 2], w: &[f32; 8], x: [F32x4; 2]| {
        sums[0] = F32x4::load::<0, 8>(w).times_plus(x[0], sums[0]);
        sums[1] = F32x4::load::<4, 8>(w).times_plus(x[1], sums[1]);
    };
    for ((((r0, r1), r2), r3), x) in r0.iter().zip(r1).zip(r2).zip(r3).zip(x_eights) {
        let x = [F32x4::load::<0, 8>(x), F32x4::load::<4, 8>(x)];
        let [s0, s1, s2, s3] = &mut sums;
        add(s0, r0, x);
        add(s1, r1, x);
        add(s2, r2, x);
        add(s3, r3, x);
    }
    let mut products = sums.map(|[a, b]| a.plus(b).sum());
    for (product, rest) in products.iter_mut().zip([rest0, rest1, rest2, rest3]) {
        *product += rest.iter().zip(x_rest).map(|(w, x)| w * x).sum::<f32>();
    }
    products
}

/// Adds rows, each times its weight: `sum[j] += weights[i] * rows[i][j]` for each `i`. A row is as
/// long as the sum, and rows follow each other.
///
/// ```
/// let mut sum = [0.0; 2];
/// belljar_guest::kernels::add_weighted_rows(&[1.0, 2.0, 3.0, 4.0], &[1.0, 10.0], &mut sum);
/// assert_eq!(sum, [31.0, 42.0]);
/// ```
pub fn add_weighted_rows(rows: &[f32], weights: &[f32], sum: &mut [f32]) {
    const TILE: usize = 16;
    let length = sum.len().max(1);
    let whole = sum.len() / TILE * TILE;
    let (tiles, rest) = sum.as_chunks_mut::<TILE>();
    for (index, tile) in tiles.iter_mut().enumerate() {
        let mut sums = [
            F32x4::load::<0, TILE>(tile),
            F32x4::load::<4, TILE>(tile),
            F32x4::load::<8, TILE>(tile),
            F32x4::load::<12, TILE>(tile),
        ];
        for (row, &weight) in rows.chunks_exact(length).zip(weights) {
            let Some(part) = row
                .get(index * TILE..)
                .and_then(|row| row.first_chunk::<TILE>())
            else {
                continue;
            };
            let weight = F32x4::splat(weight);
            let [a, b, c, d] = &mut sums;
            *a = F32x4::load::<0, TILE>(part).times_plus(weight, *a);
            *b = F32x4::load::<4, TILE>(part).times_plus(weight, *b);
            *c = F32x4::load::<8, TILE>(part).times_plus(weight, *c);
            *d = F32x4::load::<12, TILE>(part).times_plus(weight, *d);
        }
        let (fours, _) = tile.as_chunks_mut::<4>();
        for (four, sum) in fours.iter_mut().zip(sums) {
            sum.store(four);
        }
    }
    if !rest.is_empty() {
        for (row, &weight) in rows.chunks_exact(length).zip(weights) {
            for (sum, x) in rest.iter_mut().zip(row.iter().skip(whole)) {
                *sum += weight * x;
            }
        }
    }
}
