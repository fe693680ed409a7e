//! The usual level of one count of one caller: a mean that follows the hour of the day and the day
//! of the week, the spread around it, and the highest that was usual lately.
//!
//! All of it is exponentially weighted and in natural logarithms, in which a caller who doubles is
//! the same step at any size. Pure: the time is an argument.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Hours of a day.
pub(super) const HOURS: usize = 24;
/// Days of a week.
pub(super) const WEEKDAYS: usize = 7;

/// The least spread that a caller is credited with: an even caller may vary by a quarter.
const SPREAD_MIN: f32 = 0.25;
/// Spreads above the mean that are nothing unusual.
const SPREADS: f32 = 2.5;
/// The spread from which a doubling says less, and the less the wider it is.
const SPREAD_EVEN: f32 = 0.35;
/// Spreads from the mean up to which a window is learnt from once there is a baseline: what is
/// further off moves it no more than this.
const LEARNT_MAX: f32 = 4.0;
/// Half-lives for which the highest usual level is remembered.
const PEAK_HALF_LIVES: f32 = 8.0;
/// Hours of unusual conduct after which half of its height is taken for usual: jobs of a new size
/// are reported a few times, and not for ever.
const UNUSUAL_HOURS: f32 = 4.0;
/// How far below nothing the sum of hour and weekday may lead.
const BELOW_MIN: f32 = -2.0;

/// Whether a number is one that logarithms of counts, their squares and differences can be.
pub(super) fn is_sound(number: f32) -> bool {
    number.abs() <= 10_000.0
}

/// A window's place in the day and the week, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) hour: usize,
    pub(super) weekday: usize,
}

impl Place {
    /// The place of a time, in seconds since the Unix epoch.
    pub(super) fn of(epoch_s: i64) -> Self {
        let part = |value: i64| usize::try_from(value).unwrap_or(0);
        Self {
            hour: part(epoch_s.div_euclid(3_600).rem_euclid(24)),
            // The epoch was a Thursday.
            weekday: part((epoch_s.div_euclid(86_400) + 4).rem_euclid(7)),
        }
    }
}

/// How fast a baseline of windows of one length follows what it sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Windows in a day.
    per_day: f32,
    /// Days after which a window weighs half.
    half_life_days: f32,
}

impl Pace {
    pub(super) fn new(window: Duration, half_life: Duration) -> Self {
        const DAY_S: f32 = 86_400.0;
        Self {
            per_day: DAY_S / window.as_secs_f32().max(1.0),
            half_life_days: (half_life.as_secs_f32() / DAY_S).max(1.0 / 288.0),
        }
    }

    /// The weight of one of so many values a day; at first that of a plain mean.
    fn weight(self, per_day: f32, seen: f32) -> f32 {
        let settled = 1.0 - (-1.0 / (self.half_life_days * per_day)).exp2();
        settled.max(1.0 / (seen + 1.0))
    }

    fn per_hour(self) -> f32 {
        (self.per_day / 24.0).max(1.0)
    }

    /// What is left of the highest usual level after a window.
    fn fading(self) -> f32 {
        (-1.0 / (PEAK_HALF_LIVES * self.half_life_days * self.per_day)).exp2()
    }

    /// The share of the way to an unusual height that one unusual window teaches.
    fn taught(self) -> f32 {
        1.0 - (-24.0 / (UNUSUAL_HOURS * self.per_day)).exp2()
    }

    fn days(self, seen: u32) -> f32 {
        seen as f32 / self.per_day
    }
}

/// The usual level of one count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Season {
    level: f32,
    hours: [f32; HOURS],
    weekdays: [f32; WEEKDAYS],
    variance: f32,
    /// The highest excess over the mean that was usual lately.
    peak: f32,
    /// Windows learnt from.
    seen: u32,
}

impl Season {
    /// The usual level at a place in the week.
    pub(super) fn expected(&self, place: Place) -> f32 {
        self.raw(place).max(0.0)
    }

    fn raw(&self, place: Place) -> f32 {
        let hour = self.hours.get(place.hour).copied().unwrap_or_default();
        let weekday = self
            .weekdays
            .get(place.weekday)
            .copied()
            .unwrap_or_default();
        self.level + hour + weekday
    }

    fn spread(&self) -> f32 {
        SPREAD_MIN.mul_add(SPREAD_MIN, self.variance).sqrt()
    }

    /// Doublings by which a value is above what has been usual, or below it; 0 within.
    pub(super) fn excess(&self, place: Place, value: f32) -> f32 {
        let away = value - self.expected(place);
        let usual = SPREADS * self.spread();
        let beyond = if away > 0.0 {
            (away - usual.max(self.peak)).max(0.0)
        } else {
            (away + usual).min(0.0)
        };
        beyond / std::f32::consts::LN_2 / (self.spread() / SPREAD_EVEN).max(1.0)
    }

    /// Learns from a window, by a share of what an ordinary one weighs. `is_settled`: a baseline
    /// stands, and no single window may move it far.
    pub(super) fn learn(
        &mut self,
        place: Place,
        value: f32,
        pace: Pace,
        share: f32,
        is_settled: bool,
    ) {
        if self.seen == 0 {
            (self.level, self.seen) = (value, 1);
            return;
        }
        let days = pace.days(self.seen);
        let above = value - self.expected(place);
        let away = if is_settled {
            let most = LEARNT_MAX * self.spread();
            above.clamp(-most, most.max(self.peak))
        } else {
            above
        };
        let weight = share * pace.weight(pace.per_day, self.seen as f32);
        self.variance += weight * (away * away - self.variance);
        self.level += weight * away;
        let left = away * (1.0 - weight);
        let at_hour = share * pace.weight(pace.per_hour(), days.floor() * pace.per_hour());
        if let Some(hour) = self.hours.get_mut(place.hour) {
            *hour += at_hour * left;
        }
        let weeks = (days / WEEKDAYS as f32).floor();
        let at_weekday = share * pace.weight(1.0 / WEEKDAYS as f32, weeks) / pace.per_day;
        if let Some(weekday) = self.weekdays.get_mut(place.weekday) {
            *weekday += at_weekday * left;
        }
        // Not far below nothing, or a quiet week would have to be made up for.
        self.level -= (self.raw(place) - BELOW_MIN).min(0.0);
        self.peak *= pace.fading();
        if is_settled {
            self.peak += (above - self.peak).max(0.0) * pace.taught();
        } else if days >= 1.0 {
            // Not before each hour of a day has been seen: until then all of them are peaks.
            self.peak = self.peak.max(above);
        }
        self.seen = self.seen.saturating_add(1);
    }

    /// Windows learnt from.
    pub(super) fn seen(&self) -> u32 {
        self.seen
    }

    /// Whether every number in it is one that can be: what is read from a disk may be anything.
    pub(super) fn is_sound(&self) -> bool {
        let single = [self.level, self.variance, self.peak];
        let mut all = single.iter().chain(&self.hours).chain(&self.weekdays);
        all.all(|number| is_sound(*number)) && self.variance >= 0.0
    }
}
