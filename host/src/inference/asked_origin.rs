//! The time and the seed that a caller asks for its runs to have.

use belljar_sandbox::{RunOrigin, RunSeed, RunTime};

/// What a caller asks for, each where it wants something else than what the server would give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AskedOrigin {
    /// The seed; drawn where none is asked for.
    pub seed: Option<RunSeed>,
    /// The moment; that of the request where none is asked for.
    pub time: Option<RunTime>,
}

impl AskedOrigin {
    /// Whether anything is asked for.
    #[must_use]
    pub fn is_something(&self) -> bool {
        self.seed.is_some() || self.time.is_some()
    }

    /// The origin of the runs of a request that came at `came`.
    pub(super) fn origin(&self, came: RunTime) -> RunOrigin {
        let time = self.time.unwrap_or(came);
        match self.seed {
            Some(seed) => RunOrigin::seeded(time, seed),
            None => RunOrigin::at(time),
        }
    }
}
