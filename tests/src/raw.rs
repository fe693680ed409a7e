//! Bytes to the server and back without an HTTP library between: for requests that no library
//! would send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that a test writes on byte by byte.
#[derive(Debug)]
pub struct RawConnection(TcpStream);

impl RawConnection {
    /// Connects.
    ///
    /// # Panics
    ///
    /// When nobody listens.
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address)
            .await
            .expect("the server listens");
        stream
            .set_nodelay(true)
            .expect("a connected socket has options");
        Self(stream)
    }

    /// Writes; false when the server has closed.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Ends the writing half; the answer can still be read.
    pub async fn finish(&mut self) {
        let _ = self.0.shutdown().await;
    }

    /// Everything that arrives until the server closes or nothing comes for `patience`.
    pub async fn read_all(&mut self, patience: Duration) -> Vec<u8> {
        let mut read = Vec::new();
        let mut buffer = [0; 8192];
        while let Ok(Ok(count @ 1..)) =
            tokio::time::timeout(patience, self.0.read(&mut buffer)).await
        {
            read.extend(buffer.iter().take(count));
        }
        read
    }

    /// Sends a whole request and reads what comes back, as text.
    pub async fn exchange(&mut self, request: &[u8], patience: Duration) -> String {
        self.write(request).await;
        String::from_utf8_lossy(&self.read_all(patience).await).into_owned()
    }
}
