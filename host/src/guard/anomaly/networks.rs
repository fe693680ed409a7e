//! The networks that a caller has come from lately: /24 of IPv4, /48 of IPv6. A bounded list in
//! the order in which they were last seen.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Networks remembered of one caller; the one seen least recently goes first.
const NETWORKS_MAX: usize = 64;

/// Networks that an anomalous window teaches: a caller who has moved is known again in time, and
/// an attacker's networks stay new.
const TAUGHT_BY_ANOMALY_MAX: usize = 1;

/// A network as one number: the kind of address and its leading bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkKey(u64);

impl NetworkKey {
    /// The network that an address lies in.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        const IPV6: u64 = 1 << 63;
        Self(match ip.to_canonical() {
            IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
            IpAddr::V6(v6) => {
                let [a, b, c, ..] = v6.segments();
                IPV6 | u64::from(a) << 32 | u64::from(b) << 16 | u64::from(c)
            }
        })
    }

    pub(super) fn number(self) -> u64 {
        self.0
    }
}

/// The networks that are known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct KnownNetworks(Vec<NetworkKey>);

impl KnownNetworks {
    /// Networks of a window that are not known.
    pub(super) fn count_new(&self, seen: &[NetworkKey]) -> u64 {
        let new = seen.iter().filter(|network| !self.0.contains(network));
        u64::try_from(new.count()).unwrap_or(u64::MAX)
    }

    /// Remembers the networks of a window.
    pub(super) fn learn(&mut self, seen: &[NetworkKey], is_anomaly: bool) {
        let mut left = if is_anomaly {
            TAUGHT_BY_ANOMALY_MAX
        } else {
            NETWORKS_MAX
        };
        for network in seen {
            if let Some(at) = self.0.iter().position(|known| known == network) {
                self.0.remove(at);
            } else if left == 0 {
                continue;
            } else {
                left -= 1;
            }
            self.0.push(*network);
        }
        self.shorten();
    }

    /// Holds to the bound what a disk has given.
    pub(super) fn shorten(&mut self) {
        let beyond = self.0.len().saturating_sub(NETWORKS_MAX);
        self.0.drain(..beyond);
    }
}
