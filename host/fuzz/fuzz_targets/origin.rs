//! `X-Forwarded-For`, `Forwarded` and the lists of networks: what a caller writes about itself
//! never counts.
#![no_main]

use std::net::IpAddr;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "."]
mod net {
    #[path = "../../src/net/acl.rs"]
    mod acl;
    #[path = "../../src/net/address.rs"]
    mod address;
    #[path = "../../src/net/network.rs"]
    mod network;
    #[path = "../../src/net/origin.rs"]
    pub(crate) mod origin;

    pub(crate) use acl::NetworkList;
    pub(crate) use address::ClientAddress;
    pub(crate) use network::Network;
}

use net::origin::{ForwardedHeader, OriginRule};
use net::{Network, NetworkList};

#[derive(Arbitrary, Debug)]
struct Case {
    proxies: Vec<String>,
    peer: IpAddr,
    header: u8,
    ipv6_prefix: u8,
    x_forwarded_for: Vec<Vec<u8>>,
    forwarded: Vec<Vec<u8>>,
    made_up: Vec<u8>,
}

fn resolve(
    rule: &OriginRule,
    peer: IpAddr,
    first: &[Vec<u8>],
    second: &[Vec<u8>],
) -> Option<IpAddr> {
    let lines = |lines: &[Vec<u8>]| lines.to_vec();
    let (first, second) = (lines(first), lines(second));
    rule.resolve(
        peer,
        first.iter().map(Vec::as_slice),
        second.iter().map(Vec::as_slice),
    )
    .ok()
    .map(|address| address.ip())
}

fuzz_target!(|case: Case| {
    let Ok(networks) = case.proxies.iter().map(|text| text.parse()).collect() else {
        return;
    };
    let Ok(trusted_proxies) = NetworkList::new(networks, 100) else {
        return;
    };
    for network in trusted_proxies.iter() {
        assert_eq!(
            network.to_string().parse::<Network>().as_ref(),
            Ok(&network)
        );
        assert!(trusted_proxies.contains(network.address()));
    }
    let rule = OriginRule {
        trusted_proxies,
        header: [
            ForwardedHeader::Auto,
            ForwardedHeader::XForwardedFor,
            ForwardedHeader::Forwarded,
        ][usize::from(case.header) % 3],
        ipv6_prefix: case.ipv6_prefix.clamp(1, 128),
    };
    let peer = case.peer.to_canonical();
    let found = resolve(&rule, case.peer, &case.x_forwarded_for, &case.forwarded);
    if !rule.trusts(case.peer) {
        assert_eq!(found, Some(peer), "a stranger's headers count");
        return;
    }
    // A caller can only add to what its proxies write, and only before it.
    let Some(found) = found.filter(|found| !rule.trusts(*found)) else {
        return;
    };
    let before = |lines: &[Vec<u8>]| {
        let mut lines = lines.to_vec();
        if !lines.is_empty() {
            lines.insert(0, case.made_up.clone());
        }
        lines
    };
    let again = resolve(
        &rule,
        case.peer,
        &before(&case.x_forwarded_for),
        &before(&case.forwarded),
    );
    assert!(
        again.is_none() || again == Some(found),
        "{found} became {again:?}"
    );
});
