//! The block formats of GGUF files, and how four rows of one are taken apart at once.

use super::lanes::{Bytes, F32x4, Words};

/// How the elements of a matrix are stored. The names are those of GGUF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of an IEEE 754 binary32.
    Bf16,
    /// Blocks of 32: four bits each, a scale.
    Q4_0,
    /// Blocks of 32: four bits each, a scale and a minimum.
    Q4_1,
    /// Blocks of 32: five bits each, a scale.
    Q5_0,
    /// Blocks of 32: five bits each, a scale and a minimum.
    Q5_1,
    /// Blocks of 32: eight bits each, a scale.
    Q8_0,
    /// Blocks of 256: four bits each; a scale and a minimum of six bits for each 32.
    Q4K,
    /// Blocks of 256: five bits each; a scale and a minimum of six bits for each 32.
    Q5K,
    /// Blocks of 256: six bits each; a scale of eight bits for each 16.
    Q6K,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// How many elements a block has; a row has whole blocks.
    pub const fn block_elements(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// How many bytes a block has.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// The name that GGUF has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
        }
    }
}

/// Thirty-two elements of each of four rows. An element is `scale * weight + minimum`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    /// By row, the first sixteen elements and the last.
    pub(super) weights: [[Bytes; 2]; 4],
    /// A lane a row, for the first sixteen elements and the last; for all in the first where
    /// the format does not tell the halves apart.
    pub(super) scales: [F32x4; 2],
    /// The same for what is added.
    pub(super) minimums: [F32x4; 2],
}

/// A format whose rows are blocks of small whole numbers.
pub(super) trait Blocks {
    /// The bytes of a block.
    type Block: 'static;
    /// How many times 32 elements a block has.
    const PARTS: usize;
    /// Whether each sixteen elements have a scale of their own.
    const HALVES: bool = false;
    /// Whether weights have a sign; without, they are below 64.
    const SIGNED: bool = false;
    /// Whether there are minimums.
    const MINIMUM: bool = true;

    /// Cuts a row into its blocks.
    fn blocks(row: &[u8]) -> &[Self::Block];

    /// Takes a part of the same block of four rows apart.
    fn panel(rows: [&Self::Block; 4], part: usize) -> Panel;
}

#[inline(always)]
fn nibbles<const AT: usize, const N: usize>(block: &[u8; N]) -> [Bytes; 2] {
    let both = Bytes::load::<AT, N>(block);
    [both.and(15), both.shift_right::<4>()]
}

/// Four bits from the bytes at `AT`, the fifth from the four bytes at `HIGH`.
#[inline(always)]
fn five_bits<const HIGH: usize, const AT: usize, const N: usize>(block: &[u8; N]) -> [Bytes; 2] {
    const { assert!(HIGH + 4 <= N) }
    let [low, high] = nibbles::<AT, N>(block);
    let first = u16::from_le_bytes([block[HIGH], block[HIGH + 1]]);
    let last = u16::from_le_bytes([block[HIGH + 2], block[HIGH + 3]]);
    [
        low.or(Bytes::from_bits(first, 16)),
        high.or(Bytes::from_bits(last, 16)),
    ]
}

macro_rules! blocks {
    ($bytes:literal) => {
        type Block = [u8; $bytes];

        #[inline(always)]
        fn blocks(row: &[u8]) -> &[Self::Block] {
            row.as_chunks().0
        }
    };
}

pub(super) struct Q4_0;

impl Blocks for Q4_0 {
    blocks!(18);
    const PARTS: usize = 1;

    #[inline(always)]
    fn panel(rows: [&Self::Block; 4], _: usize) -> Panel {
        let [scale, _] = F32x4::from_f16_pairs(rows);
        let minimum = scale.times(F32x4::splat(-8.0));
        Panel {
            weights: rows.map(nibbles::<2, 18>),
            scales: [scale; 2],
            minimums: [minimum; 2],
        }
    }
}

pub(super) struct Q4_1;

impl Blocks for Q4_1 {
    blocks!(20);
    const PARTS: usize = 1;

    #[inline(always)]
    fn panel(rows: [&Self::Block; 4], _: usize) -> Panel {
        let [scale, minimum] = F32x4::from_f16_pairs(rows);
        Panel {
            weights: rows.map(nibbles::<4, 20>),
            scales: [scale; 2],
            minimums: [minimum; 2],
        }
    }
}

pub(super) struct Q5_0;

impl Blocks for Q5_0 {
    blocks!(22);
    const PARTS: usize = 1;

    #[inline(always)]
    fn panel(rows: [&Self::Block; 4], _: usize) -> Panel {
        let [scale, _] = F32x4::from_f16_pairs(rows);
        let minimum = scale.times(F32x4::splat(-16.0));
        Panel {
            weights: rows.map(five_bits::<2, 6, 22>),
            scales: [scale; 2],
            minimums: [minimum; 2],
        }
    }
}

pub(super) struct Q5_1;

impl Blocks for Q5_1 {
    blocks!(24);
    const PARTS: usize = 1;

    #[inline(always)]
    fn panel(rows: [&Self::Block; 4], _: usize) -> Panel {
        let [scale, minimum] = F32x4::from_f16_pairs(rows);
        Panel {
            weights: rows.map(five_bits::<4, 8, 24>),
            scales: [scale; 2],
            minimums: [minimum; 2],
        }
    }
}

pub(super) struct Q8_0;

impl Q8_0 {
    /// Of a block.
    pub(super) const BYTES: usize = 34;

    /// The weights of a block, eight at a time.
    #[inline(always)]
    pub(super) fn words(block: &[u8; Self::BYTES]) -> [Words; 4] {
        [
            Words::widen::<2, 34>(block),
            Words::widen::<10, 34>(block),
            Words::widen::<18, 34>(block),
            Words::widen::<26, 34>(block),
        ]
    }

    /// A lane a row.
    #[inline(always)]
    pub(super) fn scales(rows: [&[u8; Self::BYTES]; 4]) -> F32x4 {
        F32x4::from_f16_bits(rows.map(|row| u16::from_le_bytes([row[0], row[1]])))
    }
}

impl Blocks for Q8_0 {
    blocks!(34);
    const PARTS: usize = 1;
    const SIGNED: bool = true;
    const MINIMUM: bool = false;

    #[inline(always)]
    fn panel(rows: [&Self::Block; 4], _: usize) -> Panel {
        let scale = Self::scales(rows);
        Panel {
            weights: rows.map(|row| [Bytes::load::<2, 34>(row), Bytes::load::<18, 34>(row)]),
            scales: [scale; 2],
            minimums: [F32x4::splat(0.0); 2],
        }
    }
}

/// Sixteen bytes of a block whose place is known when it runs. The place is one of few, so that
/// the compiler makes a table or an offset of it.
#[inline(always)]
fn load_at<const N: usize>(block: &[u8; N], at: usize) -> Bytes {
    let bytes = block.get(at..).and_then(|rest| rest.first_chunk::<16>());
    debug_assert!(bytes.is_some(), "the place is within the block");
    Bytes::load::<0, 16>(bytes.unwrap_or(&[0; 16]))
}

/// Scale and minimum of a part, each of six bits, of the twelve bytes from the fourth on.
#[inline(always)]
fn six_bit_scales<const N: usize>(block: &[u8; N], part: usize) -> (f32, f32) {
    const { assert!(N >= 16) }
    // As the format lays them out: eight low halves of six bits, then the low four bits of the
    // other eight, whose upper two are in the first eight bytes.
    let at = |index: usize| block[(4 + index) & 15];
    let (scale, minimum) = if part < 4 {
        (at(part) & 63, at(part + 4) & 63)
    } else {
        (
            (at(part + 4) & 15) | ((at(part - 4) >> 6) << 4),
            (at(part + 4) >> 4) | ((at(part) >> 6) << 4),
        )
    };
    (f32::from(scale), f32::from(minimum))
}

/// The scales and the minimums of a part of four blocks of Q4_K or Q5_K.
#[inline(always)]
fn scales_of<const N: usize>(rows: [&[u8; N]; 4], part: usize) -> (F32x4, F32x4) {
    let [scale, minimum] = F32x4::from_f16_pairs(rows);
    let pairs = rows.map(|row| six_bit_scales(row, part));
    (
        scale.times(F32x4::new(pairs.map(|(scale, _)| scale))),
        minimum.times(F32x4::new(pairs.map(|(_, minimum)| -minimum))),
    )
}

/// Thirty-two nibbles: the lower ones of as many bytes for an even part, then the upper ones.
#[inline(always)]
fn nibbles_of_part<const N: usize>(block: &[u8; N], start: usize, part: usize) -> [Bytes; 2] {
    let at = start + 32 * (part / 2);
    let both = [load_at(block, at), load_at(block, at + 16)];
    if part.is_multiple_of(2) {
        both.map(|bytes| bytes.and(15))
    } else {
        both.map(|bytes| bytes.shift_right::<4>())
    }
}

pub(super) struct Q4K;

impl Blocks for Q4K {
    blocks!(144);
    const PARTS: usize = 8;

    #[inline(always)]
    fn panel(rows: [&Self::Block; 4], part: usize) -> Panel {
        let (scale, minimum) = scales_of(rows, part);
        Panel {
            weights: rows.map(|row| nibbles_of_part(row, 16, part)),
            scales: [scale; 2],
            minimums: [minimum; 2],
        }
    }
}

pub(super) struct Q5K;

impl Blocks for Q5K {
    blocks!(176);
    const PARTS: usize = 8;

    #[inline(always)]
    fn panel(rows: [&Self::Block; 4], part: usize) -> Panel {
        let (scale, minimum) = scales_of(rows, part);
        let weights = rows.map(|row| {
            let [first, last] = nibbles_of_part(row, 48, part);
            let bit = 1 << part;
            [
                first.or(Bytes::load::<16, 176>(row).where_set(bit, 16)),
                last.or(Bytes::load::<32, 176>(row).where_set(bit, 16)),
            ]
        });
        Panel {
            weights,
            scales: [scale; 2],
            minimums: [minimum; 2],
        }
    }
}

pub(super) struct Q6K;

impl Blocks for Q6K {
    blocks!(210);
    const PARTS: usize = 8;
    const HALVES: bool = true;

    #[inline(always)]
    fn panel(rows: [&Self::Block; 4], part: usize) -> Panel {
        // Each half of the block has 64 bytes of nibbles and 32 of pairs of bits for four parts.
        let (half, quarter) = (part / 4, part % 4);
        let low_at = 64 * half + 32 * (quarter % 2);
        let high_at = 128 + 32 * half;
        let weights = rows.map(|row| {
            [0, 16].map(|offset| {
                let both = load_at(row, low_at + offset);
                let low = if quarter < 2 {
                    both.and(15)
                } else {
                    both.shift_right::<4>()
                };
                let high = load_at(row, high_at + offset).two_bits_from(2 * quarter as u32);
                low.or(high.shift_left::<4>())
            })
        });
        let halves = rows.map(|row| u16::from_le_bytes([row[208], row[209]]));
        let scale = F32x4::from_f16_bits(halves);
        let scales = [0, 1].map(|index| {
            let at = (192 + 2 * part + index).min(207);
            scale.times(F32x4::new(rows.map(|row| f32::from(row[at] as i8))))
        });
        Panel {
            weights,
            scales,
            minimums: scales.map(|scale| scale.times(F32x4::splat(-32.0))),
        }
    }
}

/// A format whose elements stand alone.
pub(super) trait Floats {
    /// The bytes of eight elements.
    type Eight: 'static;

    /// Cuts a row into pieces of eight, and what is left.
    fn eights(row: &[u8]) -> (&[Self::Eight], &[u8]);

    /// Eight elements.
    fn load(eight: &Self::Eight) -> [F32x4; 2];

    /// The elements of what is left, fewer than eight, and zeros.
    fn load_rest(rest: &[u8]) -> [F32x4; 2];
}

macro_rules! floats {
    ($name:ident, $bytes:literal, $half:literal, $load:path) => {
        pub(super) struct $name;

        impl Floats for $name {
            type Eight = [u8; $bytes];

            #[inline(always)]
            fn eights(row: &[u8]) -> (&[Self::Eight], &[u8]) {
                row.as_chunks()
            }

            #[inline(always)]
            fn load(eight: &Self::Eight) -> [F32x4; 2] {
                let ([first, last], _) = eight.as_chunks::<$half>() else {
                    return [F32x4::splat(0.0); 2];
                };
                [$load(first), $load(last)]
            }

            #[inline(always)]
            fn load_rest(rest: &[u8]) -> [F32x4; 2] {
                let mut eight = [0; $bytes];
                for (to, from) in eight.iter_mut().zip(rest) {
                    *to = *from;
                }
                Self::load(&eight)
            }
        }
    };
}

floats!(F32, 32, 16, F32x4::from_bytes);
floats!(F16, 16, 8, F32x4::from_f16);
floats!(Bf16, 16, 8, F32x4::from_bf16);
