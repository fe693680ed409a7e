//! The keys of the issuer as they are held now: read again from time to time, and when a token
//! names one that is not there; used for a while where they cannot be read; never read by a
//! request itself, and never twice at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::config::{JwtConfig, KeySource};
use super::error::JwtError;
use super::key_set::KeySet;
use super::source::{KeyReader, patience};
use crate::clock::Clock;
use crate::telemetry::metrics;

/// The keys, and how they are kept fresh.
pub(super) struct Keys {
    reader: KeyReader,
    clock: Clock,
    refresh: Duration,
    reread_period: Duration,
    stale_max: Duration,
    patience: Duration,
    set: ArcSwapOption<KeySet>,
    /// The time since the clock was made, in milliseconds, until which they may be used.
    good_until_ms: AtomicU64,
    state: Mutex<State>,
    /// Somebody waits for a reading.
    wanted: Notify,
    /// The number of readings that have ended.
    ended: watch::Sender<u64>,
}

/// How readings go. Times are those of the clock that never goes back.
struct State {
    /// When the next reading is due, whether somebody wants it or not.
    due: Duration,
    /// When the last one began.
    begun: Option<Duration>,
    /// When the last one that went well did.
    read: Option<Duration>,
    is_reading: bool,
    /// Whether the last one failed, and that was told.
    is_failing: bool,
    /// Whether it was told that the keys are too old.
    is_told_stale: bool,
}

impl Keys {
    /// Gets ready, and reads the keys where that asks nobody else.
    pub(super) async fn open(
        source: &KeySource,
        config: &JwtConfig,
        clock: Clock,
    ) -> Result<Self, JwtError> {
        let keys = Self {
            reader: KeyReader::new(source, config).await?,
            refresh: config.refresh,
            reread_period: config.reread_period,
            stale_max: config.stale_max,
            patience: patience(config),
            set: ArcSwapOption::empty(),
            good_until_ms: AtomicU64::new(0),
            state: Mutex::new(State {
                due: Duration::ZERO,
                begun: None,
                read: None,
                is_reading: false,
                is_failing: false,
                is_told_stale: false,
            }),
            wanted: Notify::new(),
            ended: watch::Sender::new(0),
            clock,
        };
        if keys.reader.is_file() {
            let set = keys.reader.read().await?;
            keys.take_up(set);
        }
        Ok(keys)
    }

    /// The keys, unless they were never read or are too old.
    pub(super) fn current(&self) -> Option<Arc<KeySet>> {
        self.are_good().then(|| self.set.load_full()).flatten()
    }

    /// Whether there are keys that may be used.
    pub(super) fn are_good(&self) -> bool {
        milliseconds(self.clock.elapsed()) < self.good_until_ms.load(Ordering::Acquire)
    }

    /// The keys that were read last, however old they are.
    pub(super) fn last_read(&self) -> Option<Arc<KeySet>> {
        self.set.load_full()
    }

    /// Waits for a reading that begins now or is going on, in bounded time. Returns at once where
    /// the last one is not long ago: who makes up the ids of keys causes one reading in each
    /// `reread_period`, whatever comes.
    pub(super) async fn read_again(&self) {
        let mut ended = self.ended.subscribe();
        {
            let state = self.state.lock();
            if !state.is_reading && !self.may_begin_after(state.begun) {
                return;
            }
        }
        self.wanted.notify_one();
        // Late is as good as not at all: what is there is looked at again.
        let _ = tokio::time::timeout(self.patience, ended.changed()).await;
    }

    /// Whether the last reading is long enough ago for another one that somebody wants.
    pub(super) fn may_begin(&self) -> bool {
        self.may_begin_after(self.state.lock().begun)
    }

    fn may_begin_after(&self, begun: Option<Duration>) -> bool {
        let now = self.clock.elapsed();
        begun.is_none_or(|begun| now.saturating_sub(begun) >= self.reread_period)
    }

    /// Waits until somebody wants a reading.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Whether it is time to read.
    pub(super) fn is_due(&self) -> bool {
        self.clock.elapsed() >= self.state.lock().due
    }

    /// Has the keys read soon.
    pub(super) fn make_due(&self) {
        self.state.lock().due = Duration::ZERO;
        self.wanted.notify_one();
    }

    /// Whether the keys come from a file, which a reload reads at once.
    pub(super) fn are_of_file(&self) -> bool {
        self.reader.is_file()
    }

    /// Reads what is there, and takes up nothing.
    pub(super) async fn look(&self) -> Result<KeySet, JwtError> {
        self.reader.read().await
    }

    /// Reads the keys. Only the one who keeps them calls this.
    pub(super) async fn read(&self) {
        {
            let mut state = self.state.lock();
            state.is_reading = true;
            state.begun = Some(self.clock.elapsed());
        }
        let outcome = self.reader.read().await;
        let name = if outcome.is_ok() { "ok" } else { "failed" };
        metrics::JWT_KEY_READS
            .with([("outcome", name.into())])
            .increment(1);
        match outcome {
            Ok(set) => self.take_up(set),
            Err(error) => self.note_failure(&error),
        }
    }

    /// Uses other keys from now on.
    pub(super) fn take_up(&self, set: KeySet) {
        let now = self.clock.elapsed();
        let count = set.len();
        self.set.store(Some(Arc::new(set)));
        let good_until = milliseconds(now.saturating_add(self.stale_max));
        self.good_until_ms.store(good_until, Ordering::Release);
        let was_failing = {
            let mut state = self.state.lock();
            state.read = Some(now);
            state.begun.get_or_insert(now);
            state.due = now.saturating_add(self.refresh);
            state.is_told_stale = false;
            std::mem::take(&mut state.is_failing)
        };
        if was_failing {
            tracing::info!(keys = count, "the keys of `jwt.jwks` can be read again");
        }
        self.end_reading();
    }

    fn note_failure(&self, error: &JwtError) {
        let now = self.clock.elapsed();
        let is_new = {
            let mut state = self.state.lock();
            state.due = now.saturating_add(self.reread_period.min(self.refresh));
            !std::mem::replace(&mut state.is_failing, true)
        };
        if is_new {
            tracing::error!("the keys that vouch for tokens cannot be read: {error}");
        }
        self.end_reading();
    }

    fn end_reading(&self) {
        self.state.lock().is_reading = false;
        self.ended
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Says once when the keys have become too old, and how old they are at any time.
    pub(super) fn tell_age(&self) {
        let mut state = self.state.lock();
        let Some(read) = state.read else { return };
        let age = self.clock.elapsed().saturating_sub(read);
        metrics::JWT_KEYS_AGE.handle().set(age.as_secs_f64());
        if !self.are_good() && !std::mem::replace(&mut state.is_told_stale, true) {
            tracing::error!(
                "the keys that vouch for tokens were last read {} s ago: tokens are refused until \
                 they can be read",
                age.as_secs()
            );
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
