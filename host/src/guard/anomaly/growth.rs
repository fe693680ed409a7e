//! The growth of a caller from week to week, by which a creep is told from growth.
//!
//! A baseline follows whoever grows slowly enough: each day is a little more than the last and
//! none is unusual. The weekly growth, averaged, shows it. A week ago was the same weekday, and a
//! caller who was away for a week and comes back has grown as much as it had shrunk.

use serde::{Deserialize, Serialize};

use super::season::{WEEKDAYS, is_sound};

/// Doublings a week that are nothing unusual: 3 % a day are 0.3, and who doubles once in a week
/// comes to less than this in the mean.
const USUAL_MAX: f32 = 0.8;
/// Spreads of the mean that are chance: whoever works on some days and not on others has grown and
/// shrunk by a lot each day, and by nothing in the end.
const SPREADS: f32 = 1.5;
/// What each doubling a week beyond it counts as, in doublings: it has gone on for weeks.
const WEEKS: f32 = 6.0;

/// The growth of one count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Growth {
    /// The last week's days, in logarithms; the oldest is that of the same weekday.
    days: [f32; WEEKDAYS],
    /// Days seen.
    seen: u32,
    /// The mean growth in a week, in logarithms.
    mean: f32,
    /// The variance of a single day's growth around it. Baselines of before have none.
    #[serde(default)]
    variance: f32,
}

impl Growth {
    /// Doublings that the growth which a day brings counts as.
    pub(super) fn excess(&self, weekday: usize, value: f32, half_life_days: f32) -> f32 {
        let mean = self.with(weekday, value, half_life_days);
        let weight = weight(half_life_days);
        // That of an exponentially weighted mean of days that do not depend on one another.
        let spread = (self.variance * weight / (2.0 - weight)).sqrt();
        let [doublings, chance] = [mean, SPREADS * spread].map(|log| log / std::f32::consts::LN_2);
        (doublings - USUAL_MAX.max(chance)).max(0.0) * WEEKS
    }

    fn with(&self, weekday: usize, value: f32, half_life_days: f32) -> f32 {
        let before = self.days.get(weekday).copied().unwrap_or_default();
        if (self.seen as usize) < WEEKDAYS {
            return self.mean;
        }
        weight(half_life_days).mul_add(value - before - self.mean, self.mean)
    }

    /// Takes up a day.
    pub(super) fn learn(&mut self, weekday: usize, value: f32, half_life_days: f32) {
        if let Some(grown) = (self.seen as usize).checked_sub(WEEKDAYS)
            && let Some(before) = self.days.get(weekday)
        {
            let away = value - before - self.mean;
            let weight = weight(half_life_days).max(1.0 / (grown as f32 + 1.0));
            self.variance += weight * (away * away - self.variance);
        }
        self.mean = self.with(weekday, value, half_life_days);
        if let Some(day) = self.days.get_mut(weekday) {
            *day = value;
        }
        self.seen = self.seen.saturating_add(1);
    }

    /// Whether every number in it is one.
    pub(super) fn is_sound(&self) -> bool {
        let single = [self.mean, self.variance];
        let mut all = single.iter().chain(&self.days);
        all.all(|number| is_sound(*number)) && self.variance >= 0.0
    }
}

/// The weight of a day.
fn weight(half_life_days: f32) -> f32 {
    1.0 - (-1.0 / half_life_days).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days as they come: every other one a thousand times the rest, in no order, and no more of
    /// them in one week than in another.
    #[test]
    fn whoever_works_on_some_days_only_has_not_grown_and_whoever_creeps_has() {
        let mut uneven = Growth::default();
        let mut creeping = Growth::default();
        let (mut most, mut crept) = (0.0_f32, 0.0_f32);
        let mut bits = 0x9e37_79b9_u32;
        for day in 0..60_u16 {
            let weekday = usize::from(day) % WEEKDAYS;
            bits ^= bits << 13;
            bits ^= bits >> 17;
            bits ^= bits << 5;
            let value = if bits.is_multiple_of(2) { 7.0 } else { 0.0 };
            let creep = 5.0 + 0.15 * f32::from(day);
            if day > 14 {
                most = most.max(uneven.excess(weekday, value, 7.0));
                crept = crept.max(creeping.excess(weekday, creep, 7.0));
            }
            uneven.learn(weekday, value, 7.0);
            creeping.learn(weekday, creep, 7.0);
        }
        assert!(most < 2.0, "{most}");
        assert!(crept > 3.0, "{crept}");
    }

    #[test]
    fn a_baseline_of_before_has_no_spread_and_is_read() {
        let before = ([1.0_f32; WEEKDAYS], 9_u32, 0.25_f32);
        let bytes = rmp_serde::to_vec(&before).unwrap_or_default();
        let read: Option<Growth> = rmp_serde::from_slice(&bytes).ok();
        let read = read.map(|growth| (growth.seen, growth.mean, growth.variance));
        assert_eq!(read, Some((9, 0.25, 0.0)));
    }
}
