//! Rows of numbers that are looked up, and multiplied by nothing.

use belljar_guest::kernels::Precision;

/// Elements that share a scale where they are rounded.
const BLOCK: usize = 32;

/// A row for each token, position or type.
#[derive(Debug)]
pub(crate) struct Table {
    columns: usize,
    numbers: Numbers,
}

#[derive(Debug)]
enum Numbers {
    F32(Vec<f32>),
    /// Whole numbers, and what those of a block are times.
    Int8 {
        wholes: Vec<i8>,
        scales: Vec<f32>,
    },
}

impl Table {
    /// A table without rows, with room for some; none where there is no room, or where the numbers
    /// of a row are to be rounded and are no whole blocks.
    pub(crate) fn with_room(precision: Precision, rows: usize, columns: usize) -> Option<Self> {
        let count = rows.checked_mul(columns)?;
        let numbers = match precision {
            Precision::F32 => Numbers::F32(with_room(count)?),
            Precision::Int8 if columns.is_multiple_of(BLOCK) => Numbers::Int8 {
                wholes: with_room(count)?,
                scales: with_room(count / BLOCK)?,
            },
            Precision::Int8 => return None,
        };
        Some(Self { columns, numbers })
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: &[f32]) {
        match &mut self.numbers {
            Numbers::F32(numbers) => numbers.extend_from_slice(row),
            Numbers::Int8 { wholes, scales } => {
                let (blocks, _) = row.as_chunks::<BLOCK>();
                for block in blocks {
                    let greatest = block.iter().fold(0f32, |most, x| most.max(x.abs()));
                    let scale = greatest / f32::from(i8::MAX);
                    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
                    scales.push(scale);
                    // A cast ends at the bounds of the type.
                    wholes.extend(block.iter().map(|x| (x * inverse).round() as i8));
                }
            }
        }
    }

    /// Adds a row to numbers, as far as they go; nothing where there is no such row.
    pub(crate) fn add_row(&self, index: usize, to: &mut [f32]) {
        let start = index.saturating_mul(self.columns);
        let end = start.saturating_add(self.columns);
        match &self.numbers {
            Numbers::F32(numbers) => {
                let row = numbers.get(start..end).unwrap_or_default();
                to.iter_mut().zip(row).for_each(|(to, more)| *to += more);
            }
            Numbers::Int8 { wholes, scales } => {
                let blocks = wholes.get(start..end).unwrap_or_default().chunks(BLOCK);
                let scales = scales.get(start / BLOCK..).unwrap_or_default();
                for ((to, block), scale) in to.chunks_mut(BLOCK).zip(blocks).zip(scales) {
                    let pairs = to.iter_mut().zip(block);
                    pairs.for_each(|(to, whole)| *to += scale * f32::from(*whole));
                }
            }
        }
    }
}

fn with_room<T>(count: usize) -> Option<Vec<T>> {
    let mut all = Vec::new();
    all.try_reserve_exact(count).ok()?;
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_what_was_pushed_within_the_rounding() {
        let rows: Vec<Vec<f32>> = (0..3)
            .map(|row| (0..64).map(|at| ((row * 64 + at) as f32).sin()).collect())
            .collect();
        for (precision, step) in [(Precision::F32, 0.0), (Precision::Int8, 0.51 / 127.0)] {
            let mut table = Table::with_room(precision, 3, 64).expect("there is room");
            rows.iter().for_each(|row| table.push(row));
            for (index, row) in rows.iter().enumerate() {
                let mut found = vec![0.0; 64];
                table.add_row(index, &mut found);
                for (found, expected) in found.iter().zip(row) {
                    assert!((found - expected).abs() <= step, "{found} for {expected}");
                }
            }
            let mut none = vec![1.0; 64];
            table.add_row(3, &mut none);
            table.add_row(usize::MAX, &mut none);
            assert_eq!(none, vec![1.0; 64]);
        }
        assert!(Table::with_room(Precision::Int8, 1, 33).is_none());
        assert!(Table::with_room(Precision::F32, usize::MAX, 2).is_none());
    }
}
