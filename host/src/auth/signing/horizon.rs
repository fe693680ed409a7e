//! The time up to which signed requests may have been accepted by an earlier life of the server,
//! and may not be accepted again.
//!
//! Nonces are remembered in memory, and a durable write for each request would cost more than
//! everything else about it. So a life of the server that was killed is taken to have accepted all
//! that it could have: what was signed up to its end, and by clocks that were ahead, which is at
//! most the start of the next life and the skew that is allowed. In case the machine's time was
//! set back in between, a mark on disk says the same while signed requests come. A stop in order
//! writes down what was really accepted last, and costs nobody anything.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// All times are seconds since the Unix epoch.
#[derive(Debug)]
pub(in crate::auth) struct Horizon {
    /// Nothing that was signed up to here is accepted.
    refused_through: AtomicI64,
    /// The latest that has been accepted in this life.
    newest: AtomicI64,
    /// What the mark on disk says.
    written: AtomicI64,
}

/// The mark on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) struct Mark {
    pub(in crate::auth) through: i64,
    /// Whether it was written by a stop in order.
    pub(in crate::auth) is_exact: bool,
}

impl Horizon {
    /// The horizon of a life that begins `now`, after one that has left that mark; none where no
    /// signed request can have been accepted.
    pub(in crate::auth) fn after(mark: Option<Mark>, now: Timestamp, skew: SignedDuration) -> Self {
        let refused_through = match mark {
            None => i64::MIN,
            Some(mark) if mark.is_exact => mark.through,
            Some(mark) => mark.through.max(ahead(now, skew)),
        };
        Self {
            refused_through: AtomicI64::new(refused_through),
            newest: AtomicI64::new(i64::MIN),
            written: AtomicI64::new(mark.map_or(i64::MIN, |mark| mark.through)),
        }
    }

    /// Notes a request that was signed at `created`, which is no later than the clock and the skew
    /// allow, unless it may be one from before. The error says up to when nothing is accepted.
    pub(in crate::auth) fn pass(&self, created: i64) -> Result<(), i64> {
        // Noted first: a stop that does not see it has closed the door before it.
        self.newest.fetch_max(created, Ordering::SeqCst);
        let refused_through = self.refused_through.load(Ordering::SeqCst);
        if created <= refused_through {
            return Err(refused_through);
        }
        Ok(())
    }

    /// The mark that is to be written now; none where the one on disk will do. Far enough ahead to
    /// do for a while.
    pub(in crate::auth) fn due(&self, now: Timestamp, skew: SignedDuration) -> Option<Mark> {
        let newest = self.newest.load(Ordering::SeqCst);
        (newest > self.written.load(Ordering::Acquire)).then(|| Mark {
            through: newest.max(ahead(now, skew)),
            is_exact: false,
        })
    }

    /// Takes note that a mark is on disk.
    pub(in crate::auth) fn written(&self, mark: Mark) {
        self.written.store(mark.through, Ordering::Release);
    }

    /// Accepts nothing any more, and gives the mark for a stop in order.
    pub(in crate::auth) fn close(&self) -> Mark {
        let before = self.refused_through.swap(i64::MAX, Ordering::SeqCst);
        Mark {
            through: self.newest.load(Ordering::SeqCst).max(before),
            is_exact: true,
        }
    }
}

/// The latest second in which a request that is accepted now may have been signed.
pub(in crate::auth) fn ahead(now: Timestamp, skew: SignedDuration) -> i64 {
    let ahead = now.saturating_add(skew).unwrap_or(Timestamp::MAX);
    ahead.as_millisecond().div_euclid(1_000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SKEW: SignedDuration = SignedDuration::from_secs(5);

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    #[test]
    fn a_life_after_a_kill_refuses_all_that_could_have_been_accepted() {
        let first = Horizon::after(None, at(100_000), SKEW);
        assert_eq!(first.pass(100), Ok(()));
        let mark = first.due(at(100_100), SKEW).unwrap();
        assert_eq!((mark.through, mark.is_exact), (105, false));
        first.written(mark);
        assert_eq!(first.due(at(100_200), SKEW), None, "it will do for a while");
        // Killed at once: at the latest a clock ahead can have signed for 105.
        let second = Horizon::after(Some(mark), at(100_300), SKEW);
        assert_eq!(second.pass(105), Err(105));
        assert_eq!(second.pass(106), Ok(()));
        // The clock was set back by a minute meanwhile.
        let second = Horizon::after(Some(mark), at(40_000), SKEW);
        assert_eq!(second.pass(105), Err(105));
    }

    #[test]
    fn a_stop_in_order_refuses_what_was_accepted_and_no_more() {
        let first = Horizon::after(None, at(100_000), SKEW);
        assert_eq!(first.pass(99), Ok(()));
        assert_eq!(first.pass(98), Ok(()));
        let mark = first.close();
        assert_eq!((mark.through, mark.is_exact), (99, true));
        assert!(first.pass(101).is_err(), "nothing after the last mark");
        let second = Horizon::after(Some(mark), at(100_300), SKEW);
        assert_eq!(second.pass(99), Err(99));
        assert_eq!(second.pass(100), Ok(()));
        // Nothing came: what was refused before is refused on.
        let third = Horizon::after(Some(mark), at(100_300), SKEW).close();
        assert_eq!(third.through, 99);
    }
}
