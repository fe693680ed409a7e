//! What guests have written of late: the last lines of each version, for the key that has uploaded
//! it and for administrators.
//!
//! In memory only, bounded for each version, and gone with it. A line can hold what a caller has
//! sent, because a model writes what it likes: who may read it is a setting.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use belljar_bundle::ModelVersion;
use belljar_sandbox::{GuestEar, GuestLine, Loudness};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock::Clock;

/// The settings of what is kept of guests' lines.
#[derive(Clone, Debug)]
pub struct GuestLogConfig {
    /// Who may read them.
    pub readers: LogReaders,
    /// Lines kept of each version.
    pub lines_max: usize,
    /// Bytes kept of each version, with 128 for each line besides its texts.
    pub bytes_max: usize,
}

/// Who may read what guests write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogReaders {
    /// Nobody: nothing is kept.
    Nobody,
    /// Administrators. A model cannot tell its author what callers have sent.
    #[default]
    Administrators,
    /// The key that has uploaded a version as well.
    Uploader,
}

/// The text says nobody who could read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected none, admin or uploader")]
pub struct InvalidLogReaders;

/// Bytes that a line is counted as besides its texts.
const LINE_OVERHEAD_BYTES: usize = 128;

impl Default for GuestLogConfig {
    fn default() -> Self {
        Self {
            readers: LogReaders::default(),
            lines_max: 1_000,
            bytes_max: 64 << 10,
        }
    }
}

impl FromStr for LogReaders {
    type Err = InvalidLogReaders;

    fn from_str(text: &str) -> Result<Self, InvalidLogReaders> {
        match text {
            "none" => Ok(Self::Nobody),
            "admin" => Ok(Self::Administrators),
            "uploader" => Ok(Self::Uploader),
            _ => Err(InvalidLogReaders),
        }
    }
}

impl fmt::Display for LogReaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "none",
            Self::Administrators => "admin",
            Self::Uploader => "uploader",
        })
    }
}

/// A line that a guest has written, or that was written about a run of it. Safe to print.
#[derive(Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its number: lines of this server that came later have higher ones.
    pub sequence: u64,
    /// When it came.
    pub time: Timestamp,
    /// How loud it is.
    pub level: Loudness,
    /// The way that it came: `log`, `stdio`, or `run` for why a run failed.
    pub origin: Box<str>,
    /// The request whose run has written it; `load` and `activation` before there were any.
    pub request_id: Box<str>,
    /// The text.
    pub text: Box<str>,
}

impl LogLine {
    fn bytes(&self) -> usize {
        self.text.len() + self.request_id.len() + LINE_OVERHEAD_BYTES
    }
}

/// The lines that somebody asks for.
#[derive(Clone, Debug, Default)]
pub struct LogQuery {
    /// The version; all that the caller may read where it is missing.
    pub version: Option<ModelVersion>,
    /// The number that all lines are to be above: the first of them are given. Where it is missing
    /// the last there are.
    pub after: Option<u64>,
    /// Lines at most.
    pub limit: usize,
}

/// Lines of a model, the oldest first.
#[derive(Debug, Default)]
pub struct LogPage {
    /// The lines, each with the version that it is of.
    pub lines: Vec<(ModelVersion, Arc<LogLine>)>,
    /// The number to go on after.
    pub last: u64,
    /// Whether lines before these are left out, or gone because there was no room for them.
    pub is_truncated: bool,
}

/// The order in which the lines of one model come, over all its versions. A number of its own for
/// each model: one for all would tell authors how much others' models write.
#[derive(Debug, Default)]
pub(super) struct LineOrder {
    /// The number of the last line. Held until that line is in its place, so that whoever has
    /// looked for lines up to a number has not missed one that comes late.
    last: Mutex<u64>,
    pub(super) changed: Notify,
}

/// The last lines of one version. Cheap to clone; clones agree.
#[derive(Clone, Debug)]
pub(super) struct GuestLog {
    order: Arc<LineOrder>,
    kept: Arc<Mutex<Kept>>,
}

impl GuestLog {
    /// The empty log of a version of the model whose lines have that order.
    pub(super) fn new(order: &Arc<LineOrder>) -> Self {
        Self {
            order: Arc::clone(order),
            kept: Arc::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Arc<LogLine>>,
    bytes: usize,
    /// The highest number of a line that is gone.
    gone: Option<u64>,
}

impl Kept {
    fn add(&mut self, line: LogLine, config: &GuestLogConfig) {
        let bytes = line.bytes();
        let is_full = |kept: &Self| {
            kept.lines.len() >= config.lines_max
                || kept.bytes.saturating_add(bytes) > config.bytes_max
        };
        while is_full(self)
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(oldest.bytes());
            self.gone = Some(oldest.sequence);
        }
        if is_full(self) {
            self.gone = Some(line.sequence);
        } else {
            self.bytes += bytes;
            self.lines.push_back(Arc::new(line));
        }
    }
}

/// What the logs of all versions have in common. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct GuestLogs(Arc<Common>);

#[derive(Debug)]
struct Common {
    config: GuestLogConfig,
    clock: Clock,
}

/// Hears the guests of one version.
#[derive(Debug)]
struct VersionEar {
    log: GuestLog,
    logs: GuestLogs,
}

impl GuestEar for VersionEar {
    fn hear(&self, line: &GuestLine, request: &str) {
        self.logs.add(&self.log, line, request);
    }
}

impl GuestLogs {
    /// Who may read them.
    pub(super) fn readers(&self) -> LogReaders {
        self.0.config.readers
    }

    pub(super) fn new(config: GuestLogConfig, clock: Clock) -> Self {
        Self(Arc::new(Common { config, clock }))
    }

    /// What hears the guests of a version for its log; none where nobody may read it.
    pub(super) fn ear(&self, log: &GuestLog) -> Option<Arc<dyn GuestEar>> {
        let is_kept = self.0.config.readers != LogReaders::Nobody;
        is_kept.then(|| {
            Arc::new(VersionEar {
                log: log.clone(),
                logs: self.clone(),
            }) as Arc<dyn GuestEar>
        })
    }

    /// Adds a line to the log of a version.
    pub(super) fn add(&self, log: &GuestLog, line: &GuestLine, request: &str) {
        let Common { config, clock } = &*self.0;
        if config.readers == LogReaders::Nobody {
            return;
        }
        let mut line = LogLine {
            sequence: 0,
            time: clock.now(),
            level: line.loudness,
            origin: line.origin.as_str().into(),
            request_id: request.into(),
            text: line.text.as_str().into(),
        };
        let mut last = log.order.last.lock();
        *last += 1;
        line.sequence = *last;
        log.kept.lock().add(line, config);
        drop(last);
        log.order.changed.notify_waiters();
    }
}

/// What is asked for, of these versions of a model.
pub(super) fn page(
    order: &LineOrder,
    logs: &[(ModelVersion, GuestLog)],
    query: &LogQuery,
) -> LogPage {
    let newest = *order.last.lock();
    // A number above all there are is from before a start, which begins anew.
    let after = query.after.filter(|after| *after <= newest).unwrap_or(0);
    let mut page = LogPage {
        last: newest,
        ..LogPage::default()
    };
    for (version, log) in logs {
        let kept = log.kept.lock();
        page.is_truncated |= kept.gone.is_some_and(|gone| gone > after);
        let is_wanted = |line: &&Arc<LogLine>| line.sequence > after && line.sequence <= newest;
        let wanted = kept.lines.iter().filter(is_wanted);
        page.lines
            .extend(wanted.map(|line| (version.clone(), Arc::clone(line))));
    }
    page.lines.sort_by_key(|(_, line)| line.sequence);
    let too_many = page.lines.len().saturating_sub(query.limit);
    if query.after.is_none() {
        page.is_truncated |= too_many > 0;
        page.lines.drain(..too_many);
    } else if too_many > 0 {
        page.lines.truncate(query.limit);
        page.last = page.lines.last().map_or(after, |(_, line)| line.sequence);
    }
    page
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::page as page_of;
    use super::*;

    fn logs(lines_max: usize, bytes_max: usize) -> GuestLogs {
        let config = GuestLogConfig {
            readers: LogReaders::Uploader,
            lines_max,
            bytes_max,
        };
        GuestLogs::new(config, Clock::system())
    }

    fn say(logs: &GuestLogs, log: &GuestLog, text: &str) {
        let line = GuestLine {
            loudness: Loudness::Info,
            origin: "log".to_owned(),
            text: text.to_owned(),
        };
        logs.add(log, &line, "r");
    }

    fn texts(page: &LogPage) -> Vec<&str> {
        page.lines.iter().map(|(_, line)| &*line.text).collect()
    }

    fn asked(after: Option<u64>, limit: usize) -> LogQuery {
        LogQuery {
            version: None,
            after,
            limit,
        }
    }

    #[test]
    fn the_last_lines_are_kept_and_the_gap_is_told() {
        let logs = logs(3, 1 << 20);
        let order = Arc::new(LineOrder::default());
        let log = GuestLog::new(&order);
        let versions = [("1.0.0".parse().unwrap(), log.clone())];
        for text in ["a", "b", "c"] {
            say(&logs, &log, text);
        }
        let page = page_of(&order, &versions, &asked(None, 10));
        assert_eq!(
            (texts(&page), page.is_truncated),
            (vec!["a", "b", "c"], false)
        );
        assert_eq!(page.last, 3);
        say(&logs, &log, "d");
        let page = page_of(&order, &versions, &asked(None, 10));
        assert_eq!(
            (texts(&page), page.is_truncated),
            (vec!["b", "c", "d"], true)
        );
        let page = page_of(&order, &versions, &asked(Some(1), 10));
        assert!(!page.is_truncated, "what is gone was not asked for");
        // The last where nothing is said, and the next from a number on.
        let page = page_of(&order, &versions, &asked(None, 1));
        assert_eq!(
            (texts(&page), page.is_truncated, page.last),
            (vec!["d"], true, 4)
        );
        let page = page_of(&order, &versions, &asked(Some(2), 1));
        assert_eq!((texts(&page), page.last), (vec!["c"], 3));
        let page = page_of(&order, &versions, &asked(Some(page.last), 1));
        assert_eq!((texts(&page), page.last), (vec!["d"], 4));
        let page = page_of(&order, &versions, &asked(Some(4), 1));
        assert_eq!((texts(&page), page.last), (vec![], 4));
        let page = page_of(&order, &versions, &asked(Some(1_000), 10));
        assert_eq!(page.lines.len(), 3, "the numbers of another start");
    }

    #[test]
    fn bytes_bound_a_log_as_well() {
        let logs = logs(1_000, 4 * (LINE_OVERHEAD_BYTES + 11));
        let log = GuestLog::new(&Arc::default());
        for number in 0..100 {
            say(&logs, &log, &format!("{number:010}"));
        }
        assert_eq!(log.kept.lock().lines.len(), 4);
        assert_eq!(log.kept.lock().bytes, 4 * (LINE_OVERHEAD_BYTES + 11));
        say(&logs, &log, &"x".repeat(1_000));
        let kept = log.kept.lock();
        assert_eq!((kept.lines.len(), kept.bytes, kept.gone), (0, 0, Some(101)));
    }

    #[test]
    fn lines_of_several_versions_are_in_their_order() {
        let logs = logs(10, 1 << 20);
        let order = Arc::new(LineOrder::default());
        let versions: Vec<(ModelVersion, _)> = ["1.0.0", "2.0.0"]
            .map(|version| (version.parse().unwrap(), GuestLog::new(&order)))
            .into();
        for (at, text) in [(1, "a"), (0, "b"), (1, "c")] {
            say(&logs, &versions[at].1, text);
        }
        let page = page_of(&order, &versions, &asked(None, 10));
        assert_eq!(texts(&page), ["a", "b", "c"]);
        assert_eq!(page.lines[1].0.to_string(), "1.0.0");
    }

    #[test]
    fn nothing_is_heard_where_nobody_may_read() {
        let config = GuestLogConfig {
            readers: LogReaders::Nobody,
            ..GuestLogConfig::default()
        };
        let logs = GuestLogs::new(config, Clock::system());
        let log = GuestLog::new(&Arc::default());
        assert!(logs.ear(&log).is_none());
        say(&logs, &log, "a");
        assert!(log.kept.lock().lines.is_empty());
    }
}
