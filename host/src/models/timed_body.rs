//! The body of an upload with a clock on it: a sender that stalls, dawdles or goes away ends its
//! upload and frees its place.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Why reading was ended from this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interruption {
    /// The sender sent nothing for too long.
    Stalled,
    /// The whole took too long.
    TooSlow,
    /// What came while the server waited for it was too little.
    BelowRate,
    /// Nobody waits for the upload any more, or the server stops.
    Cancelled,
}

/// The place where the interruption is found afterwards: the archive reader sees an I/O error
/// only.
pub(super) type InterruptionReason = Arc<OnceLock<Interruption>>;

/// How fast a sender must be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long it may send nothing, and the time over which its rate is taken.
    pub(super) stall: Duration,
    /// How long the whole may take.
    pub(super) wall_time: Duration,
    /// Bytes a second.
    pub(super) rate_min: u64,
}

impl Pace {
    /// Bytes that must come in one window.
    fn window_bytes(self) -> u64 {
        let bytes = u128::from(self.rate_min) * self.stall.as_millis() / 1000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// A body that is read for as long as it makes progress.
pub(super) struct TimedBody<B> {
    body: B,
    pace: Pace,
    idle: Pin<Box<Sleep>>,
    wall: Pin<Box<Sleep>>,
    /// When what came since the server began to count is looked at.
    window: Pin<Box<Sleep>>,
    /// The time that the server has waited for bytes in this window. Time in which it was not
    /// asked for, because the disk is slow, counts against nobody.
    waited: Duration,
    waiting_since: Option<Instant>,
    received: u64,
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
    interruption: InterruptionReason,
}

impl<B> TimedBody<B> {
    /// Reads `body` for as long as it keeps the pace, or until `gone` is cancelled.
    pub(super) fn new(body: B, pace: Pace, gone: CancellationToken) -> Self {
        Self {
            body,
            pace,
            idle: Box::pin(sleep(pace.stall)),
            wall: Box::pin(sleep(pace.wall_time)),
            window: Box::pin(sleep(pace.stall)),
            waited: Duration::ZERO,
            waiting_since: None,
            received: 0,
            gone: Box::pin(gone.cancelled_owned()),
            interruption: InterruptionReason::default(),
        }
    }

    pub(super) fn interruption(&self) -> InterruptionReason {
        self.interruption.clone()
    }

    fn end(&self, interruption: Interruption) -> Poll<io::Result<()>> {
        let interruption = *self.interruption.get_or_init(|| interruption);
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{interruption:?}"),
        )))
    }
}

impl<B> TimedBody<B> {
    /// Looks at what came in a window, once the server has waited for bytes for its whole length.
    fn poll_window(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            let left = self.pace.stall.saturating_sub(self.waited);
            self.window.as_mut().reset(now + left);
        }
        while self.window.as_mut().poll(context).is_ready() {
            if self.received < self.pace.window_bytes() {
                return self.end(Interruption::BelowRate);
            }
            let now = Instant::now();
            (self.received, self.waited, self.waiting_since) = (0, Duration::ZERO, Some(now));
            let next = now + self.pace.stall;
            self.window.as_mut().reset(next);
        }
        Poll::Pending
    }
}

impl<B: AsyncRead + Unpin> AsyncRead for TimedBody<B> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Before the body, or a sender that always has a byte ready would never be cut.
        if self.gone.as_mut().poll(context).is_ready() {
            return self.end(Interruption::Cancelled);
        }
        if self.wall.as_mut().poll(context).is_ready() {
            return self.end(Interruption::TooSlow);
        }
        let filled = buffer.filled().len();
        let read = Pin::new(&mut self.body).poll_read(context, buffer);
        if read.is_ready() {
            let now = Instant::now();
            let stall = self.pace.stall;
            self.idle.as_mut().reset(now + stall);
            if let Some(since) = self.waiting_since.take() {
                self.waited += now - since;
            }
            self.received += buffer.filled().len().saturating_sub(filled) as u64;
            return read;
        }
        if self.idle.as_mut().poll(context).is_ready() {
            return self.end(Interruption::Stalled);
        }
        self.poll_window(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const STALL: Duration = Duration::from_secs(30);
    const WALL: Duration = Duration::from_secs(100);
    const PACE: Pace = Pace {
        stall: STALL,
        wall_time: WALL,
        rate_min: 0,
    };

    #[tokio::test(start_paused = true)]
    async fn a_body_that_moves_is_read_to_its_end() {
        let (mut sender, receiver) = duplex(8);
        let mut body = TimedBody::new(receiver, PACE, CancellationToken::new());
        tokio::spawn(async move {
            for _ in 0..3 {
                sleep(STALL - Duration::from_secs(1)).await;
                sender.write_all(b"12345").await.unwrap();
            }
        });
        let mut read = Vec::new();
        body.read_to_end(&mut read).await.unwrap();
        assert_eq!(read.len(), 15);
        assert_eq!(body.interruption.get(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_body_is_cut() {
        let (mut sender, receiver) = duplex(8);
        let mut body = TimedBody::new(receiver, PACE, CancellationToken::new());
        sender.write_all(b"1").await.unwrap();
        let mut read = Vec::new();
        body.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(body.interruption.get(), Some(&Interruption::Stalled));
        assert_eq!(read, b"1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dripping_body_is_cut() {
        let (mut sender, receiver) = duplex(8);
        let mut body = TimedBody::new(receiver, PACE, CancellationToken::new());
        tokio::spawn(async move {
            while sender.write_all(b"1").await.is_ok() {
                sleep(Duration::from_secs(9)).await;
            }
        });
        body.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(body.interruption.get(), Some(&Interruption::TooSlow));
    }

    /// A byte every five seconds, as somebody sends it who wants to keep the place.
    #[tokio::test(start_paused = true)]
    async fn a_body_below_the_rate_is_cut() {
        let (mut sender, receiver) = duplex(8);
        let pace = Pace {
            rate_min: 1,
            ..PACE
        };
        let mut body = TimedBody::new(receiver, pace, CancellationToken::new());
        tokio::spawn(async move {
            while sender.write_all(b"1").await.is_ok() {
                sleep(Duration::from_secs(5)).await;
            }
        });
        let begin = Instant::now();
        body.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(body.interruption.get(), Some(&Interruption::BelowRate));
        assert!(begin.elapsed() <= STALL + Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_not_the_senders_fault() {
        let (mut sender, receiver) = duplex(64);
        let pace = Pace {
            rate_min: 1,
            wall_time: Duration::from_secs(3600),
            ..PACE
        };
        let mut body = TimedBody::new(receiver, pace, CancellationToken::new());
        tokio::spawn(async move {
            for _ in 0..20 {
                sender.write_all(&[1; 8]).await.unwrap();
                sleep(Duration::from_secs(4)).await;
            }
        });
        // Two bytes a second come while the server waits, and for most of the time it does not.
        let mut piece = [0; 8];
        for _ in 0..20 {
            body.read_exact(&mut piece).await.unwrap();
            sleep(Duration::from_secs(29)).await;
        }
        assert_eq!(body.interruption.get(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_nobody_waits_for_is_cut() {
        let (_sender, receiver) = duplex(8);
        let gone = CancellationToken::new();
        let mut body = TimedBody::new(receiver, PACE, gone.clone());
        gone.cancel();
        body.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(body.interruption.get(), Some(&Interruption::Cancelled));
    }
}
