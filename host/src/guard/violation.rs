//! The kinds of violations that count against an address.

/// One act that counts towards a ban of the address that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Violation {
    /// A credential that is not valid.
    FailedAuthentication,
    /// Content that was refused as an injection.
    Injection,
    /// A packed body that was made to burst: far over its limit by what its packing hides.
    OversizedBody,
    /// A request over a rate limit.
    RateLimit,
}

impl Violation {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::FailedAuthentication,
        Self::Injection,
        Self::OversizedBody,
        Self::RateLimit,
    ];

    /// The name in metrics, the audit log and the admin API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FailedAuthentication => "failed_authentication",
            Self::Injection => "injection",
            Self::OversizedBody => "oversized_body",
            Self::RateLimit => "rate_limit",
        }
    }
}
