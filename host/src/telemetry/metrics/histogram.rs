//! Values sorted into buckets as they come, and the lines that say so.
//!
//! The exporter's own histograms keep each value with its moment until somebody sorts them. A chat
//! notes thirteen values, which took longer than all that counts its tokens.

use super::family::{Handle, MetricKind, MetricRow};
use metrics::{IntoF64, Key};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The histograms of this process, by metric and labels.
static HISTOGRAMS: Mutex<BTreeMap<&str, OfMetric>> = Mutex::new(BTreeMap::new());

/// What the text format says of a metric before its values, and its histograms.
type OfMetric = (String, BTreeMap<String, Histogram>);

/// A histogram. Cheap to clone: clones count into the same buckets.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

/// How many values there were up to each bound, and their sum.
#[derive(Debug)]
pub struct Buckets {
    bounds: &'static [f64],
    /// One count a bound, and one for what is above all. A value is in one of them.
    counts: Box<[AtomicU64]>,
    /// The bits of the sum.
    sum: AtomicU64,
}

impl Histogram {
    /// Adds a value.
    pub fn record(&self, value: impl IntoF64) {
        self.0.record(value.into_f64());
    }
}

impl Handle for Histogram {
    const KIND: MetricKind = MetricKind::Histogram;

    fn register(row: &MetricRow, key: &Key) -> Self {
        let mut labels = String::new();
        for label in key.labels() {
            let separator = if labels.is_empty() { "" } else { "," };
            let value = escaped(label.value());
            // Writing to a string does not fail.
            let _ = write!(labels, "{separator}{}=\"{value}\"", label.key());
        }
        let mut histograms = HISTOGRAMS.lock();
        let of_metric = histograms.entry(row.name).or_insert_with(|| {
            let mut head = String::new();
            row.write_head(&mut head);
            (head, BTreeMap::new())
        });
        let new = || Self(Arc::new(Buckets::new(row.buckets)));
        of_metric.1.entry(labels).or_insert_with(new).clone()
    }
}

impl Buckets {
    /// Empty buckets with these upper bounds, which rise.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0.0_f64.to_bits()),
        }
    }

    /// Adds a value.
    pub fn record(&self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let add = |sum| Some((f64::from_bits(sum) + value).to_bits());
        // It always gives a sum.
        let _ = self
            .sum
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// The values together.
    #[must_use]
    pub fn sum(&self) -> f64 {
        f64::from_bits(self.sum.load(Ordering::Relaxed))
    }

    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        let counts = self.counts.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Writes the series of the buckets in the Prometheus text format, with these labels.
    pub fn write(&self, text: &mut String, name: &str, labels: &str) {
        let separator = if labels.is_empty() { "" } else { "," };
        let bounds = self.bounds.iter().map(ToString::to_string);
        let bounds = bounds.chain(["+Inf".to_owned()]);
        let mut below = 0;
        for (bound, count) in bounds.zip(&self.counts) {
            below += count.load(Ordering::Relaxed);
            let labels = format_args!("{labels}{separator}le=\"{bound}\"");
            let _ = writeln!(text, "{name}_bucket{{{labels}}} {below}");
        }
        let labels = match labels {
            "" => String::new(),
            labels => format!("{{{labels}}}"),
        };
        let sum = self.sum();
        let _ = writeln!(
            text,
            "{name}_sum{labels} {sum}\n{name}_count{labels} {below}"
        );
    }
}

/// Adds the lines of all histograms that have a value.
pub(super) fn render(text: &mut String) {
    for (name, (head, of_metric)) in &*HISTOGRAMS.lock() {
        let mut with_values = of_metric
            .iter()
            .filter(|(_, it)| it.0.count() > 0)
            .peekable();
        if with_values.peek().is_some() {
            text.push_str(head);
        }
        for (labels, histogram) in with_values {
            histogram.0.write(text, name, labels);
        }
    }
}

/// A label's value as the text format has it.
fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    value.replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_its_bucket_and_in_all_above() {
        let buckets = Buckets::new(&[1.0, 2.5]);
        for value in [0.5, 1.0, 2.0, 9.0] {
            buckets.record(value);
        }
        let mut text = String::new();
        buckets.write(&mut text, "m", "a=\"b\"");
        let expected = "m_bucket{a=\"b\",le=\"1\"} 2\nm_bucket{a=\"b\",le=\"2.5\"} 3\n\
                        m_bucket{a=\"b\",le=\"+Inf\"} 4\nm_sum{a=\"b\"} 12.5\nm_count{a=\"b\"} 4\n";
        assert_eq!(text, expected);
        let mut text = String::new();
        Buckets::new(&[]).write(&mut text, "m", "");
        assert_eq!(text, "m_bucket{le=\"+Inf\"} 0\nm_sum 0\nm_count 0\n");
    }

    #[test]
    fn values_that_come_at_once_are_all_counted() {
        let buckets = Buckets::new(&[1.0]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| buckets.record(0.5)));
            }
        });
        assert_eq!((buckets.count(), buckets.sum()), (4_000, 2_000.0));
    }

    #[test]
    fn what_a_name_has_of_the_format_is_escaped() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
