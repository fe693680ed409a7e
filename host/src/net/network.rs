//! A network, and the notation that it has everywhere: in settings, keys and exemptions.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A network: an address and how many of its bits count. A bare address is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(IpNet);

/// The text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    /// Neither an address nor a network.
    #[error("`{text}` is not a network such as `10.0.0.0/8`, `2001:db8::/32` or one address")]
    Malformed {
        /// The beginning of the text.
        text: String,
    },
    /// Bits are set that do not count: one of the two numbers is a slip.
    #[error("`{text}` has bits beyond its prefix: `{meant}` is the network that it lies in")]
    HostBits {
        /// The text.
        text: String,
        /// The network that was probably meant.
        meant: String,
    },
}

/// Characters of a wrong value that a message repeats.
const SHOWN_MAX: usize = 64;

impl Network {
    /// The network of that one address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        Self(ip.to_canonical().into())
    }

    /// The network that counts for an address, of which `ipv6_prefix` bits count where it is
    /// IPv6.
    #[must_use]
    pub fn counted(ip: IpAddr, ipv6_prefix: u8) -> Self {
        match ip.to_canonical() {
            IpAddr::V6(v6) => IpNet::new(IpAddr::V6(v6), ipv6_prefix.min(128))
                .map_or(Self::of(ip), |network| Self(network.trunc())),
            IpAddr::V4(_) => Self::of(ip),
        }
    }

    /// The first address in it.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.0.network()
    }

    /// Whether the address lies in it.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip.to_canonical())
    }

    /// Whether it is all addresses there are of its kind.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        self.0.prefix_len() == 0
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let text = text.trim();
        let shown = || text.chars().take(SHOWN_MAX).collect::<String>();
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::of(ip));
        }
        let malformed = |_| InvalidNetwork::Malformed { text: shown() };
        let network: IpNet = text.parse().map_err(malformed)?;
        if network.trunc() != network {
            return Err(InvalidNetwork::HostBits {
                text: shown(),
                meant: network.trunc().to_string(),
            });
        }
        // Addresses are compared as what they are; IPv4 in IPv6 clothes is IPv4.
        Ok(match network {
            IpNet::V6(v6) if v6.prefix_len() >= 96 && v6.addr().to_ipv4_mapped().is_some() => {
                let ip = IpAddr::V6(v6.addr()).to_canonical();
                let bits = v6.prefix_len() - 96;
                IpNet::new(ip, bits).map_or(Self(network), Self)
            }
            _ => Self(network),
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

/// Written as text, with the prefix also where it is one address: so the admin API has always
/// shown the networks of a key, and so they are stored.
impl serde::Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_network_is_read_or_refused_with_a_reason() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            (" 192.0.2.7 ", "192.0.2.7"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), shown);
        }
        for text in ["", "10", "10.0.0.0/33", "example.org", "10.0.0.0/8/8"] {
            assert!(matches!(
                text.parse::<Network>(),
                Err(InvalidNetwork::Malformed { .. })
            ));
        }
        let slip = "10.1.0.0/8".parse::<Network>().unwrap_err();
        assert!(slip.to_string().contains("`10.0.0.0/8`"), "{slip}");
    }
}
