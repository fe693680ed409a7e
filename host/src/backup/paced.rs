//! Hands pieces of an archive to whoever takes them, no faster than it may be and for no longer.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::Config;

/// Bytes of one piece.
const PIECE_BYTES: usize = 256 << 10;

/// How long it may take until it is noticed that whoever takes it has gone.
const NOTICE: Duration = Duration::from_millis(100);

/// Why an archive was not handed out to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Whoever took it has gone.
    Left,
    /// It took longer than it may.
    TooSlow,
}

/// The way of an archive to whoever takes it. Blocks, so it belongs on a thread of its own.
pub(super) struct Paced {
    out: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
    sent: u64,
    config: Config,
    begun: Instant,
    ending: Option<Ending>,
}

impl Paced {
    pub(super) fn new(out: mpsc::Sender<io::Result<Bytes>>, config: Config) -> Self {
        Self {
            out,
            piece: Vec::with_capacity(PIECE_BYTES),
            sent: 0,
            config,
            begun: Instant::now(),
            ending: None,
        }
    }

    /// Bytes that were taken.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Why no more were, if it was not for the archive.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Breaks off what the receiver reads, so that it is not taken for an end.
    pub(super) fn fail(&self, reason: &str) {
        // Whoever has gone need not be told.
        let _ = self
            .out
            .blocking_send(Err(io::Error::other(reason.to_owned())));
    }

    fn send(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let elapsed = self.begun.elapsed();
        if elapsed >= self.config.wall_time_max {
            return Err(self.end(Ending::TooSlow));
        }
        let mut pause = self.config.pause(self.sent, elapsed);
        while !pause.is_zero() && !self.out.is_closed() {
            let step = pause.min(NOTICE);
            std::thread::sleep(step);
            pause = pause.saturating_sub(step);
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        let bytes = piece.len() as u64;
        if self.out.blocking_send(Ok(piece.into())).is_err() {
            return Err(self.end(Ending::Left));
        }
        self.sent = self.sent.saturating_add(bytes);
        Ok(())
    }

    fn end(&mut self, ending: Ending) -> io::Error {
        self.ending = Some(ending);
        io::Error::other(ending.name())
    }
}

impl Ending {
    /// Its name in the audit log and in the metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::TooSlow => "too_slow",
        }
    }
}

impl Config {
    /// How long to wait before the next byte, when so many were sent in so long a time.
    fn pause(&self, sent: u64, elapsed: Duration) -> Duration {
        if self.bytes_per_second_max == 0 {
            return Duration::ZERO;
        }
        // A float is exact enough for a pace, and cannot overflow.
        let due = Duration::try_from_secs_f64(sent as f64 / self.bytes_per_second_max as f64);
        let due = due.unwrap_or(Duration::MAX).min(self.wall_time_max);
        due.saturating_sub(elapsed)
    }
}

impl Write for Paced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE_BYTES.saturating_sub(self.piece.len());
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.piece.extend_from_slice(taken);
        if self.piece.len() >= PIECE_BYTES {
            self.send()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config(rate: u64, time: Duration) -> Config {
        Config {
            bytes_per_second_max: rate,
            wall_time_max: time,
        }
    }

    #[test]
    fn a_pace_is_kept_from_the_first_byte_on() {
        const S: Duration = Duration::from_secs(1);
        let paced = config(100, 60 * S);
        assert_eq!(paced.pause(0, Duration::ZERO), Duration::ZERO);
        assert_eq!(paced.pause(200, Duration::ZERO), 2 * S);
        assert_eq!(paced.pause(200, S), S);
        assert_eq!(paced.pause(200, 3 * S), Duration::ZERO);
        assert_eq!(
            paced.pause(u64::MAX, Duration::ZERO),
            60 * S,
            "no longer than it may be"
        );
        let unbounded = config(0, S);
        assert_eq!(unbounded.pause(u64::MAX, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn who_leaves_or_takes_too_long_ends_it() {
        let (out, receiver) = mpsc::channel(2);
        let mut paced = Paced::new(out.clone(), config(0, Duration::from_secs(600)));
        paced.write_all(b"x").unwrap();
        paced.flush().unwrap();
        assert_eq!((paced.sent(), paced.ending()), (1, None));
        drop(receiver);
        paced.write_all(b"x").unwrap();
        assert!(paced.flush().is_err());
        assert_eq!((paced.sent(), paced.ending()), (1, Some(Ending::Left)));
        let mut slow = Paced::new(out, config(0, Duration::ZERO));
        assert!(slow.write_all(&[0; PIECE_BYTES]).is_err());
        assert_eq!(slow.ending(), Some(Ending::TooSlow));
    }
}
