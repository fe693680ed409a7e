//! The PROXY protocol, version 2: a few bytes at the start of a connection in which a balancer
//! says for whom it speaks.
//!
//! Version 1 is refused: it is text of no announced length, and whoever writes it can write
//! version 2 as well.

use ppp::v2::{Addresses, Command, Header};
use std::net::IpAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Whether connections begin with a PROXY header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// None does: one that comes is a bad request.
    #[default]
    Off,
    /// Each does, and comes from a trusted proxy; others are closed.
    Required,
}

impl ProxyProtocol {
    /// The name in the settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Required => "required",
        }
    }
}

/// Bytes before the part whose length they announce.
const FIXED_BYTES: usize = 16;

/// Bytes of the rest. Addresses take up to 216; what else there is, such as the name in a
/// certificate, is short. The header may announce up to 64 KiB.
const REST_BYTES_MAX: usize = 4096;

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProxyError {
    #[error("the header did not come in time")]
    Late,
    #[error("what came is not a header that can be used")]
    Invalid,
}

impl ProxyError {
    /// The name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Late => "proxy_header_late",
            Self::Invalid => "proxy_header_invalid",
        }
    }
}

/// Reads the header and not a byte more. None where the proxy speaks for itself, as when it
/// looks whether the server lives.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    limit: Duration,
) -> Result<Option<IpAddr>, ProxyError> {
    let header = tokio::time::timeout(limit, read_bytes(stream)).await;
    let header = header.map_err(|_| ProxyError::Late)??;
    let header = Header::try_from(header.as_slice()).map_err(|_| ProxyError::Invalid)?;
    match (header.command, header.addresses) {
        (Command::Local, _) | (Command::Proxy, Addresses::Unspecified) => Ok(None),
        (Command::Proxy, Addresses::IPv4(ends)) => Ok(Some(ends.source_address.into())),
        (Command::Proxy, Addresses::IPv6(ends)) => {
            Ok(Some(IpAddr::V6(ends.source_address).to_canonical()))
        }
        // A socket of the proxy's own machine is nobody's address.
        (Command::Proxy, Addresses::Unix(_)) => Err(ProxyError::Invalid),
    }
}

async fn read_bytes(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, ProxyError> {
    let mut fixed = [0_u8; FIXED_BYTES];
    let invalid = |_| ProxyError::Invalid;
    stream.read_exact(&mut fixed).await.map_err(invalid)?;
    let [start @ .., high, low] = fixed;
    let rest = usize::from(u16::from_be_bytes([high, low]));
    if !start.starts_with(ppp::v2::PROTOCOL_PREFIX) || rest > REST_BYTES_MAX {
        return Err(ProxyError::Invalid);
    }
    let mut header = fixed.to_vec();
    header.resize(FIXED_BYTES + rest, 0);
    let (_, rest) = header.split_at_mut(FIXED_BYTES);
    stream.read_exact(rest).await.map_err(invalid)?;
    Ok(header)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [START, &[0x20 | command, family], &length, rest].concat()
    }

    async fn parse(bytes: &[u8]) -> (Result<Option<IpAddr>, ProxyError>, usize) {
        let mut left = bytes;
        let found = read(&mut left, Duration::from_secs(5)).await;
        (found, left.len())
    }

    #[tokio::test]
    async fn a_header_says_who_speaks() {
        let v4 = [192, 0, 2, 7, 10, 0, 0, 1, 1, 2, 0, 80];
        let mut v6 = [0; 36];
        let address: std::net::Ipv6Addr = "2001:db8::7".parse().unwrap();
        v6[..16].copy_from_slice(&address.octets());
        for (bytes, expect) in [
            (header(1, 0x11, &v4), Ok(Some("192.0.2.7"))),
            (header(1, 0x21, &v6), Ok(Some("2001:db8::7"))),
            (header(0, 0x00, &[]), Ok(None)),
            (header(0, 0x11, &v4), Ok(None)),
            (header(1, 0x00, &[]), Ok(None)),
            (header(1, 0x31, &[0; 216]), Err(ProxyError::Invalid)),
            (header(1, 0x11, &v4[..4]), Err(ProxyError::Invalid)),
            (header(7, 0x11, &v4), Err(ProxyError::Invalid)),
            (
                b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n".to_vec(),
                Err(ProxyError::Invalid),
            ),
            (
                b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
                Err(ProxyError::Invalid),
            ),
            (START.to_vec(), Err(ProxyError::Invalid)),
        ] {
            let expect = expect.map(|ip| ip.map(|ip| ip.parse::<IpAddr>().unwrap()));
            let followed = [bytes.as_slice(), b"GET"].concat();
            let (found, left) = parse(&followed).await;
            assert_eq!(found, expect, "{bytes:?}");
            if expect.is_ok() {
                assert_eq!(left, 3, "what follows is left for HTTP");
            }
        }
    }

    #[tokio::test]
    async fn a_long_header_is_not_read() {
        let rest = vec![0; REST_BYTES_MAX + 1];
        let (found, left) = parse(&header(1, 0x11, &rest)).await;
        assert_eq!((found, left), (Err(ProxyError::Invalid), rest.len()));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_not_waited_for() {
        let (_proxy, mut server) = tokio::io::duplex(64);
        let found = read(&mut server, Duration::from_secs(30)).await;
        assert_eq!(found, Err(ProxyError::Late));
    }

    proptest! {
        #[test]
        fn nothing_panics(command: u8, family: u8, rest in proptest::collection::vec(any::<u8>(), 0..300)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _ = runtime.block_on(parse(&header(command & 0x0f, family, &rest)));
        }
    }
}
