//! The bytes of one connection, as they pass between the socket and the HTTP library.

use super::watchdog::ConnectionWatchdog;
use crate::http::surface::Surface;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket that reports to the [`ConnectionWatchdog`], and that keeps back what the HTTP library
/// answers by itself.
///
/// The library refuses a head that it cannot read before anything of ours sees a request, with
/// a status and nothing else. Those bytes are recognised by when they come, not by what they
/// are: at a moment when nothing is owed to the peer, only the library has something to say. So
/// no answer of a model can be mistaken for one. They are dropped; the status is kept for
/// [`Wire::refused`], and whoever drives the connection answers in our own envelope. How the
/// head began is kept, too: the form of an answer follows from what was asked for.
#[derive(Debug)]
pub(super) struct Wire<S> {
    socket: S,
    watchdog: Arc<ConnectionWatchdog>,
    refused: Option<u16>,
    /// The first bytes of the last head, or as much as has come of it.
    head: Vec<u8>,
}

/// Bytes of a head that are kept: as many as say which protocol is meant.
pub(super) const HEAD_BYTES_KEPT: usize = 256;

impl<S> Wire<S> {
    pub(super) fn new(socket: S, watchdog: Arc<ConnectionWatchdog>) -> Self {
        Self {
            socket,
            watchdog,
            refused: None,
            head: Vec::new(),
        }
    }

    /// The status with which the HTTP library refused the last head, if it did.
    pub(super) fn refused(&self) -> Option<u16> {
        self.refused
    }

    /// The protocol that the last head is of.
    pub(super) fn surface(&self) -> Surface {
        Surface::of_head(&self.head)
    }

    pub(super) fn into_carrier(self) -> S {
        self.socket
    }

    /// Keeps what a head begins with.
    fn keep(&mut self, bytes: &[u8], begins: bool) {
        if begins {
            self.head.clear();
        }
        let room = HEAD_BYTES_KEPT.saturating_sub(self.head.len());
        let kept = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.head.extend_from_slice(kept);
    }

    /// Whether these bytes are kept back.
    fn keeps_back(&mut self, bytes: &[u8]) -> bool {
        if self.refused.is_some() {
            return true;
        }
        if !self.watchdog.has_answered_all() {
            return false;
        }
        self.refused = status(bytes);
        self.refused.is_some()
    }

    /// How many of these bytes the peer has already.
    fn ahead_of(&self, bytes: &[u8]) -> io::Result<usize> {
        self.watchdog.presence.writing();
        self.watchdog.presence.ahead_of(bytes)
    }

    /// Reports what was written after bytes that the peer had already, and gives all of it.
    fn report(&self, written: Poll<io::Result<usize>>, ahead: usize) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(_)) => {
                self.watchdog.wrote();
                self.watchdog.presence.caught_up(ahead);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.watchdog.blocked(),
        }
        written.map_ok(|written| ahead.saturating_add(written))
    }
}

/// The status in `HTTP/1.x NNN`.
fn status(head: &[u8]) -> Option<u16> {
    let digits = head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        let came = buffer.filled().get(before..).unwrap_or_default();
        if !came.is_empty() {
            let begins = self.watchdog.heard();
            self.keep(came, begins);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.keeps_back(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let ahead = self.ahead_of(bytes)?;
        let bytes = bytes.get(ahead..).unwrap_or_default();
        let written = match bytes {
            [] => Poll::Ready(Ok(0)),
            bytes => Pin::new(&mut self.socket).poll_write(context, bytes),
        };
        self.report(written, ahead)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A head is written in one piece.
        let first: &[u8] = pieces.first().map_or(&[], |piece| &**piece);
        if self.keeps_back(first) {
            return Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()));
        }
        if self.ahead_of(first)? > 0 {
            return self.poll_write(context, first);
        }
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, pieces);
        self.report(written, 0)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    /// The library flushes when it has handed over all that it had.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(context))?;
        self.watchdog.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::http::state::Config;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn only_what_is_written_out_of_turn_is_kept_back() {
        const BARE: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        let watchdog = Arc::new(ConnectionWatchdog::new(&Config::default(), false));
        let (mut peer, socket) = tokio::io::duplex(1024);
        let mut wire = Wire::new(socket, Arc::clone(&watchdog));

        // An answer that looks like a refusal is an answer.
        let index = watchdog.begin();
        wire.write_all(BARE).await.unwrap();
        watchdog.end(index);
        wire.write_all(BARE).await.unwrap();
        wire.flush().await.unwrap();
        assert_eq!(wire.refused(), None);

        wire.write_all(BARE).await.unwrap();
        wire.write_all(b"and more").await.unwrap();
        wire.flush().await.unwrap();
        assert_eq!(wire.refused(), Some(400));
        drop(wire);
        let mut seen = Vec::new();
        peer.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, [BARE, BARE].concat());
    }
}
