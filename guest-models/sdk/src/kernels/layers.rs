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
    let factor = F32x4::splat(1.0 / root);
    each_four_with(x, [weights], |x, [weight]| x.times(factor).times(weight));
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
    let mean = F32x4::splat(sum(x) / count);
    each_four(x, |x| x.minus(mean));
    let variance = super::dot_f32(x, x) / count;
    let [root, ..] = F32x4::splat(variance + epsilon).sqrt().to_array();
    let factor = F32x4::splat(1.0 / root);
    each_four_with(x, [weights, biases], |x, [weight, bias]| {
        x.times(factor).times(weight).plus(bias)
    });
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
    let factor = F32x4::splat(1.0 / sum);
    each_four(x, |x| x.times(factor));
}

/// The greatest of the numbers; minus infinity of none. NaN counts as nothing.
pub fn greatest(x: &[f32]) -> f32 {
    let (fours, rest) = x.as_chunks::<4>();
    let (turns, fours) = fours.as_chunks::<8>();
    let more = |greatest: F32x4, four: &[f32; 4]| F32x4::load::<0, 4>(four).max(greatest);
    let start = F32x4::splat(f32::NEG_INFINITY);
    let vectors = turns
        .iter()
        .fold(start, |greatest, [a, b, c, d, e, f, g, h]| {
            let greatest = more(more(more(more(greatest, a), b), c), d);
            more(more(more(more(greatest, e), f), g), h)
        });
    let vectors = fours.iter().fold(vectors, more);
    rest.iter().fold(
        vectors.greatest(),
        |greatest, &x| {
            if x > greatest { x } else { greatest }
        },
    )
}

/// The sum of the numbers.
#[inline(always)]
fn sum(x: &[f32]) -> f32 {
    let (fours, rest) = x.as_chunks::<4>();
    let (turns, fours) = fours.as_chunks::<8>();
    let load = F32x4::load::<0, 4>;
    let sum = turns
        .iter()
        .fold(F32x4::splat(0.0), |sum, [a, b, c, d, e, f, g, h]| {
            let low = load(a).plus(load(b)).plus(load(c).plus(load(d)));
            let high = load(e).plus(load(f)).plus(load(g).plus(load(h)));
            sum.plus(low.plus(high))
        });
    let sum = fours.iter().fold(sum, |sum, four| sum.plus(load(four)));
    sum.sum() + rest.iter().sum::<f32>()
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
    let (turns, fours) = fours.as_chunks_mut::<4>();
    let change = |four: &mut [f32; 4]| {
        let y = exp(F32x4::load::<0, 4>(four));
        y.store(four);
        y
    };
    let mut sums = zero;
    for [a, b, c, d] in turns {
        let (a, b, c, d) = (change(a), change(b), change(c), change(d));
        sums = sums.plus(a.plus(b).plus(c.plus(d)));
    }
    for four in fours {
        sums = sums.plus(change(four));
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
    each_four_with(gate, [up], |gate, [up]| act(gate, up));
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
    each_four_with(x, [], |x, []| function(x));
}

/// Replaces each number by a function of it and of those in its place in others, over the shortest
/// of all. A turn has four vectors, so that the host's look at the fuel costs little beside them.
#[inline(always)]
fn each_four_with<const N: usize>(
    x: &mut [f32],
    others: [&[f32]; N],
    function: impl Fn(F32x4, [F32x4; N]) -> F32x4,
) {
    let length = others
        .iter()
        .map(|other| other.len())
        .fold(x.len(), usize::min);
    let (fours, rest) = x.split_at_mut(length).0.as_chunks_mut::<4>();
    let (turns, fours) = fours.as_chunks_mut::<4>();
    let parts = others.map(|other| {
        let (fours, rest) = other.split_at(length).0.as_chunks::<4>();
        let (turns, fours) = fours.as_chunks::<4>();
        (turns, fours, rest)
    });
    let change = |four: &mut [f32; 4], others: [&[f32; 4]; N]| {
        let others = others.map(F32x4::load::<0, 4>);
        function(F32x4::load::<0, 4>(four), others).store(four);
    };
    // There is as much of all of them.
    for (index, [a, b, c, d]) in turns.iter_mut().enumerate() {
        let others = parts.map(|(turns, _, _)| turns.get(index).unwrap_or(&[[0.0; 4]; 4]));
        change(a, others.map(|[a, ..]| a));
        change(b, others.map(|[_, b, ..]| b));
        change(c, others.map(|[_, _, c, _]| c));
        change(d, others.map(|[.., d]| d));
    }
    for (index, four) in fours.iter_mut().enumerate() {
        change(
            four,
            parts.map(|(_, fours, _)| fours.get(index).unwrap_or(&[0.0; 4])),
        );
    }
    for (index, x) in rest.iter_mut().enumerate() {
        let others = parts.map(|(_, _, rest)| rest.get(index).copied().unwrap_or_default());
        let [y, ..] = function(F32x4::splat(*x), others.map(F32x4::splat)).to_array();
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
    /// Rows of a turn.
    const ROWS: usize = 4;
    let length = sum.len().max(1);
    let count = weights.len().min(rows.len() / length);
    let (rows, weights) = (rows.split_at(count * length).0, weights.split_at(count).0);
    let whole = sum.len() / TILE * TILE;
    let (tiles, rest) = sum.as_chunks_mut::<TILE>();
    for (index, tile) in tiles.iter_mut().enumerate() {
        let mut sums = [
            F32x4::load::<0, TILE>(tile),
            F32x4::load::<4, TILE>(tile),
            F32x4::load::<8, TILE>(tile),
            F32x4::load::<12, TILE>(tile),
        ];
        let mut add = |row: &[f32], weight: F32x4| {
            let part = row.get(index * TILE..).and_then(<[f32]>::first_chunk);
            let Some(part) = part else { return };
            let [a, b, c, d] = &mut sums;
            *a = F32x4::load::<0, TILE>(part).times_plus(weight, *a);
            *b = F32x4::load::<4, TILE>(part).times_plus(weight, *b);
            *c = F32x4::load::<8, TILE>(part).times_plus(weight, *c);
            *d = F32x4::load::<12, TILE>(part).times_plus(weight, *d);
        };
        let (turns, single) = weights.as_chunks::<ROWS>();
        let mut groups = rows.chunks_exact(ROWS * length);
        for (group, weights) in groups.by_ref().zip(turns) {
            let weights = F32x4::new(*weights);
            let (first, last) = group.split_at(2 * length);
            let ((a, b), (c, d)) = (first.split_at(length), last.split_at(length));
            add(a, weights.lane::<0>());
            add(b, weights.lane::<1>());
            add(c, weights.lane::<2>());
            add(d, weights.lane::<3>());
        }
        for (row, &weight) in groups.remainder().chunks_exact(length).zip(single) {
            add(row, F32x4::splat(weight));
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
