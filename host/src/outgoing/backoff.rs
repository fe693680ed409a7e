//! How long to wait before the next attempt.

use std::time::Duration;

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The pause after so many failed attempts, from 0: twice as long each time, and of that the half
/// or more, as `chance` has it (0 to 1), so that many servers do not come back together.
pub(crate) fn pause(attempt: u32, first: Duration, chance: f64) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(attempt.min(31)));
    doubled
        .min(PAUSE_MAX)
        .mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_end_and_are_scattered() {
        let at = |attempt, chance| pause(attempt, Duration::from_secs(1), chance).as_millis();
        let pauses: Vec<_> = (0..8).map(|attempt| at(attempt, 1.0)).collect();
        let s = 1_000;
        assert_eq!(
            pauses,
            [s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s]
        );
        assert_eq!((at(2, 0.0), at(2, 0.5)), (2_000, 3_000));
        assert_eq!(at(u32::MAX, 1.0), 60_000);
        assert_eq!(pause(9, Duration::MAX, 7.0), PAUSE_MAX);
    }
}
