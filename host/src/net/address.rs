//! The address that a caller is held to.

use std::net::{IpAddr, Ipv6Addr};

/// The address of a caller, as far as it can be trusted, and the network that counts for it:
/// who has one IPv6 address usually has a whole /64 of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress {
    ip: IpAddr,
    network: IpAddr,
}

impl ClientAddress {
    /// The address `ip`, of which the first `ipv6_prefix` bits (0 to 128) count where it is
    /// IPv6. An IPv4 address in IPv6 clothes is the IPv4 address.
    #[must_use]
    pub fn new(ip: IpAddr, ipv6_prefix: u8) -> Self {
        let ip = ip.to_canonical();
        let network = match ip {
            IpAddr::V4(_) => ip,
            IpAddr::V6(v6) => {
                let host_bits = 128_u32.saturating_sub(u32::from(ipv6_prefix));
                let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
            }
        };
        Self { ip, network }
    }

    /// The address itself, for the log.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.ip
    }

    /// The address of the network that limits and bans are kept by.
    #[must_use]
    pub fn network(self) -> IpAddr {
        self.network
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(ip: &str, prefix: u8, expect: &str) {
        let address = ClientAddress::new(ip.parse().unwrap(), prefix);
        assert_eq!(address.network(), expect.parse::<IpAddr>().unwrap());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_caller() {
        check("2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::");
        check("2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6");
        check("2001:db8:1:2:3:4:5:6", 0, "::");
        check("192.0.2.7", 64, "192.0.2.7");
        check("::ffff:192.0.2.7", 64, "192.0.2.7");
    }
}
