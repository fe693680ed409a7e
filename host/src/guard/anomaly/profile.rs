//! The baseline of one caller and the judgement of each of its windows against it.
//!
//! Windows of three lengths are judged: five minutes show a burst, an hour what goes on at a pace
//! that no single window betrays, a day what grows slowly. The score of a window is the sum of
//! what its inputs add, in doublings beyond what has been usual for this caller at this hour of
//! this weekday; an input that is below its usual level takes away. Pure: the time is an argument.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::growth::Growth;
use super::networks::{KnownNetworks, NetworkKey};
use super::season::{HOURS, Pace, Place, Season, is_sound};
use super::share::Share;

/// The window in which callers are counted.
pub const WINDOW: Duration = Duration::from_mins(5);

const WINDOW_S: i64 = 300;
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
/// Windows of an hour.
const WINDOWS_OF_HOUR: u32 = 12;
/// Windows of a day.
const WINDOWS_OF_DAY: f32 = 288.0;
/// Windows of a day that must have been seen for the day to count.
const WINDOWS_OF_DAY_MIN: u32 = 216;

/// What a caller is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Requests.
    Requests,
    /// Tokens of prompts and answers.
    Tokens,
    /// Refusals that were the caller's own fault.
    Errors,
    /// Runs that wanted more fuel than there was for them, and requests refused for it.
    RefusedFuel,
    /// Networks that the caller has not come from lately.
    NewNetworks,
    /// Activity in an hour of the day in which there was none.
    Hours,
}

impl Input {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Requests,
        Self::Tokens,
        Self::Errors,
        Self::RefusedFuel,
        Self::NewNetworks,
        Self::Hours,
    ];

    /// The name in metrics, the audit log and the admin API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Errors => "errors",
            Self::RefusedFuel => "refused_fuel",
            Self::NewNetworks => "new_networks",
            Self::Hours => "hours",
        }
    }
}

/// The length of a window that was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// Five minutes.
    #[default]
    Window,
    /// An hour.
    Hour,
    /// A UTC day.
    Day,
}

impl Span {
    /// The name in the audit log and the admin API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Window => "5 min",
            Self::Hour => "1 h",
            Self::Day => "1 d",
        }
    }
}

/// The counts of one caller in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that the caller was let in with.
    pub requests: u64,
    /// Tokens of prompts and answers.
    pub tokens: u64,
    /// Refusals that were the caller's own fault.
    pub errors: u64,
    /// Runs that a cap on fuel ended, and requests refused because a day's fuel was used up.
    pub refused_fuel: u64,
    /// Networks not known until then.
    pub new_networks: u64,
}

/// Counts that are kept a baseline of.
const COUNTED: usize = 5;

/// Amounts so small that nobody minds how often they double: (window, hour, day) for each count.
/// They also keep the chance in small numbers out of the score.
const SMALL: [[f32; 3]; COUNTED] = [
    [20.0, 60.0, 240.0],
    [20_000.0, 60_000.0, 240_000.0],
    [20.0, 40.0, 120.0],
    [4.0, 8.0, 24.0],
    [2.0, 3.0, 6.0],
];

/// Points for each doubling of an input beyond what is usual, in the order of [`Input::ALL`]. What
/// honest callers have next to nothing of says more.
const WEIGHTS: [f32; 6] = [1.5, 1.5, 1.5, 2.0, 1.5, 1.0];
/// Points that one input can add at most, and take away.
const POINTS_MAX: f32 = 8.0;
const POINTS_MIN: f32 = -1.0;
/// Requests of an hour from which a caller counts as active in it.
const ACTIVE_MIN: u64 = 10;
/// The share of days on which a caller is active in an hour that is no longer unusual.
const ACTIVE_USUAL: f32 = 0.08;
/// The least share that is told from none.
const ACTIVE_LEAST: f32 = 0.02;
/// Points of an hour that count for nothing when the points of hours are summed up.
const HOUR_ORDINARY: f32 = 0.25;
/// What each point of such a sum is worth: an hour that is half of an anomaly is one when it has
/// gone on for some hours.
const SUSTAINED_SHARE: f32 = 0.5;
/// What a window that was found to be unusual weighs in the baseline: a caller whose conduct has
/// changed for good is taken for what it is in weeks, and no attack teaches in hours.
const UNUSUAL_SHARE: f32 = 0.05;

impl Counts {
    fn values(&self) -> [u64; COUNTED] {
        [
            self.requests,
            self.tokens,
            self.errors,
            self.refused_fuel,
            self.new_networks,
        ]
    }

    /// Adds those of another window.
    fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.errors = self.errors.saturating_add(other.errors);
        self.refused_fuel = self.refused_fuel.saturating_add(other.refused_fuel);
        self.new_networks = self.new_networks.saturating_add(other.new_networks);
    }

    /// Logarithms of the counts, over what is small in a span.
    fn levels(&self, span: Span) -> [f32; COUNTED] {
        let mut levels = [0.0; COUNTED];
        for ((level, count), small) in levels.iter_mut().zip(self.values()).zip(small(span)) {
            *level = (count as f32 / small).ln_1p();
        }
        levels
    }
}

/// What is small in a span, for each count.
fn small(span: Span) -> [f32; COUNTED] {
    SMALL.map(|[window, hour, day]| match span {
        Span::Window => window,
        Span::Hour => hour,
        Span::Day => day,
    })
}

/// The rule by which windows are judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// The score from which a window is an anomaly.
    pub threshold: f32,
    /// The time for which a caller is only watched.
    pub warm_up: Duration,
    /// The time after which what was seen weighs half.
    pub half_life: Duration,
}

impl Rule {
    fn half_life_days(&self) -> f32 {
        self.half_life.as_secs_f32() / DAY_S as f32
    }

    fn warm_up_windows(&self) -> u32 {
        let windows = self.warm_up.as_secs().div_ceil(WINDOW.as_secs());
        u32::try_from(windows).unwrap_or(u32::MAX)
    }
}

/// The judgement of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Judgement {
    /// The sum of the points; 0 while there is no baseline.
    pub score: f32,
    /// What each input has added, in the order of [`Input::ALL`].
    pub points: [f32; Input::ALL.len()],
    /// The length of the window that was judged.
    pub span: Span,
    /// The counts in it.
    pub counts: Counts,
    /// Whether the score is at the threshold or above it.
    pub is_anomaly: bool,
}

impl Judgement {
    fn of(span: Span, counts: Counts, points: [f32; 6], rule: &Rule) -> Self {
        let points = std::array::from_fn(|at| {
            let [doublings, weight] =
                [points, WEIGHTS].map(|list| list.get(at).copied().unwrap_or_default());
            (doublings * weight).clamp(POINTS_MIN, POINTS_MAX)
        });
        let score = points.iter().sum();
        Self {
            score,
            points,
            span,
            counts,
            is_anomaly: score >= rule.threshold,
        }
    }

    /// The same with another score, to which each input has added in proportion.
    fn with_score(mut self, score: f32, rule: &Rule) -> Self {
        if self.score > 0.0 {
            let times = score / self.score;
            self.points = self.points.map(|points| points * times);
            self.score = score;
            self.is_anomaly = score >= rule.threshold;
        }
        self
    }

    /// The inputs with their points, those that have added most first.
    #[must_use]
    pub fn inputs(&self) -> Vec<(Input, f32)> {
        let mut inputs: Vec<_> = Input::ALL.into_iter().zip(self.points).collect();
        inputs.sort_by(|one, other| other.1.total_cmp(&one.1));
        inputs
    }
}

/// The baseline of one caller.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    windows: [Season; COUNTED],
    hours: [Season; COUNTED],
    /// Of requests and tokens.
    growth: [Growth; 2],
    networks: KnownNetworks,
    /// The share of days on which there was activity, by hour of the day.
    active: [f32; HOURS],
    /// The shares of requests that are errors, and that want more fuel than there is for them.
    /// Baselines of before have none, and no sum.
    #[serde(default)]
    shares: [Share; 2],
    /// The sum of the points of the hours of late, beyond what an ordinary hour has.
    #[serde(default)]
    sustained: f32,
    /// The hour and the day that are under way.
    #[serde(skip)]
    hour: Open,
    #[serde(skip)]
    day: Open,
}

/// A longer window that is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Open {
    number: i64,
    counts: Counts,
    windows: u32,
    /// Whether a window of it was an anomaly.
    is_unusual: bool,
}

impl Open {
    /// Adds a window; gives the whole back with the last one.
    fn add(
        &mut self,
        start_s: i64,
        length_s: i64,
        counts: &Counts,
        is_anomaly: bool,
    ) -> Option<Self> {
        let number = start_s.div_euclid(length_s);
        if self.number != number {
            *self = Self {
                number,
                ..Self::default()
            };
        }
        self.counts.add(counts);
        self.windows += 1;
        self.is_unusual |= is_anomaly;
        let is_last = (start_s + WINDOW_S).div_euclid(length_s) != number;
        is_last.then_some(*self)
    }
}

impl Profile {
    /// Whether the caller has been watched for long enough to be judged.
    #[must_use]
    pub fn is_settled(&self, rule: &Rule) -> bool {
        let [requests, ..] = &self.windows;
        requests.seen() >= rule.warm_up_windows()
    }

    /// Judges a window that is over, and learns from it. `start_s`: its start, in seconds since
    /// the Unix epoch. `networks`: where its requests came from, each once. How many of them are
    /// new is counted here.
    pub fn observe(
        &mut self,
        start_s: i64,
        counts: Counts,
        networks: &[NetworkKey],
        rule: &Rule,
    ) -> Judgement {
        let counts = Counts {
            new_networks: self.networks.count_new(networks),
            ..counts
        };
        let is_settled = self.is_settled(rule);
        let place = Place::of(start_s);
        let mut worst = self.observe_span(Span::Window, place, counts, false, rule, is_settled);
        let whole_hour = self.hour.add(start_s, HOUR_S, &counts, worst.is_anomaly);
        if let Some(hour) = whole_hour.filter(|hour| hour.windows == WINDOWS_OF_HOUR) {
            let is_unusual = hour.is_unusual;
            let judged =
                self.observe_span(Span::Hour, place, hour.counts, is_unusual, rule, is_settled);
            worst = higher(worst, self.sustain(judged, rule));
            self.learn_activity(place, &hour.counts, rule, judged.is_anomaly);
        }
        let whole_day = self.day.add(start_s, DAY_S, &counts, worst.is_anomaly);
        if let Some(day) = whole_day.filter(|day| day.windows >= WINDOWS_OF_DAY_MIN) {
            let judged = self.observe_day(place, day.counts, rule, is_settled);
            worst = higher(worst, judged);
        }
        self.networks.learn(networks, worst.is_anomaly);
        worst
    }

    /// The judgement of an hour with those before it: what is a little unusual for hours is as
    /// unusual as what is very much so for one. A sum that has led to an anomaly begins anew.
    fn sustain(&mut self, hour: Judgement, rule: &Rule) -> Judgement {
        self.sustained = (self.sustained + hour.score - HOUR_ORDINARY).max(0.0);
        let sum = SUSTAINED_SHARE * self.sustained;
        // Only while it goes on: an hour that adds nothing is no anomaly for those before it.
        if hour.score <= HOUR_ORDINARY || sum <= hour.score {
            return hour;
        }
        let judged = hour.with_score(sum, rule);
        if judged.is_anomaly {
            self.sustained = 0.0;
        }
        judged
    }

    fn observe_span(
        &mut self,
        span: Span,
        place: Place,
        counts: Counts,
        is_unusual: bool,
        rule: &Rule,
        is_settled: bool,
    ) -> Judgement {
        let levels = counts.levels(span);
        let unusual_hour = self.unusual_hour(place, span, &counts);
        let (seasons, length) = match span {
            Span::Hour => (&mut self.hours, Duration::from_hours(1)),
            Span::Window | Span::Day => (&mut self.windows, WINDOW),
        };
        let mut judged = Judgement {
            span,
            counts,
            ..Judgement::default()
        };
        if is_settled {
            let [requests, tokens, errors, refused, networks] = seasons;
            let at = |season: &Season, level| season.excess(place, level);
            let [l0, l1, l2, l3, l4] = levels;
            let more_requests = at(requests, l0);
            let [of_errors, of_refused] = &self.shares;
            let [_, _, small_errors, small_refused, _] = small(span);
            let requested = counts.requests;
            let errors =
                at(errors, l2).min(of_errors.excess(counts.errors, requested, small_errors));
            let more_refused = of_refused.excess(counts.refused_fuel, requested, small_refused);
            let points = [
                more_requests,
                beyond(at(tokens, l1), more_requests),
                errors,
                at(refused, l3).min(more_refused),
                at(networks, l4),
                unusual_hour,
            ];
            judged = Judgement::of(span, counts, points, rule);
        }
        let share = if judged.is_anomaly || is_unusual {
            UNUSUAL_SHARE
        } else {
            1.0
        };
        if span == Span::Window {
            let kept = (-1.0 / (rule.half_life_days() * WINDOWS_OF_DAY)).exp2();
            let [of_errors, of_refused] = &mut self.shares;
            of_errors.learn(counts.errors, counts.requests, kept, share);
            of_refused.learn(counts.refused_fuel, counts.requests, kept, share);
        }
        let pace = Pace::new(length, rule.half_life);
        for (season, level) in seasons.iter_mut().zip(levels) {
            season.learn(place, level, pace, share, is_settled);
        }
        judged
    }

    /// Points for activity where there has been none: doublings by which it is rarer than what is
    /// usual. The hours beside it count too, or summer time would be an anomaly.
    fn unusual_hour(&self, place: Place, span: Span, counts: &Counts) -> f32 {
        let least = match span {
            Span::Window => ACTIVE_MIN.div_ceil(2),
            Span::Hour | Span::Day => ACTIVE_MIN,
        };
        if counts.requests < least {
            return 0.0;
        }
        let near = [HOURS - 1, 0, 1].map(|away| (place.hour + away) % HOURS);
        let share = near
            .into_iter()
            .filter_map(|hour| self.active.get(hour))
            .fold(ACTIVE_LEAST, |most, share| most.max(*share));
        (ACTIVE_USUAL / share).log2().max(0.0)
    }

    fn learn_activity(&mut self, place: Place, counts: &Counts, rule: &Rule, is_anomaly: bool) {
        let [requests, ..] = &self.hours;
        let days = requests.seen() as f32 / HOURS as f32;
        let settled = 1.0 - (-1.0 / rule.half_life_days()).exp2();
        let share = if is_anomaly { UNUSUAL_SHARE } else { 1.0 };
        let weight = share * settled.max(1.0 / (days + 1.0));
        if let Some(active) = self.active.get_mut(place.hour) {
            let is_active = f32::from(u8::from(counts.requests >= ACTIVE_MIN));
            *active += weight * (is_active - *active);
        }
    }

    fn observe_day(
        &mut self,
        place: Place,
        counts: Counts,
        rule: &Rule,
        is_settled: bool,
    ) -> Judgement {
        let [requests, tokens, ..] = counts.levels(Span::Day);
        let half_life = rule.half_life_days();
        let [of_requests, of_tokens] = &mut self.growth;
        let mut judged = Judgement {
            span: Span::Day,
            counts,
            ..Judgement::default()
        };
        if is_settled {
            let more_requests = of_requests.excess(place.weekday, requests, half_life);
            let more_tokens = of_tokens.excess(place.weekday, tokens, half_life);
            let points = [
                more_requests,
                beyond(more_tokens, more_requests),
                0.0,
                0.0,
                0.0,
                0.0,
            ];
            judged = Judgement::of(Span::Day, counts, points, rule);
        }
        of_requests.learn(place.weekday, requests, half_life);
        of_tokens.learn(place.weekday, tokens, half_life);
        judged
    }

    /// Takes what a disk has given, which may be anything: numbers that are none are refused, and
    /// bounds are kept.
    pub(super) fn restored(mut self) -> Option<Self> {
        self.networks.shorten();
        let seasons = self.windows.iter().chain(&self.hours);
        let is_sound = seasons.into_iter().all(Season::is_sound)
            && self.growth.iter().all(Growth::is_sound)
            && self.active.iter().all(|share| (0.0..=1.0).contains(share))
            && self.shares.iter().all(Share::is_sound)
            && is_sound(self.sustained);
        is_sound.then_some(self)
    }
}

/// The tokens that more requests do not account for: what is one act is not counted twice.
fn beyond(tokens: f32, requests: f32) -> f32 {
    if tokens > 0.0 {
        (tokens - requests.max(0.0)).max(0.0)
    } else {
        tokens
    }
}

fn higher(one: Judgement, other: Judgement) -> Judgement {
    if other.score > one.score { other } else { one }
}
