//! Addresses and networks: the ground on which keys, limits, bans and the audit log stand.
//!
//! One notation for networks in settings, keys and exemptions, one rule for which address a
//! request is held to. Knows no HTTP: headers come in as bytes.

mod acl;
mod address;
mod network;
mod origin;

pub use acl::{NetworkAcl, NetworkList, TooManyNetworks};
pub use address::ClientAddress;
pub use network::{InvalidNetwork, Network};
pub use origin::{ConflictingOrigins, ForwardedHeader, Origin, OriginRule};
