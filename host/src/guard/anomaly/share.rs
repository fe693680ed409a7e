//! The usual share of a caller's requests that something is: refused, say. Twice the requests have
//! twice the refusals, and that is one thing and not two.

use serde::{Deserialize, Serialize};

use super::season::is_sound;

/// Times its usual share that a share may be and is accounted for: chance, and some days.
const USUAL_TIMES: f32 = 1.5;

/// The share of one count in another, exponentially weighted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Share {
    usual: f32,
    /// Requests that it was learnt from, as they weigh now.
    requests: f32,
}

impl Share {
    /// Doublings by which a count is beyond what so many requests account for. `small`: an amount
    /// that nobody minds.
    pub(super) fn excess(&self, count: u64, requests: u64, small: f32) -> f32 {
        let accounted = USUAL_TIMES * self.usual * requests as f32;
        let beyond = (count as f32 / small).ln_1p() - (accounted / small).ln_1p();
        beyond.max(0.0) / std::f32::consts::LN_2
    }

    /// Learns from a window. `kept`: what remains of the weight of what was seen before; `weight`:
    /// that of this window.
    pub(super) fn learn(&mut self, count: u64, requests: u64, kept: f32, weight: f32) {
        let seen = self.requests * kept;
        let more = weight * requests as f32;
        if more > 0.0 {
            let count = weight * count.min(requests) as f32;
            self.usual = (self.usual * seen + count) / (seen + more);
        }
        self.requests = seen + more;
    }

    /// Whether its numbers are ones that can be.
    pub(super) fn is_sound(&self) -> bool {
        (0.0..=1.0).contains(&self.usual) && self.requests.is_finite() && is_sound(self.usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_requests_account_for_more_of_what_they_usually_are() {
        let mut share = Share::default();
        for _ in 0..300 {
            share.learn(2, 100, 0.999, 1.0);
        }
        assert!((share.usual - 0.02).abs() < 1e-3, "{share:?}");
        // Ten times the requests, and of them as many as ever.
        assert!(share.excess(20, 1_000, 20.0) < 0.01);
        // As many requests as ever, and half of them.
        assert!(share.excess(50, 100, 20.0) > 1.5);
        // Of a caller of whom nothing is known, all of it.
        assert!((Share::default().excess(20, 1_000, 20.0) - 1.0).abs() < 1e-6);
    }
}
