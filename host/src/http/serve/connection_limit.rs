//! How many connections there may be: in all, and from one address.

use crate::telemetry::metrics::{OPEN_CONNECTIONS, Present};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;

/// The limit on the connections of one listener.
#[derive(Clone, Debug)]
pub(super) struct ConnectionLimiter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    total_max: usize,
    /// 0 is no limit.
    per_address_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionRefused {
    /// The server has all the connections that it may have.
    Server,
    /// The address has all the connections that it may have.
    Address,
}

impl ConnectionRefused {
    /// The name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Server => "server_full",
            Self::Address => "address_full",
        }
    }
}

impl ConnectionLimiter {
    /// A limiter of connections in all and from one address; a `per_address_max` of 0 is no limit.
    pub(super) fn new(total_max: usize, per_address_max: usize) -> Self {
        Self(Arc::new(Shared {
            total_max,
            per_address_max,
            taken: Mutex::default(),
        }))
    }

    /// Admits a connection from an address, or from a network that counts as one.
    /// A proxy that is trusted speaks for many and may have as many as there are.
    pub(super) fn enter(
        &self,
        address: IpAddr,
        is_proxy: bool,
    ) -> Result<ConnectionPermit, ConnectionRefused> {
        let mut taken = self.0.taken.lock();
        if taken.total >= self.0.total_max {
            return Err(ConnectionRefused::Server);
        }
        // An entry for each address that has a connection, so the table is bounded as well.
        match taken.by_address.entry(address) {
            Entry::Occupied(mut entry) => {
                let count = entry.get_mut();
                if !is_proxy && self.0.per_address_max != 0 && *count >= self.0.per_address_max {
                    return Err(ConnectionRefused::Address);
                }
                *count += 1;
            }
            Entry::Vacant(entry) => {
                entry.insert(1);
            }
        }
        taken.total += 1;
        Ok(ConnectionPermit {
            limiter: self.clone(),
            address,
            _open: OPEN_CONNECTIONS.enter(),
        })
    }
}

/// The permit of an open connection, given back when this is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    limiter: ConnectionLimiter,
    address: IpAddr,
    _open: Present,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut taken = self.limiter.0.taken.lock();
        taken.total = taken.total.saturating_sub(1);
        if let Entry::Occupied(mut entry) = taken.by_address.entry(self.address) {
            match entry.get().saturating_sub(1) {
                0 => drop(entry.remove()),
                left => drop(entry.insert(left)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn connections_are_counted_by_address_and_in_all() {
        let limiter = ConnectionLimiter::new(3, 2);
        let first = limiter.enter(address(1), false).unwrap();
        let _second = limiter.enter(address(1), false).unwrap();
        assert_eq!(
            limiter.enter(address(1), false).unwrap_err(),
            ConnectionRefused::Address
        );
        let other = limiter.enter(address(2), false).unwrap();
        assert_eq!(
            limiter.enter(address(3), false).unwrap_err(),
            ConnectionRefused::Server
        );
        drop((first, other));
        assert_eq!(
            limiter.0.taken.lock().by_address.len(),
            1,
            "no entry is left behind"
        );
        let _third = limiter.enter(address(1), false).unwrap();
        assert_eq!(
            limiter.enter(address(1), false).unwrap_err(),
            ConnectionRefused::Address
        );
    }

    #[test]
    fn zero_is_no_limit_for_an_address() {
        let limiter = ConnectionLimiter::new(100, 0);
        let permits: Vec<_> = (0..100)
            .map(|_| limiter.enter(address(1), false).unwrap())
            .collect();
        assert_eq!(
            limiter.enter(address(1), false).unwrap_err(),
            ConnectionRefused::Server
        );
        drop(permits);
        assert!(limiter.0.taken.lock().by_address.is_empty());
    }
}
