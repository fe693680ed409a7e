//! Lists of networks, and who may come in by them.

use std::fmt;
use std::net::IpAddr;

use super::Network;

/// A list of networks, such as `10.0.0.0/8, 2001:db8::/32`. Whoever asks it walks through it, so
/// each list has a bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct NetworkList(Vec<Network>);

/// A list of networks is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a list has at most {networks_max} networks")]
pub struct TooManyNetworks {
    /// The bound of the list.
    pub networks_max: usize,
}

impl NetworkList {
    /// A list without networks.
    pub const EMPTY: Self = Self(Vec::new());

    /// A list of at most `networks_max` networks.
    ///
    /// # Errors
    ///
    /// When there are more.
    pub fn new(networks: Vec<Network>, networks_max: usize) -> Result<Self, TooManyNetworks> {
        if networks.len() > networks_max {
            return Err(TooManyNetworks { networks_max });
        }
        Ok(Self(networks))
    }

    /// Whether the list has no networks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the address lies in one of the networks.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(ip))
    }

    /// The networks, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = Network> + '_ {
        self.0.iter().copied()
    }
}

impl fmt::Display for NetworkList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            network.fmt(f)?;
        }
        Ok(())
    }
}

/// The networks that are let in, to a listener or with a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct NetworkAcl {
    /// The networks that are let in, and no others; empty for all.
    #[serde(rename = "allow_networks")]
    pub allow: NetworkList,
    /// The networks that are not let in, also where `allow` has them.
    #[serde(rename = "deny_networks")]
    pub deny: NetworkList,
}

impl NetworkAcl {
    /// Lets every address in.
    pub const EVERYWHERE: Self = Self {
        allow: NetworkList::EMPTY,
        deny: NetworkList::EMPTY,
    };

    /// Whether the address is let in.
    #[must_use]
    pub fn admits(&self, ip: IpAddr) -> bool {
        !self.deny.contains(ip) && (self.allow.is_empty() || self.allow.contains(ip))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn list(networks: &[&str]) -> NetworkList {
        let networks = networks.iter().map(|text| text.parse().unwrap());
        NetworkList::new(networks.collect(), 4).unwrap()
    }

    #[track_caller]
    fn check(acl: &NetworkAcl, address: &str, expect: bool) {
        assert_eq!(acl.admits(address.parse().unwrap()), expect, "{address}");
    }

    #[test]
    fn a_list_has_no_more_networks_than_its_bound() {
        let networks = |count| vec!["10.0.0.0/8".parse().unwrap(); count];
        assert!(NetworkList::new(networks(4), 4).is_ok());
        assert_eq!(
            NetworkList::new(networks(5), 4),
            Err(TooManyNetworks { networks_max: 4 })
        );
    }

    #[test]
    fn a_denied_network_wins_over_an_allowed_one() {
        check(&NetworkAcl::EVERYWHERE, "192.0.2.1", true);
        let some = NetworkAcl {
            allow: list(&["10.0.0.0/8", "2001:db8::/32"]),
            deny: list(&["10.9.0.0/16"]),
        };
        check(&some, "10.1.1.1", true);
        check(&some, "::ffff:10.1.1.1", true);
        check(&some, "10.9.1.1", false);
        check(&some, "::ffff:10.9.1.1", false);
        check(&some, "2001:db8::1", true);
        check(&some, "11.0.0.1", false);
        let but_one = NetworkAcl {
            allow: NetworkList::EMPTY,
            deny: list(&["192.0.2.1"]),
        };
        check(&but_one, "192.0.2.1", false);
        check(&but_one, "192.0.2.2", true);
    }

    #[test]
    fn ipv4_written_as_ipv6_is_ipv4() {
        let mapped = NetworkAcl {
            allow: list(&["::ffff:10.0.0.0/104"]),
            deny: NetworkList::EMPTY,
        };
        check(&mapped, "10.1.2.3", true);
        check(&mapped, "::ffff:10.1.2.3", true);
        check(&mapped, "192.0.2.1", false);
    }
}
