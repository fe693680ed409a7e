//! One day of the ledger in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::counts::Counts;
use super::month::{MonthCounts, SpentCounts};
use super::{Day, Line, Month};

/// The name of a key and of a model where a day has no room for theirs. No key or model has it.
pub(super) const OTHER: &str = "(other)";

/// The lines of one day. Those that were there when it was last written are found without a lock.
#[derive(Debug)]
pub(super) struct Period {
    day: Day,
    month: Arc<MonthCounts>,
    lines_max: usize,
    known: ArcSwap<Lines>,
    fresh: Mutex<Fresh>,
}

/// Lines that were begun since the day was last written.
#[derive(Debug, Default)]
struct Fresh {
    lines: Lines,
    /// How many lines the day has in all.
    total: usize,
}

/// Lines by key, then by model.
type Lines = HashMap<Arc<str>, KeyLines>;

#[derive(Clone, Debug)]
struct KeyLines {
    spent: Arc<SpentCounts>,
    models: HashMap<Arc<str>, Arc<Counts>>,
}

/// A line with its names.
pub(super) struct NamedLine {
    pub(super) key: Arc<str>,
    pub(super) model: Arc<str>,
    pub(super) counts: Arc<Counts>,
}

impl Period {
    /// A day without lines.
    pub(super) fn new(day: Day, month: Arc<MonthCounts>, lines_max: usize) -> Self {
        Self {
            day,
            month,
            lines_max,
            known: ArcSwap::default(),
            fresh: Mutex::default(),
        }
    }

    pub(super) fn day(&self) -> Day {
        self.day
    }

    pub(super) fn month(&self) -> Month {
        self.month.month
    }

    pub(super) fn month_counts(&self) -> &Arc<MonthCounts> {
        &self.month
    }

    /// The line of a key and a model; of an empty name for who or what has none.
    pub(super) fn line(&self, key: &str, model: &str) -> Line {
        if let Some(line) = line_in(&self.known.load(), key, model) {
            return line;
        }
        let mut fresh = self.fresh.lock();
        // It may have become known, or been begun, a moment ago.
        let found = line_in(&self.known.load(), key, model);
        if let Some(line) = found.or_else(|| line_in(&fresh.lines, key, model)) {
            return line;
        }
        let spent = self.spent_with(&fresh, key);
        let (key, model) = if fresh.total < self.lines_max {
            (key, model)
        } else {
            (OTHER, OTHER)
        };
        Line {
            counts: self.begin(&mut fresh, key, model),
            spent,
        }
    }

    /// What a key has used in the month.
    pub(super) fn spent(&self, key: &str) -> Arc<SpentCounts> {
        if let Some(lines) = self.known.load().get(key) {
            return Arc::clone(&lines.spent);
        }
        self.spent_with(&self.fresh.lock(), key)
    }

    fn spent_with(&self, fresh: &Fresh, key: &str) -> Arc<SpentCounts> {
        match fresh.lines.get(key) {
            Some(lines) => Arc::clone(&lines.spent),
            None => self.month.of(key),
        }
    }

    /// The counts of a line that may not be there yet.
    fn begin(&self, fresh: &mut Fresh, key: &str, model: &str) -> Arc<Counts> {
        if let Some(line) = line_in(&self.known.load(), key, model) {
            return line.counts;
        }
        let Fresh { lines, total } = fresh;
        if !lines.contains_key(key) {
            let of_key = KeyLines {
                spent: self.month.of(key),
                models: HashMap::new(),
            };
            lines.insert(key.into(), of_key);
        }
        let Some(of_key) = lines.get_mut(key) else {
            return Arc::default();
        };
        let counts = of_key.models.entry(model.into()).or_insert_with(|| {
            *total = total.saturating_add(1);
            Arc::default()
        });
        Arc::clone(counts)
    }

    /// Notes a line that the database has.
    pub(super) fn know(&self, key: &str, model: &str) {
        self.begin(&mut self.fresh.lock(), key, model);
    }

    /// All lines. From now on they are found without a lock.
    pub(super) fn lines(&self) -> Vec<NamedLine> {
        let mut fresh = self.fresh.lock();
        if !fresh.lines.is_empty() {
            let mut known = Lines::clone(&self.known.load());
            for (key, lines) in fresh.lines.drain() {
                match known.get_mut(&key) {
                    Some(of_key) => of_key.models.extend(lines.models),
                    None => drop(known.insert(key, lines)),
                }
            }
            self.known.store(Arc::new(known));
        }
        drop(fresh);
        let known = self.known.load();
        let lines = known.iter().flat_map(|(key, lines)| {
            lines.models.iter().map(|(model, counts)| NamedLine {
                key: Arc::clone(key),
                model: Arc::clone(model),
                counts: Arc::clone(counts),
            })
        });
        lines.collect()
    }

    /// Whether nobody holds a line of it. What was added by whoever held one is seen after this.
    pub(super) fn is_idle(&self) -> bool {
        let is_idle = |lines: &Lines| {
            let counts = lines.values().flat_map(|lines| lines.models.values());
            counts
                .into_iter()
                .all(|counts| Arc::strong_count(counts) == 1)
        };
        let is_idle = is_idle(&self.fresh.lock().lines) && is_idle(&self.known.load());
        // Goes with the release by which a holder let go.
        fence(Ordering::Acquire);
        is_idle
    }
}

fn line_in(lines: &Lines, key: &str, model: &str) -> Option<Line> {
    let of_key = lines.get(key)?;
    Some(Line {
        counts: Arc::clone(of_key.models.get(model)?),
        spent: Arc::clone(&of_key.spent),
    })
}
