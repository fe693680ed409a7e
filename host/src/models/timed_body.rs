//! The body of an upload with a clock on it: a sender that stalls, dawdles or goes away ends its
//! upload and frees its place.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
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
    /// Nobody waits for the upload any more, or the server stops.
    Cancelled,
}

/// The place where the interruption is found afterwards: the archive reader sees an I/O error
/// only.
pub(super) type InterruptionReason = Arc<OnceLock<Interruption>>;

/// A body that is read for as long as it makes progress.
pub(super) struct TimedBody<B> {
    body: B,
    stall: Duration,
    idle: Pin<Box<Sleep>>,
    wall: Pin<Box<Sleep>>,
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
    interruption: InterruptionReason,
}

impl<B> TimedBody<B> {
    /// Reads `body` until nothing arrives for `stall`, until `wall_time` is over, or until
    /// `gone` is cancelled.
    pub(super) fn new(
        body: B,
        stall: Duration,
        wall_time: Duration,
        gone: CancellationToken,
    ) -> Self {
        Self {
            body,
            stall,
            idle: Box::pin(sleep(stall)),
            wall: Box::pin(sleep(wall_time)),
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
        let read = Pin::new(&mut self.body).poll_read(context, buffer);
        if read.is_ready() {
            let next = Instant::now() + self.stall;
            self.idle.as_mut().reset(next);
            return read;
        }
        ready!(self.idle.as_mut().poll(context));
        self.end(Interruption::Stalled)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const STALL: Duration = Duration::from_secs(30);
    const WALL: Duration = Duration::from_secs(100);

    #[tokio::test(start_paused = true)]
    async fn a_body_that_moves_is_read_to_its_end() {
        let (mut sender, receiver) = duplex(8);
        let mut body = TimedBody::new(receiver, STALL, WALL, CancellationToken::new());
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
        let mut body = TimedBody::new(receiver, STALL, WALL, CancellationToken::new());
        sender.write_all(b"1").await.unwrap();
        let mut read = Vec::new();
        body.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(body.interruption.get(), Some(&Interruption::Stalled));
        assert_eq!(read, b"1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dripping_body_is_cut() {
        let (mut sender, receiver) = duplex(8);
        let mut body = TimedBody::new(receiver, STALL, WALL, CancellationToken::new());
        tokio::spawn(async move {
            while sender.write_all(b"1").await.is_ok() {
                sleep(Duration::from_secs(9)).await;
            }
        });
        body.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(body.interruption.get(), Some(&Interruption::TooSlow));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_nobody_waits_for_is_cut() {
        let (_sender, receiver) = duplex(8);
        let gone = CancellationToken::new();
        let mut body = TimedBody::new(receiver, STALL, WALL, gone.clone());
        gone.cancel();
        body.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(body.interruption.get(), Some(&Interruption::Cancelled));
    }
}
