//! Whether the peer of an HTTP/1 connection is still there while its answer is made.
//!
//! A peer that has closed its connection and one that has only ended its sending side (`nc -N`)
//! look the same: the system says that no more bytes will come. They differ in what becomes of
//! bytes that are sent to them. So after a moment something is sent that changes nothing for a
//! peer that waits: the first letter of its answer, which is the same for all answers, or a
//! comment where events are sent. A peer that has gone resets the connection, and with it the
//! run ends.

use super::socket::Socket;
use bytes::Bytes;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;
use tokio::io::Interest;

/// What the head of each answer begins with, whatever it answers: so much of it can be sent ahead.
const HEAD_BEGINS: &[u8] = b"HTTP/1.";

/// A line of events that readers leave out.
const COMMENT: &[u8] = b":\n\n";

/// How long a peer that has ended its sending side is left alone. Most answers are there by then,
/// and to those that are not it adds little.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// How many times as long as the last pause the next one is: a peer that leaves later is noticed
/// in a time like the one that it has waited, for a few bytes in all.
const PAUSE_GROWTH: u32 = 8;

/// Pauses stop growing here, which is longer than anybody waits.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// What is known of the answer that a peer waits for. All parts of an HTTP/1 connection run in one
/// task, so that orderings are relaxed.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// Whether the head of an answer is to come.
    awaits_head: AtomicBool,
    /// Whether bytes wait for room in the socket.
    is_writing: AtomicBool,
    /// Whether something was written since the pause began.
    has_written: AtomicBool,
    /// Bytes of the head to come that the peer has already.
    ahead: AtomicU8,
    /// Whether a comment is to be sent, if events are.
    wants_comment: AtomicBool,
}

impl Presence {
    /// A request has come.
    pub(super) fn begin(&self) {
        self.wants_comment.store(false, Ordering::Relaxed);
        self.awaits_head.store(true, Ordering::Relaxed);
    }

    /// The head of its answer is in the hands of the HTTP library.
    pub(super) fn has_head(&self) {
        self.awaits_head.store(false, Ordering::Relaxed);
    }

    /// Bytes are to be written.
    pub(super) fn writing(&self) {
        self.is_writing.store(true, Ordering::Relaxed);
        self.has_written.store(true, Ordering::Relaxed);
    }

    /// All of them were.
    pub(super) fn flushed(&self) {
        self.is_writing.store(false, Ordering::Relaxed);
    }

    /// How many of the bytes that are to be written the peer has already.
    ///
    /// # Errors
    ///
    /// When these are others than the ones it has.
    pub(super) fn ahead_of(&self, bytes: &[u8]) -> io::Result<usize> {
        let ahead = usize::from(self.ahead.load(Ordering::Relaxed));
        let sent = HEAD_BEGINS.get(..ahead).unwrap_or_default();
        let both = ahead.min(bytes.len());
        if bytes.get(..both) == sent.get(..both) {
            Ok(both)
        } else {
            Err(io::Error::other("an answer begins as none does"))
        }
    }

    /// The first bytes of what was to be written are accounted for.
    pub(super) fn caught_up(&self, bytes: usize) {
        let ahead = usize::from(self.ahead.load(Ordering::Relaxed));
        let left = u8::try_from(ahead.saturating_sub(bytes)).unwrap_or(0);
        self.ahead.store(left, Ordering::Relaxed);
    }

    /// A comment for the peer, where one is wanted.
    pub(super) fn comment(&self) -> Option<Bytes> {
        let wanted = self.wants_comment.load(Ordering::Relaxed);
        if wanted {
            self.wants_comment.store(false, Ordering::Relaxed);
        }
        wanted.then_some(Bytes::from_static(COMMENT))
    }

    /// Sends the peer something, unless something is under way anyway.
    fn ask(&self, socket: &Socket) -> Asked {
        let [has_written, is_writing] =
            [&self.has_written, &self.is_writing].map(|flag| flag.load(Ordering::Relaxed));
        if has_written || is_writing {
            return Asked::Nothing;
        }
        if !self.awaits_head.load(Ordering::Relaxed) {
            self.wants_comment.store(true, Ordering::Relaxed);
            return Asked::ForComment;
        }
        let ahead = self.ahead.load(Ordering::Relaxed);
        // One byte, because it is taken or not.
        let Some(next) = HEAD_BEGINS.get(usize::from(ahead)) else {
            return Asked::Nothing;
        };
        match socket.try_write(&[*next]) {
            Ok(written) => {
                let written = u8::try_from(written).unwrap_or(1);
                self.ahead
                    .store(ahead.saturating_add(written), Ordering::Relaxed);
                Asked::Nothing
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Asked::Nothing,
            // A socket of this machine says so at once.
            Err(_) => Asked::Nobody,
        }
    }
}

/// What becomes of asking whether a peer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Nothing more has to be done for it.
    Nothing,
    /// The connection has to be looked at again, so that a comment goes out.
    ForComment,
    /// It is known not to be there.
    Nobody,
}

/// Done when the peer of an open answer is known to have gone. One that has only ended its
/// sending side has gone, too, where it is not to be waited for.
pub(super) async fn lost(socket: &Socket, presence: &Presence, half_close: bool) {
    // The end of what comes is part of the priority that a socket can be waited for. Of its being
    // readable, too, which a next request in it would be for all the time of the first.
    match socket.ready(Interest::PRIORITY | Interest::ERROR).await {
        Ok(ready) if !ready.is_error() => {}
        _ => return,
    }
    let mut pause = FIRST_PAUSE;
    loop {
        presence.has_written.store(false, Ordering::Relaxed);
        // On the heap, because next to no connection comes here.
        let reset = Box::pin(tokio::time::timeout(pause, socket.ready(Interest::ERROR)));
        if reset.await.is_ok() || !half_close {
            return;
        }
        match presence.ask(socket) {
            Asked::Nothing => {}
            Asked::ForComment => tokio::task::yield_now().await,
            Asked::Nobody => return,
        }
        pause = (pause * PAUSE_GROWTH).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream, UnixStream};

    async fn pair() -> (TcpStream, Socket) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (peer, accepted) = tokio::join!(
            TcpStream::connect(listener.local_addr().unwrap()),
            listener.accept()
        );
        let (socket, _) = accepted.unwrap();
        socket.writable().await.unwrap();
        (peer.unwrap(), Socket::Tcp(socket))
    }

    #[tokio::test]
    async fn no_more_of_an_answer_is_sent_ahead_than_all_answers_begin_with() {
        let (mut peer, socket) = pair().await;
        let presence = Presence::default();
        presence.begin();
        for _ in 0..20 {
            assert_eq!(presence.ask(&socket), Asked::Nothing);
        }
        assert_eq!(presence.ahead_of(b"HTTP/1.0 200 OK").unwrap(), 7);
        assert_eq!(presence.ahead_of(b"HTT").unwrap(), 3);
        assert!(presence.ahead_of(b"data: 1").is_err());
        presence.caught_up(3);
        presence.caught_up(4);
        assert_eq!(presence.ahead_of(b"data: 1").unwrap(), 0);
        drop(socket);
        let mut seen = Vec::new();
        peer.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, HEAD_BEGINS);
    }

    #[tokio::test]
    async fn a_socket_of_this_machine_says_that_its_peer_has_gone() {
        for finishes_first in [true, false] {
            let (mut peer, socket) = UnixStream::pair().unwrap();
            let socket = Socket::Unix(socket);
            let presence = Presence::default();
            presence.begin();
            if finishes_first {
                peer.shutdown().await.unwrap();
            }
            let leave = async move {
                // It is asked and there, unless it is closed on both sides.
                if finishes_first {
                    peer.read_exact(&mut [0]).await.unwrap();
                }
                drop(peer);
            };
            let both = async { tokio::join!(lost(&socket, &presence, true), leave) };
            let patience = Duration::from_secs(20);
            tokio::time::timeout(patience, both).await.unwrap();
        }
    }

    #[tokio::test]
    async fn nothing_is_sent_into_what_is_being_written() {
        let (mut peer, socket) = pair().await;
        let presence = Presence::default();
        presence.begin();
        presence.writing();
        assert_eq!(presence.ask(&socket), Asked::Nothing, "it has not all left");
        presence.flushed();
        assert_eq!(presence.ask(&socket), Asked::Nothing, "that was enough");
        presence.has_written.store(false, Ordering::Relaxed);
        presence.has_head();
        assert_eq!(presence.ask(&socket), Asked::ForComment);
        assert_eq!(presence.comment().unwrap(), COMMENT);
        assert!(presence.comment().is_none(), "once");
        assert_eq!(presence.ask(&socket), Asked::ForComment);
        presence.begin();
        assert!(presence.comment().is_none(), "for that answer alone");
        drop(socket);
        assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
    }
}
