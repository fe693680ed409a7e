//! How many chunks one call of a guest's `next` is asked for: as many as are made in a moment, so
//! that a model whose tokens are dear is heard word by word, and one whose tokens are cheap is
//! not called for each. The moment is one of the guest's own clock, which goes with its fuel: what
//! a guest is asked must not depend on how busy the machine is.

/// By how much a call asks for more, or less, than the one before it.
const STEP: u32 = 8;
/// A call that took less asks for more the next time. Two steps are less than what a reader of a
/// stream notices.
const QUICK_FUEL: u64 = 500_000;
/// A call that took more asks for less the next time.
const SLOW_FUEL: u64 = 5_000_000;

/// The size of the next call.
#[derive(Debug)]
pub(crate) struct PullSize(u32);

impl PullSize {
    /// The size of the first call. Of a model that is known to be quick, everything; of any
    /// other, and where what is known must not matter, the first word, as soon as there is one.
    pub(crate) fn first(is_quick: bool) -> Self {
        Self(if is_quick { Self::MOST } else { 1 })
    }

    /// The most chunks in one call. The bytes in them are bounded by the run's cap on its output.
    pub(crate) const MOST: u32 = 64;

    /// The most chunks that the call may give.
    pub(crate) fn chunks(&self) -> u32 {
        self.0
    }

    /// Follows what the last call took.
    pub(crate) fn follow(&mut self, fuel: u64) {
        if fuel < QUICK_FUEL {
            self.0 = self.0.saturating_mul(STEP).min(Self::MOST);
        } else if fuel > SLOW_FUEL {
            self.0 = (self.0 / STEP).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_model_is_asked_for_more_and_a_slow_one_for_each() {
        let mut size = PullSize::first(false);
        let mut sizes = |took: &[u64]| -> Vec<u32> {
            let follow = took.iter().map(|&thousands| {
                let asked = size.chunks();
                size.follow(thousands * 1_000);
                asked
            });
            follow.collect()
        };
        assert_eq!(sizes(&[2, 15, 100, 100]), [1, 8, 64, 64]);
        assert_eq!(sizes(&[100_000, 12_000, 1_500]), [64, 8, 1]);
        assert_eq!(PullSize::first(true).chunks(), PullSize::MOST);
        assert_eq!(sizes(&[1_500, 400, 2_000, 5_000]), [1, 1, 8, 8]);
    }
}
