//! Whether the server really answers: a request to itself, over everything that others' requests
//! go over but the network.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// A way to ask a server whether it answers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pulse(mpsc::Sender<UnixStream>);

const REQUEST: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 ";

impl Pulse {
    /// A pulse, and where its connections come out, to be served.
    pub(super) fn new() -> (Self, mpsc::Receiver<UnixStream>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self(sender), receiver)
    }

    /// Whether the server answers within a time.
    pub async fn beats_within(&self, limit: Duration) -> bool {
        let asked = tokio::time::timeout(limit, self.ask()).await;
        matches!(asked, Ok(Ok(true)))
    }

    async fn ask(&self) -> std::io::Result<bool> {
        let (mut own, other) = UnixStream::pair()?;
        if self.0.send(other).await.is_err() {
            return Ok(false);
        }
        own.write_all(REQUEST).await?;
        let mut begins = [0; ANSWER.len()];
        own.read_exact(&mut begins).await?;
        Ok(begins == ANSWER)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);
    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn only_an_answer_is_a_sign_of_life() {
        let (pulse, mut connections) = Pulse::new();
        assert!(
            !pulse.beats_within(LIMIT).await,
            "nobody takes the connection"
        );
        connections.recv().await.unwrap();
        for (answer, limit, expect) in [
            (&b""[..], LIMIT, false),
            (b"HTTP", LIMIT, false),
            (b"HTTP/1.1 200 OK", PATIENCE, true),
        ] {
            let serve = async {
                let mut connection = connections.recv().await.unwrap();
                connection.write_all(answer).await.unwrap();
                std::future::pending::<()>().await;
            };
            let beats = tokio::select! {
                beats = pulse.beats_within(limit) => beats,
                () = serve => unreachable!("it is never over"),
            };
            assert_eq!(beats, expect, "{answer:?}");
        }
        drop(connections);
        assert!(!pulse.beats_within(LIMIT).await, "the server has gone");
    }
}
