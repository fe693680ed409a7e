//! Finds out which address a request is held to: the peer's, or the one that a trusted proxy
//! says it speaks for.
//!
//! What a caller writes about itself never counts. Proxies append what they have seen at the
//! right, so the chain is walked from there: each hop is believed as long as the one that
//! reported it is trusted, and the first that is not trusted is the caller. Empty elements and
//! pairs are legal and say nothing. What cannot be read ends the walk at the last hop that is
//! known, which is a proxy of ours and nobody's customer: it is not held to what its callers do.

use std::net::{IpAddr, SocketAddr};

use super::{ClientAddress, NetworkList};

/// Whom to believe about the address of a caller.
#[derive(Clone, Debug)]
pub struct OriginRule {
    /// Proxies whose headers are believed.
    pub trusted_proxies: NetworkList,
    /// The header that they write.
    pub header: ForwardedHeader,
    /// Bits of an IPv6 address that count for limits and bans, 1 to 128.
    pub ipv6_prefix: u8,
}

/// The network prefix that most providers give to one customer.
const IPV6_PREFIX_DEFAULT: u8 = 64;

impl Default for OriginRule {
    fn default() -> Self {
        Self {
            trusted_proxies: NetworkList::EMPTY,
            header: ForwardedHeader::Auto,
            ipv6_prefix: IPV6_PREFIX_DEFAULT,
        }
    }
}

/// The header in which trusted proxies say for whom they speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// Whichever of the two there is. Where there are both, one may be the caller's own, passed
    /// on by a proxy that knows only the other: then they must agree.
    #[default]
    Auto,
    /// `X-Forwarded-For`; the other is ignored.
    XForwardedFor,
    /// `Forwarded` (RFC 7239); the other is ignored.
    Forwarded,
}

impl ForwardedHeader {
    /// The name in the settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// Whose request it is, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The address that the request is held to.
    pub address: ClientAddress,
    /// Whether that is the caller. Where it is not, it is a trusted proxy whose header cannot be
    /// read, and a ban of it would lock out everybody behind it.
    pub is_caller: bool,
}

impl Origin {
    /// The address itself.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.address.ip()
    }
}

/// The two headers name two callers, and one of them is made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the headers X-Forwarded-For and Forwarded name different callers")]
pub struct ConflictingOrigins;

impl OriginRule {
    /// The address of a caller without headers.
    #[must_use]
    pub fn peer(&self, peer: IpAddr) -> ClientAddress {
        ClientAddress::new(peer, self.ipv6_prefix)
    }

    /// Whether what this address says about others is believed.
    #[must_use]
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.trusted_proxies.contains(ip)
    }

    /// The address of a caller whose connection comes from `peer`. The headers are given line by
    /// line in the order in which they came.
    ///
    /// # Errors
    ///
    /// When a trusted peer has sent both headers and they disagree. Neither can be chosen: the
    /// one that the proxy does not write is the caller's.
    pub fn resolve<'a>(
        &self,
        peer: IpAddr,
        x_forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
        forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> Result<Origin, ConflictingOrigins> {
        let of = |(ip, is_caller)| Origin {
            address: self.peer(ip),
            is_caller,
        };
        if !self.trusts(peer) {
            return Ok(of((peer, true)));
        }
        let (mut x_forwarded_for, mut forwarded) =
            (x_forwarded_for.peekable(), forwarded.peekable());
        let (is_first, is_second) = (x_forwarded_for.peek().is_some(), forwarded.peek().is_some());
        let first = self.walk(peer, x_forwarded_for.rev().flat_map(items), plain_hop);
        let second = self.walk(peer, forwarded.rev().flat_map(items), forwarded_hop);
        let is_there = match self.header {
            ForwardedHeader::XForwardedFor => is_first,
            ForwardedHeader::Forwarded => is_second,
            ForwardedHeader::Auto => is_first || is_second,
        };
        let found = match (self.header, first, second) {
            (ForwardedHeader::XForwardedFor, first, _) => first,
            (ForwardedHeader::Forwarded, _, second) => second,
            (ForwardedHeader::Auto, Some(first), Some(second)) if first.0 != second.0 => {
                return Err(ConflictingOrigins);
            }
            (ForwardedHeader::Auto, first, second) => first.or(second),
        };
        // Without the header a proxy speaks for itself, with an empty one for somebody unknown.
        Ok(of(found.unwrap_or((peer, !is_there))))
    }

    /// Walks from the nearest hop outwards, and says also whether it came to its end. None where
    /// there is no header at all, or one that says nothing.
    fn walk<'a>(
        &self,
        peer: IpAddr,
        hops: impl Iterator<Item = &'a [u8]>,
        read: impl Fn(&[u8]) -> Option<IpAddr>,
    ) -> Option<(IpAddr, bool)> {
        let mut last = None;
        for hop in hops.filter(|hop| !is_empty(hop)) {
            let Some(ip) = read(hop) else {
                return Some((last.unwrap_or(peer), false));
            };
            last = Some(ip);
            if !self.trusts(ip) {
                break;
            }
        }
        last.map(|ip| (ip, true))
    }
}

/// Whether an element of a list is one that is to be ignored (RFC 9110, section 5.6.1), with the
/// pairs of `Forwarded` that may be empty, too.
fn is_empty(element: &[u8]) -> bool {
    element
        .iter()
        .all(|byte| matches!(byte, b' ' | b'\t' | b';'))
}

/// The items of one header line, the last first. A comma inside quotes does not count, and
/// quotes are matched from the right: one that a caller has left open cannot swallow what the
/// proxy has appended.
fn items(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut at = line.len();
    line.rsplit(move |&byte| {
        at = at.saturating_sub(1);
        if byte == b'"' && !is_escaped(line, at) {
            quoted = !quoted;
        }
        byte == b',' && !quoted
    })
}

/// Whether the sign there stands behind a backslash that is no sign of its own.
fn is_escaped(line: &[u8], at: usize) -> bool {
    let before = line.get(..at).unwrap_or_default().iter().rev();
    before.take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// An address with or without a port, as in `192.0.2.7`, `192.0.2.7:80`, `[2001:db8::1]:80`.
fn plain_hop(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii();
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let ip = match bare {
        Some(bare) => IpAddr::V6(bare.parse().ok()?),
        None => text
            .parse::<IpAddr>()
            .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
            .ok()?,
    };
    Some(ip.to_canonical())
}

/// A node of `Forwarded`: as above, or with a port that hides its number (`192.0.2.7:_http`).
fn forwarded_node(text: &str) -> Option<IpAddr> {
    let hides = |port: &str| {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        port.len() > 1 && port.starts_with('_') && port.bytes().all(is_name)
    };
    match text.rsplit_once(':') {
        Some((address, port)) if hides(port) => {
            // Without its brackets an address of IPv6 has no port.
            let is_whole = !address.contains(':') || address.starts_with('[');
            is_whole.then(|| plain_hop(address.as_bytes())).flatten()
        }
        _ => plain_hop(text.as_bytes()),
    }
}

/// The pairs of one element of `Forwarded`. A semicolon inside quotes does not count.
fn pairs(element: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let pairs = element.split(move |sign| {
        let escapes = quoted && sign == '\\' && !escaped;
        if sign == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = escapes;
        sign == ';' && !quoted
    });
    pairs.filter(|pair| !pair.trim_ascii().is_empty())
}

/// The `for` of one element of `Forwarded`. `unknown` and names that hide the address give none.
fn forwarded_hop(element: &[u8]) -> Option<IpAddr> {
    let element = std::str::from_utf8(element).ok()?;
    let mut found = None;
    for pair in pairs(element) {
        let (name, value) = pair.split_once('=')?;
        if !name.trim_ascii().eq_ignore_ascii_case("for") {
            continue;
        }
        if found.is_some() {
            // Two answers to one question: readers would differ in which they take.
            return None;
        }
        let value = value.trim_ascii();
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"')?,
            None => value,
        };
        found = Some(forwarded_node(value)?);
    }
    found
}

#[cfg(test)]
mod tests;
