//! Watches over one connection: since when it is silent, in the middle of a head, or not read
//! by its peer, and until when that is borne.
//!
//! The parts of a connection (its bytes, its requests, the bodies of its answers) report here;
//! the task that drives the connection asks when it is due. Nothing is armed for a request: one
//! timer a connection, moved only when a deadline comes nearer, keeps a request at the price of
//! a few atomic stores.

use super::presence::Presence;
use crate::http::state::Config;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Why a connection is ended by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeoutKind {
    /// No request was open for too long.
    Idle,
    /// The head of a request did not arrive in time.
    Head,
    /// The peer did not take what it was sent.
    Stalled,
}

impl TimeoutKind {
    /// The name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Head => "head_timeout",
            Self::Stalled => "write_stall",
        }
    }
}

/// What is known of one connection. Orderings are relaxed: all of it is advice for a timer, but
/// for the count of open requests, which orders what follows from it.
#[derive(Debug)]
pub(super) struct ConnectionWatchdog {
    started: Instant,
    header_read_timeout: Duration,
    idle_timeout: Duration,
    write_stall_timeout: Duration,
    /// HTTP/1 has one request at a time, whose answer is stalled when the socket is. Streams of
    /// HTTP/2 stall one by one, while the socket goes on.
    is_http2: bool,
    open_requests: AtomicUsize,
    /// When the last request ended, or something was still written after it.
    quiet_since: AtomicU64,
    /// When the first byte of a head came; [`NEVER`] before it.
    head_since: AtomicU64,
    /// When the socket took no more bytes; [`NEVER`] while it takes them.
    blocked_since: AtomicU64,
    /// Whether all that was answered has left: what is written now is no answer of ours.
    all_answered: AtomicBool,
    /// For each open answer of HTTP/2, since when the peer has made no room for more of it.
    waiting: Mutex<Vec<Waiting>>,
    /// Whether the peer is still there: for HTTP/1, because HTTP/2 says so itself.
    pub(super) presence: Presence,
}

/// Microseconds since the start of the connection, or this.
const NEVER: u64 = u64::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Free,
    /// The model is asked for more, so the peer has room.
    ForUs,
    /// The peer has not asked for more since then.
    ForPeer(u64),
}

impl ConnectionWatchdog {
    pub(super) fn new(config: &Config, is_http2: bool) -> Self {
        Self {
            started: Instant::now(),
            header_read_timeout: config.header_read_timeout,
            idle_timeout: config.idle_timeout,
            write_stall_timeout: config.write_stall_timeout,
            is_http2,
            open_requests: AtomicUsize::new(0),
            quiet_since: AtomicU64::new(0),
            head_since: AtomicU64::new(NEVER),
            blocked_since: AtomicU64::new(NEVER),
            all_answered: AtomicBool::new(true),
            waiting: Mutex::default(),
            presence: Presence::default(),
        }
    }

    /// A request has come. Gives its index among the open answers.
    pub(super) fn begin(&self) -> usize {
        self.open_requests.fetch_add(1, Ordering::AcqRel);
        self.head_since.store(NEVER, Ordering::Relaxed);
        self.all_answered.store(false, Ordering::Relaxed);
        if !self.is_http2 {
            self.presence.begin();
            return 0;
        }
        let mut waiting = self.waiting.lock();
        match waiting.iter().position(|slot| *slot == Waiting::Free) {
            Some(index) => {
                if let Some(slot) = waiting.get_mut(index) {
                    *slot = Waiting::ForUs;
                }
                index
            }
            None => {
                waiting.push(Waiting::ForUs);
                waiting.len() - 1
            }
        }
    }

    /// A piece of the answer is ready, or its head: it is the peer's turn.
    pub(super) fn offered(&self, index: usize) {
        if self.is_http2 {
            self.set(index, Waiting::ForPeer(self.now()));
        }
    }

    /// The peer has room, and the answer is asked for more.
    pub(super) fn asked(&self, index: usize) {
        if self.is_http2 {
            self.set(index, Waiting::ForUs);
        }
    }

    /// The request and its answer are over.
    pub(super) fn end(&self, index: usize) {
        if self.is_http2 {
            self.set(index, Waiting::Free);
        }
        self.quiet_since.store(self.now(), Ordering::Relaxed);
        self.open_requests.fetch_sub(1, Ordering::AcqRel);
    }

    /// Bytes came. Those of a next head that come with a request are not seen to be one, and
    /// have the time of an idle connection, which costs as much. Says whether a head begins.
    pub(super) fn heard(&self) -> bool {
        let begins =
            !self.is_http2 && self.is_quiet() && self.head_since.load(Ordering::Relaxed) == NEVER;
        if begins {
            self.head_since.store(self.now(), Ordering::Relaxed);
        }
        begins
    }

    /// The socket took bytes.
    pub(super) fn wrote(&self) {
        self.blocked_since.store(NEVER, Ordering::Relaxed);
        if self.is_quiet() {
            self.quiet_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// The socket takes no more for now.
    pub(super) fn blocked(&self) {
        if self.blocked_since.load(Ordering::Relaxed) == NEVER {
            self.blocked_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Everything that was to be written has left.
    pub(super) fn flushed(&self) {
        self.presence.flushed();
        if self.is_quiet() {
            self.all_answered.store(true, Ordering::Relaxed);
        }
    }

    /// Whether nothing is owed to the peer. Bytes that the HTTP library then writes to an
    /// HTTP/1 connection are its own refusal of a head that it could not read.
    pub(super) fn has_answered_all(&self) -> bool {
        !self.is_http2 && self.all_answered.load(Ordering::Relaxed)
    }

    /// Whether no request is open.
    pub(super) fn is_quiet(&self) -> bool {
        self.open_requests.load(Ordering::Acquire) == 0
    }

    /// When the connection is to be ended as things are, and why.
    pub(super) fn due(&self) -> Option<(Instant, TimeoutKind)> {
        let blocked = self.blocked_since.load(Ordering::Relaxed);
        if blocked != NEVER {
            return Some((
                self.after(blocked, self.write_stall_timeout),
                TimeoutKind::Stalled,
            ));
        }
        if self.is_quiet() {
            let head = self.head_since.load(Ordering::Relaxed);
            return Some(if head == NEVER {
                let quiet = self.quiet_since.load(Ordering::Relaxed);
                (self.after(quiet, self.idle_timeout), TimeoutKind::Idle)
            } else {
                (
                    self.after(head, self.header_read_timeout),
                    TimeoutKind::Head,
                )
            });
        }
        if !self.is_http2 {
            return None;
        }
        let waiting = self.waiting.lock();
        let longest = waiting.iter().filter_map(|slot| match slot {
            Waiting::ForPeer(since) => Some(*since),
            Waiting::Free | Waiting::ForUs => None,
        });
        let since = longest.min()?;
        Some((
            self.after(since, self.write_stall_timeout),
            TimeoutKind::Stalled,
        ))
    }

    fn set(&self, index: usize, waiting: Waiting) {
        if let Some(slot) = self.waiting.lock().get_mut(index) {
            *slot = waiting;
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(NEVER - 1)
    }

    fn after(&self, since: u64, limit: Duration) -> Instant {
        self.started + Duration::from_micros(since) + limit
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HEAD: Duration = Duration::from_secs(1);
    const STALL: Duration = Duration::from_secs(2);
    const IDLE: Duration = Duration::from_secs(3);

    fn watchdog(is_http2: bool) -> ConnectionWatchdog {
        let config = Config {
            header_read_timeout: HEAD,
            write_stall_timeout: STALL,
            idle_timeout: IDLE,
            ..Config::default()
        };
        ConnectionWatchdog::new(&config, is_http2)
    }

    #[track_caller]
    fn check(watchdog: &ConnectionWatchdog, expect: Option<(Duration, TimeoutKind)>) {
        let now = Instant::now();
        let due = watchdog.due().map(|(due, why)| (due - now, why));
        assert_eq!(due, expect);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_idle_and_a_begun_head_is_not() {
        let watchdog = watchdog(false);
        check(&watchdog, Some((IDLE, TimeoutKind::Idle)));
        tokio::time::advance(HEAD).await;
        watchdog.heard();
        check(&watchdog, Some((HEAD, TimeoutKind::Head)));
        // More bytes buy no more time.
        tokio::time::advance(HEAD / 2).await;
        watchdog.heard();
        check(&watchdog, Some((HEAD / 2, TimeoutKind::Head)));
        let index = watchdog.begin();
        check(&watchdog, None);
        watchdog.end(index);
        check(&watchdog, Some((IDLE, TimeoutKind::Idle)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_stalled_from_the_first_refused_byte() {
        let watchdog = watchdog(false);
        let index = watchdog.begin();
        watchdog.blocked();
        tokio::time::advance(STALL / 2).await;
        watchdog.blocked();
        check(&watchdog, Some((STALL / 2, TimeoutKind::Stalled)));
        watchdog.wrote();
        check(&watchdog, None);
        watchdog.end(index);
        // What is left of the answer goes on leaving: that is not idle.
        tokio::time::advance(STALL).await;
        watchdog.wrote();
        check(&watchdog, Some((IDLE, TimeoutKind::Idle)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_stalled_stream_counts_and_a_slow_model_does_not() {
        let watchdog = watchdog(true);
        let (slow_model, stalled) = (watchdog.begin(), watchdog.begin());
        check(&watchdog, None);
        watchdog.offered(stalled);
        tokio::time::advance(STALL / 2).await;
        watchdog.offered(slow_model);
        check(&watchdog, Some((STALL / 2, TimeoutKind::Stalled)));
        watchdog.asked(slow_model);
        watchdog.asked(stalled);
        check(&watchdog, None);
        watchdog.end(stalled);
        assert_eq!(watchdog.begin(), stalled, "indices are used again");
    }

    #[test]
    fn bytes_belong_to_an_answer_until_all_of_it_has_left() {
        let watchdog = watchdog(false);
        assert!(watchdog.has_answered_all());
        let index = watchdog.begin();
        watchdog.flushed();
        assert!(!watchdog.has_answered_all());
        watchdog.end(index);
        assert!(
            !watchdog.has_answered_all(),
            "its last bytes may still wait"
        );
        watchdog.flushed();
        assert!(watchdog.has_answered_all());
    }
}
