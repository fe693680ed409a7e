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
}

impl Growth {
    /// Doublings that the growth which a day brings counts as.
    pub(super) fn excess(&self, weekday: usize, value: f32, half_life_days: f32) -> f32 {
        let doublings = self.with(weekday, value, half_life_days) / std::f32::consts::LN_2;
        (doublings - USUAL_MAX).max(0.0) * WEEKS
    }

    fn with(&self, weekday: usize, value: f32, half_life_days: f32) -> f32 {
        let before = self.days.get(weekday).copied().unwrap_or_default();
        if (self.seen as usize) < WEEKDAYS {
            return self.mean;
        }
        let weight = 1.0 - (-1.0 / half_life_days).exp2();
        weight.mul_add(value - before - self.mean, self.mean)
    }

    /// Takes up a day.
    pub(super) fn learn(&mut self, weekday: usize, value: f32, half_life_days: f32) {
        self.mean = self.with(weekday, value, half_life_days);
        if let Some(day) = self.days.get_mut(weekday) {
            *day = value;
        }
        self.seen = self.seen.saturating_add(1);
    }

    /// Whether every number in it is one.
    pub(super) fn is_sound(&self) -> bool {
        self.days.iter().all(|day| is_sound(*day)) && is_sound(self.mean)
    }
}
