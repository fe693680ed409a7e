//! What is to become of a value that there may be none of.

use serde::{Deserialize, Deserializer};

/// A change of a value that there may be none of. Where it is read, what is missing stays, and
/// null takes the value away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// There is none from now on.
    Clear,
    /// It is this from now on.
    Set(T),
}

impl<T> Change<T> {
    /// The value after the change, of the one before.
    pub(super) fn over(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// Makes the change where the default stands for none.
    pub(super) fn replace(self, value: &mut T)
    where
        T: Default,
    {
        match self {
            Self::Keep => {}
            Self::Clear => *value = T::default(),
            Self::Set(other) => *value = other,
        }
    }

    /// The same change of what a value is read from.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn try_map<U, E>(self, read: impl FnOnce(T) -> Result<U, E>) -> Result<Change<U>, E> {
        Ok(match self {
            Self::Keep => Change::Keep,
            Self::Clear => Change::Clear,
            Self::Set(value) => Change::Set(read(value)?),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Option::<T>::deserialize(from)?;
        Ok(value.map_or(Self::Clear, Self::Set))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_missing_stays_and_null_takes_away() {
        #[derive(Deserialize)]
        struct Wanted {
            #[serde(default)]
            limit: Change<u32>,
        }
        for (text, change, after) in [
            ("{}", Change::Keep, Some(7)),
            (r#"{"limit":null}"#, Change::Clear, None),
            (r#"{"limit":9}"#, Change::Set(9), Some(9)),
        ] {
            let wanted: Wanted = serde_json::from_str(text).unwrap();
            assert_eq!(wanted.limit, change);
            assert_eq!(wanted.limit.over(Some(7)), after);
        }
        assert!(serde_json::from_str::<Wanted>(r#"{"limit":"9"}"#).is_err());
    }
}
