//! Sinks that others keep: standard output and a syslog daemon. Each gets the same line.

use std::fmt;
use std::io::{self, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::Timestamp;

/// The place where a syslog daemon listens: a socket such as `/dev/log`, or `udp:192.0.2.7:514`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogTarget {
    /// A Unix datagram socket.
    Socket(PathBuf),
    /// An address, by UDP. Lines can get lost on the way, and are not encrypted.
    Udp(SocketAddr),
}

impl Default for SyslogTarget {
    fn default() -> Self {
        Self::Socket(PathBuf::from("/dev/log"))
    }
}

/// The text names no place where syslog could listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a socket such as `/dev/log`, or `udp:ADDRESS:PORT`")]
pub struct InvalidTarget;

impl FromStr for SyslogTarget {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        match text.strip_prefix("udp:") {
            Some(address) => address.parse().map(Self::Udp).map_err(|_| InvalidTarget),
            None if text.starts_with('/') => Ok(Self::Socket(PathBuf::from(text))),
            None => Err(InvalidTarget),
        }
    }
}

impl fmt::Display for SyslogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Udp(address) => write!(f, "udp:{address}"),
        }
    }
}

/// A socket to a syslog daemon.
#[derive(Debug)]
pub(super) enum Syslog {
    Socket(UnixDatagram, PathBuf),
    Udp(UdpSocket, SocketAddr),
}

/// Facility 13 ("log audit") and severity 5 ("notice"), as RFC 5424 counts them.
const PRIORITY: u8 = 13 * 8 + 5;

impl Syslog {
    /// Makes a socket. Whether anybody listens shows when something is sent: a daemon may come
    /// and go.
    pub(super) fn open(target: &SyslogTarget) -> io::Result<Self> {
        match target {
            SyslogTarget::Socket(path) => {
                let socket = UnixDatagram::unbound()?;
                // A daemon that does not read holds up no other sink.
                socket.set_nonblocking(true)?;
                Ok(Self::Socket(socket, path.clone()))
            }
            SyslogTarget::Udp(address) => {
                let any: SocketAddr = match address {
                    SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
                    SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
                };
                let socket = UdpSocket::bind(any)?;
                socket.set_nonblocking(true)?;
                Ok(Self::Udp(socket, *address))
            }
        }
    }

    pub(super) fn send(&self, time: Timestamp, line: &str) -> io::Result<()> {
        let process = std::process::id();
        let message = format!("<{PRIORITY}>1 {time:.6} - belljar {process} audit - {line}");
        match self {
            Self::Socket(socket, path) => socket.send_to(message.as_bytes(), path),
            Self::Udp(socket, address) => socket.send_to(message.as_bytes(), address),
        }
        .map(drop)
    }
}

/// Writes lines, each with its line end, to standard output.
pub(super) fn print(lines: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines)?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_daemon_gets_lines_in_its_own_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let target = path.to_str().unwrap().parse().unwrap();
        let time = "2030-01-01T00:00:00Z".parse().unwrap();
        Syslog::open(&target).unwrap().send(time, "{}").unwrap();
        let mut buffer = [0; 1000];
        let length = daemon.recv(&mut buffer).unwrap();
        let process = std::process::id();
        let expect = format!("<109>1 2030-01-01T00:00:00.000000Z - belljar {process} audit - {{}}");
        assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), expect);
    }

    #[test]
    fn a_daemon_on_another_machine_is_named_by_address() {
        let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = format!("udp:{}", daemon.local_addr().unwrap());
        let target: SyslogTarget = target.parse().unwrap();
        let time = Timestamp::UNIX_EPOCH;
        Syslog::open(&target).unwrap().send(time, "{}").unwrap();
        let mut buffer = [0; 1000];
        assert!(daemon.recv(&mut buffer).unwrap() > 10);
        for bad in ["", "dev/log", "udp:", "udp:localhost:514", "tcp:1.2.3.4:5"] {
            assert_eq!(bad.parse::<SyslogTarget>(), Err(InvalidTarget), "{bad}");
        }
    }
}
