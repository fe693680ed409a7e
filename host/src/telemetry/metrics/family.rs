//! A metric with its labels, as the table declares it. The only way to a handle.

use std::fmt::Write as _;
use std::sync::OnceLock;

use metrics::{Counter, Gauge, Key, Label, Level, Metadata, SharedString, Unit};

/// The row of one metric in the table.
#[derive(Debug)]
pub struct MetricRow {
    /// The name in the text format.
    pub name: &'static str,
    /// The way in which its values are put together.
    pub kind: MetricKind,
    /// The unit of its values.
    pub unit: Unit,
    /// A sentence, which the text format has as well.
    pub help: &'static str,
    /// Its labels, each with the values that it has. Values are bounded: nothing that a caller
    /// writes becomes one.
    pub labels: &'static [(&'static str, &'static str)],
    /// The upper bounds of the buckets of a histogram.
    pub buckets: &'static [f64],
}

impl MetricRow {
    /// Writes what the text format says of a metric before its values.
    pub fn write_head(&self, text: &mut String) {
        let (name, help, kind) = (self.name, self.help, self.kind.name());
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }
}

/// The way in which the values of a metric are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// They are added up.
    Counter,
    /// The last one holds.
    Gauge,
    /// They are sorted into buckets.
    Histogram,
}

impl MetricKind {
    /// The name in the text format.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric with `LABELS` labels.
pub struct Family<H, const LABELS: usize> {
    pub(super) row: MetricRow,
    unlabelled: OnceLock<H>,
}

/// The entrance for values of one metric with its labels. Making a handle costs a look-up, using
/// it none.
pub trait Handle: Clone {
    /// The kind of metric that it is of.
    const KIND: MetricKind;

    /// The handle for a metric and its labels.
    fn register(row: &MetricRow, key: &Key) -> Self;
}

static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

impl Handle for Counter {
    const KIND: MetricKind = MetricKind::Counter;

    fn register(_row: &MetricRow, key: &Key) -> Self {
        metrics::with_recorder(|recorder| recorder.register_counter(key, &METADATA))
    }
}

impl Handle for Gauge {
    const KIND: MetricKind = MetricKind::Gauge;

    fn register(_row: &MetricRow, key: &Key) -> Self {
        metrics::with_recorder(|recorder| recorder.register_gauge(key, &METADATA))
    }
}

impl<H, const LABELS: usize> Family<H, LABELS> {
    /// A metric of the table.
    pub(super) const fn new(row: MetricRow) -> Self {
        Self {
            row,
            unlabelled: OnceLock::new(),
        }
    }

    /// Its row in the table.
    #[must_use]
    pub fn row(&self) -> &MetricRow {
        &self.row
    }
}

impl<H: Handle, const LABELS: usize> Family<H, LABELS> {
    /// The handle for values of all labels, in the order of the table. Whoever needs it on each
    /// request keeps it.
    #[must_use]
    pub fn with(&self, labels: [(&'static str, SharedString); LABELS]) -> H {
        debug_assert!(
            self.row
                .labels
                .iter()
                .map(|(name, _)| name)
                .eq(labels.iter().map(|(name, _)| name)),
            "{} has other labels",
            self.row.name
        );
        let labels = labels
            .into_iter()
            .map(|(name, value)| Label::new(name, value));
        let key = Key::from_parts(self.row.name, labels.collect::<Vec<_>>());
        H::register(&self.row, &key)
    }
}

impl<H: Handle> Family<H, 0> {
    /// The handle of a metric without labels. Looked up once in the life of the process.
    #[must_use]
    pub fn handle(&self) -> H {
        if let Some(handle) = self.unlabelled.get() {
            return handle.clone();
        }
        let handle = H::register(&self.row, &Key::from_static_name(self.row.name));
        if super::RECORDER.get().is_some() {
            // Before there is a recorder handles lead nowhere, and must not be kept.
            let _ = self.unlabelled.set(handle.clone());
        }
        handle
    }
}
