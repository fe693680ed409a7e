//! How much a key may use: its tier and its own limits.

use super::change::Change;
use super::scope::Tier;

/// The amounts that a key may use. Where a limit is missing, the server's setting holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Allowance {
    /// The key's tier, which stands for requests and tokens a minute.
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
    /// Units of fuel in one calendar month, UTC; 1 to [`LIMIT_MAX`].
    pub fuel_per_month: Option<u64>,
    /// Tokens in one calendar month, UTC; 1 to [`LIMIT_MAX`].
    pub tokens_per_month: Option<u64>,
    /// Requests in one calendar month, UTC; 1 to [`LIMIT_MAX`].
    pub requests_per_month: Option<u64>,
}

/// A change of the amounts that a key may use. A limit that is cleared is the server's again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllowanceChange {
    /// The key's tier.
    pub tier: Change<Tier>,
    /// Requests a minute.
    pub rpm: Change<u32>,
    /// Tokens a minute.
    pub tpm: Change<u32>,
    /// Requests at once.
    pub max_concurrent: Change<u32>,
    /// Uploads at once.
    pub max_uploads: Change<u32>,
    /// Versions of models that it has uploaded and that are still there.
    pub max_stored_bundles: Change<u32>,
    /// Bytes of those versions, unpacked.
    pub max_stored_bytes: Change<u64>,
    /// Units of fuel in one UTC day.
    pub fuel_per_day: Change<u64>,
    /// Units of fuel in one calendar month, UTC.
    pub fuel_per_month: Change<u64>,
    /// Tokens in one calendar month, UTC.
    pub tokens_per_month: Change<u64>,
    /// Requests in one calendar month, UTC.
    pub requests_per_month: Change<u64>,
}

/// The largest limit that the database can hold.
pub const LIMIT_MAX: u64 = i64::MAX.unsigned_abs();

impl Allowance {
    /// An allowance that says nothing: the server's settings hold.
    pub(super) const UNSAID: Self = Self {
        tier: None,
        rpm: None,
        tpm: None,
        max_concurrent: None,
        max_uploads: None,
        max_stored_bundles: None,
        max_stored_bytes: None,
        fuel_per_day: None,
        fuel_per_month: None,
        tokens_per_month: None,
        requests_per_month: None,
    };

    /// The allowance after a change.
    pub(super) fn changed(self, change: AllowanceChange) -> Self {
        Self {
            tier: change.tier.over(self.tier),
            rpm: change.rpm.over(self.rpm),
            tpm: change.tpm.over(self.tpm),
            max_concurrent: change.max_concurrent.over(self.max_concurrent),
            max_uploads: change.max_uploads.over(self.max_uploads),
            max_stored_bundles: change.max_stored_bundles.over(self.max_stored_bundles),
            max_stored_bytes: change.max_stored_bytes.over(self.max_stored_bytes),
            fuel_per_day: change.fuel_per_day.over(self.fuel_per_day),
            fuel_per_month: change.fuel_per_month.over(self.fuel_per_month),
            tokens_per_month: change.tokens_per_month.over(self.tokens_per_month),
            requests_per_month: change.requests_per_month.over(self.requests_per_month),
        }
    }

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
            ("fuel_per_month", self.fuel_per_month),
            ("tokens_per_month", self.tokens_per_month),
            ("requests_per_month", self.requests_per_month),
        ];
        let wrong = |limit: Option<u64>| limit.is_some_and(|n| !(1..=LIMIT_MAX).contains(&n));
        limits
            .into_iter()
            .find(|(_, limit)| wrong(*limit))
            .map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
