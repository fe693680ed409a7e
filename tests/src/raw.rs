//! Bytes to the server and back without an HTTP library between: for requests that no library
//! would send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpSocket, TcpStream};

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

    /// Connects from an address of this machine, for example another loopback one.
    ///
    /// # Panics
    ///
    /// When nobody listens, or the address is not of this machine.
    pub async fn open_from(own: [u8; 4], address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("there is a free socket");
        socket
            .bind((own, 0).into())
            .expect("the address is of this machine");
        let stream = socket.connect(address).await.expect("the server listens");
        Self(stream)
    }

    /// Connects with next to no room for what the server sends.
    ///
    /// # Panics
    ///
    /// When nobody listens.
    pub async fn open_deaf(address: SocketAddr) -> Self {
        const RECEIVE_BUFFER_BYTES: u32 = 4096;
        let socket = TcpSocket::new_v4().expect("there is a free socket");
        socket
            .set_recv_buffer_size(RECEIVE_BUFFER_BYTES)
            .expect("a socket has a buffer");
        let stream = socket.connect(address).await.expect("the server listens");
        Self(stream)
    }

    /// What arrives next; nothing when the server has closed or nothing comes for `patience`.
    pub async fn read_some(&mut self, patience: Duration) -> Vec<u8> {
        let mut buffer = vec![0; 8192];
        let read = tokio::time::timeout(patience, self.0.read(&mut buffer)).await;
        buffer.truncate(read.map_or(0, Result::unwrap_or_default));
        buffer
    }

    /// Sends a whole request and gives what comes back first.
    pub async fn exchange_some(&mut self, request: &[u8], patience: Duration) -> Vec<u8> {
        self.write(request).await;
        self.read_some(patience).await
    }

    /// Whether the server resets the connection within `patience`, with nothing being read
    /// until then.
    pub async fn is_reset(&mut self, patience: Duration) -> bool {
        let reset = self.0.ready(Interest::ERROR);
        tokio::time::timeout(patience, reset)
            .await
            .is_ok_and(|ready| ready.is_ok())
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
