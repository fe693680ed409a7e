//! Values that somebody has measured: the columns of CSV files, each of times or of speeds.

use super::{DistributionError, Quantity};
use rand::{Rng, RngExt as _};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Values of one column.
pub const COLUMN_VALUES_MAX: usize = 1_000_000;
/// Columns of one file.
pub const FILE_COLUMNS_MAX: usize = 64;

/// Columns that distributions can name.
#[derive(Clone, Debug, Default)]
pub struct Recorded(BTreeMap<String, Arc<Column>>);

/// One column: its values in seconds, or in tokens a second.
#[derive(Debug, PartialEq)]
pub struct Column {
    name: String,
    quantity: Quantity,
    values: Vec<f64>,
}

/// Why a file of recorded values is not taken.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    /// It is not CSV.
    #[error("{0}")]
    Csv(#[from] csv::Error),
    /// A value that is none, with its line.
    #[error("line {line}, column `{column}`: {source}")]
    Value {
        /// From 1.
        line: u64,
        /// Its name in the first line.
        column: String,
        /// What is wrong with it.
        source: DistributionError,
    },
    /// A name that could not be written in a distribution.
    #[error("`{0}` is no name: letters, digits, `_`, `-` and `.` are")]
    Name(String),
    /// A name that is there already.
    #[error("there is a column `{0}` already")]
    Twice(String),
    /// Nothing to choose from.
    #[error("column `{0}` is empty")]
    Empty(String),
    /// Too many values or columns.
    #[error("more than {COLUMN_VALUES_MAX} values in a column, or than {FILE_COLUMNS_MAX} columns")]
    TooMany,
}

/// Endings of columns' names and what they say of its numbers: the quantity, and how many of its
/// units there are in one.
const UNITS: [(&str, Quantity, f64); 4] = [
    ("_per_s", Quantity::Speed, 1.0),
    ("_us", Quantity::Time, 1e6),
    ("_ms", Quantity::Time, 1e3),
    ("_s", Quantity::Time, 1.0),
];

impl Recorded {
    /// Adds the columns of a CSV file whose first line names them, as `FILE.COLUMN`; the only
    /// column of a file is `FILE` as well. Numbers have their unit in the column's name
    /// (`ttft_ms`, `itl_us`, `e2e_s`, `prefill_per_s`) or behind them (`20ms`); empty cells are
    /// left out.
    ///
    /// # Errors
    ///
    /// When it is not such a file; nothing is added then.
    pub fn add(&mut self, file: &str, csv: &[u8]) -> Result<(), RecordedError> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(csv);
        let heads: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
        if heads.len() > FILE_COLUMNS_MAX {
            return Err(RecordedError::TooMany);
        }
        let mut columns = heads.iter().map(|head| new(file, head));
        let mut columns = columns.by_ref().collect::<Result<Vec<_>, _>>()?;
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record)? {
            let line = record.position().map_or(0, csv::Position::line);
            for (column, cell) in columns.iter_mut().zip(&record) {
                if cell.is_empty() {
                    continue;
                }
                if column.values.len() == COLUMN_VALUES_MAX {
                    return Err(RecordedError::TooMany);
                }
                let value = value(column, cell).map_err(|source| RecordedError::Value {
                    line,
                    column: column.name.clone(),
                    source,
                })?;
                column.values.push(value);
            }
        }
        let mut added = self.0.clone();
        let is_alone = columns.len() == 1;
        for mut column in columns {
            if column.values.is_empty() {
                return Err(RecordedError::Empty(column.name));
            }
            if is_alone {
                let column = Column {
                    name: file.to_owned(),
                    quantity: column.quantity,
                    values: column.values.clone(),
                };
                insert(&mut added, column)?;
            }
            column.values.shrink_to_fit();
            insert(&mut added, column)?;
        }
        self.0 = added;
        Ok(())
    }

    /// The names of all columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn column(&self, name: &str) -> Option<&Arc<Column>> {
        self.0.get(name)
    }
}

fn new(file: &str, head: &str) -> Result<Column, RecordedError> {
    let name = format!("{file}.{head}");
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if file.is_empty() || head.is_empty() || !name.chars().all(is_name) {
        return Err(RecordedError::Name(name));
    }
    let unit = UNITS.iter().find(|(ending, ..)| head.ends_with(ending));
    let quantity = unit.map_or(Quantity::Time, |(_, quantity, _)| *quantity);
    Ok(Column {
        name,
        quantity,
        values: Vec::new(),
    })
}

/// A cell as a number of seconds, or of tokens a second.
fn value(column: &Column, cell: &str) -> Result<f64, DistributionError> {
    let mut units = UNITS.iter();
    let unit = units.find(|(ending, ..)| column.name.ends_with(ending));
    match (unit, cell.parse::<f64>()) {
        (Some((_, quantity, parts)), Ok(number)) => {
            let value = number / parts;
            let (least, most) = quantity.range();
            if (least..=most).contains(&value) {
                return Ok(value);
            }
            quantity.read(cell)
        }
        _ => column.quantity.read(cell),
    }
}

fn insert(
    columns: &mut BTreeMap<String, Arc<Column>>,
    column: Column,
) -> Result<(), RecordedError> {
    if columns.contains_key(&column.name) {
        return Err(RecordedError::Twice(column.name));
    }
    columns.insert(column.name.clone(), Arc::new(column));
    Ok(())
}

impl Column {
    /// What distributions call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its values are.
    #[must_use]
    pub fn quantity(&self) -> Quantity {
        self.quantity
    }

    /// One of its values, each alike.
    pub(super) fn sample(&self, generator: &mut (impl Rng + ?Sized)) -> f64 {
        // Drawn as 32 bits, so that machines of other word sizes draw the same.
        let count = u32::try_from(self.values.len()).unwrap_or(u32::MAX).max(1);
        let index = generator.random_range(0..count);
        self.values.get(index as usize).copied().unwrap_or_default()
    }
}
