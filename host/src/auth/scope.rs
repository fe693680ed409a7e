//! The rights of a key ([`Scope`]) and its allowance ([`Tier`]).

use std::fmt;
use std::str::FromStr;

/// One right that a key can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Scope {
    /// Run models.
    Infer,
    /// List models and read their state.
    ModelsRead,
    /// Upload, activate and remove models.
    ModelsWrite,
    /// Manage keys and read the configuration.
    Admin,
    /// Read the metrics.
    Metrics,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 5] = [
        Self::Infer,
        Self::ModelsRead,
        Self::ModelsWrite,
        Self::Admin,
        Self::Metrics,
    ];

    /// The name as written in the API, the CLI and errors.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Infer => "infer",
            Self::ModelsRead => "models:read",
            Self::ModelsWrite => "models:write",
            Self::Admin => "admin",
            Self::Metrics => "metrics",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.name() == text)
            .ok_or_else(|| InvalidScope {
                got: text.chars().take(64).collect(),
            })
    }
}

impl serde::Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The text is not the name of a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope `{got}`: scopes are infer, models:read, models:write, admin and metrics")]
pub struct InvalidScope {
    /// The text, cut to 64 characters.
    pub got: String,
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// The rights of a caller without a key where none is required, and of a key of the
    /// configuration may do: run models and list them.
    pub const USE: Self = Self(1 << Scope::Infer as u8 | 1 << Scope::ModelsRead as u8);

    /// Every right.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Whether `scope` is in the set.
    #[must_use]
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    /// Whether the set holds nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes of the set, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(
            scopes
                .into_iter()
                .fold(0, |bits, scope| bits | 1 << scope as u8),
        )
    }
}

impl FromStr for Scopes {
    type Err = InvalidScope;

    /// Names separated by commas.
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        text.split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::parse)
            .collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scope) in self.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{scope}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

impl serde::Serialize for Scopes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// The class of what a key may use over time. Kept with the key; the numbers behind the names
/// belong to the rate limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// The smallest allowance.
    Free,
    /// The tier of a key that was given none.
    Tier1,
    /// Above `tier-1`.
    Tier2,
    /// Above `tier-2`.
    Tier3,
    /// Above `tier-3`.
    Tier4,
    /// The largest allowance.
    Tier5,
}

impl Tier {
    /// All tiers, the smallest first.
    pub const ALL: [Self; 6] = [
        Self::Free,
        Self::Tier1,
        Self::Tier2,
        Self::Tier3,
        Self::Tier4,
        Self::Tier5,
    ];

    /// The name as written in the API and the CLI.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Tier1 => "tier-1",
            Self::Tier2 => "tier-2",
            Self::Tier3 => "tier-3",
            Self::Tier4 => "tier-4",
            Self::Tier5 => "tier-5",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Tier {
    type Err = InvalidTier;

    fn from_str(text: &str) -> Result<Self, InvalidTier> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.name() == text)
            .ok_or_else(|| InvalidTier {
                got: text.chars().take(64).collect(),
            })
    }
}

impl serde::Serialize for Tier {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The text is not the name of a tier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown tier `{got}`: tiers are free, tier-1, tier-2, tier-3, tier-4 and tier-5")]
pub struct InvalidTier {
    /// The text, cut to 64 characters.
    pub got: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sets_of_scopes_survive_a_round_trip() {
        for bits in 0..32_u8 {
            let set: Scopes = Scope::ALL
                .into_iter()
                .filter(|scope| bits & (1 << *scope as u8) != 0)
                .collect();
            assert_eq!(set.to_string().parse::<Scopes>().unwrap(), set);
        }
        assert_eq!(Scopes::USE.to_string(), "infer,models:read");
        assert_eq!(
            "infer, ,admin".parse::<Scopes>().unwrap().to_string(),
            "infer,admin"
        );
    }

    #[test]
    fn unknown_names_are_refused() {
        assert_eq!("infer,root".parse::<Scopes>().unwrap_err().got, "root");
        assert_eq!("tier-6".parse::<Tier>().unwrap_err().got, "tier-6");
        for tier in Tier::ALL {
            assert_eq!(tier.name().parse::<Tier>().unwrap(), tier);
        }
    }
}
