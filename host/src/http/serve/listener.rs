//! What connections come in by: a port, or a socket of this machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use super::socket::Socket;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::mpsc;

/// The address that peers on a socket of this machine are held to: they are on it.
const THIS_MACHINE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A socket that is listened on.
#[derive(Debug)]
pub enum Listener {
    /// A port.
    Tcp(TcpListener),
    /// A socket in the file system; who may connect is what its mode says.
    Unix(UnixListener),
    /// Connections that this process makes to itself.
    Own(mpsc::Receiver<UnixStream>),
}

/// A connection that has just come, and its other end.
pub(super) struct Accepted {
    pub(super) socket: Socket,
    pub(super) peer: IpAddr,
}

impl Listener {
    /// The next connection.
    pub(super) async fn accept(&mut self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Accepted {
                    socket: Socket::Tcp(stream),
                    peer: peer.ip().to_canonical(),
                })
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted {
                    socket: Socket::Unix(stream),
                    peer: THIS_MACHINE,
                })
            }
            Self::Own(connections) => match connections.recv().await {
                Some(stream) => Ok(Accepted {
                    socket: Socket::Unix(stream),
                    peer: THIS_MACHINE,
                }),
                // Nobody is left who could make one.
                None => std::future::pending().await,
            },
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<mpsc::Receiver<UnixStream>> for Listener {
    fn from(connections: mpsc::Receiver<UnixStream>) -> Self {
        Self::Own(connections)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}
