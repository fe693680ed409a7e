//! Reports: sums of rows by whatever is asked, a page at a time.

use std::fmt;
use std::str::FromStr;

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqlitePool};

use super::{Amounts, Day, LedgerError, Month};

/// What rows can be summed up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// The key.
    Key,
    /// The model.
    Model,
    /// The UTC day.
    Day,
    /// The calendar month, UTC.
    Month,
}

impl Dimension {
    /// The name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Model => "model",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    fn expression(self) -> &'static str {
        match self {
            Self::Key => "key_id",
            Self::Model => "model",
            Self::Day => "day",
            Self::Month => "CAST(strftime('%Y%m', day * 86400, 'unixepoch') AS INTEGER)",
        }
    }
}

/// The text names nothing that rows can be summed up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected key, model, day or month")]
pub struct InvalidDimension;

impl FromStr for Dimension {
    type Err = InvalidDimension;

    fn from_str(text: &str) -> Result<Self, InvalidDimension> {
        let all = [Self::Key, Self::Model, Self::Day, Self::Month];
        let named = all.into_iter().find(|dimension| dimension.name() == text);
        named.ok_or(InvalidDimension)
    }
}

/// What is asked of the ledger.
#[derive(Clone, Debug)]
pub struct Query {
    /// What rows are summed up and sorted by, in this order.
    pub by: Vec<Dimension>,
    /// The first day.
    pub from: Day,
    /// The last day.
    pub to: Day,
    /// The id of the only key; empty for callers without one.
    pub key: Option<String>,
    /// The name of the only model; empty for requests that ran none.
    pub model: Option<String>,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// Rows of a page.
    pub rows_max: u32,
}

/// A page of sums.
#[derive(Clone, Debug)]
pub struct Report {
    /// The rows.
    pub rows: Vec<Row>,
    /// Where the next page begins; none after the last.
    pub next: Option<Cursor>,
}

/// A sum, and what it is the sum of.
#[derive(Clone, Debug)]
pub struct Row {
    /// A value for each [`Query::by`].
    pub of: Vec<Value>,
    /// The sum.
    pub amounts: Amounts,
}

/// What a sum is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The id of a key; empty for callers without one.
    Key(String),
    /// The name of a model; empty for requests that ran none.
    Model(String),
    /// A day.
    Day(Day),
    /// A month.
    Month(Month),
}

/// Where a page ends. Only good for the same question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Vec<Stored>);

/// A value as the database has it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum Stored {
    Number(i64),
    Text(String),
}

/// The text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected what the page before gave, for the same question")]
pub struct InvalidCursor;

/// Bytes of a cursor as text.
const CURSOR_BYTES_MAX: usize = 4_096;

impl Cursor {
    /// Whether it can be where a page of that order ends.
    #[must_use]
    pub fn fits(&self, by: &[Dimension]) -> bool {
        let fits = |(stored, dimension): (&Stored, &Dimension)| match dimension {
            Dimension::Key | Dimension::Model => matches!(stored, Stored::Text(_)),
            Dimension::Day | Dimension::Month => matches!(stored, Stored::Number(_)),
        };
        self.0.len() == by.len() && self.0.iter().zip(by).all(fits)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_vec(&self.0).map_err(|_| fmt::Error)?;
        f.write_str(&hex::encode(json))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if text.len() > CURSOR_BYTES_MAX {
            return Err(InvalidCursor);
        }
        let json = hex::decode(text).map_err(|_| InvalidCursor)?;
        let stored = serde_json::from_slice(&json).map_err(|_| InvalidCursor)?;
        Ok(Self(stored))
    }
}

/// Reads a page.
pub(super) async fn read(pool: &SqlitePool, query: &Query) -> Result<Report, LedgerError> {
    let columns: Vec<&str> = query.by.iter().map(|by| by.expression()).collect();
    let columns = columns.join(", ");
    let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new(
        "SELECT coalesce(sum(requests), 0), coalesce(sum(failed_requests), 0), \
         coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0), \
         coalesce(sum(fuel), 0), coalesce(sum(run_us), 0)",
    );
    if !columns.is_empty() {
        sql.push(", ").push(&columns);
    }
    sql.push(" FROM usage_ledger WHERE day BETWEEN ")
        .push_bind(query.from.number())
        .push(" AND ")
        .push_bind(query.to.number());
    for (column, name) in [("key_id", &query.key), ("model", &query.model)] {
        if let Some(name) = name {
            sql.push(format!(" AND {column} = ")).push_bind(name);
        }
    }
    if let Some(Cursor(after)) = query.after.as_ref().filter(|_| !columns.is_empty()) {
        sql.push(format!(" AND ({columns}) > ("));
        let mut values = sql.separated(", ");
        for value in after {
            match value {
                Stored::Number(number) => values.push_bind(*number),
                Stored::Text(text) => values.push_bind(text.as_str()),
            };
        }
        sql.push(")");
    }
    if !columns.is_empty() {
        sql.push(format!(" GROUP BY {columns} ORDER BY {columns}"));
    }
    // One more says whether there are more.
    sql.push(" LIMIT ")
        .push_bind(i64::from(query.rows_max).saturating_add(1));
    let found = sql.build().fetch_all(pool).await?;
    let rows_max = usize::try_from(query.rows_max).unwrap_or(usize::MAX);
    let has_more = found.len() > rows_max;
    let mut rows = Vec::with_capacity(found.len().min(rows_max));
    let mut last = None;
    for row in found.iter().take(rows_max) {
        let (stored, row) = row_of(row, &query.by)?;
        last = Some(Cursor(stored));
        rows.push(row);
    }
    Ok(Report {
        rows,
        next: last.filter(|_| has_more),
    })
}

/// A count of the database.
pub(super) fn whole(number: i64) -> Result<u64, LedgerError> {
    u64::try_from(number).map_err(|error| LedgerError::Damaged(error.to_string()))
}

/// The columns of amounts, before those that rows are summed up by.
const AMOUNTS: usize = 6;

fn row_of(row: &SqliteRow, by: &[Dimension]) -> Result<(Vec<Stored>, Row), LedgerError> {
    let amount = |column: usize| whole(row.try_get(column)?);
    let amounts = Amounts {
        requests: amount(0)?,
        failed_requests: amount(1)?,
        prompt_tokens: amount(2)?,
        completion_tokens: amount(3)?,
        fuel: amount(4)?,
        run_us: amount(5)?,
    };
    let (mut stored, mut of) = (Vec::with_capacity(by.len()), Vec::with_capacity(by.len()));
    for (index, dimension) in by.iter().enumerate() {
        let column = AMOUNTS.saturating_add(index);
        let text = || -> Result<String, LedgerError> { Ok(row.try_get(column)?) };
        let number = || -> Result<i64, LedgerError> { Ok(row.try_get(column)?) };
        let (value, shown) = match dimension {
            Dimension::Key => (Stored::Text(text()?), Value::Key(text()?)),
            Dimension::Model => (Stored::Text(text()?), Value::Model(text()?)),
            Dimension::Day => {
                let day = number()?;
                (Stored::Number(day), Value::Day(Day::from_number(day)))
            }
            Dimension::Month => {
                let number = number()?;
                let month = Month::from_number(number)
                    .ok_or_else(|| LedgerError::Damaged(format!("{number} is no month")))?;
                (Stored::Number(number), Value::Month(month))
            }
        };
        stored.push(value);
        of.push(shown);
    }
    Ok((stored, Row { of, amounts }))
}
