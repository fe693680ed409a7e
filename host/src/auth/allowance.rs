//! How much a key may use: its tier, its own limits, and where it may be used from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::scope::Tier;

/// How much a key may use. Where a limit is missing, the server's setting holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Allowance {
    /// Its tier, which stands for requests and tokens a minute.
    pub tier: Option<Tier>,
    /// Requests a minute, at least 1.
    pub rpm: Option<u32>,
    /// Tokens a minute, at least 1.
    pub tpm: Option<u32>,
    /// Requests at once, at least 1.
    pub max_concurrent: Option<u32>,
    /// Uploads at once, at least 1.
    pub max_uploads: Option<u32>,
    /// Versions of models that it has uploaded and that are still there, at least 1.
    pub max_stored_bundles: Option<u32>,
    /// Bytes of those versions, unpacked; 1 to [`LIMIT_MAX`].
    pub max_stored_bytes: Option<u64>,
    /// Units of fuel in one UTC day; 1 to [`LIMIT_MAX`].
    pub fuel_per_day: Option<u64>,
}

/// The largest limit that the database can hold.
pub const LIMIT_MAX: u64 = i64::MAX.unsigned_abs();

impl Allowance {
    /// Nothing is said: the server's settings hold.
    pub(super) const UNSAID: Self = Self {
        tier: None,
        rpm: None,
        tpm: None,
        max_concurrent: None,
        max_uploads: None,
        max_stored_bundles: None,
        max_stored_bytes: None,
        fuel_per_day: None,
    };

    /// The first limit that is zero or above [`LIMIT_MAX`], by its name in the API.
    pub(super) fn out_of_range(&self) -> Option<&'static str> {
        let limits = [
            ("rpm", self.rpm.map(u64::from)),
            ("tpm", self.tpm.map(u64::from)),
            ("max_concurrent", self.max_concurrent.map(u64::from)),
            ("max_uploads", self.max_uploads.map(u64::from)),
            ("max_stored_bundles", self.max_stored_bundles.map(u64::from)),
            ("max_stored_bytes", self.max_stored_bytes),
            ("fuel_per_day", self.fuel_per_day),
        ];
        let wrong = |limit: Option<u64>| limit.is_some_and(|n| !(1..=LIMIT_MAX).contains(&n));
        limits
            .into_iter()
            .find(|(_, limit)| wrong(*limit))
            .map(|(name, _)| name)
    }
}

/// Where a key may be used from.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Networks {
    /// Only from here; empty: from everywhere.
    #[serde(rename = "allow_networks")]
    allow: Vec<Network>,
    /// Never from here, whatever else is allowed.
    #[serde(rename = "deny_networks")]
    deny: Vec<Network>,
}

/// Networks in one list of a key.
pub(super) const NETWORKS_MAX: usize = 256;

impl Networks {
    /// Everywhere.
    pub(super) const EVERYWHERE: Self = Self {
        allow: Vec::new(),
        deny: Vec::new(),
    };

    /// The two lists. An empty list to allow means everywhere.
    ///
    /// # Errors
    ///
    /// When a list has more than 256 networks.
    pub fn new(allow: Vec<Network>, deny: Vec<Network>) -> Result<Self, TooManyNetworks> {
        if allow.len().max(deny.len()) > NETWORKS_MAX {
            return Err(TooManyNetworks);
        }
        Ok(Self { allow, deny })
    }

    /// What it may be used from; empty: everywhere.
    #[must_use]
    pub fn allow(&self) -> &[Network] {
        &self.allow
    }

    /// What it may not be used from.
    #[must_use]
    pub fn deny(&self) -> &[Network] {
        &self.deny
    }

    /// Whether the key may be used from an address.
    #[must_use]
    pub fn permit(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let within = |networks: &[Network]| networks.iter().any(|n| n.0.contains(&address));
        !within(&self.deny) && (self.allow.is_empty() || within(&self.allow))
    }
}

/// An IP network such as `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(IpNet);

impl Network {
    /// The network as the library has it.
    #[must_use]
    pub fn get(self) -> IpNet {
        self.0
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let text = text.trim();
        let net: IpNet = match text.parse::<IpAddr>() {
            Ok(address) => address.into(),
            Err(_) => text.parse().map_err(|_| InvalidNetwork::Malformed {
                got: text.chars().take(64).collect(),
            })?,
        };
        if net.trunc() != net {
            return Err(InvalidNetwork::HostBits {
                got: net,
                network: net.trunc(),
            });
        }
        // Addresses are compared as IPv4 where they are IPv4 in IPv6 clothes, so such a network
        // would never match.
        match net {
            IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => {
                Err(InvalidNetwork::Mapped { got: net })
            }
            net => Ok(Self(net)),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl serde::Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A list of networks is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key has at most {NETWORKS_MAX} networks in each list")]
pub struct TooManyNetworks;

/// The text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    /// Neither a network nor an address.
    #[error("`{got}` is neither a network such as 10.0.0.0/8 nor an address")]
    Malformed {
        /// What was found, cut to 64 characters.
        got: String,
    },
    /// An address with the prefix of its network: one of the two is a slip.
    #[error("`{got}` is an address within {network}: write one or the other")]
    HostBits {
        /// What was found.
        got: IpNet,
        /// The network around it.
        network: IpNet,
    },
    /// IPv4 in IPv6 clothes.
    #[error("`{got}` is written as IPv6: write the IPv4 network")]
    Mapped {
        /// What was found.
        got: IpNet,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn networks(allow: &[&str], deny: &[&str]) -> Networks {
        let read = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        Networks::new(read(allow), read(deny)).unwrap()
    }

    #[test]
    fn a_denied_network_wins_over_an_allowed_one() {
        let check = |networks: &Networks, address: &str, expect: bool| {
            assert_eq!(
                networks.permit(address.parse().unwrap()),
                expect,
                "{address}"
            );
        };
        check(&Networks::EVERYWHERE, "192.0.2.1", true);
        let some = networks(&["10.0.0.0/8", "2001:db8::/32"], &["10.1.0.0/16"]);
        check(&some, "10.0.0.1", true);
        check(&some, "::ffff:10.0.0.1", true);
        check(&some, "10.1.0.1", false);
        check(&some, "2001:db8::1", true);
        check(&some, "192.0.2.1", false);
        let but_one = networks(&[], &["192.0.2.1"]);
        check(&but_one, "192.0.2.1", false);
        check(&but_one, "192.0.2.2", true);
    }

    #[test]
    fn slips_in_networks_are_refused() {
        for bad in [
            "",
            "10.0.0.0/33",
            "localhost",
            "10.0.0.1/8",
            "::ffff:10.0.0.0/104",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        let many = vec!["10.0.0.0/8".parse().unwrap(); NETWORKS_MAX + 1];
        assert!(Networks::new(many, vec![]).is_err());
    }

    #[test]
    fn a_limit_is_at_least_one_and_fits_the_database() {
        assert_eq!(Allowance::default().out_of_range(), None);
        assert_eq!(Allowance::default(), Allowance::UNSAID);
        let zero = Allowance {
            max_uploads: Some(0),
            ..Allowance::default()
        };
        assert_eq!(zero.out_of_range(), Some("max_uploads"));
        let huge = |fuel| Allowance {
            fuel_per_day: Some(fuel),
            ..Allowance::default()
        };
        assert_eq!(huge(LIMIT_MAX).out_of_range(), None);
        assert_eq!(huge(LIMIT_MAX + 1).out_of_range(), Some("fuel_per_day"));
    }
}
